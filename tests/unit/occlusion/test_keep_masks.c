/* test_keep_masks.c - which masks are run, how often and in which order, and what each is worth. */
#include "occlusion/keep_masks.h"
#include "support/additive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const additive model_of = {
    .base = {-1, 0.5, 1}, .chars = "pqrs", .effect = {{2, -1, 0.5, 3}, {1, 1, 0, 0}, {0, 0, 0, -2}}};

typedef struct setup {
    hw_model *model;
    hw_trace *trace;
    hw__masked_pass *masked_pass;
    hw__masks *masks;
} setup;

static setup set_up(bool bos, const char *prompt, const int32_t *groups, size_t n_segments) {
    fake_params params = additive_params(&model_of);
    params.adds_bos = bos;
    setup s = {.model = fake_model(&params)};
    hw_run_params ask_for = ask(prompt, "XYZ", 0);
    hw_error err = {0};
    if (hw_trace_capture(&s.trace, s.model, &ask_for, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(hw__masked_pass_new(&s.masked_pass, s.model, hw_trace_run(s.trace), NULL, NULL, NULL), HW_OK);
    if (hw__masks_new(&s.masks, s.masked_pass, groups, n_segments, &err) != HW_OK) fail_msg("%s", err.msg);
    return s;
}

static void tear_down(setup *s) {
    hw__masks_free(s->masks);
    hw__masked_pass_free(s->masked_pass);
    hw_trace_free(s->trace);
    hw_model_close(s->model);
}

static size_t add(setup *s, const char *bits) {
    bool keep[16];
    size_t index = 99;
    for (size_t k = 0; bits[k]; k++) keep[k] = bits[k] == '1';
    assert_int_equal(hw__masks_add(s->masks, &index, keep, NULL), HW_OK);
    return index;
}

static void check_worth(setup *s, size_t index, const char *present) {
    const double *logprob = hw__masks_logprob(s->masks, index);
    for (size_t i = 0; i < 3; i++) assert_close(logprob[i], additive_logprob(&model_of, i, present), 1e-6);
}

static void equal_masks_are_run_once(void **state) {
    (void)state;
    setup s = set_up(false, "pqrs", NULL, 4);
    size_t a = add(&s, "1111"), b = add(&s, "1010"), c = add(&s, "1111"), d = add(&s, "1010");
    assert_true(a == c && b == d && a != b);
    assert_int_equal(hw__masks_score(s.masks, NULL, NULL, NULL), HW_OK);
    assert_int_equal(hw__masked_pass_n_passes(s.masked_pass), 2);
    size_t e = add(&s, "0001");
    assert_int_equal(add(&s, "1111"), a);
    assert_int_equal(hw__masks_score(s.masks, NULL, NULL, NULL), HW_OK);
    assert_int_equal(hw__masked_pass_n_passes(s.masked_pass), 3);
    check_worth(&s, a, "pqrs");
    check_worth(&s, b, "pr");
    check_worth(&s, e, "s");
    tear_down(&s);
}

static void segments_go_as_a_whole(void **state) {
    (void)state;
    static const int32_t groups[] = {1, 0, -1, 1, 2, 0};
    setup s = set_up(false, "pqrspq", groups, 4); /* segment 3 is empty */
    assert_true(hw__masks_movable(s.masks, 0) && hw__masks_movable(s.masks, 2) && !hw__masks_movable(s.masks, 3));
    assert_int_equal(hw__masks_n_movable(s.masks), 3);
    size_t none = add(&s, "0000"), same = add(&s, "0001"), first = add(&s, "1000"), second = add(&s, "0100"),
           third = add(&s, "0010");
    assert_int_equal(none, same); /* what cannot be left out makes no difference */
    assert_int_equal(hw__masks_score(s.masks, NULL, NULL, NULL), HW_OK);
    check_worth(&s, none, "r");
    check_worth(&s, first, "qr");
    check_worth(&s, second, "prs");
    check_worth(&s, third, "pr");
    bool keep[4] = {false};
    assert_true(hw__masks_leaves_some(s.masks, keep)); /* r is in no segment */
    tear_down(&s);
}

/* Tokens that passes decode when `masks` are scored together. */
static size_t tokens_run(setup *s) {
    assert_int_equal(hw__masks_score(s->masks, NULL, NULL, NULL), HW_OK);
    return hw__masked_pass_n_decoded(s->masked_pass);
}

static void leaving_out_goes_from_the_last_to_the_first(void **state) {
    (void)state;
    setup s = set_up(false, "pqrs", NULL, 4);
    size_t whole, without[4];
    assert_int_equal(hw__masks_add_without_each(s.masks, &whole, without, NULL), HW_OK);
    /* whole 4; without s 1 (its predicting row); without r 1 (s); q 2 (r, s); p 3; each and 2 of the completion */
    assert_int_equal(tokens_run(&s), 4 + 1 + 1 + 2 + 3 + 5 * 2);
    check_worth(&s, whole, "pqrs");
    check_worth(&s, without[0], "qrs");
    check_worth(&s, without[3], "pqr");
    tear_down(&s);
}

static void order_is_by_where_segments_begin(void **state) {
    (void)state;
    static const int32_t groups[] = {3, 2, 1, 0}; /* numbered from the back */
    setup s = set_up(false, "pqrs", groups, 4);
    size_t whole, without[4];
    assert_int_equal(hw__masks_add_without_each(s.masks, &whole, without, NULL), HW_OK);
    assert_int_equal(tokens_run(&s), 4 + 1 + 1 + 2 + 3 + 5 * 2);
    check_worth(&s, without[0], "pqr");
    tear_down(&s);
}

static void random_masks_are_even_seeded_and_never_empty(void **state) {
    (void)state;
    setup s = set_up(false, "pq", NULL, 2), t = set_up(true, "pqr", NULL, 4);
    uint64_t a = 5, b = 5;
    size_t seen[4] = {0}, bos_alone = 0, other = SIZE_MAX;
    for (int i = 0; i < 3000; i++) {
        size_t index;
        assert_int_equal(hw__masks_add_random(s.masks, &index, &a, NULL), HW_OK);
        const bool *keep = hw__masks_keep(s.masks, index);
        seen[2 * keep[0] + keep[1]]++;
        assert_int_equal(hw__masks_add_random(t.masks, &index, &b, NULL), HW_OK);
        keep = hw__masks_keep(t.masks, index);
        assert_true(keep[0]); /* BOS */
        bos_alone += !keep[1] && !keep[2] && !keep[3];
    }
    assert_int_equal(seen[0], 0);
    for (size_t i = 1; i < 4; i++) assert_true(seen[i] > 900 && seen[i] < 1100); /* 1000, deviation 26 */
    assert_true(bos_alone > 290 && bos_alone < 460);                             /* 375, deviation 18 */
    a = 6, b = 6;
    assert_int_equal(hw__masks_add_random(s.masks, &other, &a, NULL), HW_OK);
    size_t again;
    assert_int_equal(hw__masks_add_random(s.masks, &again, &b, NULL), HW_OK);
    assert_int_equal(other, again);
    tear_down(&s);
    tear_down(&t);
}

static void too_many_segments_are_refused(void **state) {
    (void)state;
    setup s = set_up(false, "pqrs", NULL, 4);
    hw__masks *masks = NULL;
    hw_error err = {0};
    assert_error(&err, hw__masks_new(&masks, s.masked_pass, NULL, HW__MAX_SEGMENTS + 1, &err), HW_ERR_ARGUMENT,
                 "513 segments to leave out, at most 512 are accepted");
    assert_null(masks);
    tear_down(&s);
}

typedef struct log {
    size_t n, done, total;
} log_of;

static void take(void *ctx, hw_stage stage, size_t done, size_t total) {
    log_of *l = ctx;
    assert_int_equal(stage, HW_STAGE_EXPLAIN);
    assert_int_equal(done, ++l->n);
    l->done = done;
    l->total = total;
}

static void progress_counts_masks(void **state) {
    (void)state;
    setup s = set_up(false, "pqrs", NULL, 4);
    log_of l = {0};
    add(&s, "1111");
    add(&s, "1010");
    assert_int_equal(hw__masks_score(s.masks, take, &l, NULL), HW_OK);
    assert_true(l.done == 2 && l.total == 2);
    add(&s, "1110");
    assert_int_equal(hw__masks_score(s.masks, take, &l, NULL), HW_OK);
    assert_true(l.done == 3 && l.total == 3 && l.n == 3);
    tear_down(&s);
    hw__masks_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_masks_are_run_once),
        cmocka_unit_test(segments_go_as_a_whole),
        cmocka_unit_test(leaving_out_goes_from_the_last_to_the_first),
        cmocka_unit_test(order_is_by_where_segments_begin),
        cmocka_unit_test(random_masks_are_even_seeded_and_never_empty),
        cmocka_unit_test(too_many_segments_are_refused),
        cmocka_unit_test(progress_counts_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
