/*
 * token_spans.c - reads the text as a stream of bytes with positions: unchanged or with invalid bytes as U+FFFD, each
 * with or without a space put before it. If none of the four matches, searches token by token.
 */
#include "capture/token_spans.h"

#include <unicode/utf8.h>

#include <string.h>

/* Maximum distance of the search for a token, in bytes. */
enum { SEARCH_BYTES = 64 };

/* A text read byte by byte. With `replace`, an invalid byte is read as EF BF BD. */
typedef struct cursor {
    const unsigned char *text;
    size_t n, at; /* `at`: next byte of the text */
    int in_bad;   /* bytes of a replacement already read */
    bool replace;
} cursor;

static bool is_bad(const unsigned char *text, size_t n, size_t at) {
    if (text[at] < 0x80) return false;
    int32_t i = 0, left = n - at < 4 ? (int32_t)(n - at) : 4;
    UChar32 c;
    U8_NEXT(text + at, i, left, c);
    if (c >= 0) return false;
    return true;
}

/* The next byte, or -1 at the end. */
static int next_byte(cursor *c, size_t skip_check_until) {
    static const unsigned char replacement[3] = {0xEF, 0xBF, 0xBD};
    if (c->at >= c->n) return -1;
    if (c->replace && c->at >= skip_check_until && is_bad(c->text, c->n, c->at)) {
        int byte = replacement[c->in_bad++];
        if (c->in_bad == 3) {
            c->in_bad = 0;
            c->at++;
        }
        return byte;
    }
    return c->text[c->at++];
}

/* First byte after the character that begins at `at`, so that its continuation bytes are not treated as invalid. */
static size_t char_end(const cursor *c) {
    int32_t i = 0, left = c->n - c->at < 4 ? (int32_t)(c->n - c->at) : 4;
    UChar32 ch;
    U8_NEXT(c->text + c->at, i, left, ch);
    return ch >= 0 ? c->at + (size_t)i : c->at;
}

/* `lead`: the tokenizer has put a space before the text. */
static bool align_stream(hw_token *tokens, size_t n, const char *text, size_t n_text, bool replace, bool lead) {
    if (lead && (n == 0 || tokens[0].n_bytes == 0 || tokens[0].bytes[0] != ' ')) return false;
    cursor c = {.text = (const unsigned char *)text, .n = n_text, .replace = replace};
    size_t whole = 0; /* end of the character being read */
    for (size_t t = 0; t < n; t++) {
        tokens[t].begin = tokens[t].end = c.at;
        for (size_t b = 0; b < tokens[t].n_bytes; b++) {
            if (lead && t == 0 && b == 0) continue;
            if (c.at < c.n && c.at >= whole && c.in_bad == 0) whole = char_end(&c);
            if (next_byte(&c, whole) != (unsigned char)tokens[t].bytes[b]) return false;
        }
        tokens[t].end = c.in_bad ? c.at + 1 : c.at; /* part of a replacement counts as the invalid byte */
        if (tokens[t].begin > tokens[t].end) tokens[t].begin = tokens[t].end;
        if (t > 0 && tokens[t].begin < tokens[t - 1].end) tokens[t].begin = tokens[t - 1].end;
    }
    return c.at == c.n;
}

static void align_search(hw_token *tokens, size_t n, const char *text, size_t n_text) {
    size_t at = 0;
    for (size_t t = 0; t < n; t++) {
        const char *bytes = tokens[t].bytes;
        size_t len = tokens[t].n_bytes, last = at + SEARCH_BYTES < n_text ? at + SEARCH_BYTES : n_text;
        tokens[t].begin = tokens[t].end = at;
        for (size_t p = at; len > 0 && p <= last && len <= n_text - p; p++) {
            if (memcmp(text + p, bytes, len) != 0) continue;
            tokens[t].begin = p;
            tokens[t].end = at = p + len;
            break;
        }
    }
}

bool hw__find_token_spans(hw_token *tokens, size_t n, const char *text, size_t n_text) {
    for (int reading = 0; reading < 4; reading++)
        if (align_stream(tokens, n, text, n_text, reading & 2, reading & 1)) return true;
    align_search(tokens, n, text, n_text);
    return false;
}
