/*
 * rollout.c - the method that composes the layers of a trace.
 *
 * Direction `input` splits the layers: the lowest are composed from the embeddings up (rollout_forward.c), all rows at
 * once; through the others one vector per target row and layer is pushed down (rollout_backward.c) and multiplied with
 * the composed matrix. The split with the fewest multiplications is used. During a growing run all L + 1 matrices are
 * kept, and rows are appended to each. Direction `output` uses only vectors.
 */
#include "methods/rollout.h"

#include "base/error.h"
#include "methods/method.h"
#include "methods/rollout_backward.h"
#include "methods/rollout_forward.h"

#include <stdlib.h>
#include <string.h>

/* Rows that are needed: a causal row does not attend to later tokens. */
static size_t n_rows_of(const hw_attribution *a) {
    return a->run->causal ? hw__query_row(a, a->n_rows - 1) + 1 : a->run->n_tokens;
}

/* ------------------------------------------------------------------ direction input */

/* Number of layers for the forward product, chosen by the multiplications that the rest takes. */
static size_t best_split(const hw__rollout_forward *f, size_t n_rows, size_t n_layers) {
    double n_tokens = (double)f->shape.n_rows, level = hw__block_layout_work(&f->shape, f->causal), entries = 0,
           min = 0;
    double push = n_tokens * n_tokens / (f->causal ? 2 : 1);
    size_t best = 0;
    for (size_t q = 0; q < f->shape.n_rows; q++) entries += (double)f->shape.row_width[q];
    for (size_t split = 0; split <= n_layers; split++) {
        double up = (double)(n_layers - split), rows = (double)n_rows;
        double work = (double)split * level + rows * push * up * (up - 1) / 2 + (split > 0 ? rows * up * entries : 0);
        if (split == 0 || work < min) {
            min = work;
            best = split;
        }
    }
    return best;
}

/* Rows of M by layer, until all layers are computed. */
typedef struct partial_rows {
    float *cells; /* [L, n, C] */
    size_t n_rows, n_columns;
} partial_rows;

static float *partial_row(const partial_rows *h, size_t l, size_t i) {
    return h->cells + (l * h->n_rows + i) * h->n_columns;
}

static hw_err partial_rows_new(partial_rows *h, const hw_attribution *a, const hw__rollout_forward *f, hw_error *err) {
    *h = (partial_rows){.n_rows = a->n_rows, .n_columns = f->shape.n_columns};
    h->cells = hw__alloc(a->n_layers * a->n_rows, h->n_columns * sizeof *h->cells);
    return h->cells ? HW_OK : hw__fail_memory(err, "rollout", a->n_layers * a->n_rows, h->n_columns * sizeof *h->cells);
}

static void hold_level(const partial_rows *h, const hw_attribution *a, size_t l, const hw__rollout_forward *f,
                       float *level) {
    for (size_t i = 0; i < a->n_rows; i++) {
        hw__part row = hw__block_row(&f->shape, level, hw__query_row(a, i));
        memcpy(partial_row(h, l, i), row.cells, row.stride * sizeof *row.cells);
    }
}

/* Row i of M at layer l: the outside mass, then M's columns. */
typedef hw__part (*row_fn)(const void *of, const hw_attribution *a, size_t l, size_t i);

static hw__part partial_rows_at(const void *of, const hw_attribution *a, size_t l, size_t i) {
    const partial_rows *h = of;
    (void)a;
    return (hw__part){partial_row(h, l, i), h->n_columns};
}

/* rows [L] is scratch. */
static void put_row(hw_attribution *a, size_t i, row_fn row_of, const void *of, const float **rows) {
    size_t n = a->n_columns;
    for (size_t l = 0; l < a->n_layers; l++) {
        hw__part row = row_of(of, a, l, i);
        if (row.stride - 1 < n) n = row.stride - 1;
        a->outside[i * a->n_layers + l] = row.cells[0];
        rows[l] = row.cells + 1;
    }
    hw__method_put_layers(a, i, rows, n);
}

static hw_err put_rows(hw_attribution *a, row_fn row_of, const void *of, hw_error *err) {
    bool no_memory = false;
#pragma omp parallel if (hw__worth_threads(a)) reduction(|| : no_memory)
    {
        const float **rows = hw__alloc(a->n_layers, sizeof *rows);
        no_memory = !rows;
#pragma omp for schedule(dynamic, 1) /* threads are slow or fast depending on whether their memory is new */
        for (size_t i = 0; i < a->n_rows; i++)
            if (rows) put_row(a, i, row_of, of, rows);
        free(rows);
    }
    return no_memory ? hw__fail_memory(err, "rollout", a->n_layers, sizeof(float *)) : HW_OK;
}

/* One explanation: layers below `split` are composed upwards, vectors are pushed down through the others. */
typedef struct composition {
    hw_attribution *a;
    const hw__rollout_forward *f;
    const hw__layer_matrix *matrix;
    const hw_method_params *p;
    size_t split;
    partial_rows rows; /* of M, of the layers below `split` */
    float *top;        /* the matrix after them, malloc'd; NULL: none */
} composition;

/* Composes layers 0 .. split - 1 from R_0 upwards. */
static hw_err compose_up(composition *c, hw_error *err) {
    const hw__rollout_forward *f = c->f;
    float *prev = hw__blocks_new(&f->shape), *next = hw__blocks_new(&f->shape);
    hw_err rc =
        prev && next ? HW_OK : hw__fail_memory(err, "rollout", 2 * hw__block_layout_size(&f->shape), sizeof *prev);
    if (rc == HW_OK) hw__rollout_forward_start(f, prev, c->a->run, &c->a->params);
    for (size_t l = 0; l < c->split && rc == HW_OK; l++) {
        hw__rollout_forward_rows(f, next, prev, c->matrix, (hw__layer_rows){l, 0, f->shape.n_rows});
        hold_level(&c->rows, c->a, l, f, next);
        float *done = next;
        next = prev;
        prev = done;
        rc = hw__method_progress(c->p, l + 1, c->a->n_layers, err);
    }
    free(next);
    if (rc != HW_OK) {
        free(prev);
        return rc;
    }
    c->top = prev;
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

/* Layers split .. L - 1. Vectors (l - split) n .. are those that start at layer l; at the bottom they are multiplied
 * with the matrix there, or are rows of M already. */
static hw_err push_down(composition *c, hw_error *err) {
    hw__rollout_backward chain;
    hw_attribution *a = c->a;
    size_t split = c->split, n = a->n_rows, up = a->n_layers - split, n_tokens = c->f->shape.n_rows;
    hw_err rc = hw__rollout_backward_new(&chain, up * n, n_tokens, c->f->causal, err);
    if (rc != HW_OK) return rc;
    for (size_t i = up; i-- > 0 && rc == HW_OK;) {
        hw__rollout_backward_push(&chain, a, c->matrix, split + i, i * n, (i + 1) * n);
        rc = hw__method_progress(c->p, a->n_layers - i, a->n_layers, err);
    }
    if (rc == HW_OK && c->top)
        hw__blocks_multiply_shared((hw__part){partial_row(&c->rows, split, 0), c->rows.n_columns},
                                   (hw__part){chain.v, n_tokens}, chain.n_rows, n_tokens, &c->f->shape, c->top);
    for (size_t i = 0; i < up && !c->top && rc == HW_OK; i++)
        rc = put_vectors(a, split + i, chain.v + i * n * n_tokens, n_tokens, err);
    hw__rollout_backward_free(&chain);
    return rc;
}

static hw_err run_split(composition *c, hw_error *err) {
    if (c->split == 0) return push_down(c, err);
    hw_err rc = partial_rows_new(&c->rows, c->a, c->f, err);
    if (rc == HW_OK) rc = compose_up(c, err);
    if (rc == HW_OK && c->split < c->a->n_layers) rc = push_down(c, err);
    if (rc == HW_OK) rc = put_rows(c->a, partial_rows_at, &c->rows, err);
    free(c->top);
    free(c->rows.cells);
    return rc;
}

hw_err hw__rollout_input(hw_attribution *a, const hw__layer_matrix *matrix, const hw_method_params *p, size_t split,
                         hw_error *err) {
    hw__rollout_forward f;
    hw_err rc = hw__rollout_forward_new(&f, a->run, &a->params, n_rows_of(a), err);
    if (rc != HW_OK) return rc;
    composition c = {.a = a, .f = &f, .matrix = matrix, .p = p};
    c.split = split <= a->n_layers ? split : best_split(&f, a->n_rows, a->n_layers);
    rc = run_split(&c, err);
    hw__rollout_forward_free(&f);
    return rc;
}

/* ------------------------------------------------------------------ rows as they come */

/* All layers' matrices are kept, so that a new row needs only its own weights. */
typedef struct cached_matrices {
    hw__rollout_forward f;
    float **levels;          /* [n_layers + 1] */
    size_t n_layers, n_done; /* rows composed */
} cached_matrices;

void hw__rollout_incremental_free(void *state) {
    cached_matrices *g = state;
    if (!g) return;
    for (size_t l = 0; g->levels && l <= g->n_layers; l++) free(g->levels[l]);
    if (g->levels) hw__rollout_forward_free(&g->f);
    free(g->levels);
    free(g);
}

/* See hw__trace_prefault(). */
static void prefault_rows(const cached_matrices *g, size_t first) {
    for (size_t l = 1; l <= g->n_layers; l++)
        for (size_t q = first; q < g->f.shape.n_rows && q < first + HW__PREFAULTED_ROWS; q++)
            hw__prefault(hw__block_row(&g->f.shape, g->levels[l], q).cells, g->f.shape.row_width[q] * sizeof(float));
}

static hw_err cached_matrices_new(cached_matrices **out, const hw__layer_matrix *matrix, const hw_method_params *p,
                                  hw_error *err) {
    const hw_trace *trace = matrix->trace;
    cached_matrices *g = hw__alloc(1, sizeof *g);
    if (!g) return hw__fail_memory(err, "rollout", 1, sizeof *g);
    hw_err rc = hw__rollout_forward_new(&g->f, trace->run, p, trace->capacity, err);
    if (rc != HW_OK) {
        free(g);
        return rc;
    }
    g->n_layers = hw__layer_matrix_layers(matrix);
    g->levels = hw__alloc(g->n_layers + 1, sizeof *g->levels);
    bool ok = g->levels != NULL;
    if (!ok) hw__rollout_forward_free(&g->f);
    for (size_t l = 0; ok && l <= g->n_layers; l++) ok = (g->levels[l] = hw__blocks_new(&g->f.shape)) != NULL;
    if (!ok) {
        rc = hw__fail_memory(err, "rollout", g->n_layers + 1, hw__block_layout_size(&g->f.shape) * sizeof(float));
        hw__rollout_incremental_free(g);
        return rc;
    }
    hw__rollout_forward_start(&g->f, g->levels[0], trace->run, p);
    prefault_rows(g, trace->run->n_prompt - 1);
    *out = g;
    return HW_OK;
}

size_t hw__rollout_incremental_bytes(const hw__layer_matrix *matrix, const hw_method_params *p) {
    const hw_trace *trace = matrix->trace;
    hw__rollout_forward f;
    size_t bytes;
    if (p->direction == HW_DIRECTION_OUTPUT) return 0;
    if (hw__rollout_forward_new(&f, trace->run, p, trace->capacity, NULL) != HW_OK) return SIZE_MAX;
    bool fits = hw__mul(&bytes, hw__block_layout_size(&f.shape), (hw__layer_matrix_layers(matrix) + 1) * sizeof(float));
    hw__rollout_forward_free(&f);
    return fits ? bytes : SIZE_MAX;
}

static hw__part cached_row(const void *of, const hw_attribution *a, size_t l, size_t i) {
    const cached_matrices *g = of;
    return hw__block_row(&g->f.shape, g->levels[l + 1], hw__query_row(a, i));
}

static hw_err live_input(void **state, hw_attribution *a, const hw__layer_matrix *matrix, const hw_method_params *p,
                         hw_error *err) {
    hw_err rc = *state ? HW_OK : cached_matrices_new((cached_matrices **)state, matrix, p, err);
    if (rc != HW_OK) return rc;
    cached_matrices *g = *state;
    size_t end = hw__query_row(a, a->n_rows - 1) + 1;
    for (size_t l = 0; l < g->n_layers && rc == HW_OK; l++) {
        hw__rollout_forward_rows(&g->f, g->levels[l + 1], g->levels[l], matrix, (hw__layer_rows){l, g->n_done, end});
        rc = hw__method_progress(p, l + 1, g->n_layers, err);
    }
    if (rc == HW_OK) rc = put_rows(a, cached_row, g, err);
    if (rc == HW_OK && end > g->n_done) g->n_done = end;
    return rc;
}

hw_err hw__rollout_consume(void **state, const hw__layer_matrix *matrix, const hw_method_params *p, hw__layer_rows rows,
                           hw_error *err) {
    hw_err rc = *state ? HW_OK : cached_matrices_new((cached_matrices **)state, matrix, p, err);
    if (rc != HW_OK) return rc;
    cached_matrices *g = *state;
    hw__rollout_forward_rows(&g->f, g->levels[rows.layer + 1], g->levels[rows.layer], matrix, rows);
    if (rows.layer + 1 == g->n_layers) g->n_done = rows.end;
    return HW_OK;
}

/* ------------------------------------------------------------------ direction output */

static hw_err run_output(hw_attribution *a, const hw__layer_matrix *matrix, const hw_method_params *p, hw_error *err) {
    hw__rollout_backward c;
    size_t n = a->n_rows, n_tokens = n_rows_of(a), top = a->n_layers - 1;
    hw_err rc = hw__rollout_backward_new(&c, n, n_tokens, a->run->causal, err);
    if (rc != HW_OK) return rc;
    for (size_t l = a->n_layers; rc == HW_OK && l-- > 0;) {
        hw__rollout_backward_push(&c, a, matrix, l, 0, l == top ? n : 0);
        rc = put_vectors(a, l, c.v, n_tokens, err);
        if (rc == HW_OK) rc = hw__method_progress(p, a->n_layers - l, a->n_layers, err);
    }
    hw__rollout_backward_free(&c);
    return rc;
}

/* ------------------------------------------------------------------ both */

hw_err hw__rollout_compose(hw_attribution *a, const hw__layer_matrix *matrix, const hw_method_params *p,
                           hw_error *err) {
    return p->direction == HW_DIRECTION_INPUT ? hw__rollout_input(a, matrix, p, HW__ROLLOUT_BEST, err)
                                              : run_output(a, matrix, p, err);
}

/* From the top down a row does not depend on others; for a finished trace nothing is kept. */
hw_err hw__rollout_incremental(void **state, hw_attribution *a, const hw__layer_matrix *matrix,
                               const hw_method_params *p, hw_error *err) {
    bool keeps = p->direction == HW_DIRECTION_INPUT && (*state || matrix->trace->growing);
    return keeps ? live_input(state, a, matrix, p, err) : hw__rollout_compose(a, matrix, p, err);
}

/* ------------------------------------------------------------------ the method */

static hw_err run(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    hw__layer_matrix matrix = hw__layer_matrix_of(trace, p);
    return hw__rollout_compose(a, &matrix, p, err);
}

static hw_err incremental(void **state, hw_attribution *a, const hw_trace *trace, const hw_method_params *p,
                          hw_error *err) {
    hw__layer_matrix matrix = hw__layer_matrix_of(trace, p);
    return hw__rollout_incremental(state, a, &matrix, p, err);
}

/* From the top down the last row is needed first. */
static bool can_consume(const hw_method_params *p) { return p->direction == HW_DIRECTION_INPUT; }

static hw_err consume(void **state, const hw_trace *trace, const hw_method_params *p, hw__layer_rows rows,
                      hw_error *err) {
    hw__layer_matrix matrix = hw__layer_matrix_of(trace, p);
    return hw__rollout_consume(state, &matrix, p, rows, err);
}

static size_t incremental_bytes(const hw_trace *trace, const hw_method_params *p) {
    hw__layer_matrix matrix = hw__layer_matrix_of(trace, p);
    return hw__rollout_incremental_bytes(&matrix, p);
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
            .limitations =
                "what attention carries (values), MLPs, which token was chosen; deep layers pile up on token 0",
            .traits = HW_USES_THROUGH | HW_USES_ROW | HW_USES_FUSE | HW_USES_RESIDUAL | HW_USES_DISCARD |
                      HW_USES_REMOVE_SINK | HW_USES_DIRECTION | HW_GIVES_SHARES | HW_GIVES_LAYERS,
            .rows = HW_ROWS_ALL,
        },
    .signals = hw__layer_matrix_signals,
    .run = run,
    .incremental = incremental,
    .can_consume = can_consume,
    .consume = consume,
    .incremental_bytes = incremental_bytes,
    .incremental_free = hw__rollout_incremental_free,
};
