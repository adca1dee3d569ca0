/* test_spearman.c - Spearman's correlation, against values worked by hand. */
#include "math/spearman.h"
#include "support/fixture.h"

#include <math.h>

/* -2: no memory. */
static double rho(const double *a, const double *b, size_t n) {
    double out = -2;
    return hw__spearman(&out, a, b, n) ? out : -2;
}

static double index_rho(const double *values, size_t n) {
    double out = -2;
    return hw__spearman_index(&out, values, n) ? out : -2;
}

static void known_values(void **state) {
    (void)state;
    assert_close(index_rho((double[]){1, 2, 3, 4, 5}, 5), 1, 1e-15);
    assert_close(index_rho((double[]){9, 7, 5, -3}, 4), -1, 1e-15);
    assert_close(index_rho((double[]){0.1, 1e9}, 2), 1, 1e-15);        /* ranks, not sizes */
    assert_close(index_rho((double[]){2, 1, 4, 3, 5}, 5), 0.8, 1e-15); /* 1 - 6*4/120 */
    assert_close(index_rho((double[]){3, 1, 4, 2}, 4), 0, 1e-15);      /* 1 - 6*10/60 */
}

static void ties_share_their_average_rank(void **state) {
    (void)state;
    assert_close(index_rho((double[]){1, 1, 2, 3}, 4), 4.5 / sqrt(22.5), 1e-15);
    assert_close(index_rho((double[]){5, 5, 1, 1}, 4), -4 / sqrt(20), 1e-15);
    assert_close(index_rho((double[]){1, 2, 1}, 3), 0, 1e-15);
    assert_close(index_rho((double[]){1, 0, 0, 0, 0}, 5), -5 / sqrt(10 * 5), 1e-15);
    assert_close(index_rho((double[]){0, 0, 0, 0, 1}, 5), 5 / sqrt(10 * 5), 1e-15);
    assert_close(index_rho((double[]){0.0, -0.0, 1}, 3), 1.5 / sqrt(2 * 1.5), 1e-15); /* zeros are equal */
}

static void undefined_is_nan(void **state) {
    (void)state;
    assert_true(isnan(index_rho(NULL, 0)));
    assert_true(isnan(index_rho((double[]){4}, 1)));
    assert_true(isnan(index_rho((double[]){2, 2, 2}, 3)));
}

/* The definition, ranks counted pair by pair. */
static double by_pairs(const double *values, size_t n) {
    double xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)i - (double)(n - 1) / 2, y = 0;
        for (size_t j = 0; j < n; j++) y += (values[j] < values[i]) - (values[j] > values[i]);
        xy += x * y / 2;
        xx += x * x;
        yy += y * y / 4;
    }
    return xy / sqrt(xx * yy);
}

static void agrees_with_the_definition(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 200; seed++) {
        double values[40];
        size_t n = 3 + seed % 37;
        for (size_t i = 0; i < n; i++) values[i] = (double)(mix(seed * 100 + i) % (seed % 2 ? 8 : 100000));
        assert_close(index_rho(values, n), by_pairs(values, n), 1e-12);
    }
}

static void two_lists(void **state) {
    (void)state;
    static const double a[5] = {0.3, -2, 7, 7, 1e6}, up[5] = {1, 0, 5, 5, 9}, down[5] = {-1, 0, -5, -5, -9};
    assert_close(rho(a, up, 5), 1, 1e-15); /* ties in both at the same place */
    assert_close(rho(a, down, 5), -1, 1e-15);
    assert_close(rho((double[]){1, 2, 3, 4, 5}, (double[]){2, 1, 4, 3, 5}, 5), 0.8, 1e-15);
    assert_close(rho((double[]){5, 3, 1}, (double[]){5, 1, 3}, 3), 0.5, 1e-15); /* 1 - 6*2/24 */
    assert_close(rho((double[]){1, 1, 2, 3}, (double[]){4, 5, 6, 7}, 4), 4.5 / sqrt(22.5), 1e-15);
    assert_close(rho((double[]){-INFINITY, 0, INFINITY}, (double[]){1, 2, 3}, 3), 1, 1e-15);
    assert_true(isnan(rho(a, up, 1)));
    assert_true(isnan(rho(a, (double[]){2, 2, 2}, 3)) && isnan(rho((double[]){2, 2, 2}, a, 3)));
    assert_true(isnan(rho(a, (double[]){2, NAN, 2}, 3)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),     cmocka_unit_test(ties_share_their_average_rank),
        cmocka_unit_test(undefined_is_nan), cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(two_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
