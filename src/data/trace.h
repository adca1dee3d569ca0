/*
 * trace.h - the inside of hw_trace: a run and its fused attention rows.
 *
 * rows[l] is one array per layer. Causal: packed lower-triangular, row q at q(q+1)/2 with q+1 weights;
 * otherwise square, row q at q*T with T weights, and the room is exactly T. Filled by capture.c or read from a file; methods only read.
 *
 * A causal trace may keep fewer than all rows: those from `rows_from` on. The others pass by while it is captured: one chunk
 * of one layer at a time lies in a window, where hw__trace_row() finds it, packed in the same way.
 */
#ifndef HW_DATA_TRACE_H
#define HW_DATA_TRACE_H

#include "data/run.h"

/* How a signal lies in memory, one layer after the other. */
typedef enum hw__layout {
    HW__LAYOUT_ROWS,   /* [n_rows, width]: the rows of interest */
    HW__LAYOUT_TOKENS, /* [n_tokens] */
    HW__LAYOUT_EVERY   /* [n_tokens (n_tokens + 1) / 2]: every row, packed as attention rows are */
} hw__layout;
hw__layout hw__signal_layout(hw_signal signal);

/* Signals of one trace, see hw_signal. Arrays are NULL for what was not captured. */
typedef struct hw__signals {
    float *values[HW_N_SIGNALS];
    hw_balance *balance;     /* [n_rows], with HW_SIGNAL_LOGIT */
    int32_t *groups;         /* [n_prompt] rows of interest are sums over these; NULL: a float a token */
    size_t n_groups, width;  /* floats of a row of interest: what is in no group and the groups, or n_tokens */
    size_t n_rows, n_tokens; /* room, at least n + 1 and T; row r is query row m - 1 + r */
    size_t n_done;           /* rows 0.. of a growing trace that are computed */
} hw__signals;

/* Rows that are not kept, while they pass. */
typedef struct hw__window {
    float *cells; /* [room] rows first .. end - 1 of layer `layer` */
    size_t room, layer, first, end;
} hw__window;

struct hw_trace {
    hw_run *run;
    hw__signals signals;
    hw_rows kept;
    size_t rows_from; /* first row that is kept; 0: all, SIZE_MAX: none */
    hw__window window;
    float **rows;    /* [L] arrays of the kept rows */
    size_t n_layers; /* L */
    size_t room;     /* tokens that the arrays have room for; may be more than the run has */
    bool growing;    /* it is being captured: only the first n_rows rows are there */
    size_t n_rows;
    double rounding; /* most mass of a row that the precision of its file moved */
};

/* Room for `n_tokens` rows in every layer; takes over the caller's reference to `run` on success. Memory
 * is touched only as rows are written. */
hw_err hw__trace_new(hw_trace **out, hw_run *run, size_t n_tokens, hw_error *err);
/* The same for a causal run whose prompt is there, of which only some rows are kept. */
hw_err hw__trace_new_kept(hw_trace **out, hw_run *run, hw_rows kept, size_t n_tokens, hw_error *err);

/* Floats of the kept rows of one layer for T tokens. False on overflow. */
bool hw__trace_kept_size(size_t *out, size_t n_tokens, size_t rows_from, bool causal);
/* The first row that is kept. */
size_t hw__trace_rows_from(hw_rows kept, size_t n_prompt);

/* Touches what the first rows of interest fill, before the prompt is read: a page's first use costs more than what is written
 * there, and tokens come one at a time. Not all: more may never come. */
enum { HW__TOUCHED_ROWS = 64 };
void hw__trace_touch(const hw_trace *trace);

/* Makes room for those of rows first .. end - 1 of a layer that are not kept; what passed before is gone. */
hw_err hw__trace_pass(hw_trace *trace, size_t l, size_t first, size_t end, hw_error *err);

/* Floats in one layer's array for T tokens: T(T+1)/2 or T*T. False on overflow. */
bool hw__trace_layer_size(size_t *out, size_t n_tokens, bool causal);

/* Where row q of layer l begins, and how many weights it has. It is kept, or it is passing. */
float *hw__trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n);

/* Signals of the rows of interest that are added later will be sums over groups [n_prompt] of prompt tokens, which are copied. */
hw_err hw__trace_group_signals(hw_trace *trace, const int32_t *groups, size_t n_groups, hw_error *err);
/* Room for the signals of `wanted` (1u << hw_signal, or-ed): n_rows rows of interest, n_tokens tokens. */
hw_err hw__trace_add_signals(hw_trace *trace, uint32_t wanted, size_t n_rows, size_t n_tokens, hw_error *err);

/* Row r (query row m - 1 + r) of layer l of a signal of the rows of interest: [width]. */
float *hw__trace_signal(const hw_trace *trace, hw_signal signal, size_t l, size_t r);
/* Row q of layer l of a signal of every row: [q + 1]. */
float *hw__trace_every(const hw_trace *trace, hw_signal signal, size_t l, size_t q);
/* Where layer l of any signal begins. */
float *hw__trace_signal_layer(const hw_trace *trace, hw_signal signal, size_t l);

#endif
