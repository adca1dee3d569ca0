/*
 * unread_share.h - how much of the stream's change was made by blocks that read other tokens and that no method reads.
 *
 * A target row's stream goes from the embedding through sources, between which it is changed by everything else. Where
 * such a block lies in between, the change counts as theirs, with its MLPs, since nothing separates them.
 */
#ifndef HW_CAPTURE_UNREAD_SHARE_H
#define HW_CAPTURE_UNREAD_SHARE_H

#include "data/run.h"
#include "engine/engine.h"

/* Zeroed but for the first three, it is ready. */
typedef struct hw__unread_share {
    const int32_t *unread; /* [n_sources + 1] of the engine; NULL: all functions do nothing */
    size_t n_sources, n_embd;
    size_t first;                /* first target row */
    float *after;                /* [n_rows, D] the stream behind the source last shown, rows q0 and up */
    size_t n_rows, q0, capacity; /* capacity in rows */
    size_t next;                 /* the source that would follow */
    double changed[2];           /* norms, summed: of all else, of what unread blocks are in */
} hw__unread_share;

/* Those of a sink. */
hw_err hw__unread_origin(hw__unread_share *s, const float *rows, size_t n_rows, size_t q0, hw_error *err);
hw_err hw__unread_stream(hw__unread_share *s, size_t source, const hw__stream *stream, hw_error *err);
void hw__unread_final(hw__unread_share *s, const float *rows, size_t n_rows, size_t q0);

/* Adds the remark to the run, after its last decode. */
hw_err hw__unread_remark(const hw__unread_share *s, hw_run *run, hw_error *err);
void hw__unread_free(hw__unread_share *s);

#endif
