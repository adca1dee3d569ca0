/* token_text.c - the text of the first tokens of a run. */
#include "picture/token_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool join(token_text *text, const char *bytes, size_t n) {
    if (text->capacity - text->n < n) {
        size_t capacity = (text->n + n) * 2;
        char *resized = realloc(text->bytes, capacity);
        if (!resized) return false;
        text->bytes = resized;
        text->capacity = capacity;
    }
    if (n) memcpy(text->bytes + text->n, bytes, n);
    text->n += n;
    return true;
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t'; }

/* Imports may name tokens that are not parts of a text, or words without spaces between them: those need a
 * separator. */
static bool needs_gaps(const hw_run *run, size_t n) {
    if (strcmp(hw_run_model(run)->engine, "import") != 0) return false;
    for (size_t i = 0; i < n; i++) {
        hw_token t = hw_run_token(run, i);
        if (t.n_bytes && (is_space(t.bytes[0]) || is_space(t.bytes[t.n_bytes - 1]))) return false;
    }
    return true;
}

static bool join_token(token_text *text, const hw_run *run, size_t i, bool gaps) {
    hw_token t = hw_run_token(run, i);
    const char *glue = gaps && i > 0 ? " " : "";
    if (i > 0 && i == hw_run_n_prompt(run)) glue = "▸"; /* the completion begins here */
    if (!join(text, glue, strlen(glue))) return false;
    char number[24];
    bool named = t.n_bytes || t.id >= 0;
    int n = snprintf(number, sizeof number, "%zu", i);
    text->begin[i] = text->n;
    bool ok = named ? join(text, t.bytes, t.n_bytes) : join(text, number, (size_t)n);
    text->end[i] = text->n;
    return ok;
}

void token_text_free(token_text *text) {
    free(text->bytes);
    free(text->begin);
    free(text->end);
}

bool token_text_new(token_text *text, const hw_run *run, size_t n) {
    *text = (token_text){.n_tokens = n};
    text->begin = calloc(n + 1, sizeof *text->begin);
    text->end = calloc(n + 1, sizeof *text->end);
    bool ok = text->begin && text->end, gaps = needs_gaps(run, n);
    for (size_t i = 0; ok && i < n; i++) ok = join_token(text, run, i, gaps);
    if (!ok) token_text_free(text);
    return ok;
}
