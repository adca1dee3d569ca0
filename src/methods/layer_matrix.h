/*
 * layer_matrix.h - rows of the layer transition matrix Â_l, composed by rollout, flow and contribution.
 *
 *     Â[q,:] = (r e_q + (1-r) A[q,:]) / (r + (1-r) Σ_k A[q,k])
 *
 * A is the layer's attention with fused heads, or its contributions: negative contributions count as 0, rows are scaled
 * to 1, and r = 0 if they include the residual already. Two settings first drop some attention; the rest of a row is
 * scaled to the row's original sum, and a row without a rest becomes e_q:
 *
 *     remove_sink   column 0 counts as 0 in every row but its own
 *     discard       so do the lowest floor(discard n) of a row's n allowed weights. Allowed are those above 0: columns
 *                   that a mask excludes (later tokens, those outside a sliding window, padding) are exactly 0
 *
 * r, the weight of the residual stream, is one number, or measured: r = 1 - λ_l[q] with λ = |a| / (|a| + |x|),
 * attention's share of the stream of row q after layer l.
 */
#ifndef HW_METHODS_LAYER_MATRIX_H
#define HW_METHODS_LAYER_MATRIX_H

#include "data/trace.h"

typedef struct hw__layer_matrix {
    const hw_trace *trace;
    hw_signal source;      /* contributions of every row; HW_N_SIGNALS: attention */
    double residual;       /* r if it is not measured */
    const float *measured; /* λ [L, stride] of the trace; NULL: not measured */
    size_t stride;
    double discard;
    bool remove_sink;
} hw__layer_matrix;

/* Signals that a trace must hold for these settings: 1u << hw_signal, or-ed. */
uint32_t hw__layer_matrix_signals(const hw_method_params *p);
/* Borrows the trace. `p` must be validated, and the trace must hold the signals. */
hw__layer_matrix hw__layer_matrix_of(const hw_trace *trace, const hw_method_params *p);

/* The same for contributions: the signal, and the settings that apply. */
hw_signal hw__layer_matrix_contribution_source(hw_measure measure);
uint32_t hw__layer_matrix_contribution_signals(const hw_method_params *p);
hw__layer_matrix hw__layer_matrix_of_contributions(const hw_trace *trace, const hw_method_params *p);

/* Row q of Â_l into w [T], summed in double and stored as float; returns its number of columns: q + 1, or T if rows
 * attend to later columns. */
size_t hw__layer_matrix_row(float *w, const hw__layer_matrix *m, size_t l, size_t q);

/* Layers that are mixed: those with attention, or all that contributions are of. */
size_t hw__layer_matrix_layers(const hw__layer_matrix *m);
/* r of row q in layer l. */
double hw__layer_matrix_residual(const hw__layer_matrix *m, size_t l, size_t q);

/* The two steps of a row as pure functions over w [n], q < n: dropping weights as set, then adding the residual. */
void hw__layer_matrix_thin(float *w, size_t n, size_t q, double discard, bool remove_sink);
void hw__layer_matrix_add_residual(float *w, size_t n, size_t q, double residual);

#endif
