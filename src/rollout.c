/*
 * rollout.c - the fold, and the method that runs it over a trace.
 *
 * Direction `input` walks up from the embeddings with two T x C buffers (C columns or groups of M) and takes the rows
 * of interest of every R_l; while a run grows all L + 1 levels stay, and rows are added to each. Direction `output` walks
 * down with one vector per row of interest: v <- v Â_l.
 */
#include "rollout.h"

#include "error.h"
#include "matrix.h"
#include "method.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ direction input */

/* Rows folded by one product: enough for BLAS to run at full speed, few enough that little of the upper triangle is
 * multiplied in vain. */
enum { BLOCK = 64 };

/* R of one layer, in double so that only M is rounded: rows [T, C] and the mass of each row on columns that M does not show. */
typedef struct level {
    double *rows;    /* [T, C] */
    double *outside; /* [T] */
} level;

static void level_free(level *r) {
    free(r->rows);
    free(r->outside);
}

typedef struct fold {
    size_t n_tokens, n_columns; /* T rows that matter, C */
    size_t *reach;              /* [T] leading columns that may be nonzero in rows 0..q of any level */
    double *w;                  /* [BLOCK, T] rows of one layer's matrix */
} fold;

static void fold_free(fold *f) {
    free(f->reach);
    free(f->w);
}

static hw_err fold_new(fold *f, size_t n_columns, size_t n_tokens, hw_error *err) {
    *f = (fold){.n_tokens = n_tokens, .n_columns = n_columns};
    f->reach = hw__alloc(n_tokens, sizeof *f->reach);
    f->w = hw__alloc(BLOCK, n_tokens * sizeof *f->w);
    if (f->reach && f->w) return HW_OK;
    fold_free(f);
    return hw__fail_memory(err, "rollout", BLOCK, n_tokens * sizeof *f->w);
}

static hw_err level_new(level *r, const fold *f, hw_error *err) {
    size_t cells;
    if (!hw__mul(&cells, f->n_tokens, f->n_columns))
        return hw__fail_memory(err, "rollout", f->n_tokens, f->n_columns * sizeof(double));
    *r = (level){.rows = hw__alloc(cells, sizeof(double)), .outside = hw__alloc(f->n_tokens, sizeof(double))};
    if (r->rows && r->outside) return HW_OK;
    level_free(r);
    *r = (level){0};
    return hw__fail_memory(err, "rollout", cells, sizeof(double));
}

/* R_0 = G. In a causal model row k sees no token after k, so no column first reached by a later one. */
static void fold_start(fold *f, level *zero, const hw_attribution *a) {
    size_t reach = 0;
    for (size_t t = 0; t < f->n_tokens; t++) {
        ptrdiff_t column = hw__column_of(a, t);
        if (column >= 0) {
            zero->rows[t * f->n_columns + (size_t)column] = 1;
            if ((size_t)column + 1 > reach) reach = (size_t)column + 1;
        } else {
            zero->outside[t] = 1;
        }
        f->reach[t] = a->run->causal ? reach : f->n_columns;
    }
}

/* Rows q0..q0+n-1 of the level above layer l: one product of their weights with the level below it. */
static void fold_block(fold *f, level *next, const level *prev, const hw__mixing *mixing, size_t l, size_t q0,
                       size_t n) {
    bool causal = mixing->trace->run->causal;
    size_t depth = causal ? q0 + n : f->n_tokens, width = f->reach[q0 + n - 1];
    memset(f->w, 0, n * depth * sizeof *f->w);
    for (size_t i = 0; i < n; i++) {
        double *w = f->w + i * depth, outside = 0;
        size_t n_keys = hw__mixing_row(w, mixing, l, q0 + i);
        for (size_t k = 0; k < n_keys; k++) outside += w[k] * prev->outside[k];
        next->outside[q0 + i] = outside;
    }
    hw__matmul_double(next->rows + q0 * f->n_columns, f->w, prev->rows, n, depth, width, f->n_columns);
}

static void fold_rows(fold *f, level *next, const level *prev, const hw__mixing *mixing, size_t l, size_t begin,
                      size_t end) {
    for (size_t q0 = begin; q0 < end; q0 += BLOCK)
        fold_block(f, next, prev, mixing, l, q0, end - q0 < BLOCK ? end - q0 : BLOCK);
}

/* M[:,:,l] and outside[:,l] from the level above layer l. */
static void put_level(hw_attribution *a, size_t l, const level *r) {
    for (size_t i = 0; i < a->n_rows; i++) {
        size_t q = hw__query_row(a, i);
        const double *row = r->rows + q * a->n_columns;
        float *to = a->values + i * a->n_columns * a->n_layers + l;
        for (size_t k = 0; k < a->n_columns; k++) to[k * a->n_layers] = (float)row[k];
        a->outside[i * a->n_layers + l] = (float)r->outside[q];
    }
}

static hw_err run_input(hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p, hw_error *err) {
    fold f;
    level prev = {0}, next = {0};
    size_t last = hw__query_row(a, a->n_rows - 1);
    hw_err rc = fold_new(&f, a->n_columns, a->run->causal ? last + 1 : a->run->n_tokens, err);
    if (rc != HW_OK) return rc;
    if ((rc = level_new(&prev, &f, err)) == HW_OK) rc = level_new(&next, &f, err);
    if (rc == HW_OK) fold_start(&f, &prev, a);
    for (size_t l = 0; l < a->n_layers && rc == HW_OK; l++) {
        fold_rows(&f, &next, &prev, mixing, l, 0, f.n_tokens);
        put_level(a, l, &next);
        level done = next;
        next = prev;
        prev = done;
        rc = hw__method_progress(p, l + 1, a->n_layers, err);
    }
    level_free(&prev);
    level_free(&next);
    fold_free(&f);
    return rc;
}

/* ------------------------------------------------------------------ rows as they come */

/* Every level is kept, so that a new row needs its own weights only. */
typedef struct grown {
    fold f;
    level *levels;           /* [n_layers + 1] */
    size_t n_layers, n_done; /* rows folded */
} grown;

void hw__rollout_live_free(void *state) {
    grown *g = state;
    if (!g) return;
    for (size_t l = 0; g->levels && l <= g->n_layers; l++) level_free(&g->levels[l]);
    free(g->levels);
    fold_free(&g->f);
    free(g);
}

static hw_err grown_new(grown **out, const hw_attribution *a, const hw_trace *trace, hw_error *err) {
    grown *g = hw__alloc(1, sizeof *g);
    if (!g) return hw__fail_memory(err, "rollout", 1, sizeof *g);
    g->n_layers = trace->n_layers;
    g->levels = hw__alloc(g->n_layers + 1, sizeof *g->levels);
    hw_err rc = g->levels ? fold_new(&g->f, a->n_columns, trace->room, err)
                          : hw__fail_memory(err, "rollout", g->n_layers + 1, sizeof *g->levels);
    for (size_t l = 0; rc == HW_OK && l <= g->n_layers; l++) rc = level_new(&g->levels[l], &g->f, err);
    if (rc != HW_OK) {
        hw__rollout_live_free(g);
        return rc;
    }
    fold_start(&g->f, &g->levels[0], a);
    *out = g;
    return HW_OK;
}

size_t hw__rollout_live_bytes(const hw_trace *trace, const hw_method_params *p) {
    size_t cells, bytes;
    if (p->direction == HW_DIRECTION_OUTPUT) return 0;
    if (!hw__mul(&cells, trace->room, p->groups ? p->n_groups : trace->run->n_prompt)) return SIZE_MAX;
    return hw__mul(&bytes, cells, (trace->n_layers + 1) * sizeof(double)) ? bytes : SIZE_MAX;
}

static hw_err live_input(void **state, hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p,
                         hw_error *err) {
    hw_err rc = *state ? HW_OK : grown_new((grown **)state, a, mixing->trace, err);
    if (rc != HW_OK) return rc;
    grown *g = *state;
    size_t end = hw__query_row(a, a->n_rows - 1) + 1;
    for (size_t l = 0; l < g->n_layers && rc == HW_OK; l++) {
        fold_rows(&g->f, &g->levels[l + 1], &g->levels[l], mixing, l, g->n_done, end);
        put_level(a, l, &g->levels[l + 1]);
        rc = hw__method_progress(p, l + 1, g->n_layers, err);
    }
    if (rc == HW_OK && end > g->n_done) g->n_done = end;
    return rc;
}

/* ------------------------------------------------------------------ direction output */

/* next [n, T] = v [n, T] Â_l */
static void push_layer(double *next, const double *v, size_t n_rows, double *w, const hw__mixing *mixing, size_t l) {
    size_t n_tokens = mixing->trace->run->n_tokens;
    memset(next, 0, n_rows * n_tokens * sizeof *next);
    for (size_t q = 0; q < n_tokens; q++) {
        size_t n = hw__mixing_row(w, mixing, l, q);
        for (size_t i = 0; i < n_rows; i++) {
            double weight = v[i * n_tokens + q];
            if (weight == 0) continue;
            for (size_t k = 0; k < n; k++) next[i * n_tokens + k] += weight * w[k];
        }
    }
}

static hw_err run_output(hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p, hw_error *err) {
    size_t n_tokens = a->run->n_tokens, cells;
    if (!hw__mul(&cells, a->n_rows, n_tokens)) return hw__fail_memory(err, "rollout", a->n_rows, n_tokens);
    double *v = hw__alloc(cells, sizeof *v), *next = hw__alloc(cells, sizeof *next);
    double *w = hw__alloc(n_tokens, sizeof *w), *sum = hw__alloc(a->n_columns, sizeof *sum);
    hw_err rc = v && next && w && sum ? HW_OK : hw__fail_memory(err, "rollout", 2 * cells, sizeof *v);
    for (size_t i = 0; rc == HW_OK && i < a->n_rows; i++) v[i * n_tokens + hw__query_row(a, i)] = 1;
    for (size_t l = a->n_layers; rc == HW_OK && l-- > 0;) {
        push_layer(next, v, a->n_rows, w, mixing, l);
        double *done = next;
        next = v;
        v = done;
        for (size_t i = 0; i < a->n_rows; i++) hw__method_put(a, i, l, v + i * n_tokens, n_tokens, sum);
        rc = hw__method_progress(p, a->n_layers - l, a->n_layers, err);
    }
    free(v);
    free(next);
    free(w);
    free(sum);
    return rc;
}

/* ------------------------------------------------------------------ both */

hw_err hw__rollout_compose(hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p, hw_error *err) {
    return p->direction == HW_DIRECTION_INPUT ? run_input(a, mixing, p, err) : run_output(a, mixing, p, err);
}

/* From the top down a row needs none of the others; a trace that is whole keeps nothing for later. */
hw_err hw__rollout_live(void **state, hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p,
                        hw_error *err) {
    bool keeps = p->direction == HW_DIRECTION_INPUT && (*state || mixing->trace->growing);
    return keeps ? live_input(state, a, mixing, p, err) : hw__rollout_compose(a, mixing, p, err);
}

/* ------------------------------------------------------------------ the method */

static hw_err run(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    hw__mixing mixing = hw__mixing_of(trace, p);
    return hw__rollout_compose(a, &mixing, p, err);
}

static hw_err live(void **state, hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    hw__mixing mixing = hw__mixing_of(trace, p);
    return hw__rollout_live(state, a, &mixing, p, err);
}

const hw__method hw__method_rollout = {
    .info =
        {
            .name = "rollout",
            .summary = "attention composed over layers, with the residual stream as a self-loop",
            .needs =
                "attention rows of every token; with the residual measured, the stream around each layer's attention",
            .cost = "no extra pass; T^2 m / 2 multiplications a layer",
            .reference = "Abnar & Zuidema 2020, arXiv 2005.00928, section 3",
            .blind = "what attention carries (values), MLPs, which token was chosen; deep layers pile up on token 0",
            .traits = HW_USES_FUSE | HW_USES_RESIDUAL | HW_USES_DISCARD | HW_USES_REMOVE_SINK | HW_USES_DIRECTION |
                      HW_GIVES_SHARES,
        },
    .layered = true,
    .signals = hw__mixing_signals,
    .run = run,
    .live = live,
    .live_bytes = hw__rollout_live_bytes,
    .live_free = hw__rollout_live_free,
};
