/* test_memory_estimate.c - what a run would take, against what the library then allocates. */
#include "methods/rollout_forward.h"
#include "support/fake_engine.h"

#include <string.h>

static const char PROMPT[] = "It was sunny in Rome. The city of Russia is a city. Hello it was a day.";

/* With a method (NULL: none), its settings and how the prompt is cut (NULL: not at all). */
static hw_estimate estimate_with(hw_model *model, hw_run_params run, const char *method, const hw_method_params *params,
                                 const char *by, hw_keep keep) {
    hw_estimate e;
    hw_error err;
    hw_explainer_params keeping = {.size = sizeof keeping, .keep = keep};
    assert_int_equal(hw_explainer_new(&run.explainer, &keeping, NULL), HW_OK);
    if (method) assert_int_equal(hw_explainer_add(run.explainer, method, params, NULL), HW_OK);
    if (by) assert_int_equal(hw_explainer_split(run.explainer, by, false, NULL), HW_OK);
    if (hw_run_estimate(&e, sizeof e, model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_explainer_free(run.explainer);
    return e;
}

static hw_estimate estimate(hw_model *model, const hw_run_params *run, const char *method, const char *by) {
    return estimate_with(model, *run, method, NULL, by, HW_KEEP_ROWS);
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
    assert_int_equal(e.methods,
                     (2 * T * (m + 1) + 9 * 3 * m) * sizeof(float) + (size_t)hw__rollout_forward_bytes(T, m + 1));
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
    hw_method_params p = hw_method_params_default();
    p.residual_measured = true;
    hw_estimate measured = estimate_with(model, run, "rollout", &p, NULL, HW_KEEP_ROWS);
    assert_int_equal(measured.signals, 3 * measured.n_tokens * sizeof(float));
    assert_true(measured.waiting > 0 && measured.total > tokens.total);
    hw_estimate whole = estimate(model, &run, "logit", "sentence");
    hw_estimate summed = estimate_with(model, run, "logit", NULL, "sentence", HW_KEEP_RESULTS);
    assert_int_equal(summed.rows, 0);
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
    hw_estimate e;
    hw_error err = {0};
    assert_int_equal(hw_explainer_new(&run.explainer, NULL, NULL), HW_OK);
    assert_int_equal(hw_explainer_split(run.explainer, "verse", true, NULL), HW_OK);
    assert_error(&err, hw_run_estimate(&e, sizeof e, model, &run, &err), HW_ERR_ARGUMENT, "verse");
    hw_explainer_free(run.explainer);
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
