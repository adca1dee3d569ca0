/* blas.c - the only file that knows BLAS. */
#include "math/blas.h"

#include "headwater.h"

#include <cblas.h>
#include <stdio.h>

const char *hw_blas(void) {
    static _Thread_local char name[64];
    snprintf(name, sizeof name, "OpenBLAS %s", openblas_get_corename());
    return name;
}

void hw__matmul(float *c, const float *a, const float *b, size_t m, size_t k, size_t n) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b, (int)n, 0, c,
                (int)n);
}

void hw__matmul_part(hw__part c, hw__part a, hw__part b, size_t m, size_t k, size_t n, bool adds) {
    if (m == 0 || k == 0 || n == 0) return;
    if (m == 1) { /* a product would copy all of b first */
        cblas_sgemv(CblasRowMajor, CblasTrans, (int)k, (int)n, 1, b.cells, (int)b.stride, a.cells, 1, adds, c.cells, 1);
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a.cells, (int)a.stride, b.cells,
                (int)b.stride, adds, c.cells, (int)c.stride);
}

void hw__matmul_bt(hw__part c, hw__part a, hw__part b, size_t m, size_t k, size_t n) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a.cells, (int)a.stride, b.cells,
                (int)b.stride, 0, c.cells, (int)c.stride);
}
