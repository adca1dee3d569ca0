/*
 * head_fusion.h - fuses the attention rows of a layer's heads to one row per token. Pure functions over arrays.
 *
 * capture.c calls it for every row from an engine. Rows are checked as they are read, because fusing would hide a
 * head's row that is not a softmax.
 */
#ifndef HW_CAPTURE_HEAD_FUSION_H
#define HW_CAPTURE_HEAD_FUSION_H

#include "engine/engine.h"

/* Rows first.. of a chunk. */
typedef struct hw__fused_rows {
    float *const *out; /* [count] destinations */
    const size_t *n;   /* [count] numbers of columns */
    size_t first, count;
} hw__fused_rows;

typedef struct hw__fusion {
    hw_fuse fuse;
    bool sinks;       /* rows may sum to less than 1 */
    size_t layer;     /* for messages */
    size_t n_threads; /* that share the rows; the result does not depend on their number */
} hw__fusion;

/* Fuses rows, whose own columns are q0 + q, to the mean over heads, or to the maximum or minimum scaled to sum to 1
 * (all weight on the own column if nothing is left). Checks that every head's row is finite, not negative and sums to
 * 1; error ENGINE names the first that does not. If rows arrive as means over heads (computed on a device) only the
 * mean is checked, and opposite errors of heads are not detected; the probe has checked every head. */
hw_err hw__fuse_rows(const hw__fused_rows *rows, const hw__heads *heads, hw__fusion how, hw_error *err);

#endif
