/*
 * token_text.c - a character has at most four bytes, so three bytes of the neighbouring tokens on each side show which
 * characters a token has a part of: each UTF-8 byte shows whether it begins a character.
 */
#include "base/utf8.h"
#include "data/run.h"

#include <string.h>

enum { REST = 3, LONGEST = 4 }; /* bytes of a character after its first; bytes of a whole character */

static const char continued[] = "\xCB\x99"; /* dot above, shown for a continued character */

/* The bytes of a token and of its neighbours. */
typedef struct window {
    unsigned char before[REST], after[REST];
    const hw_token *token;
    size_t n_before, n_after;
} window;

static unsigned char byte_at(const window *w, size_t k) {
    if (k < w->n_before) return w->before[REST - w->n_before + k];
    k -= w->n_before;
    return k < w->token->n_bytes ? (unsigned char)w->token->bytes[k] : w->after[k - w->token->n_bytes];
}

/* Whether two tokens share a character: only tokens that are not valid text by themselves do. */
static bool shares(const hw_run *run, size_t i, size_t other) {
    const hw_token *t = &run->tokens[other];
    return (other < run->n_prompt) == (i < run->n_prompt) && !hw__utf8_valid(t->bytes, t->n_bytes);
}

static window look(const hw_run *run, size_t i) {
    window w = {.token = &run->tokens[i]};
    for (size_t t = i; t > 0 && w.n_before < REST && shares(run, i, t - 1); t--)
        for (size_t b = run->tokens[t - 1].n_bytes; b > 0 && w.n_before < REST; b--)
            w.before[REST - ++w.n_before] = (unsigned char)run->tokens[t - 1].bytes[b - 1];
    for (size_t t = i + 1; t < run->n_tokens && w.n_after < REST && shares(run, i, t); t++)
        for (size_t b = 0; b < run->tokens[t].n_bytes && w.n_after < REST; b++)
            w.after[w.n_after++] = (unsigned char)run->tokens[t].bytes[b];
    return w;
}

/* Writes the character that begins at byte k to out. Returns 0 if no character begins there, or if it is incomplete. */
static size_t character(char out[LONGEST], const window *w, size_t k) {
    size_t end = w->n_before + w->token->n_bytes + w->n_after;
    for (size_t n = 1; n <= LONGEST && k + n <= end; n++) {
        out[n - 1] = (char)byte_at(w, k + n - 1);
        if (hw__utf8_valid(out, n)) return n;
    }
    return 0;
}

/* Output buffer; bytes that do not fit are counted but not written. */
typedef struct sink {
    char *out;
    size_t capacity, n, n_written;
} sink;

static void put(sink *s, const char *bytes, size_t n) {
    if (s->n_written == s->n && n < s->capacity - s->n) {
        memcpy(s->out + s->n, bytes, n);
        s->n_written += n;
        s->out[s->n_written] = 0;
    }
    s->n += n;
}

static void put_byte(sink *s, unsigned char byte) {
    char text[HW__UTF8_BYTE];
    hw__utf8_byte(text, byte);
    put(s, text, sizeof text);
}

/* Writes nothing for a token that holds only the rest of characters. */
static void put_token(sink *s, const hw_run *run, size_t i) {
    window w = look(run, i);
    size_t end = w.n_before + w.token->n_bytes;
    for (size_t k = 0, n; k < end; k += n) {
        char bytes[LONGEST];
        bool own = k >= w.n_before;
        n = character(bytes, &w, k);
        if (own && n)
            put(s, bytes, n);
        else if (own)
            put_byte(s, byte_at(&w, k));
        if (n == 0) n = 1;
    }
}

static sink start(char *out, size_t capacity) {
    if (capacity) out[0] = 0;
    return (sink){.out = out, .capacity = capacity};
}

size_t hw_run_token_text(char *out, size_t capacity, const hw_run *run, size_t i) {
    sink s = start(out, capacity);
    put_token(&s, run, i);
    if (s.n == 0 && run->tokens[i].n_bytes) put(&s, continued, sizeof continued - 1);
    return s.n;
}

size_t hw_run_group_text(char *out, size_t capacity, const hw_run *run, const int32_t *groups, size_t n,
                         int32_t group) {
    sink s = start(out, capacity);
    for (size_t i = 0; i < n; i++) {
        size_t before = s.n;
        bool follows = i > 0 && groups[i - 1] == group;
        if (groups[i] != group) continue;
        put_token(&s, run, i);
        if (s.n == before && !follows && run->tokens[i].n_bytes) put(&s, continued, sizeof continued - 1);
    }
    return s.n;
}
