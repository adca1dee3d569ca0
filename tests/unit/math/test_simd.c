/* test_simd.c - sums over floats: every length about a register's, from any address, in double. */
#include "math/simd.h"
#include "support/fixture.h"

enum { MAX_N = 3 * HW__LANES + 5 };

/* Whole numbers that double adds exactly in any order, and float does not. */
static void fill(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = (i % 2 ? -1 : 1) * 33554432.0f + (float)(4 * i);
}

static double sum_of(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

static void a_sum_is_that_of_doubles(void **state) {
    (void)state;
    float x[MAX_N + 1];
    fill(x, MAX_N + 1);
    for (size_t n = 0; n <= MAX_N; n++)
        for (size_t from = 0; from < 2; from++) assert_true(hw__sum(x + from, n) == sum_of(x + from, n));
}

static void a_product_is_that_of_doubles(void **state) {
    (void)state;
    float x[MAX_N + 1], y[MAX_N + 1];
    for (size_t i = 0; i <= MAX_N; i++) {
        x[i] = (i % 2 ? -1 : 1) * 4096.0f + (float)i;
        y[i] = 8191.0f + (float)(i * i);
    }
    for (size_t n = 0; n <= MAX_N; n++)
        for (size_t from = 0; from < 2; from++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++) sum += (double)x[from + i] * y[i];
            assert_true(hw__dot(x + from, y, n) == sum);
        }
}

static void rows_add_up_and_leave_what_is_behind_them(void **state) {
    (void)state;
    float x[MAX_N + 1];
    fill(x, MAX_N + 1);
    for (size_t n = 0; n <= MAX_N; n++) {
        double sums[MAX_N + 1];
        for (size_t i = 0; i <= MAX_N; i++) sums[i] = 0x1p40 + (double)i;
        hw__add_floats(sums, x, n);
        hw__add_floats(sums, x + 1, n);
        for (size_t i = 0; i <= MAX_N; i++)
            assert_true(sums[i] == 0x1p40 + (double)i + (i < n ? (double)x[i] + (double)x[i + 1] : 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sum_is_that_of_doubles),
        cmocka_unit_test(a_product_is_that_of_doubles),
        cmocka_unit_test(rows_add_up_and_leave_what_is_behind_them),
    };
    return cmocka_run_group_tests_name("wide", tests, NULL, NULL);
}
