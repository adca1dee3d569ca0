/*
 * trace.h - the inside of hw_trace: a run and its fused attention rows.
 *
 * rows[l] is one array per layer. Causal: packed lower-triangular, row q at q(q+1)/2 with q+1 weights;
 * otherwise square, row q at q*T with T weights. Filled by capture.c or read from a file; methods only read.
 */
#ifndef HW_TRACE_H
#define HW_TRACE_H

#include "run.h"

struct hw_trace {
    hw_run *run;
    float **rows;    /* [L] arrays of hw__trace_layer_size() floats */
    size_t n_layers; /* L */
    size_t room;     /* tokens that the arrays have room for; may be more than the run has */
};

/* Room for `n_tokens` rows in every layer; takes over the caller's reference to `run` on success. Memory
 * is touched only as rows are written. */
hw_err hw__trace_new(hw_trace **out, hw_run *run, size_t n_tokens, hw_error *err);

/* Floats in one layer's array for T tokens: T(T+1)/2 or T*T. False on overflow. */
bool hw__trace_layer_size(size_t *out, size_t n_tokens, bool causal);

/* Where row q of layer l begins, and how many weights it has. */
float *hw__trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n);

#endif
