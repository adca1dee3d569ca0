/*
 * anthropic.c - Anthropic's /v1/messages: documents are parts of messages, each with citations or without; an answer
 * is a list of blocks of text, here one for each sentence when documents are cited.
 */
#include "serve/dialects/conversation_draft.h"
#include "serve/dialects/events.h"

#include "base/json.h"
#include "base/utf8.h"

#include <string.h>

#define refuse(err, ...) error_set(err, HW_ERR_ARGUMENT, __VA_ARGS__)

static const char tools_text[] = "this server calls no tools";

static const draft_row fields[] = {
    {.key = "model", .kind = DRAFT_IGNORED}, /* checked before */
    {.key = "messages", .kind = DRAFT_JSON, .offset = DRAFT_AT(messages)},
    {.key = "system", .kind = DRAFT_JSON, .offset = DRAFT_AT(system)},
    {.key = "max_tokens", .kind = DRAFT_WHOLE, .offset = DRAFT_AT(max_tokens), .min = 1, .max = 1000000},
    {.key = "stop_sequences", .kind = DRAFT_JSON, .offset = DRAFT_AT(stop)},
    {.key = "stream", .kind = DRAFT_FLAG, .offset = DRAFT_AT(stream)},
    {.key = "temperature", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(temperature)},
    {.key = "top_p", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(top_p)},
    {.key = "top_k", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(top_k)},
    {.key = "seed", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(seed)},
    {.key = "attribution", .kind = DRAFT_FLAG, .offset = DRAFT_AT(numbers)},
    {.key = "metadata", .kind = DRAFT_IGNORED},
    {.key = "service_tier", .kind = DRAFT_IGNORED},
    {.key = "n", .kind = DRAFT_REFUSED, .min = 1, .text = "one model gives one answer at a time: must be 1"},
    {.key = "tools", .kind = DRAFT_REFUSED, .text = tools_text},
    {.key = "tool_choice", .kind = DRAFT_REFUSED, .word = "none", .text = tools_text},
    {.key = "thinking", .kind = DRAFT_REFUSED, .word = "disabled", .text = "answers have no part for reasoning"},
    {.key = "container", .kind = DRAFT_REFUSED, .text = "this server runs no code"},
    {.key = "mcp_servers", .kind = DRAFT_REFUSED, .text = tools_text},
};
static const draft_row message_fields[] = {
    {.key = "role", .kind = DRAFT_JSON, .offset = DRAFT_AT(extra)},
    {.key = "content", .kind = DRAFT_JSON, .offset = DRAFT_AT(messages)},
};
static const role_name roles[] = {{"user", "user"}, {"assistant", "assistant"}};

/* ------------------------------------------------------------------ documents */

/* The source's text; NULL with *err set. */
static const json_t *text_of(const json_t *source, hw_error *err) {
    const char *type = json_string_value(json_object_get(source, "type"));
    const json_t *data = json_object_get(source, "data");
    if (type && strcmp(type, "text") == 0 && json_is_string(data)) return data;
    refuse(err,
           "a document's \"source\" must be {\"type\": \"text\", \"media_type\": \"text/plain\", \"data\": TEXT}: PDF "
           "files, addresses and lists of blocks are not read");
    return NULL;
}

/* draft.logprobs says whether there was a document without citations: they go with all or with none. */
static bool add_document(content *c, draft *d, const char *type, const json_t *part, hw_error *err) {
    if (strcmp(type, "document") != 0)
        return refuse(err, "a part of type \"%.40s\" cannot be read: this model reads texts and documents", type);
    const json_t *text = text_of(json_object_get(part, "source"), err), *title = json_object_get(part, "title"),
                 *context = json_object_get(part, "context");
    bool cited = json_is_true(json_object_get(json_object_get(part, "citations"), "enabled"));
    if (!text) return false;
    if (json_array_size(c->documents) && cited != d->citations)
        return refuse(err, "citations must be enabled for all documents or for none");
    d->citations = cited;
    if (json_is_string(context)) content_add_text(c, json_string_value(context), json_string_length(context));
    json_t *one = json_pack("{s:O, s:O?}", "text", text, "title", title);
    bool ok = one ? content_add_document(c, one, err) : error_set(err, HW_ERR_MEMORY, "no memory for a document");
    json_decref(one);
    return ok;
}

static const conversation_form form = {.roles = roles,
                                       .n_roles = DRAFT_COUNT(roles),
                                       .fields = message_fields,
                                       .n_fields = DRAFT_COUNT(message_fields),
                                       .part = add_document};
static const conversation_form system_form = {.n_roles = 0};

static bool add_system(composed *out, draft *d, hw_error *err) {
    content c = {.ranges = out->ranges, .documents = out->documents};
    if (!d->system) return true;
    bool ok = content_add_parts(&c, d, d->system, &system_form, "\"system\"", err);
    json_t *text = content_take(&c);
    if (ok) return composed_add(out, "system", text, err);
    json_decref(text);
    return false;
}

static bool check_messages(const draft *d, hw_error *err) {
    size_t n = json_array_size(d->messages);
    const char *last = n ? json_string_value(json_object_get(json_array_get(d->messages, n - 1), "role")) : NULL;
    if (d->max_tokens == 0) return refuse(err, "\"max_tokens\" is missing");
    return !last || strcmp(last, "assistant") != 0 ||
           refuse(err, "the last message must be the user's: an answer that was begun is not continued");
}

static bool read(chat_call *call, const json_t *json, hw_error *err) {
    draft d = {.n_top = -1};
    composed c;
    if (!draft_read(&d, "the request", fields, DRAFT_COUNT(fields), json, err) || !check_messages(&d, err) ||
        !composed_new(&c, err))
        return false;
    if (add_system(&c, &d, err) && conversation_compose(&c, &d, &form, err)) return composed_finish(call, &c, &d, err);
    composed_free(&c);
    return false;
}

/* ------------------------------------------------------------------ citations */

static json_t *citation(const chat_call *call, const json_t *source) {
    json_int_t document = whole_at(source, "document");
    return json_pack("{s:s, s:o, s:I, s:o, s:I, s:I, s:n}", "type", "char_location", "cited_text",
                     member(source, "text"), "document_index", document, "document_title",
                     document_member(call, document, "title"), "start_char_index", whole_at(source, "start"),
                     "end_char_index", whole_at(source, "end"), "file_id");
}

/* null for a sentence without sources. */
static json_t *citations_of(const chat_call *call, const json_t *sentence) {
    const json_t *sources = json_object_get(sentence, "sources");
    if (json_array_size(sources) == 0) return json_null();
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(sources); i++)
        list = hw__json_append(list, citation(call, json_array_get(sources, i)));
    return list;
}

/* ------------------------------------------------------------------ whole answers */

/* Byte of `text` [n] at which character `index` begins, searched from byte `at`, which begins character *seen. */
static size_t byte_of(const char *text, size_t n, size_t at, size_t *seen, size_t index) {
    for (; at < n && *seen < index; (*seen)++) do
            at++;
        while (at < n && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

/* One block for each sentence, with the white space behind it; one block if there are no sentences. */
static json_t *blocks_of(const chat_call *call, const json_t *answer) {
    const json_t *text = json_object_get(answer, "text"), *sentences = json_object_get(answer, "sentences");
    const char *bytes = json_string_value(text);
    size_t n = json_string_length(text), n_sentences = json_array_size(sentences), at = 0, seen = 0;
    json_t *list = json_array();
    for (size_t i = 0; i < n_sentences || (i == 0 && n > 0); i++) {
        const json_t *next = json_array_get(sentences, i + 1);
        size_t end = next ? byte_of(bytes, n, at, &seen, (size_t)whole_at(next, "start")) : n;
        json_t *block = json_pack("{s:s, s:s%, s:o}", "type", "text", "text", bytes + at, end - at, "citations",
                                  citations_of(call, json_array_get(sentences, i)));
        list = hw__json_append(list, block);
        at = end;
    }
    return list;
}

static const char *stop_reason(const json_t *answer) {
    static const name_pair names[] = {{"end", "end_turn"}, {"stop_text", "stop_sequence"}, {"length", "max_tokens"}};
    return finish_name(answer, names);
}

/* Tokens that were not read again count apart, as with a prompt cache. */
static json_t *usage_of(json_int_t prompt, json_int_t reused, json_int_t completion) {
    return json_pack("{s:I, s:I, s:I, s:I}", "input_tokens", prompt - reused, "output_tokens", completion,
                     "cache_read_input_tokens", reused, "cache_creation_input_tokens", (json_int_t)0);
}

static json_t *message(const chat_call *call, json_t *blocks, json_t *usage) {
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:n, s:n, s:o}", "id", call->id, "type", "message", "role", "assistant",
                     "model", call->model_id, "content", blocks, "stop_reason", "stop_sequence", "usage", usage);
}

static json_t *whole(const chat_call *call, const json_t *answer) {
    const json_t *usage = json_object_get(answer, "usage");
    json_t *numbers = member(answer, "attribution");
    json_t *out = message(call, blocks_of(call, answer),
                          usage_of(whole_at(usage, "prompt_tokens"), whole_at(usage, "reused_tokens"),
                                   whole_at(usage, "completion_tokens")));
    out = hw__json_set(out, "stop_reason", json_string(stop_reason(answer)));
    out = hw__json_set(out, "stop_sequence", member(answer, "stop_text"));
    return numbers ? hw__json_set(out, "attribution", numbers) : out;
}

/* ------------------------------------------------------------------ streams */

static void begin(chat_call *call, buffer *out, const json_t *data) {
    json_t *usage = usage_of(whole_at(data, "prompt_tokens"), whole_at(data, "reused_tokens"), 0);
    json_t *start = json_pack("{s:s, s:o}", "type", "message_start", "message", message(call, json_array(), usage));
    write_event(out, "message_start", start);
}

static void write_delta(const chat_call *call, buffer *out, json_t *delta) {
    write_event(out, "content_block_delta",
                json_pack("{s:s, s:I, s:o}", "type", "content_block_delta", "index", (json_int_t)call->n_blocks - 1,
                          "delta", delta));
}

static void write_text(chat_call *call, buffer *out, const json_t *data) {
    if (!call->open)
        write_event(out, "content_block_start",
                    json_pack("{s:s, s:I, s:{s:s, s:s, s:n}}", "type", "content_block_start", "index",
                              (json_int_t)call->n_blocks++, "content_block", "type", "text", "text", "", "citations"));
    call->open = true;
    write_delta(call, out, json_pack("{s:s, s:o}", "type", "text_delta", "text", member(data, "text")));
}

static void close_block(chat_call *call, buffer *out) {
    if (!call->open) return;
    call->open = false;
    write_event(out, "content_block_stop",
                json_pack("{s:s, s:I}", "type", "content_block_stop", "index", (json_int_t)call->n_blocks - 1));
}

static void write_citations(chat_call *call, buffer *out, const json_t *sentence) {
    const json_t *sources = json_object_get(sentence, "sources");
    for (size_t i = 0; i < json_array_size(sources); i++)
        write_delta(
            call, out,
            json_pack("{s:s, s:o}", "type", "citations_delta", "citation", citation(call, json_array_get(sources, i))));
    close_block(call, out);
}

static void end(chat_call *call, buffer *out, const json_t *answer) {
    json_t *numbers = member(answer, "attribution");
    close_block(call, out);
    json_t *last = json_pack("{s:s, s:{s:s, s:O?}, s:{s:I}}", "type", "message_delta", "delta", "stop_reason",
                             stop_reason(answer), "stop_sequence", json_object_get(answer, "stop_text"), "usage",
                             "output_tokens", whole_at(json_object_get(answer, "usage"), "completion_tokens"));
    write_event(out, "message_delta", numbers ? hw__json_set(last, "attribution", numbers) : last);
    write_event(out, "message_stop", json_pack("{s:s}", "type", "message_stop"));
}

static void event(chat_call *call, buffer *out, const char *name, const json_t *data) {
    if (strcmp(name, "prompt") == 0) begin(call, out, data);
    if (strcmp(name, "text") == 0) write_text(call, out, data);
    if (strcmp(name, "sentence") == 0) write_citations(call, out, data);
    if (strcmp(name, "done") == 0) end(call, out, data);
    if (strcmp(name, "error") == 0) write_event(out, name, json_incref((json_t *)data));
}

static json_t *error(const hw_error *err) {
    static const error_type types[] = {
        {500, "api_error"},         {400, "invalid_request_error"}, {401, "authentication_error"},
        {403, "permission_error"},  {404, "not_found_error"},       {405, "invalid_request_error"},
        {413, "request_too_large"}, {415, "invalid_request_error"}, {422, "invalid_request_error"},
        {503, "overloaded_error"}};
    return json_pack("{s:s, s:{s:s, s:o}}", "type", "error", "error", "type",
                     error_type_of(err, types, DRAFT_COUNT(types)), "message", error_message(err));
}

const dialect dialect_anthropic = {"anthropic", "msg_", read, whole, event, error};
