/* control_tokens.c - a sorted list made once; a search compares only tokens that begin with the current byte. */
#include "engine/llama/file/control_tokens.h"

#include <stdlib.h>
#include <string.h>

/* A token while the list is being sorted. */
typedef struct entry {
    const char *text;
    size_t n;
    int32_t id;
} entry;

static bool is_control(const struct llama_vocab *vocab, int32_t id) {
    return llama_vocab_get_attr(vocab, id) & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN) &&
           *llama_vocab_get_text(vocab, id);
}

static int compare(const void *a, const void *b) {
    const entry *x = a, *y = b;
    unsigned char p = (unsigned char)x->text[0], q = (unsigned char)y->text[0];
    if (p != q) return p < q ? -1 : 1;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void keep(hw__control_tokens *list, entry *entries, size_t n) {
    qsort(entries, n, sizeof *entries, compare);
    for (size_t i = 0; i < n; i++) {
        list->ids[i] = entries[i].id;
        list->first[(unsigned char)entries[i].text[0] + 1]++;
    }
    for (size_t b = 0; b < 256; b++) list->first[b + 1] += list->first[b];
    list->n = n;
    list->read = true;
}

static hw_err read_list(hw__control_tokens *list, const struct llama_vocab *vocab, hw_error *err) {
    int32_t n_vocab = llama_vocab_n_tokens(vocab);
    size_t n = 0;
    for (int32_t id = 0; id < n_vocab; id++) n += is_control(vocab, id);
    entry *entries = hw__alloc(n, sizeof *entries);
    list->ids = hw__alloc(n, sizeof *list->ids);
    if (entries && list->ids) {
        n = 0;
        for (int32_t id = 0; id < n_vocab; id++) {
            if (!is_control(vocab, id)) continue;
            const char *text = llama_vocab_get_text(vocab, id);
            entries[n++] = (entry){text, strlen(text), id};
        }
        keep(list, entries, n);
    }
    free(entries);
    if (list->read) return HW_OK;
    free(list->ids);
    list->ids = NULL;
    return hw__fail_memory(err, "the list of control tokens", n, sizeof(entry));
}

/* The token whose text is at `at`; -1: none. */
static int32_t token_at(const hw__control_tokens *list, const struct llama_vocab *vocab, hw__control_text text,
                        size_t at) {
    unsigned char byte = (unsigned char)text.bytes[at];
    for (size_t i = list->first[byte]; i < list->first[byte + 1]; i++) {
        const char *name = llama_vocab_get_text(vocab, list->ids[i]);
        size_t n = strlen(name);
        if (n <= text.n - at && memcmp(text.bytes + at, name, n) == 0) return list->ids[i];
    }
    return -1;
}

hw_err hw__control_tokens_find(hw__control *out, hw__control_tokens *list, const struct llama_vocab *vocab,
                               hw__control_text text, hw_error *err) {
    hw_err rc = list->read ? HW_OK : read_list(list, vocab, err);
    if (rc != HW_OK) return rc;
    *out = (hw__control){0};
    for (size_t at = text.begin; at < text.n; at++) {
        int32_t id = token_at(list, vocab, text, at);
        if (id < 0) continue;
        enum llama_token_attr attr = llama_vocab_get_attr(vocab, id);
        *out = (hw__control){.begin = at,
                             .end = at + strlen(llama_vocab_get_text(vocab, id)),
                             .id = id,
                             .strips_before = attr & LLAMA_TOKEN_ATTR_LSTRIP,
                             .strips_after = attr & LLAMA_TOKEN_ATTR_RSTRIP};
        return HW_OK;
    }
    return HW_OK;
}

void hw__control_tokens_clear(hw__control_tokens *list) {
    free(list->ids);
    *list = (hw__control_tokens){0};
}
