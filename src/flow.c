/*
 * flow.c - method `flow`: attention flow (Abnar & Zuidema 2020, arXiv 2005.00928, section 4).
 *
 * The layers are a network of pipes: node (l, t) is token t after layer l, (0, t) its embedding, and row q of Â_l gives the
 * capacities of the pipes from (l, q) down to each (l-1, k). What token k is worth to row q at layer l is the largest flow
 * from (l, q) to (0, k): one maximum-flow problem for each of them. Rows of M are then scaled to sum to 1.
 *
 * The graph library keeps its clean-up list and its error handler in globals, so one problem runs at a time in a process.
 */
#include "error.h"
#include "method.h"
#include "rollout.h"

#include <igraph.h>
#include <pthread.h>
#include <stdlib.h>

/* Most problems times pipes that one call may take, all rows and layers together: at the 100 to 200 ns that a pipe takes
 * in a problem, about two minutes. */
static const double MOST_WORK = 1e9;

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* What is above row q at one depth: nodes (l, t) for l < depth and t < n, then the source (depth, q). */
typedef struct network {
    size_t n, depth;
    igraph_vector_int_t ends;  /* [pipes, 2] from, to */
    igraph_vector_t capacity;  /* [pipes] */
    double *w;                 /* [n] scratch: one row of Â */
} network;

static igraph_integer_t node(size_t l, size_t t, size_t n) { return (igraph_integer_t)(l * n + t); }

/* The pipes of row q of layer l (0-based), which lead from node `from` down to tokens of level l. */
static bool add_pipes(network *net, const hw_trace *trace, size_t l, size_t q, igraph_integer_t from, double residual) {
    size_t n;
    const float *attn = hw_trace_row(trace, l, q, &n);
    hw__rollout_weights(net->w, attn, n, q, residual);
    for (size_t k = 0; k < n; k++) {
        if (!(net->w[k] > 0)) continue;
        if (igraph_vector_int_push_back(&net->ends, from) || igraph_vector_int_push_back(&net->ends, node(l, k, net->n)) ||
            igraph_vector_push_back(&net->capacity, net->w[k]))
            return false;
    }
    return true;
}

static bool add_layers(network *net, const hw_trace *trace, size_t q, double residual) {
    for (size_t l = 0; l + 1 < net->depth; l++)
        for (size_t t = 0; t < net->n; t++)
            if (!add_pipes(net, trace, l, t, node(l + 1, t, net->n), residual)) return false;
    return add_pipes(net, trace, net->depth - 1, q, node(net->depth, 0, net->n), residual);
}

/* of [n]: the largest flow from the source to each token, scaled to sum to 1. */
static bool solve(double *of, const network *net) {
    igraph_t graph;
    double sum = 0;
    igraph_integer_t source = node(net->depth, 0, net->n);
    if (igraph_create(&graph, &net->ends, source + 1, IGRAPH_DIRECTED)) return false;
    bool ok = true;
    for (size_t k = 0; k < net->n && ok; k++) {
        ok = igraph_maxflow_value(&graph, &of[k], source, node(0, k, net->n), &net->capacity, NULL) == IGRAPH_SUCCESS;
        sum += of[k];
    }
    igraph_destroy(&graph);
    for (size_t k = 0; k < net->n && ok && sum > 0; k++) of[k] /= sum;
    return ok;
}

/* Flow into every token from row q after layer depth - 1, of [n]. */
static bool flow_of_row(double *of, const hw_trace *trace, size_t q, size_t depth, size_t n, double residual, double *w) {
    network net = {.n = n, .depth = depth, .w = w};
    pthread_mutex_lock(&one_at_a_time);
    igraph_error_handler_t *before = igraph_set_error_handler(igraph_error_handler_ignore); /* the standard one aborts */
    bool ok = false;
    if (igraph_vector_int_init(&net.ends, 0) == IGRAPH_SUCCESS) {
        if (igraph_vector_init(&net.capacity, 0) == IGRAPH_SUCCESS) {
            ok = add_layers(&net, trace, q, residual) && solve(of, &net);
            igraph_vector_destroy(&net.capacity);
        }
        igraph_vector_int_destroy(&net.ends);
    }
    igraph_set_error_handler(before);
    pthread_mutex_unlock(&one_at_a_time);
    return ok;
}

/* ------------------------------------------------------------------ the method */

/* Tokens that a row can reach: those up to it, or all. */
static size_t reach(const hw_attribution *a, size_t i) { return a->run->causal ? hw__query_row(a, i) + 1 : a->run->n_tokens; }

static double work_of(double n, double layers, bool causal) {
    double pipes = causal ? n * (n + 1) / 2 : n * n;
    return n * (pipes * layers * (layers - 1) / 2 + n * layers);
}

static hw_err check_work(const hw_attribution *a, hw_error *err) {
    double work = 0, layers = (double)a->n_layers, rows = (double)a->n_rows;
    for (size_t i = 0; i < a->n_rows; i++) work += work_of((double)reach(a, i), layers, a->run->causal);
    if (work <= MOST_WORK) return HW_OK;
    size_t most = 1;
    while (rows * work_of((double)most + 1, layers, a->run->causal) <= MOST_WORK) most++;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "flow over %zu tokens is too large: it is for small inputs, about %zu tokens where %zu rows and %zu layers are asked (rollout is "
                    "its fast relative)",
                    reach(a, a->n_rows - 1), most, a->n_rows, a->n_layers);
}

static hw_err run(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    size_t n_tokens = a->run->n_tokens;
    a->params.direction = HW_DIRECTION_INPUT; /* a flow always ends at the embeddings */
    hw_err rc = check_work(a, err);
    if (rc != HW_OK) return rc;
    double *of = hw__alloc(n_tokens, sizeof *of), *w = hw__alloc(n_tokens, sizeof *w), *sum = hw__alloc(a->n_columns, sizeof *sum);
    rc = of && w && sum ? HW_OK : hw__fail_memory(err, "flow", n_tokens, 2 * sizeof *of);
    for (size_t i = 0; i < a->n_rows && rc == HW_OK; i++) {
        size_t q = hw__query_row(a, i), n = reach(a, i);
        for (size_t l = 0; l < a->n_layers && rc == HW_OK; l++) {
            if (!flow_of_row(of, trace, q, l + 1, n, p->residual, w)) {
                rc = hw__fail(err, HW_ERR_MEMORY, "flow: the graph library failed at row %zu, layer %zu of %zu tokens", q, l, n);
                break;
            }
            hw__method_put(a, i, l, of, n, sum);
            rc = hw__method_progress(p, i * a->n_layers + l + 1, a->n_rows * a->n_layers, err);
        }
    }
    free(of);
    free(w);
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
            .blind = "what attention carries (values), MLPs, which token was chosen",
        },
    .layered = true,
    .run = run,
};
