/* trace.c - memory of a trace; its file form is trace_file.c. */
#include "trace.h"

#include "error.h"

#include <assert.h>
#include <stdlib.h>

bool hw__trace_layer_size(size_t *out, size_t n_tokens, bool causal) {
    size_t next, product;
    if (!hw__add(&next, n_tokens, 1) || !hw__mul(&product, n_tokens, causal ? next : n_tokens)) return false;
    *out = causal ? product / 2 : product;
    return true;
}

hw_err hw__trace_new(hw_trace **out, hw_run *run, size_t n_tokens, hw_error *err) {
    size_t n_layers = (size_t)run->model.n_layers, floats;
    if (!hw__trace_layer_size(&floats, n_tokens, run->causal))
        return hw__fail(err, HW_ERR_MEMORY, "%zu tokens are too many for one trace", n_tokens);
    hw_trace *trace = hw__alloc(1, sizeof *trace);
    if (!trace) return hw__fail_memory(err, "a trace", 1, sizeof *trace);
    trace->rows = hw__alloc(n_layers, sizeof *trace->rows);
    if (!trace->rows) goto out;
    trace->n_layers = n_layers;
    trace->room = n_tokens;
    for (size_t l = 0; l < n_layers; l++)
        if (!(trace->rows[l] = hw__alloc(floats, sizeof(float)))) goto out;
    trace->run = run;
    *out = trace;
    return HW_OK;
out:
    hw_trace_free(trace);
    return hw__fail_memory(err, "the attention rows of the trace", n_layers * sizeof(float), floats);
}

void hw_trace_free(hw_trace *trace) {
    if (!trace) return;
    for (size_t l = 0; trace->rows && l < trace->n_layers; l++) free(trace->rows[l]);
    free(trace->rows);
    for (int i = 0; i < HW_N_SIGNALS; i++) free(trace->signals.values[i]);
    free(trace->signals.balance);
    hw__run_release(trace->run);
    free(trace);
}

const hw_run *hw_trace_run(const hw_trace *trace) { return trace->run; }

float *hw__trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n) {
    assert(l < trace->n_layers && q < trace->room);
    bool causal = trace->run->causal;
    *n = causal ? q + 1 : trace->room;
    return trace->rows[l] + (causal ? q * (q + 1) / 2 : q * trace->room);
}

const float *hw_trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n) {
    assert(q < trace->run->n_tokens);
    return hw__trace_row(trace, l, q, n);
}

hw__layout hw__signal_layout(hw_signal signal) {
    if (signal == HW_SIGNAL_RESIDUAL) return HW__LAYOUT_TOKENS;
    return signal < HW_SIGNAL_RESIDUAL ? HW__LAYOUT_ROWS : HW__LAYOUT_EVERY;
}

/* Floats of one layer; false on overflow. */
static bool signal_size(size_t *out, hw_signal signal, size_t n_rows, size_t n_tokens) {
    *out = n_tokens;
    switch (hw__signal_layout(signal)) {
    case HW__LAYOUT_ROWS: return hw__mul(out, n_rows, n_tokens);
    case HW__LAYOUT_TOKENS: return true;
    case HW__LAYOUT_EVERY: return hw__trace_layer_size(out, n_tokens, true);
    }
    return false;
}

hw_err hw__trace_add_signals(hw_trace *trace, uint32_t wanted, size_t n_rows, size_t n_tokens, hw_error *err) {
    hw__signals *s = &trace->signals;
    s->n_rows = n_rows;
    s->n_tokens = n_tokens;
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        size_t layer, floats;
        if (!(wanted & 1u << i)) continue;
        if (!signal_size(&layer, (hw_signal)i, n_rows, n_tokens) || !hw__mul(&floats, trace->n_layers, layer))
            floats = SIZE_MAX;
        s->values[i] = hw__alloc(floats, sizeof(float));
        if (!s->values[i]) return hw__fail_memory(err, hw_signal_name((hw_signal)i), floats, sizeof(float));
    }
    if (wanted & 1u << HW_SIGNAL_LOGIT && !(s->balance = hw__alloc(n_rows, sizeof *s->balance)))
        return hw__fail_memory(err, "the logit balance", n_rows, sizeof *s->balance);
    return HW_OK;
}

float *hw__trace_signal_layer(const hw_trace *trace, hw_signal signal, size_t l) {
    size_t layer = 0;
    assert(trace->signals.values[signal] && l < trace->n_layers);
    signal_size(&layer, signal, trace->signals.n_rows, trace->signals.n_tokens); /* it fitted when the room was made */
    return trace->signals.values[signal] + l * layer;
}

float *hw__trace_signal(const hw_trace *trace, hw_signal signal, size_t l, size_t r) {
    assert(hw__signal_layout(signal) == HW__LAYOUT_ROWS && r < trace->signals.n_rows);
    return hw__trace_signal_layer(trace, signal, l) + r * trace->signals.n_tokens;
}

float *hw__trace_every(const hw_trace *trace, hw_signal signal, size_t l, size_t q) {
    assert(hw__signal_layout(signal) == HW__LAYOUT_EVERY && q < trace->signals.n_tokens);
    return hw__trace_signal_layer(trace, signal, l) + q * (q + 1) / 2;
}

bool hw_trace_has(const hw_trace *trace, hw_signal signal) {
    return (unsigned)signal < HW_N_SIGNALS && trace->signals.values[signal] != NULL;
}
