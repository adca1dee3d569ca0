/* text_buffer.h - text that grows. A failed allocation is remembered, so that only the end asks whether all is there. */
#ifndef HW_EXPORT_TEXT_BUFFER_H
#define HW_EXPORT_TEXT_BUFFER_H

#include "headwater.h"

#include <jansson.h>

typedef struct buffer {
    char *bytes; /* [n] malloc'd, a terminator behind; NULL while empty */
    size_t n, room;
    bool failed; /* something is missing: there was no memory */
} buffer;

void buffer_add(buffer *b, const void *bytes, size_t n);
void buffer_text(buffer *b, const char *text);
void buffer_printf(buffer *b, const char *fmt, ...) HW_PRINTF(2, 3);
/* A tree as compact JSON; floats in nine digits, as in Headwater's files. */
void buffer_json(buffer *b, const json_t *json);
/* bytes [n] as a JSON string with its quotes; "" where they are not UTF-8. */
void buffer_string(buffer *b, const char *bytes, size_t n);
void buffer_free(buffer *b); /* and empties it */

#endif
