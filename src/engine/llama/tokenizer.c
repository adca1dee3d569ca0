/*
 * tokenizer.c - converts texts to tokens and back, with libllama's vocabulary.
 *
 * Tokenizers that put a space before every text (SentencePiece's add_space_prefix) also do so before a text that
 * continues another. To avoid this, such a text is tokenized after a letter that merges with nothing, and that letter's
 * tokens are dropped.
 */
#include "engine/llama/device/guarded.h"
#include "engine/llama/operations.h"

#include <stdlib.h>
#include <string.h>

hw_err hw__llama_piece(hw__engine *base, hw__piece *out, int32_t id, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (id < 0 || id >= e->info.n_vocab)
        return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", id, e->info.n_vocab - 1);
    int32_t n;
    hw_err rc = hw__guarded_piece(&n, out->bytes, HW__MAX_PIECE, e->vocab, id, err);
    if (rc != HW_OK) return rc;
    if (n < 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "token %d is %d bytes long, at most %d are handled", id, -n,
                        HW__MAX_PIECE);
    out->n_bytes = (size_t)n;
    out->special = (llama_vocab_get_attr(e->vocab, id) & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) != 0;
    out->end = llama_vocab_is_eog(e->vocab, id);
    return HW_OK;
}

/* Determined once: a pass over the vocabulary, about 10 ms for 262,144 tokens. */
hw_err hw__llama_text_limits(hw__engine *base, hw__text_limits *out, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    char bytes[HW__MAX_PIECE];
    size_t longest = e->longest_piece;
    for (int32_t id = 0; id < e->info.n_vocab && !e->longest_piece; id++) {
        int32_t n;
        hw_err rc = hw__guarded_piece(&n, bytes, sizeof bytes, e->vocab, id, err);
        if (rc != HW_OK) return rc;
        size_t n_bytes = (size_t)(n < 0 ? -(int64_t)n : n);
        if (n_bytes > longest) longest = n_bytes;
    }
    e->longest_piece = longest;
    *out = (hw__text_limits){.n_ctx = (size_t)e->params.n_ctx, .longest_piece = longest ? longest : 1};
    return HW_OK;
}

/* Ids of [n] bytes as libllama makes them for an independent text. */
static hw_err read_alone(hw__llama_engine *e, hw__tokens *out, const char *text, size_t n, bool add_special,
                         hw_error *err) {
    if (n > INT32_MAX / 8)
        return hw__fail(err, HW_ERR_ARGUMENT, "text of %zu bytes: at most %d are read at once", n, INT32_MAX / 8);
    int32_t capacity = (int32_t)n + 16, count = 0;
    int32_t *ids = NULL;
    hw__tokenize_options how = {.text = text, .n_bytes = (int32_t)n, .add_special = add_special};
    for (int attempt = 0; attempt < 2; attempt++) {
        free(ids);
        ids = hw__alloc((size_t)capacity, sizeof *ids);
        if (!ids) return hw__fail_memory(err, "the tokens of a text", (size_t)capacity, sizeof *ids);
        hw_err rc = hw__guarded_tokenize(&count, e->vocab, (hw__id_buffer){ids, capacity}, how, err);
        if (rc != HW_OK) {
            free(ids);
            return rc;
        }
        if (count >= 0) break;
        capacity = count == INT32_MIN ? 0 : -count;
    }
    if (count < 0) {
        free(ids);
        return hw__fail(err, HW_ERR_ENGINE, "the model's tokenizer failed on a text of %zu bytes", n);
    }
    *out = (hw__tokens){.ids = ids, .n = (size_t)count};
    return HW_OK;
}

/* Whether the tokens' bytes are text [n], with a space before it if `space`. */
static bool spells(hw__llama_engine *e, const hw__tokens *tokens, size_t first, const char *text, size_t n,
                   bool space) {
    size_t at = 0;
    for (size_t i = first; i < tokens->n; i++) {
        hw__piece p;
        size_t skip = space && i == first;
        if (hw__llama_piece(&e->base, &p, tokens->ids[i], NULL) != HW_OK) return false;
        if (skip && (p.n_bytes == 0 || p.bytes[0] != ' ')) return false;
        size_t len = p.n_bytes - skip;
        if (len > n - at || memcmp(p.bytes + skip, text + at, len) != 0) return false;
        at += len;
    }
    return at == n;
}

/* Replaces `tokens` by those of the text after `lead`; fails if the two merge, the vocabulary lacks the lead, or the
 * rest does not have the text's bytes. */
static hw_err read_behind(bool *done, hw__llama_engine *e, hw__tokens *tokens, char lead, hw__control_text text,
                          hw_error *err) {
    hw__tokens first = {0}, both = {0};
    char *follows_text = hw__alloc(1 + text.n, 1);
    if (!follows_text) return hw__fail_memory(err, "the tokens of a text", text.n, 1);
    follows_text[0] = lead;
    memcpy(follows_text + 1, text.bytes, text.n);
    hw_err rc = read_alone(e, &first, follows_text, 1, false, err);
    if (rc == HW_OK) rc = read_alone(e, &both, follows_text, 1 + text.n, false, err);
    *done = rc == HW_OK && both.n >= first.n && memcmp(both.ids, first.ids, first.n * sizeof *first.ids) == 0 &&
            spells(e, &both, first.n, text.bytes, text.n, false);
    if (*done) {
        both.n -= first.n;
        memmove(both.ids, both.ids + first.n, both.n * sizeof *both.ids);
        free(tokens->ids);
        *tokens = both;
    } else {
        free(both.ids);
    }
    free(first.ids);
    free(follows_text);
    return rc == HW_ERR_ENGINE ? HW_OK : rc;
}

hw_err hw__llama_tokenize(hw__engine *base, hw__tokens *out, const char *text, size_t n, unsigned flags,
                          hw_error *err) {
    static const char leads[] = "\n\x01\t.,;:!?0123456789abcdefghijklmnopqrstuvwxyz";
    hw__llama_engine *e = (hw__llama_engine *)base;
    hw__tokens tokens;
    hw_err rc = read_alone(e, &tokens, text, n, flags & HW__TOKENIZE_BOS, err);
    if (rc != HW_OK) return rc;
    bool done = !(flags & HW__TOKENIZE_CONTINUES) || !spells(e, &tokens, 0, text, n, true);
    for (size_t i = 0; rc == HW_OK && !done && leads[i]; i++)
        rc = read_behind(&done, e, &tokens, leads[i], (hw__control_text){text, n, 0}, err);
    if (rc == HW_OK)
        *out = tokens;
    else
        free(tokens.ids);
    return rc;
}

hw_err hw__llama_find_control(hw__engine *base, hw__control *out, const char *text, size_t n, size_t from,
                              hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    return hw__control_tokens_find(out, &e->controls, e->vocab, (hw__control_text){text, n, from}, err);
}
