/* events.h - what the writers of all APIs share: server-sent events, members of an answer, errors by status. */
#ifndef HW_SERVE_DIALECTS_EVENTS_H
#define HW_SERVE_DIALECTS_EVENTS_H

#include "serve/dialects/dialect.h"

/* Appends a server-sent event with this name (NULL: without); takes ownership of the tree. */
void write_event(buffer *out, const char *name, json_t *data);

json_int_t whole_at(const json_t *json, const char *key);
/* A member as a new reference; NULL if it is absent. */
json_t *member(const json_t *json, const char *key);
/* Member `key` of document `index`, a new reference: null if there is none. */
json_t *document_member(const chat_call *call, json_int_t index, const char *key);

/* An API's name for a value of Headwater. */
typedef struct name_pair {
    const char *ours, *theirs;
} name_pair;
/* The name of a finish reason: rows for "end", "stop_text" and "length". */
const char *finish_name(const json_t *answer, const name_pair names[3]);

/* An API's name for errors of an HTTP status. */
typedef struct error_type {
    unsigned http;
    const char *type;
} error_type;
/* The row of the error's status, else the first one. */
const char *error_type_of(const hw_error *err, const error_type *types, size_t n);
/* The error's message as JSON. */
json_t *error_message(const hw_error *err);

#endif
