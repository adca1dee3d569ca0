/* messages.c - see messages.h. */
#include "job/messages.h"

#include "base/error.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static bool refuse(hw_error *err, size_t i, const char *what) {
    hw__fail(err, HW_ERR_ARGUMENT, "messages: [%zu]: %s", i, what);
    return false;
}

/* Bytes of the joined texts of the parts, with a line break between two; SIZE_MAX if a part is not text. Writes them to
 * `out` unless it is NULL. */
static size_t join_parts(char *out, const json_t *parts) {
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i), *text = json_object_get(part, "text");
        const char *type = json_string_value(json_object_get(part, "type"));
        if (!type || strcmp(type, "text") != 0 || !json_is_string(text)) return SIZE_MAX;
        if (n > 0 && out) out[n] = '\n';
        n += n > 0;
        if (out) memcpy(out + n, json_string_value(text), json_string_length(text));
        n += json_string_length(text);
    }
    return n;
}

/* Replaces a content that is a list of parts, as OpenAI's clients send it, by one text. */
static bool replace_parts(json_t *entry, const json_t *parts, size_t i, hw_error *err) {
    size_t n = join_parts(NULL, parts);
    if (n == SIZE_MAX)
        return refuse(
            err, i,
            "each part of \"content\" must be {\"type\": \"text\", \"text\": ...}: images and the like are not read");
    char *text = malloc(n + 1);
    json_t *token_text = NULL;
    if (text) {
        join_parts(text, parts);
        token_text = json_stringn(text, n);
        free(text);
    }
    if (!token_text || json_object_set_new(entry, "content", token_text) != 0) {
        hw__fail_memory(err, "a message", n, 1);
        return false;
    }
    return true;
}

static bool read_message(hw_message *m, json_t *entry, size_t i, hw_error *err) {
    const json_t *role = json_object_get(entry, "role"), *content = json_object_get(entry, "content");
    if (!json_is_string(role) || json_string_length(role) == 0 ||
        strlen(json_string_value(role)) != json_string_length(role))
        return refuse(err, i, "\"role\" must be there, as \"system\", \"user\" or \"assistant\"");
    if (json_is_array(content) && !replace_parts(entry, content, i, err)) return false;
    content = json_object_get(entry, "content");
    if (!json_is_string(content))
        return refuse(err, i, "\"content\" must be there, and be text or a list of text parts");
    *m = (hw_message){.role = json_string_value(role),
                      .content = json_string_value(content),
                      .content_bytes = json_string_length(content)};
    return true;
}

bool messages_from_json(conversation *c, const json_t *list, hw_error *err) {
    size_t n = json_array_size(list);
    if (n == 0) return refuse(err, 0, "a list with at least one {\"role\": ..., \"content\": ...} is needed");
    c->messages = calloc(n, sizeof *c->messages);
    if (!c->messages) {
        hw__fail_memory(err, "messages", n, sizeof *c->messages);
        return false;
    }
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
