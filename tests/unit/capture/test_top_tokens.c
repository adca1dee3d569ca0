/* test_top_tokens.c - log softmax and the best few of a step. */
#include "capture/top_tokens.h"
#include "support/fixture.h"

#include <math.h>
#include <stdlib.h>

enum { N_BEST = 5 };

static int best_of(float *logprob, int32_t *ids, float *logprobs, const float *logits, size_t n, int32_t id) {
    return hw__log_softmax(logprob, (hw__best){ids, logprobs, N_BEST}, logits, n, id);
}

static void known_probabilities(void **state) {
    (void)state;
    float logits[4], logprob, logprobs[N_BEST];
    int32_t ids[N_BEST];
    static const float p[4] = {0.125f, 0.5f, 0.25f, 0.125f};
    for (size_t i = 0; i < 4; i++) logits[i] = logf(p[i]) + 3;
    assert_int_equal(best_of(&logprob, ids, logprobs, logits, 4, 2), 4); /* as many as there are */
    assert_close(logprob, log(0.25), 1e-6);
    static const int32_t want[4] = {1, 2, 0, 3}; /* ties by id */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ids[i], want[i]);
        assert_close(logprobs[i], log((double)p[want[i]]), 1e-6);
    }
}

static void ties_go_to_the_lower_id(void **state) {
    (void)state;
    float logprob, logprobs[N_BEST];
    int32_t ids[N_BEST];
    static const float flat[8] = {1, 1, 1, 1, 1, 1, 1, 1}, mixed[8] = {0, 2, 1, 2, 0, 1, 2, 1};
    assert_int_equal(best_of(&logprob, ids, logprobs, flat, 8, 7), N_BEST);
    for (int32_t i = 0; i < N_BEST; i++) assert_int_equal(ids[i], i);
    assert_close(logprob, -log(8), 1e-6);
    static const int32_t want[N_BEST] = {1, 3, 6, 2, 5};
    best_of(&logprob, ids, logprobs, mixed, 8, 0);
    for (int32_t i = 0; i < N_BEST; i++) assert_int_equal(ids[i], want[i]);
}

static void large_logits_do_not_overflow(void **state) {
    (void)state;
    float logprob, logprobs[N_BEST];
    int32_t ids[N_BEST];
    static const float high[3] = {10000, 9999, -10000}, low[3] = {-10000, -9999, -INFINITY};
    assert_int_equal(best_of(&logprob, ids, logprobs, high, 3, 1), 3);
    assert_close(logprobs[0], -log1p(exp(-1)), 1e-3); /* floats of size 10000 */
    assert_close(logprob, -1 - log1p(exp(-1)), 1e-3);
    assert_int_equal(best_of(&logprob, ids, logprobs, low, 3, 2), 3);
    assert_int_equal(ids[0], 1);
    assert_true(isinf(logprob) && logprob < 0);
}

static void others_are_exact_beside_a_certain_token(void **state) {
    (void)state;
    static const float logits[5] = {0, 60, 1, 0, -INFINITY};
    int32_t ids[4];
    double p[4], rest = 2 + exp(1), norm = rest + exp(60);
    hw__contrast c = {.ids = ids, .weights = p};
    assert_int_equal(hw__likeliest_others(&c, 2, logits, 5, 1), 2);
    assert_true(ids[0] == 2 && ids[1] == 0);
    assert_close(p[0] * norm / exp(1), 1, 1e-6); /* e^x is within 2e-7 */
    assert_close(p[1] * norm, 1, 1e-6);
    assert_close(c.own * norm / rest, 1, 1e-6);
    assert_int_equal(hw__likeliest_others(&c, 4, logits, 5, 0), 4); /* as many as there are */
    assert_true(ids[0] == 1 && ids[3] == 4);
    assert_close(c.own, 1, 1e-12);
    static const float none[2] = {NAN, 0};
    assert_int_equal(hw__likeliest_others(&c, 2, none, 2, 1), -1);
}

static void many_small_probabilities_add_up(void **state) {
    (void)state;
    enum { N = 200000 };
    float *logits = hw__alloc(N, sizeof *logits), logprob, logprobs[N_BEST];
    int32_t ids[N_BEST];
    assert_int_equal(best_of(&logprob, ids, logprobs, logits, N, N - 1), N_BEST);
    assert_close(logprob, -log(N), 1e-6);
    free(logits);
}

static void what_is_not_a_number_is_refused(void **state) {
    (void)state;
    float logprob, logprobs[N_BEST];
    int32_t ids[N_BEST];
    static const float nan_last[3] = {1, 2, NAN}, none[3] = {-INFINITY, -INFINITY, -INFINITY},
                       above[3] = {1, INFINITY, 2};
    assert_int_equal(best_of(&logprob, ids, logprobs, nan_last, 3, 0), -1);
    assert_int_equal(best_of(&logprob, ids, logprobs, none, 3, 0), -1);
    assert_int_equal(best_of(&logprob, ids, logprobs, above, 3, 0), -1);
    assert_int_equal(best_of(&logprob, ids, logprobs, above, 0, 0), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_probabilities),
        cmocka_unit_test(ties_go_to_the_lower_id),
        cmocka_unit_test(large_logits_do_not_overflow),
        cmocka_unit_test(others_are_exact_beside_a_certain_token),
        cmocka_unit_test(many_small_probabilities_add_up),
        cmocka_unit_test(what_is_not_a_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
