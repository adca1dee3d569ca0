/*
 * test_rollout_streamed.c - prompt rows that pass by and are not kept: explanations fed with them are those of a trace that keeps all.
 *
 * Both are float sums, by blocks of other sizes: each layer is off by a few 2^-24 of values below 1.
 */
#include "support/fake_engine.h"
#include "support/files.h"

#include "methods/method.h"

#include <stdlib.h>
#include <string.h>

enum { LAYERS = 3, MOST = 512 };
static const double BOUND = LAYER_BOUND(LAYERS);

static const char PROMPT[] =
    "It was sunny in Rome, the city of Russia. I am not a city. It was a day of sun\n\n in Rome the sunny";

/* What the callback before the first decode makes. */
typedef struct listener {
    hw_method_params params;
    hw_live *live[2];
    int32_t groups[MOST];
    size_t n_prompt;
    bool grouped, refuses;
} listener;

static hw_err take_prompt(void *ctx, const hw_run *run, hw_error *err) {
    listener *l = ctx;
    l->n_prompt = hw_run_n_prompt(run);
    assert_in_range(l->n_prompt, 1, MOST);
    assert_int_equal(hw_run_n_tokens(run), l->n_prompt);
    if (l->refuses) return hw__fail(err, HW_ERR_ARGUMENT, "no such segments");
    for (size_t t = 0; t < l->n_prompt; t++) l->groups[t] = (int32_t)(t / 5) - 1;
    if (l->grouped) {
        l->params.groups = l->groups;
        l->params.n_groups = (l->n_prompt + 4) / 5 + 1;
    }
    return hw_live_new(&l->live[1], "rollout", &l->params, err);
}

static hw_run_params run_params(listener *l, hw_rows rows) {
    hw_run_params p = hw_run_params_default();
    p.prompt = PROMPT;
    p.prompt_bytes = strlen(PROMPT);
    p.n_generate = 6;
    p.rows = rows;
    p.on_prompt = take_prompt;
    p.live = l->live;
    p.n_live = 2;
    p.ctx = l;
    return p;
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

/* Fed while the model runs against explained from a trace that keeps every row. */
static void check(size_t chunk, hw_rows rows, hw_method_params params, bool grouped) {
    hw_error err;
    fake_params fake = fake_params_default();
    fake.chunk = chunk;
    hw_model *model = fake_model(&fake);
    listener l = {.params = params, .grouped = grouped};
    hw_run_params p = run_params(&l, rows);
    hw_trace *trace = capture(model, &p);
    hw_attribution *fed = NULL;
    if (hw_live_next(&fed, l.live[1], trace, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(hw_trace_rows(trace), rows);

    hw_run_params all = p;
    all.rows = HW_ROWS_ALL;
    all.on_prompt = NULL;
    all.n_live = 0;
    hw_trace *whole = capture(model, &all);
    hw_attribution *a = explain(whole, &l.params);
    assert_same(fed, a);
    hw_attribution_free(fed);
    hw_attribution_free(a);
    hw_live_free(l.live[1]);
    hw_trace_free(trace);
    hw_trace_free(whole);
    hw_model_close(model);
}

static void fed_rows_give_what_kept_ones_give(void **state) {
    (void)state;
    static const size_t chunks[] = {1, 7, 512};
    for (size_t i = 0; i < 3; i++) {
        hw_method_params p = hw_method_params_default();
        check(chunks[i], HW_ROWS_INTEREST, p, false);
        check(chunks[i], HW_ROWS_ALL, p, true);
        p.row = HW_ROW_OWN;
        p.residual = 0.3;
        p.discard = 0.4;
        p.remove_sink = true;
        check(chunks[i], HW_ROWS_INTEREST, p, true);
    }
}

static void only_the_asked_rows_are_kept(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chunk = 7;
    hw_model *model = fake_model(&fake);
    listener l = {.params = hw_method_params_default()};
    hw_run_params p = run_params(&l, HW_ROWS_INTEREST);
    hw_trace *some = capture(model, &p);
    p.n_live = 0;
    p.on_prompt = NULL;
    p.rows = HW_ROWS_NONE;
    hw_trace *none = capture(model, &p);
    p.rows = HW_ROWS_ALL;
    hw_trace *all = capture(model, &p);
    for (size_t q = 0; q < hw_run_n_tokens(hw_trace_run(all)); q++) {
        size_t n, n_some, n_none;
        const float *row = hw_trace_row(all, 1, q, &n), *part = hw_trace_row(some, 1, q, &n_some);
        assert_null(hw_trace_row(none, 1, q, &n_none));
        assert_true(n_none == 0 && (part != NULL) == (q + 1 >= l.n_prompt) && n_some == (part ? n : 0));
        if (part) assert_memory_equal(part, row, n * sizeof *row);
    }
    hw_live_free(l.live[1]);
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
    listener l = {.params = hw_method_params_default()};
    hw_run_params p = run_params(&l, HW_ROWS_INTEREST);
    p.n_live = 0; /* made, not fed */
    hw_trace *trace = capture(model, &p);
    assert_error(&err, hw_explain(&a, trace, "rollout", NULL, &err), HW_ERR_UNSUPPORTED, "keep the rows \"all\"");
    assert_error(&err, hw_explain(&a, trace, "flow", NULL, &err), HW_ERR_UNSUPPORTED, "attention rows of every token");
    assert_error(&err, hw_live_next(&a, l.live[1], trace, &err), HW_ERR_UNSUPPORTED, "those of the completion");
    assert_int_equal(hw_explain(&a, trace, "attention", NULL, &err), HW_OK);
    hw_attribution_free(a);
    hw_trace_free(trace);
    p.rows = HW_ROWS_NONE;
    p.on_prompt = NULL;
    trace = capture(model, &p);
    assert_error(&err, hw_explain(&a, trace, "attention", NULL, &err), HW_ERR_UNSUPPORTED, "keeps none");
    assert_int_equal(hw_explain(&a, trace, "uniform", NULL, &err), HW_OK);
    hw_attribution_free(a);
    hw_trace_free(trace);
    hw_live_free(l.live[1]);
    l = (listener){.refuses = true};
    p.on_prompt = take_prompt;
    assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_ARGUMENT, "no such segments");
    p.rows = (hw_rows)7;
    assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_ARGUMENT, "rows 7: all, interest or none");
    hw_model_close(model);
}

static void rows_that_a_live_explanation_leaves_to_the_trace(void **state) {
    (void)state;
    static const struct {
        const char *method;
        hw_direction direction;
        hw_rows rows;
    } cases[] = {{"rollout", HW_DIRECTION_INPUT, HW_ROWS_INTEREST},
                 {"rollout", HW_DIRECTION_OUTPUT, HW_ROWS_ALL},
                 {"attention", HW_DIRECTION_INPUT, HW_ROWS_INTEREST},
                 {"logit", HW_DIRECTION_INPUT, HW_ROWS_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_live *live;
        hw_method_params p = hw_method_params_default();
        p.direction = cases[i].direction;
        assert_int_equal(hw_live_new(&live, cases[i].method, &p, NULL), HW_OK);
        assert_int_equal(hw_live_rows(live), cases[i].rows);
        hw_live_free(live);
    }
}

static void a_file_says_which_rows_it_has(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    for (int rows = HW_ROWS_ALL; rows <= HW_ROWS_NONE; rows++) {
        listener l = {.params = hw_method_params_default()};
        hw_run_params p = run_params(&l, (hw_rows)rows);
        p.on_prompt = NULL;
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
    }
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fed_rows_give_what_kept_ones_give),
        cmocka_unit_test(only_the_asked_rows_are_kept),
        cmocka_unit_test(what_is_not_kept_is_asked_for_in_vain),
        cmocka_unit_test(rows_that_a_live_explanation_leaves_to_the_trace),
        cmocka_unit_test(a_file_says_which_rows_it_has),
    };
    return cmocka_run_group_tests_name("passing", tests, files_setup, files_teardown);
}
