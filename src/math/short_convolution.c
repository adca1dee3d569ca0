/* short_convolution.c - see short_convolution.h. */
#include "math/short_convolution.h"

#include "math/simd.h"

#include <math.h>

double hw__silu(double z) { return z / (1 + exp(-z)); }

/* x <- e^x per lane for |x| <= 87: 2^n e^r, |r| <= log(2) / 2, and e^r by its series; relative error below 2^-22. */
HW__INLINE void take_exp(hw__lanes *x) {
    const float rounding = 12582912.0f; /* 1.5 * 2^23: adding it rounds to whole numbers */
    hw__lanes n = (*x * 1.44269504f + rounding) - rounding;
    hw__lanes r = *x - n * 0.693359375f + n * 2.12194440e-4f, e;
    e = r * 1.98412698e-4f + 1.38888889e-3f;
    e = e * r + 8.33333333e-3f;
    e = e * r + 4.16666667e-2f;
    e = e * r + 1.66666667e-1f;
    e = e * r + 0.5f;
    e = e * r + 1.0f;
    e = e * r + 1.0f;
    hw__lane_bits power = (__builtin_convertvector(n, hw__lane_bits) + 127) << 23;
    *x = e * (hw__lanes)power;
}

/* z [n] <- sigmoid(z). */
HW__SIMD static void take_sigmoid(float *z, size_t n) {
    const hw__lanes max = (hw__lanes){0} + 87.0f;
    size_t i = 0;
    for (; i + HW__LANES <= n; i += HW__LANES) {
        hw__lanes v;
        HW__LOAD(v, z + i);
        v = HW__CHOOSE(v > max, max, v);
        v = -HW__CHOOSE(v < -max, -max, v);
        take_exp(&v);
        v = 1.0f / (1.0f + v);
        memcpy(z + i, &v, sizeof v);
    }
    for (; i < n; i++) z[i] = (float)(1 / (1 + exp(-(double)z[i])));
}

HW__SIMD static void multiply(float *restrict to, const float *restrict by, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] *= by[i];
}

void hw__silu_all(float *z, size_t n) {
    enum { AT_ONCE = 256 };
    float factor[AT_ONCE];
    for (size_t i = 0; i < n; i += AT_ONCE) {
        size_t take = n - i < AT_ONCE ? n - i : AT_ONCE;
        memcpy(factor, z + i, take * sizeof *z);
        take_sigmoid(factor, take);
        multiply(z + i, factor, take);
    }
}

HW__SIMD static void add_scaled(float *restrict to, const float *restrict x, float by, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] += by * x[i];
}

HW__SIMD static void multiply_scaled(float *restrict to, const float *restrict a, const float *restrict b, float by,
                                     size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = a[i] * (by * b[i]);
}

void hw__short_convolution_parts(float *parts, size_t stride, const hw__short_convolution *of, const float *x,
                                 hw__token_range tokens, float *scratch) {
    size_t last = of->n_taps - 1, first = tokens.first, n = tokens.n;
    for (size_t k = first; k < n; k++) scratch[k] = of->bias;
    for (size_t i = 0; i <= last && i < n; i++) {
        size_t begin = i > first ? i : first;
        if (begin < n) add_scaled(scratch + begin, x + begin - i, of->taps[last - i], n - begin);
    }
    take_sigmoid(scratch + first, n - first);
    for (size_t i = 0; i <= last; i++) {
        float *part = parts + i * stride;
        size_t end = first + i < n ? n - i : first; /* tokens whose i-th next one exists */
        multiply_scaled(part + first, scratch + first + i, x + first, of->taps[last - i], end - first);
        memset(part + end, 0, (n - end) * sizeof *part);
    }
    for (size_t k = first; of->bias != 0 && k < n; k++) parts[k] += scratch[k] * of->bias;
}
