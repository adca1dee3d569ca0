/* simd.c - see simd.h. */
#include "math/simd.h"

#include "base/float16.h"

HW__SIMD double hw__sum(const float *x, size_t n) {
    hw__double_lanes sums = {0};
    hw__lanes v;
    size_t i = 0;
    for (; i + HW__LANES <= n; i += HW__LANES) {
        HW__LOAD(v, x + i);
        sums += __builtin_convertvector(v, hw__double_lanes);
    }
    double sum = 0;
    for (size_t k = 0; k < HW__LANES; k++) sum += sums[k];
    for (; i < n; i++) sum += x[i];
    return sum;
}

HW__SIMD double hw__dot(const float *a, const float *b, size_t n) {
    hw__double_lanes sums = {0};
    hw__lanes v, w;
    size_t i = 0;
    for (; i + HW__LANES <= n; i += HW__LANES) {
        HW__LOAD(v, a + i);
        HW__LOAD(w, b + i);
        sums += __builtin_convertvector(v, hw__double_lanes) * __builtin_convertvector(w, hw__double_lanes);
    }
    double sum = 0;
    for (size_t k = 0; k < HW__LANES; k++) sum += sums[k];
    for (; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

HW__SIMD void hw__add_floats(double *restrict sums, const float *restrict x, size_t n) {
    hw__double_lanes all;
    hw__lanes v;
    size_t i = 0;
    for (; i + HW__LANES <= n; i += HW__LANES) {
        HW__LOAD(v, x + i);
        HW__LOAD(all, sums + i);
        all += __builtin_convertvector(v, hw__double_lanes);
        memcpy(sums + i, &all, sizeof all);
    }
    for (; i < n; i++) sums[i] += x[i];
}

HW__SIMD void hw__floats_of_halves(float *restrict to, const uint16_t *restrict from, size_t n) {
    for (size_t k = 0; k < n; k++) to[k] = hw__float_of_half(from[k]);
}

HW__SIMD void hw__halves_of_floats(uint16_t *restrict to, const float *restrict from, size_t n) {
    for (size_t k = 0; k < n; k++) to[k] = hw__half_of_float(from[k]);
}
