/* openai_text.c - OpenAI's /v1/completions: a text that goes on, without a chat template. */
#include "serve/dialects/conversation_draft.h"
#include "serve/dialects/openai.h"

#include "base/json.h"
#include "base/utf8.h"

#include <string.h>

static const draft_row fields[] = {
    OPENAI_FIELDS,
    {.key = "prompt", .kind = DRAFT_JSON, .offset = DRAFT_AT(prompt)},
    {.key = "logprobs", .kind = DRAFT_WHOLE, .offset = DRAFT_AT(n_top), .min = 0, .max = HW_N_ALTERNATIVES},
    {.key = "echo", .kind = DRAFT_REFUSED, .text = "the prompt is not repeated: must be false"},
    {.key = "best_of", .kind = DRAFT_REFUSED, .min = 1, .text = "one model gives one answer at a time: must be 1"},
    {.key = "suffix", .kind = DRAFT_REFUSED, .text = "text is not inserted, but continued"},
};

static bool compose(composed *c, draft *d, hw_error *err) {
    bool in_list = json_array_size(d->prompt) == 1; /* a list of one text */
    const json_t *prompt = in_list ? json_array_get(d->prompt, 0) : d->prompt;
    content text = {.ranges = c->ranges, .documents = c->documents};
    if (!json_is_string(prompt))
        return error_set(err, HW_ERR_ARGUMENT, "\"prompt\" must be one text: several, and tokens, are not read");
    if (!content_add_documents(&text, d->documents, err)) {
        buffer_free(&text.text);
        return false;
    }
    content_add_text(&text, json_string_value(prompt), json_string_length(prompt));
    d->prompt = content_take(&text);
    return d->prompt || error_set(err, HW_ERR_MEMORY, "no memory for the prompt");
}

static bool read(chat_call *call, const json_t *json, hw_error *err) {
    draft d = {.n_top = -1};
    composed c;
    if (!draft_read(&d, "the request", fields, DRAFT_COUNT(fields), json, err) || !openai_stream_options(&d, err) ||
        !composed_new(&c, err))
        return false;
    if (!compose(&c, &d, err)) {
        composed_free(&c);
        return false;
    }
    bool ok = composed_finish(call, &c, &d, err);
    json_decref((json_t *)d.prompt);
    return ok;
}

/* ------------------------------------------------------------------ answers */

/* {text: logprob} of the alternatives; the first of two with the same text. */
static json_t *alternatives_of(const json_t *token) {
    const json_t *top = json_object_get(token, "top");
    json_t *out = json_object();
    for (size_t i = json_array_size(top); i > 0; i--) {
        const json_t *one = json_array_get(top, i - 1);
        out = hw__json_set(out, json_string_value(json_object_get(one, "text")), member(one, "logprob"));
    }
    return out;
}

static json_t *logprobs_of(const json_t *list, size_t at) {
    json_t *texts = json_array(), *values = json_array(), *top = json_array(), *offsets = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *token = json_array_get(list, i), *text = json_object_get(token, "text");
        texts = hw__json_append(texts, member(token, "text"));
        values = hw__json_append(values, member(token, "logprob"));
        top = hw__json_append(top, alternatives_of(token));
        offsets = hw__json_append(offsets, json_integer((json_int_t)at));
        at += hw__utf8_length(json_string_value(text), json_string_length(text));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", texts, "token_logprobs", values, "top_logprobs", top,
                     "text_offset", offsets);
}

/* `at`: characters of the answer before the first token. */
static json_t *choice_of(json_t *text, const json_t *tokens, size_t at, const char *finish) {
    return json_pack("{s:i, s:o, s:o, s:s?}", "index", 0, "text", text, "logprobs",
                     tokens ? logprobs_of(tokens, at) : json_null(), "finish_reason", finish);
}

static json_t *whole(const chat_call *call, const json_t *answer) {
    json_t *made = choice_of(member(answer, "text"), json_object_get(answer, "tokens"), 0, openai_finish(answer));
    made = hw__json_set(made, "annotations", openai_annotations(call, json_object_get(answer, "sentences")));
    json_t *out = openai_envelope(call, "text_completion", made), *numbers = member(answer, "attribution");
    out = hw__json_set(out, "usage", openai_usage(json_object_get(answer, "usage")));
    return numbers ? hw__json_set(out, "attribution", numbers) : out;
}

static void event(chat_call *call, buffer *out, const char *name, const json_t *data) {
    static const char object[] = "text_completion";
    const json_t *tokens = json_object_get(data, "tokens");
    json_t *made = NULL;
    if (strcmp(name, "prompt") == 0) made = choice_of(json_string(""), NULL, 0, NULL);
    if (strcmp(name, "text") == 0) made = choice_of(member(data, "text"), tokens, call->n_characters, NULL);
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *text = json_object_get(json_array_get(tokens, i), "text");
        call->n_characters += hw__utf8_length(json_string_value(text), json_string_length(text));
    }
    if (strcmp(name, "sentence") == 0 && json_array_size(json_object_get(data, "sources"))) {
        json_t *one = json_pack("[O]", data);
        made = hw__json_set(choice_of(json_string(""), NULL, 0, NULL), "annotations", openai_annotations(call, one));
        json_decref(one);
    }
    if (strcmp(name, "error") == 0) write_event(out, NULL, json_incref((json_t *)data));
    if (made) write_event(out, NULL, openai_envelope(call, object, made));
    if (strcmp(name, "done") == 0)
        openai_end(call, out, openai_envelope(call, object, choice_of(json_string(""), NULL, 0, openai_finish(data))),
                   object, data);
}

const dialect dialect_openai_text = {"openai text", "cmpl-", read, whole, event, openai_error};
