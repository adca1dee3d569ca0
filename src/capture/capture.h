/*
 * capture.h - turns one run of an engine into a trace: heads fused (head_fusion.h) to one row per layer and token.
 *
 * The folder capture/: one run of an engine to a trace: prompt tokens with roles and byte ranges, fused heads, signals,
 * memory estimates.
 */
#ifndef HW_CAPTURE_CAPTURE_H
#define HW_CAPTURE_CAPTURE_H

#include "capture/signal_batch.h"
#include "capture/unread_share.h"
#include "methods/explainer.h"

/* A sink that fuses rows into a trace and checks each: finite, not negative, sum 1 (less with `sinks`). */
typedef struct hw__capture {
    hw_trace *trace;
    bool sinks;
    size_t n_threads;                       /* threads that share the rows of a chunk; 0: one */
    hw_explainer *explainer;                /* may consume streamed prompt rows; NULL: none */
    size_t held_layer, held_from, held_end; /* rows of one layer that are streamed when their signals are complete */
    hw__signal_batch pending;               /* zeroed: no signals */
    hw__unread_share unread;
    double added[2]; /* norms of what attention and what recurrent layers added to target rows, summed */
} hw__capture;
hw__sink hw__capture_sink(hw__capture *capture);
/* Called after a decode: streams the rows of its last layer. */
hw_err hw__capture_stream(hw__capture *capture, hw_error *err);

/* The generation of hw_trace_capture() without an explanation, as fast as the engine can: the tokens, without
 * probabilities; free with hw_run_free(). `fuse`, `against` and the explainer have no effect. Errors: as there, but for
 * info.problem. */
hw_err hw__run_generate(hw_run **out, hw_model *model, const hw_run_params *params, hw_error *err);

#endif
