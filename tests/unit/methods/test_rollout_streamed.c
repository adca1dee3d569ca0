/*
 * test_rollout_streamed.c - prompt rows that pass by and are not kept: explanations fed with them are those of a trace
 * that keeps all.
 *
 * Both are float sums, by blocks of other sizes: each layer is off by a few 2^-24 of values below 1.
 */
#include "support/fake_engine.h"
#include "support/files.h"

#include "methods/explainer.h"

#include <stdlib.h>
#include <string.h>

enum { LAYERS = 3, MAX_N = 512 };
static const double BOUND = LAYER_BOUND(LAYERS);

static const char PROMPT[] =
    "It was sunny in Rome, the city of Russia. I am not a city. It was a day of sun\n\n in Rome the sunny";

static hw_run_params run_params(hw_explainer *x) {
    hw_run_params p = hw_run_params_default();
    p.prompt = PROMPT;
    p.prompt_bytes = strlen(PROMPT);
    p.n_generate = 6;
    p.explainer = x;
    return p;
}

static size_t prompt_tokens(hw_model *model) {
    hw_run *run;
    hw_run_params p = run_params(NULL);
    assert_int_equal(hw_run_tokenize(&run, model, &p, NULL), HW_OK);
    size_t n = hw_run_n_prompt(run);
    assert_in_range(n, 1, MAX_N);
    hw_run_free(run);
    return n;
}

/* Rollout, and `beside` it another method (NULL: none). */
static hw_explainer *new_explainer(hw_keep keep, const hw_method_params *params, const char *beside) {
    hw_explainer *x;
    hw_explainer_params keeping = hw_explainer_params_default();
    keeping.keep = keep;
    assert_int_equal(hw_explainer_new(&x, &keeping, NULL), HW_OK);
    assert_int_equal(hw_explainer_add(x, "rollout", params, NULL), HW_OK);
    if (beside) assert_int_equal(hw_explainer_add(x, beside, params, NULL), HW_OK);
    return x;
}

static hw_trace *capture(hw_model *model, const hw_run_params *p) {
    hw_trace *trace;
    hw_error err;
    if (hw_trace_capture(&trace, model, p, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static void assert_same(const hw_attribution *a, const hw_attribution *b) {
    assert_true(a->n_rows == b->n_rows && a->n_columns == b->n_columns && a->n_layers == b->n_layers);
    for (size_t i = 0; i < a->n_rows; i++)
        for (size_t l = 0; l < a->n_layers; l++) {
            assert_close(outside(a, i, l), outside(b, i, l), BOUND);
            for (size_t k = 0; k < a->n_columns; k++) assert_close(cell(a, i, k, l), cell(b, i, k, l), BOUND);
        }
}

/* Fed while the model runs against explained from a trace that keeps every row; `beside` is a method that has the trace
 * keep `rows`. */
static void check(size_t chunk, const char *beside, hw_row_retention rows, hw_method_params params, bool grouped) {
    hw_error err;
    int32_t groups[MAX_N];
    fake_params fake = fake_params_default();
    fake.chunk = chunk;
    hw_model *model = fake_model(&fake);
    size_t m = prompt_tokens(model);
    for (size_t t = 0; t < m; t++) groups[t] = (int32_t)(t / 5) - 1;
    if (grouped) {
        params.groups = groups;
        params.n_groups = (m + 4) / 5 + 1;
    }
    hw_explainer *x = new_explainer(HW_KEEP_RESULTS, &params, beside);
    hw_run_params p = run_params(x);
    hw_trace *trace = capture(model, &p);
    hw_attribution *fed = NULL;
    if (hw_explainer_result(&fed, x, 0, trace, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(hw_trace_rows(trace), rows);

    p.explainer = NULL;
    hw_trace *whole = capture(model, &p);
    hw_attribution *a = explain(whole, &params);
    assert_same(fed, a);
    hw_attribution_free(fed);
    hw_attribution_free(a);
    hw_explainer_free(x);
    hw_trace_free(trace);
    hw_trace_free(whole);
    hw_model_close(model);
}

static void fed_rows_give_what_kept_ones_give(void **state) {
    (void)state;
    static const size_t chunks[] = {1, 7, 512};
    for (size_t i = 0; i < 3; i++) {
        hw_method_params p = hw_method_params_default();
        check(chunks[i], NULL, HW_ROWS_TARGET, p, false);
        check(chunks[i], "flow", HW_ROWS_ALL, p, true);
        p.row = HW_ROW_OWN;
        p.residual = 0.3;
        p.discard = 0.4;
        p.remove_sink = true;
        check(chunks[i], NULL, HW_ROWS_TARGET, p, true);
    }
}

static void only_the_rows_that_are_needed_are_kept(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chunk = 7;
    hw_model *model = fake_model(&fake);
    size_t m = prompt_tokens(model);
    hw_explainer *x = new_explainer(HW_KEEP_RESULTS, NULL, NULL), *nothing;
    assert_int_equal(hw_explainer_new(&nothing, NULL, NULL), HW_OK);
    hw_run_params p = run_params(x);
    hw_trace *some = capture(model, &p);
    p.explainer = nothing;
    hw_trace *none = capture(model, &p);
    p.explainer = NULL;
    hw_trace *all = capture(model, &p);
    for (size_t q = 0, T = hw_run_n_tokens(hw_trace_run(all)); q < T; q++) {
        size_t n, n_some, n_none;
        const float *row = hw_trace_row(all, 1, q, &n), *part = hw_trace_row(some, 1, q, &n_some);
        assert_null(hw_trace_row(none, 1, q, &n_none));
        assert_true(n_none == 0 && (part != NULL) == (q + 1 >= m && q + 1 < T) && n_some == (part ? n : 0));
        if (part) assert_memory_equal(part, row, n * sizeof *row);
    }
    hw_explainer_free(x);
    hw_explainer_free(nothing);
    hw_trace_free(some);
    hw_trace_free(none);
    hw_trace_free(all);
    hw_model_close(model);
}

static void what_is_not_kept_is_asked_for_in_vain(void **state) {
    (void)state;
    hw_error err;
    hw_attribution *a = NULL;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_explainer *x = new_explainer(HW_KEEP_RESULTS, NULL, NULL), *other = new_explainer(HW_KEEP_RESULTS, NULL, NULL);
    hw_run_params p = run_params(x);
    hw_trace *trace = capture(model, &p);
    assert_error(&err, hw_explain(&a, trace, "rollout", NULL, &err), HW_ERR_UNSUPPORTED, "keep the rows \"all\"");
    assert_error(&err, hw_explain(&a, trace, "flow", NULL, &err), HW_ERR_UNSUPPORTED, "attention rows of every token");
    assert_error(&err, hw_explainer_result(&a, other, 0, trace, &err), HW_ERR_UNSUPPORTED, "those of the completion");
    assert_int_equal(hw_explain(&a, trace, "attention", NULL, &err), HW_OK);
    hw_attribution_free(a);
    hw_trace_free(trace);
    hw_explainer_free(x);
    assert_int_equal(hw_explainer_new(&x, NULL, NULL), HW_OK);
    p.explainer = x;
    trace = capture(model, &p);
    assert_error(&err, hw_explain(&a, trace, "attention", NULL, &err), HW_ERR_UNSUPPORTED, "keeps none");
    assert_int_equal(hw_explain(&a, trace, "uniform", NULL, &err), HW_OK);
    hw_attribution_free(a);
    hw_trace_free(trace);
    hw_explainer_free(x);
    hw_explainer_free(other);
    hw_model_close(model);
}

static void what_a_trace_keeps(void **state) {
    (void)state;
    static const struct {
        const char *method;
        hw_direction direction;
        hw_columns columns;
        bool through;
        hw_row_retention rows[4]; /* by hw_keep */
    } cases[] = {
        {"rollout",
         HW_DIRECTION_INPUT,
         HW_COLUMNS_PROMPT,
         false,
         {HW_ROWS_TARGET, HW_ROWS_ALL, HW_ROWS_ALL, HW_ROWS_ALL}},
        {"rollout", HW_DIRECTION_INPUT, HW_COLUMNS_ALL, false, {HW_ROWS_ALL, HW_ROWS_ALL, HW_ROWS_ALL, HW_ROWS_ALL}},
        {"rollout", HW_DIRECTION_INPUT, HW_COLUMNS_PROMPT, true, {HW_ROWS_ALL, HW_ROWS_ALL, HW_ROWS_ALL, HW_ROWS_ALL}},
        {"rollout",
         HW_DIRECTION_OUTPUT,
         HW_COLUMNS_PROMPT,
         false,
         {HW_ROWS_ALL, HW_ROWS_ALL, HW_ROWS_ALL, HW_ROWS_ALL}},
        {"attention",
         HW_DIRECTION_INPUT,
         HW_COLUMNS_PROMPT,
         false,
         {HW_ROWS_TARGET, HW_ROWS_TARGET, HW_ROWS_ALL, HW_ROWS_ALL}},
        {"logit", HW_DIRECTION_INPUT, HW_COLUMNS_PROMPT, false, {HW_ROWS_NONE, HW_ROWS_NONE, HW_ROWS_ALL, HW_ROWS_ALL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int keep = HW_KEEP_RESULTS; keep <= HW_KEEP_ALL; keep++) {
            hw_explainer *x;
            hw_method_params p = hw_method_params_default();
            hw_explainer_params keeping = {.size = sizeof keeping, .keep = (hw_keep)keep};
            p.direction = cases[i].direction;
            p.columns = cases[i].columns;
            p.through = cases[i].through;
            assert_int_equal(hw_explainer_new(&x, &keeping, NULL), HW_OK);
            assert_int_equal(hw_explainer_add(x, cases[i].method, &p, NULL), HW_OK);
            assert_int_equal(hw__explainer_rows(x), cases[i].rows[keep]);
            hw_explainer_free(x);
        }
    assert_int_equal(hw__explainer_rows(NULL), HW_ROWS_ALL);
}

static void a_file_says_which_rows_it_has(void **state) {
    (void)state;
    static const char *const methods[] = {"flow", "attention", "uniform"}; /* by the rows that they need */
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    for (int rows = HW_ROWS_ALL; rows <= HW_ROWS_NONE; rows++) {
        hw_explainer *x;
        const hw_explainer_params keeping = {.size = sizeof keeping, .keep = HW_KEEP_METHODS};
        assert_int_equal(hw_explainer_new(&x, &keeping, NULL), HW_OK);
        assert_int_equal(hw_explainer_add(x, methods[rows], NULL, NULL), HW_OK);
        hw_run_params p = run_params(x);
        hw_trace *trace = capture(model, &p), *again;
        hw_error err;
        const char *path = temp_path("rows.safetensors");
        if (hw_trace_save(trace, path, &err) != HW_OK || hw_trace_open(&again, path, &err) != HW_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(hw_trace_rows(again), rows);
        for (size_t q = 0; q < hw_run_n_tokens(hw_trace_run(trace)); q++) {
            size_t n, n_again;
            const float *row = hw_trace_row(trace, 2, q, &n), *same = hw_trace_row(again, 2, q, &n_again);
            assert_true(n == n_again && (row != NULL) == (same != NULL));
            if (row) assert_memory_equal(row, same, n * sizeof *row);
        }
        hw_trace_free(trace);
        hw_trace_free(again);
        hw_explainer_free(x);
    }
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fed_rows_give_what_kept_ones_give),
        cmocka_unit_test(only_the_rows_that_are_needed_are_kept),
        cmocka_unit_test(what_is_not_kept_is_asked_for_in_vain),
        cmocka_unit_test(what_a_trace_keeps),
        cmocka_unit_test(a_file_says_which_rows_it_has),
    };
    return cmocka_run_group_tests_name("passing", tests, files_setup, files_teardown);
}
