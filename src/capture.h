/*
 * capture.h - one run of an engine becomes a trace: heads fused to one row per layer and token.
 *
 * The fusing itself is a pure function over arrays, used by tests and by every engine alike.
 */
#ifndef HW_CAPTURE_H
#define HW_CAPTURE_H

#include "pending.h"

/* Fuses row q of `heads` (0 <= q < n_rows) into out [n] over columns 0..n-1: the mean over heads as it is, or the
 * maximum or minimum scaled to sum to 1 (all weight on column `own` where nothing is left). */
void hw__fuse_row(float *out, const hw__heads *heads, size_t q, size_t n, size_t own, hw_fuse fuse);

/* A sink that fuses into a trace's rows and checks each: finite, not negative, sum 1 (less with `sinks`). */
typedef struct hw__capture {
    hw_trace *trace;
    bool sinks;
    hw__pending pending; /* zeroed: no signals */
} hw__capture;
hw__sink hw__capture_sink(hw__capture *capture);

/* hw_trace_capture() on any engine. */
hw_err hw__trace_capture(hw_trace **out, hw__engine *engine, size_t n_ctx, const hw__run_options *options,
                         const hw_run_params *params, hw_error *err);

#endif
