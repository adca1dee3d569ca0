/* trace.c - memory of a trace; trace_file.c reads and writes it. */
#include "data/trace.h"

#include "base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool hw__trace_layer_size(size_t *out, size_t n_tokens, bool causal) {
    size_t next, product;
    if (!hw__add(&next, n_tokens, 1) || !hw__mul(&product, n_tokens, causal ? next : n_tokens)) return false;
    *out = causal ? product / 2 : product;
    return true;
}

bool hw__trace_kept_size(size_t *out, size_t n_tokens, size_t rows_from, bool causal) {
    size_t all, left_out = 0;
    if (!hw__trace_layer_size(&all, n_tokens, causal)) return false;
    if (rows_from > 0 && !hw__trace_layer_size(&left_out, rows_from < n_tokens ? rows_from : n_tokens, causal))
        return false;
    *out = all - left_out;
    return true;
}

size_t hw__trace_rows_from(hw_row_retention kept, size_t n_prompt) {
    if (kept == HW_ROWS_ALL) return 0;
    return kept == HW_ROWS_TARGET ? n_prompt - 1 : SIZE_MAX;
}

hw_err hw__trace_new(hw_trace **out, hw_run *run, size_t n_tokens, hw_error *err) {
    return hw__trace_new_kept(out, run, HW_ROWS_ALL, n_tokens, err);
}

hw_err hw__trace_new_kept(hw_trace **out, hw_run *run, hw_row_retention kept, size_t n_tokens, hw_error *err) {
    size_t n_layers = (size_t)run->model.n_layers, floats, from = hw__trace_rows_from(kept, run->n_prompt);
    assert(run->causal || kept == HW_ROWS_ALL);
    if (!hw__trace_kept_size(&floats, n_tokens, from, run->causal))
        return hw__fail(err, HW_ERR_MEMORY, "%zu tokens are too many for one trace", n_tokens);
    hw_trace *trace = hw__alloc(1, sizeof *trace);
    if (!trace) return hw__fail_memory(err, "a trace", 1, sizeof *trace);
    trace->rows = hw__alloc(n_layers, sizeof *trace->rows);
    if (!trace->rows) goto out;
    trace->n_layers = n_layers;
    trace->n_sources = (size_t)run->model.n_sources;
    trace->capacity = n_tokens;
    trace->kept = kept;
    trace->rows_from = from;
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
    free(trace->window.cells);
    for (int i = 0; i < HW_N_SIGNALS; i++) free(trace->signals.values[i]);
    free(trace->signals.groups);
    free(trace->signals.balance);
    hw__run_release(trace->run);
    free(trace);
}

const hw_run *hw_trace_run(const hw_trace *trace) { return trace->run; }

hw_row_retention hw_trace_rows(const hw_trace *trace) { return trace->kept; }

/* Floats of a causal layer before row q. */
static size_t before_row(size_t q) { return q * (q + 1) / 2; }

static size_t fewer(size_t a, size_t b) { return a < b ? a : b; }

void hw__trace_prefault(const hw_trace *trace) {
    const hw__signals *s = &trace->signals;
    size_t first = trace->run->n_prompt - 1, end = fewer(first + HW__PREFAULTED_ROWS, trace->capacity), n;
    for (size_t l = 0; l < trace->n_layers && first >= trace->rows_from; l++)
        hw__prefault(hw__trace_row(trace, l, first, &n), (before_row(end) - before_row(first)) * sizeof(float));
    for (int i = 0; i < HW_SIGNAL_RESIDUAL; i++)
        for (size_t l = 0; hw_trace_has(trace, (hw_signal)i) && l < trace->n_sources; l++)
            hw__prefault(hw__trace_signal(trace, (hw_signal)i, l, 0),
                         fewer(s->n_rows, HW__PREFAULTED_ROWS) * s->width * sizeof(float));
}

hw_err hw__trace_stream(hw_trace *trace, size_t l, size_t first, size_t end, hw_error *err) {
    hw__window *w = &trace->window;
    if (end > trace->rows_from) end = trace->rows_from;
    *w = (hw__window){w->cells, w->capacity, l, first, end > first ? end : first};
    size_t floats = before_row(w->end) - before_row(first);
    if (floats <= w->capacity) return HW_OK;
    float *cells = hw__realloc(w->cells, floats, sizeof *cells);
    if (!cells) return hw__fail_memory(err, "rows of a chunk", floats, sizeof *cells);
    w->cells = cells;
    w->capacity = floats;
    return HW_OK;
}

float *hw__trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n) {
    const hw__window *w = &trace->window;
    assert(l < trace->n_layers && q < trace->capacity);
    *n = trace->run->causal ? q + 1 : trace->capacity;
    if (!trace->run->causal) return trace->rows[l] + q * trace->capacity;
    if (q >= trace->rows_from)
        return trace->rows[l] + (before_row(q) - (trace->rows_from ? before_row(trace->rows_from) : 0));
    assert(l == w->layer && q >= w->first && q < w->end);
    return w->cells + (before_row(q) - before_row(w->first));
}

const float *hw_trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n) {
    assert(q < trace->run->n_tokens);
    bool computed = !trace->lacks_last || q + 1 < trace->run->n_tokens;
    if (q >= trace->rows_from && computed) return hw__trace_row(trace, l, q, n);
    *n = 0;
    return NULL;
}

hw__layout hw__signal_layout(hw_signal signal) {
    if (signal == HW_SIGNAL_RESIDUAL) return HW__LAYOUT_TOKENS;
    return signal < HW_SIGNAL_RESIDUAL ? HW__LAYOUT_ROWS : HW__LAYOUT_EVERY;
}

/* Floats of one layer; false on overflow. */
static bool signal_size(size_t *out, hw_signal signal, const hw__signals *s) {
    *out = s->n_tokens;
    switch (hw__signal_layout(signal)) {
    case HW__LAYOUT_ROWS: return hw__mul(out, s->n_rows, s->width);
    case HW__LAYOUT_TOKENS: return true;
    case HW__LAYOUT_EVERY: return hw__trace_layer_size(out, s->n_tokens, true);
    }
    return false;
}

hw_err hw__trace_group_signals(hw_trace *trace, const int32_t *groups, size_t n_groups, hw_error *err) {
    size_t m = trace->run->n_prompt;
    trace->signals.groups = hw__alloc(m, sizeof *groups);
    if (!trace->signals.groups) return hw__fail_memory(err, "groups of signals", m, sizeof *groups);
    memcpy(trace->signals.groups, groups, m * sizeof *groups);
    trace->signals.n_groups = n_groups;
    return HW_OK;
}

hw_err hw__trace_add_signals(hw_trace *trace, uint32_t wanted, size_t n_rows, size_t n_tokens, hw_error *err) {
    hw__signals *s = &trace->signals;
    s->n_rows = n_rows;
    s->n_tokens = n_tokens;
    s->width = s->groups ? 1 + s->n_groups : n_tokens;
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        size_t layer, floats;
        if (!(wanted & 1u << i)) continue;
        if (!signal_size(&layer, (hw_signal)i, s) ||
            !hw__mul(&floats, hw__trace_signal_layers(trace, (hw_signal)i), layer))
            floats = SIZE_MAX;
        s->values[i] = hw__alloc(floats, sizeof(float));
        if (!s->values[i]) return hw__fail_memory(err, hw_signal_name((hw_signal)i), floats, sizeof(float));
    }
    if (wanted & 1u << HW_SIGNAL_LOGIT && !(s->balance = hw__alloc(n_rows, sizeof *s->balance)))
        return hw__fail_memory(err, "the logit balance", n_rows, sizeof *s->balance);
    return HW_OK;
}

size_t hw__trace_signal_layers(const hw_trace *trace, hw_signal signal) {
    return signal == HW_SIGNAL_RESIDUAL ? trace->n_layers : trace->n_sources;
}

float *hw__trace_signal_layer(const hw_trace *trace, hw_signal signal, size_t l) {
    size_t layer = 0;
    assert(trace->signals.values[signal] && l < hw__trace_signal_layers(trace, signal));
    signal_size(&layer, signal, &trace->signals); /* cannot fail: checked when the array was allocated */
    return trace->signals.values[signal] + l * layer;
}

float *hw__trace_signal(const hw_trace *trace, hw_signal signal, size_t l, size_t r) {
    assert(hw__signal_layout(signal) == HW__LAYOUT_ROWS && r < trace->signals.n_rows);
    return hw__trace_signal_layer(trace, signal, l) + r * trace->signals.width;
}

float *hw__trace_every(const hw_trace *trace, hw_signal signal, size_t l, size_t q) {
    assert(hw__signal_layout(signal) == HW__LAYOUT_EVERY && q < trace->signals.n_tokens);
    return hw__trace_signal_layer(trace, signal, l) + q * (q + 1) / 2;
}

bool hw_trace_has(const hw_trace *trace, hw_signal signal) {
    bool whole = signal != HW_SIGNAL_PROJECTION || !trace->gathered_only;
    return (unsigned)signal < HW_N_SIGNALS && trace->signals.values[signal] != NULL && whole;
}
