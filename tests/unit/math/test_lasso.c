/* test_lasso.c - the regression against orthogonal designs solved by hand and the conditions of a minimum. */
#include "math/lasso.h"
#include "support/fixture.h"

#include <math.h>
#include <stdlib.h>

/* All 2^K masks of K segments: columns are orthogonal and have deviation 1/2. */
enum { K = 4, ALL = 1 << K };

static void full_design(bool *x) {
    for (size_t i = 0; i < ALL; i++)
        for (size_t j = 0; j < K; j++) x[i * K + j] = i >> j & 1;
}

static void additive_answers_come_back(void **state) {
    (void)state;
    static const double effect[K] = {3, -1, 0.25, 0};
    bool x[ALL * K];
    double y[ALL], w[K];
    full_design(x);
    for (size_t i = 0; i < ALL; i++) {
        y[i] = 7;
        for (size_t j = 0; j < K; j++) y[i] += effect[j] * x[i * K + j];
    }
    assert_true(hw__lasso(w, x, y, ALL, K, 0));
    for (size_t j = 0; j < K; j++) assert_close(w[j], effect[j], 1e-12);
    assert_true(hw__lasso(w, x, y, ALL, K, 0.01)); /* each shrinks by alpha / sd = 0.02 */
    static const double shrunk[K] = {2.98, -0.98, 0.23, 0};
    for (size_t j = 0; j < K; j++) assert_close(w[j], shrunk[j], 1e-12);
    assert_true(hw__lasso(w, x, y, ALL, K, 0.125)); /* |effect| sd = 0.125: just gone */
    assert_true(w[2] == 0 && w[3] == 0);
    assert_close(w[0], 2.75, 1e-12);
}

static void constant_columns_get_nothing(void **state) {
    (void)state;
    static const bool x[6] = {true, true, true, false, true, true};
    static const double y[3] = {2, -1, 2};
    double w[2] = {5, 5};
    assert_true(hw__lasso(w, x, y, 3, 2, 0));
    assert_close(w[0], 0, 0);
    assert_close(w[1], 3, 1e-9);
    static const double flat[3] = {4, 4, 4};
    assert_true(hw__lasso(w, x, flat, 3, 2, 0.01));
    assert_true(w[0] == 0 && w[1] == 0);
}

/* At the minimum every column's correlation with the rest is alpha in the weight's direction, or at most alpha. */
static void conditions_of_a_minimum_hold(void **state) {
    (void)state;
    enum { N = 24, P = 40 }; /* fewer masks than segments */
    static const double alpha = 0.05;
    for (uint64_t seed = 1; seed < 20; seed++) {
        bool x[N * P];
        double y[N], w[P], rest[N], mean_y = 0, mean_rest = 0;
        size_t n_used = 0;
        for (size_t i = 0; i < N * P; i++) x[i] = mix(seed * 100000 + i) & 1;
        for (size_t i = 0; i < N; i++) y[i] = 4 * unit(mix(seed * 1000 + i)) + 3 * x[i * P];
        assert_true(hw__lasso(w, x, y, N, P, alpha));
        for (size_t i = 0; i < N; i++) {
            rest[i] = y[i];
            for (size_t j = 0; j < P; j++) rest[i] -= w[j] * x[i * P + j];
            mean_rest += rest[i] / N;
            mean_y += y[i] / N;
        }
        for (size_t j = 0; j < P; j++) {
            double mean = 0, rho = 0;
            for (size_t i = 0; i < N; i++) mean += x[i * P + j] / (double)N;
            double sd = sqrt(mean * (1 - mean));
            for (size_t i = 0; i < N; i++) rho += (x[i * P + j] - mean) / sd * (rest[i] - mean_rest) / N;
            if (w[j] != 0) assert_close(rho, w[j] > 0 ? alpha : -alpha, 1e-7);
            assert_true(fabs(rho) <= alpha + 1e-7);
            n_used += w[j] != 0;
        }
        assert_true(n_used > 2 && n_used <= N);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additive_answers_come_back),
        cmocka_unit_test(constant_columns_get_nothing),
        cmocka_unit_test(conditions_of_a_minimum_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
