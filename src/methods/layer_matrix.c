/* layer_matrix.c - see layer_matrix.h for the equations. */
#include "methods/layer_matrix.h"

#include "math/simd.h"

#include <string.h>

/* ------------------------------------------------------------------ thinning */

static size_t count_to(const float *w, size_t n, float max) {
    size_t count = 0;
    for (size_t k = 0; k < n; k++) count += w[k] > 0 && w[k] <= max;
    return count;
}

static float float_of(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The value of the n_low-th lowest weight, n_low > 0. Positive floats have the order of their bits, so 31 bisection
 * steps find it for any row. */
static float nth_lowest(const float *w, size_t n, size_t n_low) {
    uint32_t low = 1, high = 0x7f7fffff; /* the smallest and the largest positive float */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (count_to(w, n, float_of(middle)) >= n_low) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return float_of(low);
}

/* Among equal weights the earlier columns are dropped first. */
static void drop_lowest(float *w, size_t n, double share) {
    static const double rounding = 1e-9; /* so that 0.29 of 100 is 29 */
    size_t n_low = (size_t)(share * (double)count_to(w, n, 2) + rounding);
    if (n_low == 0) return;
    float edge = nth_lowest(w, n, n_low);
    size_t n_below = 0;
    for (size_t k = 0; k < n; k++) n_below += w[k] > 0 && w[k] < edge;
    for (size_t k = 0, n_equal = n_low - n_below; k < n; k++) {
        if (w[k] > edge || (w[k] == edge && n_equal == 0)) continue;
        n_equal -= w[k] == edge;
        w[k] = 0;
    }
}

void hw__layer_matrix_thin(float *w, size_t n, size_t q, double discard, bool remove_sink) {
    if (discard <= 0 && !remove_sink) return;
    double before = hw__sum(w, n);
    if (remove_sink && q > 0) w[0] = 0;
    drop_lowest(w, n, discard);
    double left = hw__sum(w, n);
    for (size_t k = 0; k < n && left > 0; k++) w[k] = (float)(w[k] * (before / left));
}

/* ------------------------------------------------------------------ a row */

void hw__layer_matrix_add_residual(float *w, size_t n, size_t q, double residual) {
    double total = residual + (1 - residual) * hw__sum(w, n);
    double scale = total > 0 ? (1 - residual) / total : 0;
    double own = w[q] * scale + (total > 0 ? residual / total : 1);
    for (size_t k = 0; k < n; k++) w[k] *= (float)scale;
    w[q] = (float)own;
}

size_t hw__layer_matrix_layers(const hw__layer_matrix *m) {
    return m->source == HW_N_SIGNALS ? m->trace->n_layers : m->trace->n_sources;
}

double hw__layer_matrix_residual(const hw__layer_matrix *m, size_t l, size_t q) {
    return m->measured ? 1 - (double)m->measured[l * m->stride + q] : m->residual;
}

static size_t attention_row(float *w, const hw__layer_matrix *m, size_t l, size_t q) {
    size_t n;
    const float *row = hw__trace_row(m->trace, l, q, &n);
    memcpy(w, row, n * sizeof *w);
    hw__layer_matrix_thin(w, n, q, m->discard, m->remove_sink);
    return n;
}

/* Negative parts count as 0; the rest is scaled to sum to 1. */
static size_t contribution_row(float *w, const hw__layer_matrix *m, size_t l, size_t q) {
    const float *row = hw__trace_every(m->trace, m->source, l, q);
    for (size_t k = 0; k <= q; k++) w[k] = row[k] > 0 ? row[k] : 0;
    double sum = hw__sum(w, q + 1);
    for (size_t k = 0; k <= q && sum > 0; k++) w[k] = (float)(w[k] / sum);
    return q + 1;
}

size_t hw__layer_matrix_row(float *w, const hw__layer_matrix *m, size_t l, size_t q) {
    size_t n = m->source == HW_N_SIGNALS ? attention_row(w, m, l, q) : contribution_row(w, m, l, q);
    hw__layer_matrix_add_residual(w, n, q, hw__layer_matrix_residual(m, l, q));
    return n;
}

/* ------------------------------------------------------------------ settings */

uint32_t hw__layer_matrix_signals(const hw_method_params *p) {
    return p->residual_measured ? 1u << HW_SIGNAL_RESIDUAL : 0;
}

hw__layer_matrix hw__layer_matrix_of(const hw_trace *trace, const hw_method_params *p) {
    return (hw__layer_matrix){
        .trace = trace,
        .source = HW_N_SIGNALS,
        .residual = p->residual,
        .measured = p->residual_measured ? trace->signals.values[HW_SIGNAL_RESIDUAL] : NULL,
        .stride = trace->signals.n_tokens,
        .discard = p->discard,
        .remove_sink = p->remove_sink,
    };
}

/* Both lists have the same order. */
hw_signal hw__layer_matrix_contribution_source(hw_measure measure) {
    return (hw_signal)(HW_SIGNAL_ALL_PROJECTION + (int)measure);
}

/* Only the norm measures attention without the residual. */
static bool adds_residual(const hw_method_params *p) { return p->measure == HW_MEASURE_NORM; }

uint32_t hw__layer_matrix_contribution_signals(const hw_method_params *p) {
    return 1u << hw__layer_matrix_contribution_source(p->measure) |
           (adds_residual(p) ? hw__layer_matrix_signals(p) : 0);
}

hw__layer_matrix hw__layer_matrix_of_contributions(const hw_trace *trace, const hw_method_params *p) {
    hw__layer_matrix matrix = {.trace = trace, .source = hw__layer_matrix_contribution_source(p->measure)};
    if (!adds_residual(p)) return matrix;
    matrix.residual = p->residual;
    matrix.measured = p->residual_measured ? trace->signals.values[HW_SIGNAL_RESIDUAL] : NULL;
    matrix.stride = trace->signals.n_tokens;
    return matrix;
}
