/* conversation_draft.h - messages whose contents are texts or lists of typed parts, as the APIs of chats have them. */
#ifndef HW_SERVE_DIALECTS_CONVERSATION_DRAFT_H
#define HW_SERVE_DIALECTS_CONVERSATION_DRAFT_H

#include "serve/dialects/draft.h"

/* A role of the API and that of the chat template. */
typedef struct role_name {
    const char *name, *role;
} role_name;

typedef struct conversation_form {
    const role_name *roles; /* [n_roles] accepted */
    size_t n_roles;
    const draft_row *fields; /* [n_fields] of a message; "content" in draft.messages, the role in draft.extra */
    size_t n_fields;
    /* Adds a part that is no text; NULL: only texts are accepted. */
    bool (*part)(content *c, draft *d, const char *type, const json_t *part, hw_error *err);
    bool documents_first; /* draft.documents go in front of the last message of the role "user" */
} conversation_form;

/* Appends the draft's messages to `out`. */
bool conversation_compose(composed *out, draft *d, const conversation_form *form, hw_error *err);
/* Adds a text, or a list of parts. `where` for errors. */
bool content_add_parts(content *c, draft *d, const json_t *value, const conversation_form *form, const char *where,
                       hw_error *err);
/* Adds each document of a list. */
bool content_add_documents(content *c, const json_t *list, hw_error *err);

#endif
