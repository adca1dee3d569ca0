/*
 * baseline.c - methods that others are compared with: raw attention, rollout of uniform attention, and chance.
 */
#include "error.h"
#include "method.h"
#include "random.h"
#include "rollout.h"

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
            .blind = "what attention carries; the residual stream; which token was chosen",
            .traits = HW_USES_FUSE | HW_GIVES_SHARES,
        },
    .layered = true,
    .by_row = true,
    .run = run_attention,
};

/* ------------------------------------------------------------------ uniform */

/* v [n] <- v Â with A[q,k] = 1/(q+1), or 1/n where rows see later columns too. The same in every layer, so rows of
 * R_l = Â^l come one vector at a time. */
static void push_uniform(double *v, size_t n, double residual, bool causal) {
    double carried = 0;
    for (size_t k = 0; !causal && k < n; k++) carried += (1 - residual) * v[k] / (double)n;
    for (size_t k = n; k-- > 0;) {
        if (causal) carried += (1 - residual) * v[k] / (double)(k + 1);
        v[k] = carried + residual * v[k];
    }
}

static hw_err run_uniform(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    size_t n_tokens = a->run->n_tokens;
    double *v = hw__alloc(n_tokens, sizeof *v), *sum = hw__alloc(a->n_columns, sizeof *sum);
    hw_err rc = v && sum ? HW_OK : hw__fail_memory(err, "an attribution's row", n_tokens, sizeof *v);
    for (size_t i = 0; rc == HW_OK && i < a->n_rows; i++) {
        size_t q = hw__query_row(a, i), n = a->run->causal ? q + 1 : n_tokens;
        for (size_t k = 0; k < n; k++) v[k] = k == q;
        for (size_t l = 0; l < trace->n_layers; l++) {
            push_uniform(v, n, p->residual, a->run->causal);
            hw__method_put(a, i, p->direction == HW_DIRECTION_INPUT ? l : trace->n_layers - 1 - l, v, n, sum);
        }
        rc = hw__method_progress(p, i + 1, a->n_rows, err);
    }
    free(v);
    free(sum);
    return rc;
}

const hw__method hw__method_uniform = {
    .info =
        {
            .name = "uniform",
            .summary = "rollout as if every token attended equally to all before it: position alone",
            .needs = "nothing of the trace but its shape",
            .cost = "none",
            .reference = "baseline",
            .blind = "everything but position",
            .traits = HW_USES_RESIDUAL | HW_USES_DIRECTION | HW_GIVES_SHARES,
        },
    .layered = true,
    .by_row = true,
    .run = run_uniform,
};

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
            .blind = "everything",
            .traits = HW_USES_SEED | HW_GIVES_SHARES,
        },
    .layered = false,
    .run = run_random,
};
