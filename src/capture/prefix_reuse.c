/* prefix_reuse.c - selects rows of an earlier trace that a new run can reuse, and copies them. */
#include "capture/prefix_reuse.h"

#include "base/error.h"

#include <string.h>

/* Signals that exist for rows before the target rows too. */
static bool of_every_row(int signal) { return hw__signal_layout((hw_signal)signal) != HW__LAYOUT_ROWS; }

static bool same_model(const hw_run *a, const hw_run *b) {
    return a->causal && b->causal && a->model.n_layers == b->model.n_layers && a->model.n_vocab == b->model.n_vocab &&
           hw__same_model(&a->model, &b->model) && a->options.run.fuse == b->options.run.fuse &&
           a->options.f32_cache == b->options.f32_cache;
}

size_t hw__prefix_shared(const hw_trace *prefix, const hw_run *run, hw_row_retention kept, const int32_t *ids, size_t n,
                         uint32_t wanted) {
    if (!prefix || !same_model(prefix->run, run) || (kept == HW_ROWS_ALL && prefix->kept != HW_ROWS_ALL)) return 0;
    for (int i = 0; i < HW_N_SIGNALS; i++)
        if (wanted & 1u << i && of_every_row(i) && !prefix->signals.values[i]) return 0;
    size_t all = prefix->run->n_tokens - prefix->lacks_last, there = prefix->growing ? prefix->n_rows : all, shared = 0;
    while (shared < there && shared + HW__PREFIX_MIN_REST < n && prefix->run->tokens[shared].id == ids[shared])
        shared++;
    return shared - shared % HW__PREFIX_GROUP;
}

void hw__prefix_copy(hw_trace *trace, const hw_trace *prefix, size_t n, uint32_t wanted) {
    size_t floats = 0;
    hw__trace_layer_size(&floats, n, true); /* cannot overflow: checked when the trace was made */
    const hw_model_info *model = &trace->run->model;
    for (size_t l = 0; l < trace->n_layers; l++) {
        /* The last block provides contributions for target rows only; in the new run these rows are not target rows. */
        bool hidden = model->layers[l] == model->n_blocks - 1;
        if (trace->kept == HW_ROWS_ALL) memcpy(trace->rows[l], prefix->rows[l], floats * sizeof(float));
        for (int i = 0; i < HW_N_SIGNALS; i++) {
            if (!(wanted & 1u << i) || !of_every_row(i) || hidden) continue;
            size_t count = hw__signal_layout((hw_signal)i) == HW__LAYOUT_TOKENS ? n : floats;
            memcpy(hw__trace_signal_layer(trace, (hw_signal)i, l), hw__trace_signal_layer(prefix, (hw_signal)i, l),
                   count * sizeof(float));
        }
    }
    trace->n_rows = n;
    if (trace->kept == HW_ROWS_ALL) trace->rounding = prefix->rounding;
}
