/* test_ablation.c - methods leave-one-out and ablation on a model whose answers add up, and what they refuse. */
#include "support/additive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const additive model_of = {
    .base = {-1, 0.5, 1}, .chars = "pqrst", .effect = {{2, -1, 0.5, 3, 0}, {1, 1, 0, 0, 0}, {0, 0, 0, -2, 0.002}}};
static const char prompt[] = "pqrst";
enum { M = 5, N = 3 };

typedef struct setup {
    hw_model *model;
    hw_trace *trace;
} setup;

static setup set_up(const fake_params *params, const char *text, const char *completion) {
    setup s = {.model = fake_model(params)};
    hw_run_params ask_for = ask(text, completion, 0);
    hw_error err = {0};
    if (hw_trace_capture(&s.trace, s.model, &ask_for, &err) != HW_OK) fail_msg("%s", err.msg);
    return s;
}

static void tear_down(setup *s) {
    hw_trace_free(s->trace);
    hw_model_close(s->model);
}

static hw_method_params params_of(const setup *s) {
    hw_method_params p = hw_method_params_default();
    p.model = s->model;
    return p;
}

static hw_attribution *explain_by(const setup *s, const char *method, const hw_method_params *p) {
    hw_attribution *a = NULL;
    hw_error err = {0};
    if (hw_explain(&a, s->trace, method, p, &err) != HW_OK) fail_msg("%s: %s", method, err.msg);
    return a;
}

/* ------------------------------------------------------------------ leave-one-out */

static void without(char *out, char c) {
    size_t at = 0;
    for (const char *s = prompt; *s; s++)
        if (*s != c) out[at++] = *s;
    out[at] = 0;
}

static void loss_of_each_token_is_exact(void **state) {
    (void)state;
    fake_params params = additive_params(&model_of);
    setup s = set_up(&params, prompt, "XYZ");
    hw_method_params p = params_of(&s);
    hw_attribution *a = explain_by(&s, "leave-one-out", &p);
    assert_true(a->n_rows == N && a->n_columns == M && a->n_layers == 1);
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < M; k++) {
            char rest[M + 1];
            without(rest, prompt[k]);
            assert_close(cell(a, i, k, 0),
                         additive_logprob(&model_of, i, prompt) - additive_logprob(&model_of, i, rest), 1e-6);
        }
        assert_close(outside(a, i, 0), 0, 0);
    }
    assert_null(hw_attribution_params(a).model); /* it may be closed before */
    assert_int_equal(hw_attribution_params(a).row, HW_ROW_PREDICTOR);
    hw_attribution_free(a);
    tear_down(&s);
}

static void segments_and_special_tokens(void **state) {
    (void)state;
    fake_params params = additive_params(&model_of);
    params.adds_bos = true;
    setup s = set_up(&params, prompt, "XYZ");
    static const int32_t groups[M + 1] = {-1, 0, 1, 1, 0, -1};
    hw_method_params p = params_of(&s);
    p.groups = groups;
    p.n_groups = 2;
    hw_attribution *a = explain_by(&s, "leave-one-out", &p);
    for (size_t i = 0; i < N; i++) {
        double whole = additive_logprob(&model_of, i, prompt);
        assert_close(cell(a, i, 0, 0), whole - additive_logprob(&model_of, i, "qrt"), 1e-6);
        assert_close(cell(a, i, 1, 0), whole - additive_logprob(&model_of, i, "pst"), 1e-6);
    }
    hw_attribution_free(a);
    size_t before = fake_n_decodes(s.model);
    p.groups = NULL;
    a = explain_by(&s, "leave-one-out", &p);
    assert_int_equal(a->n_columns, M + 1);
    for (size_t i = 0; i < N; i++) assert_close(cell(a, i, 0, 0), 0, 0); /* BOS stays, so nothing is lost */
    assert_int_equal(fake_n_decodes(s.model) - before, 1 + M);           /* and costs no pass */
    hw_attribution_free(a);
    tear_down(&s);
}

static void impossible_answers_stay_numbers(void **state) {
    (void)state;
    additive never = model_of;
    never.never = true; /* without p every completion token is impossible */
    fake_params params = additive_params(&never);
    setup s = set_up(&params, prompt, "XYZ");
    hw_method_params p = params_of(&s);
    hw_attribution *a = explain_by(&s, "leave-one-out", &p), *b = explain_by(&s, "ablation", &p);
    for (size_t i = 0; i < N; i++) {
        assert_close(cell(a, i, 0, 0), 1000 + additive_logprob(&never, i, prompt), 1e-3); /* float of size 1000 */
        for (size_t k = 0; k < M; k++) assert_true(isfinite(cell(a, i, k, 0)) && isfinite(cell(b, i, k, 0)));
        assert_true(cell(b, i, 0, 0) > 990 && cell(b, i, 0, 0) < 1010);
    }
    hw_attribution_free(a);
    hw_attribution_free(b);
    tear_down(&s);
}

/* ------------------------------------------------------------------ ablation */

/* Random columns are not quite orthogonal, so the shrinkage of alpha / sd = 0.02 spreads a little: within three of
 * it. */
static const double SHRINKAGE = 0.06;

static void additive_effects_come_back(void **state) {
    (void)state;
    fake_params params = additive_params(&model_of);
    setup s = set_up(&params, prompt, "XYZ");
    hw_method_params p = params_of(&s);
    p.seed = 11;
    hw_attribution *a = explain_by(&s, "ablation", &p);
    assert_true(a->n_rows == N && a->n_columns == M && a->n_layers == 1);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < M; k++) assert_close(cell(a, i, k, 0), model_of.effect[i][k], SHRINKAGE);
    assert_true(cell(a, 1, 3, 0) == 0 && cell(a, 2, 4, 0) == 0); /* what has no effect, or nearly none, is exactly 0 */
    assert_true(cell(a, 0, 0, 0) < 2 && cell(a, 0, 1, 0) > -1);  /* shrunk towards it */
    hw_attribution_free(a);
    tear_down(&s);
}

static void same_seed_same_numbers(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    setup s = set_up(&params, "pqrstuvw", "XYZ");
    hw_method_params p = params_of(&s);
    p.seed = 3;
    p.n_ablations = 12;
    hw_attribution *a = explain_by(&s, "ablation", &p), *b = explain_by(&s, "ablation", &p);
    p.seed = 4;
    hw_attribution *c = explain_by(&s, "ablation", &p);
    size_t bytes = a->n_rows * a->n_columns * sizeof *a->values;
    assert_memory_equal(a->values, b->values, bytes);
    assert_true(memcmp(a->values, c->values, bytes) != 0);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw_attribution_free(c);
    tear_down(&s);
}

/* ------------------------------------------------------------------ refusals */

static void refuse(const setup *s, const char *method, const hw_method_params *p, hw_err code, const char *part) {
    hw_attribution *a = NULL;
    hw_error err = {0};
    assert_error(&err, hw_explain(&a, s->trace, method, p, &err), code, part);
    assert_null(a);
}

static void bad_requests_are_refused(void **state) {
    (void)state;
    static const char *const methods[] = {"leave-one-out", "ablation"};
    fake_params params = additive_params(&model_of);
    setup s = set_up(&params, prompt, "XYZ");
    for (size_t i = 0; i < 2; i++) {
        hw_method_params p = params_of(&s);
        p.model = NULL;
        refuse(&s, methods[i], &p, HW_ERR_ARGUMENT, "runs the model again, and none was given");
        p = params_of(&s);
        p.columns = HW_COLUMNS_ALL;
        refuse(&s, methods[i], &p, HW_ERR_ARGUMENT, "leaves out parts of the prompt only");
        p = params_of(&s);
        fake_params other = params;
        other.n_layers = 1;
        hw_model *wrong = fake_model(&other);
        ((hw_model_info *)hw_model_describe(wrong))->n_vocab--;
        p.model = wrong;
        refuse(&s, methods[i], &p, HW_ERR_ARGUMENT, "made by another model");
        hw_model_close(wrong);
    }
    hw_method_params p = params_of(&s);
    p.n_ablations = 1;
    refuse(&s, "ablation", &p, HW_ERR_ARGUMENT, "1 ablations: 2 to 100000 are accepted");
    p.n_ablations = 100001;
    refuse(&s, "ablation", &p, HW_ERR_ARGUMENT, "100001 ablations");
    tear_down(&s);
}

static void the_only_segment_is_refused(void **state) {
    (void)state;
    static const int32_t one[M + 1] = {0}, empty[M + 1] = {0, 0, 0, 0, 0, 0};
    fake_params params = additive_params(&model_of);
    setup s = set_up(&params, prompt, "XYZ");
    hw_method_params p = params_of(&s);
    p.groups = one;
    p.n_groups = 1;
    refuse(&s, "ablation", &p, HW_ERR_ARGUMENT, "ablation of the only segment: 1 of 1 can be left out");
    refuse(&s, "leave-one-out", &p, HW_ERR_ARGUMENT, "no token of the prompt remains");
    p.groups = empty;
    p.n_groups = 3;
    refuse(&s, "ablation", &p, HW_ERR_ARGUMENT, "ablation of the only segment: 1 of 3 can be left out");
    tear_down(&s);
    params.adds_bos = true; /* with it something is left */
    s = set_up(&params, prompt, "XYZ");
    p = params_of(&s);
    p.groups = one;
    p.n_groups = 1;
    hw_attribution *a = explain_by(&s, "leave-one-out", &p);
    assert_close(cell(a, 0, 0, 0), additive_logprob(&model_of, 0, prompt) - additive_logprob(&model_of, 0, ""), 1e-6);
    hw_attribution_free(a);
    tear_down(&s);
}

static void too_many_tokens_are_refused(void **state) {
    (void)state;
    char text[515];
    for (size_t i = 0; i < 514; i++) text[i] = (char)('p' + i % 5);
    text[514] = 0;
    fake_params params = fake_params_default();
    params.n_layers = params.n_heads = 1;
    params.adds_bos = false;
    setup s = set_up(&params, text, "X");
    hw_method_params p = params_of(&s);
    refuse(&s, "leave-one-out", &p, HW_ERR_ARGUMENT,
           "514 segments to leave out, at most 512 are accepted: split it into larger segments, such as sentences");
    tear_down(&s);
}

static bool stop_now(void *ctx) {
    (void)ctx;
    return true;
}

static void stopping_is_heard(void **state) {
    (void)state;
    fake_params params = additive_params(&model_of);
    setup s = set_up(&params, prompt, "XYZ");
    hw_method_params p = params_of(&s);
    p.stop = stop_now;
    refuse(&s, "leave-one-out", &p, HW_ERR_CANCELLED, "stopped in forward pass 1");
    refuse(&s, "ablation", &p, HW_ERR_CANCELLED, "stopped in forward pass 1");
    tear_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_of_each_token_is_exact),
        cmocka_unit_test(segments_and_special_tokens),
        cmocka_unit_test(impossible_answers_stay_numbers),
        cmocka_unit_test(additive_effects_come_back),
        cmocka_unit_test(same_seed_same_numbers),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(the_only_segment_is_refused),
        cmocka_unit_test(too_many_tokens_are_refused),
        cmocka_unit_test(stopping_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
