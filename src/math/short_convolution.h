/*
 * short_convolution.h - values that a short convolution makes of several tokens, split by token: pure functions over
 * arrays.
 *
 *     z_j = bias + sum_i tap_i x_{j-i}      v_j = silu(z_j) = sigmoid(z_j) z_j
 *
 * With the factor sigmoid(z_j) held fixed, as gates are, v_j is linear in the inputs: token k gives sigmoid(z_{k+i})
 * tap_i x_k to the value of token k + i. The bias belongs to the value's own token, so the parts of a value sum to it.
 */
#ifndef HW_MATH_SHORT_CONVOLUTION_H
#define HW_MATH_SHORT_CONVOLUTION_H

#include <stddef.h>

/* One channel of the convolution. */
typedef struct hw__short_convolution {
    const float *taps; /* [n_taps] as ggml has them: the last one for the value's own token */
    size_t n_taps;
    float bias;
} hw__short_convolution;

/* The tokens first .. n - 1, of n. */
typedef struct hw__token_range {
    size_t first, n;
} hw__token_range;

/* part i of token k, parts[i * stride + k], <- the part of token k in the value of token k + i; 0 where there is no
 * such token. x [n], of which taps - 1 tokens before the range are read; scratch [n]. */
void hw__short_convolution_parts(float *parts, size_t stride, const hw__short_convolution *of, const float *x,
                                 hw__token_range tokens, float *scratch);

/* silu(z), in double. */
double hw__silu(double z);
/* z [n] <- silu(z); relative error below 2^-21. */
void hw__silu_all(float *z, size_t n);

#endif
