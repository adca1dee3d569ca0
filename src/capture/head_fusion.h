/*
 * head_fusion.h - fuses the attention rows of a layer's heads to one row per token. Pure functions over arrays.
 *
 * capture.c calls it for every row from an engine. Rows are checked as they are read, because fusing would hide a
 * head's row that is not a softmax.
 */
#ifndef HW_CAPTURE_HEAD_FUSION_H
#define HW_CAPTURE_HEAD_FUSION_H

#include "engine/engine.h"

/* Fuses rows first.. (out [count] their destinations, n [count] their numbers of columns; row q's own column is q0 + q)
 * of layer `layer` to the mean over heads, or to the maximum or minimum scaled to sum to 1 (all weight on the own
 * column if nothing is left). Checks that every head's row is finite, not negative and sums to 1, or to less with
 * `sinks`; error ENGINE names the first that does not. If rows arrive as means over heads (computed on a device) only
 * the mean is checked, and opposite errors of heads are not detected; the probe has checked every head. `n_threads`
 * share the rows; the result does not depend on their number. */
hw_err hw__fuse_rows(float *const *out, const size_t *n, const hw__heads *heads, size_t first, size_t count,
                     hw_fuse fuse, bool sinks, size_t layer, size_t n_threads, hw_error *err);

#endif
