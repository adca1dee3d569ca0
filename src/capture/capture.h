/*
 * capture.h - one run of an engine becomes a trace: heads fused (head_fusion.h) to one row per layer and token.
 */
#ifndef HW_CAPTURE_CAPTURE_H
#define HW_CAPTURE_CAPTURE_H

#include "capture/signal_batch.h"

/* A sink that fuses into a trace's rows and checks each: finite, not negative, sum 1 (less with `sinks`). */
typedef struct hw__capture {
    hw_trace *trace;
    bool sinks;
    size_t n_threads;     /* that share the rows of a chunk; 0: one */
    hw_live *const *live; /* [n_live] explanations that prompt rows are fed to, NULL ones passed over */
    size_t n_live;
    size_t held_layer, held_from,
        held_end;        /* rows of one layer to be fed yet: when the signals beside them are there */
    hw__pending pending; /* zeroed: no signals */
} hw__capture;
hw__sink hw__capture_sink(hw__capture *capture);
/* After a decode: feeds the rows of its last layer. */
hw_err hw__capture_feed(hw__capture *capture, hw_error *err);

/* hw_trace_capture() on any engine. */
hw_err hw__trace_capture(hw_trace **out, hw__engine *engine, size_t n_ctx, const hw__run_options *options,
                         const hw_run_params *params, hw_error *err);

#endif
