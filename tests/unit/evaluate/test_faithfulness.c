/* test_faithfulness.c - a check's figures on a model whose answers add up, where each can be worked out, and what it
 * refuses. */
#include "base/splitmix64.h"
#include "math/spearman.h"
#include "occlusion/masked_pass.h"
#include "support/additive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const additive model_of = {
    .base = {-4, 0.5, 1}, .chars = "pqrst", .effect = {{2, -1, 0.5, 3, 0.1}, {1, 1, 0, 0, 0}, {0, 0, 0, -2, 0.5}}};
static const char prompt[] = "pqrst";
enum { M = 5 };

typedef struct setup {
    hw_model *model;
    hw_trace *trace;
    const hw_run *run;
    hw_segments *segments;
    hw_check_params params;
} setup;

/* One character a segment. */
static setup set_up(const additive *a, bool bos, const char *completion) {
    fake_params params = additive_params(a);
    params.adds_bos = bos;
    setup s = {.model = fake_model(&params), .params = hw_check_params_default()};
    hw_run_params ask_for = ask(prompt, completion, 0);
    hw_error err = {0};
    if (hw_trace_capture(&s.trace, s.model, &ask_for, &err) != HW_OK) fail_msg("%s", err.msg);
    s.run = hw_trace_run(s.trace);
    hw_span spans[M];
    for (size_t k = 0; k < M; k++) spans[k] = (hw_span){.begin = k, .end = k + 1};
    if (hw_segments_from_spans(&s.segments, s.run, HW_SIDE_PROMPT, spans, M, &err) != HW_OK) fail_msg("%s", err.msg);
    return s;
}

static void tear_down(setup *s) {
    hw_segments_free(s->segments);
    hw_trace_free(s->trace);
    hw_model_close(s->model);
}

/* An attribution of the run that says `scores` [n, M]. */
static hw_attribution *say(const setup *s, const char *method, const float *scores) {
    size_t n;
    hw_method_params p = hw_method_params_default();
    p.groups = hw_segments_groups(s->segments, &n);
    p.n_groups = M;
    hw_attribution *a = make_attribution(hw__run_retain(s->run), &p, 1, scores, NULL);
    a->method = method;
    return a;
}

static hw_check *check(const setup *s, const hw_attribution *const *list, size_t n) {
    hw_check *c = NULL;
    hw_error err = {0};
    if (hw_check_new(&c, s->model, s->trace, &(hw_check_subject){s->segments, list, n}, &s->params, &err) != HW_OK)
        fail_msg("%s", err.msg);
    return c;
}

static const hw_check_row *row_of(const hw_check *c, const char *method) {
    for (size_t i = 0; i < hw_check_count(c); i++)
        if (strcmp(hw_check_at(c, i)->method, method) == 0) return hw_check_at(c, i);
    fail_msg("no row for %s", method);
    return NULL;
}

/* ------------------------------------------------------------------ figures */

static const float true_scores[M] = {2, -1, 0.5, 3, 0.1f}, opposite_scores[M] = {-2, 1, -0.5, -3, -0.1f};

static double fall_to(const char *present) {
    return additive_logprob(&model_of, 0, prompt) - additive_logprob(&model_of, 0, present);
}

static void true_scores_have_the_figures_worked_out(void **state) {
    (void)state;
    setup s = set_up(&model_of, false, "X");
    hw_attribution *a = say(&s, "contribution", true_scores), *b = say(&s, "rollout", opposite_scores);
    hw_check *c = check(&s, (const hw_attribution *const[]){a, b}, 2);
    const hw_check_row *r = hw_check_at(c, 0), *o = hw_check_at(c, 1);
    assert_string_equal(r->method, "contribution");
    assert_close(hw_check_base(c), additive_logprob(&model_of, 0, prompt), 1e-6);
    assert_close(r->drop[0], fall_to("pqrt"), 1e-6);
    assert_close(r->drop[1], fall_to("qt"), 1e-6); /* without s, p, r */
    assert_true(isnan(r->drop[2]));                /* nothing would be left of the prompt */
    assert_close(o->drop[0], fall_to("prst"), 1e-6);
    assert_close(o->drop[1], fall_to("ps"), 1e-6);
    /* of 5 segments 1, 5, 10 and 20 % are one, 50 % are three */
    assert_close(r->comprehensiveness, (4 * fall_to("pqrt") + fall_to("qt")) / 5, 1e-6);
    assert_close(r->sufficiency, (4 * fall_to("s") + fall_to("prs")) / 5, 1e-6);
    assert_close(r->lds, 1, 1e-12);
    assert_close(o->lds, -1, 1e-12);
    assert_int_equal(r->n_passes, 0);
    assert_int_equal(hw_check_n_masks(c), s.params.n_ablations);
    for (size_t i = 0; i < hw_check_n_masks(c); i++) {
        char kept[M + 1] = "";
        double logit;
        const bool *keep = hw_check_mask(c, i, &logit);
        for (size_t k = 0; k < M; k++)
            if (keep[k]) strncat(kept, &prompt[k], 1);
        assert_close(logit, hw__logit(additive_logprob(&model_of, 0, kept)), 1e-5);
    }
    assert_null(hw_check_mask(c, hw_check_n_masks(c), &(double){0}));
    hw_check_free(c);
    hw_attribution_free(a);
    hw_attribution_free(b);
    tear_down(&s);
}

/* Mean LDS of random scores on the cuts of a check, from a stream of the test's own. */
static double random_lds(const hw_check *c, size_t n_rows) {
    enum { DRAWS = 3000 };
    uint64_t state = 77;
    double x[64], y[64], sum = 0;
    for (size_t d = 0; d < DRAWS; d++) {
        double scores[M] = {0};
        for (size_t i = 0; i < n_rows; i++)
            for (size_t k = 0; k < M; k++) scores[k] += hw__random_next(&state);
        for (size_t i = 0; i < hw_check_n_masks(c); i++) {
            const bool *keep = hw_check_mask(c, i, &y[i]);
            x[i] = 0;
            for (size_t k = 0; k < M; k++) x[i] += keep[k] ? scores[k] : 0;
        }
        double rho;
        assert_true(hw__spearman(&rho, x, y, hw_check_n_masks(c)));
        sum += rho / DRAWS;
    }
    return sum;
}

/* One draw is luck, which the row `random` shows; the verdict names what random scores reach on average. Two means over
 * 300 and 3,000 draws, each draw within a standard deviation of 0.4, differ by 0.1 in one of 30,000 cases. */
static void random_is_what_random_scores_reach_on_average(void **state) {
    (void)state;
    static const char *const completions[] = {"X", "XYZ"};
    double min = 1, max = -1;
    for (uint64_t seed = 0; seed < 8; seed++) {
        const char *completion = completions[seed % 2], *said;
        setup s = set_up(&model_of, false, completion);
        s.params.n_ablations = 24;
        s.params.seed = seed;
        hw_attribution *a = say(&s, "contribution", (float[3 * M]){2, -1, 0.5, 3, 0.1f});
        hw_check *c = check(&s, (const hw_attribution *const[]){a}, 1);
        assert_non_null(said = strstr(hw_check_verdict(c), ", random "));
        assert_close(strtod(said + strlen(", random "), NULL), random_lds(c, strlen(completion)), 0.1);
        min = fmin(min, row_of(c, "random")->lds);
        max = fmax(max, row_of(c, "random")->lds);
        hw_check_free(c);
        hw_attribution_free(a);
        tear_down(&s);
    }
    assert_true(max - min > 0.3);
}

/* Segment 4 is what the completion goes on from, and costs most: first choices are judged among the others. */
static void the_last_segment_is_no_evidence(void **state) {
    (void)state;
    static const additive begun = {.base = {-8}, .chars = "pqrst", .effect = {{0.3, 5, -0.2, 0.1, 7}}};
    static const struct {
        float scores[M];
        const char *said;
    } cases[] = {
        {{0, 1, 0, 0, 9}, "right where it can be checked: the best choice is the text that the answer goes on from ("},
        {{0, 9, 0, 0, 1}, "right where it can be checked: the best choice is the text that the answer goes on from ("},
        {{1, 0, 0, 0, 9}, "do not trust it here, no better than a random choice: the best choice is the text that the"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup s = set_up(&begun, false, "X");
        hw_attribution *a = say(&s, "contribution", cases[i].scores);
        hw_check *c = check(&s, (const hw_attribution *const[]){a}, 1);
        assert_non_null(strstr(hw_check_verdict(c), cases[i].said));
        assert_non_null(strstr(hw_check_verdict(c), "the best choice, segment 1, "));
        hw_check_free(c);
        hw_attribution_free(a);
        tear_down(&s);
    }
}

static void baselines_come_with_it(void **state) {
    (void)state;
    static const char *const names[] = {"contribution", "random", "uniform", "attention", "leave-one-out"};
    setup s = set_up(&model_of, false, "X");
    hw_attribution *a = say(&s, "contribution", true_scores);
    hw_check *c = check(&s, (const hw_attribution *const[]){a}, 1);
    assert_int_equal(hw_check_count(c), 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(hw_check_at(c, i)->method, names[i]);
    assert_null(hw_check_at(c, 5));
    const hw_check_row *alone = row_of(c, "leave-one-out");
    assert_int_equal(alone->n_passes, M);
    assert_close(alone->drop[0], fall_to("pqrt"), 1e-6);
    assert_true(alone->lds > 0.95); /* a fall of log p is not quite the logit that is lost */
    for (size_t i = 1; i < 4; i++) assert_int_equal(hw_check_at(c, i)->n_passes, 0);
    /* 5 segments have 31 masks that leave something, and 64 + 5 + 50 were asked for */
    assert_true(hw_check_n_passes(c) <= 31 && hw_check_n_passes(c) > 20);
    assert_non_null(strstr(hw_check_verdict(c), "contribution: right where it can be checked"));
    hw_check_free(c);
    hw_attribution_free(a);
    tear_down(&s);
}

static void methods_given_are_not_repeated(void **state) {
    (void)state;
    setup s = set_up(&model_of, false, "X");
    hw_method_params p = hw_method_params_default();
    size_t n;
    hw_attribution *list[3] = {NULL};
    p.groups = hw_segments_groups(s.segments, &n);
    p.n_groups = M;
    p.model = s.model;
    p.n_ablations = 20;
    static const char *const names[] = {"leave-one-out", "ablation", "random"};
    for (size_t i = 0; i < 3; i++) assert_int_equal(hw_explain(&list[i], s.trace, names[i], &p, NULL), HW_OK);
    hw_check *c = check(&s, (const hw_attribution *const *)list, 3), *d = check(&s, NULL, 0);
    assert_int_equal(hw_check_count(c), 5); /* and uniform and attention */
    assert_int_equal(hw_check_at(c, 0)->n_passes, M);
    assert_int_equal(hw_check_at(c, 1)->n_passes, 20);
    assert_close(hw_check_at(c, 0)->drop[0], row_of(d, "leave-one-out")->drop[0], 0);
    assert_close(hw_check_at(c, 0)->lds, row_of(d, "leave-one-out")->lds, 0); /* the same masks, the same scores */
    assert_close(hw_check_at(c, 2)->lds, row_of(d, "random")->lds, 0);
    assert_non_null(strstr(hw_check_verdict(c), "leave-one-out: right by construction"));
    assert_int_equal(hw_check_count(d), 4);
    hw_check_free(c);
    hw_check_free(d);
    for (size_t i = 0; i < 3; i++) hw_attribution_free(list[i]);
    tear_down(&s);
}

static void some_of_the_completion_is_judged(void **state) {
    (void)state;
    setup s = set_up(&model_of, false, "XYZ");
    static const float scores[3 * M] = {0, 0, 0, 9, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 0};
    hw_attribution *a = say(&s, "contribution", scores);
    s.params.row_begin = 1;
    s.params.row_end = 2;
    hw_check *c = check(&s, (const hw_attribution *const[]){a}, 1);
    assert_close(hw_check_base(c), additive_logprob(&model_of, 1, prompt), 1e-6);
    assert_close(hw_check_at(c, 0)->drop[0],
                 additive_logprob(&model_of, 1, prompt) - additive_logprob(&model_of, 1, "qrst"), 1e-6);
    hw_check_free(c);
    s.params.row_begin = s.params.row_end = 0;
    c = check(&s, (const hw_attribution *const[]){a}, 1);
    double base = 0, rest = 0; /* all three tokens; the mean over rows puts s first */
    for (size_t i = 0; i < 3; i++)
        base += additive_logprob(&model_of, i, prompt), rest += additive_logprob(&model_of, i, "pqrt");
    assert_close(hw_check_base(c), base, 1e-6);
    assert_close(hw_check_at(c, 0)->drop[0], base - rest, 1e-6);
    hw_check_free(c);
    hw_attribution_free(a);
    tear_down(&s);
}

static void with_bos_all_can_go(void **state) {
    (void)state;
    setup s = set_up(&model_of, true, "X");
    hw_attribution *a = say(&s, "contribution", true_scores);
    hw_check *c = check(&s, (const hw_attribution *const[]){a}, 1);
    assert_close(hw_check_at(c, 0)->drop[2], fall_to(""), 1e-6);
    hw_check_free(c);
    hw_attribution_free(a);
    tear_down(&s);
}

static void same_seed_same_check(void **state) {
    (void)state;
    setup s = set_up(&model_of, true, "XYZ");
    s.params.n_ablations = 9;
    hw_check *a = check(&s, NULL, 0), *b = check(&s, NULL, 0);
    s.params.seed = 1;
    hw_check *c = check(&s, NULL, 0);
    bool differs = false;
    for (size_t i = 0; i < hw_check_count(a); i++) {
        assert_close(hw_check_at(a, i)->lds, hw_check_at(b, i)->lds, 0);
        differs = differs || (i > 0 && hw_check_at(a, i)->lds != hw_check_at(c, i)->lds); /* row 0 is random itself */
    }
    assert_true(differs);
    s.params.n_ablations = 0;
    hw_check *d = check(&s, NULL, 0);
    assert_true(isnan(hw_check_at(d, 0)->lds) && isfinite(hw_check_at(d, 0)->drop[0]));
    hw_check_free(a);
    hw_check_free(b);
    hw_check_free(c);
    hw_check_free(d);
    hw_check_free(NULL);
    tear_down(&s);
}

static void impossible_answers_stay_numbers(void **state) {
    (void)state;
    additive never = model_of;
    never.never = true;
    setup s = set_up(&never, false, "XYZ");
    hw_attribution *a = say(&s, "contribution", (float[3 * M]){9, 0, 0, 0, 0, 9, 0, 0, 0, 0, 9});
    hw_check *c = check(&s, (const hw_attribution *const[]){a}, 1);
    for (size_t i = 0; i < hw_check_count(c); i++) {
        const hw_check_row *r = hw_check_at(c, i);
        assert_true(isfinite(r->drop[0]) && isfinite(r->drop[1]) && isfinite(r->comprehensiveness) &&
                    isfinite(r->sufficiency) && isfinite(r->lds));
    }
    assert_true(hw_check_at(c, 0)->drop[0] > 2900);
    assert_non_null(strstr(hw_check_verdict(c), "over a million times less likely"));
    hw_check_free(c);
    hw_attribution_free(a);
    tear_down(&s);
}

/* ------------------------------------------------------------------ refusals */

static void refuse(const setup *s, const hw_attribution *a, hw_err code, const char *part) {
    hw_check *c = NULL;
    hw_error err = {0};
    assert_error(
        &err, hw_check_new(&c, s->model, s->trace, &(hw_check_subject){s->segments, &a, a ? 1 : 0}, &s->params, &err),
        code, part);
    assert_null(c);
}

static void bad_rows_and_masks_are_refused(void **state) {
    (void)state;
    setup s = set_up(&model_of, false, "XYZ");
    const struct {
        size_t begin, end;
        const char *part;
    } cases[] = {{2, 2, "completion tokens 2..2 requested, the completion has 0..3"},
                 {0, 4, "0..4 requested"},
                 {3, 2, "3..2 requested"},
                 {4, 5, "4..5 requested"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        s.params.row_begin = cases[i].begin;
        s.params.row_end = cases[i].end;
        refuse(&s, NULL, HW_ERR_ARGUMENT, cases[i].part);
    }
    s.params = hw_check_params_default();
    s.params.n_ablations = 100001;
    refuse(&s, NULL, HW_ERR_ARGUMENT, "100001 ablations: at most 100000");
    tear_down(&s);
}

static void attributions_must_fit(void **state) {
    (void)state;
    setup s = set_up(&model_of, false, "X"), other = set_up(&model_of, true, "X");
    hw_attribution *tokens = NULL, *foreign = say(&other, "rollout", true_scores);
    static const int32_t two[M] = {0, 0, 1, 1, 1};
    hw_method_params p = hw_method_params_default();
    p.groups = two;
    p.n_groups = 2;
    assert_int_equal(hw_explain(&tokens, s.trace, "rollout", &p, NULL), HW_OK);
    refuse(&s, tokens, HW_ERR_ARGUMENT, "attribution 0 (rollout) has 2 columns and there are 5 segments");
    refuse(&s, foreign, HW_ERR_ARGUMENT, "attribution 0 (rollout) explains another run");
    hw_attribution_free(tokens);
    hw_attribution_free(foreign);
    tear_down(&s);
    tear_down(&other);
}

static void too_few_segments_are_refused(void **state) {
    (void)state;
    setup s = set_up(&model_of, false, "XYZ");
    hw_segments_free(s.segments);
    hw_span one = {.begin = 0, .end = 5}, half[2] = {{.begin = 0, .end = 5}, {.begin = 5, .end = 5}};
    assert_int_equal(hw_segments_from_spans(&s.segments, s.run, HW_SIDE_PROMPT, &one, 1, NULL), HW_OK);
    refuse(&s, NULL, HW_ERR_ARGUMENT, "1 segment: with fewer than 2");
    hw_segments_free(s.segments);
    s.segments = NULL;
    if (hw_segments_from_spans(&s.segments, s.run, HW_SIDE_PROMPT, half, 2, NULL) == HW_OK)
        refuse(&s, NULL, HW_ERR_ARGUMENT, "1 of 2 segments hold tokens that can be left out");
    hw_segments_free(s.segments);
    assert_int_equal(hw_segments_new(&s.segments, s.run, HW_SIDE_COMPLETION, "token", NULL), HW_OK);
    refuse(&s, NULL, HW_ERR_ARGUMENT, "segments are of 3 tokens, the prompt has 5");
    tear_down(&s);
}

static void runs_that_cannot_be_run_again_are_refused(void **state) {
    (void)state;
    setup s = set_up(&model_of, false, "X");
    s.trace->run->tokens[2].id = -1;
    refuse(&s, NULL, HW_ERR_UNSUPPORTED, "token 2 has no id");
    tear_down(&s);
    s = set_up(&model_of, false, "X");
    ((hw_run *)s.run)->model.n_vocab++;
    refuse(&s, NULL, HW_ERR_ARGUMENT, "made by another model");
    tear_down(&s);
}

static bool stop_later(void *ctx) { return ++*(int *)ctx > 7; }

static void stopping_is_heard(void **state) {
    (void)state;
    setup s = set_up(&model_of, false, "X");
    int asked = 0;
    s.params.stop = stop_later;
    s.params.ctx = &asked;
    refuse(&s, NULL, HW_ERR_CANCELLED, "stopped in forward pass 8");
    tear_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(true_scores_have_the_figures_worked_out),
        cmocka_unit_test(random_is_what_random_scores_reach_on_average),
        cmocka_unit_test(the_last_segment_is_no_evidence),
        cmocka_unit_test(baselines_come_with_it),
        cmocka_unit_test(methods_given_are_not_repeated),
        cmocka_unit_test(some_of_the_completion_is_judged),
        cmocka_unit_test(with_bos_all_can_go),
        cmocka_unit_test(same_seed_same_check),
        cmocka_unit_test(impossible_answers_stay_numbers),
        cmocka_unit_test(bad_rows_and_masks_are_refused),
        cmocka_unit_test(attributions_must_fit),
        cmocka_unit_test(too_few_segments_are_refused),
        cmocka_unit_test(runs_that_cannot_be_run_again_are_refused),
        cmocka_unit_test(stopping_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
