/*
 * head_fusion.h - the attention rows of a layer's heads become one row a token. Pure functions over arrays.
 *
 * capture.c calls it for every row that an engine shows. Rows are checked as they are read: fusing would hide a head's row
 * that is no softmax.
 */
#ifndef HW_CAPTURE_HEAD_FUSION_H
#define HW_CAPTURE_HEAD_FUSION_H

#include "engine/engine.h"

/* Rows first.. (out [count] where they go, n [count] their columns; row q's own column is q0 + q) of layer `layer`, fused into
 * the mean over heads as it is, or the maximum or minimum scaled to sum to 1 (all weight on the own column where nothing is left), and
 * checked: every head's row must be finite, not negative and sum to 1, or to less with `sinks`; error ENGINE says which does
 * not. Of rows that come as means over heads (made on a device) the mean is checked: heads that are off in opposite ways pass
 * unseen there, the probe alone has looked at every head. `n_threads` share the rows; what comes out does not depend on how many they are. */
hw_err hw__fuse_rows(float *const *out, const size_t *n, const hw__heads *heads, size_t first, size_t count,
                     hw_fuse fuse, bool sinks, size_t layer, size_t n_threads, hw_error *err);

#endif
