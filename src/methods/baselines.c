/*
 * baselines.c - methods used for comparison: raw attention, rollout of uniform attention, and random numbers.
 */
#include "methods/baselines.h"

#include "base/error.h"
#include "base/splitmix64.h"
#include "methods/layer_matrix.h"
#include "methods/method.h"
#include "methods/through.h"

#include <stdlib.h>

/* ------------------------------------------------------------------ attention */

static hw_err run_attention(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    size_t n_tokens = a->run->n_tokens;
    double *of = hw__alloc(n_tokens, sizeof *of), *sum = hw__alloc(a->n_columns, sizeof *sum);
    hw_err rc = of && sum ? HW_OK : hw__fail_memory(err, "an attribution's row", n_tokens, sizeof *of);
    for (size_t l = 0; rc == HW_OK && l < trace->n_layers; l++) {
        for (size_t i = 0; i < a->n_rows; i++) {
            size_t n;
            const float *row = hw_trace_row(trace, l, hw__query_row(a, i), &n);
            for (size_t k = 0; k < n; k++) of[k] = row[k];
            hw__method_put(a, i, l, of, n, sum);
        }
        rc = hw__method_progress(p, l + 1, trace->n_layers, err);
    }
    free(of);
    free(sum);
    return rc;
}

const hw__method hw__method_attention = {
    .info =
        {
            .name = "attention",
            .summary = "attention weights as they are, heads fused, no residual stream",
            .needs = "attention rows of the rows of interest",
            .cost = "no extra pass",
            .reference = "Bahdanau et al. 2015, arXiv 1409.0473",
            .limitations = "what attention carries; the residual stream; which token was chosen",
            .traits = HW_USES_THROUGH | HW_USES_ROW | HW_USES_FUSE | HW_GIVES_SHARES | HW_GIVES_LAYERS,
            .rows = HW_ROWS_TARGET,
        },
    .by_row = true,
    .run = run_attention,
};

/* ------------------------------------------------------------------ uniform */

/* v [n] <- v Â_l for an A[q,k] that is equal in all columns that row q may attend to: those up to its own, or all. */
static void push_uniform(double *v, size_t n, const hw__layer_matrix *m, size_t l, bool causal) {
    double carried = 0, all = 0; /* what rows from q on, and what all rows, contribute to each visible column */
    for (size_t q = 0; !causal && q < n; q++)
        all += (1 - hw__layer_matrix_residual(m, l, q)) * v[q] / (double)(n - (m->remove_sink && q > 0));
    for (size_t q = n; q-- > 0;) {
        double r = hw__layer_matrix_residual(m, l, q);
        double share = (1 - r) * v[q] / (double)((causal ? q + 1 : n) - (m->remove_sink && q > 0));
        carried = (m->remove_sink && q == 0 ? 0 : carried) + share;
        v[q] = (causal || (m->remove_sink && q == 0) ? carried : all) + r * v[q];
    }
}

/* Row i of M: the product of the layers from the top down to l (output), or from l down to 0 (input). The latter is
 * computed again for each l, unless all layers are equal. */
static void fill_uniform_row(hw_attribution *a, size_t i, const hw__layer_matrix *m, double *v, double *sum) {
    size_t q = hw__query_row(a, i), n = a->run->causal ? q + 1 : a->run->n_tokens;
    bool up = a->params.direction == HW_DIRECTION_INPUT, anew = up && m->measured;
    for (size_t step = 0; step < a->n_layers; step++) {
        size_t l = up ? step : a->n_layers - 1 - step, top = anew ? l + 1 : 1;
        for (size_t k = 0; (anew || step == 0) && k < n; k++) v[k] = k == q;
        while (top-- > 0) push_uniform(v, n, m, anew ? top : l, a->run->causal);
        hw__method_put(a, i, l, v, n, sum);
    }
}

static hw_err fill_uniform(hw_attribution *a, const hw__layer_matrix *matrix, const hw_method_params *p,
                           hw_error *err) {
    double *v = hw__alloc(a->run->n_tokens, sizeof *v), *sum = hw__alloc(a->n_columns, sizeof *sum);
    hw_err rc = v && sum ? HW_OK : hw__fail_memory(err, "an attribution's row", a->run->n_tokens, sizeof *v);
    for (size_t i = 0; rc == HW_OK && i < a->n_rows; i++) {
        fill_uniform_row(a, i, matrix, v, sum);
        rc = hw__method_progress(p, i + 1, a->n_rows, err);
    }
    free(v);
    free(sum);
    return rc;
}

static hw_err run_uniform(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    hw__layer_matrix matrix = hw__layer_matrix_of(trace, p);
    return fill_uniform(a, &matrix, p, err);
}

const hw__method hw__method_uniform = {
    .info =
        {
            .name = "uniform",
            .summary = "rollout as if every token attended equally to all before it: position alone",
            .needs = "nothing of the trace but its shape",
            .cost = "none",
            .reference = "baseline",
            .limitations = "everything but position",
            .traits = HW_USES_THROUGH | HW_USES_ROW | HW_USES_RESIDUAL | HW_USES_REMOVE_SINK | HW_USES_DIRECTION |
                      HW_GIVES_SHARES | HW_GIVES_LAYERS,
            .rows = HW_ROWS_NONE,
        },
    .by_row = true,
    .signals = hw__layer_matrix_signals,
    .run = run_uniform,
};

/* Makes rows begin .. end - 1 for comparison with `a`, with their own settings. */
static hw_err make_uniform(hw_attribution **out, const hw_attribution *a, const hw_method_params *p, size_t begin,
                           size_t end, hw_error *err) {
    const hw_run *run = a->run;
    hw_attribution *u;
    size_t n_layers = a->n_layers;
    if (n_layers <= 1) n_layers = (size_t)(run->model.n_layers > 0 ? run->model.n_layers : run->model.n_sources);
    hw__attribution_part part = {hw__method_uniform.info.name, n_layers, begin, end};
    hw_err rc = hw__attribution_new_rows(&u, run, part, p, err);
    if (rc != HW_OK) return rc;
    hw__layer_matrix matrix = {.residual = p->residual,
                               .measured = p->residual_measured ? a->measured : NULL,
                               .stride = run->n_tokens,
                               .remove_sink = p->remove_sink};
    if ((rc = fill_uniform(u, &matrix, p, err)) != HW_OK) {
        hw_attribution_free(u);
        return rc;
    }
    *out = u;
    return HW_OK;
}

/* The same, followed through the completion: makes the rows before `begin` too, and frees them. */
static hw_err follow_uniform(hw_attribution **out, const hw_attribution *a, const hw_method_params *p, size_t begin,
                             size_t end, hw_error *err) {
    hw_method_params direct;
    int32_t *groups;
    hw__through_state state = {0};
    hw_attribution *inner = NULL, *u = NULL;
    hw_err rc = hw__through_inner(&direct, &groups, p, a->run, err);
    for (size_t from = begin > 0 ? 0 : begin, to = begin > 0 ? begin : end; rc == HW_OK && from < end;
         from = to, to = end) {
        hw_attribution_free(u);
        u = NULL;
        rc = make_uniform(&inner, a, &direct, from, to, err);
        if (rc == HW_OK) rc = hw__through_rows(&u, &(hw__through_rows_of){.inner = inner}, p, &state, err);
        hw_attribution_free(inner);
        inner = NULL;
    }
    hw__through_state_clear(&state);
    free(groups);
    if (rc == HW_OK) *out = u;
    return rc;
}

hw_err hw__uniform_beside(hw_attribution **out, const hw_attribution *a, hw_error *err) {
    uint32_t active = hw_method_active_traits(hw_method_find(a->method), &a->params);
    hw_method_params p = a->params;
    p.residual_measured = p.residual_measured && active & HW_USES_RESIDUAL;
    p.remove_sink = p.remove_sink && active & HW_USES_REMOVE_SINK;
    if (p.residual_measured && !a->measured)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "the residual of this result was measured, and the file does not say what it was: "
                        "explain the trace again for a lift");
    size_t begin = a->first_token - (hw_run_n_completion(a->run) > 0 ? a->run->n_prompt : 0);
    return (p.through ? follow_uniform : make_uniform)(out, a, &p, begin, begin + a->n_rows, err);
}

/* ------------------------------------------------------------------ random */

static hw_err run_random(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    (void)trace;
    (void)err;
    uint64_t state = p->seed;
    for (size_t i = 0; i < a->n_rows; i++) {
        double total = 0;
        float *row = a->values + i * a->n_columns;
        for (size_t k = 0; k < a->n_columns; k++) total += row[k] = (float)hw__random_next(&state);
        for (size_t k = 0; k < a->n_columns; k++) row[k] = (float)(row[k] / total);
    }
    return HW_OK;
}

const hw__method hw__method_random = {
    .info =
        {
            .name = "random",
            .summary = "seeded random numbers: what chance looks like",
            .needs = "nothing of the trace but its shape",
            .cost = "none",
            .reference = "baseline",
            .limitations = "everything",
            .traits = HW_USES_SEED | HW_GIVES_SHARES,
            .rows = HW_ROWS_NONE,
        },
    .run = run_random,
};
