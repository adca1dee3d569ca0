/*
 * prefix_reuse.h - the prefix that a new run shares with an earlier trace: its rows are copied, its tokens not decoded
 * again.
 *
 * Past rows of a causal model never change, so the rows of a prefix do not depend on what follows it.
 */
#ifndef HW_CAPTURE_PREFIX_REUSE_H
#define HW_CAPTURE_PREFIX_REUSE_H

#include "data/trace.h"

/* Fronts are of whole groups of tokens. Kernels for quantised weights take rows of a batch in fours and those that are
 * left over by other code, which rounds otherwise: a batch that starts inside a group would move all groups behind
 * (seen on Gemma 3, Q4_K: an NMSE of 2e-3 in `logit`). A single row has code of its own in some kernels (AMX: 5e-4), so
 * at least two tokens are left to decode. */
enum { HW__PREFIX_GROUP = 4, HW__PREFIX_MIN_REST = 2 };

/* How many of the prompt's tokens ids [n] `prefix` (nullable) gives all of that a trace of `run` is to keep: its rows,
 * where prompt rows are `kept`, and the signals of every row that are `wanted`; never the last ones, whose output
 * chooses the completion. 0 where it is of another model or was fused otherwise. */
size_t hw__prefix_shared(const hw_trace *prefix, const hw_run *run, hw_row_retention kept, const int32_t *ids, size_t n,
                         uint32_t wanted);

/* Copies what must be kept of the first n rows into `trace`, which has the capacity. */
void hw__prefix_copy(hw_trace *trace, const hw_trace *prefix, size_t n, uint32_t wanted);

#endif
