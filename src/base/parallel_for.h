/*
 * parallel_for.h - the same work for every layer, which threads take one after the other.
 */
#ifndef HW_BASE_PARALLEL_FOR_H
#define HW_BASE_PARALLEL_FOR_H

#include "base/error.h"

/* Calls one(ctx, i, err) for i = 0 .. n - 1; n_threads 0: as many as OpenMP has. What fails first in the order of i is what is
 * reported, as without threads; the others are done all the same. */
hw_err hw__each(size_t n, size_t n_threads, hw_err (*one)(void *ctx, size_t i, hw_error *err), void *ctx,
                hw_error *err);

#endif
