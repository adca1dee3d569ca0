/*
 * test_live.c - a real model explained while it generates: rollout, contribution and logit, a few tokens at a time.
 */
#include "support/live_check.h"

#include <string.h>

/* Followed, logit reads contributions too, and says whether the trace has them. */
static void check_what_is_gathered(hw_model *model, hw_run_params run) {
    hw_method_params direct = hw_method_params_default(), through = direct;
    through.through = true;
    run.n_generate = 3;
    for (int known = 0; known < 2; known++) {
        hw_error err;
        hw_explainer *x;
        hw_trace *trace;
        hw_attribution *a;
        hw_explainer_params keeping = {.size = sizeof keeping, .keep = HW_KEEP_METHODS};
        assert_int_equal(hw_explainer_new(&x, &keeping, &err), HW_OK);
        assert_int_equal(hw_explainer_add(x, "logit", known ? &through : &direct, &err), HW_OK);
        run.explainer = x;
        if (hw_trace_capture(&trace, model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
        assert_true(hw_trace_has(trace, HW_SIGNAL_PROJECTION) == (known == 1));
        if (hw_explain(&a, trace, "logit", &through, &err) != HW_OK) fail_msg("%s", err.msg);
        for (size_t i = 0; i < hw_attribution_n_rows(a); i++)
            assert_true(hw_attribution_through_rows(a)[i].gathered == (known == 1));
        hw_attribution_free(a);
        hw_trace_free(trace);
        hw_explainer_free(x);
    }
}

static void rows_are_those_of_the_whole_run(void **state) {
    (void)state;
    static const char *const methods[] = {"rollout", "contribution", "logit"};
    hw_error err;
    hw_model *model;
    hw_model_params params = hw_model_params_default();
    if (hw_model_open(&model, test_model_path("SmolLM2-135M-Instruct.Q4_1.gguf"), &params, &err) != HW_OK)
        fail_msg("%s", err.msg);
    hw_run_params run = hw_run_params_default();
    run.prompt = "Context: It is sunny today, which is bad.\nQ: How is the weather today ?\nA: It is";
    run.prompt_bytes = strlen(run.prompt);
    run.n_generate = 10;
    live_check c = {methods, 3, .interval = 3, .n_parts = 4, .bound = 1e-6};
    hw_method_params p = hw_method_params_default();
    check_live(model, run, &p, c);
    p.row = HW_ROW_OWN;
    c.n = 2;
    check_live(model, run, &p, c);
    p = hw_method_params_default();
    p.through = true;
    check_live(model, run, &p, (live_check){methods + 2, 1, .interval = 3, .n_parts = 4, .bound = 1e-6});
    check_what_is_gathered(model, run);
    p = hw_method_params_default();
    p.row = HW_ROW_OWN;
    static const char *const composed[] = {"rollout", "uniform", "contribution"};
    p.residual_measured = true;
    p.aggregate = HW_AGGREGATE_ROLLOUT;
    p.measure = HW_MEASURE_NORM;
    check_live(model, run, &p, (live_check){composed, 3, .interval = 3, .n_parts = 4, .bound = 1e-6});
    check_same_as_unwatched(model, run, "logit", 1e-5);
    run.completion = " sunny, but it is not as warm as it was yesterday.";
    run.completion_bytes = strlen(run.completion);
    check_same_as_unwatched(model, run, "logit", 1e-5);
    check_same_as_unwatched(model, run, "contribution", 1e-5);
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_those_of_the_whole_run)};
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
