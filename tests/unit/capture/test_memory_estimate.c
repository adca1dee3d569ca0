/* test_memory_estimate.c - what a run would take, against what the library then allocates. */
#include "support/fake_engine.h"
#include "methods/rollout_forward.h"

#include <string.h>

static const char PROMPT[] = "It was sunny in Rome. The city of Russia is a city. Hello it was a day.";

static hw_estimate estimate(hw_model *model, const hw_run_params *run, const char *method, const char *by) {
    hw_estimate e;
    hw_error err;
    hw_plan plan = hw_plan_default();
    plan.run = run;
    plan.methods = &method;
    plan.n_methods = method != NULL;
    plan.by = by;
    if (hw_run_estimate(&e, model, &plan, &err) != HW_OK) fail_msg("%s", err.msg);
    return e;
}

static void parts_are_what_is_allocated(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params run = ask(PROMPT, NULL, 9);
    hw_trace *trace = fake_trace(&fake, &run);
    size_t floats, m = hw_run_n_prompt(hw_trace_run(trace)), T = hw_run_n_tokens(hw_trace_run(trace));
    hw_estimate e = estimate(model, &run, "rollout", NULL);
    assert_true(hw__trace_layer_size(&floats, T, true));
    assert_int_equal(e.n_prompt, m);
    assert_int_equal(e.n_tokens, T);
    assert_int_equal(e.rows, 3 * floats * sizeof(float));
    assert_int_equal(e.methods, (2 * T * (m + 1) + 9 * 3 * m) * sizeof(float) + (size_t)hw__fold_bytes(T, m + 1));
    assert_int_equal(e.signals + e.waiting, 0);
    assert_int_equal(e.total, e.program + e.weights + e.rows + e.methods);
    assert_int_equal(fake_n_decoded(model), 0);
    hw_trace_free(trace);
    hw_model_close(model);
}

static void segments_and_methods_count(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params run = ask(PROMPT, " is it?", 0);
    hw_estimate tokens = estimate(model, &run, "rollout", NULL), parts = estimate(model, &run, "rollout", "sentence"),
                attention = estimate(model, &run, "attention", NULL);
    assert_int_equal(parts.n_columns, 3);
    assert_int_equal(tokens.n_columns, tokens.n_prompt);
    assert_true(parts.methods < tokens.methods && attention.methods < tokens.methods);
    assert_true(parts.seconds < tokens.seconds);
    run.signals = 1u << HW_SIGNAL_RESIDUAL;
    hw_estimate measured = estimate(model, &run, "rollout", NULL);
    assert_int_equal(measured.signals, 3 * measured.n_tokens * sizeof(float));
    assert_true(measured.waiting > 0 && measured.total > tokens.total);
    hw_method_params sums = hw_method_params_default();
    run.signals = 1u << HW_SIGNAL_LOGIT;
    hw_estimate whole = estimate(model, &run, "logit", "sentence");
    run.sums = &sums; /* filled in when the prompt is there; the plan says how it is cut */
    hw_estimate summed = estimate(model, &run, "logit", "sentence");
    size_t rows = whole.n_tokens - whole.n_prompt + 1;
    assert_int_equal(whole.signals, 3 * rows * whole.n_tokens * sizeof(float));
    assert_int_equal(summed.signals, 3 * rows * (1 + 3) * sizeof(float));
    hw_model_close(model);
}

/* What an earlier run gives takes no time; its trace is there beside the new one. */
static void a_front_takes_no_time(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params run = ask(PROMPT, NULL, 4);
    hw_trace *trace = fake_trace(&fake, &run);
    hw_estimate afresh = estimate(model, &run, "attention", NULL);
    run.prefix = trace;
    hw_estimate after = estimate(model, &run, "attention", NULL);
    assert_true(after.seconds < afresh.seconds / 2);
    assert_int_equal(after.state, afresh.rows);
    assert_int_equal(after.total, afresh.total + after.state);
    hw_trace_free(trace);
    hw_model_close(model);
}

static void what_cannot_be_cut_is_said(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params run = ask(PROMPT, NULL, 4);
    hw_plan plan = hw_plan_default();
    hw_estimate e;
    hw_error err = {0};
    plan.run = &run;
    plan.by = "verse";
    assert_error(&err, hw_run_estimate(&e, model, &plan, &err), HW_ERR_ARGUMENT, "verse");
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_what_is_allocated),
        cmocka_unit_test(segments_and_methods_count),
        cmocka_unit_test(a_front_takes_no_time),
        cmocka_unit_test(what_cannot_be_cut_is_said),
    };
    return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
