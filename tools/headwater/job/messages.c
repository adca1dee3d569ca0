/* messages.c - see messages.h. */
#include "job/messages.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static bool refuse(hw_error *err, size_t i, const char *what) {
    hw__fail(err, HW_ERR_ARGUMENT, "messages: [%zu]: %s", i, what);
    return false;
}

static bool read_message(hw_message *m, const json_t *entry, size_t i, hw_error *err) {
    const json_t *role = json_object_get(entry, "role"), *content = json_object_get(entry, "content");
    if (!json_is_string(role) || json_string_length(role) == 0 ||
        strlen(json_string_value(role)) != json_string_length(role))
        return refuse(err, i, "\"role\" must be there, as \"system\", \"user\" or \"assistant\"");
    if (!json_is_string(content)) return refuse(err, i, "\"content\" must be there, and be text");
    *m = (hw_message){.role = json_string_value(role),
                      .content = json_string_value(content),
                      .content_bytes = json_string_length(content)};
    return true;
}

bool messages_from_json(conversation *c, const json_t *list, hw_error *err) {
    size_t n = json_array_size(list);
    if (n == 0) return refuse(err, 0, "a list with at least one {\"role\": ..., \"content\": ...} is needed");
    c->messages = calloc(n, sizeof *c->messages);
    if (!c->messages) return refuse(err, n - 1, "no memory for so many");
    for (c->n_messages = 0; c->n_messages < n; c->n_messages++)
        if (!read_message(&c->messages[c->n_messages], json_array_get(list, c->n_messages), c->n_messages, err))
            return false;
    return true;
}

void conversation_free(conversation *c) {
    free(c->messages);
    free(c->template_source.bytes);
    json_decref(c->json);
}
