/* conversation_draft.c - see conversation_draft.h. */
#include "serve/dialects/conversation_draft.h"

#include "base/strlist.h"

#include <stdio.h>
#include <string.h>

#define refuse(err, ...) error_set(err, HW_ERR_ARGUMENT, __VA_ARGS__)

bool content_add_documents(content *c, const json_t *list, hw_error *err) {
    if (!list) return true;
    if (!json_is_array(list)) return refuse(err, "\"documents\" must be a list");
    if (json_array_size(list) > MAX_PASSAGES)
        return refuse(err, "\"documents\" has %zu entries: at most %d are accepted", json_array_size(list),
                      MAX_PASSAGES);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!content_add_document(c, json_array_get(list, i), err)) return false;
    return true;
}

static bool add_part(content *c, draft *d, const json_t *part, const conversation_form *form, const char *where,
                     hw_error *err) {
    const char *type = json_string_value(json_object_get(part, "type"));
    const json_t *text = json_object_get(part, "text");
    if (!type) return refuse(err, "%s: each part must be an object with a \"type\"", where);
    if (strcmp(type, "text") == 0 && json_is_string(text)) {
        content_add_text(c, json_string_value(text), json_string_length(text));
        return true;
    }
    if (strcmp(type, "text") == 0) return refuse(err, "%s: \"text\" of a part must be a string", where);
    if (form->part) return form->part(c, d, type, part, err);
    return refuse(err, "%s: a part of type \"%.40s\" cannot be read: this model reads text only", where, type);
}

bool content_add_parts(content *c, draft *d, const json_t *value, const conversation_form *form, const char *where,
                       hw_error *err) {
    if (json_is_string(value)) {
        content_add_text(c, json_string_value(value), json_string_length(value));
        return true;
    }
    if (!json_is_array(value)) return refuse(err, "%s must be a text or a list of parts", where);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!add_part(c, d, json_array_get(value, i), form, where, err)) return false;
    return true;
}

static const char *name_of_role(size_t i, const void *ctx) { return ((const role_name *)ctx)[i].name; }

/* The role for the chat template; NULL with *err set. */
static const char *role_of(const json_t *given, const conversation_form *form, size_t index, hw_error *err) {
    char list[120];
    const char *name = json_string_value(given);
    for (size_t i = 0; name && i < form->n_roles; i++)
        if (strcmp(name, form->roles[i].name) == 0) return form->roles[i].role;
    refuse(err, "messages[%zu]: \"role\" must be one of %s", index,
           hw__join_names(list, sizeof list, (hw__names){name_of_role, form->roles, form->n_roles}));
    return NULL;
}

/* The last message of the user; SIZE_MAX: none. */
static size_t last_user(const json_t *messages) {
    for (size_t i = json_array_size(messages); i > 0; i--) {
        const char *role = json_string_value(json_object_get(json_array_get(messages, i - 1), "role"));
        if (role && strcmp(role, "user") == 0) return i - 1;
    }
    return SIZE_MAX;
}

static bool compose_message(composed *out, draft *d, const conversation_form *form, size_t i, hw_error *err) {
    char where[48], place[48];
    draft message = {.n_top = -1};
    snprintf(where, sizeof where, "messages[%zu]", i);
    snprintf(place, sizeof place, "messages[%zu]: \"content\"", i);
    if (!draft_read(&message, where, form->fields, form->n_fields, json_array_get(d->messages, i), err)) return false;
    const char *role = role_of(message.extra, form, i, err);
    if (!role) return false;
    content c = {.ranges = out->ranges, .documents = out->documents, .message = json_array_size(out->messages)};
    bool first = form->documents_first && i == last_user(d->messages);
    bool ok = (!first || content_add_documents(&c, d->documents, err)) &&
              content_add_parts(&c, d, message.messages, form, place, err);
    json_t *text = content_take(&c);
    if (ok) return composed_add(out, role, text, err);
    json_decref(text);
    return false;
}

bool conversation_compose(composed *out, draft *d, const conversation_form *form, hw_error *err) {
    if (!json_is_array(d->messages) || json_array_size(d->messages) == 0)
        return refuse(err, "\"messages\" must be a list of at least one message");
    if (form->documents_first && d->documents && last_user(d->messages) == SIZE_MAX)
        return refuse(err, "\"documents\" go with a message of the role \"user\", and there is none");
    for (size_t i = 0; i < json_array_size(d->messages); i++)
        if (!compose_message(out, d, form, i, err)) return false;
    return true;
}
