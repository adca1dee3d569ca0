/*
 * trace.h - internals of hw_trace: a run and its fused attention rows.
 *
 * rows[l] is one array per layer. Causal: packed lower-triangular, row q at q(q+1)/2 with q+1 weights; otherwise
 * square, row q at q*T with T weights, and the capacity is exactly T. Filled by capture.c or read from a file; methods
 * only read it.
 *
 * A causal trace may keep only the rows from `rows_from` on. The other rows are streamed during capture: one chunk of
 * one layer at a time is in a window, packed in the same way, and hw__trace_row() finds it there.
 */
#ifndef HW_DATA_TRACE_H
#define HW_DATA_TRACE_H

#include "data/run.h"

/* Memory layout of a signal, one layer after the other. */
typedef enum hw__layout {
    HW__LAYOUT_ROWS,   /* [n_rows, width]: the target rows */
    HW__LAYOUT_TOKENS, /* [n_tokens] */
    HW__LAYOUT_EVERY   /* [n_tokens (n_tokens + 1) / 2]: every row, packed like attention rows */
} hw__layout;
hw__layout hw__signal_layout(hw_signal signal);

/* Signals of one trace, see hw_signal. Arrays are NULL for signals that were not captured. */
typedef struct hw__signals {
    float *values[HW_N_SIGNALS];
    hw_balance *balance;     /* [n_rows], with HW_SIGNAL_LOGIT */
    int32_t *groups;         /* [n_prompt] target rows are sums over these groups; NULL: one float per token */
    size_t n_groups, width;  /* floats of a target row: the ungrouped rest and the groups, or n_tokens */
    size_t n_rows, n_tokens; /* capacity, at least n + 1 and T; row r is query row m - 1 + r */
    size_t n_done;           /* rows of a growing trace that are computed, from row 0 */
} hw__signals;

/* Whether following through the completion reads what positions had gathered in layer l of n. Each eighth is enough:
 * all find no more (docs/research/faithfulness.md). */
static inline bool hw__is_gathered(size_t l, size_t n) { return l % 8 == (n > 3 ? 3 : n - 1); }

/* Window of streamed rows, which the trace does not keep. */
typedef struct hw__window {
    float *cells; /* [capacity] rows first .. end - 1 of layer `layer` */
    size_t capacity, layer, first, end;
} hw__window;

struct hw_trace {
    hw_run *run;
    hw__signals signals;
    hw_row_retention kept;
    size_t rows_from; /* first row that is kept; 0: all, SIZE_MAX: none */
    hw__window window;
    float **rows;       /* [L] arrays of the kept rows */
    size_t n_layers;    /* L */
    size_t n_sources;   /* layers of signals: those and recurrent ones; of RESIDUAL: L */
    size_t capacity;    /* capacity of the arrays in tokens; may be larger than the run */
    bool growing;       /* capture is in progress: only the first n_rows rows are filled */
    bool gathered_only; /* PROJECTION has the layers of hw__is_gathered() alone: the trace does not have the signal */
    size_t n_rows;
    bool lacks_last; /* the last token's own row was not computed: nothing of its run reads it */
    double rounding; /* largest mass of a row that the file's precision moved to another column */
};

/* Allocates `n_tokens` rows in every layer; takes over the caller's reference to `run` on success. Memory pages are
 * used only as rows are written. */
hw_err hw__trace_new(hw_trace **out, hw_run *run, size_t n_tokens, hw_error *err);
/* The same for a causal run whose prompt is set, of which only some rows are kept. */
hw_err hw__trace_new_kept(hw_trace **out, hw_run *run, hw_row_retention kept, size_t n_tokens, hw_error *err);

/* Floats of the kept rows of one layer for T tokens. False on overflow. */
bool hw__trace_kept_size(size_t *out, size_t n_tokens, size_t rows_from, bool causal);
/* The first row that is kept. */
size_t hw__trace_rows_from(hw_row_retention kept, size_t n_prompt);

/* Prefaults the memory of the first target rows before the prompt is decoded: the first write to a page costs more than
 * the data written there, and generated tokens come one at a time. Later rows are not prefaulted, since they may never
 * come. */
enum { HW__PREFAULTED_ROWS = 64 };
void hw__trace_prefault(const hw_trace *trace);

/* Allocates the window for those of rows first .. end - 1 of a layer that are not kept; the previous content is
 * lost. */
hw_err hw__trace_stream(hw_trace *trace, size_t l, size_t first, size_t end, hw_error *err);

/* Floats in one layer's array for T tokens: T(T+1)/2 or T*T. False on overflow. */
bool hw__trace_layer_size(size_t *out, size_t n_tokens, bool causal);

/* Rows begin .. end - 1 of a layer. */
typedef struct hw__layer_rows {
    size_t layer, begin, end;
} hw__layer_rows;

/* Start and number of weights of row q in layer l. The row must be kept or in the window. */
float *hw__trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n);

/* Target-row signals added later will be sums over groups [n_prompt] of prompt tokens; the groups are copied. */
hw_err hw__trace_group_signals(hw_trace *trace, const int32_t *groups, size_t n_groups, hw_error *err);
/* Allocates the signals `wanted` (1u << hw_signal, or-ed): n_rows target rows, n_tokens tokens. */
hw_err hw__trace_add_signals(hw_trace *trace, uint32_t wanted, size_t n_rows, size_t n_tokens, hw_error *err);

/* Row r (query row m - 1 + r) of layer l of a target-row signal: [width]. */
float *hw__trace_signal(const hw_trace *trace, hw_signal signal, size_t l, size_t r);
/* Row q of layer l of a signal that has every row: [q + 1]. */
float *hw__trace_every(const hw_trace *trace, hw_signal signal, size_t l, size_t q);
/* Layers of a signal. */
size_t hw__trace_signal_layers(const hw_trace *trace, hw_signal signal);
/* Start of layer l of any signal. */
float *hw__trace_signal_layer(const hw_trace *trace, hw_signal signal, size_t l);

#endif
