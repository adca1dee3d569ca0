/*
 * matrix.h - dense products, by the system's BLAS. Row-major, no aliasing; sums have the type of the elements.
 */
#ifndef HW_MATRIX_H
#define HW_MATRIX_H

#include <stddef.h>

/* c [m, n] = a [m, k] b [k, n] */
void hw__matmul(float *c, const float *a, const float *b, size_t m, size_t k, size_t n);

/* c [m, n] = a [m, k] b [n, k] transposed */
void hw__matmul_bt(float *c, const float *a, const float *b, size_t m, size_t k, size_t n);

/* c [m, n] = a [m, k] b [k, n]; b and c have `stride` elements from row to row. */
void hw__matmul_double(double *c, const double *a, const double *b, size_t m, size_t k, size_t n, size_t stride);

#endif
