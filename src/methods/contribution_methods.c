/*
 * contribution_methods.c - methods `contribution` and `logit`: M from signals that the run captured.
 *
 * The signals hold one number per layer, target row and column; here they are selected and grouped. Every number
 * concerns a single layer ("direct"): the mean over layers is the explanation. With aggregate `rollout` the
 * contributions of every row are composed instead, S_l = C_l ... C_0 (ALTI: Ferrando et al. 2022, arXiv 2203.04212), as
 * rollout.c composes attention.
 */
#include "base/error.h"
#include "math/simd.h"
#include "methods/layer_matrix.h"
#include "methods/method.h"
#include "methods/rollout.h"

#include <stdlib.h>
#include <string.h>

/* For one thread: layers [L], row [T], sum [C]. */
typedef struct scratch {
    const float **layers;
    double *row, *sum;
} scratch;

/* All layers of row i of M: row query(i) - (m - 1) of the signal. */
static void put_row(hw_attribution *a, const hw_trace *trace, hw_signal signal, size_t i, const scratch *s) {
    size_t q = hw__query_row(a, i), row = q - (a->run->n_prompt - 1), L = trace->n_sources, C = a->n_columns;
    bool sums = trace->signals.groups, tokens = !a->params.groups && a->params.columns == HW_COLUMNS_PROMPT;
    for (size_t l = 0; l < L; l++) {
        const float *all = hw__trace_signal(trace, signal, l, row);
        s->layers[l] = sums ? all + 1 : all;
        if (sums || tokens) a->outside[i * L + l] = sums ? all[0] : (float)hw__sum(all + C, q + 1 - C);
    }
    if (sums || tokens) {
        hw__method_put_layers(a, i, s->layers, C);
        return;
    }
    for (size_t l = 0; l < L; l++) {
        for (size_t k = 0; k <= q; k++) s->row[k] = s->layers[l][k];
        hw__method_put(a, i, l, s->row, q + 1, s->sum);
    }
}

/* Copies a signal's rows into M, row by row, because the layers of a row are adjacent in M. */
static hw_err put_signal(hw_attribution *a, const hw_trace *trace, hw_signal signal, const hw_method_params *p,
                         hw_error *err) {
    size_t capacity = a->run->n_tokens + a->n_columns;
    long n = (long)a->n_rows;
    bool no_memory = false;
    if (hw_run_n_completion(a->run) == 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the run has no completion to explain");
#pragma omp parallel if (hw__worth_threads(a)) reduction(|| : no_memory)
    {
        double *of = hw__alloc(capacity, sizeof *of);
        const float **from = hw__alloc(trace->n_sources, sizeof *from);
        no_memory = !of || !from;
#pragma omp for schedule(dynamic, 1)
        for (long i = 0; i < n; i++)
            if (of && from) put_row(a, trace, signal, (size_t)i, &(scratch){from, of, of + a->run->n_tokens});
        free(of);
        free(from);
    }
    if (no_memory) return hw__fail_memory(err, "an attribution's row", capacity, sizeof(double));
    return hw__method_progress(p, trace->n_sources, trace->n_sources, err);
}

/* Measures and signals have the same order. */
static hw_signal signal_of(hw_measure measure) { return (hw_signal)measure; }

static bool composes(const hw_method_params *p) { return p->aggregate == HW_AGGREGATE_ROLLOUT; }

static uint32_t contribution_signals(const hw_method_params *p) {
    return composes(p) ? hw__layer_matrix_contribution_signals(p) : 1u << signal_of(p->measure);
}

static hw_err run_contribution(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    if (!composes(p)) return put_signal(a, trace, signal_of(p->measure), p, err);
    hw__layer_matrix matrix = hw__layer_matrix_of_contributions(trace, p);
    return hw__rollout_compose(a, &matrix, p, err);
}

static hw_err incremental_contribution(void **state, hw_attribution *a, const hw_trace *trace,
                                       const hw_method_params *p, hw_error *err) {
    if (!composes(p)) return run_contribution(a, trace, p, err);
    hw__layer_matrix matrix = hw__layer_matrix_of_contributions(trace, p);
    return hw__rollout_incremental(state, a, &matrix, p, err);
}

static size_t contribution_bytes(const hw_trace *trace, const hw_method_params *p) {
    hw__layer_matrix matrix = hw__layer_matrix_of_contributions(trace, p);
    return composes(p) ? hw__rollout_incremental_bytes(&matrix, p) : 0;
}

static uint32_t contribution_traits(const hw_method_params *p) {
    uint32_t composed = HW_USES_DIRECTION | (p->measure == HW_MEASURE_NORM ? HW_USES_RESIDUAL : 0);
    uint32_t always =
        HW_USES_THROUGH | HW_USES_ROW | HW_USES_MEASURE | HW_USES_AGGREGATE | HW_GIVES_SHARES | HW_GIVES_LAYERS;
    return always | (composes(p) ? composed : 0);
}

static uint32_t logit_signals(const hw_method_params *p) {
    (void)p;
    return 1u << HW_SIGNAL_LOGIT;
}

/* After following through the answer, a row's nats become shares of the contributions that raised the logit. */
static uint32_t logit_traits(const hw_method_params *p) {
    return HW_USES_THROUGH | HW_USES_AGAINST | HW_GIVES_LAYERS | (p->through ? HW_GIVES_SHARES : 0);
}

static hw_err run_logit(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    a->params.row = HW_ROW_PREDICTOR; /* only the predictor row chose the token */
    hw_err rc = put_signal(a, trace, HW_SIGNAL_LOGIT, p, err);
    if (rc != HW_OK) return rc;
    a->balance = hw__alloc(a->n_rows, sizeof *a->balance);
    if (!a->balance) return hw__fail_memory(err, "the logit balance", a->n_rows, sizeof *a->balance);
    memcpy(a->balance, trace->signals.balance + (a->first_token - a->run->n_prompt), a->n_rows * sizeof *a->balance);
    return HW_OK;
}

const hw__method hw__method_contribution = {
    .info =
        {
            .name = "contribution",
            .summary = "how much of the stream after each layer's attention comes from each token",
            .needs = "values, output projection and stream of the rows of interest, composed: of every row (not: "
                     "attention alone)",
            .cost = "no extra pass; about one query-key product a layer and completion token (norm and proximity: one "
                    "a head), "
                    "composed: and prompt token",
            .reference = "Kobayashi et al. 2020, arXiv 2004.10102; Ferrando et al. 2022, arXiv 2203.04212",
            .limitations =
                "what MLPs do with it, information carried over several layers (unless composed), which token was "
                "chosen",
            .traits = HW_USES_THROUGH | HW_USES_ROW | HW_USES_MEASURE | HW_USES_AGGREGATE | HW_USES_DIRECTION |
                      HW_USES_RESIDUAL | HW_GIVES_SHARES | HW_GIVES_LAYERS,
            .rows = HW_ROWS_NONE,
        },
    .active_traits = contribution_traits,
    .by_row = true,
    .signals = contribution_signals,
    .run = run_contribution,
    .incremental = incremental_contribution,
    .incremental_bytes = contribution_bytes,
    .incremental_free = hw__rollout_incremental_free,
};

const hw__method hw__method_logit = {
    .info =
        {
            .name = "logit",
            .summary = "direct effect of attention to each token on the logit of the chosen token, in nats",
            .needs = "as contribution, and the final norm and output weights",
            .cost = "as contribution; one row of the output weights a completion token",
            .reference = "Elhage et al. 2021, transformer-circuits framework, direct logit attribution",
            .limitations = "effects that pass through later layers and MLPs; see its balance for how large they are",
            .traits = HW_USES_THROUGH | HW_USES_AGAINST | HW_GIVES_LAYERS,
            .rows = HW_ROWS_NONE,
        },
    .active_traits = logit_traits,
    .by_row = true,
    .gathers = &hw__method_contribution,
    .signals = logit_signals,
    .run = run_logit,
};
