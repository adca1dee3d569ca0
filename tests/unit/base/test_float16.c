/* test_float16.c - every half there is, and every boundary between two of them: that is all that rounding can get
 * wrong. */
#include "base/float16.h"
#include "math/simd.h"
#include "support/fixture.h"

#include <math.h>

/* From the format's definition. */
static double value_of(uint16_t half) {
    int exponent = half >> 10 & 0x1F, fraction = half & 0x3FF;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return half & 0x8000 ? -size : size;
}

static void every_half_is_its_value(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x10000; half++) {
        float v = hw__float_of_half((uint16_t)half);
        if ((half & 0x7FFF) > 0x7C00) {
            assert_true(isnan(v));
        } else if ((half & 0x7FFF) == 0x7C00) {
            assert_true(isinf(v) && (v > 0) == (half == 0x7C00));
        } else {
            assert_true((double)v == value_of((uint16_t)half) && (signbit(v) != 0) == (half >> 15 != 0));
            assert_int_equal(hw__half_of_float(v), half);
        }
    }
}

/* Halfway between two goes to the even one, a bit less to the lower, a bit more to the upper. */
static void every_boundary_is_where_it_must_be(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x7BFF; half++) {
        float middle = (float)((value_of((uint16_t)half) + value_of((uint16_t)(half + 1))) / 2);
        assert_int_equal(hw__half_of_float(middle), half + half % 2);
        assert_int_equal(hw__half_of_float(nextafterf(middle, 0)), half);
        assert_int_equal(hw__half_of_float(nextafterf(middle, 1e6f)), half + 1);
        assert_int_equal(hw__half_of_float(-nextafterf(middle, 0)), half | 0x8000);
    }
    assert_int_equal(hw__half_of_float(nextafterf(65520, 0)), 0x7BFF);
    assert_int_equal(hw__half_of_float(65520), 0x7C00);
    assert_int_equal(hw__half_of_float(-INFINITY), 0xFC00);
    assert_int_equal(hw__half_of_float(NAN) & 0x7FFF, 0x7E00);
    assert_int_equal(hw__half_of_float(0x1p-149f), 0);
    assert_int_equal(hw__half_of_float(-0.0f), 0x8000);
}

static void arrays_are_read_as_single_ones_are(void **state) {
    (void)state;
    static uint16_t halves[0x10000];
    static float floats[0x10000];
    for (uint32_t half = 0; half < 0x10000; half++) halves[half] = (uint16_t)half;
    hw__floats_of_halves(floats, halves, 0x10000);
    for (uint32_t half = 0; half < 0x10000; half++)
        assert_int_equal(hw__bits_of_float(floats[half]), hw__bits_of_float(hw__float_of_half((uint16_t)half)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_its_value),
        cmocka_unit_test(arrays_are_read_as_single_ones_are),
        cmocka_unit_test(every_boundary_is_where_it_must_be),
    };
    return cmocka_run_group_tests_name("half", tests, NULL, NULL);
}
