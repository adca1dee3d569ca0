/* test_attribution_group.c - columns summed by group: what seeding a method gives, and what an attribution keeps. */
#include "support/fake_engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Stored M is float: seeding rounds once a layer, summing once a token; far below this on values of at most 1. */
static const double BOUND = 1e-6;

static const char prompt[] = "The sky is blue. Water is wet, and ice is cold.\n\n"
                             "Fire is hot! Who knows? \xF0\x9F\x98\x80 ok.";

static hw_trace *the_trace(void) {
    fake_params engine = fake_params_default();
    hw_run_params run = ask(prompt, " Ice is cold. Fire is not.", 0);
    return fake_trace(&engine, &run);
}

static hw_attribution *explain_by(const char *method, const hw_trace *trace, const hw_method_params *p) {
    hw_attribution *a = NULL;
    hw_error err = {0};
    if (hw_explain(&a, trace, method, p, &err) != HW_OK) fail_msg("%s: %s", method, err.msg);
    return a;
}

static hw_attribution *group(const hw_attribution *a, const int32_t *groups, size_t n) {
    hw_attribution *g = NULL;
    hw_error err = {0};
    if (hw_attribution_group(&g, a, groups, NULL, n, &err) != HW_OK) fail_msg("%s", err.msg);
    return g;
}

static void assert_near(double x, double y, const char *what) {
    if (!(isnan(x) && isnan(y))) assert_close_at(x, y, BOUND, what, __FILE__, __LINE__);
}

static void assert_same(const hw_attribution *x, const hw_attribution *y) {
    assert_int_equal(x->n_rows, y->n_rows);
    assert_int_equal(x->n_columns, y->n_columns);
    assert_int_equal(x->n_layers, y->n_layers);
    assert_int_equal(x->first_token, y->first_token);
    assert_string_equal(x->method, y->method);
    assert_memory_equal(x->layers, y->layers, x->n_layers * sizeof *x->layers);
    for (size_t i = 0; i < x->n_rows * x->n_columns * x->n_layers; i++) assert_close(x->values[i], y->values[i], BOUND);
    for (size_t i = 0; i < x->n_rows * x->n_layers; i++) assert_close(x->outside[i], y->outside[i], BOUND);
    const hw_diagnostics *a = &x->diagnostics, *b = &y->diagnostics;
    assert_near(a->first_mean, b->first_mean, "first_mean");
    assert_near(a->first_last, b->first_last, "first_last");
    assert_near(a->outside_mean, b->outside_mean, "outside_mean");
    assert_near(a->outside_last, b->outside_last, "outside_last");
    assert_near(a->position_mean, b->position_mean, "position_mean");
    assert_near(a->position_last, b->position_last, "position_last");
}

/* Seeds `method` with the groups, and groups what it gives without; the two must be the same. */
static void assert_commutes(const hw_trace *trace, const char *method, hw_method_params p, const int32_t *groups,
                            size_t n) {
    hw_attribution *plain = explain_by(method, trace, &p), *after = group(plain, groups, n);
    p.groups = groups;
    p.n_groups = n;
    hw_attribution *before = explain_by(method, trace, &p);
    assert_same(before, after);
    assert_int_equal(after->params.n_groups, n);
    assert_ptr_not_equal(after->params.groups, groups); /* its own copy */
    size_t columns = p.columns == HW_COLUMNS_ALL ? trace->run->n_tokens : trace->run->n_prompt;
    assert_memory_equal(after->params.groups, groups, columns * sizeof *groups);
    hw_attribution_free(before);
    hw_attribution_free(after);
    hw_attribution_free(plain);
}

static void seeding_before_is_summing_after(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    static const char *const methods[] = {"rollout", "attention", "uniform"};
    for (size_t by = 0; by < hw_segmenter_count(); by++) {
        hw_segments *s = NULL;
        assert_int_equal(hw_segments_new(&s, trace->run, HW_SIDE_PROMPT, hw_segmenter_at(by)->name, NULL), HW_OK);
        size_t m;
        const int32_t *groups = hw_segments_groups(s, &m);
        assert_int_equal(m, trace->run->n_prompt);
        for (int way = 0; way < 4; way++) {
            hw_method_params p = hw_method_params_default();
            p.direction = way & 1 ? HW_DIRECTION_OUTPUT : HW_DIRECTION_INPUT;
            p.row = way & 2 ? HW_ROW_OWN : HW_ROW_PREDICTOR;
            for (size_t i = 0; i < 3; i++) assert_commutes(trace, methods[i], p, groups, hw_segments_count(s));
        }
        hw_segments_free(s);
    }
    hw_trace_free(trace);
}

/* Passages with gaps, over completion columns too. */
static void spans_and_completion_columns_commute(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    static const hw_span spans[] = {{"sky", 4, 16}, {"water", 16, 30}, {"fire", 49, 61}};
    hw_segments *s = NULL;
    assert_int_equal(hw_segments_from_spans(&s, trace->run, HW_SIDE_PROMPT, spans, 3, NULL), HW_OK);
    size_t m, n_tokens = trace->run->n_tokens;
    const int32_t *prompt_groups = hw_segments_groups(s, &m);
    int32_t *groups = calloc(n_tokens, sizeof *groups);
    assert_non_null(groups);
    for (size_t t = 0; t < n_tokens; t++) groups[t] = t < m ? prompt_groups[t] : t % 2 ? 3 : -1;
    hw_method_params p = hw_method_params_default();
    for (int direction = 0; direction < 2; direction++) {
        p.direction = (hw_direction)direction;
        p.columns = HW_COLUMNS_PROMPT;
        assert_commutes(trace, "rollout", p, prompt_groups, 3);
        p.columns = HW_COLUMNS_ALL;
        assert_commutes(trace, "rollout", p, groups, 4);
    }
    free(groups);
    hw_segments_free(s);
    hw_trace_free(trace);
}

static const char *const words[] = {"a", "b", "c", "d"};
static const char *const answer[] = {"x", "y"};

/* [2 rows, 4 columns, 2 layers], exact in binary; row sums differ, values are signed as logit's are. */
static const float values[2][4][2] = {{{1, -2}, {4, 8}, {16, 32}, {64, 128}},
                                      {{0.5f, 0.25f}, {-1, 3}, {5, 7}, {-9, 11}}};
static const float dropped[2][2] = {{0.125f, 0.0625f}, {2, -3}};

static void columns_without_a_group_are_outside(void **state) {
    (void)state;
    hw_attribution *a = make_attribution(make_run(2, words, 4, answer, 2), NULL, 2, &values[0][0][0], &dropped[0][0]);
    hw_attribution *g = group(a, (const int32_t[]){2, -1, 0, 2}, 3);
    static const float want[2][3][2] = {{{16, 32}, {0, 0}, {65, 126}}, {{5, 7}, {0, 0}, {-8.5f, 11.25f}}};
    static const float want_outside[2][2] = {{4.125f, 8.0625f}, {1, 0}};
    assert_int_equal(g->n_columns, 3);
    assert_memory_equal(g->values, want, sizeof want);
    assert_memory_equal(g->outside, want_outside, sizeof want_outside);
    assert_memory_equal(a->values, values, sizeof values); /* untouched */
    hw_attribution_free(a);
    assert_int_equal(hw_run_n_tokens(hw_attribution_run(g)), 6); /* has the run, too */
    hw_attribution_free(g);
}

/* Where columns begin in the text orders them, not their numbers: group 2 is first, the empty one last. */
static void position_is_where_groups_begin(void **state) {
    (void)state;
    static const float falling[1][4][1] = {{{8}, {4}, {2}, {1}}};
    hw_attribution *a = make_attribution(make_run(1, words, 4, answer, 1), NULL, 1, &falling[0][0][0], NULL);
    hw_attribution *g = group(a, (const int32_t[]){2, 0, 1, 1}, 3), *back = group(a, (const int32_t[]){0, 1, 2, 2}, 3);
    assert_close(g->diagnostics.position_mean, -1, BOUND);
    assert_close(back->diagnostics.position_mean, -1, BOUND);
    assert_close(g->diagnostics.first_mean, 8, BOUND);
    hw_attribution_free(g);
    hw_attribution_free(back);
    g = group(a, (const int32_t[]){3, 1, 1, 0}, 4); /* 8, 6, 1, none: 0 */
    assert_close(g->diagnostics.position_mean, -1, BOUND);
    hw_attribution_free(g);
    hw_attribution_free(a);
}

static void balance_and_layers_are_kept(void **state) {
    (void)state;
    hw_attribution *a = make_attribution(make_run(2, words, 4, answer, 2), NULL, 2, &values[0][0][0], NULL);
    static const hw_balance balance[2] = {{1, 2, 3, 4, 5, 15}, {6, 7, 8, 9, 10, 40}};
    a->balance = hw__alloc(2, sizeof *a->balance);
    memcpy(a->balance, balance, sizeof balance);
    a->layers[0] = 7; /* a file's own, not the model's first ones */
    a->layers[1] = 9;
    a->params.seed = 42;
    hw_attribution *g = group(a, (const int32_t[]){0, 0, 1, 1}, 2);
    hw_attribution_free(a);
    assert_memory_equal(hw_attribution_balance(g), balance, sizeof balance);
    assert_int_equal(hw_attribution_layers(g)[0], 7);
    assert_int_equal(hw_attribution_layers(g)[1], 9);
    assert_int_equal(hw_attribution_params(g).seed, 42);
    hw_attribution_free(g);
}

static void bad_groups_are_named(void **state) {
    (void)state;
    hw_attribution *a = make_attribution(make_run(2, words, 4, answer, 2), NULL, 2, &values[0][0][0], NULL);
    static const struct {
        int32_t groups[4];
        size_t n;
        const char *part;
    } cases[] = {
        {{0, 1, 2, 0}, 2, "group 2 of column 2: -1..1 are accepted"},
        {{0, -2, 0, 0}, 2, "group -2 of column 1"},
        {{0, 0, 0, 0}, 0, "0 groups"},
    };
    hw_attribution *g = NULL;
    hw_error err = {0};
    for (size_t i = 0; i < 3; i++) {
        hw_err rc = hw_attribution_group(&g, a, cases[i].groups, NULL, cases[i].n, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
    }
    assert_error(&err, hw_attribution_group(&g, a, NULL, NULL, 2, &err), HW_ERR_ARGUMENT,
                 "NULL: an attribution and groups");
    assert_null(g);
    g = group(a, cases[0].groups, 3);
    hw_attribution *twice = NULL;
    assert_error(&err, hw_attribution_group(&twice, g, cases[0].groups, NULL, 3, &err), HW_ERR_ARGUMENT,
                 "groups already");
    assert_null(twice);
    hw_attribution_free(g);
    hw_attribution_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeding_before_is_summing_after),     cmocka_unit_test(spans_and_completion_columns_commute),
        cmocka_unit_test(columns_without_a_group_are_outside), cmocka_unit_test(position_is_where_groups_begin),
        cmocka_unit_test(balance_and_layers_are_kept),         cmocka_unit_test(bad_groups_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
