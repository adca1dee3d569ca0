/*
 * signal_batch.h - batches target rows until they are turned into signals.
 *
 * Contributions need values and weights of a whole layer, which are expensive to read but can be shared. So the target
 * rows (predictor and own rows: m-1 and up) are kept with their heads and streams, and explained together, one layer at
 * a time, when the batch is full or the run ends. capture.c passes them from the engine's sink. If signals of every row
 * are wanted, all rows are batched in this way; decodes must then have at most `room` rows.
 */
#ifndef HW_CAPTURE_SIGNAL_BATCH_H
#define HW_CAPTURE_SIGNAL_BATCH_H

#include "capture/top_tokens.h"
#include "data/trace.h"

/* Maximum number of rows in a batch: enough that reading a layer's weights costs little per row. */
enum { HW__MOST_PENDING = 256 };

typedef struct hw__pending {
    hw_trace *trace;
    uint32_t wanted; /* signals; 0: all functions do nothing */
    bool every;      /* also rows before m-1 */
    size_t room, n;  /* capacity in rows; rows in the batch */
    size_t first;    /* absolute position of the first row */
    size_t n_keys, n_embd, n_heads;
    size_t n_sources;
    const hw_source *sources; /* [n_sources] of the run's model */
    float *heads; /* [L, room H n_keys]: of each attention layer, slot i's [H, first + i + 1] one after the other */
    float *before, *added, *mixed; /* [n_sources, room, D]; filled if a signal needs them */
    bool *shown;                   /* [n_sources, room] whether these are present: the last block provides only rows
                                      with logits */
    float *final, *origin;         /* [room, D] */
    struct hw__factors *factors;   /* [n_sources] of those that gate what heads give */
    double *logit;                 /* [room] logit of the chosen token as it is compared */
    hw__contrast *contrasts;       /* [room] what it is compared with, in `ids` and `weights` */
    int32_t *ids;                  /* [room, most others] */
    double *weights;               /* [room, most others] */
    struct hw__desk *desks;        /* [n_desks] a thread's each, from the first lot on */
    size_t n_desks;
} hw__pending;

/* Room for rows of runs of `n_tokens`; refuses signals that the engine cannot give, saying what is missing. */
hw_err hw__pending_new(hw__pending *p, hw_trace *trace, uint32_t wanted, const hw_model_info *info, size_t n_tokens,
                       hw_error *err);
/* Room for what logits are compared with, `n_others` tokens each; before the first decode. */
hw_err hw__pending_compare(hw__pending *p, size_t n_others, hw_error *err);
void hw__pending_free(hw__pending *p);

/* Maximum bytes of a batch in such a run; `sums`: signals are summed by group. */
uint64_t hw__pending_bytes(const hw_model_info *info, uint32_t wanted, size_t n_prompt, size_t n_tokens, bool sums);

/* Skips the first n rows, which are before m-1: their signals are copied from elsewhere. */
void hw__pending_skip(hw__pending *p, size_t n);
/* Whether values of the layers will be read. */
bool hw__pending_reads_values(const hw__pending *p);
/* First row whose stream is needed. */
size_t hw__pending_from(const hw__pending *p);

/* Those of a sink; rows before m-1 are passed over unless every row is wanted (their residual share is noted). */
hw_err hw__pending_heads(hw__pending *p, size_t layer, const hw__heads *heads, hw_error *err);
hw_err hw__pending_stream(hw__pending *p, size_t source, const hw__stream *stream, hw_error *err);
hw_err hw__pending_final(hw__pending *p, const float *rows, size_t n_rows, size_t q0, hw_error *err);

hw_err hw__pending_origin(hw__pending *p, const float *rows, size_t n_rows, size_t q0, hw_error *err);

/* Where what the token that row q chose is compared with goes, and the logit so compared; NULL: nobody needs it. */
hw__contrast *hw__pending_contrast(hw__pending *p, size_t q, double **logit);

/* Before decoding rows up to `end`: explains the batch if those rows would not fit into it. At the end of a run with
 * end = SIZE_MAX: explains all. Every batched row except the run's last must have its chosen token in the run. */
hw_err hw__pending_flush(hw__pending *p, hw__engine *engine, size_t end, hw_error *err);

#endif
