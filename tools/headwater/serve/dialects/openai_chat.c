/* openai_chat.c - OpenAI's /v1/chat/completions. */
#include "serve/dialects/conversation_draft.h"
#include "serve/dialects/openai.h"

#include "base/json.h"

#include <string.h>

static const char tools_text[] = "this server calls no tools", sound_text[] = "this model gives text only";

static const draft_row fields[] = {
    OPENAI_FIELDS,
    {.key = "messages", .kind = DRAFT_JSON, .offset = DRAFT_AT(messages)},
    {.key = "max_completion_tokens", .kind = DRAFT_WHOLE, .offset = DRAFT_AT(max_tokens), .min = 1, .max = 1000000},
    {.key = "logprobs", .kind = DRAFT_FLAG, .offset = DRAFT_AT(logprobs)},
    {.key = "top_logprobs", .kind = DRAFT_WHOLE, .offset = DRAFT_AT(n_top), .min = 0, .max = HW_N_ALTERNATIVES},
    {.key = "tools", .kind = DRAFT_REFUSED, .text = tools_text},
    {.key = "tool_choice", .kind = DRAFT_REFUSED, .word = "none", .text = tools_text},
    {.key = "parallel_tool_calls", .kind = DRAFT_IGNORED},
    {.key = "functions", .kind = DRAFT_REFUSED, .text = tools_text},
    {.key = "function_call", .kind = DRAFT_REFUSED, .word = "none", .text = tools_text},
    {.key = "response_format", .kind = DRAFT_REFUSED, .word = "text", .text = "answers have no fixed form: \"text\""},
    {.key = "modalities", .kind = DRAFT_IGNORED}, /* "audio" comes with the field of that name */
    {.key = "audio", .kind = DRAFT_REFUSED, .text = sound_text},
    {.key = "prediction", .kind = DRAFT_REFUSED, .text = "predicted text is not read"},
    {.key = "web_search_options", .kind = DRAFT_REFUSED, .text = "this server searches nothing: give \"documents\""},
    {.key = "reasoning_effort", .kind = DRAFT_IGNORED},
    {.key = "verbosity", .kind = DRAFT_IGNORED},
    {.key = "prompt_cache_key", .kind = DRAFT_IGNORED},
    {.key = "safety_identifier", .kind = DRAFT_IGNORED},
};
static const draft_row message_fields[] = {
    {.key = "role", .kind = DRAFT_JSON, .offset = DRAFT_AT(extra)},
    {.key = "content", .kind = DRAFT_JSON, .offset = DRAFT_AT(messages)},
    {.key = "name", .kind = DRAFT_IGNORED},
    {.key = "refusal", .kind = DRAFT_IGNORED},
    {.key = "annotations", .kind = DRAFT_IGNORED},
    {.key = "attribution", .kind = DRAFT_IGNORED},
    {.key = "audio", .kind = DRAFT_REFUSED, .text = sound_text},
    {.key = "tool_calls", .kind = DRAFT_REFUSED, .text = tools_text},
    {.key = "function_call", .kind = DRAFT_REFUSED, .text = tools_text},
};
static const role_name roles[] = {
    {"system", "system"}, {"developer", "system"}, {"user", "user"}, {"assistant", "assistant"}};

static const conversation_form form = {.roles = roles,
                                       .n_roles = DRAFT_COUNT(roles),
                                       .fields = message_fields,
                                       .n_fields = DRAFT_COUNT(message_fields),
                                       .documents_first = true};

static bool read(chat_call *call, const json_t *json, hw_error *err) {
    draft d = {.n_top = -1};
    composed c;
    if (!draft_read(&d, "the request", fields, DRAFT_COUNT(fields), json, err) || !openai_stream_options(&d, err))
        return false;
    if (d.n_top > 0 && !d.logprobs)
        return error_set(err, HW_ERR_ARGUMENT, "\"top_logprobs\" goes with \"logprobs\": true");
    d.n_top = !d.logprobs ? -1 : d.n_top < 0 ? 0 : d.n_top;
    if (!composed_new(&c, err)) return false;
    if (conversation_compose(&c, &d, &form, err)) return composed_finish(call, &c, &d, err);
    composed_free(&c);
    return false;
}

/* ------------------------------------------------------------------ answers */

/* {"token", "bytes", "logprob"} */
static json_t *candidate(const json_t *token) {
    return json_pack("{s:o, s:o, s:o}", "token", member(token, "text"), "bytes", member(token, "bytes"), "logprob",
                     member(token, "logprob"));
}

static json_t *logprobs_of(const json_t *tokens) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *token = json_array_get(tokens, i), *top = json_object_get(token, "top");
        json_t *others = json_array();
        for (size_t k = 0; k < json_array_size(top); k++)
            others = hw__json_append(others, candidate(json_array_get(top, k)));
        list = hw__json_append(list, hw__json_set(candidate(token), "top_logprobs", others));
    }
    return json_pack("{s:o, s:n}", "content", list, "refusal");
}

static json_t *choice_of(const char *part, json_t *message, const json_t *tokens, const char *finish) {
    return json_pack("{s:i, s:o, s:o, s:s?}", "index", 0, part, message, "logprobs",
                     tokens ? logprobs_of(tokens) : json_null(), "finish_reason", finish);
}

static json_t *whole(const chat_call *call, const json_t *answer) {
    json_t *message =
        json_pack("{s:s, s:o, s:n, s:o}", "role", "assistant", "content", member(answer, "text"), "refusal",
                  "annotations", openai_annotations(call, json_object_get(answer, "sentences")));
    json_t *made = choice_of("message", message, json_object_get(answer, "tokens"), openai_finish(answer));
    json_t *out = openai_envelope(call, "chat.completion", made), *numbers = member(answer, "attribution");
    out = hw__json_set(out, "usage", openai_usage(json_object_get(answer, "usage")));
    return numbers ? hw__json_set(out, "attribution", numbers) : out;
}

static void event(chat_call *call, buffer *out, const char *name, const json_t *data) {
    static const char object[] = "chat.completion.chunk";
    json_t *delta = NULL;
    if (strcmp(name, "prompt") == 0) delta = json_pack("{s:s, s:s}", "role", "assistant", "content", "");
    if (strcmp(name, "text") == 0) delta = json_pack("{s:o}", "content", member(data, "text"));
    if (strcmp(name, "sentence") == 0 && json_array_size(json_object_get(data, "sources"))) {
        json_t *one = json_pack("[O]", data);
        delta = json_pack("{s:o}", "annotations", openai_annotations(call, one));
        json_decref(one);
    }
    const json_t *tokens = json_object_get(data, "tokens");
    if (strcmp(name, "error") == 0) write_event(out, NULL, json_incref((json_t *)data));
    if (delta) write_event(out, NULL, openai_envelope(call, object, choice_of("delta", delta, tokens, NULL)));
    if (strcmp(name, "done") == 0) {
        json_t *last = choice_of("delta", json_object(), NULL, openai_finish(data));
        openai_end(call, out, openai_envelope(call, object, last), object, data);
    }
}

const dialect dialect_openai_chat = {"openai chat", "chatcmpl-", read, whole, event, openai_error};
