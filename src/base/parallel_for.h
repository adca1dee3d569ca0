/*
 * parallel_for.h - runs the same function for every index on several threads; OpenMP's functions; without OpenMP, those
 * that are used here, for one thread.
 */
#ifndef HW_BASE_PARALLEL_FOR_H
#define HW_BASE_PARALLEL_FOR_H

#include "base/error.h"

#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_max_threads(void) { return 1; }
static inline int omp_get_thread_num(void) { return 0; }
static inline void omp_set_num_threads(int n) { (void)n; }
#endif

/* Calls one(ctx, i, err) for i = 0 .. n - 1; n_threads 0: as many as OpenMP has. Reports the error with the lowest i,
 * as a serial loop would; the other calls are made all the same. */
hw_err hw__parallel_for(size_t n, size_t n_threads, hw_err (*one)(void *ctx, size_t i, hw_error *err), void *ctx,
                        hw_error *err);

#endif
