/*
 * test_live.c - a real model explained while it generates: rollout, contribution and logit, a few tokens at a time.
 */
#include "support/live_check.h"

#include <string.h>

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
