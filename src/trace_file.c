/*
 * trace_file.c - a trace as a safetensors file, see docs/formats.md. Rows are kept as they lie in memory, so that a
 * reopened trace gives the same explanation bit for bit; what is read is checked like what an engine shows.
 *
 *     rows             F32 [L, T(T+1)/2] packed lower-triangular, or [L, T, T] where the model is not causal
 *     token_ids        I32 [T]
 *     signal.NAME      F32 [L, n+1, T], rows m-1 .. m+n-1; one for each signal that was captured
 *     signal.residual  F32 [L, T]
 *     signal.all_NAME  F32 [L, T(T+1)/2], every row, packed as `rows` are
 *
 * Where only some rows are kept, the metadata's `rows` says which: "interest" (m-1 and up) or "none"; the packed rows are
 * those alone.
 *
 * The balance that comes with the signal `logit` is JSON in the metadata.
 */
#include "balance_json.h"
#include "run_json.h"
#include "safetensors.h"
#include "trace.h"
#include "word.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char format[] = HW__TRACE_FORMAT;
enum { VERSION = 1, KEY_ROOM = 64 };

/* Dimensions of `rows` for the run's tokens, from the first one that is kept; false on overflow. */
static bool rows_shape(size_t *n_dims, size_t shape[3], const hw_run *run, size_t from) {
    shape[0] = (size_t)run->model.n_layers;
    shape[1] = shape[2] = run->n_tokens;
    *n_dims = run->causal ? 2 : 3;
    return !run->causal || hw__trace_kept_size(&shape[1], run->n_tokens, from, true);
}

/* "signal.projection" ... */
static const char *signal_key(char out[KEY_ROOM], int signal) {
    snprintf(out, KEY_ROOM, "signal.%s", hw_signal_name((hw_signal)signal));
    return out;
}

/* Dimensions of a signal's tensor; false on overflow. */
static bool signal_shape(size_t *n_dims, size_t shape[3], const hw_run *run, int signal) {
    hw__layout layout = hw__signal_layout((hw_signal)signal);
    *n_dims = layout == HW__LAYOUT_ROWS ? 3 : 2;
    shape[0] = (size_t)run->model.n_layers;
    shape[1] = layout == HW__LAYOUT_ROWS ? hw_run_n_completion(run) + 1 : run->n_tokens;
    shape[2] = run->n_tokens;
    return layout != HW__LAYOUT_EVERY || hw__trace_layer_size(&shape[1], run->n_tokens, true);
}

/* ------------------------------------------------------------------ save */

/* The map of strings; NULL when there is no memory. */
static json_t *make_metadata(const hw_trace *trace, const char *run) {
    json_t *metadata = json_pack("{s:s, s:s, s:s}", "format", format, "version", "1", "run", run);
    if (metadata && trace->kept != HW_ROWS_ALL &&
        json_object_set_new(metadata, "rows", json_string(hw_rows_name(trace->kept))) != 0) {
        json_decref(metadata);
        return NULL;
    }
    if (!metadata || !trace->signals.balance) return metadata;
    json_t *balance = hw__balance_to_json(trace->signals.balance, hw_run_n_completion(trace->run) + 1);
    char *text = balance ? json_dumps(balance, JSON_COMPACT) : NULL;
    bool ok = text && json_object_set_new(metadata, "balance", json_string(text)) == 0;
    free(text);
    json_decref(balance);
    if (ok) return metadata;
    json_decref(metadata);
    return NULL;
}

static hw_err write_header(hw__safetensors_writer *out, hw__file *file, const hw_trace *trace, hw_error *err) {
    const hw_run *run = trace->run;
    char keys[HW_N_SIGNALS][KEY_ROOM];
    size_t n = 2;
    hw__tensor tensors[2 + HW_N_SIGNALS] = {
        {.name = "rows", .dtype = HW__F32},
        {.name = "token_ids", .dtype = HW__I32, .n_dims = 1, .shape = {run->n_tokens}},
    };
    if (!rows_shape(&tensors[0].n_dims, tensors[0].shape, run, trace->rows_from))
        return hw__fail(err, HW_ERR_MEMORY, "%zu tokens are too many for one file", run->n_tokens);
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        if (!trace->signals.values[i]) continue;
        tensors[n] = (hw__tensor){.name = signal_key(keys[i], i), .dtype = HW__F32};
        if (!signal_shape(&tensors[n].n_dims, tensors[n].shape, run, i))
            return hw__fail(err, HW_ERR_MEMORY, "%zu tokens are too many for one file", run->n_tokens);
        n++;
    }
    char *text;
    hw_err rc = hw__run_to_text(&text, run, err);
    if (rc != HW_OK) return rc;
    json_t *metadata = make_metadata(trace, text);
    free(text);
    if (!metadata) return hw__fail(err, HW_ERR_MEMORY, "out of memory: the description of the trace");
    rc = hw__safetensors_begin(out, file, tensors, n, metadata, err);
    json_decref(metadata);
    return rc;
}

/* The room of the arrays may be more than the run's tokens; the file has what the run has. */
static void write_signal(hw__safetensors_writer *w, const hw_trace *trace, int signal) {
    size_t n = trace->run->n_tokens, n_rows = hw_run_n_completion(trace->run) + 1;
    hw__layout layout = hw__signal_layout((hw_signal)signal);
    for (size_t l = 0; l < trace->n_layers; l++) {
        const float *layer = hw__trace_signal_layer(trace, (hw_signal)signal, l);
        if (layout != HW__LAYOUT_ROWS)
            hw__safetensors_put_floats(w, layer, layout == HW__LAYOUT_TOKENS ? n : n * (n + 1) / 2);
        for (size_t r = 0; layout == HW__LAYOUT_ROWS && r < n_rows; r++)
            hw__safetensors_put_floats(w, layer + r * trace->signals.n_tokens, n);
    }
}

static void write_data(hw__safetensors_writer *w, const hw_trace *trace) {
    const hw_run *run = trace->run;
    for (size_t l = 0; l < trace->n_layers; l++) {
        for (size_t q = trace->rows_from; q < run->n_tokens; q++) {
            size_t n;
            const float *row = hw__trace_row(trace, l, q, &n);
            hw__safetensors_put_floats(w, row, n);
        }
    }
    for (size_t t = 0; t < run->n_tokens; t++) hw__safetensors_put_ints(w, &run->tokens[t].id, 1);
    for (int i = 0; i < HW_N_SIGNALS; i++)
        if (trace->signals.values[i]) write_signal(w, trace, i);
}

hw_err hw_trace_save(const hw_trace *trace, const char *path, hw_error *err) {
    hw__file file;
    hw__safetensors_writer writer;
    hw_err rc = hw__file_create(&file, path, err);
    if (rc != HW_OK) return rc;
    if ((rc = write_header(&writer, &file, trace, err)) != HW_OK) {
        hw__file_abort(&file);
        return rc;
    }
    write_data(&writer, trace);
    return hw__file_commit(&file, err);
}

/* ------------------------------------------------------------------ open */

static hw_err check_ids(hw__safetensors *file, const hw_run *run, hw_error *err) {
    const hw__tensor *tensor;
    hw_err rc = hw__safetensors_need(&tensor, file, "token_ids", HW__I32, 1, &run->n_tokens, err);
    if (rc != HW_OK) return rc;
    int64_t *ids = hw__alloc(run->n_tokens, sizeof *ids);
    if (!ids) return hw__fail_memory(err, "token ids", run->n_tokens, sizeof *ids);
    rc = hw__safetensors_ints(file, ids, tensor, 0, run->n_tokens, err);
    for (size_t t = 0; rc == HW_OK && t < run->n_tokens; t++)
        if (ids[t] != run->tokens[t].id)
            rc = hw__fail(err, HW_ERR_FORMAT, "token %zu has id %d in the run and %lld in token_ids", t,
                          run->tokens[t].id, (long long)ids[t]);
    free(ids);
    return rc;
}

static hw_err check_row(const float *row, size_t n, size_t layer, size_t q, bool sinks, hw_error *err) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        if (!(row[k] >= 0)) /* NaN too */
            return hw__fail(err, HW_ERR_FORMAT, "layer %zu, row %zu, column %zu: weight %g, must be 0 or more", layer,
                            q, k, row[k]);
        sum += row[k];
    }
    if (sum <= 1 + HW_ROW_TOLERANCE && (sinks || sum >= 1 - HW_ROW_TOLERANCE)) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT, "layer %zu, row %zu: weights sum to %g, must be 1 within %g%s", layer, q, sum,
                    HW_ROW_TOLERANCE, sinks ? ", or less" : "");
}

static hw_err read_rows(hw_trace *trace, hw__safetensors *file, const hw__tensor *tensor, hw_error *err) {
    const hw_run *run = trace->run;
    size_t layer_size = tensor->n / trace->n_layers;
    for (size_t l = 0; l < trace->n_layers; l++) {
        hw_err rc = hw__safetensors_floats(file, trace->rows[l], tensor, l * layer_size, layer_size, err);
        for (size_t q = trace->rows_from; rc == HW_OK && q < run->n_tokens; q++) {
            size_t n;
            const float *row = hw__trace_row(trace, l, q, &n);
            rc = check_row(row, n, l, q, run->model.has_sinks, err);
        }
        if (rc != HW_OK) return rc;
    }
    return HW_OK;
}

/* The tensors of the signals that the file holds, NULL for others; *wanted gets 1u << hw_signal, or-ed. */
static hw_err find_signals(const hw__tensor *tensors[HW_N_SIGNALS], uint32_t *wanted, const hw__safetensors *file,
                           const hw_run *run, hw_error *err) {
    *wanted = 0;
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        char key[KEY_ROOM];
        size_t shape[3], n_dims;
        tensors[i] = NULL;
        if (!hw__safetensors_find(file, signal_key(key, i))) continue;
        if (!signal_shape(&n_dims, shape, run, i))
            return hw__fail(err, HW_ERR_FORMAT, "%zu tokens are too many", run->n_tokens);
        hw_err rc = hw__safetensors_need(&tensors[i], file, key, HW__F32, n_dims, shape, err);
        if (rc != HW_OK) return rc;
        *wanted |= 1u << i;
    }
    return HW_OK;
}

static hw_err read_balance(hw_trace *trace, const hw__safetensors *file, hw_error *err) {
    const char *text = hw__safetensors_metadata(file, "balance");
    if (!text) return hw__fail(err, HW_ERR_FORMAT, "its metadata has no \"balance\", which goes with signal.logit");
    json_t *json;
    hw_err rc = hw__json_parse(&json, text, strlen(text), err);
    if (rc != HW_OK) return hw__fail_in(err, rc, "the balance");
    rc = hw__balance_from_json(trace->signals.balance, json, hw_run_n_completion(trace->run) + 1, err);
    json_decref(json);
    return rc;
}

static hw_err read_signals(hw_trace *trace, hw__safetensors *file, hw_error *err) {
    const hw__tensor *tensors[HW_N_SIGNALS];
    uint32_t wanted;
    hw_err rc = find_signals(tensors, &wanted, file, trace->run, err);
    if (rc != HW_OK || !wanted) return rc;
    rc = hw__trace_add_signals(trace, wanted, hw_run_n_completion(trace->run) + 1, trace->run->n_tokens, err);
    for (int i = 0; rc == HW_OK && i < HW_N_SIGNALS; i++) {
        const float *values = trace->signals.values[i];
        if (!tensors[i]) continue;
        rc = hw__safetensors_floats(file, trace->signals.values[i], tensors[i], 0, tensors[i]->n, err);
        for (size_t j = 0; rc == HW_OK && j < tensors[i]->n; j++)
            if (!isfinite(values[j]) || (i == HW_SIGNAL_RESIDUAL && !(values[j] >= 0 && values[j] <= 1)))
                rc = hw__fail(err, HW_ERR_FORMAT, "value %zu of tensor \"%s\" is %g%s", j, tensors[i]->name, values[j],
                              i == HW_SIGNAL_RESIDUAL ? ", must be 0 to 1" : "");
    }
    if (rc == HW_OK && trace->signals.balance) rc = read_balance(trace, file, err);
    return rc;
}

/* Which rows the file has: all where it does not say. */
static hw_err read_kept(hw_rows *out, const hw__safetensors *file, const hw_run *run, hw_error *err) {
    const char *word = hw__safetensors_metadata(file, "rows");
    *out = HW_ROWS_ALL;
    if (!word) return HW_OK;
    hw_err rc = hw__rows_parse(out, word, err);
    if (rc != HW_OK) return hw__fail_in(err, HW_ERR_FORMAT, "its metadata");
    if (*out != HW_ROWS_ALL && (!run->causal || run->n_prompt == 0))
        return hw__fail(err, HW_ERR_FORMAT, "its metadata has \"rows\": \"%s\", which is for causal runs with a prompt",
                        word);
    return HW_OK;
}

/* Takes over `run`, on failure too. */
static hw_err read_trace(hw_trace **out, hw_run *run, hw__safetensors *file, hw_error *err) {
    const hw__tensor *tensor;
    size_t n_dims, shape[3];
    hw_trace *trace = NULL;
    hw_rows kept;
    hw_err rc = read_kept(&kept, file, run, err);
    if (rc == HW_OK && !rows_shape(&n_dims, shape, run, hw__trace_rows_from(kept, run->n_prompt)))
        rc = hw__fail(err, HW_ERR_FORMAT, "%zu tokens are too many", run->n_tokens);
    if (rc == HW_OK) rc = hw__safetensors_need(&tensor, file, "rows", HW__F32, n_dims, shape, err);
    if (rc == HW_OK) rc = check_ids(file, run, err);
    if (rc == HW_OK) rc = hw__trace_new_kept(&trace, run, kept, run->n_tokens, err);
    if (rc != HW_OK) {
        hw__run_release(run);
        return rc;
    }
    rc = read_rows(trace, file, tensor, err);
    if (rc == HW_OK) rc = read_signals(trace, file, err);
    if (rc != HW_OK) {
        hw_trace_free(trace);
        return rc;
    }
    *out = trace;
    return HW_OK;
}

static hw_err open_file(hw_trace **out, hw__safetensors *file, hw_error *err) {
    hw_err rc = hw__safetensors_expect(file, format, VERSION, err);
    if (rc != HW_OK) return rc;
    const char *text = hw__safetensors_metadata(file, "run");
    if (!text) return hw__fail(err, HW_ERR_FORMAT, "its metadata has no \"run\"");
    hw_run *run;
    rc = hw__run_from_text(&run, text, err);
    return rc == HW_OK ? read_trace(out, run, file, err) : rc;
}

hw_err hw_trace_open(hw_trace **out, const char *path, hw_error *err) {
    hw__safetensors *file;
    hw_err rc = hw__safetensors_open(&file, path, err);
    if (rc != HW_OK) return rc;
    rc = open_file(out, file, err);
    hw__safetensors_close(file);
    return rc == HW_OK ? rc : hw__fail_in(err, rc, "%s", path);
}
