/* test_flow.c - attention flow against the worked example, brute force over cuts, and what it refuses. */
#include "support/fixture.h"

#include <math.h>
#include <stdlib.h>

static hw_attribution *flow_of(const hw_trace *trace, const hw_method_params *p) {
    hw_attribution *a = NULL;
    hw_error err = {0};
    if (hw_explain(&a, trace, "flow", p, &err) != HW_OK) fail_msg("%s", err.msg);
    return a;
}

/* Abnar & Zuidema's construction on three tokens and two layers, flows counted by hand. */
static double worked_attention(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    static const double a[2][3][3] = {{{1, 0, 0}, {3. / 5, 2. / 5, 0}, {1. / 2, 3. / 10, 1. / 5}},
                                      {{1, 0, 0}, {1. / 4, 3. / 4, 0}, {1. / 10, 7. / 10, 1. / 5}}};
    (void)ctx;
    (void)h;
    return a[l][q][k];
}

static void worked_example(void **state) {
    (void)state;
    hw_trace *trace =
        make_trace(&(trace_spec){.n_layers = 2, .n_heads = 1, .n_prompt = 3, .attention = worked_attention});
    hw_method_params p = hw_method_params_default();
    hw_attribution *a = flow_of(trace, &p);
    static const double top[3][3] = {{1, 0, 0}, {17. / 45, 28. / 45, 0}, {6. / 17, 5. / 17, 6. / 17}};
    static const double first[3][3] = {{1, 0, 0}, {.3, .7, 0}, {.25, .15, .6}}; /* one layer: Â itself */
    assert_true(a->n_rows == 3 && a->n_columns == 3 && a->n_layers == 2);
    for (size_t q = 0; q < 3; q++) {
        for (size_t k = 0; k < 3; k++) {
            assert_close(cell(a, q, k, 1), top[q][k], 1e-6);
            assert_close(cell(a, q, k, 0), first[q][k], 1e-6);
        }
    }
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ brute force */

enum { T = 3, L = 3, INNER = (L - 1) * T, FLOW_M = 2 };

/* Capacity of the pipe from (l, q) down to (l-1, k), from the rows that the trace holds. */
static double capacity(const hw_trace *trace, size_t l, size_t q, size_t k, double residual) {
    size_t n;
    const float *row = hw_trace_row(trace, l - 1, q, &n);
    return (k < n ? (1 - residual) * row[k] : 0) + (q == k ? residual : 0);
}

/* The side of a cut that a node is on: the source's where true. Inner nodes (1..L-1, t) by the bits of `side`. */
static bool with_source(size_t l, size_t t, size_t q, size_t sink, unsigned side) {
    if (l == L) return t == q;
    if (l == 0) return t != sink; /* other inputs cost nothing there: nothing leaves them */
    return side >> ((l - 1) * T + t) & 1;
}

/* The smallest cut between (L, q) and (0, sink), which is the largest flow (Ford & Fulkerson 1956). */
static double smallest_cut(const hw_trace *trace, size_t q, size_t sink, double residual) {
    double min = INFINITY;
    for (unsigned side = 0; side < 1u << INNER; side++) {
        double cut = 0;
        for (size_t l = 1; l <= L; l++)
            for (size_t from = 0; from < T; from++)
                for (size_t to = 0; to < T; to++)
                    if (!(l == L && from != q) && with_source(l, from, q, sink, side) &&
                        !with_source(l - 1, to, q, sink, side))
                        cut += capacity(trace, l, from, to, residual);
        min = cut < min ? cut : min;
    }
    return min;
}

static void agrees_with_smallest_cuts(void **state) {
    (void)state;
    static const double residuals[] = {0.5, 0.2, 0};
    hw_trace *trace = make_trace(&(trace_spec){
        .n_layers = L, .n_heads = 2, .n_prompt = FLOW_M, .n_completion = T - FLOW_M, .attention = random_attention});
    for (size_t r = 0; r < sizeof residuals / sizeof *residuals; r++) {
        hw_method_params p = hw_method_params_default();
        p.residual = residuals[r];
        p.row = HW_ROW_OWN;
        p.columns = HW_COLUMNS_ALL;
        hw_attribution *a = flow_of(trace, &p);
        for (size_t i = 0; i < a->n_rows; i++) {
            double flow[T], sum = 0;
            for (size_t k = 0; k < T; k++) sum += flow[k] = smallest_cut(trace, FLOW_M + i, k, residuals[r]);
            for (size_t k = 0; k < T; k++) assert_close(cell(a, i, k, L - 1), flow[k] / sum, 1e-6);
        }
        hw_attribution_free(a);
    }
    hw_trace_free(trace);
}

static void rows_that_see_later_tokens(void **state) {
    (void)state;
    enum { BOTH = 12 };
    hw_trace *trace = make_trace(&(trace_spec){
        .n_layers = 2, .n_heads = 1, .n_prompt = BOTH, .attention = random_both_ways, .bidirectional = true});
    hw_attribution *a = flow_of(trace, NULL);
    for (size_t q = 0; q < BOTH; q++) {
        for (size_t l = 0; l < 2; l++) {
            double sum = 0;
            for (size_t k = 0; k < BOTH; k++) sum += cell(a, q, k, l);
            assert_close(sum, 1, 1e-6);
        }
        assert_close(cell(a, 0, q, 0), capacity(trace, 1, 0, q, 0.5), 1e-6);
    }
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ as a method */

static void predictor_rows_groups_and_outside(void **state) {
    (void)state;
    hw_trace *trace = make_trace(
        &(trace_spec){.n_layers = 3, .n_heads = 2, .n_prompt = 5, .n_completion = 3, .attention = random_attention});
    hw_method_params p = hw_method_params_default(), all = p, grouped = p;
    static const int32_t groups[5] = {0, -1, 1, 1, 0};
    all.columns = HW_COLUMNS_ALL;
    grouped.groups = groups;
    grouped.n_groups = 2;
    hw_attribution *a = flow_of(trace, &p), *b = flow_of(trace, &all), *c = flow_of(trace, &grouped);
    for (size_t i = 0; i < 3; i++) {
        for (size_t l = 0; l < 3; l++) {
            double beyond = 0;
            for (size_t k = 0; k < 5; k++) assert_close(cell(a, i, k, l), cell(b, i, k, l), 0);
            for (size_t k = 5; k < 8; k++) beyond += cell(b, i, k, l);
            assert_close(outside(a, i, l), beyond, 1e-6);
            assert_close(cell(c, i, 0, l), cell(a, i, 0, l) + cell(a, i, 4, l), 1e-6);
            assert_close(cell(c, i, 1, l), cell(a, i, 2, l) + cell(a, i, 3, l), 1e-6);
            for (size_t k = 5 + i; k < 8; k++)
                assert_close(cell(b, i, k, l), 0, 0); /* the row sees the tokens up to m - 1 + i */
        }
    }
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw_attribution_free(c);
    hw_trace_free(trace);
}

static double own_token(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx;
    (void)l;
    (void)h;
    return q == k;
}

static void too_large_is_refused(void **state) {
    (void)state;
    hw_trace *trace = make_trace(
        &(trace_spec){.n_layers = 30, .n_heads = 1, .n_prompt = 120, .n_completion = 4, .attention = own_token});
    hw_attribution *a = NULL;
    hw_error err = {0};
    assert_error(&err, hw_explain(&a, trace, "flow", NULL, &err), HW_ERR_ARGUMENT,
                 "flow over 123 tokens is too large: it is for small inputs, about 104 tokens where 4 rows and 30 "
                 "layers are requested");
    assert_null(a);
    hw_trace_free(trace);
    trace = make_trace(
        &(trace_spec){.n_layers = 30, .n_heads = 1, .n_prompt = 100, .n_completion = 4, .attention = own_token});
    a = flow_of(trace, &(hw_method_params){.size = sizeof(hw_method_params),
                                           .residual = 0.5}); /* one pipe a node: quick, and within the limit */
    for (size_t i = 0; i < 4; i++) assert_close(cell(a, i, 99, 29), i == 0, 0);
    hw_attribution_free(a);
    hw_trace_free(trace);
}

static bool stop_later(void *ctx) { return ++*(int *)ctx > 2; }

static void stopping_is_heard(void **state) {
    (void)state;
    hw_trace *trace = make_trace(
        &(trace_spec){.n_layers = 3, .n_heads = 1, .n_prompt = 5, .n_completion = 3, .attention = random_attention});
    hw_method_params p = hw_method_params_default();
    int asked = 0;
    p.stop = stop_later;
    p.ctx = &asked;
    hw_attribution *a = NULL;
    hw_error err = {0};
    assert_error(&err, hw_explain(&a, trace, "flow", &p, &err), HW_ERR_CANCELLED, "stopped at layer 3 of 9");
    assert_null(a);
    hw_trace_free(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(agrees_with_smallest_cuts),
        cmocka_unit_test(rows_that_see_later_tokens),
        cmocka_unit_test(predictor_rows_groups_and_outside),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(stopping_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
