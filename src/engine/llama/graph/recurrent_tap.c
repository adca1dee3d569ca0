/*
 * recurrent_tap.c - keeps the inputs of recurrent layers for each decoded token: the engine keeps only their state.
 *
 * One operation of ggml combines the tokens of such a layer. Its sources are read when the graph stops after it, while
 * they are valid:
 *
 *     GATED_DELTA_NET   q, k [S, H_k, tokens], v [S, H, tokens], log decay [1 or S, H, tokens],
 *                       beta [1, H, tokens], state
 *     SSM_SCAN          state [S, d, H], x [d, H, tokens], dt before softplus [H, tokens], A [1 or S, H],
 *                       B, C [S, H_k, tokens]
 *     GATED_LINEAR_ATTN k, v, q, g [S, H, tokens], state; RWKV_WKV7: r, w, k, v, a, b [S, H, tokens], state
 *     SSM_CONV          [taps - 1 + tokens, D], weights [taps, D]: a source of its own if no other operation follows it
 *
 * Where a short convolution makes the values (value_convolution.h), its input is kept in their place, and their parts
 * by token are made of that; the graph stops after the convolution too.
 *
 * A stop costs more than reading, if a decode is one token. libllama computes the next token with the same nodes, so
 * after such a decode those that were read are given memory of their own, at the end of the arena, and if all of an
 * operation's nodes have it the graph need not stop: they are read when the decode is done. In a graph built anew none
 * has it.
 *
 * Operations occur in the same order in all decodes, which identifies them. Keys, queries and values are kept as F16
 * unless the model's cache is F32, as for attention.
 */
#include "base/float16.h"
#include "engine/llama/graph/graph_nodes.h"
#include "engine/llama/graph/graph_ops.h"
#include "engine/llama/graph/value_convolution.h"
#include "math/short_convolution.h"
#include "math/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum part_name { QUERY, KEY, VALUE, WRITE, KEEP, KEEP_CHANNELS, REMOVED, ADDED, N_PARTS } part_name;

/* Numbers of each token, [tokens, width]. */
typedef struct part {
    void *cells;
    size_t width, size, capacity; /* numbers per token; bytes per number; capacity in tokens */
} part;

struct hw__recurrent_store {
    hw__recurrence kind;
    size_t n_heads, n_heads_k, key_size, value_size;
    part parts[N_PARTS]; /* width 0: not used by this kind; VALUE: the convolution's input if there is a front */
    hw__front front;
    float *made;   /* [n_channels] what the front made for the last token of the decode in progress */
    float *fixed;  /* rates or taps [H, S] */
    double scale;  /* of queries */
    float *output; /* [n_rows, H d] of the decode in progress, before D, norm and gate */
    size_t n_output;
    bool shown, front_shown; /* reached in the decode in progress */
};

/* ------------------------------------------------------------------ capacity */

hw_err hw__recurrent_new(hw__llama_engine *e, hw_error *err) {
    size_t n = (size_t)e->info.n_sources;
    e->recurrent.stores = hw__alloc(n, sizeof *e->recurrent.stores);
    e->recurrent.ops = hw__alloc(e->recurrent.n, sizeof *e->recurrent.ops);
    e->recurrent.late = hw__alloc(e->recurrent.n, sizeof *e->recurrent.late);
    if (e->recurrent.stores && e->recurrent.ops && e->recurrent.late) return HW_OK;
    return hw__fail_memory(err, "recurrent layers", n, sizeof *e->recurrent.stores);
}

void hw__recurrent_free(hw__llama_engine *e) {
    for (int32_t s = 0; e->recurrent.stores && s < e->info.n_sources; s++) {
        hw__recurrent_store *store = &e->recurrent.stores[s];
        for (size_t i = 0; i < N_PARTS; i++) free(store->parts[i].cells);
        free(store->fixed);
        free(store->output);
        free(store->made);
        hw__front_clear(&store->front);
    }
    free(e->recurrent.stores);
    free(e->recurrent.source_of);
    free(e->recurrent.front_of);
    free(e->recurrent.ops);
    free(e->recurrent.late);
    e->recurrent = (hw__recurrent_ops){0};
}

double hw__recurrent_token_bytes(const hw__llama_engine *e) {
    double bytes = 0;
    for (int32_t s = 0; e->recurrent.stores && s < e->info.n_sources; s++)
        for (size_t i = 0; i < N_PARTS; i++)
            bytes += (double)(e->recurrent.stores[s].parts[i].width * e->recurrent.stores[s].parts[i].size);
    return bytes;
}

double hw__recurrent_work_bytes(const hw__llama_engine *e) {
    double largest = 0;
    for (int32_t s = 0; e->recurrent.stores && s < e->info.n_sources; s++) {
        double bytes = 0;
        const hw__recurrent_store *store = &e->recurrent.stores[s];
        for (size_t i = 0; i < N_PARTS; i++)
            bytes += (double)store->parts[i].width * (i == KEEP ? sizeof(double) : sizeof(float));
        if (store->front.taps) bytes += (double)store->front.n_channels * (double)store->front.n_taps * sizeof(float);
        largest = fmax(largest, bytes);
    }
    return largest;
}

/* ------------------------------------------------------------------ shapes */

static bool set_part(hw__recurrent_store *store, part_name name, size_t width, size_t size) {
    part *p = &store->parts[name];
    if (p->width == 0) *p = (part){.width = width, .size = size};
    return p->width == width && p->size == size;
}

static size_t ne(const struct ggml_tensor *t, int i) { return (size_t)t->ne[i]; }

static bool is_f32(const struct ggml_tensor *t) { return t && t->type == GGML_TYPE_F32; }

static bool set_shape(hw__recurrent_store *store, hw__recurrence kind, size_t H, size_t Hk, size_t S, size_t d) {
    if (store->n_heads == 0) {
        store->kind = kind;
        store->n_heads = H;
        store->n_heads_k = Hk;
        store->key_size = S;
        store->value_size = d;
    }
    return store->kind == kind && store->n_heads == H && store->n_heads_k == Hk && store->key_size == S &&
           store->value_size == d;
}

/* Whether the operation has the expected shape; the first one defines it. `size`: bytes of a key's number. */
static bool fits_delta(hw__recurrent_store *store, const struct ggml_tensor *t, size_t n, size_t size) {
    const struct ggml_tensor *q = t->src[0], *k = t->src[1], *v = t->src[2], *g = t->src[3], *beta = t->src[4];
    if (!is_f32(q) || !is_f32(k) || !is_f32(v) || !is_f32(g) || !is_f32(beta)) return false;
    size_t S = ne(v, 0), H = ne(v, 1), Hk = ne(k, 1);
    bool wide = ne(g, 0) > 1;
    return ne(q, 0) == S && ne(k, 0) == S && ne(q, 1) == Hk && ne(v, 2) == n && ne(q, 2) == n && v->ne[3] == 1 &&
           (ne(g, 0) == 1 || ne(g, 0) == S) && ne(g, 1) == H && ne(beta, 0) == 1 && ne(beta, 1) == H && H % Hk == 0 &&
           set_shape(store, HW__RECURRENCE_DELTA, H, Hk, S, S) && set_part(store, QUERY, Hk * S, size) &&
           set_part(store, KEY, Hk * S, size) && set_part(store, VALUE, H * S, size) &&
           set_part(store, WRITE, H, sizeof(float)) &&
           (wide ? set_part(store, KEEP_CHANNELS, H * S, sizeof(float)) : set_part(store, KEEP, H, sizeof(double)));
}

static bool fits_scan(hw__recurrent_store *store, const struct ggml_tensor *t, size_t n, size_t size) {
    const struct ggml_tensor *x = t->src[1], *dt = t->src[2], *a = t->src[3], *b = t->src[4], *c = t->src[5];
    if (!is_f32(x) || !is_f32(dt) || !is_f32(a) || !is_f32(b) || !is_f32(c)) return false;
    size_t d = ne(x, 0), H = ne(x, 1), S = ne(b, 0), Hk = ne(b, 1);
    bool channels = ne(a, 0) > 1;
    if (ne(x, 2) != n || x->ne[3] != 1 || ne(dt, 0) != H || ne(dt, 1) != n || ne(a, 1) != H || ne(c, 0) != S ||
        ne(c, 1) != Hk || H % Hk || (channels && (ne(a, 0) != S || d != 1 || Hk != 1)))
        return false;
    return set_shape(store, channels ? HW__RECURRENCE_CHANNELS : HW__RECURRENCE_SCAN, H, Hk, S, d) &&
           set_part(store, QUERY, Hk * S, size) && set_part(store, KEY, Hk * S, size) &&
           set_part(store, VALUE, H * d, size) && set_part(store, WRITE, H, sizeof(float)) &&
           (channels || set_part(store, KEEP, H, sizeof(double)));
}

static bool fits_taps(hw__recurrent_store *store, const struct ggml_tensor *t, size_t n, size_t size) {
    const struct ggml_tensor *x = t->src[0], *w = t->src[1];
    return is_f32(x) && is_f32(w) && x->ne[2] == 1 && ne(w, 1) == ne(x, 1) && ne(x, 0) == ne(w, 0) - 1 + n &&
           set_shape(store, HW__RECURRENCE_TAPS, ne(x, 1), 1, ne(w, 0), 1) && set_part(store, VALUE, ne(x, 1), size);
}

/* The sources of a linear recurrence that each token has, by part. */
static void linear_sources(const struct ggml_tensor *of[N_PARTS], const struct ggml_tensor *t) {
    bool wkv7 = t->op == GGML_OP_RWKV_WKV7;
    of[QUERY] = t->src[wkv7 ? 0 : 2];
    of[KEY] = t->src[wkv7 ? 2 : 0];
    of[VALUE] = t->src[wkv7 ? 3 : 1];
    of[KEEP_CHANNELS] = t->src[wkv7 ? 1 : 3];
    of[REMOVED] = wkv7 ? t->src[4] : NULL;
    of[ADDED] = wkv7 ? t->src[5] : NULL;
}

static bool fits_linear(hw__recurrent_store *store, const struct ggml_tensor *t, size_t n, size_t size) {
    const struct ggml_tensor *of[N_PARTS] = {0}, *k = t->src[0];
    linear_sources(of, t);
    size_t S = ne(k, 0), H = ne(k, 1);
    bool fits = set_shape(store, HW__RECURRENCE_LINEAR, H, H, S, S);
    for (int i = 0; fits && i < N_PARTS; i++)
        fits = !of[i] || (is_f32(of[i]) && ne(of[i], 0) == S && ne(of[i], 1) == H && ne(of[i], 2) == n &&
                          of[i]->ne[3] == 1 && set_part(store, i, H * S, i == KEEP_CHANNELS ? sizeof(float) : size));
    return fits;
}

static bool fits(hw__recurrent_store *store, const struct ggml_tensor *t, size_t n, size_t size) {
    switch (t->op) {
    case GGML_OP_GATED_DELTA_NET: return fits_delta(store, t, n, size);
    case GGML_OP_SSM_SCAN: return fits_scan(store, t, n, size);
    case GGML_OP_SSM_CONV: return fits_taps(store, t, n, size);
    default: return fits_linear(store, t, n, size);
    }
}

/* ------------------------------------------------------------------ reading an operation */

/* Layout of a token's numbers in a tensor: [n1, n0], and their strides in bytes. */
typedef struct strided {
    size_t n0, n1, step0, step1, token, offset;
} strided;

static strided by_heads(const struct ggml_tensor *t) {
    return (strided){ne(t, 0), ne(t, 1), t->nb[0], t->nb[1], t->nb[2], 0};
}

static hw_err grow(part *p, size_t n_tokens, hw_error *err) {
    size_t capacity = p->capacity ? 2 * p->capacity : 256;
    if (n_tokens <= p->capacity) return HW_OK;
    if (capacity < n_tokens) capacity = n_tokens;
    void *cells = hw__realloc(p->cells, capacity, p->width * p->size);
    if (!cells) return hw__fail_memory(err, "what recurrent layers read of tokens", capacity, p->width * p->size);
    p->cells = cells;
    p->capacity = capacity;
    return HW_OK;
}

typedef double (*mapping)(double v); /* NULL: the number itself */
/* As ggml has it. */
static double softplus(double v) { return v > 20 ? v : log1p(exp(v)); }

/* Numbers [n] of a part, from number `at` on. */
static void put_row(part *p, size_t at, const float *row, size_t n) {
    if (p->size == sizeof(double)) {
        for (size_t c = 0; c < n; c++) ((double *)p->cells)[at + c] = row[c];
    } else if (p->size == sizeof(float)) {
        memcpy((float *)p->cells + at, row, n * sizeof *row);
    } else {
        hw__halves_of_floats((uint16_t *)p->cells + at, row, n);
    }
}

static float read_float(const unsigned char *at) {
    float v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* The same, mapped before they are rounded. */
static void put_mapped(part *p, size_t at, const float *row, size_t n, mapping map) {
    for (size_t c = 0; c < n; c++) {
        double v = map(row[c]);
        if (p->size == sizeof(double)) {
            ((double *)p->cells)[at + c] = v;
        } else {
            ((float *)p->cells)[at + c] = (float)v;
        }
    }
}

/* Appends the decode's n tokens to a part. */
static hw_err keep_rows(hw__llama_engine *e, part *p, const struct ggml_tensor *t, strided s, mapping map,
                        hw_error *err) {
    float *row = hw__alloc(s.n0, sizeof *row);
    if (!row) return hw__fail_memory(err, t->name, s.n0, sizeof *row);
    hw_err rc = grow(p, e->at + e->n_rows, err);
    const unsigned char *bytes = rc == HW_OK ? hw__device_read_bytes(e->device_read, t) : NULL;
    if (rc == HW_OK && !bytes) rc = hw__fail_memory(err, t->name, ggml_nbytes(t), 1);
    for (size_t i = 0; rc == HW_OK && i < e->n_rows * s.n1; i++) {
        const unsigned char *from = bytes + s.offset + i / s.n1 * s.token + i % s.n1 * s.step1;
        size_t at = (e->at + i / s.n1) * p->width + i % s.n1 * s.n0;
        if (s.step0 == sizeof(float)) {
            memcpy(row, from, s.n0 * sizeof *row);
        } else {
            for (size_t c = 0; c < s.n0; c++) row[c] = read_float(from + c * s.step0);
        }
        if (map) {
            put_mapped(p, at, row, s.n0, map);
        } else {
            put_row(p, at, row, s.n0);
        }
    }
    free(row);
    return rc;
}

/* Reads the weights [H, S] of rates or taps, once. */
static hw_err keep_fixed(hw__recurrent_store *store, const struct ggml_tensor *t, hw_error *err) {
    size_t n = (size_t)ggml_nelements(t);
    if (store->fixed) return HW_OK;
    float *fixed = hw__alloc(n, sizeof *fixed);
    if (!fixed) return hw__fail_memory(err, t->name, n, sizeof *fixed);
    ggml_backend_tensor_get(t, fixed, 0, n * sizeof *fixed);
    store->fixed = fixed;
    return HW_OK;
}

/* The factor by which a step keeps the state: exp(dt A), from the stored dt. */
static hw_err keep_decays(hw__llama_engine *e, hw__recurrent_store *store, hw_error *err) {
    part *keep = &store->parts[KEEP];
    const float *dt = store->parts[WRITE].cells;
    size_t H = store->n_heads;
    hw_err rc = grow(keep, e->at + e->n_rows, err);
    for (size_t i = e->at * H; rc == HW_OK && i < (e->at + e->n_rows) * H; i++)
        ((double *)keep->cells)[i] = exp((double)dt[i] * store->fixed[i % H]);
    return rc;
}

/* ------------------------------------------------------------------ the convolution in front */

hw_err hw__recurrent_find_fronts(hw__llama_engine *e, hw_error *err) {
    hw__recurrent_ops *r = &e->recurrent;
    size_t n_ops = 0;
    hw_err rc = HW_OK;
    for (size_t i = 0; i < r->n; i++) r->front_of[i] = -1;
    for (size_t i = 0; rc == HW_OK && i < e->record.n; i++) {
        const struct ggml_tensor *t = e->record.nodes[i];
        int32_t source = hw__is_recurrent_op(t) && n_ops < r->n ? r->source_of[n_ops++] : -1;
        if (source >= 0) rc = hw__front_find(&r->stores[source].front, t, err);
    }
    n_ops = 0;
    for (size_t i = 0; rc == HW_OK && i < e->record.n && n_ops < r->n; i++) {
        const struct ggml_tensor *t = e->record.nodes[i];
        if (!hw__is_recurrent_op(t)) continue;
        for (int32_t s = 0; s < e->info.n_sources; s++)
            if (r->stores[s].front.node == t && r->source_of[n_ops] < 0) r->front_of[n_ops] = s;
        n_ops++;
    }
    return rc;
}

hw__front *hw__recurrent_front(hw__llama_engine *e, size_t source) { return &e->recurrent.stores[source].front; }

/* Keeps the front's input, and computes what it makes for the last token. */
static hw_err keep_front(hw__llama_engine *e, hw__recurrent_store *s, const struct ggml_tensor *t, hw_error *err) {
    const hw__front *f = &s->front;
    const struct ggml_tensor *x = t->src[0];
    size_t n = e->n_rows, size = e->params.f32_cache ? sizeof(float) : sizeof(uint16_t);
    if (!is_f32(x) || !is_f32(t) || x->ne[2] != 1 || ne(x, 0) != f->n_taps - 1 + n ||
        ne(x, 1) < f->first + f->n_channels || ne(t, 0) != ne(x, 1) || !set_part(s, VALUE, f->n_channels, size))
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the convolution in front of a recurrent layer has another shape");
    const strided rows = {f->n_channels, 1, x->nb[1], 0, x->nb[0], (ne(x, 0) - n) * x->nb[0] + f->first * x->nb[1]};
    if (!s->made) s->made = hw__alloc(f->n_channels, sizeof *s->made);
    if (!s->made) return hw__fail_memory(err, "values of a recurrent layer", f->n_channels, sizeof *s->made);
    const unsigned char *bytes = hw__device_read_bytes(e->device_read, t);
    if (!bytes) return hw__fail_memory(err, t->name, ggml_nbytes(t), 1);
    bytes += (n - 1) * t->nb[1] + f->first * t->nb[0];
    for (size_t c = 0; c < f->n_channels; c++) s->made[c] = read_float(bytes + c * t->nb[0]) + f->bias[c];
    hw__silu_all(s->made, f->n_channels);
    s->front_shown = true;
    return keep_rows(e, &s->parts[VALUE], x, rows, NULL, err);
}

/* Whether what the front made are the values: differences are those of two ways to compute SiLU. */
static bool made_values(const hw__recurrent_store *s, const unsigned char *bytes, const struct ggml_tensor *v,
                        size_t row) {
    double difference = 0, all = 0;
    size_t d = ne(v, 0), H = ne(v, 1);
    if (d * H != s->front.n_channels) return false;
    for (size_t h = 0; h < H; h++) {
        const unsigned char *head = bytes + row * v->nb[2] + h * v->nb[1];
        for (size_t c = 0; c < d; c++) {
            double want = read_float(head + c * v->nb[0]), by = s->made[h * d + c] - want;
            difference += by * by;
            all += want * want;
        }
    }
    return difference <= 1e-8 * all;
}

/* The values, or what the front made them of. In the probe's first decode a front that does not make them is dropped.
 */
static hw_err keep_values(hw__llama_engine *e, hw__recurrent_store *s, const struct ggml_tensor *v, hw_error *err) {
    if (!s->front.taps) return keep_rows(e, &s->parts[VALUE], v, by_heads(v), NULL, err);
    const unsigned char *bytes = hw__device_read_bytes(e->device_read, v);
    if (!bytes) return hw__fail_memory(err, v->name, ggml_nbytes(v), 1);
    if (s->front_shown && made_values(s, bytes, v, e->n_rows - 1)) return HW_OK;
    if (!e->proof || e->at > 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the convolution in front does not make the values of %s", v->name);
    hw__front_clear(&s->front);
    return keep_rows(e, &s->parts[VALUE], v, by_heads(v), NULL, err);
}

static hw_err keep_delta(hw__llama_engine *e, hw__recurrent_store *s, const struct ggml_tensor *t, hw_error *err) {
    bool wide = s->parts[KEEP_CHANNELS].width;
    hw_err rc = keep_rows(e, &s->parts[QUERY], t->src[0], by_heads(t->src[0]), NULL, err);
    if (rc == HW_OK) rc = keep_rows(e, &s->parts[KEY], t->src[1], by_heads(t->src[1]), NULL, err);
    if (rc == HW_OK) rc = keep_values(e, s, t->src[2], err);
    if (rc == HW_OK)
        rc = keep_rows(e, &s->parts[wide ? KEEP_CHANNELS : KEEP], t->src[3], by_heads(t->src[3]), exp, err);
    return rc == HW_OK ? keep_rows(e, &s->parts[WRITE], t->src[4], by_heads(t->src[4]), NULL, err) : rc;
}

static hw_err keep_scan(hw__llama_engine *e, hw__recurrent_store *s, const struct ggml_tensor *t, hw_error *err) {
    const struct ggml_tensor *delta = t->src[2]; /* [tokens, channels] */
    const strided by_channels = {ne(delta, 0), 1, delta->nb[0], 0, delta->nb[1], 0};
    hw_err rc = keep_fixed(s, t->src[3], err);
    if (rc == HW_OK) rc = keep_values(e, s, t->src[1], err);
    if (rc == HW_OK) rc = keep_rows(e, &s->parts[WRITE], delta, by_channels, softplus, err);
    if (rc == HW_OK) rc = keep_rows(e, &s->parts[KEY], t->src[4], by_heads(t->src[4]), NULL, err);
    if (rc == HW_OK) rc = keep_rows(e, &s->parts[QUERY], t->src[5], by_heads(t->src[5]), NULL, err);
    return rc == HW_OK && s->kind == HW__RECURRENCE_SCAN ? keep_decays(e, s, err) : rc;
}

static hw_err keep_linear(hw__llama_engine *e, hw__recurrent_store *s, const struct ggml_tensor *t, hw_error *err) {
    const struct ggml_tensor *of[N_PARTS] = {0};
    hw_err rc = HW_OK;
    linear_sources(of, t);
    s->scale = t->op == GGML_OP_GATED_LINEAR_ATTN ? hw__node_param(t, 0) : 1;
    for (int i = 0; rc == HW_OK && i < N_PARTS; i++)
        if (of[i]) rc = keep_rows(e, &s->parts[i], of[i], by_heads(of[i]), NULL, err);
    return rc;
}

static hw_err keep_taps(hw__llama_engine *e, hw__recurrent_store *s, const struct ggml_tensor *t, hw_error *err) {
    const struct ggml_tensor *in = t->src[0]; /* [channels, columns]: the last n_rows columns, one per token */
    const strided by_columns = {ne(in, 1), 1, in->nb[1], 0, in->nb[0], (ne(in, 0) - e->n_rows) * in->nb[0]};
    hw_err rc = keep_fixed(s, t->src[1], err);
    return rc == HW_OK ? keep_rows(e, &s->parts[VALUE], in, by_columns, NULL, err) : rc;
}

static hw_err keep_output(hw__llama_engine *e, hw__recurrent_store *s, const struct ggml_tensor *t, hw_error *err) {
    size_t n = e->n_rows * s->n_heads * s->value_size;
    if (n > s->n_output) {
        free(s->output);
        s->output = hw__alloc(n, sizeof *s->output);
        s->n_output = s->output ? n : 0;
        if (!s->output) return hw__fail_memory(err, "outputs of recurrent layers", n, sizeof *s->output);
    }
    const void *bytes = hw__device_read_bytes(e->device_read, t);
    if (!bytes) return hw__fail_memory(err, t->name, ggml_nbytes(t), 1);
    memcpy(s->output, bytes, n * sizeof *s->output);
    return HW_OK;
}

/* ------------------------------------------------------------------ during a decode */

void hw__recurrent_begin(hw__llama_engine *e) {
    hw__recurrent_ops *r = &e->recurrent;
    r->n_seen = 0;
    if (e->at == 0) r->n_kept = 0;
    if (e->at == 0 && e->sink) r->first_query = e->sink->stream_from;
    for (int32_t s = 0; r->stores && s < e->info.n_sources; s++) r->stores[s].shown = r->stores[s].front_shown = false;
    for (size_t i = 0; r->ops && i < r->n; i++) {
        r->ops[i] = NULL;
        r->late[i] = false;
    }
}

/* ------------------------------------------------------------------ nodes of a graph that is used again */

/* The tensor whose memory a source is, if the source is read and no weight; NULL otherwise. */
static struct ggml_tensor *node_of_source(const struct ggml_tensor *op, int i) {
    enum { IDS = 6 }; /* of a scan */
    bool ids = op->op == GGML_OP_SSM_SCAN && i == IDS;
    struct ggml_tensor *t = ids || i == hw__recurrent_state(op) ? NULL : op->src[i];
    if (t && t->view_src) t = t->view_src;
    return t && !hw__is_weight(t) ? t : NULL;
}

static bool is_moved(const hw__llama_engine *e, const struct ggml_tensor *t) {
    const unsigned char *at = t->data, *end = e->arena.base + e->arena.bytes;
    return at >= end - e->recurrent.moved && at < end;
}

/* Whether all that is read of an operation stays until the decode is done. */
static bool stays(const hw__llama_engine *e, const struct ggml_tensor *op) {
    if (e->n_rows != 1 || !e->arena.open || !is_moved(e, op)) return false;
    for (int i = 0; i < GGML_MAX_SRC; i++) {
        const struct ggml_tensor *t = node_of_source(op, i);
        if (t && !is_moved(e, t)) return false;
    }
    return true;
}

/* Moves a node for the decodes that follow, if there is enough memory below `limit`. */
static void move(hw__llama_engine *e, struct ggml_tensor *t, size_t limit) {
    enum { ALIGNMENT = 256 };
    size_t bytes = (ggml_nbytes(t) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (is_moved(e, t) || t->view_src || t->op == GGML_OP_NONE || !t->buffer ||
        !ggml_backend_buffer_is_host(t->buffer) || bytes > limit - e->recurrent.moved)
        return;
    e->recurrent.moved += bytes;
    t->data = e->arena.base + e->arena.bytes - e->recurrent.moved;
}

/* Nodes of an earlier graph are gone. Half of what other nodes leave of the arena is enough for them to grow. */
void hw__recurrent_move(hw__llama_engine *e) {
    hw__recurrent_ops *r = &e->recurrent;
    size_t used = e->n_taps ? e->taps[e->n_taps - 1].place : 0, limit = (e->arena.bytes - used) / 2;
    if (e->n_rows != 1 || !e->arena.open || e->follower || r->n == 0 || !r->ops[0] || stays(e, r->ops[0])) return;
    r->moved = 0;
    for (size_t k = 0; k < r->n; k++) {
        if (!r->ops[k]) continue;
        for (int i = 0; i < GGML_MAX_SRC; i++)
            if (node_of_source(r->ops[k], i)) move(e, node_of_source(r->ops[k], i), limit);
        move(e, r->ops[k], limit);
    }
}

/* ------------------------------------------------------------------ operations that are reached */

/* Tokens are stored consecutively: after a pass that stored none, later ones are useless. */
static bool keeps(const hw__llama_engine *e) {
    return e->sink && e->sink->values && e->recurrent.stores && e->recurrent.n_kept == e->at;
}

bool hw__recurrent_wants(hw__llama_engine *e, struct ggml_tensor *t) {
    hw__recurrent_ops *r = &e->recurrent;
    if (!hw__is_recurrent_op(t) || !keeps(e)) return false;
    size_t i = r->n_seen++;
    bool reads = i < r->n && (r->source_of[i] >= 0 || (r->front_of[i] >= 0 && r->stores[r->front_of[i]].front.taps));
    if (!reads) return false;
    r->ops[i] = t;
    r->late[i] = stays(e, t);
    return !r->late[i];
}

static bool show_front(hw__llama_engine *e, int32_t source, const struct ggml_tensor *t) {
    if (t->op == GGML_OP_SSM_CONV) {
        e->failed = keep_front(e, &e->recurrent.stores[source], t, &e->failure);
    } else {
        e->failed = hw__fail(&e->failure, HW_ERR_UNSUPPORTED, "block %d of %s has no convolution",
                             e->sources[source].block, e->info.architecture);
    }
    return e->failed == HW_OK;
}

bool hw__recurrent_show(hw__llama_engine *e, const struct ggml_tensor *t) {
    int32_t source = e->recurrent.source_of[e->recurrent.n_seen - 1];
    if (source < 0) return show_front(e, e->recurrent.front_of[e->recurrent.n_seen - 1], t);
    hw__recurrent_store *store = &e->recurrent.stores[source];
    if (hw__recurrent_kind(t) != e->sources[source].kind ||
        !fits(store, t, e->n_rows, e->params.f32_cache ? sizeof(float) : sizeof(uint16_t))) {
        e->failed = hw__fail(&e->failure, HW_ERR_UNSUPPORTED, "block %d of %s: its %s reads tensors of another shape",
                             e->sources[source].block, e->info.architecture, ggml_op_desc(t));
        return false;
    }
    switch (store->kind) {
    case HW__RECURRENCE_DELTA: e->failed = keep_delta(e, store, t, &e->failure); break;
    case HW__RECURRENCE_TAPS: e->failed = keep_taps(e, store, t, &e->failure); break;
    case HW__RECURRENCE_LINEAR: e->failed = keep_linear(e, store, t, &e->failure); break;
    default: e->failed = keep_scan(e, store, t, &e->failure);
    }
    if (e->failed == HW_OK) e->failed = keep_output(e, store, t, &e->failure);
    store->shown = e->failed == HW_OK;
    return store->shown;
}

bool hw__recurrent_show_late(hw__llama_engine *e) {
    hw__recurrent_ops *r = &e->recurrent;
    bool ok = true;
    size_t n_seen = r->n_seen;
    for (size_t i = 0; ok && r->ops && i < r->n; i++) {
        if (!r->late[i]) continue;
        r->n_seen = i + 1;
        r->late[i] = false;
        ok = hw__recurrent_show(e, r->ops[i]);
    }
    r->n_seen = n_seen;
    return ok;
}

hw_err hw__recurrent_end(hw__llama_engine *e, hw_error *err) {
    hw__recurrent_ops *r = &e->recurrent;
    if (!keeps(e)) return HW_OK;
    for (int32_t s = 0; s < e->info.n_sources; s++)
        if (e->sources[s].layer < 0 && !r->stores[s].shown)
            return hw__fail(err, HW_ERR_UNSUPPORTED,
                            "the graph for %zu tokens has no %s in block %d, which that of the probe has", e->n_rows,
                            hw_source_kind_name(e->sources[s].kind), e->sources[s].block);
    r->n_kept = e->at + e->n_rows;
    return HW_OK;
}

const float *hw__recurrent_output(const hw__llama_engine *e, size_t source) {
    return e->recurrent.stores[source].output;
}

/* ------------------------------------------------------------------ for signals */

/* to [n] <- the first numbers of a part. */
static void read_part(float *to, const part *p, size_t first, size_t n) {
    if (p->size == sizeof(float)) {
        memcpy(to, (const float *)p->cells + first, n * sizeof *to);
    } else {
        hw__floats_of_halves(to, (const uint16_t *)p->cells + first, n);
    }
}

/* to [width, take], n floats apart <- rows [take, width]. */
HW__SIMD static void turn(float *restrict to, size_t n, const float *restrict rows, size_t step, size_t take,
                          size_t width) {
    for (size_t c = 0; c < width; c++)
        for (size_t t = 0; t < take; t++) to[c * n + t] = rows[t * step + c];
}

/* to [width, n] <- tokens from .. n - 1 of a part, transposed TURNED tokens at a time, which fill whole cache lines.
 * rows: [TURNED, width + PADDING], since numbers of several tokens a power of two apart would share few places of the
 * cache. */
enum { TURNED = 16, PADDING = 16 };
static void turn_part(float *to, const part *p, size_t from, size_t n, float *rows) {
    size_t step = p->width + PADDING;
    for (size_t first = from; first < n; first += TURNED) {
        size_t take = n - first < TURNED ? n - first : TURNED;
        for (size_t t = 0; t < take; t++) read_part(rows + t * step, p, (first + t) * p->width, p->width);
        turn(to + first, n, rows, step, take, p->width);
    }
}

/* Layout of a layer's data in hw__values.kept. */
typedef struct layout {
    size_t query, key, channels, removed, added, write, own, row, input, scratch, end;
} layout;

static layout layout_of(const hw__recurrent_store *s, size_t n, size_t n_queries) {
    layout at = {0};
    at.key = at.query + n_queries * s->parts[QUERY].width;
    at.channels = at.key + n * s->parts[KEY].width;
    at.removed = at.channels + n * s->parts[KEEP_CHANNELS].width;
    at.added = at.removed + n * s->parts[REMOVED].width;
    at.write = at.added + n * s->parts[ADDED].width;
    at.own = at.write + n * s->parts[WRITE].width;
    at.row = at.own + s->n_heads * (s->parts[REMOVED].width ? n_queries + s->key_size : 1);
    at.input = at.row + TURNED * (s->n_heads * s->value_size + PADDING);
    at.scratch = at.input + (s->front.taps ? n * s->front.n_channels : 0);
    at.end = at.scratch + (s->front.taps ? n : 0);
    return at;
}

static size_t n_taps(const hw__recurrent_store *s) { return s->front.taps ? s->front.n_taps : 1; }

static hw_err make_kept(hw__values *out, const hw__recurrent_store *s, size_t n, size_t floats, hw_error *err) {
    size_t keep = n * s->parts[KEEP].width, values = n * s->parts[VALUE].width * n_taps(s);
    if (keep > out->n_kept_double) {
        free(out->kept_double);
        out->kept_double = hw__alloc(keep, sizeof *out->kept_double);
        out->n_kept_double = out->kept_double ? keep : 0;
    }
    if (hw__reserve_floats(&out->kept, &out->n_kept, floats) && hw__reserve_floats(&out->v, &out->v_capacity, values) &&
        keep <= out->n_kept_double)
        return HW_OK;
    return hw__fail_memory(err, "what a recurrent layer read", floats + values, sizeof(float));
}

static void fill_arrays(hw__values *out, const hw__recurrent_store *s, const layout *at, size_t n, size_t first_query) {
    float *kept = out->kept;
    size_t H = s->n_heads, n_queries = n - first_query, query_width = s->parts[QUERY].width;
    if (query_width) {
        read_part(kept + at->query, &s->parts[QUERY], first_query * query_width, n_queries * query_width);
        read_part(kept + at->key, &s->parts[KEY], 0, n * s->parts[KEY].width);
    }
    bool delta = s->kind == HW__RECURRENCE_DELTA;
    double scale = delta ? 1 / sqrt((double)s->key_size) : s->scale; /* a delta net's kernel scales its queries */
    for (size_t i = 0; (delta || s->kind == HW__RECURRENCE_LINEAR) && i < n_queries * query_width; i++)
        kept[at->query + i] = (float)(kept[at->query + i] * scale);
    const size_t places[][2] = {{KEEP_CHANNELS, at->channels}, {REMOVED, at->removed}, {ADDED, at->added}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        read_part(kept + places[i][1], &s->parts[places[i][0]], 0, n * s->parts[places[i][0]].width);
    if (s->parts[WRITE].width) turn_part(kept + at->write, &s->parts[WRITE], 0, n, kept + at->row);
    for (size_t t = 0; s->parts[KEEP].width && t < n; t++)
        for (size_t h = 0; h < H; h++) out->kept_double[h * n + t] = ((const double *)s->parts[KEEP].cells)[t * H + h];
}

/* Values that no row weights are neither read nor made: see hw__recurrent.begin. first [H]: of each head. */
static void fill_values(hw__values *out, const hw__recurrent_store *s, const layout *at, const size_t *first,
                        size_t from) {
    float *kept = out->kept, *v = out->v;
    size_t n = out->n_tokens, back = n_taps(s) - 1;
    if (!s->front.taps) {
        turn_part(v, &s->parts[VALUE], from, n, kept + at->row);
        return;
    }
    turn_part(kept + at->input, &s->parts[VALUE], from > back ? from - back : 0, n, kept + at->row);
    for (size_t c = 0; c < s->front.n_channels; c++) {
        const hw__short_convolution of = {s->front.taps + c * s->front.n_taps, s->front.n_taps, s->front.bias[c]};
        size_t begin = first[c / s->value_size];
        for (size_t i = 0; i <= back; i++)
            memset(v + (i * s->front.n_channels + c) * n + from, 0, (begin - from) * sizeof *v);
        hw__short_convolution_parts(v + c * n, s->front.n_channels * n, &of, kept + at->input + c * n,
                                    (hw__token_range){begin, n}, kept + at->scratch);
    }
}

/* first [H] <- the first token of each head that gives a part of a value which a row weights; returns the first of
 * all. */
static size_t find_reach(size_t *first, const hw__recurrent *r) {
    size_t from = r->n_tokens, back = r->n_parts ? r->n_parts - 1 : 0;
    for (size_t h = 0; h < r->n_heads; h++) {
        size_t reach = hw__recurrent_reach(r, h);
        first[h] = reach > back ? reach - back : 0;
        if (first[h] < from) from = first[h];
    }
    return from;
}

/* RWKV 7's bonus: of its own value a row has sum_c q_c k_c weight_c more. own [n_queries, H]; the weights [H, S] are
 * behind it. */
static void fill_bonus(float *own, const hw__recurrent_store *s, const hw__recurrent *r) {
    size_t H = s->n_heads, S = s->key_size, n_queries = r->n_tokens - r->first_query;
    const float *weights = own + n_queries * H;
    for (size_t i = 0; i < n_queries; i++)
        for (size_t h = 0; h < H; h++) {
            const float *q = r->q + (i * H + h) * S, *k = r->k + ((r->first_query + i) * H + h) * S;
            double sum = 0;
            for (size_t c = 0; c < S; c++) sum += (double)q[c] * k[c] * weights[h * S + c];
            own[i * H + h] = (float)sum;
        }
}

hw_err hw__recurrent_fill(hw__llama_engine *e, hw__values *out, size_t source, hw_error *err) {
    const hw__recurrent_store *s = &e->recurrent.stores[source];
    const struct ggml_tensor *own = e->graphs[source].own;
    size_t n = e->n_done, first = e->recurrent.first_query < n ? e->recurrent.first_query : n;
    if (e->recurrent.n_kept < n)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "what its recurrent layer read was kept of %zu of %zu tokens",
                        e->recurrent.n_kept, n);
    layout at = layout_of(s, n, n - first);
    hw_err rc = make_kept(out, s, n, at.end, err);
    if (rc != HW_OK) return rc;
    fill_arrays(out, s, &at, n, first);
    bool turns = s->parts[REMOVED].width;
    float *own_at = out->kept + at.own + (turns ? (n - first) * s->n_heads : 0);
    if (own) ggml_backend_tensor_get(own, own_at, 0, s->n_heads * (turns ? s->key_size : 1) * sizeof(float));
    bool channels = s->kind == HW__RECURRENCE_CHANNELS, taps = s->kind == HW__RECURRENCE_TAPS,
         rows = !channels && !taps;
    out->n_heads = out->n_heads_kv = rows ? s->n_heads : 1;
    out->head_size = rows ? s->value_size : s->n_heads * s->value_size;
    out->n_tokens = n;
    out->n_taps = n_taps(s);
    out->recurrent_storage =
        (hw__recurrent){.kind = s->kind,
                        .n_tokens = n,
                        .n_heads = s->n_heads,
                        .n_heads_k = s->n_heads_k,
                        .key_size = s->key_size,
                        .first_query = first,
                        .q = out->kept + at.query,
                        .k = out->kept + at.key,
                        .keep = out->kept_double,
                        .keep_channels = s->parts[KEEP_CHANNELS].width ? out->kept + at.channels : NULL,
                        .removed = turns ? out->kept + at.removed : NULL,
                        .added = turns ? out->kept + at.added : NULL,
                        .write = out->kept + at.write,
                        .rates = channels ? s->fixed : NULL,
                        .taps = taps ? s->fixed : NULL,
                        .own = own && !turns ? out->kept + at.own : NULL,
                        .own_rows = own && turns ? out->kept + at.own : NULL,
                        .n_parts = n_taps(s)};
    out->recurrent = &out->recurrent_storage;
    if (own && turns) fill_bonus(out->kept + at.own, s, out->recurrent);
    size_t *reach = hw__alloc(s->n_heads, sizeof *reach);
    if (!reach) return hw__fail_memory(err, "what a recurrent layer read", s->n_heads, sizeof *reach);
    out->recurrent_storage.begin = find_reach(reach, out->recurrent);
    fill_values(out, s, &at, reach, out->recurrent_storage.begin);
    free(reach);
    return HW_OK;
}
