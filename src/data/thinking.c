/* thinking.c - see thinking.h. Marks are text: they may be one control token or many letters. */
#include "data/thinking.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

typedef struct marks {
    const char *begin, *end;
} marks;

static const marks kinds[] = {
    {"<think>", "</think>"},                       /* Qwen, DeepSeek, SmolLM3 and most others */
    {"[THINK]", "[/THINK]"},                       /* Mistral */
    {"<|channel|>analysis<|message|>", "<|end|>"}, /* gpt-oss */
};

/* All tokens' bytes, and where each token's begin. */
typedef struct joined {
    char *bytes;
    size_t *at; /* [n_tokens + 1] */
} joined;

static hw_err join(joined *out, const hw_run *run, hw_error *err) {
    joined j = {.at = hw__alloc(run->n_tokens + 1, sizeof *j.at)};
    for (size_t t = 0; j.at && t < run->n_tokens; t++) j.at[t + 1] = j.at[t] + run->tokens[t].n_bytes;
    j.bytes = j.at ? hw__alloc(j.at[run->n_tokens] + 1, 1) : NULL;
    if (!j.bytes) {
        free(j.at);
        return hw__fail_memory(err, "the run's text", run->n_tokens + 1, sizeof *j.at);
    }
    for (size_t t = 0; t < run->n_tokens; t++)
        if (run->tokens[t].n_bytes) memcpy(j.bytes + j.at[t], run->tokens[t].bytes, run->tokens[t].n_bytes);
    *out = j;
    return HW_OK;
}

/* The token that holds a byte. */
static size_t token_at(const joined *j, const hw_run *run, size_t byte) {
    size_t low = 0, high = run->n_tokens;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (j->at[middle] <= byte) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Whether the mark at `byte` begins a section even if nothing ends it. */
static bool may_stay_open(const joined *j, const hw_run *run, size_t byte) {
    size_t t = token_at(j, run, byte);
    return t >= run->n_prompt || run->tokens[t].role == HW_ROLE_TEMPLATE || run->tokens[t].role == HW_ROLE_SPECIAL;
}

static void mark_section(bool *thinks, const joined *j, const hw_run *run, size_t begin, size_t end) {
    for (size_t t = token_at(j, run, begin); t < run->n_tokens && j->at[t] < end; t++)
        if (j->at[t + 1] > begin) thinks[t] = true;
}

static bool is_at(const joined *j, size_t byte, size_t n, const char *mark, size_t n_mark) {
    return byte + n_mark <= n && memcmp(j->bytes + byte, mark, n_mark) == 0;
}

/* Returns whether a section has not ended. */
static bool mark_kind(bool *thinks, const joined *j, const hw_run *run, const marks *kind) {
    size_t n = j->at[run->n_tokens], n_begin = strlen(kind->begin), n_end = strlen(kind->end), open = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if (is_at(j, i, n, kind->begin, n_begin)) {
            if (open == SIZE_MAX || !may_stay_open(j, run, open)) open = i;
        } else if (open != SIZE_MAX && is_at(j, i, n, kind->end, n_end)) {
            mark_section(thinks, j, run, open, i + n_end);
            open = SIZE_MAX;
        }
    }
    if (open == SIZE_MAX || !may_stay_open(j, run, open)) return false;
    mark_section(thinks, j, run, open, n);
    return true;
}

static hw_err find_sections(bool *thinks, bool *open, const hw_run *run, hw_error *err) {
    *open = false;
    joined j = {.bytes = NULL};
    memset(thinks, 0, run->n_tokens * sizeof *thinks);
    hw_err rc = join(&j, run, err);
    for (size_t i = 0; rc == HW_OK && i < sizeof kinds / sizeof *kinds; i++)
        *open = mark_kind(thinks, &j, run, &kinds[i]) || *open;
    free(j.bytes);
    free(j.at);
    return rc;
}

hw_err hw__thinking_tokens(bool *thinks, const hw_run *run, hw_error *err) {
    bool open;
    return find_sections(thinks, &open, run, err);
}

hw_err hw__thinking_roles(hw_run *run, hw_error *err) {
    bool *thinks = hw__alloc(run->n_tokens, sizeof *thinks);
    if (!thinks) return hw__fail_memory(err, "thinking sections", run->n_tokens, sizeof *thinks);
    hw_err rc = find_sections(thinks, &run->thinks, run, err);
    for (size_t t = 0; rc == HW_OK && t < run->n_tokens; t++) {
        hw_role *role = &run->tokens[t].role;
        if (thinks[t] && (*role == HW_ROLE_PROMPT || *role == HW_ROLE_COMPLETION)) *role = HW_ROLE_THINKING;
    }
    free(thinks);
    return rc;
}

hw_err hw__thinking_role_added(hw_run *run, hw_error *err) {
    hw_token *added = &run->tokens[run->n_tokens - 1];
    bool may_end = added->n_bytes && (memchr(added->bytes, '>', added->n_bytes) || /* as all marks do */
                                      memchr(added->bytes, ']', added->n_bytes));
    if (may_end) return hw__thinking_roles(run, err);
    if (run->thinks) added->role = HW_ROLE_THINKING;
    return HW_OK;
}
