/*
 * weights.c - values and weights of a layer, and the way to the logits, as signals need them.
 *
 * Values are read from the cache. Weights are read from the GGUF file: loaded ones may be repacked for the CPU or on a device.
 */
#include "base/parallel_for.h"
#include "engine/llama/llama_engine.h"
#include "math/simd.h"

#include <stdlib.h>
#include <string.h>

/* Room for `floats` in an array that is used layer after layer. */
static bool make_room(float **array, size_t *room, size_t floats) {
    if (floats <= *room) return true;
    free(*array);
    *array = hw__alloc(floats, sizeof **array);
    *room = *array ? floats : 0;
    return *array != NULL;
}

/* Values of the tokens so far, [H_kv, d, n_done], out of the cache view [keys, d, H_kv]; a device's are read in one piece, since
 * each read may cross a network. */
static hw_err read_values(hw__llama_engine *e, hw__values *out, const struct ggml_tensor *t, hw_error *err) {
    size_t d = (size_t)t->ne[1], n_kv = (size_t)t->ne[2], n = e->n_done;
    bool room = make_room(&out->v, &out->v_room, n_kv * d * n);
    const unsigned char *plane = ggml_backend_buffer_is_host(t->buffer) ? t->data : hw__fetch_all(e->fetch, t);
    if (!room || !plane) return hw__fail_memory(err, "the values of a layer", n_kv * d, n * sizeof(float));
    const struct ggml_type_traits *traits = ggml_get_type_traits(t->type);
    for (size_t r = 0; r < n_kv * d; r++) {
        const unsigned char *raw = plane + r / d * t->nb[2] + r % d * t->nb[1];
        if (t->type == GGML_TYPE_F32) {
            memcpy(out->v + r * n, raw, n * sizeof(float));
        } else if (t->type == GGML_TYPE_F16) { /* as the cache is by default */
            hw__floats_of_halves(out->v + r * n, (const uint16_t *)(const void *)raw, n);
        } else {
            traits->to_float(raw, out->v + r * n, (int64_t)n);
        }
    }
    out->n_heads_kv = n_kv;
    out->head_size = d;
    out->n_tokens = n;
    return HW_OK;
}

void hw__values_clear(hw__values *values) {
    free(values->v);
    free(values->wo);
    free(values->gain_room);
    *values = (hw__values){0};
}

hw_err hw__llama_values(hw__engine *base, hw__values *out, size_t layer, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (e->values_problem[0]) return hw__fail(err, HW_ERR_UNSUPPORTED, "%s", e->values_problem);
    if (layer >= (size_t)e->info.n_layers)
        return hw__fail(err, HW_ERR_ARGUMENT, "layer %zu: the model has %d", layer, e->info.n_layers);
    const hw__layer_graph *g = &e->graphs[e->layers[layer]];
    size_t width = (size_t)e->info.n_embd;
    hw_err rc = read_values(e, out, g->values, err);
    if (rc != HW_OK) return rc;
    size_t heads = (size_t)e->info.n_heads * out->head_size;
    out->n_heads = (size_t)e->info.n_heads;
    out->eps = g->eps;
    out->scale = g->scale;
    if (!make_room(&out->wo, &out->wo_room, width * heads) || !make_room(&out->gain_room, &out->n_gain_room, width))
        return hw__fail_memory(err, g->wo, width, heads * sizeof(float));
    rc = hw__gguf_rows(e->file, out->wo, g->wo, 0, width, heads, err);
    out->gain = g->gain[0] ? out->gain_room : NULL;
    return rc == HW_OK && out->gain ? hw__gguf_rows(e->file, out->gain, g->gain, 0, 1, width, err) : rc;
}

/* Parts of the output weights that threads sum; always as many, so that their order does not depend on the threads. */
enum { MEAN_PARTS = 32 };

typedef struct mean_sum {
    const hw__llama_engine *e;
    double *sums; /* [MEAN_PARTS, D] */
} mean_sum;

static hw_err sum_part(void *ctx, size_t part, hw_error *err) {
    enum { ROWS = 64 };
    const mean_sum *s = ctx;
    size_t width = (size_t)s->e->info.n_embd, n_vocab = (size_t)s->e->info.n_vocab;
    size_t first = part * n_vocab / MEAN_PARTS, end = (part + 1) * n_vocab / MEAN_PARTS;
    float *rows = hw__alloc(ROWS, width * sizeof *rows);
    hw_err rc = rows ? HW_OK : hw__fail_memory(err, "the mean output row", ROWS, width * sizeof *rows);
    while (rc == HW_OK && first < end) {
        size_t n = end - first < ROWS ? end - first : ROWS;
        rc = hw__gguf_rows(s->e->file, rows, s->e->readout.weight, first, n, width, err);
        for (size_t i = 0; rc == HW_OK && i < n; i++) hw__add_floats(s->sums + part * width, rows + i * width, width);
        first += n;
    }
    free(rows);
    return rc;
}

/* The mean row of the output weights [V, D], a one-time pass over them. */
static hw_err mean_readout(hw__llama_engine *e, hw_error *err) {
    size_t width = (size_t)e->info.n_embd;
    mean_sum s = {.e = e, .sums = hw__alloc(MEAN_PARTS, width * sizeof *s.sums)};
    float *mean = hw__alloc(width, sizeof *mean);
    hw_err rc =
        s.sums && mean ? HW_OK : hw__fail_memory(err, "the mean output row", MEAN_PARTS, width * sizeof *s.sums);
    if (rc == HW_OK) rc = hw__each(MEAN_PARTS, e->base.n_threads, sum_part, &s, err);
    for (size_t d = 0; rc == HW_OK && d < width; d++) {
        double sum = 0;
        for (size_t part = 0; part < MEAN_PARTS; part++) sum += s.sums[part * width + d];
        mean[d] = (float)(sum / e->info.n_vocab);
    }
    free(s.sums);
    if (rc == HW_OK) {
        e->readout.mean = mean;
    } else {
        free(mean);
    }
    return rc;
}

hw_err hw__llama_readout(hw__engine *base, float *out, float *eps, int32_t id, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    size_t width = (size_t)e->info.n_embd;
    if (e->readout_problem[0]) return hw__fail(err, HW_ERR_UNSUPPORTED, "%s", e->readout_problem);
    if (id < 0 || id >= e->info.n_vocab)
        return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", id, e->info.n_vocab - 1);
    hw_err rc = e->readout.mean ? HW_OK : mean_readout(e, err);
    if (rc != HW_OK) return rc;
    float *gain = hw__alloc(width, sizeof *gain);
    if (!gain) return hw__fail_memory(err, "the final norm", width, sizeof *gain);
    rc = hw__gguf_rows(e->file, gain, e->readout.norm, 0, 1, width, err);
    if (rc == HW_OK) rc = hw__gguf_rows(e->file, out, e->readout.weight, (size_t)id, 1, width, err);
    for (size_t d = 0; rc == HW_OK && d < width; d++) out[d] = gain[d] * (out[d] - e->readout.mean[d]);
    free(gain);
    *eps = e->readout.eps;
    return rc;
}
