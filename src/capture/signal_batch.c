/* signal_batch.c - keeps rows, then computes their signals one layer at a time. */
#include "capture/signal_batch.h"

#include "base/parallel_for.h"
#include "capture/contribution_math.h"
#include "math/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the outputs of a source's heads are multiplied by. */
struct hw__factors {
    float *cells; /* [capacity, width] */
    size_t width;
};

/* Memory for batched heads: the first limit, or the second if signals are kept as sums, because heads would otherwise
 * be most of the run's memory. Half of the first made decoding after 2,048 tokens 1.19 times plain generation's instead
 * of 1.15; batches of MIN_BATCH_ROWS rows took a sixth more processor time than 64 MB, after 4,401 tokens. */
static const size_t BATCH_BYTES = (size_t)128 << 20, SMALL_BATCH_BYTES = (size_t)16 << 20;
enum { MIN_BATCH_ROWS = 4 };

static const uint32_t NEEDS_READOUT = 1u << HW_SIGNAL_LOGIT;
static const uint32_t NEEDS_VALUES = ~(1u << HW_SIGNAL_RESIDUAL); /* signals that need more than the stream */

/* Every-row signals, in the order of the target-row signals. */
enum { N_MEASURES = HW_SIGNAL_PROXIMITY2 + 1, N_ROW_SIGNALS = HW_SIGNAL_RESIDUAL };
static hw_signal every(int signal) { return (hw_signal)(HW_SIGNAL_ALL_PROJECTION + signal); }
static uint32_t both(int signal) { return 1u << signal | 1u << every(signal); }
static const uint32_t EVERY_ROW = ((1u << N_MEASURES) - 1) << HW_SIGNAL_ALL_PROJECTION;

/* Maximum memory of all every-row signals together. */
static const uint64_t MAX_EVERY_BYTES = (uint64_t)4 << 30;

/* Each takes as much memory as attention itself: T^2 / 2 per layer. */
static hw_err check_memory(const hw_trace *trace, uint32_t wanted, size_t n_tokens, hw_error *err) {
    double layer = (double)n_tokens * ((double)n_tokens + 1) / 2 * sizeof(float), bytes = 0;
    for (int s = 0; s < N_MEASURES; s++)
        if (wanted & 1u << every(s)) bytes += layer * (double)trace->n_sources;
    if (bytes <= (double)MAX_EVERY_BYTES) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "contributions of every row over %zu tokens and %zu layers would take %.1f GiB, at most %.0f GiB "
                    "are kept: shorten "
                    "the prompt, or aggregate by mean, which needs the rows of interest alone",
                    n_tokens, trace->n_sources, bytes / (1 << 30), (double)MAX_EVERY_BYTES / (1 << 30));
}

static hw_err check_engine(const hw_model_info *info, uint32_t wanted, hw_error *err) {
    if (info->values_problem[0])
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s cannot show what attention carries: %s", info->path,
                        info->values_problem);
    if (wanted & NEEDS_READOUT && info->readout_problem[0])
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s cannot show how logits arise: %s", info->path,
                        info->readout_problem);
    return HW_OK;
}

/* Size of a batched row: heads of attention layers, or the stream around recurrent ones. */
typedef struct row_shape {
    size_t n_layers, n_sources, n_heads, n_embd;
} row_shape;

/* Capacity in rows for `rows` rows: as many as fit, at least one, and all if only few more than fit would need a second
 * batch, because each batch reads the values and weights of all layers. */
static size_t rows_that_fit(const row_shape *shape, size_t n_tokens, size_t rows, bool small) {
    size_t floats = shape->n_layers * shape->n_heads * n_tokens;
    floats += (shape->n_sources - shape->n_layers) * 4 * shape->n_embd;
    size_t bytes = (floats ? floats : 1) * sizeof(float), capacity = BATCH_BYTES / bytes;
    if (small && capacity > MIN_BATCH_ROWS)
        capacity = SMALL_BATCH_BYTES / bytes > MIN_BATCH_ROWS ? SMALL_BATCH_BYTES / bytes : MIN_BATCH_ROWS;
    if (capacity < 1) capacity = 1;
    if (!small && rows - rows / 3 <= capacity) capacity = rows;
    if (capacity > HW__MAX_BATCH_ROWS) capacity = HW__MAX_BATCH_ROWS;
    return capacity > rows ? rows : capacity;
}

/* Number of keys of this many rows, the last of which is row end-1. */
static double keys_of(size_t rows, size_t end) { return (double)rows * ((double)end - ((double)rows - 1) / 2); }

/* Rows have different lengths, so the longest rows that can be batched together are counted: the last ones of the
 * prompt that fill the batch, or those after them. */
uint64_t hw__signal_batch_bytes(const hw__engine *engine, uint32_t wanted, size_t n_prompt, size_t n_tokens,
                                bool sums) {
    const hw_model_info *info = engine->ops->describe(engine);
    if (!wanted || info->n_layers + info->n_sources < 1 || info->n_heads < 1 || n_tokens < 1) return 0;
    size_t L = (size_t)info->n_layers, H = (size_t)info->n_heads;
    size_t S = info->n_sources > info->n_layers ? (size_t)info->n_sources : L;
    bool of_all = wanted & EVERY_ROW;
    row_shape shape = {L, S, H, (size_t)info->n_embd};
    size_t rows = of_all ? n_tokens : n_tokens - n_prompt + 1;
    size_t capacity = rows_that_fit(&shape, n_tokens, rows, sums && !of_all);
    size_t of_prompt = rows - (n_tokens - n_prompt), left = of_prompt % capacity, last = left + n_tokens - n_prompt;
    double whole = of_prompt < capacity ? 0 : keys_of(capacity, n_prompt - left);
    double rest = keys_of(last < capacity ? last : capacity, n_tokens);
    double heads = (double)L * (double)H * (whole > rest ? whole : rest),
           stream = 3.0 * (double)capacity * info->n_embd;
    double factors = (double)capacity * (double)engine->n_factors, mixing = 0;
    if (engine->n_mixing) mixing = (double)capacity * ((double)engine->n_mixing + ((double)S + 1) * info->n_embd);
    return (uint64_t)((heads + (double)S * stream + factors + mixing) * sizeof(float));
}

/* Rows are stored contiguously, each with its own length: memory of unused rows is not touched. */
static float *heads_at(const hw__signal_batch *p, size_t layer, size_t slot) {
    size_t before = slot * (p->first + 1) + slot * (slot - 1) / 2; /* columns of the slots before this one */
    return p->heads + p->n_heads * (layer * p->capacity * p->n_keys + before);
}

/* Prefaults the memory of batched target rows, as hw__trace_prefault() does for their signals. */
static void prefault_rows(const hw__signal_batch *p) {
    for (size_t l = 0; l < p->trace->n_layers; l++)
        hw__prefault(heads_at(p, l, 0), (size_t)(heads_at(p, l, p->capacity) - heads_at(p, l, 0)) * sizeof *p->heads);
    hw__prefault(p->added, p->n_sources * p->capacity * p->n_embd * sizeof *p->added);
}

hw_err hw__signal_batch_compare(hw__signal_batch *p, size_t n_others, hw_error *err) {
    if (!p->wanted) return HW_OK;
    size_t n = p->capacity * n_others; /* at most HW__MAX_BATCH_ROWS HW__MAX_OTHERS */
    p->contrasts = hw__alloc(p->capacity, sizeof *p->contrasts);
    p->ids = hw__alloc(n + 1, sizeof *p->ids);
    p->weights = hw__alloc(n + 1, sizeof *p->weights);
    if (!p->contrasts || !p->ids || !p->weights)
        return hw__fail_memory(err, "tokens to compare logits with", n, sizeof *p->ids + sizeof *p->weights);
    for (size_t i = 0; i < p->capacity; i++)
        p->contrasts[i] = (hw__contrast){.ids = p->ids + i * n_others, .weights = p->weights + i * n_others};
    return HW_OK;
}

hw_err hw__signal_batch_new(hw__signal_batch *p, hw_trace *trace, uint32_t wanted, const hw__engine *engine,
                            size_t n_tokens, hw_error *err) {
    const hw_model_info *info = engine->ops->describe(engine);
    *p = (hw__signal_batch){.trace = trace, .wanted = wanted, .n_mixing = engine->n_mixing};
    if (!wanted) return HW_OK;
    hw_err rc = check_engine(info, wanted, err);
    if (rc == HW_OK) rc = check_memory(trace, wanted, n_tokens, err);
    if (rc != HW_OK) return rc;
    size_t of_interest = trace->run->n_prompt - 1;
    p->every = wanted & EVERY_ROW;
    p->n_keys = n_tokens;
    p->n_embd = (size_t)info->n_embd;
    p->n_heads = (size_t)info->n_heads;
    p->first = p->every ? 0 : of_interest;
    p->n_sources = trace->n_sources;
    p->sources = trace->run->model.sources;
    size_t row = p->n_heads * p->n_keys;
    row_shape shape = {trace->n_layers, p->n_sources, p->n_heads, p->n_embd};
    p->capacity = rows_that_fit(&shape, n_tokens, n_tokens - p->first, trace->signals.groups && !p->every);
    size_t stream = p->n_sources * p->capacity;
    p->heads = hw__alloc(trace->n_layers * p->capacity, row * sizeof(float));
    p->factors = hw__alloc(p->n_sources, sizeof *p->factors);
    p->before = hw__alloc(stream, p->n_embd * sizeof(float));
    p->added = hw__alloc(stream, p->n_embd * sizeof(float));
    p->mixed = hw__alloc(stream, p->n_embd * sizeof(float));
    p->shown = hw__alloc(stream, sizeof *p->shown);
    p->final = hw__alloc(p->capacity, p->n_embd * sizeof(float));
    p->origin = hw__alloc(p->capacity, p->n_embd * sizeof(float));
    p->logit = hw__alloc(p->capacity, sizeof *p->logit);
    p->mixing = hw__alloc(p->capacity, p->n_mixing * sizeof(float));
    if (!p->heads || !p->before || !p->added || !p->mixed || !p->final || !p->origin || !p->logit || !p->shown ||
        !p->factors || !p->mixing)
        return hw__fail_memory(err, "rows to explain", stream, (row + 3 * p->n_embd) * sizeof(float));
    rc = hw__trace_add_signals(trace, wanted, n_tokens - of_interest, n_tokens, err);
    if (rc == HW_OK && !p->every) prefault_rows(p);
    return rc;
}

void hw__signal_batch_skip(hw__signal_batch *p, size_t n) {
    if (p->first < n) p->first = n;
}

bool hw__signal_batch_reads_values(const hw__signal_batch *p) { return p->wanted & NEEDS_VALUES; }

size_t hw__signal_batch_from(const hw__signal_batch *p) {
    bool all = p->every || p->wanted & 1u << HW_SIGNAL_RESIDUAL;
    return p->wanted && !all ? p->trace->run->n_prompt - 1 : 0;
}

/* Slot of absolute row q, or -1 if it is not kept. */
static ptrdiff_t slot_of(const hw__signal_batch *p, size_t q) {
    return q < p->first || q - p->first >= p->capacity ? -1 : (ptrdiff_t)(q - p->first);
}

static float *stream_at(const hw__signal_batch *p, float *of, size_t source, size_t slot) {
    return of + (source * p->capacity + slot) * p->n_embd;
}

hw_err hw__signal_batch_heads(hw__signal_batch *p, size_t layer, const hw__heads *h, hw_error *err) {
    if (!p->wanted || h->mean) return HW_OK; /* means are of rows before the first one kept */
    if (h->n_heads > p->n_heads)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "layer %zu has %zu heads, the model %zu at most", layer, h->n_heads,
                        p->n_heads);
    for (size_t i = 0; i < h->n_rows; i++) {
        size_t q = h->q0 + i;
        ptrdiff_t slot = slot_of(p, q);
        if (slot < 0) continue;
        for (size_t head = 0; head < h->n_heads; head++)
            memcpy(heads_at(p, layer, (size_t)slot) + head * (q + 1),
                   h->attn + head * h->head_stride + i * h->row_stride, (q + 1) * sizeof(float));
        if ((size_t)slot >= p->n) p->n = (size_t)slot + 1;
    }
    return HW_OK;
}

static double length(const float *v, size_t n) { return sqrt(hw__dot(v, v, n)); }

/* Allocates the factors of batched rows. */
static hw_err fit_factors(hw__signal_batch *p, size_t source, size_t width, hw_error *err) {
    struct hw__factors *f = &p->factors[source];
    if (!f->cells) {
        f->cells = hw__alloc(p->capacity, width * sizeof *f->cells);
        f->width = f->cells ? width : 0;
        if (!f->cells) return hw__fail_memory(err, "gates", p->capacity, width * sizeof *f->cells);
    }
    if (f->width == width) return HW_OK;
    return hw__fail(err, HW_ERR_UNSUPPORTED, "source %zu gates %zu channels, and %zu before", source, width, f->width);
}

static float *factor_at(const hw__signal_batch *p, size_t source, size_t slot) {
    const struct hw__factors *f = &p->factors[source];
    return f->cells ? f->cells + slot * f->width : NULL;
}

static void note_residual(const hw__signal_batch *p, size_t layer, size_t q, const float *before, const float *added) {
    float *residual = p->trace->signals.values[HW_SIGNAL_RESIDUAL];
    if (!residual) return;
    double a = length(added, p->n_embd), x = length(before, p->n_embd);
    residual[layer * p->trace->signals.n_tokens + q] = (float)(a + x > 0 ? a / (a + x) : 0);
}

/* Whether a measure is recorded in a layer. */
static bool is_recorded(const hw__signal_batch *p, hw_signal signal, size_t layer) {
    return signal != HW_SIGNAL_PROJECTION || !p->trace->gathered_only || hw__is_gathered(layer, p->n_sources);
}

hw_err hw__signal_batch_stream(hw__signal_batch *p, size_t source, const hw__stream *s, hw_error *err) {
    hw_err rc = s->factor ? fit_factors(p, source, s->factor_width, err) : HW_OK;
    int32_t layer = p->sources[source].layer;
    if (rc != HW_OK) return rc;
    uint32_t by_before = p->wanted & ~(1u << HW_SIGNAL_RESIDUAL | 1u << HW_SIGNAL_LOGIT); /* the logit: only `added` */
    bool projects_only = by_before == 1u << HW_SIGNAL_PROJECTION;
    bool needs_before = projects_only ? is_recorded(p, HW_SIGNAL_PROJECTION, source) : by_before != 0;
    for (size_t i = 0; i < s->n_rows; i++) {
        const float *before = s->before + i * p->n_embd, *added = s->added + i * p->n_embd;
        if (layer >= 0) note_residual(p, (size_t)layer, s->q0 + i, before, added);
        ptrdiff_t slot = slot_of(p, s->q0 + i);
        if (slot < 0) continue;
        size_t bytes = p->n_embd * sizeof(float);
        if (needs_before) memcpy(stream_at(p, p->before, source, (size_t)slot), before, bytes);
        memcpy(stream_at(p, p->added, source, (size_t)slot), added, bytes);
        if (s->mixed) memcpy(stream_at(p, p->mixed, source, (size_t)slot), s->mixed + i * p->n_embd, bytes);
        if (s->factor)
            memcpy(factor_at(p, source, (size_t)slot), s->factor + i * s->factor_width,
                   s->factor_width * sizeof(float));
        p->shown[source * p->capacity + (size_t)slot] = true;
        if ((size_t)slot >= p->n) p->n = (size_t)slot + 1;
    }
    return HW_OK;
}

/* to [capacity, D] <- those of rows [n_rows, D] that are kept. */
static void copy_waiting(const hw__signal_batch *p, float *to, const float *rows, size_t n_rows, size_t q0) {
    for (size_t i = 0; i < n_rows; i++) {
        ptrdiff_t slot = slot_of(p, q0 + i);
        if (slot >= 0) memcpy(to + (size_t)slot * p->n_embd, rows + i * p->n_embd, p->n_embd * sizeof(float));
    }
}

hw_err hw__signal_batch_final(hw__signal_batch *p, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    (void)err;
    copy_waiting(p, p->final, rows, n_rows, q0);
    return HW_OK;
}

hw_err hw__signal_batch_origin(hw__signal_batch *p, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    (void)err;
    copy_waiting(p, p->origin, rows, n_rows, q0);
    return HW_OK;
}

hw_err hw__signal_batch_mixing(hw__signal_batch *p, const float *row, size_t q, hw_error *err) {
    (void)err;
    ptrdiff_t slot = p->wanted ? slot_of(p, q) : -1;
    if (slot >= 0) memcpy(p->mixing + (size_t)slot * p->n_mixing, row, p->n_mixing * sizeof *row);
    return HW_OK;
}

hw__contrast *hw__signal_batch_contrast(hw__signal_batch *p, size_t q, double **logit) {
    ptrdiff_t slot = p->wanted ? slot_of(p, q) : -1;
    if (slot < 0) return NULL;
    *logit = &p->logit[slot];
    return &p->contrasts[slot];
}

/* ------------------------------------------------------------------ waiting rows to signals */

/* Without the rows of a recurrent layer, which are computed when it is explained. */
static hw__row row_at(const hw__signal_batch *p, size_t source, size_t slot) {
    int32_t layer = p->sources[source].layer;
    return (hw__row){
        .heads = layer >= 0 ? heads_at(p, (size_t)layer, slot) : NULL,
        .stride = p->first + slot + 1,
        .n_keys = p->first + slot + 1,
        .before = stream_at(p, p->before, source, slot),
        .added = stream_at(p, p->added, source, slot),
        .mixed = stream_at(p, p->mixed, source, slot),
        .factor = factor_at(p, source, slot),
    };
}

static bool of_interest(const hw__signal_batch *p, size_t slot) {
    return p->first + slot + 1 >= p->trace->run->n_prompt;
}

/* The row of the trace's signals for a slot. */
static size_t signal_row(const hw__signal_batch *p, size_t slot) {
    return p->first + slot - (p->trace->run->n_prompt - 1);
}

/* Workspace of one thread: scratch for one source, kept between batches because new memory is expensive; separate for
 * attention and recurrent layers, which have other sizes. */
struct hw__batch_workspace {
    hw__values values[2];
    hw__contribution_scratch scratch[2];
    float *weights; /* [n_weights] rows of a recurrent layer */
    size_t n_weights;
    float *tokens; /* [signals, slots, T] target rows that the trace keeps as sums; NULL: they are written to the
                      trace directly */
    double *sums;  /* [1 + groups] */
};
typedef struct hw__batch_workspace workspace;

/* The target-row signals that are wanted. */
static uint32_t of_rows(uint32_t wanted) { return wanted & ((1u << N_ROW_SIGNALS) - 1); }

static size_t token_rows(const hw__signal_batch *p) {
    return (size_t)__builtin_popcount(of_rows(p->wanted)) * p->capacity;
}

static hw_err workspace_open(workspace *d, const hw__signal_batch *p, hw_error *err) {
    size_t rows = token_rows(p);
    if (!p->trace->signals.groups) return HW_OK;
    d->tokens = hw__alloc(rows, p->n_keys * sizeof *d->tokens);
    d->sums = hw__alloc(p->trace->signals.width, sizeof *d->sums);
    return d->tokens && d->sums ? HW_OK : hw__fail_memory(err, "signals", rows, p->n_keys * sizeof *d->tokens);
}

static void workspace_clear(workspace *d) {
    for (int i = 0; i < 2; i++) {
        hw__values_clear(&d->values[i]);
        hw__contribution_scratch_free(&d->scratch[i]);
    }
    free(d->weights);
    free(d->tokens);
    free(d->sums);
}

/* The target row of a slot, by token. */
static float *target_row(const hw__signal_batch *p, const workspace *d, int signal, size_t layer, size_t slot) {
    if (!d->tokens) return hw__trace_signal(p->trace, (hw_signal)signal, layer, signal_row(p, slot));
    size_t before = (size_t)__builtin_popcount(of_rows(p->wanted) & ((1u << signal) - 1));
    return d->tokens + (before * p->capacity + slot) * p->n_keys;
}

/* Destination of a measure of a slot: with the other rows if every row is wanted, NULL if it is not wanted. */
static float *place(const hw__signal_batch *p, const workspace *d, hw_signal signal, size_t layer, size_t slot) {
    if (!p->shown[layer * p->capacity + slot]) return NULL;
    if (p->wanted & 1u << every(signal)) return hw__trace_every(p->trace, every(signal), layer, p->first + slot);
    if (!(p->wanted & 1u << signal) || !of_interest(p, slot) || !is_recorded(p, signal, layer)) return NULL;
    return target_row(p, d, signal, layer, slot);
}

/* Copies target rows of measures that are wanted in both forms. */
static void copy_target_rows(const hw__signal_batch *p, const workspace *d, size_t layer) {
    for (int s = 0; s < N_MEASURES; s++) {
        if ((p->wanted & both(s)) != both(s)) continue;
        for (size_t i = 0; i < p->n; i++)
            if (of_interest(p, i))
                memcpy(target_row(p, d, s, layer, i), hw__trace_every(p->trace, every(s), layer, p->first + i),
                       (p->first + i + 1) * sizeof(float));
    }
}

/* to [1 + groups] <- sums of a row by group. */
static void sum_row(float *to, const float *row, size_t n, const hw_trace *trace, double *sums) {
    const hw__signals *s = &trace->signals;
    memset(sums, 0, s->width * sizeof *sums);
    for (size_t k = 0; k < n; k++) sums[k < trace->run->n_prompt ? s->groups[k] + 1 : 0] += row[k];
    for (size_t g = 0; g < s->width; g++) to[g] = (float)sums[g];
}

static void sum_rows(const hw__signal_batch *p, const workspace *d, size_t layer) {
    for (int s = 0; s < N_ROW_SIGNALS; s++)
        for (size_t i = 0; p->wanted & 1u << s && i < p->n; i++)
            if (of_interest(p, i))
                sum_row(hw__trace_signal(p->trace, (hw_signal)s, layer, signal_row(p, i)),
                        target_row(p, d, s, layer, i), p->first + i + 1, p->trace, d->sums);
}

/* The products of a layer: every row's projections and logits, those of a row behind one another. */
typedef struct products {
    hw__dot_product list[2 * HW__MAX_BATCH_ROWS];
    size_t n, n_directions;
    double own[HW__MAX_BATCH_ROWS]; /* [slots] the residual's share of a projection */
} products;

/* z <- y / |y|^2; returns the residual's share. */
static double projection_direction(float *z, const hw__row *row, size_t n_embd) {
    for (size_t d = 0; d < n_embd; d++) z[d] = row->before[d] + row->added[d];
    double squares = hw__dot(z, z, n_embd);
    double by = squares > 0 ? 1 / squares : 0, own = hw__dot(row->before, z, n_embd) * by;
    for (size_t d = 0; d < n_embd; d++) z[d] = (float)(z[d] * by);
    return own;
}

/* Batched rows of one source that are explained together. */
typedef struct source_rows {
    size_t source, begin, end; /* slots */
    const hw__row *rows;       /* [slots] */
    const hw__values *values;
    const hw__contribution_scratch *scratch;
} source_rows;

static void vectors(const hw__signal_batch *p, const workspace *d, const source_rows *of) {
    hw__lengths list[HW__MAX_BATCH_ROWS];
    size_t n = 0, s = of->source;
    for (size_t i = of->begin; i < of->end; i++) {
        hw__lengths l = {&of->rows[i], place(p, d, HW_SIGNAL_NORM, s, i), place(p, d, HW_SIGNAL_PROXIMITY1, s, i),
                         place(p, d, HW_SIGNAL_PROXIMITY2, s, i)};
        if (l.norm || l.proximity1 || l.proximity2) list[n++] = l;
    }
    hw__contribution_vectors(list, n, of->values, p->n_embd, of->scratch);
}

/* z [D] <- the direction of `id` as it is compared: engines take the mean off each. */
static hw_err read_direction(float *z, hw__readout *how, int32_t id, const hw__contrast *c, hw__engine *engine,
                             hw_error *err) {
    size_t n_embd = (size_t)engine->ops->describe(engine)->n_embd;
    hw_err rc = engine->ops->readout(engine, z, how, id, err);
    if (rc != HW_OK || c->n == 0) return rc;
    double constant = c->own * how->constant, *sum = hw__alloc(n_embd, sizeof *sum);
    if (!sum) return hw__fail_memory(err, "the direction of a logit", n_embd, sizeof *sum);
    for (size_t d = 0; d < n_embd; d++) sum[d] = c->own * z[d];
    for (size_t i = 0; rc == HW_OK && i < c->n; i++) {
        rc = engine->ops->readout(engine, z, how, c->ids[i], err);
        constant -= c->weights[i] * how->constant;
        for (size_t d = 0; rc == HW_OK && d < n_embd; d++) sum[d] -= c->weights[i] * z[d];
    }
    for (size_t d = 0; d < n_embd; d++) z[d] = (float)sum[d];
    how->constant = constant;
    free(sum);
    return rc;
}

/* Both are compared with the same: with none or with one token; distributions are each step's own. */
static bool same_contrast(const hw__contrast *a, const hw__contrast *b) {
    if (a->n != b->n || a->own != b->own) return false;
    return a->n == 0 || (a->n == 1 && a->weights[0] == b->weights[0] && a->ids[0] == b->ids[0]);
}

/* What one layer's attention gave one row, by where it came from. */
typedef struct share {
    double prompt, completion, attention;
} share;

/* State of explaining a batch. */
typedef struct flush {
    hw__signal_batch *p;
    hw__engine *engine;
    float *z; /* [n, D] directions of the chosen tokens, each once */
    size_t n_z;
    float *carried; /* [n, n_sources + 1, D] a row's direction at each source and the embedding; NULL: z everywhere */
    size_t direction[HW__MAX_BATCH_ROWS]; /* [n] index of the row's direction */
    hw__readout how[HW__MAX_BATCH_ROWS];  /* [n_z] */
    float scale[HW__MAX_BATCH_ROWS];      /* [n] 1 / rms of its final stream */
    bool chosen[HW__MAX_BATCH_ROWS]; /* [n] rows that chose a token: not those within the prompt, nor the run's last */
    share *shares;                   /* [L, n] */
} flush;

static int32_t chosen_id(const hw__signal_batch *p, size_t slot) {
    return p->trace->run->tokens[p->first + slot + 1].id;
}

/* An earlier row that chose the same token, or `slot`: text repeats, and projecting through W_O is expensive. */
static size_t same_choice(const flush *f, size_t slot) {
    size_t i = 0;
    while (i < slot && !(f->chosen[i] && chosen_id(f->p, i) == chosen_id(f->p, slot) &&
                         same_contrast(&f->p->contrasts[i], &f->p->contrasts[slot])))
        i++;
    return i;
}

/* 1 / s of a final stream: see hw__readout. */
static double final_scale(const float *final, size_t n_embd, const hw__readout *how) {
    if (how->norm == HW__NORM_NONE) return 1;
    double mean = how->norm == HW__NORM_LAYER ? hw__sum(final, n_embd) / (double)n_embd : 0, squares = 0;
    for (size_t d = 0; d < n_embd; d++) squares += (final[d] - mean) * (final[d] - mean);
    return 1 / sqrt(squares / (double)n_embd + how->eps);
}

/* A row's direction at a source, or, after the last source, at the embedding. */
static float *direction_at(const flush *f, size_t slot, size_t source) {
    const hw__signal_batch *p = f->p;
    return f->carried ? f->carried + (slot * (p->n_sources + 1) + source) * p->n_embd
                      : f->z + f->direction[slot] * p->n_embd;
}

/* The contribution of the whole stream to the logit; attention's part is subtracted from `mlp` when its layers are
 * explained. */
static void start_balance(const flush *f, size_t slot) {
    const hw__signal_batch *p = f->p;
    const hw__readout *how = &f->how[f->direction[slot]];
    const float *z = f->z + f->direction[slot] * p->n_embd, *first = direction_at(f, slot, p->n_sources);
    hw_balance *b = &p->trace->signals.balance[signal_row(p, slot)];
    b->logit = p->logit[slot];
    b->bias = how->constant;
    b->embedding = hw__dot(p->origin + slot * p->n_embd, first, p->n_embd) * f->scale[slot] * how->origin;
    b->mlp = hw__dot(p->final + slot * p->n_embd, z, p->n_embd) * f->scale[slot] - b->embedding;
}

static hw_err read_directions(flush *f, hw_error *err) {
    const hw__signal_batch *p = f->p;
    for (size_t i = 0; i < p->n; i++) {
        f->chosen[i] = of_interest(p, i) && p->first + i + 1 < p->trace->run->n_tokens;
        if (!f->chosen[i]) continue;
        size_t same = same_choice(f, i);
        f->direction[i] = same < i ? f->direction[same] : f->n_z;
        float *z = f->z + f->direction[i] * p->n_embd;
        hw__readout *how = &f->how[f->direction[i]];
        hw_err rc = same < i ? HW_OK : read_direction(z, how, chosen_id(p, i), &p->contrasts[i], f->engine, err);
        if (rc != HW_OK) return rc;
        if (same == i) f->n_z++;
        f->scale[i] = (float)final_scale(p->final + i * p->n_embd, p->n_embd, how);
        if (f->carried)
            rc = f->engine->ops->carry(f->engine, direction_at(f, i, 0), z, p->mixing + i * p->n_mixing, err);
        if (rc != HW_OK) return rc;
        start_balance(f, i);
    }
    return HW_OK;
}

static share share_of(const float *logit, const hw__row *row, const float *z, double with, size_t m, size_t n_embd) {
    share s = {.attention = hw__dot(row->added, z, n_embd) * with};
    for (size_t k = 0; k < row->n_keys; k++) *(k < m ? &s.prompt : &s.completion) += logit[k];
    return s;
}

/* Adds the layers' shares to the balances, in layer order whichever was explained first. */
static void add_shares(const flush *f) {
    for (size_t i = 0; i < f->p->n; i++) {
        if (!f->chosen[i]) continue;
        hw_balance *b = &f->p->trace->signals.balance[signal_row(f->p, i)];
        for (size_t l = 0; l < f->p->n_sources; l++) {
            const share *s = &f->shares[l * f->p->n + i];
            b->prompt += s->prompt;
            b->completion += s->completion;
            b->bias += s->attention - s->prompt - s->completion;
            b->mlp -= s->attention;
        }
    }
}

static void add_product(products *all, const hw__row *row, size_t direction, float with, float *out) {
    all->list[all->n++] = (hw__dot_product){.row = row, .direction = direction, .scale = with, .out = out};
}

/* Which directions are the same: those of one token, unless each row mixes its stream differently. */
static size_t shared_direction(const flush *f, size_t slot) { return f->carried ? slot : f->direction[slot]; }

/* Lists the directions of the tokens that the rows chose, each once; a row's own projection direction follows it. */
static void list_products(products *all, const flush *f, const workspace *d, const source_rows *of) {
    const hw__signal_batch *p = f->p;
    size_t index[HW__MAX_BATCH_ROWS], bytes = p->n_embd * sizeof(float);
    all->n = all->n_directions = 0;
    for (size_t i = 0; i < p->n; i++) index[i] = SIZE_MAX;
    for (size_t i = of->begin; i < of->end; i++) {
        size_t z = shared_direction(f, i);
        if (!f->chosen[i] || index[z] < SIZE_MAX) continue;
        index[z] = all->n_directions++;
        memcpy(of->scratch->direction + index[z] * p->n_embd, direction_at(f, i, of->source), bytes);
    }
    for (size_t i = of->begin; i < of->end; i++) {
        float *projection = place(p, d, HW_SIGNAL_PROJECTION, of->source, i);
        if (projection) {
            float *z = of->scratch->direction + all->n_directions * p->n_embd;
            all->own[i] = projection_direction(z, &of->rows[i], p->n_embd);
            add_product(all, &of->rows[i], all->n_directions++, 1, projection);
        }
        if (f->chosen[i])
            add_product(all, &of->rows[i], index[shared_direction(f, i)],
                        (float)(f->scale[i] * of->values->stream_factor),
                        target_row(p, d, HW_SIGNAL_LOGIT, of->source, i));
    }
}

static void multiply(const flush *f, const workspace *d, const source_rows *of) {
    const hw__signal_batch *p = f->p;
    products all;
    list_products(&all, f, d, of);
    if (all.n) hw__contribution_linear(all.list, all.n, all.n_directions, of->values, p->n_embd, of->scratch);
    for (size_t i = of->begin; i < of->end; i++) {
        float *projection = place(p, d, HW_SIGNAL_PROJECTION, of->source, i);
        if (projection) projection[of->rows[i].n_keys - 1] += (float)all.own[i];
        if (f->chosen[i])
            f->shares[of->source * p->n + i] =
                share_of(target_row(p, d, HW_SIGNAL_LOGIT, of->source, i), &of->rows[i], direction_at(f, i, of->source),
                         f->scale[i] * of->values->stream_factor, p->trace->run->n_prompt, p->n_embd);
    }
}

/* A trace holds only finite numbers: an overflow in the model must not make a file that cannot be opened again. */
static hw_err check_finite(const hw__signal_batch *p, const workspace *d, size_t layer, hw_error *err) {
    for (int s = 0; s < HW_N_SIGNALS; s++) {
        hw__layout layout = hw__signal_layout((hw_signal)s);
        for (size_t i = 0; p->wanted & 1u << s && layout != HW__LAYOUT_TOKENS && i < p->n; i++) {
            size_t q = p->first + i;
            if (layout == HW__LAYOUT_ROWS && (!of_interest(p, i) || !is_recorded(p, (hw_signal)s, layer))) continue;
            const float *row = layout == HW__LAYOUT_ROWS ? target_row(p, d, s, layer, i)
                                                         : hw__trace_every(p->trace, (hw_signal)s, layer, q);
            if (!isfinite(hw__sum(row, q + 1)))
                return hw__fail(err, HW_ERR_ENGINE,
                                "signal %s of layer %zu, row %zu is not a number: the model's stream overflows",
                                hw_signal_name((hw_signal)s), layer, q);
        }
    }
    return HW_OK;
}

static void explain_source_rows(const flush *f, const workspace *d, const source_rows *of) {
    const uint32_t by_vector = both(HW_SIGNAL_NORM) | both(HW_SIGNAL_PROXIMITY1) | both(HW_SIGNAL_PROXIMITY2);
    multiply(f, d, of);
    if (f->p->wanted & by_vector) vectors(f->p, d, of);
}

/* Rows of a recurrent layer at once: their weights, or their weighted values, fill about so much. */
enum { WEIGHT_BYTES = 8 << 20 };

static hw_err fit_weights(workspace *d, size_t floats, hw_error *err) {
    if (floats <= d->n_weights) return HW_OK;
    free(d->weights);
    d->weights = hw__alloc(floats, sizeof *d->weights);
    d->n_weights = d->weights ? floats : 0;
    return d->weights ? HW_OK : hw__fail_memory(err, "rows of a recurrent layer", floats, sizeof *d->weights);
}

/* If each channel has its own weights the values arrive weighted, and the row has one head with weights of 1. */
static hw_err explain_channels(const flush *f, workspace *d, source_rows *of, hw__row *rows, hw_error *err) {
    hw__values weighted = *of->values;
    size_t T = weighted.n_tokens, width = weighted.head_size;
    hw_err rc = fit_weights(d, (width + 1) * T, err);
    float *ones = d->weights + width * T;
    for (size_t k = 0; rc == HW_OK && k < T; k++) ones[k] = 1;
    weighted.v = d->weights;
    weighted.n_taps = 1;
    of->values = &weighted;
    for (size_t i = 0; rc == HW_OK && i < f->p->n; i++) {
        if (!hw__recurrent_values(d->weights, T, weighted.recurrent, d->values[1].v, f->p->first + i, 1))
            return hw__fail_memory(err, "a recurrent layer", weighted.recurrent->key_size, sizeof(double));
        rows[i].heads = ones;
        of->begin = i;
        of->end = i + 1;
        explain_source_rows(f, d, of);
    }
    return rc;
}

static hw_err explain_recurrent(const flush *f, workspace *d, source_rows *of, hw__row *rows, hw_error *err) {
    const hw__values *v = of->values;
    if (!hw__recurrent_has_rows(v->recurrent)) return explain_channels(f, d, of, rows, err);
    size_t row = v->n_heads * v->n_tokens, together = WEIGHT_BYTES / (row * sizeof(float));
    if (together < 1) together = 1;
    if (together > f->p->n) together = f->p->n;
    hw_err rc = fit_weights(d, together * row, err);
    for (size_t i = 0; rc == HW_OK && i < f->p->n; i += together) {
        of->begin = i;
        of->end = f->p->n - i < together ? f->p->n : i + together;
        if (!hw__recurrent_rows(d->weights, v->n_tokens, v->recurrent, f->p->first + i, of->end - i))
            return hw__fail_memory(err, "a recurrent layer", v->n_tokens, sizeof(double));
        for (size_t k = i; k < of->end; k++) {
            rows[k].heads = d->weights + (k - i) * row;
            rows[k].stride = v->n_tokens;
        }
        explain_source_rows(f, d, of);
    }
    return rc;
}

static hw_err explain_source(const flush *f, size_t source, workspace *d, hw_error *err) {
    const hw__signal_batch *p = f->p;
    hw__row rows[HW__MAX_BATCH_ROWS];
    bool recurrent = p->sources[source].layer < 0;
    hw__values *values = &d->values[recurrent];
    hw__contribution_scratch *scratch = &d->scratch[recurrent];
    source_rows all = {.source = source, .end = p->n, .rows = rows, .values = values, .scratch = scratch};
    hw_err rc = f->engine->ops->values(f->engine, values, source, err);
    if (rc == HW_OK)
        rc = hw__contribution_scratch_fit(scratch, p->factors[source].cells || f->carried ? 2 * p->n : p->n + f->n_z,
                                          p->n_embd, values, err);
    if (rc != HW_OK) return rc;
    for (size_t i = 0; i < p->n; i++) rows[i] = row_at(p, source, i);
    if (d->tokens) memset(d->tokens, 0, token_rows(p) * p->n_keys * sizeof *d->tokens); /* not every row is written */
    if (recurrent) {
        rc = explain_recurrent(f, d, &all, rows, err);
    } else {
        explain_source_rows(f, d, &all);
    }
    if (rc != HW_OK) return rc;
    copy_target_rows(p, d, source);
    rc = check_finite(p, d, source, err);
    if (rc == HW_OK && d->tokens) sum_rows(p, d, source);
    return rc;
}

static hw_err open_workspaces(hw__signal_batch *p, size_t n, hw_error *err) {
    if (p->workspaces) return HW_OK;
    p->workspaces = hw__alloc(n, sizeof *p->workspaces);
    p->n_workspaces = p->workspaces ? n : 0;
    hw_err rc = p->workspaces ? HW_OK : hw__fail_memory(err, "signals", n, sizeof *p->workspaces);
    for (size_t i = 0; rc == HW_OK && i < n; i++) rc = workspace_open(&p->workspaces[i], p, err);
    return rc;
}

static void clear_workspaces(hw__signal_batch *p) {
    for (size_t i = 0; i < p->n_workspaces; i++) workspace_clear(&p->workspaces[i]);
    free(p->workspaces);
    p->workspaces = NULL;
    p->n_workspaces = 0;
}

static hw_err explain_in_workspace(void *ctx, size_t source, hw_error *err) {
    const flush *f = ctx;
    return explain_source(f, source, &f->p->workspaces[omp_get_thread_num()], err);
}

/* Layers are independent: each thread has its own workspace. */
static hw_err explain_layers(flush *f, hw_error *err) {
    size_t threads = f->engine->values_shared && f->engine->n_threads ? f->engine->n_threads : 1;
    hw_err rc = open_workspaces(f->p, threads, err);
    return rc == HW_OK ? hw__parallel_for(f->p->n_sources, threads, explain_in_workspace, f, err) : rc;
}

static hw_err explain_rows(flush *f, hw_error *err) {
    hw__signal_batch *p = f->p;
    f->z = hw__alloc(p->n, p->n_embd * sizeof *f->z);
    f->shares = hw__alloc(p->n_sources, p->n * sizeof *f->shares);
    bool carries = p->n_mixing && p->wanted & NEEDS_READOUT;
    if (carries) f->carried = hw__alloc(p->n * (p->n_sources + 1), p->n_embd * sizeof *f->carried);
    if (!f->z || !f->shares || (carries && !f->carried))
        return hw__fail_memory(err, "directions of tokens", p->n, p->n_embd * sizeof *f->z);
    hw_err rc = HW_OK;
    if (p->wanted & NEEDS_READOUT) rc = read_directions(f, err);
    if (rc == HW_OK && p->wanted & NEEDS_VALUES) rc = explain_layers(f, err);
    if (rc == HW_OK && p->wanted & NEEDS_READOUT) add_shares(f);
    return rc;
}

hw_err hw__signal_batch_flush(hw__signal_batch *p, hw__engine *engine, size_t end, hw_error *err) {
    if (!p->wanted || p->n == 0 || end <= p->first + p->capacity) return HW_OK;
    flush f = {.p = p, .engine = engine};
    hw_err rc = explain_rows(&f, err);
    free(f.z);
    free(f.carried);
    free(f.shares);
    if (p->trace->signals.groups) clear_workspaces(p); /* frees the scratch when memory is more important than time */
    p->first += p->n;
    p->n = 0;
    memset(p->shown, 0, p->n_sources * p->capacity * sizeof *p->shown);
    size_t before = p->trace->run->n_prompt - 1;
    p->trace->signals.n_done = p->first > before ? p->first - before : 0;
    return rc;
}

void hw__signal_batch_free(hw__signal_batch *p) {
    clear_workspaces(p);
    free(p->heads);
    free(p->before);
    free(p->added);
    free(p->mixed);
    free(p->shown);
    free(p->final);
    free(p->origin);
    for (size_t s = 0; p->factors && s < p->n_sources; s++) free(p->factors[s].cells);
    free(p->factors);
    free(p->logit);
    free(p->mixing);
    free(p->contrasts);
    free(p->ids);
    free(p->weights);
    *p = (hw__signal_batch){0};
}
