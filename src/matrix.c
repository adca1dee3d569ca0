/* matrix.c - the only file that knows BLAS. */
#include "matrix.h"

#include <cblas.h>

void hw__matmul(float *c, const float *a, const float *b, size_t m, size_t k, size_t n) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b, (int)n, 0, c,
                (int)n);
}

void hw__matmul_bt(float *c, const float *a, const float *b, size_t m, size_t k, size_t n) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b, (int)k, 0, c, (int)n);
}

void hw__matmul_double(double *c, const double *a, const double *b, size_t m, size_t k, size_t n, size_t stride) {
    if (m == 0 || k == 0 || n == 0) return;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b, (int)stride, 0, c,
                (int)stride);
}
