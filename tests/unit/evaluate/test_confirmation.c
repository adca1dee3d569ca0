/* test_confirmation.c - passages left out one by one and two by two, against a model whose answer depends on them by
 * addition. */
#include "support/additive.h"
#include "text/segments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "abcdef";

/* Passages are the characters; `first` is the citation's order. */
typedef struct setup {
    hw_model *model;
    hw_trace *trace;
    hw_segments *passages, *answer;
    hw_attribution *a;
    hw_citation *citation;
} setup;

static void set_up(setup *s, const additive *model, const float scores[6]) {
    fake_params params = additive_params(model);
    hw_run_params run = ask(PROMPT, "XYZ", 0);
    hw_span spans[6];
    hw_error err;
    for (size_t i = 0; i < 6; i++) spans[i] = (hw_span){.begin = i, .end = i + 1};
    s->model = fake_model(&params);
    if (hw_trace_capture(&s->trace, s->model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
    const hw_run *r = hw_trace_run(s->trace);
    if (hw_segments_from_spans(&s->passages, r, HW_SIDE_PROMPT, spans, 6, &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw_segments_new(&s->answer, r, HW_SIDE_COMPLETION, "token", &err) != HW_OK) fail_msg("%s", err.msg);
    hw_method_params p = hw_method_params_default();
    size_t n;
    p.groups = hw_segments_groups(s->passages, &n);
    p.n_groups = 6;
    if (hw_explain(&s->a, s->trace, "attention", &p, &err) != HW_OK) fail_msg("%s", err.msg);
    for (size_t i = 0; i < s->a->n_rows; i++)
        for (size_t k = 0; k < 6; k++)
            for (size_t l = 0; l < s->a->n_layers; l++) s->a->values[(i * 6 + k) * s->a->n_layers + l] = scores[k];
    if (hw_citation_new(&s->citation, s->a, s->passages, s->answer, NULL, &err) != HW_OK) fail_msg("%s", err.msg);
}

static void tear_down(setup *s) {
    hw_citation_free(s->citation);
    hw_attribution_free(s->a);
    hw_segments_free(s->answer);
    hw_segments_free(s->passages);
    hw_trace_free(s->trace);
    hw_model_close(s->model);
}

static hw_confirmation *confirm(const setup *s, size_t n) {
    hw_confirm_params p = hw_confirm_params_default();
    hw_confirmation *c = NULL;
    hw_error err;
    p.n_passages = n;
    if (hw_confirmation_new(&c, s->model, s->trace, &(hw_cited){s->citation, s->passages, s->answer}, &p, &err) !=
        HW_OK)
        fail_msg("%s", err.msg);
    return c;
}

static void the_first_are_measured_and_others_scaled(void **state) {
    (void)state;
    static const additive model = {.base = {-4, -4, -4}, .chars = "ab", .effect = {{5, 0}, {0, 3}, {0, 0}}};
    static const float scores[6] = {0.4f, 0.3f, 0.1f, 0.1f, 0.05f, 0.05f};
    setup s;
    set_up(&s, &model, scores);
    hw_confirmation *c = confirm(&s, 2);
    assert_int_equal(hw_confirmation_n_passes(c), 3);
    double a = additive_logprob(&model, 0, "abcdef") - additive_logprob(&model, 0, "bcdef");
    double b = additive_logprob(&model, 1, "abcdef") - additive_logprob(&model, 1, "acdef");
    assert_close(hw_confirmation_drop(c, 0, 0), a, 1e-4);
    assert_close(hw_confirmation_drop(c, 1, 0), 0, 1e-4);
    assert_close(hw_confirmation_drop(c, 1, 1), b, 1e-4);
    assert_close(hw_confirmation_drop(c, 3, 0), a, 1e-4); /* the whole answer */
    assert_close(hw_confirmation_drop(c, 3, 2), (a + b) * 0.1 / 0.7, 1e-4);
    assert_close(hw_confirmation_drop(c, 0, 2), 0, 1e-4); /* of token 0, `b` has a larger share and cost nothing */
    assert_true(hw_confirmation_measured(c, 0) && hw_confirmation_measured(c, 1) && !hw_confirmation_measured(c, 2));
    size_t other;
    assert_false(hw_confirmation_stand_in(c, 0, &other));
    hw_confirmation_free(c);
    tear_down(&s);
}

/* By peaks `c` has marks and `b` none; measured, `a` is cited by X, `b` by Y, `c` by nothing. `d` was not left out. */
static void marks_go_by_what_was_measured(void **state) {
    (void)state;
    static const additive model = {.base = {-4, -4, -4}, .chars = "ab", .effect = {{5, 0}, {0, 3}, {0, 0}}};
    static const float scores[6] = {0.3f, 0.15f, 0.35f, 0.1f, 0.05f, 0.05f};
    setup s;
    size_t n;
    set_up(&s, &model, scores);
    hw_confirmation *c = confirm(&s, 3);
    double x = hw_confirmation_drop(c, 0, 0), y = hw_confirmation_drop(c, 1, 1);
    assert_true(x >= HW_CONFIRMED_FALL && y >= HW_CONFIRMED_FALL);
    bool before = hw_citation_at(s.citation, 2, 3).marked;
    hw_citation_confirm(s.citation, c);
    for (size_t part = 0; part < 3; part++)
        for (size_t p = 0; p < 3; p++) assert_true(hw_citation_at(s.citation, part, p).marked == (part == p && p < 2));
    assert_true(hw_citation_at(s.citation, 2, 3).marked == before);
    const size_t *order = hw_citation_order(s.citation, &n);
    assert_true(n == (size_t)2 + before && order[0] == 0 && order[1] == 1);
    hw_confirmation_free(c);
    tear_down(&s);
}

/* Either character is enough: alone neither costs anything, together both do. */
static void either_logits(const void *ctx, float *out, const int32_t *ids, size_t n) {
    (void)ctx;
    static const additive with = {.base = {4, 4, 4}, .chars = "a", .effect = {{0}, {0}, {0}}},
                          without = {.base = {-4, -4, -4}, .chars = "a", .effect = {{0}, {0}, {0}}};
    bool any = false;
    for (size_t i = 0; i < n; i++) any = any || ids[i] == 'a' || ids[i] == 'b';
    additive_logits(any ? &with : &without, out, ids, n);
}

static void two_that_tell_the_same_are_found(void **state) {
    (void)state;
    static const additive model = {.base = {4, 4, 4}, .chars = "a", .effect = {{0}, {0}, {0}}};
    static const float scores[6] = {0.4f, 0.3f, 0.1f, 0.1f, 0.05f, 0.05f};
    setup s;
    set_up(&s, &model, scores);
    hw_model_close(s.model);
    fake_params params = additive_params(&model);
    params.logits = either_logits;
    s.model = fake_model(&params);
    hw_confirmation *c = confirm(&s, 3);
    double fall = 3 * (log1p(exp(4)) - log1p(exp(-4)));
    size_t other;
    assert_true(hw_confirmation_stand_in(c, 0, &other) && other == 1);
    assert_true(hw_confirmation_stand_in(c, 1, &other) && other == 0);
    assert_false(hw_confirmation_stand_in(c, 2, &other));
    assert_close(hw_confirmation_drop(c, 3, 0), fall / 2, 1e-3);
    assert_close(hw_confirmation_drop(c, 3, 1), fall / 2, 1e-3);
    assert_close(hw_confirmation_drop(c, 3, 2), 0, 1e-3);
    assert_int_equal(hw_confirmation_n_passes(c), 5); /* whole, three alone, one pair: then neither is cheap */
    hw_confirmation_free(c);
    tear_down(&s);
}

static void refuses_what_was_not_cited(void **state) {
    (void)state;
    static const additive model = {.base = {-4, -4, -4}, .chars = "ab", .effect = {{5, 0}, {0, 3}, {0, 0}}};
    static const float scores[6] = {0.4f, 0.3f, 0.1f, 0.1f, 0.05f, 0.05f};
    setup s;
    hw_error err;
    hw_confirmation *c = NULL;
    hw_confirm_params p = hw_confirm_params_default();
    set_up(&s, &model, scores);
    for (p.n_passages = 0; p.n_passages <= 33; p.n_passages += 33)
        assert_error(&err,
                     hw_confirmation_new(&c, s.model, s.trace, &(hw_cited){s.citation, s.passages, s.answer}, &p, &err),
                     HW_ERR_ARGUMENT, "1 to 32");
    assert_error(&err,
                 hw_confirmation_new(&c, s.model, s.trace, &(hw_cited){s.citation, s.answer, s.answer}, NULL, &err),
                 HW_ERR_ARGUMENT, "not those that were cited");
    assert_null(c);
    hw_confirmation_free(NULL);
    tear_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_are_measured_and_others_scaled),
        cmocka_unit_test(marks_go_by_what_was_measured),
        cmocka_unit_test(two_that_tell_the_same_are_found),
        cmocka_unit_test(refuses_what_was_not_cited),
    };
    return cmocka_run_group_tests_name("confirmation", tests, NULL, NULL);
}
