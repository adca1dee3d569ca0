/*
 * flow.c - method `flow`: attention flow (Abnar & Zuidema 2020, arXiv 2005.00928, section 4).
 *
 * The layers are a network of pipes: node (l, t) is token t after layer l, (0, t) its embedding, and row q of Â_l gives
 * the capacities of the pipes from (l, q) down to each (l-1, k). The value of token k for row q at layer l is the
 * maximum flow from (l, q) to (0, k): one maximum-flow problem each. Rows of M are then scaled to sum to 1.
 */
#include "base/error.h"
#include "math/maxflow.h"
#include "methods/layer_matrix.h"
#include "methods/method.h"

#include <stdlib.h>

/* Maximum number of problems times pipes in one call, over all rows and layers: at 30 to 100 ns per pipe and problem,
 * about a minute. */
static const double MAX_WORK = 1e9;

/* Tokens that row i can attend to: those up to its own, or all. */
static size_t row_width(const hw_attribution *a, size_t i) {
    return a->run->causal ? hw__query_row(a, i) + 1 : a->run->n_tokens;
}

/* Rows to explain: the first one attends to `width` tokens, each further one of a causal model to one more. */
typedef struct row_range {
    size_t width, n, n_layers;
    bool causal;
} row_range;

/* Pipes between two levels of n tokens. */
static size_t n_between(size_t n, bool causal) { return causal ? n * (n + 1) / 2 : n * n; }

/* Adds the pipes from node `from` down to nodes first .., with the capacities w [n], a row of Â. */
static void add_row(hw__pipes *pipes, size_t from, size_t first, const float *w, size_t n) {
    for (size_t k = 0; k < n; k++)
        if (w[k] > 0) hw__pipes_add(pipes, from, first + k, w[k]);
}

/* of [n]: the maximum flow from row q after layer depth - 1 to each token, scaled to sum to 1. Nodes: (l, t) at l n +
 * t for l < depth, then the source. */
static hw_err flow_of_row(double *of, const hw__layer_matrix *matrix, size_t q, size_t depth, size_t n, hw_error *err) {
    hw__pipes *pipes;
    float *w = hw__alloc(n, sizeof *w);
    if (!w) return hw__fail_memory(err, "flow", n, sizeof *w);
    size_t source = depth * n;
    hw_err rc = hw__pipes_new(&pipes, source + 1, (depth - 1) * n_between(n, matrix->trace->run->causal) + n, err);
    if (rc != HW_OK) {
        free(w);
        return rc;
    }
    for (size_t l = 0; l + 1 < depth; l++)
        for (size_t t = 0; t < n; t++) add_row(pipes, (l + 1) * n + t, l * n, w, hw__layer_matrix_row(w, matrix, l, t));
    add_row(pipes, source, (depth - 1) * n, w, hw__layer_matrix_row(w, matrix, depth - 1, q));
    free(w);
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += of[k] = hw__pipes_flow(pipes, source, k);
    for (size_t k = 0; k < n && sum > 0; k++) of[k] /= sum;
    hw__pipes_free(pipes);
    return HW_OK;
}

/* ------------------------------------------------------------------ the method */

/* Problems times pipes of one row over all layers. */
static double work_of(size_t n, size_t layers, bool causal) {
    double depths = (double)layers * ((double)layers - 1) / 2;
    return (double)n * ((double)n_between(n, causal) * depths + (double)(n * layers));
}

static hw_err check_work(const row_range *r, hw_error *err) {
    double work = 0;
    for (size_t i = 0; i < r->n; i++) work += work_of(r->width + (r->causal ? i : 0), r->n_layers, r->causal);
    if (r->n == 0 || work <= MAX_WORK) return HW_OK;
    size_t max = 1;
    while ((double)r->n * work_of(max + 1, r->n_layers, r->causal) <= MAX_WORK) max++;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "flow over %zu tokens is too large: it is for small inputs, about %zu tokens where %zu row%s and "
                    "%zu layers are requested (rollout is "
                    "its fast relative)",
                    r->width + (r->causal ? r->n - 1 : 0), max, r->n, r->n == 1 ? "" : "s", r->n_layers);
}

/* The least that a completion of `n_completion` tokens or more asks for. */
static hw_err check_size(const hw_run *run, size_t n_completion, const hw_method_params *p, hw_error *err) {
    bool own = p->row == HW_ROW_OWN;
    size_t width = run->causal ? run->n_prompt + own : run->n_prompt + n_completion;
    return check_work(&(row_range){width, n_completion, (size_t)run->model.n_layers, run->causal}, err);
}

static hw_err run(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    size_t n_tokens = a->run->n_tokens;
    hw__layer_matrix matrix = hw__layer_matrix_of(trace, p);
    hw_err rc = check_work(&(row_range){row_width(a, 0), a->n_rows, a->n_layers, a->run->causal}, err);
    if (rc != HW_OK) return rc;
    double *of = hw__alloc(n_tokens, sizeof *of), *sum = hw__alloc(a->n_columns, sizeof *sum);
    rc = of && sum ? HW_OK : hw__fail_memory(err, "flow", n_tokens, 2 * sizeof *of);
    for (size_t i = 0; i < a->n_rows && rc == HW_OK; i++) {
        size_t q = hw__query_row(a, i), n = row_width(a, i);
        for (size_t l = 0; l < a->n_layers && rc == HW_OK; l++) {
            rc = flow_of_row(of, &matrix, q, l + 1, n, err);
            if (rc != HW_OK) break;
            hw__method_put(a, i, l, of, n, sum);
            rc = hw__method_progress(p, i * a->n_layers + l + 1, a->n_rows * a->n_layers, err);
        }
    }
    free(of);
    free(sum);
    return rc;
}

const hw__method hw__method_flow = {
    .info =
        {
            .name = "flow",
            .summary = "attention as pipes: the largest flow that each token can send up through the layers",
            .needs = "attention rows of every token",
            .cost = "no extra pass; a maximum-flow problem for each row, layer and token: small inputs only",
            .reference = "Abnar & Zuidema 2020, arXiv 2005.00928, section 4",
            .limitations = "what attention carries (values), MLPs, which token was chosen",
            .traits = HW_USES_THROUGH | HW_USES_ROW | HW_USES_FUSE | HW_USES_RESIDUAL | HW_USES_DISCARD |
                      HW_USES_REMOVE_SINK | HW_GIVES_SHARES | HW_GIVES_LAYERS,
            .rows = HW_ROWS_ALL,
        },
    .signals = hw__layer_matrix_signals,
    .check_size = check_size,
    .run = run,
};
