/* cohere.c - Cohere's /v2/chat: documents beside the messages, citations beside the text. */
#include "serve/dialects/conversation_draft.h"
#include "serve/dialects/events.h"

#include "base/json.h"

#include <string.h>

static const char tools_text[] = "this server calls no tools";

static const draft_row fields[] = {
    {.key = "model", .kind = DRAFT_IGNORED}, /* checked before */
    {.key = "messages", .kind = DRAFT_JSON, .offset = DRAFT_AT(messages)},
    {.key = "documents", .kind = DRAFT_JSON, .offset = DRAFT_AT(documents)},
    {.key = "citation_options", .kind = DRAFT_JSON, .offset = DRAFT_AT(extra)},
    {.key = "attribution", .kind = DRAFT_FLAG, .offset = DRAFT_AT(numbers)},
    {.key = "stream", .kind = DRAFT_FLAG, .offset = DRAFT_AT(stream)},
    {.key = "stop_sequences", .kind = DRAFT_JSON, .offset = DRAFT_AT(stop)},
    {.key = "max_tokens", .kind = DRAFT_WHOLE, .offset = DRAFT_AT(max_tokens), .min = 1, .max = 1000000},
    {.key = "seed", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(seed)},
    {.key = "temperature", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(temperature)},
    {.key = "p", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(top_p)},
    {.key = "k", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(top_k)},
    {.key = "n", .kind = DRAFT_REFUSED, .min = 1, .text = "one model gives one answer at a time: must be 1"},
    {.key = "logprobs", .kind = DRAFT_REFUSED, .text = "ask /v1/chat/completions for log probabilities"},
    {.key = "frequency_penalty", .kind = DRAFT_REFUSED, .text = "there are no penalties here: must be 0"},
    {.key = "presence_penalty", .kind = DRAFT_REFUSED, .text = "there are no penalties here: must be 0"},
    {.key = "tools", .kind = DRAFT_REFUSED, .text = tools_text},
    {.key = "tool_choice", .kind = DRAFT_REFUSED, .word = "NONE", .text = tools_text},
    {.key = "strict_tools", .kind = DRAFT_IGNORED},
    {.key = "response_format", .kind = DRAFT_REFUSED, .word = "text", .text = "answers have no fixed form: \"text\""},
    {.key = "safety_mode", .kind = DRAFT_REFUSED, .word = "OFF", .text = "nothing is added to the messages: \"OFF\""},
    {.key = "thinking", .kind = DRAFT_REFUSED, .word = "disabled", .text = "answers have no part for reasoning"},
    {.key = "priority", .kind = DRAFT_IGNORED},
};
static const draft_row message_fields[] = {
    {.key = "role", .kind = DRAFT_JSON, .offset = DRAFT_AT(extra)},
    {.key = "content", .kind = DRAFT_JSON, .offset = DRAFT_AT(messages)},
    {.key = "citations", .kind = DRAFT_IGNORED},
    {.key = "tool_plan", .kind = DRAFT_REFUSED, .text = tools_text},
    {.key = "tool_calls", .kind = DRAFT_REFUSED, .text = tools_text},
};
static const role_name roles[] = {{"system", "system"}, {"user", "user"}, {"assistant", "assistant"}};

static const conversation_form form = {.roles = roles,
                                       .n_roles = DRAFT_COUNT(roles),
                                       .fields = message_fields,
                                       .n_fields = DRAFT_COUNT(message_fields),
                                       .documents_first = true};

/* Documents are cited unless the mode says otherwise. */
static bool read_mode(draft *d, hw_error *err) {
    static const char *const modes[] = {"OFF",  "off",      "DISABLED", "disabled", "FAST",
                                        "fast", "ACCURATE", "accurate", "ENABLED",  "enabled"};
    enum { N_OFF = 4 };
    const json_t *mode = json_object_get(d->extra, "mode");
    d->citations = json_array_size(d->documents) > 0;
    if (!mode || json_is_null(mode)) return true;
    for (size_t i = 0; json_is_string(mode) && i < DRAFT_COUNT(modes); i++) {
        if (strcmp(json_string_value(mode), modes[i]) != 0) continue;
        d->citations = d->citations && i >= N_OFF;
        return true;
    }
    return error_set(err, HW_ERR_ARGUMENT, "\"citation_options\": \"mode\" must be OFF, FAST or ACCURATE");
}

static bool read(chat_call *call, const json_t *json, hw_error *err) {
    draft d = {.n_top = -1};
    composed c;
    if (!draft_read(&d, "the request", fields, DRAFT_COUNT(fields), json, err) || !read_mode(&d, err) ||
        !composed_new(&c, err))
        return false;
    if (conversation_compose(&c, &d, &form, err)) return composed_finish(call, &c, &d, err);
    composed_free(&c);
    return false;
}

/* ------------------------------------------------------------------ citations */

/* A document as the request had it, with its id; each document once. */
static json_t *sources_of(const chat_call *call, const json_t *list) {
    json_t *out = json_array(), *seen = json_object();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t document = whole_at(json_array_get(list, i), "document");
        json_t *id = document_member(call, document, "id"), *data = document_member(call, document, "data");
        bool again = json_object_get(seen, json_string_value(id)) != NULL;
        if (!again) {
            json_t *shown = json_is_object(data) ? json_deep_copy(data)
                                                 : json_pack("{s:o}", "text", document_member(call, document, "text"));
            shown = hw__json_set(shown, "id", json_incref(id));
            seen = hw__json_set(seen, json_string_value(id), json_true());
            out = hw__json_append(out, json_pack("{s:s, s:O, s:o}", "type", "document", "id", id, "document", shown));
        }
        json_decref(id);
        json_decref(data);
    }
    json_decref(seen);
    return out;
}

static json_t *citation(const chat_call *call, const json_t *sentence) {
    return json_pack("{s:I, s:I, s:o, s:o, s:s, s:i}", "start", whole_at(sentence, "start"), "end",
                     whole_at(sentence, "end"), "text", member(sentence, "text"), "sources",
                     sources_of(call, json_object_get(sentence, "sources")), "type", "TEXT_CONTENT", "content_index",
                     0);
}

static bool has_sources(const json_t *sentence) { return json_array_size(json_object_get(sentence, "sources")) > 0; }

/* ------------------------------------------------------------------ answers */

static const char *finish_reason(const json_t *answer) {
    static const name_pair names[] = {{"end", "COMPLETE"}, {"stop_text", "STOP_SEQUENCE"}, {"length", "MAX_TOKENS"}};
    return finish_name(answer, names);
}

static json_t *usage_of(const json_t *answer) {
    const json_t *usage = json_object_get(answer, "usage");
    json_int_t in = whole_at(usage, "prompt_tokens"), out = whole_at(usage, "completion_tokens");
    return json_pack("{s:{s:I, s:I}, s:{s:I, s:I}, s:I}", "billed_units", "input_tokens", in, "output_tokens", out,
                     "tokens", "input_tokens", in, "output_tokens", out, "cached_tokens",
                     whole_at(usage, "reused_tokens"));
}

static json_t *whole(const chat_call *call, const json_t *answer) {
    const json_t *sentences = json_object_get(answer, "sentences");
    json_t *citations = json_array(), *numbers = member(answer, "attribution");
    for (size_t i = 0; i < json_array_size(sentences); i++)
        if (has_sources(json_array_get(sentences, i)))
            citations = hw__json_append(citations, citation(call, json_array_get(sentences, i)));
    json_t *out = json_pack("{s:s, s:s, s:{s:s, s:[{s:s, s:o}], s:o}, s:o}", "id", call->id, "finish_reason",
                            finish_reason(answer), "message", "role", "assistant", "content", "type", "text", "text",
                            member(answer, "text"), "citations", citations, "usage", usage_of(answer));
    return numbers ? hw__json_set(out, "attribution", numbers) : out;
}

static void begin(const chat_call *call, buffer *out) {
    write_event(out, "message-start",
                json_pack("{s:s, s:s, s:{s:{s:s, s:[], s:s, s:[], s:[]}}}", "id", call->id, "type", "message-start",
                          "delta", "message", "role", "assistant", "content", "tool_plan", "", "tool_calls",
                          "citations"));
    write_event(out, "content-start",
                json_pack("{s:s, s:i, s:{s:{s:{s:s, s:s}}}}", "type", "content-start", "index", 0, "delta", "message",
                          "content", "type", "text", "text", ""));
}

static void write_citation(chat_call *call, buffer *out, const json_t *sentence) {
    json_int_t index = (json_int_t)call->n_citations++;
    write_event(out, "citation-start",
                json_pack("{s:s, s:I, s:{s:{s:o}}}", "type", "citation-start", "index", index, "delta", "message",
                          "citations", citation(call, sentence)));
    write_event(out, "citation-end", json_pack("{s:s, s:I}", "type", "citation-end", "index", index));
}

static void end(buffer *out, const json_t *answer) {
    json_t *numbers = member(answer, "attribution");
    write_event(out, "content-end", json_pack("{s:s, s:i}", "type", "content-end", "index", 0));
    json_t *last = json_pack("{s:s, s:{s:s, s:o}}", "type", "message-end", "delta", "finish_reason",
                             finish_reason(answer), "usage", usage_of(answer));
    write_event(out, "message-end", numbers ? hw__json_set(last, "attribution", numbers) : last);
}

static void event(chat_call *call, buffer *out, const char *name, const json_t *data) {
    if (strcmp(name, "prompt") == 0) begin(call, out);
    if (strcmp(name, "text") == 0)
        write_event(out, "content-delta",
                    json_pack("{s:s, s:i, s:{s:{s:{s:o}}}}", "type", "content-delta", "index", 0, "delta", "message",
                              "content", "text", member(data, "text")));
    if (strcmp(name, "sentence") == 0 && has_sources(data)) write_citation(call, out, data);
    if (strcmp(name, "done") == 0) end(out, data);
    if (strcmp(name, "error") == 0)
        write_event(out, "message-end",
                    json_pack("{s:s, s:{s:s, s:o}}", "type", "message-end", "delta", "finish_reason", "ERROR", "error",
                              member(data, "message")));
}

static json_t *error(const hw_error *err) { return json_pack("{s:o}", "message", error_message(err)); }

const dialect dialect_cohere = {"cohere", "", read, whole, event, error};
