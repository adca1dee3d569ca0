/*
 * reference.c - a variant's M against what the captured rows say, computed apart from the library's methods.
 *
 * rollout: row q of layer l is e_q Â_l Â_{l-1} ... Â_0, a chain of vectors in double precision, for the first, the
 * middle and the last token and layer. contribution: rows and what is outside sum to 1. logit: the columns add up to
 * the balance sheet's share of the prompt, and the sheet to the model's own logit. Both, cell by cell: what a run gives
 * that keeps every row and every signal by token, and is explained when it is over; tests compare that with PyTorch.
 */
#include "reference.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROBES = 3 };
/* Rollout: rounding of F32 sums over a row's columns. The others: what libllama quantises on the way and the library
 * does not (activations), as the tests of real models bound it. */
static const double rollout_absolute = 1e-6, rollout_relative = 1e-3, share_error = 0.05, sum_error = 1e-3,
                    balance_error = 0.5, cells_error = 1e-8 /* NMSE: the same sums in another order */;

static hw_err differs(hw_error *err, const char *what, size_t token, size_t layer, double is, double should) {
    return hw__fail(err, HW_ERR_ENGINE, "%s of token %zu, layer %zu is %.9g, the reference gives %.9g", what, token,
                    layer, is, should);
}

/* ------------------------------------------------------------------ rollout */

/* out [T] <- v Â_l, whose rows are (A + e_q) / (1 + sum A); only 0..last of v is not 0. */
static void step_down(double *out, const double *v, const hw_trace *trace, size_t layer, size_t last) {
    memset(out, 0, (last + 1) * sizeof *out);
    for (size_t q = 0; q <= last; q++) {
        size_t n;
        const float *row = hw_trace_row(trace, layer, q, &n);
        double sum = 1;
        if (v[q] == 0) continue;
        for (size_t k = 0; k < n; k++) sum += row[k];
        double weight = v[q] / sum;
        for (size_t k = 0; k < n; k++) out[k] += weight * row[k];
        out[q] += weight;
    }
}

/* Row q of S_layer in v [T]; spare [T] is scratch. */
static void chain(double *v, double *spare, const hw_trace *trace, size_t layer, size_t q) {
    memset(v, 0, (q + 1) * sizeof *v);
    v[q] = 1;
    for (size_t l = layer + 1; l-- > 0;) {
        step_down(spare, v, trace, l, q);
        memcpy(v, spare, (q + 1) * sizeof *v);
    }
}

/* Row i of layer l of M against v [q + 1]; sum [columns] is scratch. */
static hw_err compare_row(const hw_attribution *a, size_t i, size_t l, const double *v, double *sum, hw_error *err) {
    const hw_method_params p = hw_attribution_params(a);
    size_t n_columns = hw_attribution_n_columns(a), n_layers = hw_attribution_n_layers(a);
    size_t m = hw_run_n_prompt(hw_attribution_run(a));
    memset(sum, 0, n_columns * sizeof *sum);
    for (size_t k = 0; k < m; k++)
        if (!p.groups) {
            sum[k] = v[k];
        } else if (p.groups[k] >= 0) {
            sum[p.groups[k]] += v[k];
        }
    for (size_t k = 0; k < n_columns; k++) {
        double is = (double)hw_attribution_values(a)[(i * n_columns + k) * n_layers + l];
        if (!(fabs(is - sum[k]) <= rollout_absolute + rollout_relative * sum[k]))
            return differs(err, "rollout", hw_attribution_first_token(a) + i, l, is, sum[k]);
    }
    return HW_OK;
}

static hw_err check_rollout(const hw_attribution *a, const hw_trace *trace, hw_error *err) {
    if (!trace) return HW_OK;
    size_t n_tok = hw_run_n_tokens(hw_trace_run(trace)), n = hw_attribution_n_rows(a), L = hw_attribution_n_layers(a);
    size_t tokens[N_PROBES] = {0, n / 2, n - 1}, layers[N_PROBES] = {0, L / 2, L - 1};
    double *v = calloc(n_tok, sizeof *v), *spare = calloc(n_tok, sizeof *spare);
    double *sum = calloc(hw_attribution_n_columns(a), sizeof *sum);
    hw_err rc = v && spare && sum ? HW_OK : HW_ERR_MEMORY;
    if (rc != HW_OK) *err = (hw_error){.code = rc, .msg = "no memory for the reference"};
    for (size_t i = 0; i < N_PROBES && rc == HW_OK; i++)
        for (size_t l = 0; l < N_PROBES && rc == HW_OK; l++) {
            chain(v, spare, trace, layers[l], hw_attribution_first_token(a) + tokens[i] - 1);
            rc = compare_row(a, tokens[i], layers[l], v, sum, err);
        }
    free(v);
    free(spare);
    free(sum);
    return rc;
}

/* ------------------------------------------------------------------ what attention carries */

/* Sum of row i over columns of layer l, or of all layers where l is the number of layers. */
static double row_sum(const hw_attribution *a, size_t i, size_t l) {
    size_t n_columns = hw_attribution_n_columns(a), n_layers = hw_attribution_n_layers(a);
    const float *row = hw_attribution_values(a) + i * n_columns * n_layers;
    double sum = 0;
    for (size_t k = 0; k < n_columns; k++)
        for (size_t j = 0; j < n_layers; j++)
            if (j == l || l == n_layers) sum += (double)row[k * n_layers + j];
    return sum;
}

/* Squared difference of row i of `a` and row j of `b`, and b's own size. */
static void add_squares(double *apart, double *size, const hw_attribution *a, size_t i, const hw_attribution *b,
                        size_t j) {
    size_t n = hw_attribution_n_columns(a) * hw_attribution_n_layers(a);
    const float *x = hw_attribution_values(a) + i * n, *y = hw_attribution_values(b) + j * n;
    for (size_t k = 0; k < n; k++) {
        *apart += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
        *size += (double)y[k] * y[k];
    }
}

/* Every cell of each row against `whole`, which has all rows. */
static hw_err compare_rows(const hw_attribution *a, const hw_attribution *whole, hw_error *err) {
    size_t first = hw_attribution_first_token(a) - hw_attribution_first_token(whole);
    for (size_t i = 0; i < hw_attribution_n_rows(a); i++) {
        double apart = 0, size = 0;
        add_squares(&apart, &size, a, i, whole, first + i);
        if (!(apart <= cells_error * size))
            return differs(err, "the error of the cells", hw_attribution_first_token(a) + i, hw_attribution_n_layers(a),
                           apart / size, 0);
    }
    return HW_OK;
}

/* Against the same method on a trace that has all it needs by token; others pass. */
static hw_err compare_cells(const hw_attribution *a, const hw_trace *trace, hw_error *err) {
    hw_method_params p = hw_attribution_params(a), tokens = p;
    hw_attribution *whole = NULL, *grouped = NULL;
    tokens.groups = NULL;
    uint32_t needed = hw_method_signals(hw_attribution_method(a), &p);
    for (int s = 0; s < HW_N_SIGNALS; s++)
        if (needed & 1u << s && !(trace && hw_trace_has(trace, (hw_signal)s))) return HW_OK;
    hw_err rc = hw_explain(&whole, trace, hw_attribution_method(a), &tokens, err);
    if (rc == HW_OK && p.groups) rc = hw_attribution_group(&grouped, whole, p.groups, NULL, p.n_groups, err);
    if (rc == HW_OK) rc = compare_rows(a, grouped ? grouped : whole, err);
    hw_attribution_free(grouped);
    hw_attribution_free(whole);
    return rc;
}

static hw_err check_shares(const hw_attribution *a, const hw_trace *trace, hw_error *err) {
    size_t n_layers = hw_attribution_n_layers(a);
    for (size_t i = 0; i < hw_attribution_n_rows(a); i++)
        for (size_t l = 0; l < n_layers; l++) {
            double sum = row_sum(a, i, l) + (double)hw_attribution_outside(a)[i * n_layers + l];
            if (!(fabs(sum - 1) <= share_error))
                return differs(err, "the sum of contributions", hw_attribution_first_token(a) + i, l, sum, 1);
        }
    return compare_cells(a, trace, err);
}

/* The prompt's share is that of all its tokens, of which groups may leave some out: then only the sheet is checked. */
static hw_err check_balance(const hw_attribution *a, const hw_trace *trace, hw_error *err) {
    const hw_balance *sheet = hw_attribution_balance(a);
    size_t n_layers = hw_attribution_n_layers(a);
    bool whole = !hw_attribution_params(a).groups;
    for (size_t i = 0; i < hw_attribution_n_rows(a); i++) {
        const hw_balance *b = &sheet[i];
        double columns = row_sum(a, i, n_layers), total = b->prompt + b->completion + b->bias + b->mlp + b->embedding;
        size_t token = hw_attribution_first_token(a) + i;
        if (whole && !(fabs(columns - b->prompt) <= sum_error * (1 + fabs(b->prompt))))
            return differs(err, "the logit from the prompt", token, n_layers, columns, b->prompt);
        if (!(fabs(total - b->logit) <= balance_error))
            return differs(err, "the balance sheet", token, n_layers, total, b->logit);
    }
    return compare_cells(a, trace, err);
}

static const struct check {
    const char *method;
    hw_err (*check)(const hw_attribution *a, const hw_trace *trace, hw_error *err);
} checks[] = {{"rollout", check_rollout}, {"contribution", check_shares}, {"logit", check_balance}};

hw_err bench_reference_check(const hw_attribution *a, const hw_trace *trace, hw_error *err) {
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (strcmp(hw_attribution_method(a), checks[i].method) == 0) return checks[i].check(a, trace, err);
    return HW_OK;
}
