/*
 * test_layer_matrix.c - what discard, sink removal and a measured residual make of a row, by hand; and rollout with
 * them against a dense product of rows made here another way: by sorting, in double, column by column.
 */
#include "methods/layer_matrix.h"
#include "support/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ rows by hand */

static void thinned_rows_are_the_worked_ones(void **state) {
    (void)state;
    static const struct {
        size_t n, q;
        double discard;
        bool sink;
        double row[6], want[6];
    } cases[] = {
        {4, 3, 0.5, false, {.1, .2, .4, .3}, {0, 0, 4 / 7., 3 / 7.}},
        {4, 3, 0.25, false, {.1, .2, .4, .3}, {0, 2 / 9., 4 / 9., 3 / 9.}},
        {4, 3, 0.24, false, {.1, .2, .4, .3}, {.1, .2, .4, .3}},                  /* less than one weight */
        {4, 3, 0.999, false, {.1, .2, .4, .3}, {0, 0, 1, 0}},                     /* never the last one */
        {4, 3, 0.5, false, {.25, .25, .25, .25}, {0, 0, .5, .5}},                 /* equal: the earlier ones */
        {4, 3, 0.75, false, {.3, .2, .3, .2}, {0, 0, 1, 0}},                      /* of .3 and .3 the earlier too */
        {6, 5, 0.5, false, {0, 0, .1, .2, .4, .3}, {0, 0, 0, 0, 4 / 7., 3 / 7.}}, /* 2 of 4 allowed, not 3 of 6 */
        {6, 2, 0.5, false, {.1, .7, .2, 0, 0, 0}, {0, 7 / 9., 2 / 9., 0, 0, 0}},  /* masked behind: 1 of 3 */
        {1, 0, 0.9, true, {1}, {1}},                                              /* token 0 keeps itself */
        {3, 2, 0, true, {.5, .2, .3}, {0, .4, .6}},
        {2, 1, 0, true, {1, 0}, {0, 0}},                                  /* nothing left */
        {4, 3, 0.34, true, {.1, .2, .3, .4}, {0, 0, 3 / 7. * 1, 4 / 7.}}, /* the sink first, then 1 of the 3 */
        {3, 2, 0.34, false, {.1, .2, .1}, {0, .8 / 3, .4 / 3}},           /* a learned sink's share stays */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float w[6];
        for (size_t k = 0; k < 6; k++) w[k] = (float)cases[i].row[k];
        hw__layer_matrix_thin(w, cases[i].n, cases[i].q, cases[i].discard, cases[i].sink);
        for (size_t k = 0; k < cases[i].n; k++) {
            if (fabs(w[k] - cases[i].want[k]) > 1e-7) fail_msg("case %zu, column %zu: %.9g", i, k, w[k]);
            assert_true((w[k] == 0) == (cases[i].want[k] == 0));
        }
    }
}

/* 0.29 of 100 is 28.999999999999996 in binary. */
static void shares_are_counted_as_people_do(void **state) {
    (void)state;
    float w[100];
    for (size_t k = 0; k < 100; k++) w[k] = (float)(k + 1) / 1024;
    hw__layer_matrix_thin(w, 100, 99, 0.29, false);
    for (size_t k = 0; k < 100; k++) assert_true((w[k] == 0) == (k < 29));
}

static void the_residual_takes_its_share(void **state) {
    (void)state;
    float nothing[3] = {0, 0, 0}, some[3] = {0.25, 0, 0.25}, half[3] = {0.25, 0, 0.25};
    hw__layer_matrix_add_residual(nothing, 3, 1, 0);
    assert_true(nothing[0] == 0 && nothing[1] == 1 && nothing[2] == 0); /* a row without weight is its own token */
    hw__layer_matrix_add_residual(some, 3, 1, 0);
    assert_true(some[0] == 0.5 && some[1] == 0 && some[2] == 0.5);
    hw__layer_matrix_add_residual(half, 3, 2, 0.5); /* (0.25, 0, 0.25 + 1) / 1.5 */
    assert_close(half[0], 1 / 6.0, 0x1p-25);        /* floats */
    assert_close(half[2], 5 / 6.0, 0x1p-24);
}

/* ------------------------------------------------------------------ rollout against a dense product */

enum { L = 3, T = 13, M = 9, WINDOW = 6 };

typedef double matrix[T][T]; /* [q][k] */

/* Layer 1 has a sliding window: columns before it are forbidden, weight 0. */
static double windowed(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    double sum = 0;
    if (l != 1) return random_attention(ctx, l, h, q, k);
    if (k + WINDOW <= q) return 0;
    for (size_t c = q < WINDOW ? 0 : q - WINDOW + 1; c <= q; c++) sum += random_attention(ctx, l, h, q, c);
    return random_attention(ctx, l, h, q, k) / sum;
}

static double lambda_of(size_t l, size_t q) { return unit(mix(l * 100 + q)); }

static hw_trace *the_trace(void) {
    hw_trace *trace = make_trace(
        &(trace_spec){.n_layers = L, .n_heads = 2, .n_prompt = M, .n_completion = T - M, .attention = windowed});
    assert_int_equal(hw__trace_add_signals(trace, 1u << HW_SIGNAL_RESIDUAL, T - M + 1, T + 3, NULL), HW_OK);
    for (size_t l = 0; l < L; l++)
        for (size_t q = 0; q < T; q++)
            trace->signals.values[HW_SIGNAL_RESIDUAL][l * (T + 3) + q] = (float)lambda_of(l, q);
    return trace;
}

/* How the dense rows are made; the first is right. */
typedef enum reading {
    RIGHT,
    COUNTS_FORBIDDEN,
    KEEPS_LOWEST,
    NOT_SCALED,
    TRANSPOSED,
    LAMBDA_KEPT,
    NEXT_LAMBDA
} reading;

static const matrix *sorted_row; /* for qsort */
static size_t sorted_q;

static int by_weight(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    double v = (*sorted_row)[sorted_q][x], w = (*sorted_row)[sorted_q][y];
    return v < w ? -1 : v > w ? 1 : x < y ? -1 : 1;
}

static void drop(matrix a, size_t q, double share, reading how) {
    size_t order[T], n = 0;
    for (size_t k = 0; k < T; k++)
        if (how == COUNTS_FORBIDDEN || a[q][k] > 0) order[n++] = k;
    sorted_row = (const matrix *)a;
    sorted_q = q;
    qsort(order, n, sizeof *order, by_weight);
    size_t n_low = (size_t)floor(share * (double)n);
    for (size_t i = 0; i < n; i++)
        if (how == KEEPS_LOWEST ? i >= n - n_low : i < n_low) a[q][order[i]] = 0;
}

static void mix_row(matrix a, size_t l, size_t q, const hw_method_params *p, reading how) {
    double sum = 0, r = p->residual;
    if (p->remove_sink && q > 0) a[q][0] = 0;
    if (p->discard > 0) drop(a, q, p->discard, how);
    for (size_t k = 0; k < T; k++) sum += a[q][k];
    if (p->residual_measured)
        r = how == LAMBDA_KEPT ? lambda_of(l, q) : 1 - lambda_of(how == NEXT_LAMBDA ? (l + 1) % L : l, q);
    if (sum == 0) r = 1;
    for (size_t k = 0; k < T; k++)
        a[q][k] = (k == q) * r + (1 - r) * a[q][k] / (sum > 0 && how != NOT_SCALED ? sum : 1);
}

static void make_layer(matrix a, size_t l, const hw_method_params *p, reading how) {
    matrix raw = {{0}};
    for (size_t q = 0; q < T; q++)
        for (size_t k = 0; k <= q; k++) raw[q][k] = (windowed(NULL, l, 0, q, k) + windowed(NULL, l, 1, q, k)) / 2;
    for (size_t q = 0; q < T; q++)
        for (size_t k = 0; k < T; k++) a[q][k] = how == TRANSPOSED ? raw[k][q] : raw[q][k];
    for (size_t q = 0; q < T; q++) mix_row(a, l, q, p, how);
}

/* Â_to-1 … Â_from */
static void compose(matrix out, size_t from, size_t to, const hw_method_params *p, reading how) {
    memset(out, 0, sizeof(matrix));
    for (size_t q = 0; q < T; q++) out[q][q] = 1;
    for (size_t l = from; l < to; l++) {
        matrix a, product = {{0}};
        make_layer(a, l, p, how);
        for (size_t q = 0; q < T; q++)
            for (size_t j = 0; j < T; j++)
                for (size_t k = 0; k < T; k++) product[q][k] += a[q][j] * out[j][k];
        memcpy(out, product, sizeof product);
    }
}

static double distance(const hw_attribution *a, const hw_method_params *p, reading how) {
    double max = 0;
    for (size_t l = 0; l < L; l++) {
        matrix want;
        bool input = p->direction == HW_DIRECTION_INPUT;
        compose(want, input ? 0 : l, input ? l + 1 : L, p, how);
        for (size_t i = 0; i < T - M; i++) {
            double sums[M] = {0}, dropped = 0;
            for (size_t k = 0; k < T; k++) {
                ptrdiff_t column = k >= M ? -1 : p->groups ? p->groups[k] : (ptrdiff_t)k;
                *(column < 0 ? &dropped : &sums[column]) += want[M - 1 + i][k];
            }
            for (size_t k = 0; k < a->n_columns; k++) max = fmax(max, fabs(cell(a, i, k, l) - sums[k]));
            max = fmax(max, fabs(outside(a, i, l) - dropped));
        }
    }
    return max;
}

static const int32_t groups[M] = {0, 0, 1, -1, 1, 2, 2, 2, 0};

static hw_method_params settings(double discard, bool sink, bool measured) {
    hw_method_params p = hw_method_params_default();
    p.residual = 0.3;
    p.discard = discard;
    p.remove_sink = sink;
    p.residual_measured = measured;
    return p;
}

static void check(hw_method_params p) {
    hw_trace *trace = the_trace();
    for (int grouped = 0; grouped < 2; grouped++) {
        for (int direction = HW_DIRECTION_INPUT; direction <= HW_DIRECTION_OUTPUT; direction++) {
            p.direction = direction;
            p.groups = grouped ? groups : NULL;
            p.n_groups = grouped ? 3 : 0;
            hw_attribution *a = explain(trace, &p);
            assert_close(distance(a, &p, RIGHT), 0, LAYER_BOUND(L));
            hw_attribution_free(a);
        }
    }
    hw_trace_free(trace);
}

static void settings_match_a_dense_product(void **state) {
    (void)state;
    static const double shares[] = {0, 0.2, 0.5, 0.9};
    for (size_t d = 0; d < sizeof shares / sizeof *shares; d++)
        for (int other = 0; other < 4; other++) check(settings(shares[d], other & 1, other & 2));
}

static void wrong_readings_give_other_numbers(void **state) {
    (void)state;
    const struct {
        hw_method_params p;
        reading how;
    } cases[] = {
        {settings(0.5, false, false), COUNTS_FORBIDDEN}, {settings(0.5, false, false), KEEPS_LOWEST},
        {settings(0.5, false, false), NOT_SCALED},       {settings(0, true, false), NOT_SCALED},
        {settings(0.5, false, false), TRANSPOSED},       {settings(0, true, false), TRANSPOSED},
        {settings(0, false, true), TRANSPOSED},          {settings(0, false, true), LAMBDA_KEPT},
        {settings(0, false, true), NEXT_LAMBDA},
    };
    hw_trace *trace = the_trace();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_method_params p = cases[i].p;
        for (int direction = HW_DIRECTION_INPUT; direction <= HW_DIRECTION_OUTPUT; direction++) {
            p.direction = direction;
            hw_attribution *a = explain(trace, &p);
            if (distance(a, &p, cases[i].how) < 0.03) fail_msg("case %zu is as good as right", i);
            hw_attribution_free(a);
        }
    }
    hw_trace_free(trace);
}

static double all_on_the_sink(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)l, (void)h, (void)q;
    return k == 0;
}

static void rows_that_saw_only_the_sink_become_their_own(void **state) {
    (void)state;
    hw_trace *trace =
        make_trace(&(trace_spec){.n_layers = 2, .n_heads = 1, .n_prompt = 4, .attention = all_on_the_sink});
    hw_method_params p = settings(0, true, false);
    for (p.residual = 0; p.residual <= 0.5; p.residual += 0.5) {
        hw_attribution *a = explain(trace, &p);
        for (size_t q = 0; q < 4; q++)
            for (size_t k = 0; k < 4; k++)
                for (size_t l = 0; l < 2; l++) assert_close(cell(a, q, k, l), q == k, 0);
        hw_attribution_free(a);
    }
    hw_trace_free(trace);
}

/* After one layer the flow to a token is the pipe to it. */
static void flow_has_the_same_pipes(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_method_params p = settings(0.5, true, true);
    hw_attribution *a = explain(trace, &p), *flow = NULL;
    assert_int_equal(hw_explain(&flow, trace, "flow", &p, NULL), HW_OK);
    for (size_t i = 0; i < T - M; i++)
        for (size_t k = 0; k < M; k++) assert_close(cell(flow, i, k, 0), cell(a, i, k, 0), LAYER_BOUND(1));
    hw_attribution_free(a);
    hw_attribution_free(flow);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ contributions */

/* Any numbers, of both signs; a row has nothing where its hash says so. */
static double contributed(size_t l, size_t q, size_t k) {
    uint64_t row = mix(l * 1000 + q + 77);
    return row % 5 == 0 ? 0 : (double)(float)(2 * unit(mix(row + k)) - 0.7);
}

static hw_trace *contribution_trace(hw_measure measure) {
    hw_signal every = hw__layer_matrix_contribution_source(measure);
    hw_trace *trace = make_trace(&(trace_spec){
        .n_layers = L, .n_heads = 1, .n_prompt = M, .n_completion = T - M, .attention = random_attention});
    uint32_t wanted = 1u << every | 1u << HW_SIGNAL_RESIDUAL;
    assert_int_equal(hw__trace_add_signals(trace, wanted, T - M + 1, T + 3, NULL), HW_OK); /* with spare capacity */
    for (size_t l = 0; l < L; l++) {
        for (size_t q = 0; q < T; q++) {
            trace->signals.values[HW_SIGNAL_RESIDUAL][l * (T + 3) + q] = (float)lambda_of(l, q);
            for (size_t k = 0; k <= q; k++) hw__trace_every(trace, every, l, q)[k] = (float)contributed(l, q, k);
        }
    }
    return trace;
}

/* Row q of C_l: negative ones count as 0, scaled to 1; norms with the residual added. */
static void contribution_layer(matrix c, size_t l, const hw_method_params *p) {
    memset(c, 0, sizeof(matrix));
    for (size_t q = 0; q < T; q++) {
        double sum = 0, r = p->measure != HW_MEASURE_NORM ? 0
                            : p->residual_measured        ? 1 - lambda_of(l, q)
                                                          : p->residual;
        for (size_t k = 0; k <= q; k++) sum += fmax(0, contributed(l, q, k));
        for (size_t k = 0; k <= q; k++)
            c[q][k] = sum > 0 ? (1 - r) * fmax(0, contributed(l, q, k)) / sum + (k == q) * r : k == q;
    }
}

static void check_contribution(const hw_method_params *p) {
    hw_trace *trace = contribution_trace(p->measure);
    hw_attribution *a = NULL;
    assert_int_equal(hw_explain(&a, trace, "contribution", p, NULL), HW_OK);
    for (size_t l = 0; l < L; l++) {
        matrix want = {{0}}, c, out;
        bool up = p->direction == HW_DIRECTION_INPUT;
        for (size_t q = 0; q < T; q++) want[q][q] = 1;
        for (size_t below = up ? 0 : l; below < (up ? l + 1 : L); below++) {
            contribution_layer(c, below, p);
            memset(out, 0, sizeof out);
            for (size_t q = 0; q < T; q++)
                for (size_t j = 0; j < T; j++)
                    for (size_t k = 0; k < T; k++) out[q][k] += c[q][j] * want[j][k];
            memcpy(want, out, sizeof out);
        }
        for (size_t i = 0; i < T - M; i++) {
            double sums[M] = {0}, dropped = 0;
            for (size_t k = 0; k < T; k++) {
                ptrdiff_t column = k >= M ? -1 : p->groups ? p->groups[k] : (ptrdiff_t)k;
                *(column < 0 ? &dropped : &sums[column]) += want[M - 1 + i][k];
            }
            for (size_t k = 0; k < a->n_columns; k++) assert_close(cell(a, i, k, l), sums[k], LAYER_BOUND(L));
            assert_close(outside(a, i, l), dropped, LAYER_BOUND(L));
        }
    }
    hw_attribution_free(a);
    hw_trace_free(trace);
}

static void contributions_are_clipped_scaled_and_composed(void **state) {
    (void)state;
    for (int measure = HW_MEASURE_PROJECTION; measure <= HW_MEASURE_PROXIMITY2; measure++) {
        for (unsigned i = 0; i < 8; i++) {
            hw_method_params p = settings(0.5, true, i & 1); /* discard and sink removal do not apply to these */
            p.measure = measure;
            p.aggregate = HW_AGGREGATE_ROLLOUT;
            p.direction = i & 2 ? HW_DIRECTION_OUTPUT : HW_DIRECTION_INPUT;
            p.groups = i & 4 ? groups : NULL;
            p.n_groups = i & 4 ? 3 : 0;
            check_contribution(&p);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thinned_rows_are_the_worked_ones),
        cmocka_unit_test(shares_are_counted_as_people_do),
        cmocka_unit_test(the_residual_takes_its_share),
        cmocka_unit_test(settings_match_a_dense_product),
        cmocka_unit_test(wrong_readings_give_other_numbers),
        cmocka_unit_test(rows_that_saw_only_the_sink_become_their_own),
        cmocka_unit_test(flow_has_the_same_pipes),
        cmocka_unit_test(contributions_are_clipped_scaled_and_composed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
