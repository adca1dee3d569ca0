/*
 * blas.h - dense products by the system's BLAS. Row-major, no aliasing; sums have the type of the elements.
 *
 * BLAS uses its own threads for a product, except inside a parallel region, where it uses none (OpenMP build of
 * OpenBLAS).
 *
 * The folder math/: numbers alone: products by BLAS, block-triangular matrices, rank correlation, lasso, maximum flow.
 * Row-major arrays and their sizes come in, numbers go out.
 */
#ifndef HW_MATH_BLAS_H
#define HW_MATH_BLAS_H

#include "headwater.h"

/* Opens OpenBLAS. Call before the first product, from any thread and as often as you like. Errors: MEMORY (no address
 * space for its buffers, without which it would never return), UNSUPPORTED (it is not installed). */
hw_err hw__blas_start(hw_error *err);

/* c [m, n] = a [m, k] b [k, n] */
void hw__matmul(float *c, const float *a, const float *b, size_t m, size_t k, size_t n);

/* Part of a larger matrix: rows are `stride` floats apart. */
typedef struct hw__part {
    float *cells;
    size_t stride;
} hw__part;

/* Rows of the first factor, what both share, columns of the second. */
typedef struct hw__matmul_size {
    size_t m, k, n;
} hw__matmul_size;

/* c [m, n] = a [m, k] b [k, n], added to c if `adds`. */
void hw__matmul_part(hw__part c, hw__part a, hw__part b, hw__matmul_size size, bool adds);

/* c [m, n] = a [m, k] times the transpose of b [n, k]. */
void hw__matmul_bt(hw__part c, hw__part a, hw__part b, size_t m, size_t k, size_t n);

#endif
