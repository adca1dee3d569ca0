/* test_citation.c - shares, peaks, marks and their order, on numbers that are exact in binary. */
#include "support/fixture.h"
#include "text/segments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const prompt[] = {"a", "b", "c", "d", "e"};
static const char *const answer[] = {"u", "v", "w", "x"};

/* Passages 0: a b, 1: c, 2: d; e belongs to none. Parts 0: u v, 1: w; x belongs to none. */
static int32_t passage_of[] = {0, 0, 1, 2, -1}, part_of[] = {0, 0, 1, -1};
static const hw_segments passages = {.n = 3, .groups = passage_of, .n_tokens = 5};
static const hw_segments parts = {.n = 2, .groups = part_of, .n_tokens = 4};

/* [4 tokens, 5 columns, 2 layers]. Summed over layers and passages: u 6 1 -2, v 0 3 0, w 0 0 2, x 99. */
static const float values[4][5][2] = {{{1, 2}, {2, 1}, {0.5f, 0.5f}, {-3, 1}, {1, 1}},
                                      {{4, 0}, {0, -4}, {1, 2}, {0, 0}, {0, 0}},
                                      {{0, 0}, {0, 0}, {0, 0}, {1, 1}, {2, 2}},
                                      {{99, 99}, {99, 99}, {99, 99}, {99, 99}, {99, 99}}};
static const float dropped[4][2] = {{0.5f, 0.5f}, {1, 1}, {0, 0}, {99, 99}};

/* Attention to the answer so far (part of what M does not show), and values that are not attention. */
static const hw_balance balance[] = {{.completion = 0, .mlp = 2, .embedding = -1, .bias = 0},
                                     {.completion = 2.5, .mlp = 0.5, .embedding = 0.25, .bias = 0.25},
                                     {.completion = 0, .mlp = -7, .embedding = 0, .bias = 1},
                                     {.mlp = 99}};

static hw_attribution *make(const char *method, bool balanced) {
    hw_attribution *a = make_attribution(make_run(2, prompt, 5, answer, 4), NULL, 2, &values[0][0][0], &dropped[0][0]);
    a->method = method;
    if (!balanced) return a;
    a->balance = malloc(sizeof balance);
    assert_non_null(a->balance);
    memcpy(a->balance, balance, sizeof balance);
    return a;
}

static hw_citation *cite(const hw_attribution *a, double min_peak) {
    hw_citation_params p = hw_citation_params_default();
    hw_citation *c = NULL;
    hw_error err = {0};
    p.min_peak = min_peak;
    if (hw_citation_new(&c, a, &passages, &parts, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return c;
}

static void assert_link(const hw_citation *c, size_t part, size_t passage, hw_citation_link want) {
    hw_citation_link got = hw_citation_at(c, part, passage);
    bool same = got.score == want.score && got.share == want.share && got.peak == want.peak &&
                got.peak_token == want.peak_token && got.marked == want.marked;
    if (!same)
        fail_msg("part %zu, passage %zu: score %.9g share %.9g peak %.9g of token %zu, marked %d", part, passage,
                 got.score, got.share, got.peak, got.peak_token, got.marked);
}

static void assert_elsewhere(const hw_citation *c, size_t part, double rest, double from_answer, double model) {
    hw_citation_elsewhere e = hw_citation_from_elsewhere(c, part);
    if (e.rest != rest || e.answer != from_answer || e.model != model)
        fail_msg("part %zu: rest %.9g answer %.9g model %.9g", part, e.rest, e.answer, e.model);
}

static void assert_order(const hw_citation *c, size_t a, size_t b, size_t d, size_t want_marked) {
    size_t n_marked;
    const size_t *order = hw_citation_order(c, &n_marked);
    assert_int_equal(order[0], a);
    assert_int_equal(order[1], b);
    assert_int_equal(order[2], d);
    assert_int_equal(n_marked, want_marked);
}

/* ------------------------------------------------------------------ nats with a balance
 *
 *     token  passages    rest  answer  model   all above 0
 *     u      6  1  -2    3     0       1       11
 *     v      0  3   0    -0.5  2.5     1       6.5
 *     w      0  0   2    4     0       -6      6
 *     part 0: sums 6 4 -2, 2.5 2.5 2, all above 0 17; part 1 is w; all: sums 6 4 0, 6.5 2.5 -4, all above 0 19
 */
static void shares_are_of_all_that_raised_the_logit(void **state) {
    (void)state;
    hw_attribution *a = make("logit", true);
    hw_citation *c = cite(a, 0);
    assert_int_equal(hw_citation_n_parts(c), 2);
    assert_int_equal(hw_citation_n_passages(c), 3);
    assert_string_equal(hw_citation_rule_used(c)->name, "share");
    assert_true(hw_citation_min_peak(c) == 0.25);
    assert_link(c, 0, 0, (hw_citation_link){3, 6. / 17, 6. / 11, 0, true});
    assert_link(c, 0, 1, (hw_citation_link){2, 4. / 17, 3 / 6.5, 1, true});
    assert_link(c, 0, 2, (hw_citation_link){-1, 0, 0, 1, false});
    assert_link(c, 1, 0, (hw_citation_link){0, 0, 0, 2, false});
    assert_link(c, 1, 2, (hw_citation_link){2, 2. / 6, 2. / 6, 2, true});
    assert_link(c, 2, 0, (hw_citation_link){2, 6. / 19, 6. / 11, 0, true});
    assert_link(c, 2, 1, (hw_citation_link){4. / 3, 4. / 19, 3 / 6.5, 1, true});
    assert_link(c, 2, 2, (hw_citation_link){0, 0, 2. / 6, 2, true}); /* what part 0 took off, part 1 put back */
    assert_elsewhere(c, 0, 2.5 / 17, 2.5 / 17, 2. / 17);
    assert_elsewhere(c, 1, 4. / 6, 0, 0);
    assert_elsewhere(c, 2, 6.5 / 19, 2.5 / 19, 0);
    assert_order(c, 0, 1, 2, 3);
    hw_citation_free(c);
    hw_attribution_free(a);
}

static void assert_main(const hw_citation *c, size_t part, double first, double second, double third) {
    const double want[] = {first, second, third};
    for (size_t p = 0; p < 3; p++) assert_close(hw_citation_main_share(c, part, p), want[p], 1e-12);
}

/* Without what has less than a fifth of the highest share: part 0 6 4 0, part 1 0 0 2, the whole 6 4 0. Then v has
 * .201 of passage 1 in place of 3, with which it is just above a fifth of 6; then .1. */
static void main_shares_leave_out_what_is_spread_thinly(void **state) {
    (void)state;
    hw_attribution *a = make("logit", true);
    hw_citation *c = cite(a, 0);
    assert_main(c, 0, 0.6, 0.4, 0);
    assert_main(c, 1, 0, 0, 1);
    assert_main(c, 2, 0.6, 0.4, 0);
    hw_citation_free(c);
    const struct {
        float v;
        double first, second;
    } cases[] = {{0.201F, 6 / 7.201, 1.201 / 7.201}, {0.1F, 1, 0}, {-1, 1, 0}};
    for (size_t i = 0; i < 3; i++) {
        a->values[10 + 4] = cases[i].v;
        a->values[10 + 5] = 0;
        c = cite(a, 0);
        for (size_t part = 0; part < 3; part += 2)
            for (size_t p = 0; p < 2; p++)
                assert_close(hw_citation_main_share(c, part, p), p ? cases[i].second : cases[i].first, 1e-6);
        hw_citation_free(c);
    }
    memset(a->values, 0, sizeof values);
    c = cite(a, 0);
    assert_main(c, 0, 0, 0, 0);
    hw_citation_free(c);
    hw_attribution_free(a);
}

static void marks_go_by_the_peak(void **state) {
    (void)state;
    hw_attribution *a = make("logit", true);
    hw_citation *c = cite(a, 0.5);
    assert_order(c, 0, 1, 2, 1);
    assert_true(hw_citation_at(c, 0, 0).marked && !hw_citation_at(c, 0, 1).marked);
    assert_true(hw_citation_at(c, 2, 0).marked && !hw_citation_at(c, 2, 1).marked);
    hw_citation_free(c);
    a->outside[2] = 7; /* 5.5 of v now come from the rest of the prompt */
    c = cite(a, 0.3);  /* passage 2 has a mark, passage 1 none, though more of the answer */
    assert_link(c, 0, 1, (hw_citation_link){2, 4. / 23, 3. / 12, 1, false});
    assert_order(c, 0, 2, 1, 2);
    hw_citation_free(c);
    a->outside[2] = 1;
    a->outside[4] = -10; /* the rest of the prompt speaks against w */
    c = cite(a, 0.33);
    assert_link(c, 1, 2, (hw_citation_link){2, 1, 1, 2, true});
    assert_elsewhere(c, 1, 0, 0, 0);
    hw_citation_free(c);
    a->outside[4] = 0;
    a->values[2 * 5 * 2 + 3 * 2] = 30; /* now max_peak of part 1 */
    c = cite(a, 0.6);
    assert_order(c, 2, 0, 1, 1);
    hw_citation_free(c);
    c = cite(a, 6. / 11); /* reached exactly */
    assert_order(c, 2, 0, 1, 2);
    hw_citation_free(c);
    c = cite(a, 1);
    assert_order(c, 2, 0, 1, 0);
    hw_citation_free(c);
    hw_attribution_free(a);
}

static void columns_may_be_the_passages(void **state) {
    (void)state;
    hw_attribution *a = make("logit", true), *g = NULL;
    assert_int_equal(hw_attribution_group(&g, a, passage_of, NULL, 3, NULL), HW_OK);
    hw_citation *c = cite(a, 0), *d = cite(g, 0);
    for (size_t s = 0; s <= 2; s++)
        for (size_t p = 0; p < 3; p++) assert_link(d, s, p, hw_citation_at(c, s, p));
    for (size_t s = 0; s <= 2; s++) {
        hw_citation_elsewhere e = hw_citation_from_elsewhere(c, s);
        assert_elsewhere(d, s, e.rest, e.answer, e.model);
    }
    hw_citation_free(c);
    hw_citation_free(d);
    hw_attribution_free(g);
    hw_attribution_free(a);
}

/* ------------------------------------------------------------------ other methods */

/* Means over layers: u 3 0.5 -1, v 0 1.5 0, w 0 0 1; outside with column e: u 1.5, v 1, w 2. Sizes 0 0 0 0 .5 1 1 1.5
 * 3. */
static void shares_of_a_row_go_by_what_is_typical(void **state) {
    (void)state;
    hw_attribution *a = make("contribution", false);
    hw_citation *c = cite(a, 0);
    assert_string_equal(hw_citation_rule_used(c)->name, "ratio");
    assert_link(c, 0, 0, (hw_citation_link){1.5, 3 / 7.5, 6, 0, true}); /* the median is 0.5 */
    assert_link(c, 0, 1, (hw_citation_link){1, 2 / 7.5, 3, 1, false});
    assert_link(c, 0, 2, (hw_citation_link){-0.5, 0, 0, 1, false});
    assert_link(c, 1, 2, (hw_citation_link){1, 1. / 3, 2, 2, false});
    assert_elsewhere(c, 0, 2.5 / 7.5, 0, 0);
    assert_elsewhere(c, 1, 2. / 3, 0, 0);
    assert_order(c, 0, 1, 2, 1);
    hw_citation_free(c);
    memset(a->values, 0, 10 * sizeof(float)); /* u: the median is now 0, the mean 2.5 / 9 */
    c = cite(a, 0);
    assert_close(hw_citation_at(c, 0, 1).peak, 1.5 / (2.5 / 9), 1e-12);
    hw_citation_free(c);
    hw_attribution_free(a);
}

static void falls_add_up_over_a_part(void **state) {
    (void)state;
    hw_attribution *a = make("leave-one-out", false);
    hw_citation *c = cite(a, 0);
    assert_string_equal(hw_citation_rule_used(c)->name, "fall");
    assert_link(c, 0, 0, (hw_citation_link){3, 6. / 15, 6, 0, true});
    assert_link(c, 0, 1, (hw_citation_link){2, 4. / 15, 4, 1, true});
    assert_link(c, 0, 2, (hw_citation_link){-1, 0, 0, 1, false});
    assert_link(c, 1, 2, (hw_citation_link){2, 2. / 6, 2, 2, true});
    assert_link(c, 2, 2, (hw_citation_link){0, 0, 2, 2, true});
    hw_citation_free(c);
    a->values[2 * 5 * 2] = 6; /* both parts would lose as much: the first is named */
    c = cite(a, 0);
    assert_link(c, 1, 0, (hw_citation_link){6, 6. / 12, 6, 2, true});
    assert_link(c, 2, 0, (hw_citation_link){4, 12. / 25, 6, 0, true});
    hw_citation_free(c);
    hw_attribution_free(a);
}

/* ------------------------------------------------------------------ edges */

static void nothing_is_cited_where_nothing_is_there(void **state) {
    (void)state;
    static const char *const methods[] = {"logit", "contribution", "leave-one-out"};
    for (size_t i = 0; i < 3; i++) {
        hw_attribution *a = make(methods[i], i == 0);
        memset(a->values, 0, sizeof values);
        memset(a->outside, 0, sizeof dropped);
        if (a->balance) memset(a->balance, 0, sizeof balance);
        hw_citation *c = cite(a, 0);
        assert_order(c, 0, 1, 2, 0);
        assert_link(c, 0, 0, (hw_citation_link){0, 0, 0, 0, false});
        assert_elsewhere(c, 2, 0, 0, 0);
        hw_citation_free(c);
        hw_attribution_free(a);
    }
}

static void parts_without_tokens_have_zeros(void **state) {
    (void)state;
    int32_t none[] = {1, 1, 1, 1};
    hw_segments two = {.n = 2, .groups = none, .n_tokens = 4};
    hw_attribution *a = make("leave-one-out", false);
    hw_citation *c = NULL;
    assert_int_equal(hw_citation_new(&c, a, &passages, &two, NULL, NULL), HW_OK);
    for (size_t p = 0; p < 3; p++) assert_link(c, 0, p, (hw_citation_link){0, 0, 0, 0, false});
    assert_link(c, 2, 0, hw_citation_at(c, 1, 0));
    hw_citation_free(c);
    hw_attribution_free(a);
}

static void what_is_no_number_does_not_spread(void **state) {
    (void)state;
    hw_attribution *a = make("leave-one-out", false);
    a->values[0] = NAN;
    a->values[3 * 2] = INFINITY;
    hw_citation *c = cite(a, 0);
    assert_link(c, 0, 0, (hw_citation_link){0, 0, 0, 0, false}); /* NaN reads as 0, which is as much as v has */
    assert_link(c, 0, 2, (hw_citation_link){5e5, 1e6 / (1e6 + 4 + 5), 1e6, 0, true});
    hw_citation_free(c);
    hw_attribution_free(a);
}

static void rules_are_readable(void **state) {
    (void)state;
    assert_int_equal(hw_citation_rule_count(), 4);
    for (size_t i = 0; i < hw_citation_rule_count(); i++) {
        const hw_citation_rule *rule = hw_citation_rule_at(i);
        assert_true(*rule->name && *rule->methods && *rule->shares && *rule->peak && rule->min_peak > 0);
    }
    assert_null(hw_citation_rule_at(4));
    hw_citation_free(NULL);
}

static void each_method_has_a_rule(void **state) {
    (void)state;
    static const struct {
        const char *method, *rule;
        double max_peak;
    } cases[] = {{"logit", "share", 1},
                 {"contribution", "ratio", 0},
                 {"random", "ratio", 0},
                 {"leave-one-out", "fall", 0},
                 {"ablation", "weight", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hw_citation_rule *rule = hw_citation_rule_of(cases[i].method);
        assert_string_equal(rule->name, cases[i].rule);
        assert_true(rule->max_peak == cases[i].max_peak);
        hw_attribution *a = make(cases[i].method, rule->max_peak > 0);
        hw_citation *c = cite(a, 0);
        assert_ptr_equal(hw_citation_rule_used(c), rule);
        hw_citation_free(c);
        hw_attribution_free(a);
    }
    assert_null(hw_citation_rule_of("none"));
}

/* The finished part is cited as in the whole answer; the part without rows has nothing. */
static void a_growing_answer_is_cited_as_far_as_it_is_explained(void **state) {
    (void)state;
    hw_attribution *a = make("logit", true);
    a->n_rows = 2;
    hw_citation *c = cite(a, 0);
    assert_link(c, 0, 0, (hw_citation_link){3, 6. / 17, 6. / 11, 0, true});
    assert_link(c, 0, 1, (hw_citation_link){2, 4. / 17, 3 / 6.5, 1, true});
    for (size_t p = 0; p < 3; p++) assert_false(hw_citation_at(c, 1, p).marked || hw_citation_at(c, 1, p).score != 0);
    assert_elsewhere(c, 0, 2.5 / 17, 2.5 / 17, 2. / 17);
    assert_elsewhere(c, 1, 0, 0, 0);
    assert_link(c, 2, 0, (hw_citation_link){3, 6. / 17, 6. / 11, 0, true});
    assert_order(c, 0, 1, 2, 2);
    hw_citation_free(c);
    hw_attribution_free(a);
}

static void assert_refused(const hw_attribution *a, const hw_segments *from, const hw_segments *to, double min_peak,
                           const char *part) {
    hw_citation_params p = {.size = sizeof p, .min_peak = min_peak};
    hw_citation *c = NULL;
    hw_error err = {0};
    hw_err rc = hw_citation_new(&c, a, from, to, &p, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, part);
    assert_null(c);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    hw_attribution *a = make("logit", true), *g = NULL;
    assert_refused(a, &passages, &parts, -1, "min_peak -1: ");
    assert_refused(a, &passages, &parts, NAN, "min_peak ");
    assert_refused(a, &passages, &parts, INFINITY, "min_peak inf");
    assert_refused(a, &passages, &parts, 1.5, "min_peak 1.5: peaks of the rule share are at most 1");
    assert_refused(a, &parts, &parts, 0, "passages of 4 tokens, the prompt has 5");
    assert_refused(a, &passages, &passages, 0, "parts of 5 tokens and 4 rows from token 5 on: the completion has 4");
    a->first_token = 6;
    assert_refused(a, &passages, &parts, 0, "4 rows from token 6 on: the completion has 4 tokens from token 5 on");
    a->first_token = 5;
    int32_t other[] = {0, 1, 1, 2, -1};
    assert_int_equal(hw_attribution_group(&g, a, other, NULL, 3, NULL), HW_OK);
    assert_refused(g, &passages, &parts, 0, "the columns are 3 groups, not the 3 passages");
    hw_attribution_free(g);
    a->params.columns = HW_COLUMNS_ALL;
    assert_refused(a, &passages, &parts, 0, "columns all");
    hw_attribution_free(a);
    static const float m[5 * 5] = {0};
    a = make_attribution(make_run(1, prompt, 5, NULL, 0), NULL, 1, m, NULL);
    assert_refused(a, &passages, &parts, 0, "no completion");
    hw_attribution_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_of_all_that_raised_the_logit),
        cmocka_unit_test(main_shares_leave_out_what_is_spread_thinly),
        cmocka_unit_test(marks_go_by_the_peak),
        cmocka_unit_test(columns_may_be_the_passages),
        cmocka_unit_test(shares_of_a_row_go_by_what_is_typical),
        cmocka_unit_test(falls_add_up_over_a_part),
        cmocka_unit_test(nothing_is_cited_where_nothing_is_there),
        cmocka_unit_test(parts_without_tokens_have_zeros),
        cmocka_unit_test(what_is_no_number_does_not_spread),
        cmocka_unit_test(rules_are_readable),
        cmocka_unit_test(each_method_has_a_rule),
        cmocka_unit_test(a_growing_answer_is_cited_as_far_as_it_is_explained),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
