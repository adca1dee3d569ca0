/*
 * blas.h - dense products, by the system's BLAS. Row-major, no aliasing; sums have the type of the elements.
 *
 * BLAS brings its own threads to a product, and none to one that is asked for by a thread of a parallel region (OpenBLAS in
 * its OpenMP build).
 */
#ifndef HW_MATH_BLAS_H
#define HW_MATH_BLAS_H

#include "headwater.h"

/* Before the first product, from any thread and as often as wanted: opens OpenBLAS. Errors: MEMORY (no address space for its
 * buffers, without which it would never return), UNSUPPORTED (it is not there). */
hw_err hw__blas_start(hw_error *err);

/* c [m, n] = a [m, k] b [k, n] */
void hw__matmul(float *c, const float *a, const float *b, size_t m, size_t k, size_t n);

/* Part of a larger matrix: `stride` floats from row to row. */
typedef struct hw__part {
    float *cells;
    size_t stride;
} hw__part;

/* c [m, n] = a [m, k] b [k, n], or c + that where it `adds`. */
void hw__matmul_part(hw__part c, hw__part a, hw__part b, size_t m, size_t k, size_t n, bool adds);

/* c [m, n] = a [m, k] b [n, k] transposed */
void hw__matmul_bt(hw__part c, hw__part a, hw__part b, size_t m, size_t k, size_t n);

#endif
