/* events.c - see events.h. */
#include "serve/dialects/events.h"

#include "base/json.h"

#include <string.h>

void write_event(buffer *out, const char *name, json_t *data) {
    if (name) {
        buffer_text(out, "event: ");
        buffer_text(out, name);
        buffer_text(out, "\n");
    }
    buffer_text(out, "data: ");
    buffer_json(out, data);
    buffer_text(out, "\n\n");
}

json_int_t whole_at(const json_t *json, const char *key) { return json_integer_value(json_object_get(json, key)); }

json_t *member(const json_t *json, const char *key) { return json_incref(json_object_get(json, key)); }

json_t *document_member(const chat_call *call, json_int_t index, const char *key) {
    json_t *value = index >= 0 ? member(json_array_get(call->documents, (size_t)index), key) : NULL;
    return value ? value : json_null();
}

const char *finish_name(const json_t *answer, const name_pair names[3]) {
    const char *ours = json_string_value(json_object_get(answer, "finish"));
    for (size_t i = 0; ours && i < 3; i++)
        if (strcmp(ours, names[i].ours) == 0) return names[i].theirs;
    return names[0].theirs;
}

const char *error_type_of(const hw_error *err, const error_type *types, size_t n) {
    unsigned http = error_kind_of(err->code)->http;
    for (size_t i = 0; i < n; i++)
        if (types[i].http == http) return types[i].type;
    return types[0].type;
}

json_t *error_message(const hw_error *err) { return hw__json_replaced(err->msg, strlen(err->msg)); }
