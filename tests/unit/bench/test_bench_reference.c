/*
 * test_bench_reference.c - the check that `headwater-bench` makes before it times: right explanations pass, and one
 * wrong number in them does not.
 */
#include "support/fixture.h"

#include "reference.h"

#include <string.h>

enum { L = 5, M = 7, N = 4, T = M + N };

static hw_trace *the_trace(void) {
    return make_trace(
        &(trace_spec){.n_layers = L, .n_heads = 3, .n_prompt = M, .n_completion = N, .attention = random_attention});
}

static void passes(const hw_attribution *a, const hw_trace *trace) {
    hw_error err = {0};
    if (bench_reference_check(a, trace, &err) != HW_OK) fail_msg("%s", err.msg);
}

/* One number of M, at token i, column k and layer l, is off. */
static void fails_with(hw_attribution *a, const hw_trace *trace, size_t i, size_t k, size_t l, const char *part) {
    hw_error err = {0};
    float *at = &a->values[(i * a->n_columns + k) * a->n_layers + l], right = *at;
    *at += 0.1F;
    hw_err rc = bench_reference_check(a, trace, &err);
    assert_error(&err, rc, HW_ERR_ENGINE, part);
    *at = right;
    passes(a, trace);
}

static void rollout_is_the_chain_of_its_rows(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_attribution *a = explain(trace, NULL);
    passes(a, trace);
    fails_with(a, trace, 0, 0, 0, "rollout of token 7, layer 0");
    fails_with(a, trace, N / 2, M - 1, L / 2, "rollout of token 9, layer 2");
    fails_with(a, trace, N - 1, 3, L - 1, "rollout of token 10, layer 4");
    hw_attribution_free(a);
    hw_trace_free(trace);
}

static void rollout_by_groups_is_its_sum(void **state) {
    (void)state;
    static const int32_t groups[M] = {0, 0, 1, -1, 1, 2, 2};
    hw_trace *trace = the_trace();
    hw_method_params p = hw_method_params_default();
    p.groups = groups;
    p.n_groups = 3;
    hw_attribution *a = explain(trace, &p);
    passes(a, trace);
    fails_with(a, trace, N - 1, 1, L - 1, "rollout of token 10");
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* The other direction is another tensor: the check would tell it from this one. */
static void another_tensor_fails(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_method_params p = hw_method_params_default();
    p.direction = HW_DIRECTION_OUTPUT;
    hw_attribution *a = explain(trace, &p);
    hw_error err = {0};
    hw_err rc = bench_reference_check(a, trace, &err);
    assert_error(&err, rc, HW_ERR_ENGINE, "the reference gives");
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* A row of shares, and a balance sheet that adds up, filled in by hand. */
static hw_attribution *filled(hw_trace *trace, const char *method, hw_signal signal, float value) {
    assert_int_equal(hw__trace_add_signals(trace, 1u << signal, N + 1, T, NULL), HW_OK);
    for (size_t j = 0; j < L * (N + 1) * T; j++) trace->signals.values[signal][j] = value;
    hw_attribution *a = NULL;
    hw_error err = {0};
    if (hw_explain(&a, trace, method, NULL, &err) != HW_OK) fail_msg("%s", err.msg);
    return a;
}

static void contributions_sum_to_one(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_attribution *a = filled(trace, "contribution", HW_SIGNAL_PROJECTION, 1.0F / M);
    for (size_t j = 0; j < N * L; j++)
        a->outside[j] = 0; /* its rows are longer than m: only the prompt's part counts here */
    passes(a, trace);
    a->outside[N * L - 1] = 0.2F;
    hw_error err = {0};
    hw_err rc = bench_reference_check(a, trace, &err);
    assert_error(&err, rc, HW_ERR_ENGINE, "the sum of contributions of token 10, layer 4");
    hw_attribution_free(a);
    hw_trace_free(trace);
}

static void logits_add_up_to_the_balance(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_attribution *a = filled(trace, "logit", HW_SIGNAL_LOGIT, 0.5F);
    for (size_t i = 0; i < N; i++)
        a->balance[i] = (hw_balance){.prompt = 0.5 * M * L, .mlp = 2, .logit = 0.5 * M * L + 2};
    passes(a, trace);
    fails_with(a, trace, 1, 2, 3, "");
    a->balance[N - 1].logit += 1;
    hw_error err = {0};
    hw_err rc = bench_reference_check(a, trace, &err);
    assert_error(&err, rc, HW_ERR_ENGINE, "the balance sheet of token 10");
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* A sheet that adds up, whatever its columns are. */
static void balance_out(hw_attribution *a) {
    size_t cells = a->n_columns * a->n_layers;
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        for (size_t j = 0; j < cells; j++) sum += (double)a->values[i * cells + j];
        a->balance[i] = (hw_balance){.prompt = sum, .logit = sum};
    }
}

/* Two columns change places: all sums stay. */
static void columns_are_where_they_belong(void **state) {
    (void)state;
    static const int32_t groups[M] = {0, 0, 1, -1, 1, 2, 2};
    hw_trace *trace = the_trace();
    assert_int_equal(hw__trace_add_signals(trace, 1u << HW_SIGNAL_LOGIT, N + 1, T, NULL), HW_OK);
    for (size_t j = 0; j < L * (N + 1) * T; j++) trace->signals.values[HW_SIGNAL_LOGIT][j] = (float)(j * 37 % 101);
    hw_method_params p[2] = {hw_method_params_default(), hw_method_params_default()};
    p[1].groups = groups;
    p[1].n_groups = 3;
    for (int grouped = 0; grouped < 2; grouped++) {
        hw_attribution *a = NULL;
        hw_error err = {0};
        if (hw_explain(&a, trace, "logit", &p[grouped], &err) != HW_OK) fail_msg("%s", err.msg);
        balance_out(a);
        passes(a, trace);
        float *row = a->values + a->n_columns * a->n_layers, swapped = row[0];
        row[0] = row[L];
        row[L] = swapped;
        assert_error(&err, bench_reference_check(a, trace, &err), HW_ERR_ENGINE, "the error of the cells of token 8");
        passes(a, NULL); /* without a trace the sums alone are looked at */
        hw_attribution_free(a);
    }
    hw_trace_free(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rollout_is_the_chain_of_its_rows),
        cmocka_unit_test(rollout_by_groups_is_its_sum),
        cmocka_unit_test(another_tensor_fails),
        cmocka_unit_test(contributions_sum_to_one),
        cmocka_unit_test(logits_add_up_to_the_balance),
        cmocka_unit_test(columns_are_where_they_belong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
