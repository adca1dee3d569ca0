/*
 * test_incremental.c - rows explained while a run grows are those that it has in the end.
 *
 * Products of one row and of many may be summed in another order by BLAS, and rows that are all there at once be composed from
 * the top down: floats either way, each layer off by a few 2^-24 of values below 1.
 */
#include "support/fake_engine.h"
#include "support/live_check.h"

#include <string.h>

static const char PROMPT[] = "It was sunny in Rome, the city of Russia";
static const double BOUND = LAYER_BOUND(3);

static hw_run_params run_params(size_t n, size_t live_rows) {
    hw_run_params p = hw_run_params_default();
    p.prompt = PROMPT;
    p.prompt_bytes = strlen(PROMPT);
    p.n_generate = n;
    p.live_rows = live_rows;
    return p;
}

static const char *const METHODS[] = {"rollout", "attention", "uniform"};

static void each_token_as_it_comes(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_method_params p = hw_method_params_default();
    check_live(model, run_params(9, 1), METHODS, 3, &p, 9, BOUND);
    p.row = HW_ROW_OWN; /* the last token's own row comes when the run is whole */
    check_live(model, run_params(9, 1), METHODS, 3, &p, 9, BOUND);
    hw_model_close(model);
}

static void several_at_once_in_any_direction_and_by_groups(void **state) {
    (void)state;
    enum { MOST = 64 };
    int32_t groups[MOST];
    fake_params fake = fake_params_default();
    fake.chunk = 3;
    hw_model *model = fake_model(&fake);
    hw_method_params p = hw_method_params_default();
    p.direction = HW_DIRECTION_OUTPUT;
    check_live(model, run_params(10, 4), METHODS, 3, &p, 3, BOUND);
    p.direction = HW_DIRECTION_INPUT;
    for (int32_t i = 0; i < MOST; i++) groups[i] = i % 3 - 1;
    p.groups = groups;
    p.n_groups = 2;
    check_live(model, run_params(10, 4), METHODS, 3, &p, 3, BOUND);
    p.discard = 0.5;
    p.remove_sink = true;
    check_live(model, run_params(10, 4), METHODS, 3, &p, 3, BOUND);
    hw_model_close(model);
}

static void a_given_completion_by_chunks(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chunk = 4;
    hw_model *model = fake_model(&fake);
    hw_method_params p = hw_method_params_default();
    hw_run_params run = run_params(1, 1);
    run.completion = "it was not in the city of Rome that day, was it?";
    run.completion_bytes = strlen(run.completion);
    check_live(model, run, METHODS, 3, &p, 3, BOUND);
    hw_model_close(model);
}

static void refuses_what_cannot_grow(void **state) {
    (void)state;
    hw_live *live = NULL;
    hw_error err;
    hw_method_params p = hw_method_params_default();
    assert_error(&err, hw_live_new(&live, "flow", &p, &err), HW_ERR_UNSUPPORTED, "needs the whole run");
    assert_error(&err, hw_live_new(&live, "nonsense", &p, &err), HW_ERR_ARGUMENT, "there are rollout");
    p.columns = HW_COLUMNS_ALL;
    assert_error(&err, hw_live_new(&live, "rollout", &p, &err), HW_ERR_ARGUMENT, "columns all");
    assert_null(live);
    hw_live_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_token_as_it_comes),
        cmocka_unit_test(several_at_once_in_any_direction_and_by_groups),
        cmocka_unit_test(a_given_completion_by_chunks),
        cmocka_unit_test(refuses_what_cannot_grow),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
