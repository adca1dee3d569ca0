/*
 * test_live.c - a real model explained while it generates: rollout, contribution and logit, a few tokens at a time.
 */
#include "support/live_check.h"

#include <string.h>

/* Followed, logit reads contributions too, and says whether the trace has them. Where only its results are kept, those
 * of the layers that it reads are there, with the same result, and not for `contribution`. */
static void check_what_is_gathered(hw_model *model, hw_run_params run) {
    static const struct {
        hw_keep keep;
        bool known, has;
    } cases[] = {{HW_KEEP_METHODS, false, false}, {HW_KEEP_METHODS, true, true}, {HW_KEEP_RESULTS, true, false}};
    hw_method_params direct = hw_method_params_default(), through = direct;
    hw_attribution *of[3], *none = NULL;
    through.through = true;
    run.n_generate = 3;
    for (size_t c = 0; c < 3; c++) {
        hw_error err;
        hw_explainer *x;
        hw_trace *trace;
        hw_explainer_params keeping = {.size = sizeof keeping, .keep = cases[c].keep};
        assert_int_equal(hw_explainer_new(&x, &keeping, &err), HW_OK);
        assert_int_equal(hw_explainer_add(x, "logit", cases[c].known ? &through : &direct, &err), HW_OK);
        run.explainer = x;
        if (hw_trace_capture(&trace, model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
        assert_true(hw_trace_has(trace, HW_SIGNAL_PROJECTION) == cases[c].has);
        if (hw_explain(&of[c], trace, "logit", &through, &err) != HW_OK) fail_msg("%s", err.msg);
        for (size_t i = 0; i < hw_attribution_n_rows(of[c]); i++)
            assert_true(hw_attribution_through_rows(of[c])[i].gathered == cases[c].known);
        if (!cases[c].has)
            assert_error(&err, hw_explain(&none, trace, "contribution", &direct, &err), HW_ERR_UNSUPPORTED,
                         "which this trace does not hold");
        hw_trace_free(trace);
        hw_explainer_free(x);
    }
    size_t cells = hw_attribution_n_rows(of[1]) * hw_attribution_n_columns(of[1]) * hw_attribution_n_layers(of[1]);
    for (size_t k = 0; k < cells; k++)
        assert_close(hw_attribution_values(of[1])[k], hw_attribution_values(of[2])[k], 1e-6);
    for (size_t c = 0; c < 3; c++) hw_attribution_free(of[c]);
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
