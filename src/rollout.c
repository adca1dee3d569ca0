/*
 * rollout.c - the method that composes the layers of a trace.
 *
 * Direction `input` meets in the middle: the lowest layers are composed from the embeddings up (fold.c), all rows at once;
 * through those above a vector is pushed down for every row of interest and layer (chain.c), and meets the levels. Where
 * the two meet is where the work is least. While a run grows all L + 1 levels stay, and rows are added to each. Direction
 * `output` is chains alone.
 */
#include "rollout.h"

#include "chain.h"
#include "error.h"
#include "fold.h"
#include "method.h"

#include <stdlib.h>
#include <string.h>

/* Rows that matter: a causal one sees no later token. */
static size_t n_rows_of(const hw_attribution *a) {
    return a->run->causal ? hw__query_row(a, a->n_rows - 1) + 1 : a->run->n_tokens;
}

/* ------------------------------------------------------------------ direction input */

/* How many layers to fold, of the multiplications that the rest takes. */
static size_t best_split(const hw__fold *f, size_t n_rows, size_t n_layers) {
    double n_tokens = (double)f->shape.n_rows, level = hw__shape_work(&f->shape, f->causal), meet = 0, least = 0;
    double push = n_tokens * n_tokens / (f->causal ? 2 : 1);
    size_t best = 0;
    for (size_t q = 0; q < f->shape.n_rows; q++) meet += (double)f->shape.reach[q];
    for (size_t split = 0; split <= n_layers; split++) {
        double up = (double)(n_layers - split), rows = (double)n_rows;
        double work = (double)split * level + rows * push * up * (up - 1) / 2 + (split > 0 ? rows * up * meet : 0);
        if (split == 0 || work < least) {
            least = work;
            best = split;
        }
    }
    return best;
}

static void put_level(hw_attribution *a, size_t l, const hw__fold *f, float *level) {
#pragma omp parallel for if (hw__worth_threads(a))
    for (size_t i = 0; i < a->n_rows; i++) {
        hw__part row = hw__level_row(&f->shape, level, hw__query_row(a, i));
        hw__fold_put(a, i, l, row.cells, row.stride);
    }
}

/* Layers 0 .. split - 1 from R_0 up: *top is the level above them, malloc'd. */
static hw_err fold_up(float **top, hw_attribution *a, const hw__fold *f, const hw__mixing *mixing,
                      const hw_method_params *p, size_t split, hw_error *err) {
    float *prev = hw__level_new(&f->shape), *next = hw__level_new(&f->shape);
    hw_err rc = prev && next ? HW_OK : hw__fail_memory(err, "rollout", 2 * hw__shape_size(&f->shape), sizeof *prev);
    if (rc == HW_OK) hw__fold_start(f, prev, a->run, &a->params);
    for (size_t l = 0; l < split && rc == HW_OK; l++) {
        hw__fold_rows(f, next, prev, mixing, l, 0, f->shape.n_rows);
        put_level(a, l, f, next);
        float *done = next;
        next = prev;
        prev = done;
        rc = hw__method_progress(p, l + 1, a->n_layers, err);
    }
    free(next);
    if (rc != HW_OK) {
        free(prev);
        return rc;
    }
    *top = prev;
    return HW_OK;
}

/* M[:,:,l] from vectors over tokens [n_tokens]. */
static hw_err put_vectors(hw_attribution *a, size_t l, const float *v, size_t n_tokens, hw_error *err) {
    double *of = hw__alloc(n_tokens, sizeof *of), *sum = hw__alloc(a->n_columns, sizeof *sum);
    hw_err rc = of && sum ? HW_OK : hw__fail_memory(err, "an attribution's row", n_tokens, sizeof *of);
    for (size_t i = 0; rc == HW_OK && i < a->n_rows; i++) {
        for (size_t t = 0; t < n_tokens; t++) of[t] = v[i * n_tokens + t];
        hw__method_put(a, i, l, of, n_tokens, sum);
    }
    free(of);
    free(sum);
    return rc;
}

/* Where vectors meet the level below them: layers split .. L - 1 of M. */
static hw_err meet(hw_attribution *a, const hw__chain *c, const hw__fold *f, float *top, size_t split, hw_error *err) {
    size_t n_columns = f->shape.n_columns, n_tokens = f->shape.n_rows, n = a->n_rows;
    float *out = hw__alloc(c->n_rows, n_columns * sizeof *out);
    if (!out) return hw__fail_memory(err, "rollout", c->n_rows, n_columns * sizeof *out);
    hw__level_multiply_shared((hw__part){out, n_columns}, (hw__part){c->v, n_tokens}, c->n_rows, n_tokens, &f->shape,
                              top);
#pragma omp parallel for if (hw__worth_threads(a))
    for (size_t r = 0; r < c->n_rows; r++) hw__fold_put(a, r % n, split + r / n, out + r * n_columns, n_columns);
    free(out);
    return HW_OK;
}

/* Vectors (l - split) n .. are those that start from layer l. */
static hw_err push_down(hw_attribution *a, const hw__fold *f, float *top, const hw__mixing *mixing,
                        const hw_method_params *p, size_t split, hw_error *err) {
    hw__chain c;
    size_t n = a->n_rows, up = a->n_layers - split, n_tokens = f->shape.n_rows;
    hw_err rc = hw__chain_new(&c, up * n, n_tokens, f->causal, err);
    if (rc != HW_OK) return rc;
    for (size_t i = up; i-- > 0 && rc == HW_OK;) {
        hw__chain_push(&c, a, mixing, split + i, i * n, (i + 1) * n);
        rc = hw__method_progress(p, a->n_layers - i, a->n_layers, err);
    }
    if (rc == HW_OK && top) rc = meet(a, &c, f, top, split, err);
    for (size_t i = 0; i < up && !top && rc == HW_OK; i++)
        rc = put_vectors(a, split + i, c.v + i * n * n_tokens, n_tokens, err);
    hw__chain_free(&c);
    return rc;
}

static hw_err run_split(hw_attribution *a, const hw__fold *f, const hw__mixing *mixing, const hw_method_params *p,
                        size_t split, hw_error *err) {
    float *top = NULL;
    hw_err rc = split > 0 ? fold_up(&top, a, f, mixing, p, split, err) : HW_OK;
    if (rc == HW_OK && split < a->n_layers) rc = push_down(a, f, top, mixing, p, split, err);
    free(top);
    return rc;
}

hw_err hw__rollout_input(hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p, size_t split,
                         hw_error *err) {
    hw__fold f;
    hw_err rc = hw__fold_new(&f, a->run, &a->params, n_rows_of(a), err);
    if (rc != HW_OK) return rc;
    rc = run_split(a, &f, mixing, p, split <= a->n_layers ? split : best_split(&f, a->n_rows, a->n_layers), err);
    hw__fold_free(&f);
    return rc;
}

/* ------------------------------------------------------------------ rows as they come */

/* Every level is kept, so that a new row needs its own weights only. */
typedef struct grown {
    hw__fold f;
    float **levels;          /* [n_layers + 1] */
    size_t n_layers, n_done; /* rows folded */
} grown;

void hw__rollout_live_free(void *state) {
    grown *g = state;
    if (!g) return;
    for (size_t l = 0; g->levels && l <= g->n_layers; l++) free(g->levels[l]);
    if (g->levels) hw__fold_free(&g->f);
    free(g->levels);
    free(g);
}

static hw_err grown_new(grown **out, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    grown *g = hw__alloc(1, sizeof *g);
    if (!g) return hw__fail_memory(err, "rollout", 1, sizeof *g);
    hw_err rc = hw__fold_new(&g->f, trace->run, p, trace->room, err);
    if (rc != HW_OK) {
        free(g);
        return rc;
    }
    g->n_layers = trace->n_layers;
    g->levels = hw__alloc(g->n_layers + 1, sizeof *g->levels);
    bool ok = g->levels != NULL;
    if (!ok) hw__fold_free(&g->f);
    for (size_t l = 0; ok && l <= g->n_layers; l++) ok = (g->levels[l] = hw__level_new(&g->f.shape)) != NULL;
    if (!ok) {
        rc = hw__fail_memory(err, "rollout", g->n_layers + 1, hw__shape_size(&g->f.shape) * sizeof(float));
        hw__rollout_live_free(g);
        return rc;
    }
    hw__fold_start(&g->f, g->levels[0], trace->run, p);
    *out = g;
    return HW_OK;
}

size_t hw__rollout_live_bytes(const hw_trace *trace, const hw_method_params *p) {
    hw__fold f;
    size_t bytes;
    if (p->direction == HW_DIRECTION_OUTPUT) return 0;
    if (hw__fold_new(&f, trace->run, p, trace->room, NULL) != HW_OK) return SIZE_MAX;
    bool fits = hw__mul(&bytes, hw__shape_size(&f.shape), (trace->n_layers + 1) * sizeof(float));
    hw__fold_free(&f);
    return fits ? bytes : SIZE_MAX;
}

static hw_err live_input(void **state, hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p,
                         hw_error *err) {
    hw_err rc = *state ? HW_OK : grown_new((grown **)state, mixing->trace, p, err);
    if (rc != HW_OK) return rc;
    grown *g = *state;
    size_t end = hw__query_row(a, a->n_rows - 1) + 1;
    for (size_t l = 0; l < g->n_layers && rc == HW_OK; l++) {
        hw__fold_rows(&g->f, g->levels[l + 1], g->levels[l], mixing, l, g->n_done, end);
        put_level(a, l, &g->f, g->levels[l + 1]);
        rc = hw__method_progress(p, l + 1, g->n_layers, err);
    }
    if (rc == HW_OK && end > g->n_done) g->n_done = end;
    return rc;
}

hw_err hw__rollout_feed(void **state, const hw__mixing *mixing, const hw_method_params *p, size_t l, size_t begin,
                        size_t end, hw_error *err) {
    hw_err rc = *state ? HW_OK : grown_new((grown **)state, mixing->trace, p, err);
    if (rc != HW_OK) return rc;
    grown *g = *state;
    hw__fold_rows(&g->f, g->levels[l + 1], g->levels[l], mixing, l, begin, end);
    if (l + 1 == g->n_layers) g->n_done = end;
    return HW_OK;
}

/* ------------------------------------------------------------------ direction output */

static hw_err run_output(hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p, hw_error *err) {
    hw__chain c;
    size_t n = a->n_rows, n_tokens = n_rows_of(a), top = a->n_layers - 1;
    hw_err rc = hw__chain_new(&c, n, n_tokens, a->run->causal, err);
    if (rc != HW_OK) return rc;
    for (size_t l = a->n_layers; rc == HW_OK && l-- > 0;) {
        hw__chain_push(&c, a, mixing, l, 0, l == top ? n : 0);
        rc = put_vectors(a, l, c.v, n_tokens, err);
        if (rc == HW_OK) rc = hw__method_progress(p, a->n_layers - l, a->n_layers, err);
    }
    hw__chain_free(&c);
    return rc;
}

/* ------------------------------------------------------------------ both */

hw_err hw__rollout_compose(hw_attribution *a, const hw__mixing *mixing, const hw_method_params *p, hw_error *err) {
    return p->direction == HW_DIRECTION_INPUT ? hw__rollout_input(a, mixing, p, HW__ROLLOUT_BEST, err)
                                              : run_output(a, mixing, p, err);
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

/* From the top down the last row comes first. */
static bool feeds(const hw_method_params *p) { return p->direction == HW_DIRECTION_INPUT; }

static hw_err feed(void **state, const hw_trace *trace, const hw_method_params *p, size_t l, size_t begin, size_t end,
                   hw_error *err) {
    hw__mixing mixing = hw__mixing_of(trace, p);
    return hw__rollout_feed(state, &mixing, p, l, begin, end, err);
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
            .rows = HW_ROWS_ALL,
        },
    .layered = true,
    .signals = hw__mixing_signals,
    .run = run,
    .live = live,
    .feeds = feeds,
    .feed = feed,
    .live_bytes = hw__rollout_live_bytes,
    .live_free = hw__rollout_live_free,
};
