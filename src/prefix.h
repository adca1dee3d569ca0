/*
 * prefix.h - the front that a new run shares with an earlier trace: its rows are copied, its tokens not decoded again.
 *
 * Past rows of a causal model never change, so the rows of a front are the same whatever follows it.
 */
#ifndef HW_PREFIX_H
#define HW_PREFIX_H

#include "trace.h"

/* How many of the prompt's tokens ids [n] `prefix` (nullable) has the rows of, and the signals of every row that are
 * `wanted`; never the last one, whose output chooses the completion. 0 where the trace is of another model or was fused
 * otherwise. */
size_t hw__prefix_shared(const hw_trace *prefix, const hw_run *run, const int32_t *ids, size_t n, uint32_t wanted);

/* Copies the first n rows into `trace`, which has room for them and for the signals of `wanted`. */
void hw__prefix_copy(hw_trace *trace, const hw_trace *prefix, size_t n, uint32_t wanted);

#endif
