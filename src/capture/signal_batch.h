/*
 * signal_batch.h - batches target rows until they are turned into signals.
 *
 * Contributions need values and weights of a whole layer, which are expensive to read but can be shared. So the target
 * rows (predictor and own rows: m-1 and up) are kept with their heads and streams, and explained together, one layer at
 * a time, when the batch is full or the run ends. capture.c passes them from the engine's sink. If signals of every row
 * are wanted, all rows are batched in this way; decodes must then have at most `capacity` rows.
 */
#ifndef HW_CAPTURE_SIGNAL_BATCH_H
#define HW_CAPTURE_SIGNAL_BATCH_H

#include "capture/top_tokens.h"
#include "data/trace.h"

/* Maximum number of rows in a batch: enough that reading a layer's weights costs little per row. */
enum { HW__MAX_BATCH_ROWS = 256 };

typedef struct hw__signal_batch {
    hw_trace *trace;
    uint32_t wanted;    /* signals; 0: all functions do nothing */
    bool every;         /* also rows before m-1 */
    size_t capacity, n; /* capacity in rows; rows in the batch */
    size_t first;       /* absolute position of the first row */
    size_t n_keys, n_embd, n_heads;
    size_t n_sources;
    const hw_source *sources; /* [n_sources] of the run's model */
    float *heads; /* [L, capacity H n_keys]: of each attention layer, slot i's [H, first + i + 1] one after the other */
    float *before, *added, *mixed; /* [n_sources, capacity, D]; filled if a signal needs them */
    bool *shown;                   /* [n_sources, capacity] whether these are present: the last block provides only rows
                                      with logits */
    float *final, *origin;         /* [capacity, D] */
    float *mixing;                 /* [capacity, n_mixing] factors by which the row's stream is mixed */
    size_t n_mixing;
    struct hw__factors *factors;            /* [n_sources] of those that gate what heads give */
    double *logit;                          /* [capacity] logit of the chosen token as it is compared */
    hw__contrast *contrasts;                /* [capacity] what it is compared with, in `ids` and `weights` */
    int32_t *ids;                           /* [capacity, max others] */
    double *weights;                        /* [capacity, max others] */
    struct hw__batch_workspace *workspaces; /* [n_workspaces] one per thread, from the first batch on */
    size_t n_workspaces;
} hw__signal_batch;

/* Capacity for rows of runs of `n_tokens`; refuses signals that the engine cannot give, saying what is missing. */
hw_err hw__signal_batch_new(hw__signal_batch *p, hw_trace *trace, uint32_t wanted, const hw__engine *engine,
                            size_t n_tokens, hw_error *err);
/* Capacity for what logits are compared with, `n_others` tokens each; before the first decode. */
hw_err hw__signal_batch_compare(hw__signal_batch *p, size_t n_others, hw_error *err);
void hw__signal_batch_free(hw__signal_batch *p);

/* Maximum bytes of a batch in such a run; `sums`: signals are summed by group. */
uint64_t hw__signal_batch_bytes(const hw__engine *engine, uint32_t wanted, size_t n_prompt, size_t n_tokens, bool sums);

/* Skips the first n rows, which are before m-1: their signals are copied from elsewhere. */
void hw__signal_batch_skip(hw__signal_batch *p, size_t n);
/* Whether values of the layers will be read. */
bool hw__signal_batch_reads_values(const hw__signal_batch *p);
/* First row whose stream is needed. */
size_t hw__signal_batch_from(const hw__signal_batch *p);

/* Those of a sink; rows before m-1 are passed over unless every row is wanted (their residual share is noted). */
hw_err hw__signal_batch_heads(hw__signal_batch *p, size_t layer, const hw__heads *heads, hw_error *err);
hw_err hw__signal_batch_stream(hw__signal_batch *p, size_t source, const hw__stream *stream, hw_error *err);
hw_err hw__signal_batch_final(hw__signal_batch *p, const float *rows, size_t n_rows, size_t q0, hw_error *err);

hw_err hw__signal_batch_origin(hw__signal_batch *p, const float *rows, size_t n_rows, size_t q0, hw_error *err);
hw_err hw__signal_batch_mixing(hw__signal_batch *p, const float *row, size_t q, hw_error *err);

/* Where what the token that row q chose is compared with goes, and the logit so compared; NULL: nobody needs it. */
hw__contrast *hw__signal_batch_contrast(hw__signal_batch *p, size_t q, double **logit);

/* Before decoding rows up to `end`: explains the batch if those rows would not fit into it. At the end of a run with
 * end = SIZE_MAX: explains all. Every batched row except the run's last must have its chosen token in the run. */
hw_err hw__signal_batch_flush(hw__signal_batch *p, hw__engine *engine, size_t end, hw_error *err);

#endif
