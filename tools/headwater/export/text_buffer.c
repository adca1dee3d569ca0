/* text_buffer.c - text that grows by doubling. */
#include "export/text_buffer.h"

#include "base/json.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_ROOM = 256 };

/* Room for `n` more bytes and a terminator. */
static bool reserve(buffer *b, size_t n) {
    if (b->failed) return false;
    if (n < b->room - b->n) return true; /* room - n counts the terminator */
    size_t room = b->room ? b->room : LEAST_ROOM;
    while (room - b->n <= n && room <= SIZE_MAX / 2) room *= 2;
    char *grown = room - b->n > n ? realloc(b->bytes, room) : NULL;
    if (!grown) {
        b->failed = true;
        return false;
    }
    b->bytes = grown;
    b->room = room;
    return true;
}

void buffer_add(buffer *b, const void *bytes, size_t n) {
    if (!reserve(b, n)) return;
    if (n) memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
    b->bytes[b->n] = 0;
}

void buffer_text(buffer *b, const char *text) { buffer_add(b, text, strlen(text)); }

void buffer_printf(buffer *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    if (n >= 0 && reserve(b, (size_t)n)) b->n += (size_t)vsnprintf(b->bytes + b->n, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
}

static int add_part(const char *bytes, size_t n, void *ctx) {
    buffer *b = ctx;
    buffer_add(b, bytes, n);
    return b->failed ? -1 : 0;
}

void buffer_json(buffer *b, const json_t *json) {
    if (!json || json_dump_callback(json, add_part, b, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) != 0)
        b->failed = true;
}

void buffer_string(buffer *b, const char *bytes, size_t n) {
    json_t *string = hw__utf8_valid(bytes, n) ? json_stringn(bytes, n) : json_string("");
    buffer_json(b, string); /* NULL: no memory */
    json_decref(string);
}

void buffer_free(buffer *b) {
    free(b->bytes);
    *b = (buffer){.n = 0};
}
