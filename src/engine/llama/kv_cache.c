/*
 * kv_cache.c - reuses the cache from one sequence for the next, and saves and restores it.
 *
 * The bytes are libllama's, for every cell of sequence 0 (the state of one sequence would leave out cells that a
 * sliding window has passed, and columns would no longer be positions):
 *
 *     u32 magic, i32 sequence
 *     for each cache, two if windows slide:
 *         u32 streams = 1, u32 cells, for each cell: i32 position, u32 sequences = 1, i32 sequence
 *         u32 transposed, u32 layers
 *         for each layer, its keys:    i32 type, u64 bytes per cell, [cells] of them
 *         for each layer, its values:  the same, or transposed: i32 type, u32 bytes per element, u32 elements, all
 *
 * libllama compares types, sizes and ends with its own, but accepts any position: positions are checked here, with the
 * structure, so that it only ever gets tokens 0 .. n-1 in their own cells.
 */
#include "engine/llama/operations.h"

#include "engine/llama/device/guarded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ structure of the bytes */

typedef struct reader {
    const unsigned char *at;
    size_t left;
} reader;

/* Reads [n] bytes as a number in this machine's byte order, as libllama writes them. False at the end. */
static bool take(reader *r, void *out, size_t n) {
    if (r->left < n) return false;
    memcpy(out, r->at, n);
    r->at += n;
    r->left -= n;
    return true;
}

static bool pass(reader *r, uint64_t count, uint64_t size) {
    if (size && count > r->left / size) return false;
    r->at += count * size;
    r->left -= (size_t)(count * size);
    return true;
}

static bool take_u32(reader *r, uint32_t must) {
    uint32_t v;
    return take(r, &v, sizeof v) && v == must;
}

static bool pass_layer(reader *r, size_t n, bool transposed) {
    int32_t type;
    uint64_t row;
    uint32_t element, count;
    if (!take(r, &type, sizeof type)) return false;
    if (!transposed) return take(r, &row, sizeof row) && pass(r, n, row);
    return take(r, &element, sizeof element) && take(r, &count, sizeof count) && pass(r, (uint64_t)element * count, n);
}

/* Checks one cache that must hold tokens 0 .. n-1 in this order. */
static bool pass_cache(reader *r, size_t n) {
    uint32_t transposed, n_layers;
    int32_t position, sequence;
    if (!take_u32(r, 1) || !take_u32(r, (uint32_t)n)) return false;
    for (size_t i = 0; i < n; i++)
        if (!take(r, &position, sizeof position) || position != (int32_t)i || !take_u32(r, 1) ||
            !take(r, &sequence, sizeof sequence) || sequence != 0)
            return false;
    if (!take(r, &transposed, sizeof transposed) || !take(r, &n_layers, sizeof n_layers)) return false;
    for (uint32_t l = 0; l < n_layers; l++)
        if (!pass_layer(r, n, false)) return false;
    for (uint32_t l = 0; l < n_layers; l++)
        if (!pass_layer(r, n, transposed != 0)) return false;
    return true;
}

static bool is_cache(const hw__cache *cache, size_t n) {
    reader r = {.at = cache->bytes, .left = cache->n_bytes};
    uint32_t magic;
    int32_t sequence;
    size_t n_caches = 0;
    if (!take(&r, &magic, sizeof magic) || !take(&r, &sequence, sizeof sequence)) return false;
    for (; r.left > 0; n_caches++)
        if (n_caches == 2 || !pass_cache(&r, n)) return false;
    return n_caches > 0;
}

/* ------------------------------------------------------------------ operations */

enum { EVERY_CELL = -1, SEQUENCE = 0 };

hw_err hw__llama_save(hw__engine *base, hw__cache *out, const int32_t *ids, size_t n, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (n == 0 || !e->ctx || n != e->n_done || memcmp(e->ids, ids, n * sizeof *ids) != 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "the model has decoded other tokens since: its cache is not of these %zu",
                        n);
    size_t capacity;
    hw_err rc = hw__guarded_state_size(&capacity, e->ctx, EVERY_CELL, err);
    if (rc != HW_OK) return rc;
    hw__cache cache = {.bytes = hw__alloc(capacity, 1)};
    if (!cache.bytes) return hw__fail_memory(err, "the model's cache", capacity, 1);
    rc = hw__guarded_state_read(&cache.n_bytes, cache.bytes, capacity, e->ctx, EVERY_CELL, err);
    if (rc == HW_OK && is_cache(&cache, n)) {
        *out = cache;
        return HW_OK;
    }
    free(cache.bytes);
    if (rc != HW_OK) return rc;
    return hw__fail(err, HW_ERR_UNSUPPORTED, "the cache of architecture %s has a form that cannot be kept",
                    e->info.architecture);
}

hw_err hw__llama_restore(hw__engine *base, const hw__cache *cache, const int32_t *ids, size_t n, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= e->info.n_vocab)
            return hw__fail(err, HW_ERR_FORMAT, "token id %d: the vocabulary has 0..%d", ids[i], e->info.n_vocab - 1);
    if (n == 0 || n > INT32_MAX || !is_cache(cache, n))
        return hw__fail(err, HW_ERR_FORMAT, "the %zu bytes of the cache are not those of %zu tokens", cache->n_bytes,
                        n);
    hw_err rc = hw__llama_ensure_context(e, n, err);
    if (rc != HW_OK) return rc;
    llama_memory_t memory = llama_get_memory(e->ctx);
    size_t n_written = 0;
    rc = hw__guarded_state_write(&n_written, e->ctx, cache->bytes, cache->n_bytes, SEQUENCE, err);
    if (rc != HW_OK) {
        llama_memory_clear(memory, true);
        return rc;
    }
    if (n_written != cache->n_bytes || llama_memory_seq_pos_min(memory, SEQUENCE) != 0 ||
        llama_memory_seq_pos_max(memory, SEQUENCE) != (llama_pos)n - 1) {
        llama_memory_clear(memory, true);
        return hw__fail(err, HW_ERR_FORMAT, "the cache does not fit this model: its layers, sizes or types are others");
    }
    memcpy(e->ids, ids, n * sizeof *ids);
    e->n_done = n;
    return HW_OK;
}

/* Moves the sequence into a context of `n_tokens`. False if the cache cannot be moved. */
static bool move(hw__llama_engine *e, size_t n_tokens) {
    size_t n = e->n_done;
    int32_t *ids = hw__alloc(n, sizeof *ids);
    hw__cache cache = {0};
    bool moved = false;
    if (ids) memcpy(ids, e->ids, n * sizeof *ids);
    if (ids && hw__llama_save(&e->base, &cache, ids, n, NULL) == HW_OK)
        moved = hw__llama_ensure_context(e, n_tokens, NULL) == HW_OK &&
                hw__llama_restore(&e->base, &cache, ids, n, NULL) == HW_OK;
    free(cache.bytes);
    free(ids);
    return moved;
}

/* Drops the tokens after the first n, and cells that a failed decode may have left. */
static bool forget_from(hw__llama_engine *e, size_t n) {
    bool done;
    if (hw__guarded_forget(&done, e->ctx, (int32_t)n, NULL) != HW_OK || !done) return false;
    e->n_done = n;
    return true;
}

hw_err hw__llama_resume(hw__engine *base, size_t *kept, const hw__sequence *sequence, hw_error *err) {
    const int32_t *ids = sequence->ids;
    size_t n = sequence->n, n_tokens = sequence->n_tokens;
    hw_stop_fn stop = sequence->stop;
    void *stop_ctx = sequence->stop_ctx;
    hw__llama_engine *e = (hw__llama_engine *)base;
    size_t shared = 0;
    while (shared < n && shared < e->n_done && ids[shared] == e->ids[shared]) shared++;
    bool recurrent = e->recurrent.n > 0; /* a recurrent state cannot be rewound, and its earlier inputs may not have
                                            been kept */
    if (!e->follower && !recurrent && shared > 0 && shared <= n_tokens && n_tokens <= (size_t)e->params.n_ctx &&
        forget_from(e, shared) && (llama_n_ctx(e->ctx) >= n_tokens || move(e, n_tokens))) {
        e->stop = stop;
        e->stop_ctx = stop_ctx;
        *kept = shared;
        return HW_OK;
    }
    *kept = 0;
    return base->ops->begin(base, n_tokens, stop, stop_ctx, err);
}

/* ------------------------------------------------------------------ what a sequence takes */

/* "<architecture>.attention.<key>", else the default of most architectures. */
static double head_size(const hw__llama_engine *e, const char *key) {
    char name[HW__LLAMA_TEXT + 64], text[32];
    snprintf(name, sizeof name, "%s.attention.%s", e->info.architecture, key);
    if (llama_model_meta_val_str(e->model, name, text, sizeof text) > 0) return atof(text);
    return (double)e->info.n_embd / (e->info.n_heads > 0 ? e->info.n_heads : 1);
}

/* The largest graph is that of a full pass at the end of the sequence, or of all logits: the weights of one layer's
 * attention with their mask, again as F16 if the values are, and some rows as wide as the stream (6 were seen in
 * libllama). */
void hw__llama_footprint(const hw__engine *base, const hw__extent *lengths, uint64_t *cache, uint64_t *buffers) {
    enum { WIDE_ROWS = 6 };
    const hw__llama_engine *e = (const hw__llama_engine *)base;
    double n = (double)((lengths->all + 255) / 256 * 256), n_pass = e->params.n_ubatch,
           element = e->params.f32_cache ? 4 : 2;
    double row = head_size(e, "key_length") + head_size(e, "value_length");
    double outputs = HW__MAX_LOGITS < n_pass ? HW__MAX_LOGITS : n_pass;
    double logits = outputs * e->info.n_vocab * sizeof(float);
    double weights = e->info.n_heads * (e->params.f32_cache ? 4 : 4 + 2) + 4, wide = WIDE_ROWS * e->info.n_embd * 4;
    double pass = n_pass * (n * weights + wide);
    *cache = (uint64_t)(n * (e->info.n_layers * e->info.n_heads_kv * row * element + hw__recurrent_token_bytes(e)));
    double work = hw__recurrent_work_bytes(e) * n * (double)(e->base.n_threads ? e->base.n_threads : 1);
    *buffers =
        (uint64_t)((logits > pass ? logits : pass) + work) + hw__llama_taps_bytes(e, lengths) + e->repacked.bytes;
}
