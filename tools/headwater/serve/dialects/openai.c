/* openai.c - see openai.h. */
#include "serve/dialects/openai.h"

#include "base/json.h"

#include <string.h>

bool openai_stream_options(draft *d, hw_error *err) {
    static const draft_row rows[] = {{.key = "include_usage", .kind = DRAFT_FLAG, .offset = DRAFT_AT(usage)},
                                     {.key = "include_obfuscation", .kind = DRAFT_IGNORED}};
    return !d->extra || draft_read(d, "\"stream_options\"", rows, DRAFT_COUNT(rows), d->extra, err);
}

json_t *openai_usage(const json_t *usage) {
    json_int_t prompt = whole_at(usage, "prompt_tokens"), completion = whole_at(usage, "completion_tokens");
    return json_pack("{s:I, s:I, s:I, s:{s:I}}", "prompt_tokens", prompt, "completion_tokens", completion,
                     "total_tokens", prompt + completion, "prompt_tokens_details", "cached_tokens",
                     whole_at(usage, "reused_tokens"));
}

/* A source of a sentence. An annotation names its source by an address: that of the document, or else its id. */
static json_t *annotation(const chat_call *call, const json_t *sentence, const json_t *source) {
    json_int_t document = whole_at(source, "document");
    json_t *id = document_member(call, document, "id"), *url = document_member(call, document, "url"),
           *title = document_member(call, document, "title");
    json_t *cited = json_pack("{s:I, s:I, s:O, s:O}", "start_index", whole_at(sentence, "start"), "end_index",
                              whole_at(sentence, "end"), "url", json_is_string(url) ? url : id, "title",
                              json_is_string(title) ? title : id);
    json_t *from = json_pack("{s:I, s:o, s:I, s:I, s:o, s:o, s:o}", "index", document, "id", id, "start",
                             whole_at(source, "start"), "end", whole_at(source, "end"), "text", member(source, "text"),
                             "share", member(source, "share"), "peak", member(source, "peak"));
    json_decref(url);
    json_decref(title);
    return json_pack("{s:s, s:o, s:o}", "type", "url_citation", "url_citation", cited, "source", from);
}

json_t *openai_annotations(const chat_call *call, const json_t *sentences) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(sentences); i++) {
        const json_t *sentence = json_array_get(sentences, i), *sources = json_object_get(sentence, "sources");
        for (size_t k = 0; k < json_array_size(sources); k++)
            list = hw__json_append(list, annotation(call, sentence, json_array_get(sources, k)));
    }
    return list;
}

json_t *openai_envelope(const chat_call *call, const char *object, json_t *made) {
    return json_pack("{s:s, s:s, s:I, s:s, s:[o]}", "id", call->id, "object", object, "created",
                     (json_int_t)call->created, "model", call->model_id, "choices", made);
}

const char *openai_finish(const json_t *answer) {
    static const name_pair names[] = {{"end", "stop"}, {"stop_text", "stop"}, {"length", "length"}};
    return finish_name(answer, names);
}

json_t *openai_error(const hw_error *err) {
    static const error_type types[] = {{500, "server_error"},          {400, "invalid_request_error"},
                                       {401, "authentication_error"},  {403, "permission_error"},
                                       {404, "not_found_error"},       {405, "invalid_request_error"},
                                       {413, "invalid_request_error"}, {415, "invalid_request_error"},
                                       {422, "invalid_request_error"}, {503, "service_unavailable_error"}};
    return json_pack("{s:{s:o, s:s, s:n, s:s}}", "error", "message", error_message(err), "type",
                     error_type_of(err, types, DRAFT_COUNT(types)), "param", "code", error_kind_of(err->code)->name);
}

void openai_end(const chat_call *call, buffer *out, json_t *chunk, const char *object, const json_t *answer) {
    json_t *numbers = member(answer, "attribution");
    write_event(out, NULL, numbers ? hw__json_set(chunk, "attribution", numbers) : chunk);
    if (call->usage) {
        json_t *last = openai_envelope(call, object, json_null());
        last = hw__json_set(last, "choices", json_array());
        write_event(out, NULL, hw__json_set(last, "usage", openai_usage(json_object_get(answer, "usage"))));
    }
    buffer_text(out, "data: [DONE]\n\n");
}
