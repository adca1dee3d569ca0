/* test_masked_pass.c - passes without prompt tokens, against the probabilities of the shorter text worked out
 * directly. */
#include "occlusion/masked_pass.h"
#include "support/fake_engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A row's probability from its logits, the plain way in double; expf in the code under test is good to 1e-7. */
static double plain_logprob(const float *logits, int32_t id) {
    double sum = 0;
    for (size_t v = 0; v < fake_n_vocab(); v++) sum += exp(logits[v]);
    return logits[id] - log(sum);
}

/* log p of completion token i after the kept prompt tokens, from the fake's own formula. */
static double direct_logprob(const hw_run *run, const bool *keep, size_t i) {
    int32_t ids[512];
    float *logits = hw__alloc(fake_n_vocab(), sizeof *logits);
    size_t n = 0, m = hw_run_n_prompt(run);
    for (size_t t = 0; t < m + i; t++)
        if (t >= m || keep[t] || run->tokens[t].role != HW_ROLE_PROMPT) ids[n++] = run->tokens[t].id;
    fake_logits(logits, ids, n);
    double v = plain_logprob(logits, run->tokens[m + i].id);
    free(logits);
    return v;
}

typedef struct setup {
    hw_model *model;
    hw_trace *trace;
    hw__masked_pass *masked_pass;
    const hw_run *run;
    size_t m, n;
} setup;

static setup set_up(const fake_params *params, const char *prompt, const char *completion, bool chat) {
    setup s = {.model = fake_model(params)};
    hw_run_params ask_for = ask(prompt, completion, 0);
    hw_error err = {0};
    ask_for.chat = chat;
    if (hw_trace_capture(&s.trace, s.model, &ask_for, &err) != HW_OK) fail_msg("%s", err.msg);
    s.run = hw_trace_run(s.trace);
    s.m = hw_run_n_prompt(s.run);
    s.n = hw_run_n_completion(s.run);
    if (hw__masked_pass_new(&s.masked_pass, s.model, s.run, NULL, NULL, &err) != HW_OK) fail_msg("%s", err.msg);
    return s;
}

static void tear_down(setup *s) {
    hw__masked_pass_free(s->masked_pass);
    hw_trace_free(s->trace);
    hw_model_close(s->model);
}

static void check_scores(setup *s, const bool *keep) {
    double got[256];
    hw_error err = {0};
    if (hw__masked_pass_score(s->masked_pass, keep, got, &err) != HW_OK) fail_msg("%s", err.msg);
    for (size_t i = 0; i < s->n; i++) assert_close(got[i], direct_logprob(s->run, keep, i), 2e-6);
}

static void whole_prompt_gives_the_runs_own_probabilities(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    setup s = set_up(&params, "pqrstuvw", "XYZ", false);
    bool keep[16];
    double got[3];
    memset(keep, true, sizeof keep);
    assert_int_equal(hw__masked_pass_score(s.masked_pass, keep, got, NULL), HW_OK);
    for (size_t i = 0; i < 3; i++) assert_close(got[i], hw_run_token(s.run, s.m + i).logprob, 2e-6);
    tear_down(&s);
}

static void any_mask_in_any_order_and_any_chunk(void **state) {
    (void)state;
    static const size_t chunks[] = {1, 2, 3, 5, 8, 512};
    static const fake_failure ways[] = {FAKE_NONE, FAKE_NO_REWIND};
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        for (size_t w = 0; w < 2; w++) {
            fake_params params = fake_params_default();
            params.chunk = chunks[c];
            params.failure = ways[w];
            setup s = set_up(&params, "pqrstuvwqq", "XYZQ", false);
            for (uint64_t seed = 0; seed < 40; seed++) {
                bool keep[16];
                for (size_t t = 0; t < s.m; t++) keep[t] = mix(seed * 100 + t) % 3 > 0;
                check_scores(&s, keep);
            }
            assert_int_equal(hw__masked_pass_n_passes(s.masked_pass), 40);
            assert_int_equal(fake_n_begins(s.model), ways[w] == FAKE_NONE ? 2 : 41); /* the capture's own is one */
            tear_down(&s);
        }
    }
}

static void long_completions_are_read_in_parts(void **state) {
    (void)state;
    char completion[151];
    for (size_t i = 0; i < 150; i++) completion[i] = (char)('A' + mix(i) % 26);
    completion[150] = 0;
    static const size_t chunks[] = {7, 64, 65, 200, 512};
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        fake_params params = fake_params_default();
        params.chunk = chunks[c];
        setup s = set_up(&params, "pqrstuvwqq", completion, false);
        bool keep[16] = {true, true, false, true, true};
        assert_int_equal(s.n, 150);
        check_scores(&s, keep);
        keep[4] = false;
        check_scores(&s, keep);
        tear_down(&s);
    }
}

static void shared_fronts_run_once(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    params.adds_bos = false;
    setup s = set_up(&params, "pqrstuvw", "XYZ", false); /* m = 8, n = 3 */
    bool keep[8];
    memset(keep, true, sizeof keep);
    check_scores(&s, keep);
    assert_int_equal(hw__masked_pass_n_decoded(s.masked_pass), 8 + 2);
    for (size_t k = 8; k-- > 0;) { /* from the last: the front before k stays, its last token is run for its logits */
        size_t before = hw__masked_pass_n_decoded(s.masked_pass);
        keep[k] = false;
        check_scores(&s, keep);
        keep[k] = true;
        assert_int_equal(hw__masked_pass_n_decoded(s.masked_pass) - before, (k == 7 ? 1 : 7 - k) + 2);
    }
    check_scores(&s, keep); /* and again from the first differing token */
    size_t before = hw__masked_pass_n_decoded(s.masked_pass);
    check_scores(&s, keep);
    assert_int_equal(hw__masked_pass_n_decoded(s.masked_pass) - before,
                     1 + 2); /* the same again: the predicting row and the rest */
    tear_down(&s);
}

static void special_and_template_tokens_stay(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    setup s = set_up(&params, "pqr", "XY", true);
    bool none[64] = {false};
    assert_false(hw__masked_pass_movable(s.masked_pass, 0));
    check_scores(&s, none); /* direct_logprob() keeps them too */
    assert_true(hw__masked_pass_n_decoded(s.masked_pass) == s.m - 3 + 1);
    tear_down(&s);
}

static void nothing_left_is_refused(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    params.adds_bos = false;
    setup s = set_up(&params, "pqr", "XY", false);
    bool keep[3] = {false};
    double got[2] = {7, 7};
    hw_error err = {0};
    assert_error(&err, hw__masked_pass_score(s.masked_pass, keep, got, &err), HW_ERR_ARGUMENT,
                 "no token of the prompt remains");
    assert_true(got[0] == 7 && got[1] == 7);
    assert_int_equal(hw__masked_pass_n_passes(s.masked_pass), 0);
    keep[1] = true;
    check_scores(&s, keep); /* one token is enough */
    tear_down(&s);
}

static void impossible_logits(const void *ctx, float *out, const int32_t *ids, size_t n) {
    (void)ctx;
    fake_logits(out, ids, n);
    if (ids[n - 1] == 'X') out['Y'] = -INFINITY;
}

static void impossible_tokens_have_the_floor(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    params.logits = impossible_logits;
    setup s = set_up(&params, "pqr", "XYZ", false);
    bool keep[4] = {true, true, true, true};
    double got[3];
    assert_int_equal(hw__masked_pass_score(s.masked_pass, keep, got, NULL), HW_OK);
    assert_true(got[0] > -20 && got[1] == HW__LOGPROB_FLOOR && got[2] > -20);
    assert_true(isfinite(hw__logit(got[1])));
    tear_down(&s);
}

static void nan_logits(const void *ctx, float *out, const int32_t *ids, size_t n) {
    (void)ctx;
    fake_logits(out, ids, n);
    if (n == 3) out[7] = NAN; /* only a text that was shortened is 3 tokens long where it predicts */
}

static void logits_that_are_not_numbers_are_refused(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    params.adds_bos = false;
    params.logits = nan_logits;
    setup s = set_up(&params, "pqrst", "X", false);
    bool keep[5] = {true, false, true, false, true};
    double got[1];
    hw_error err = {0};
    assert_error(&err, hw__masked_pass_score(s.masked_pass, keep, got, &err), HW_ERR_ENGINE,
                 "logits for completion token 0");
    memset(keep, true, sizeof keep);
    check_scores(&s, keep); /* and it goes on after that */
    tear_down(&s);
}

static void engine_failures_come_back(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    params.failure = FAKE_REWIND;
    setup s = set_up(&params, "pqrst", "XY", false);
    bool keep[6] = {true, true, true, true, true, true};
    double got[2];
    hw_error err = {0};
    check_scores(&s, keep);
    keep[5] = false;
    assert_error(&err, hw__masked_pass_score(s.masked_pass, keep, got, &err), HW_ERR_ENGINE, "fails to forget");
    check_scores(&s, keep); /* afresh */
    tear_down(&s);
}

static bool stop_after(void *ctx) { return (*(int *)ctx)-- <= 0; }

static void stopping_is_heard_between_decodes(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    params.chunk = 2;
    setup s = set_up(&params, "pqrstuvw", "XYZ", false);
    int left = 3;
    hw__masked_pass *masked_pass = NULL;
    bool keep[16];
    double got[3];
    hw_error err = {0};
    memset(keep, true, sizeof keep);
    assert_int_equal(hw__masked_pass_new(&masked_pass, s.model, s.run, stop_after, &left, NULL), HW_OK);
    assert_error(&err, hw__masked_pass_score(masked_pass, keep, got, &err), HW_ERR_CANCELLED,
                 "stopped in forward pass 1");
    left = 1000;
    assert_int_equal(hw__masked_pass_score(masked_pass, keep, got, NULL), HW_OK);
    for (size_t i = 0; i < 3; i++) assert_close(got[i], direct_logprob(s.run, keep, i), 2e-6);
    hw__masked_pass_free(masked_pass);
    tear_down(&s);
}

static void runs_that_do_not_fit_are_refused(void **state) {
    (void)state;
    fake_params params = fake_params_default();
    hw_model *model = fake_model(&params);
    hw_error err = {0};
    hw__masked_pass *masked_pass = NULL;
    const char *words[] = {"a", "b", "c"};
    hw_run *other = make_run(3, words, 2, words, 1), *bare = make_run(3, words, 2, words, 0);
    assert_error(&err, hw__masked_pass_new(&masked_pass, model, other, NULL, NULL, &err), HW_ERR_ARGUMENT,
                 "made by another model (fixture.gguf)");
    assert_error(&err, hw__masked_pass_new(&masked_pass, model, bare, NULL, NULL, &err), HW_ERR_ARGUMENT,
                 "2 prompt and 0 completion tokens");
    other->model.n_vocab = (int32_t)fake_n_vocab();
    other->tokens[1].id = -1;
    assert_error(&err, hw__masked_pass_new(&masked_pass, model, other, NULL, NULL, &err), HW_ERR_UNSUPPORTED,
                 "token 1 has no id");
    other->tokens[1].id = (int32_t)fake_n_vocab();
    assert_error(&err, hw__masked_pass_new(&masked_pass, model, other, NULL, NULL, &err), HW_ERR_UNSUPPORTED,
                 "token 1 has no id");
    other->tokens[1].id = 1;
    other->model.sample_sha256 = "0123"; /* a model that says nothing of its weights is known by its metadata */
    assert_int_equal(hw__masked_pass_new(&masked_pass, model, other, NULL, NULL, &err), HW_OK);
    hw__masked_pass_free(masked_pass);
    masked_pass = NULL;
    params.sample = "4567";
    hw_model *twin = fake_model(&params);
    assert_error(&err, hw__masked_pass_new(&masked_pass, twin, other, NULL, NULL, &err), HW_ERR_ARGUMENT,
                 "another model");
    hw_model_close(twin);
    other->model.metadata_sha256 = "0123";
    assert_error(&err, hw__masked_pass_new(&masked_pass, model, other, NULL, NULL, &err), HW_ERR_ARGUMENT,
                 "another model");
    assert_null(masked_pass);
    hw__run_release(other);
    hw__run_release(bare);
    hw_model_close(model);
    hw__masked_pass_free(NULL);
}

static void logit_is_stable_at_both_ends(void **state) {
    (void)state;
    assert_close(hw__logit(log(0.5)), 0, 1e-15);
    assert_close(hw__logit(log(0.9)), log(9), 1e-14);
    assert_close(hw__logit(log(0.1)), -log(9), 1e-14);
    assert_close(hw__logit(-1e-11), -log(1e-11), 1e-9); /* 1 - p = 1e-11, of which p itself holds five digits */
    assert_close(hw__logit(-700), -700, 1e-12);
    assert_close(hw__logit(HW__LOGPROB_FLOOR), HW__LOGPROB_FLOOR, 1e-12);
    assert_close(hw__logit(0), -log(1e-12), 1e-3);
    assert_true(hw__logit(1e-20) == hw__logit(0)); /* rounding above 0 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_prompt_gives_the_runs_own_probabilities),
        cmocka_unit_test(any_mask_in_any_order_and_any_chunk),
        cmocka_unit_test(long_completions_are_read_in_parts),
        cmocka_unit_test(shared_fronts_run_once),
        cmocka_unit_test(special_and_template_tokens_stay),
        cmocka_unit_test(nothing_left_is_refused),
        cmocka_unit_test(impossible_tokens_have_the_floor),
        cmocka_unit_test(logits_that_are_not_numbers_are_refused),
        cmocka_unit_test(engine_failures_come_back),
        cmocka_unit_test(stopping_is_heard_between_decodes),
        cmocka_unit_test(runs_that_do_not_fit_are_refused),
        cmocka_unit_test(logit_is_stable_at_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
