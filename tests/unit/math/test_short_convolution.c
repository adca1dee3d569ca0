/* test_short_convolution.c - parts of a convolved value against the definition, and their sum against the value. */
#include "math/short_convolution.h"
#include "support/fixture.h"

#include <math.h>
#include <string.h>

enum { N = 53, TAPS = 4 };

static float hashed(uint64_t i) { return (float)(4 * unit(mix(i)) - 2); }

static double z_of(const float *x, const float *taps, size_t n_taps, double bias, size_t j) {
    double z = bias;
    for (size_t i = 0; i < n_taps && i <= j; i++) z += (double)taps[n_taps - 1 - i] * x[j - i];
    return z;
}

static void parts_are_what_each_token_gives(void **state) {
    (void)state;
    float x[N], taps[TAPS], parts[TAPS * N], scratch[N];
    for (size_t j = 0; j < N; j++) x[j] = hashed(j);
    for (size_t i = 0; i < TAPS; i++) taps[i] = hashed(1000 + i);
    x[7] = 80, x[20] = -80, x[31] = 0; /* activations of 1, of 0, and of nothing */
    for (size_t n_taps = 1; n_taps <= TAPS; n_taps++) {
        const hw__short_convolution of = {taps, n_taps, 0.3f};
        hw__short_convolution_parts(parts, N, &of, x, (hw__token_range){0, N}, scratch);
        for (size_t j = 0; j < N; j++) {
            double z = z_of(x, taps, n_taps, 0.3f, j), factor = 1 / (1 + exp(-z)), sum = 0;
            for (size_t i = 0; i < n_taps; i++) {
                double part = j < i ? 0 : factor * taps[n_taps - 1 - i] * x[j - i] + (i == 0 ? factor * 0.3f : 0);
                if (j >= i) assert_close(parts[i * N + j - i], part, 1e-5 * (1 + fabs(part)));
                sum += j >= i ? (double)parts[i * N + j - i] : 0;
            }
            assert_close(sum, hw__silu(z), 1e-5 * (1 + fabs(z)));
        }
        for (size_t i = 0; i < n_taps; i++)
            for (size_t k = N - i; k < N; k++) assert_true(parts[i * N + k] == 0);
    }
}

/* Later tokens alone: the same parts, of as many tokens before them as there are taps. */
static void later_tokens_alone(void **state) {
    (void)state;
    float x[N], taps[TAPS], parts[TAPS * N], later[TAPS * N], scratch[N];
    const hw__short_convolution of = {taps, TAPS, 0.3f};
    for (size_t j = 0; j < N; j++) x[j] = hashed(j);
    for (size_t i = 0; i < TAPS; i++) taps[i] = hashed(1000 + i);
    hw__short_convolution_parts(parts, N, &of, x, (hw__token_range){0, N}, scratch);
    for (size_t first = 0; first < N; first++) {
        for (size_t j = 0; j + TAPS - 1 < first; j++) x[j] = NAN;
        memset(later, 0x7f, sizeof later);
        hw__short_convolution_parts(later, N, &of, x, (hw__token_range){first, N}, scratch);
        for (size_t i = 0; i < TAPS; i++)
            for (size_t k = first; k < N; k++) /* lanes begin elsewhere: the exponential's rounding */
                assert_close(later[i * N + k], parts[i * N + k], 1e-6 * (1 + fabs((double)parts[i * N + k])));
    }
}

static void fewer_tokens_than_taps(void **state) {
    (void)state;
    float x[2] = {1, -0.5f}, taps[TAPS] = {9, 2, 0.5f, 3}, parts[TAPS * 2], scratch[2];
    const hw__short_convolution of = {taps, TAPS, 0};
    hw__short_convolution_parts(parts, 2, &of, x, (hw__token_range){0, 2}, scratch);
    double z[] = {3, -1.5 + 0.5};
    assert_close(parts[0], 3 / (1 + exp(-z[0])), 1e-6);
    assert_close(parts[1], -1.5 / (1 + exp(-z[1])), 1e-6);
    assert_close(parts[2], 0.5 / (1 + exp(-z[1])), 1e-6);
    for (size_t i = 3; i < TAPS * 2; i++) assert_true(parts[i] == 0);
}

/* Up to where single precision overflows and beyond. */
static void activations_far_from_zero(void **state) {
    (void)state;
    float x[] = {-1e30f, -200, -88, -87, -20, -1e-30f, 0, 1e-30f, 20, 87, 88, 200, 1e30f, -5, 5, 6, 7};
    enum { COUNT = sizeof x / sizeof *x };
    float one = 1, parts[COUNT], scratch[COUNT], all[COUNT];
    const hw__short_convolution of = {&one, 1, 0};
    hw__short_convolution_parts(parts, COUNT, &of, x, (hw__token_range){0, COUNT}, scratch);
    memcpy(all, x, sizeof x);
    hw__silu_all(all, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        double want = hw__silu(x[i]);
        assert_true(fabs(all[i] - want) <= (x[i] < -80 ? 2e-38 * fabs((double)x[i]) : 1e-6 * fabs(want)));
        if (x[i] < -80) {
            assert_true(isfinite(parts[i]) && fabs((double)parts[i]) <= 2e-38 * fabs((double)x[i]));
        } else {
            assert_close(parts[i], want, 1e-6 * fabs(want));
        }
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_what_each_token_gives),
        cmocka_unit_test(later_tokens_alone),
        cmocka_unit_test(fewer_tokens_than_taps),
        cmocka_unit_test(activations_far_from_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
