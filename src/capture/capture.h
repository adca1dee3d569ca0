/*
 * capture.h - turns one run of an engine into a trace: heads fused (head_fusion.h) to one row per layer and token.
 *
 * The folder capture/: one run of an engine to a trace: prompt tokens with roles and byte ranges, fused heads, signals,
 * memory estimates.
 */
#ifndef HW_CAPTURE_CAPTURE_H
#define HW_CAPTURE_CAPTURE_H

#include "capture/logit_contrast.h"
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

/* Whether some layers that move information between tokens have no attention weights, and can be read. */
bool hw__capture_is_hybrid(const hw__capture *capture);

/* One run in progress: what runs of our own (capture_run.c) and those of a caller's loop (foreign/tap.c) share. */
typedef struct hw__session {
    hw__engine *engine;
    const hw_run_params *params;
    hw_run *run;
    hw_trace *trace; /* NULL: nothing is captured */
    hw__capture capture;
    hw__tokens prompt, given; /* ids; `given` only when the completion is */
    hw__against against;
    hw_row_retention rows; /* that the trace keeps */
    uint32_t signals;
    size_t n_done;      /* tokens decoded */
    size_t last_row;    /* row of the last decode that predicts the next token */
    bool interruptible; /* whether a stop may interrupt a decode, which loses the run */
} hw__session;

/* The options that a run stores. */
hw__run_options hw__session_options(const hw_model *model, const hw_run_params *params);

/* Allocates what the decodes of a run of at most `total` tokens will fill; its prompt is tokenized. Errors: as
 * hw_trace_capture(). */
hw_err hw__session_start(hw__session *s, size_t total, hw_error *err);
/* Appends completion token `id`, chosen by row `row` of the last decode. */
hw_err hw__session_choose(hw__session *s, int32_t id, size_t row, hw_error *err);
/* Passes the rows that can be explained to the explainer; batched rows, each of which has chosen its token, become
 * signals first. */
hw_err hw__session_show(hw__session *s, hw_error *err);
/* The first row that must be decoded alone, because the engine shows its stream only then. */
size_t hw__session_single_from(hw__session *s);
/* Whether something reads the row of the completion's last token, which chooses nothing. A recurrent model's share is
 * over all rows. */
bool hw__session_reads_last(const hw__session *s);
/* Called after the last decode. */
hw_err hw__session_finish(hw__session *s, hw_error *err);
/* Frees everything but the run and the trace; after a failure these too. */
void hw__session_clear(hw__session *s, bool failed);

/* The generation of hw_trace_capture() without an explanation, as fast as the engine can: the tokens, without
 * probabilities; free with hw_run_free(). `fuse`, `against` and the explainer have no effect. Errors: as there, but for
 * info.problem. */
hw_err hw__run_generate(hw_run **out, hw_model *model, const hw_run_params *params, hw_error *err);

#endif
