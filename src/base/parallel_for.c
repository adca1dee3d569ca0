/* parallel_for.c - see parallel_for.h. */
#include "base/parallel_for.h"

hw_err hw__parallel_for(size_t n, size_t n_threads, hw_err (*one)(void *ctx, size_t i, hw_error *err), void *ctx,
                        hw_error *err) {
    size_t failed = n;
    hw_err rc = HW_OK;
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads ? (int)n_threads : omp_get_max_threads())
    for (size_t i = 0; i < n; i++) {
        hw_error why;
        hw_err code = one(ctx, i, &why);
        if (code == HW_OK) continue;
#pragma omp critical(hw__parallel_for)
        if (i < failed) {
            failed = i;
            rc = code;
            if (err) *err = why;
        }
    }
    return rc;
}
