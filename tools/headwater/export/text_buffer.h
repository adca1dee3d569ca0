/* text_buffer.h - a growing text. A failed allocation is remembered, so callers check only at the end. */
#ifndef HW_EXPORT_TEXT_BUFFER_H
#define HW_EXPORT_TEXT_BUFFER_H

#include "headwater.h"

#include <jansson.h>

typedef struct buffer {
    char *bytes; /* [n] malloc'd with a terminator appended; NULL while empty */
    size_t n, capacity;
    bool failed; /* something is missing because memory ran out */
} buffer;

void buffer_add(buffer *b, const void *bytes, size_t n);
void buffer_text(buffer *b, const char *text);
/* A tree as compact JSON, taken over; NULL: there was no memory for it. Floats in nine digits, as in Headwater's
 * files. */
void buffer_json(buffer *b, json_t *json);
/* The object `head`, taken over, with JSON text [n] that is there already: as its last member `key`, or, where `key` is
 * NULL, with the members of the object that the text holds. */
void buffer_splice(buffer *b, json_t *head, const char *key, const char *json, size_t n);
/* JSON texts [n] as one list. */
void buffer_list(buffer *b, const char *const *texts, size_t n);
void buffer_free(buffer *b); /* also empties it */

/* JSON text of an object [malloc'd, taken over] with the member `key` added; takes ownership of `value`. NULL when
 * memory runs out. */
char *json_text_add(char *object, const char *key, json_t *value);

#endif
