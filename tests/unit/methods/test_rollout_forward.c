/*
 * test_rollout_forward.c - rollout by blocks of float products against a plain double loop, on more rows than a block
 * has.
 *
 * Every term of R is a product of shares, none negative, so errors are relative: a sum of K floats is off by about
 * sqrt(K) 2^-24 of itself as a rule, and by K 2^-24 at worst. The bound on a cell is 2^-21 of it a layer, eight
 * roundings; the bound on the normalised mean squared error is that squared.
 */
#include "math/block_triangular.h"
#include "methods/method.h"
#include "methods/rollout.h"
#include "support/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { L = 6, M = 290, N = 7, T = M + N };
static const double CELL = L * 0x1p-20;

/* Rows of random weights, most of them small as attention's are. */
static void fill_row(float *row, size_t n, size_t l, size_t q) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += row[k] = (float)pow(unit(mix(mix(mix(l) + q) + k)), 6);
    for (size_t k = 0; k < n; k++) row[k] = (float)(row[k] / sum);
}

static hw_trace *random_trace(bool causal, size_t n_prompt) {
    int32_t layers[L];
    for (int32_t l = 0; l < L; l++) layers[l] = l;
    hw_model_info info = {.n_layers = L, .n_blocks = L, .layers = layers};
    hw__run_options options = {.run = {.top_p = 1}};
    hw_run *run;
    hw_trace *trace;
    assert_int_equal(hw__run_new(&run, &info, &options, NULL), HW_OK);
    run->causal = causal;
    for (size_t t = 0; t < T; t++) {
        hw_token token = {.bytes = "t", .n_bytes = 1, .role = t < n_prompt ? HW_ROLE_PROMPT : HW_ROLE_COMPLETION};
        assert_int_equal(hw__run_add_token(run, &token, NULL), HW_OK);
    }
    assert_int_equal(hw__trace_new(&trace, run, T, NULL), HW_OK);
    for (size_t l = 0; l < L; l++) {
        for (size_t q = 0; q < T; q++) {
            size_t n;
            float *row = hw__trace_row(trace, l, q, &n);
            fill_row(row, n, l, q);
        }
    }
    return trace;
}

/* next [T, T] = Â_l prev [T, T], as layer_matrix.h defines it. */
static void fold_in_double(double *next, const double *prev, const hw_trace *trace, size_t l, double residual) {
    memset(next, 0, (size_t)T * T * sizeof *next);
    for (size_t q = 0; q < T; q++) {
        size_t n;
        double sum = 0;
        const float *row = hw__trace_row(trace, l, q, &n);
        for (size_t k = 0; k < n; k++) sum += row[k];
        for (size_t k = 0; k < n; k++) {
            double w = ((1 - residual) * row[k] + (k == q) * residual) / (residual + (1 - residual) * sum);
            for (size_t c = 0; c < T; c++) next[q * T + c] += w * prev[k * T + c];
        }
    }
}

/* [L, T, T] in double. */
static double *reference(const hw_trace *trace, double residual) {
    double *r = hw__alloc((size_t)(L + 1) * T * T, sizeof *r);
    assert_non_null(r);
    for (size_t t = 0; t < T; t++) r[t * T + t] = 1;
    for (size_t l = 0; l < L; l++) fold_in_double(r + (l + 1) * T * T, r + l * T * T, trace, l, residual);
    return r;
}

/* Every cell and the mass outside of `a` against row q of R summed by columns; returns the NMSE. */
static double compare(const hw_attribution *a, const double *r) {
    double wrong = 0, all = 0;
    for (size_t i = 0; i < a->n_rows; i++) {
        for (size_t l = 0; l < L; l++) {
            double sums[T + 1] = {0};
            for (size_t t = 0; t < T; t++)
                sums[hw__column(&a->params, a->run, t) + 1] += r[((l + 1) * T + hw__query_row(a, i)) * T + t];
            assert_close(outside(a, i, l), sums[0], CELL * sums[0]);
            for (size_t k = 0; k < a->n_columns; k++) {
                double got = cell(a, i, k, l), want = sums[k + 1];
                assert_close(got, want, CELL * want);
                wrong += (got - want) * (got - want);
                all += want * want;
            }
        }
    }
    return wrong / all;
}

static hw_attribution *split_at(const hw_trace *trace, const hw_method_params *p, size_t split) {
    hw_attribution *a;
    hw__layer_matrix matrix = hw__layer_matrix_of(trace, p);
    assert_int_equal(hw__attribution_new(&a, trace->run, "rollout", p, L, NULL), HW_OK);
    assert_int_equal(hw__rollout_input(a, &matrix, p, split, NULL), HW_OK);
    return a;
}

/* For every layer at which forward and backward products are multiplied, and for the cheapest one. */
static void check_splits(bool causal, size_t n_prompt, const hw_method_params *p) {
    hw_trace *trace = random_trace(causal, n_prompt);
    double *r = reference(trace, p->residual);
    for (size_t split = 0; split <= L + 1; split++) {
        hw_attribution *a = split_at(trace, p, split <= L ? split : HW__ROLLOUT_BEST);
        assert_in_range((uint64_t)(compare(a, r) * 0x1p60), 0, (uint64_t)(CELL * CELL * 0x1p60));
        hw_attribution_free(a);
    }
    free(r);
    hw_trace_free(trace);
}

static void any_split_gives_the_double_sums(void **state) {
    (void)state;
    hw_method_params p = hw_method_params_default();
    check_splits(true, M, &p);
    p.row = HW_ROW_OWN;
    p.residual = 0.3;
    check_splits(true, M, &p);
    p.columns = HW_COLUMNS_ALL;
    check_splits(true, M, &p);
}

static void rows_that_see_later_ones(void **state) {
    (void)state;
    hw_method_params p = hw_method_params_default();
    check_splits(false, T, &p); /* no completion: every row is one of M's */
}

static void groups_in_any_order(void **state) {
    (void)state;
    int32_t groups[M];
    hw_method_params p = hw_method_params_default();
    p.groups = groups;
    p.n_groups = 40;
    for (int32_t t = 0; t < M; t++) groups[t] = t / 8 % 40 - (t < 4); /* segments, none at first, some twice */
    check_splits(true, M, &p);
    for (int32_t t = 0; t < M; t++) groups[t] = (int32_t)(mix((uint64_t)t) % 41) - 1;
    check_splits(true, M, &p);
}

/* Full depth from the top down is full depth from the embeddings up. */
static void output_meets_the_double_sums(void **state) {
    (void)state;
    hw_trace *trace = random_trace(true, M);
    double *r = reference(trace, 0.5);
    hw_method_params p = hw_method_params_default();
    p.direction = HW_DIRECTION_OUTPUT;
    hw_attribution *a = explain(trace, &p);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < M; k++) {
            double want = r[((size_t)L * T + M - 1 + i) * T + k];
            assert_close(cell(a, i, k, 0), want, CELL * want);
        }
    hw_attribution_free(a);
    free(r);
    hw_trace_free(trace);
}

/* The upper half of a causal matrix is not stored. */
static void levels_hold_little_more_than_half(void **state) {
    (void)state;
    hw__block_layout shape;
    size_t *row_width = hw__alloc(T, sizeof *row_width);
    for (size_t t = 0; t < T; t++) row_width[t] = t + 1;
    assert_int_equal(hw__block_layout_new(&shape, row_width, T, T, NULL), HW_OK);
    assert_int_equal(hw__block_layout_size(&shape), 256 * 256 + (T - 256) * T);
    float *level = hw__blocks_new(&shape);
    for (size_t q = 0; q + 1 < T; q++) { /* rows lie behind each other and hold what they reach */
        hw__part row = hw__block_row(&shape, level, q), after = hw__block_row(&shape, level, q + 1);
        assert_true(row.stride > q && after.cells == row.cells + row.stride);
    }
    free(level);
    hw__block_layout_free(&shape);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_gives_the_double_sums),
        cmocka_unit_test(rows_that_see_later_ones),
        cmocka_unit_test(groups_in_any_order),
        cmocka_unit_test(output_meets_the_double_sums),
        cmocka_unit_test(levels_hold_little_more_than_half),
    };
    return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
