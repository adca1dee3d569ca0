/* text_buffer.c - text that grows by doubling. */
#include "export/text_buffer.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_CAPACITY = 256 };

/* Reserves `n` more bytes and a terminator. */
static bool reserve(buffer *b, size_t n) {
    if (b->failed) return false;
    if (n < b->capacity - b->n) return true; /* capacity - n counts the terminator */
    size_t capacity = b->capacity ? b->capacity : MIN_CAPACITY;
    while (capacity - b->n <= n && capacity <= SIZE_MAX / 2) capacity *= 2;
    char *resized = capacity - b->n > n ? realloc(b->bytes, capacity) : NULL;
    if (!resized) {
        b->failed = true;
        return false;
    }
    b->bytes = resized;
    b->capacity = capacity;
    return true;
}

void buffer_add(buffer *b, const void *bytes, size_t n) {
    if (!reserve(b, n)) return;
    if (n) memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
    b->bytes[b->n] = 0;
}

void buffer_text(buffer *b, const char *text) { buffer_add(b, text, strlen(text)); }

static int add_part(const char *bytes, size_t n, void *ctx) {
    buffer *b = ctx;
    buffer_add(b, bytes, n);
    return b->failed ? -1 : 0;
}

void buffer_json(buffer *b, json_t *json) {
    if (!json || json_dump_callback(json, add_part, b, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) != 0)
        b->failed = true;
    json_decref(json);
}

void buffer_splice(buffer *b, json_t *head, const char *key, const char *json, size_t n) {
    bool some = json_object_size(head) > 0;
    buffer_json(b, head);
    if (b->failed) return;
    b->n--; /* its closing brace */
    if (some && (key || n > 2)) buffer_text(b, ",");
    if (key) {
        buffer_json(b, json_string(key));
        buffer_text(b, ":");
        buffer_add(b, json, n);
        buffer_text(b, "}");
    } else {
        buffer_add(b, json + 1, n - 1);
    }
}

void buffer_list(buffer *b, const char *const *texts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        buffer_text(b, i ? "," : "[");
        buffer_text(b, texts[i]);
    }
    buffer_text(b, n ? "]" : "[]");
}

void buffer_free(buffer *b) {
    free(b->bytes);
    *b = (buffer){.n = 0};
}

char *json_text_add(char *object, const char *key, json_t *value) {
    buffer text = {.n = 0};
    buffer_splice(&text, json_pack("{s:o}", key, value), NULL, object, strlen(object));
    free(object);
    if (text.failed) buffer_free(&text);
    return text.bytes;
}
