/* answer_text.c - see answer_text.h. */
#include "serve/engine/answer_text.h"

#include "cli/safe_text.h"

#include <string.h>

/* First occurrence of part [n > 0] in text [n_text] from byte `from`; n_text if there is none. */
static size_t find(const char *text, size_t n_text, size_t from, const char *part, size_t n) {
    for (size_t at = from; at + n <= n_text; at++)
        if (memcmp(text + at, part, n) == 0) return at;
    return n_text;
}

/* Looks for stop texts that end in the last `n_new` bytes; the first in the text ends the answer, and of those that
 * begin at the same byte the shortest, which is whole first. */
static void look_for_stops(answer_text *t, size_t n_new) {
    size_t n_found = 0;
    for (size_t i = 0; i < json_array_size(t->stop); i++) {
        const json_t *stop = json_array_get(t->stop, i);
        size_t n = json_string_length(stop), before = t->bytes.n - n_new;
        size_t at = find(t->bytes.bytes, t->bytes.n, before >= n ? before - n + 1 : 0, json_string_value(stop), n);
        if (at >= t->bytes.n || at > t->end || (at == t->end && n >= n_found)) continue;
        t->end = at;
        n_found = n;
        t->stopped = json_string_value(stop);
    }
}

void answer_text_add(answer_text *t, const char *bytes, size_t n) {
    buffer_add(&t->bytes, bytes, n);
    if (!t->bytes.failed && t->end == SIZE_MAX && n > 0) look_for_stops(t, n);
}

/* Bytes at the end of text [n] that may be the beginning of a stop text. */
static size_t possible_stop(const answer_text *t, size_t n) {
    size_t longest = 0;
    for (size_t i = 0; i < json_array_size(t->stop); i++) {
        const json_t *stop = json_array_get(t->stop, i);
        size_t max = json_string_length(stop) - 1;
        for (size_t k = max < n ? max : n; k > longest; k--)
            if (memcmp(t->bytes.bytes + n - k, json_string_value(stop), k) == 0) longest = k;
    }
    return longest;
}

size_t answer_text_end(const answer_text *t) { return t->end < t->bytes.n ? t->end : t->bytes.n; }

size_t answer_text_ready(const answer_text *t, bool whole) {
    size_t n = answer_text_end(t);
    if (whole || t->stopped || n == 0) return n;
    n -= possible_stop(t, n);
    n = text_whole(t->bytes.bytes, n);
    return n > t->n_sent ? n : t->n_sent;
}

void answer_text_free(answer_text *t) { buffer_free(&t->bytes); }
