/*
 * proof.c - see proof.h. Errors are relative: the root of summed squares of the difference, by that of what is
 * compared.
 */
#include "engine/llama/graph/proof.h"

#include "base/splitmix64.h"
#include "engine/llama/file/weight_product.h"
#include "engine/llama/graph/stream_map.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Channels of each layer's attention and tokens of the vocabulary that are compared. */
enum { CHANNELS = 16, TOKENS = 96 };

/* Random directions in which a stream that is mixed is compared. */
enum { DIRECTIONS = 8 };

/* Bounds of the engine's own rounding. Products with quantised weights round their input to 8 bits; sums are F32.
 * Logits are compared with ggml's own product, which rounds in the same way. */
static const double SUM_ERROR = 1e-4, F32_ERROR = 1e-5, F16_ERROR = 4e-3, BF16_ERROR = 2e-2, QUANTISED_ERROR = 5e-2,
                    READOUT_ERROR = 1e-3;

/* The last row of a layer. */
typedef struct layer_row {
    float *before, *added, *mixed, *factor, *heads; /* [D], [D], [D], [H d], [H, n_keys] */
    size_t n_heads, n_keys;
} layer_row;

typedef struct rest {
    int32_t number;
    double factor;
    float *row; /* [D] */
} rest;

struct hw__proof {
    layer_row *sources; /* [n_sources] */
    size_t n_sources, n_embd, n_mixing;
    const hw_source *described; /* [n_sources] */
    rest *rest;                 /* [n_rest] in the order of the graph */
    size_t n_rest, rest_capacity;
    float *final, *origin; /* [D] */
    float *mixing;         /* [n_mixing] of the engine */
};

hw__proof *hw__proof_new(const hw__llama_engine *e) {
    hw__proof *p = hw__alloc(1, sizeof *p);
    if (!p) return NULL;
    p->n_embd = (size_t)e->info.n_embd;
    p->n_sources = (size_t)e->info.n_sources;
    p->n_mixing = e->map ? hw__stream_map_width(e->map) : 0;
    p->described = e->sources;
    p->rest_capacity = e->n_taps;
    p->sources = hw__alloc(p->n_sources, sizeof *p->sources);
    p->rest = hw__alloc(p->rest_capacity, sizeof *p->rest);
    if (p->sources && p->rest) return p;
    hw__proof_free(p);
    return NULL;
}

void hw__proof_free(hw__proof *p) {
    if (!p) return;
    for (size_t l = 0; p->sources && l < p->n_sources; l++) {
        layer_row *r = &p->sources[l];
        free(r->before);
        free(r->added);
        free(r->mixed);
        free(r->factor);
        free(r->heads);
    }
    for (size_t i = 0; p->rest && i < p->n_rest; i++) free(p->rest[i].row);
    free(p->sources);
    free(p->rest);
    free(p->final);
    free(p->origin);
    free(p->mixing);
    free(p);
}

/* ------------------------------------------------------------------ what the decode shows */

/* *to <- a copy of row [n]; replaces that of an earlier decode. */
static hw_err copy_row(float **to, const float *row, size_t n, hw_error *err) {
    if (!row) return HW_OK;
    free(*to);
    *to = hw__alloc(n, sizeof **to);
    if (!*to) return hw__fail_memory(err, "the probe's rows", n, sizeof **to);
    memcpy(*to, row, n * sizeof **to);
    return HW_OK;
}

hw_err hw__proof_heads(void *proof, size_t layer, const hw__heads *h, hw_error *err) {
    hw__proof *p = proof;
    size_t source = 0;
    while (source < p->n_sources && p->described[source].layer != (int32_t)layer) source++;
    if (source == p->n_sources) return hw__fail(err, HW_ERR_ENGINE, "rows of layer %zu", layer);
    layer_row *r = &p->sources[source];
    size_t n_keys = h->q0 + h->n_rows; /* of the last row */
    free(r->heads);
    r->heads = hw__alloc(h->n_heads, n_keys * sizeof(float));
    if (!r->heads) return hw__fail_memory(err, "the probe's rows", h->n_heads, n_keys * sizeof(float));
    r->n_heads = h->n_heads;
    r->n_keys = n_keys;
    for (size_t head = 0; head < h->n_heads && n_keys <= h->n_keys; head++)
        memcpy(r->heads + head * n_keys, h->attn + head * h->head_stride + (h->n_rows - 1) * h->row_stride,
               n_keys * sizeof(float));
    return HW_OK;
}

hw_err hw__proof_stream(void *proof, size_t source, const hw__stream *s, hw_error *err) {
    hw__proof *p = proof;
    layer_row *r = &p->sources[source];
    size_t D = p->n_embd, last = s->n_rows - 1, width = s->factor ? s->factor_width : 0;
    if (s->n_rows == 0) return HW_OK;
    hw_err rc = copy_row(&r->before, s->before + last * D, D, err);
    if (rc == HW_OK) rc = copy_row(&r->added, s->added + last * D, D, err);
    if (rc == HW_OK) rc = copy_row(&r->mixed, s->mixed ? s->mixed + last * D : NULL, D, err);
    return rc == HW_OK ? copy_row(&r->factor, s->factor ? s->factor + last * width : NULL, width, err) : rc;
}

hw_err hw__proof_final(void *proof, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    (void)q0;
    hw__proof *p = proof;
    if (n_rows == 0) return HW_OK;
    return copy_row(&p->final, rows + (n_rows - 1) * p->n_embd, p->n_embd, err);
}

hw_err hw__proof_origin(void *proof, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    (void)q0;
    hw__proof *p = proof;
    return copy_row(&p->origin, rows + (n_rows - 1) * p->n_embd, p->n_embd, err);
}

hw_err hw__proof_mixing(void *proof, const float *row, size_t q, hw_error *err) {
    (void)q;
    hw__proof *p = proof;
    return copy_row(&p->mixing, row, p->n_mixing, err);
}

hw_err hw__proof_rest(hw__proof *p, const hw__llama_engine *e, const hw__tap *tap, hw_error *err) {
    size_t i = 0, n = e->tapped.n[HW__TAP_REST];
    while (i < p->n_rest && p->rest[i].number != tap->number) i++;
    if (n == 0 || i == p->rest_capacity) return HW_OK; /* the sum then does not match */
    if (i == p->n_rest) p->rest[p->n_rest++] = (rest){.number = tap->number, .factor = tap->factor};
    return copy_row(&p->rest[i].row, e->tapped.rows[HW__TAP_REST] + (n - 1) * p->n_embd, p->n_embd, err);
}

/* ------------------------------------------------------------------ comparing */

static double length(const double *v, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

static double error_of_type(enum ggml_type type) {
    switch (type) {
    case GGML_TYPE_F32: return F32_ERROR;
    case GGML_TYPE_F16: return F16_ERROR;
    case GGML_TYPE_BF16: return BF16_ERROR;
    default: return QUANTISED_ERROR;
    }
}

static void problem(char *to, const char *fmt, ...) HW_PRINTF(2, 3);
static void problem(char *to, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(to, HW__LLAMA_TEXT, fmt, args);
    va_end(args);
}

/* |difference| / |of|; 1 for NaN and infinity. */
static double relative(double difference, double of) {
    if (!isfinite(difference) || !isfinite(of)) return INFINITY;
    return difference <= 0 ? 0 : of > 0 ? difference / of : INFINITY;
}

/* |sum - factor row| / |factor row|. */
static double sum_error(const double *sum, const float *row, double factor, size_t n) {
    double off = 0, all = 0;
    for (size_t d = 0; d < n; d++) {
        double want = factor * row[d], by = sum[d] - want;
        off += by * by;
        all += want * want;
    }
    return relative(sqrt(off), sqrt(all));
}

static void add_row(double *sum, const float *row, double factor, size_t n) {
    for (size_t d = 0; d < n; d++) sum[d] += factor * row[d];
}

/* Adds the contributions of earlier blocks to the stream up to node `number`. */
static void sum_rest(const hw__proof *p, double *sum, size_t *next, int32_t number) {
    for (; *next < p->n_rest && p->rest[*next].number < number; (*next)++)
        add_row(sum, p->rest[*next].row, p->rest[*next].factor, p->n_embd);
}

static int by_number(const void *a, const void *b) {
    const rest *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Checks that the input of each block, and the final stream, is the sum of all earlier contributions. */
static void close_stream(const hw__proof *p, hw__llama_engine *e, double *sum) {
    size_t next = 0, D = p->n_embd;
    qsort(p->rest, p->n_rest, sizeof *p->rest, by_number);
    add_row(sum, p->origin, e->readout.origin_factor, D);
    for (size_t i = 0; i < e->n_taps && !e->values_problem[0]; i++) {
        const hw__tap *tap = &e->taps[i];
        if (tap->role == HW__TAP_ADDED) {
            sum_rest(p, sum, &next, tap->number);
            add_row(sum, p->sources[tap->source].added, e->graphs[tap->source].stream_factor, D);
        } else if (tap->role == HW__TAP_BEFORE || tap->role == HW__TAP_FINAL) {
            bool final = tap->role == HW__TAP_FINAL;
            sum_rest(p, sum, &next, final ? INT32_MAX : tap->number);
            double off = sum_error(sum, final ? p->final : p->sources[tap->source].before, tap->factor, D);
            if (off <= SUM_ERROR) continue;
            if (final) {
                problem(e->values_problem, "the final stream is not what the blocks added (off by %.2g of it)", off);
            } else {
                problem(e->values_problem,
                        "the stream that enters block %d is not what the blocks before it added (off by "
                        "%.2g of it)",
                        e->sources[tap->source].block, off);
            }
        }
    }
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* *sum <- what the map makes of <z, final stream>: each contribution with its carried direction. carried
 * [n_sources + 1, D] is scratch. */
static hw_err carried_sum(const hw__proof *p, const hw__llama_engine *e, const float *z, float *carried, double *sum,
                          hw_error *err) {
    size_t D = p->n_embd;
    hw_err rc = hw__stream_map_rest(e->map, sum, z, p->mixing, err);
    if (rc == HW_OK) rc = hw__stream_map_carry(e->map, carried, z, p->mixing, err);
    for (size_t s = 0; rc == HW_OK && s < p->n_sources; s++) *sum += dot(carried + s * D, p->sources[s].added, D);
    if (rc == HW_OK) *sum += dot(carried + p->n_sources * D, p->origin, D);
    return rc;
}

/* Checks that the map gives the final stream, in random directions. */
static void close_mixed(const hw__proof *p, hw__llama_engine *e) {
    size_t D = p->n_embd;
    hw_error why = {0};
    double difference[DIRECTIONS], want[DIRECTIONS], sum = 0;
    float *z = hw__alloc(D, sizeof *z), *carried = hw__alloc(p->n_sources + 1, D * sizeof *carried);
    hw_err rc = z && carried && p->mixing ? HW_OK : HW_ERR_MEMORY;
    uint64_t random = 1;
    for (int i = 0; rc == HW_OK && i < DIRECTIONS; i++) {
        for (size_t d = 0; d < D; d++) z[d] = (float)(2 * hw__random_next(&random) - 1);
        rc = carried_sum(p, e, z, carried, &sum, &why);
        want[i] = dot(z, p->final, D);
        difference[i] = sum - want[i];
    }
    double off = rc == HW_OK ? relative(length(difference, DIRECTIONS), length(want, DIRECTIONS)) : 0;
    double max = fmax(SUM_ERROR, error_of_type(hw__stream_map_type(e->map)));
    e->no_memory = e->no_memory || rc != HW_OK;
    if (!(off <= max))
        problem(e->values_problem,
                "the final stream is not what the blocks added, mixed as the graph does (off by %.2g of it)", off);
    free(z);
    free(carried);
}

/* heads [H d] <- values weighted by attention, times the row's factor. */
static void mix_heads(double *out, const layer_row *r, const hw__values *v) {
    size_t group = v->n_heads / v->n_heads_kv, d = v->head_size;
    for (size_t c = 0; c < v->n_heads * d; c++) {
        const float *attn = r->heads + c / d * r->n_keys, *value = v->v + (c / d / group * d + c % d) * v->n_tokens;
        double sum = 0;
        for (size_t k = 0; k < r->n_keys && k < v->n_tokens; k++) sum += (double)attn[k] * value[k];
        out[c] = sum * (r->factor ? r->factor[c] : 1);
    }
}

/* The same for a recurrent layer, whose rows are computed here: false when memory runs out. */
static bool mix_recurrent(double *out, const layer_row *r, const hw__values *v) {
    size_t T = v->n_tokens, width = v->n_heads * v->head_size;
    const hw__recurrent *of = v->recurrent;
    bool rows = hw__recurrent_has_rows(of);
    float *weights = hw__alloc(rows ? v->n_heads : width, T * sizeof *weights);
    bool ok = weights && (rows ? hw__recurrent_rows(weights, T, of, T - 1, 1)
                               : hw__recurrent_values(weights, T, of, v->v, T - 1, 1));
    for (size_t c = 0; ok && c < width; c++) {
        const float *a = weights + (rows ? c / v->head_size : c) * T, *value = v->v + c * T;
        double sum = 0;
        for (size_t k = of->begin; k < T; k++) sum += rows ? 0 : (double)a[k];
        for (size_t i = 0; rows && i < v->n_taps; i++, value += width * T)
            for (size_t k = of->begin; k + i < T; k++) sum += (double)a[k + i] * value[k];
        out[c] = sum * (r->factor ? r->factor[c] : 1);
    }
    free(weights);
    return ok;
}

/* One channel of attention's contribution, and the bias in it. */
typedef struct channel {
    double value, bias;
} channel;

static double norm_factor(const layer_row *r, const hw__values *v, size_t D, double *mean) {
    double sum = 0, squares = 0;
    *mean = 0;
    if (v->norm == HW__NORM_NONE) return 1;
    for (size_t d = 0; d < D; d++) sum += r->mixed[d];
    if (v->norm == HW__NORM_LAYER) *mean = sum / (double)D;
    for (size_t d = 0; d < D; d++) squares += (r->mixed[d] - *mean) * (r->mixed[d] - *mean);
    return 1 / sqrt(squares / (double)D + v->eps);
}

/* The bias of a channel and its gain, from the file. */
static hw_err read_vector(const hw__llama_engine *e, float **out, const char *name, size_t n, hw_error *err) {
    if (!name[0]) return HW_OK;
    *out = hw__alloc(n, sizeof **out);
    if (!*out) return hw__fail_memory(err, name, n, sizeof **out);
    return hw__gguf_rows(e->file, *out, (hw__gguf_part){name, 0, 1, n}, err);
}

/* |difference| over CHANNELS channels of one layer, relative to the compared values or to the typical size of such
 * products, whichever is larger: rounding errors do not shrink if terms cancel. */
static double layer_error(const hw__llama_engine *e, const layer_row *r, const hw__layer_graph *g, const hw__values *v,
                          const double *heads, const float *bias) {
    size_t D = (size_t)e->info.n_embd, width = v->n_heads * v->head_size;
    double difference[CHANNELS], want[CHANNELS], usual[CHANNELS], mean, s = norm_factor(r, v, D, &mean),
                                                                        biases[CHANNELS];
    size_t n = D < CHANNELS ? D : CHANNELS;
    for (size_t i = 0; i < n; i++) {
        size_t d = i * D / n;
        double sum = 0, squares = 0, gain = v->gain ? v->gain[d] : 1;
        double relative_bias = bias ? (double)g->bias_scale * bias[d] : 0;
        for (size_t c = 0; c < width; c++) {
            sum += v->wo[i * width + c] * heads[c];
            squares += (double)v->wo[i * width + c] * v->wo[i * width + c];
        }
        biases[i] = g->relative * relative_bias * (g->bias_after_norm ? 1 : gain * s);
        double value = v->scale * gain * s * sum - (double)g->relative * gain * s * mean + biases[i];
        difference[i] = value - r->added[d];
        usual[i] = v->scale * gain * s * sqrt(squares / (double)width) * length(heads, width);
        want[i] = fabs(r->added[d]) + fabs(biases[i]);
    }
    return relative(length(difference, n), fmax(length(want, n), length(usual, n)));
}

static void close_source(const hw__proof *p, hw__llama_engine *e, size_t source, hw__values *v) {
    const layer_row *r = &p->sources[source];
    const hw__layer_graph *g = &e->graphs[source];
    const hw_source *of = &e->sources[source];
    size_t D = p->n_embd, n = D < CHANNELS ? D : CHANNELS;
    size_t channels[CHANNELS];
    for (size_t i = 0; i < n; i++) channels[i] = i * D / n;
    hw_error why = {0};
    float *bias = NULL;
    double *heads = NULL, off = INFINITY;
    bool attention = of->layer >= 0;
    char *lacks = attention ? e->values_problem : e->recurrent_problem;
    hw_err rc =
        r->added && (r->heads || !attention) ? hw__llama_layer_values(e, v, source, channels, n, &why) : HW_ERR_ENGINE;
    if (rc == HW_OK) rc = read_vector(e, &bias, g->bias, D, &why);
    if (rc == HW_OK && v->norm != HW__NORM_NONE && !r->mixed) rc = HW_ERR_ENGINE;
    if (rc == HW_OK && attention && r->n_heads != v->n_heads)
        rc = hw__fail(&why, HW_ERR_UNSUPPORTED, "it has %zu heads", r->n_heads);
    if (rc == HW_OK) heads = hw__alloc(v->n_heads, v->head_size * sizeof *heads);
    bool mixed = heads && (attention || mix_recurrent(heads, r, v));
    e->no_memory = e->no_memory || rc == HW_ERR_MEMORY || (rc == HW_OK && !mixed);
    if (mixed) {
        if (attention) mix_heads(heads, r, v);
        off = layer_error(e, r, g, v, heads, bias);
    }
    double max = fmax(error_of_type(g->wo_type), e->params.f32_cache ? F32_ERROR : F16_ERROR);
    if (e->placement.remote) max = fmax(max, BF16_ERROR);
    if (rc != HW_OK) {
        problem(lacks, "block %d: %s", of->block, why.msg[0] ? why.msg : "the decode did not show it");
    } else if (!(off <= max)) {
        problem(lacks,
                "block %d: the values times %s are not what %s adds (off by %.2g of it, at most %.2g is accepted)",
                of->block, attention ? "attention weights" : "rows of its recurrence", hw_source_kind_name(of->kind),
                off, max);
    }
    free(bias);
    free(heads);
}

/* y [D] <- gain norm(final stream). */
static hw_err normed_final(const hw__proof *p, const hw__llama_engine *e, double *y, hw_error *err) {
    const hw__readout_graph *r = &e->readout;
    size_t D = p->n_embd;
    float *gain = NULL;
    hw_err rc = read_vector(e, &gain, r->norm, D, err);
    double mean = 0, squares = 0;
    for (size_t d = 0; d < D; d++) mean += p->final[d] / (double)D;
    if (r->kind != HW__NORM_LAYER) mean = 0;
    for (size_t d = 0; d < D; d++) squares += (p->final[d] - mean) * (p->final[d] - mean);
    double s = r->kind == HW__NORM_NONE ? 1 : 1 / sqrt(squares / (double)D + r->eps);
    for (size_t d = 0; d < D; d++) y[d] = (p->final[d] - mean) * s * (gain ? gain[d] : 1);
    free(gain);
    return rc;
}

/* out [n] <- rows w of the output weights times x [D], exactly. */
static hw_err exact_product(const hw__llama_engine *e, float *out, const hw__gguf_pick *w, const float *x,
                            hw_error *err) {
    float *row = hw__alloc(w->width, sizeof *row);
    hw_err rc = row ? HW_OK : hw__fail_memory(err, w->name, w->width, sizeof *row);
    for (size_t i = 0; rc == HW_OK && i < w->n; i++) {
        double sum = 0;
        rc = hw__gguf_rows(e->file, row, (hw__gguf_part){w->name, (size_t)w->ids[i], 1, w->width}, err);
        for (size_t d = 0; rc == HW_OK && d < w->width; d++) sum += (double)row[d] * x[d];
        out[i] = (float)sum;
    }
    free(row);
    return rc;
}

/* Whether the output product is not one of ggml's CPU backend, whose rounding can be repeated here. */
static bool product_elsewhere(const hw__llama_engine *e) { return e->placement.remote || e->readout.elsewhere; }

/* x [D] <- what enters the output product: the final stream after norm, gain and bias, but for fixed factors. */
static hw_err product_input(const hw__proof *p, const hw__llama_engine *e, float *x, hw_error *err) {
    const hw__readout_graph *r = &e->readout;
    size_t D = p->n_embd;
    double *y = hw__alloc(D, sizeof *y);
    float *bias = NULL;
    hw_err rc = y ? normed_final(p, e, y, err) : hw__fail_memory(err, "the probe's logits", D, sizeof *y);
    if (rc == HW_OK) rc = read_vector(e, &bias, r->norm_bias, D, err);
    for (size_t d = 0; rc == HW_OK && d < D; d++)
        x[d] = (float)(y[d] + (bias ? r->norm_bias_scale / r->scale * bias[d] : 0));
    free(y);
    free(bias);
    return rc;
}

/* Of TOKENS logits, relative to their deviation from the mean: |difference| from the engine's, and how far the CPU's
 * product of the same numbers, which rounds its input to 8 bits for most types of weights, is from the exact one. */
typedef struct logits_off {
    double engine, rounding;
} logits_off;

static hw_err logits_error(const hw__proof *p, hw__llama_engine *e, const float *logits, logits_off *off,
                           hw_error *err) {
    const hw__readout_graph *r = &e->readout;
    size_t D = p->n_embd, V = (size_t)e->info.n_vocab - r->n_masked, n = V < TOKENS ? V : TOKENS;
    double difference[TOKENS], engine[TOKENS], rounding[TOKENS], mean = 0;
    float made[TOKENS], rounded[TOKENS], *x = hw__alloc(D, sizeof *x);
    int32_t ids[TOKENS];
    for (size_t i = 0; i < n; i++) {
        size_t id = i * V / n;
        ids[i] = (int32_t)(id < r->mask_first ? id : id + r->n_masked);
    }
    hw_err rc = x ? product_input(p, e, x, err) : hw__fail_memory(err, "the probe's logits", D, sizeof *x);
    hw__gguf_pick w = {r->weight, D, n, ids};
    if (rc == HW_OK) rc = hw__weight_product(rounded, e->file, &w, x, err);
    if (rc == HW_OK && product_elsewhere(e)) {
        rc = exact_product(e, made, &w, x, err);
    } else {
        memcpy(made, rounded, sizeof made);
    }
    for (size_t i = 0; rc == HW_OK && i < n; i++) {
        float bias = 0;
        if (r->bias[0]) rc = hw__gguf_rows(e->file, &bias, (hw__gguf_part){r->bias, (size_t)ids[i], 1, 1}, err);
        double u = r->scale * made[i] + r->bias_scale * bias;
        engine[i] = logits[ids[i]];
        difference[i] = (r->cap > 0 ? r->cap * tanh(u / r->cap) : u) - engine[i];
        rounding[i] = r->scale * ((double)rounded[i] - made[i]);
        mean += engine[i] / (double)n;
    }
    for (size_t i = 0; rc == HW_OK && i < n; i++) engine[i] -= mean;
    if (rc == HW_OK)
        *off = (logits_off){relative(length(difference, n), length(engine, n)),
                            relative(length(rounding, n), length(engine, n))};
    free(x);
    return rc;
}

/* The rounding of a product on another device cannot be repeated here: it may be twice the CPU's of the same numbers,
 * which is measured, or BF16's. */
static void close_readout(const hw__proof *p, hw__llama_engine *e) {
    hw_error why = {0};
    logits_off off = {0};
    double max = e->readout.type == GGML_TYPE_F32 ? F32_ERROR : READOUT_ERROR;
    const float *logits = e->base.ops->logits(&e->base, (size_t)e->batch.n_tokens - 1);
    if (!p->final || !logits) {
        problem(e->readout_problem, "the probe's decode did not show the final stream");
        return;
    }
    if (logits_error(p, e, logits, &off, &why) != HW_OK) {
        problem(e->readout_problem, "%.200s", why.msg);
        e->no_memory = e->no_memory || why.code == HW_ERR_MEMORY;
        return;
    }
    if (product_elsewhere(e)) max = fmax(2 * off.rounding, BF16_ERROR);
    if (!(off.engine <= max))
        problem(e->readout_problem,
                "the final norm and output weights do not give the engine's logits (off by %.2g of "
                "their spread, at most %.2g is accepted)",
                off.engine, max);
}

/* The stream and the logits of the last decode. `last`: what it did not show is missing. */
static void close_row(const hw__proof *p, hw__llama_engine *e, bool last) {
    double *sum = hw__alloc(p->n_embd, sizeof *sum);
    bool shown = sum && p->origin && p->final;
    e->no_memory = e->no_memory || !sum;
    for (size_t l = 0; l < p->n_sources; l++) shown = shown && p->sources[l].before && p->sources[l].added;
    if (!shown && !last) {
        free(sum);
        return;
    }
    if (!e->values_problem[0] && !shown) problem(e->values_problem, "the probe's decode did not show the stream");
    if (!e->values_problem[0] && e->map) close_mixed(p, e);
    if (!e->values_problem[0] && !e->map) close_stream(p, e, sum);
    free(sum);
    if (!e->readout_problem[0] && (shown || !e->values_problem[0])) close_readout(p, e);
}

void hw__proof_close(const hw__proof *p, hw__llama_engine *e, bool sources) {
    hw__values values = {0};
    close_row(p, e, sources);
    for (size_t l = 0; sources && l < p->n_sources && !e->values_problem[0]; l++) close_source(p, e, l, &values);
    if (!e->readout_problem[0] && e->values_problem[0])
        problem(e->readout_problem, "what attention carries is not known: %.200s", e->values_problem);
    hw__values_clear(&values);
}
