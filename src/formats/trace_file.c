/*
 * trace_file.c - a trace as a safetensors file, see docs/reference/formats.md. Rows are stored as in memory, so that a
 * reopened trace gives the same explanation bit for bit; what is read is checked like what an engine produces.
 *
 *     rows             F32 or F16 [L, T(T+1)/2] packed lower-triangular, or [L, T, T] if the model is not causal
 *     token_ids        I32 [T]
 *     signal.NAME      F32 [L, n+1, T], rows m-1 .. m+n-1; one for each signal that was captured
 *     signal.residual  F32 [L, T]
 *     signal.all_NAME  F32 [L, T(T+1)/2], every row, packed like `rows`
 *     cache            U8, in a state: see below; `cache_sha256` in the metadata is its checksum
 *
 * If only some rows are kept, `rows` in the metadata says which: "interest" (m-1 and up) or "none"; the packed rows are
 * only those.
 *
 * The balance that belongs to signal `logit` is JSON in the metadata, and so is, for rows in F16, how much mass
 * rounding moved.
 */
#include "formats/trace_file.h"

#include "base/float16.h"
#include "base/parallel_for.h"
#include "base/sized.h"
#include "data/enum_names.h"
#include "formats/attribution_json.h"
#include "formats/run_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char format[] = HW__TRACE_FORMAT;
enum { VERSION = 1, KEY_CAPACITY = 64 };

/* Dimensions of `rows` for the run's tokens, from the first row kept; false on overflow. */
static bool rows_shape(size_t *n_dims, size_t shape[3], const hw_run *run, size_t from) {
    shape[0] = (size_t)run->model.n_layers;
    shape[1] = shape[2] = run->n_tokens;
    *n_dims = run->causal ? 2 : 3;
    return !run->causal || hw__trace_kept_size(&shape[1], run->n_tokens, from, true);
}

/* "signal.projection" ... */
static const char *signal_key(char out[KEY_CAPACITY], int signal) {
    snprintf(out, KEY_CAPACITY, "signal.%s", hw_signal_name((hw_signal)signal));
    return out;
}

/* Dimensions of a signal's tensor; false on overflow. */
static bool signal_shape(size_t *n_dims, size_t shape[3], const hw_run *run, int signal) {
    hw__layout layout = hw__signal_layout((hw_signal)signal);
    *n_dims = layout == HW__LAYOUT_ROWS ? 3 : 2;
    shape[0] = (size_t)(signal == HW_SIGNAL_RESIDUAL ? run->model.n_layers : run->model.n_sources);
    shape[1] = layout == HW__LAYOUT_ROWS ? hw_run_n_completion(run) + 1 : run->n_tokens;
    shape[2] = run->n_tokens;
    return layout != HW__LAYOUT_EVERY || hw__trace_layer_size(&shape[1], run->n_tokens, true);
}

/* ------------------------------------------------------------------ the cache of a state
 *
 * A state is a trace file with one more tensor, the engine's keys and values of the run's tokens. Any reader of traces
 * can read it; together with its model it also saves decoding these tokens. The engine checks the structure of the
 * cache's bytes (kv_cache.c). That cannot show whether a key or a value is right, so the metadata has the SHA-256 of
 * all bytes. */

static int32_t *token_ids(const hw_run *run) {
    int32_t *ids = hw__alloc(run->n_tokens, sizeof *ids);
    for (size_t t = 0; ids && t < run->n_tokens; t++) ids[t] = run->tokens[t].id;
    return ids;
}

static hw_err state_cache(hw__cache *out, const hw_trace *trace, hw_model *model, hw_error *err) {
    hw__engine *engine = model->engine;
    if (!engine->ops->save)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "engine %s keeps no cache", engine->ops->describe(engine)->engine);
    int32_t *ids = token_ids(trace->run);
    if (!ids) return hw__fail_memory(err, "token ids", trace->run->n_tokens, sizeof *ids);
    hw_err rc = engine->ops->save(engine, out, ids, trace->run->n_tokens, err);
    free(ids);
    return rc;
}

void hw__cache_sha256(char out[HW__SHA256_CAPACITY], const hw__cache *cache) {
    hw__sha256 hash;
    hw__sha256_begin(&hash);
    hw__sha256_add(&hash, cache->bytes, cache->n_bytes);
    hw__sha256_hex(&hash, out);
}

/* ------------------------------------------------------------------ rounding */

/* A half has an error of at most 2^-11 of a weight, or of 2^-25 if it is subnormal; weights sum to 1 within the
 * tolerance, which hw_trace_rounding() adds once more. */
static double max_rounding(size_t n_tokens) {
    return (0x1p-11 + 0x1p-25 * (double)n_tokens) * (1 + HW_ROW_TOLERANCE) * (1 + HW_ROW_TOLERANCE);
}

static double moved(const float *row, size_t n) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += fabsf(hw__float_of_half(hw__half_of_float(row[k])) - row[k]);
    return sum;
}

/* A row that rollout composes is (a + e) / (1 + sum a): a change in a causes at most 2 / (1 + sum a) times that change
 * there, and the sum is 1 within the tolerance.
 *
 * No row is rounded twice: a row read from halves already is a half, all others have not been rounded before. The
 * amount stated by a longer trace, of which this one is a prefix, may be more than rows as short as these can have. */
double hw_trace_rounding(const hw_trace *trace, hw_precision precision) {
    double max = 0;
    for (size_t l = 0; precision == HW_PRECISION_F16 && l < trace->n_layers; l++) {
        for (size_t q = trace->rows_from; q < trace->run->n_tokens; q++) {
            size_t n;
            const float *row = hw__trace_row(trace, l, q, &n);
            double row_moved = moved(row, n);
            max = row_moved > max ? row_moved : max;
        }
    }
    return fmin(fmax(trace->rounding, max * (1 + HW_ROW_TOLERANCE)), max_rounding(trace->run->n_tokens));
}

/* ------------------------------------------------------------------ save */

/* Leaves out a NULL. */
static bool put_text(json_t *metadata, const char *key, const char *text) {
    return !text || json_object_set_new(metadata, key, json_string(text)) == 0;
}

static bool put_balance(json_t *metadata, const hw_trace *trace) {
    if (!trace->signals.balance) return true;
    json_t *balance = hw__balance_to_json(trace->signals.balance, hw_run_n_completion(trace->run) + 1);
    char *text = balance ? hw__json_dump(balance, JSON_COMPACT) : NULL;
    bool ok = text && put_text(metadata, "balance", text);
    free(text);
    json_decref(balance);
    return ok;
}

static bool put_cache(json_t *metadata, const hw__cache *cache) {
    char digits[HW__SHA256_CAPACITY];
    if (!cache->bytes) return true;
    hw__cache_sha256(digits, cache);
    return put_text(metadata, HW__CACHE_SHA256, digits);
}

/* The map of strings; NULL when memory runs out. */
static json_t *make_metadata(const hw_trace *trace, const char *run, double rounding, const hw__cache *cache) {
    char number[32];
    snprintf(number, sizeof number, "%.3e", rounding);
    json_t *metadata = json_pack("{s:s, s:s, s:s}", "format", format, "version", "1", "run", run);
    if (metadata && put_text(metadata, "rounding", rounding > 0 ? number : NULL) &&
        put_text(metadata, "rows", trace->kept == HW_ROWS_ALL ? NULL : hw_row_retention_name(trace->kept)) &&
        put_cache(metadata, cache) && put_balance(metadata, trace))
        return metadata;
    json_decref(metadata);
    return NULL;
}

static hw_err write_header(hw__safetensors_writer *out, hw__file *file, const hw_trace *trace, hw_precision precision,
                           const hw__cache *cache, hw_error *err) {
    const hw_run *run = trace->run;
    char keys[HW_N_SIGNALS][KEY_CAPACITY];
    size_t n = 2;
    hw__tensor tensors[3 + HW_N_SIGNALS] = {
        {.name = "rows", .dtype = precision == HW_PRECISION_F16 ? HW__F16 : HW__F32},
        {.name = "token_ids", .dtype = HW__I32, .n_dims = 1, .shape = {run->n_tokens}},
    };
    if (!rows_shape(&tensors[0].n_dims, tensors[0].shape, run, trace->rows_from))
        return hw__fail(err, HW_ERR_MEMORY, "%zu tokens are too many for one file", run->n_tokens);
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        if (!hw_trace_has(trace, (hw_signal)i)) continue;
        tensors[n] = (hw__tensor){.name = signal_key(keys[i], i), .dtype = HW__F32};
        if (!signal_shape(&tensors[n].n_dims, tensors[n].shape, run, i))
            return hw__fail(err, HW_ERR_MEMORY, "%zu tokens are too many for one file", run->n_tokens);
        n++;
    }
    if (cache->bytes)
        tensors[n++] = (hw__tensor){.name = HW__CACHE, .dtype = HW__U8, .n_dims = 1, .shape = {cache->n_bytes}};
    char *text;
    hw_err rc = hw__run_to_text(&text, run, err);
    if (rc != HW_OK) return rc;
    json_t *metadata = make_metadata(trace, text, hw_trace_rounding(trace, precision), cache);
    free(text);
    if (!metadata) return hw__fail(err, HW_ERR_MEMORY, "out of memory: the description of the trace");
    rc = hw__safetensors_begin(out, file, tensors, n, metadata, err);
    json_decref(metadata);
    return rc;
}

/* The arrays may have a larger capacity than the run has tokens; only the run's part is written. */
static void write_signal(hw__safetensors_writer *w, const hw_trace *trace, int signal) {
    size_t n = trace->run->n_tokens, n_rows = hw_run_n_completion(trace->run) + 1;
    hw__layout layout = hw__signal_layout((hw_signal)signal);
    for (size_t l = 0; l < hw__trace_signal_layers(trace, (hw_signal)signal); l++) {
        const float *layer = hw__trace_signal_layer(trace, (hw_signal)signal, l);
        if (layout != HW__LAYOUT_ROWS)
            hw__safetensors_put_floats(w, layer, layout == HW__LAYOUT_TOKENS ? n : n * (n + 1) / 2);
        for (size_t r = 0; layout == HW__LAYOUT_ROWS && r < n_rows; r++)
            hw__safetensors_put_floats(w, layer + r * trace->signals.width, n);
    }
}

static void write_data(hw__safetensors_writer *w, const hw_trace *trace, hw_precision precision,
                       const hw__cache *cache) {
    const hw_run *run = trace->run;
    for (size_t l = 0; l < trace->n_layers; l++) {
        for (size_t q = trace->rows_from; q < run->n_tokens; q++) {
            size_t n;
            const float *row = hw__trace_row(trace, l, q, &n);
            if (precision == HW_PRECISION_F16) {
                hw__safetensors_put_halves(w, row, n);
            } else {
                hw__safetensors_put_floats(w, row, n);
            }
        }
    }
    for (size_t t = 0; t < run->n_tokens; t++) hw__safetensors_put_ints(w, &run->tokens[t].id, 1);
    for (int i = 0; i < HW_N_SIGNALS; i++)
        if (hw_trace_has(trace, (hw_signal)i)) write_signal(w, trace, i);
    if (cache->bytes) hw__safetensors_put_bytes(w, cache->bytes, cache->n_bytes);
}

/* Into a file just created; an error removes it. */
static hw_err save(hw__file *file, const hw_trace *trace, hw_precision precision, const hw__cache *cache,
                   hw_error *err) {
    hw__safetensors_writer writer;
    hw_err rc = write_header(&writer, file, trace, precision, cache, err);
    if (rc == HW_OK) {
        write_data(&writer, trace, precision, cache);
    } else {
        hw__file_abort(file);
    }
    return rc;
}

void hw_save_params_init(hw_save_params *params, size_t size) {
    const hw_save_params defaults = {.size = sizeof defaults};
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

/* Reads the params and checks that the trace can be saved with them. */
static hw_err read_params(hw_save_params *own, const hw_trace *trace, const hw_save_params *params, hw_error *err) {
    if (!trace) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a trace is needed");
    *own = hw_save_params_default();
    hw_err rc = hw__params_read(own, sizeof *own, params, "hw_save_params", err);
    if (rc != HW_OK) return rc;
    if ((unsigned)own->precision > HW_PRECISION_F16)
        return hw__fail(err, HW_ERR_ARGUMENT, "precision %d: f32 or f16", (int)own->precision);
    if (trace->signals.groups)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "this trace keeps its signals summed by %zu groups of columns: files hold them by token",
                        trace->signals.n_groups);
    if (trace->lacks_last)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "this trace lacks the last token's own row, which no method of its run reads: an explainer "
                        "that keeps \"methods\" or more has it");
    return HW_OK;
}

hw_err hw_trace_save_as(const hw_trace *trace, const char *path, const hw_save_params *params, hw_error *err) {
    hw__cache cache = {0};
    hw_save_params p;
    hw__file file;
    hw_err rc = read_params(&p, trace, params, err);
    if (rc == HW_OK && p.model) rc = state_cache(&cache, trace, p.model, err);
    if (rc == HW_OK) rc = hw__file_create(&file, path, err);
    if (rc == HW_OK && (rc = save(&file, trace, p.precision, &cache, err)) == HW_OK) rc = hw__file_commit(&file, err);
    free(cache.bytes);
    return rc;
}

hw_err hw_trace_to_bytes(char **out, size_t *n_bytes, const hw_trace *trace, const hw_save_params *params,
                         hw_error *err) {
    hw__cache cache = {0};
    hw_save_params p;
    hw__file file;
    hw_err rc = read_params(&p, trace, params, err);
    if (rc == HW_OK && p.model) rc = state_cache(&cache, trace, p.model, err);
    if (rc == HW_OK) rc = hw__file_create_memory(&file, err);
    if (rc == HW_OK && (rc = save(&file, trace, p.precision, &cache, err)) == HW_OK)
        rc = hw__file_take(&file, out, n_bytes, err);
    free(cache.bytes);
    return rc;
}

hw_err hw_trace_save(const hw_trace *trace, const char *path, hw_error *err) {
    return hw_trace_save_as(trace, path, NULL, err);
}

/* ------------------------------------------------------------------ open */

static hw_err check_ids(hw__safetensors *file, const hw_run *run, hw_error *err) {
    const hw__tensor *tensor;
    hw_err rc = hw__safetensors_need(&tensor, file, "token_ids", (hw__tensor_form){HW__I32, 1, &run->n_tokens}, err);
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

/* Sum of a row, in parallel lanes; *wrong counts negative weights and NaN. */
static double sum_row(const float *row, size_t n, size_t *wrong) {
    enum { LANES = 8 };
    double sums[LANES] = {0}, sum = 0;
    uint32_t bad[LANES] = {0};
    size_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (size_t i = 0; i < LANES; i++) {
            sums[i] += row[k + i];
            bad[i] += !(row[k + i] >= 0);
        }
    *wrong = 0;
    for (; k < n; k++) {
        sum += row[k];
        *wrong += !(row[k] >= 0);
    }
    for (size_t i = 0; i < LANES; i++) {
        sum += sums[i];
        *wrong += bad[i];
    }
    return sum;
}

/* `off`: accepted distance of the sum from 1. */
static hw_err check_row(const hw_trace *trace, size_t layer, size_t q, hw_error *err) {
    size_t n;
    const float *row = hw__trace_row(trace, layer, q, &n);
    bool sinks = trace->run->model.has_sinks;
    double off = HW_ROW_TOLERANCE + trace->rounding;
    size_t wrong;
    double sum = sum_row(row, n, &wrong);
    for (size_t k = 0; wrong && k < n; k++)
        if (!(row[k] >= 0))
            return hw__fail(err, HW_ERR_FORMAT, "layer %zu, row %zu, column %zu: weight %g, must be 0 or more", layer,
                            q, k, row[k]);
    if (sum <= 1 + off && (sinks || sum >= 1 - off)) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT, "layer %zu, row %zu: weights sum to %g, must be 1 within %g%s", layer, q, sum,
                    off, sinks ? ", or less" : "");
}

/* Source of the rows of a trace. */
typedef struct rows_source {
    hw_trace *trace;
    const hw__safetensors *file;
    const hw__tensor *tensor;
} rows_source;

static hw_err read_layer(void *ctx, size_t l, hw_error *err) {
    const rows_source *from = ctx;
    const hw_trace *trace = from->trace;
    const hw_run *run = trace->run;
    size_t layer_size = from->tensor->n / trace->n_layers;
    hw_err rc = hw__safetensors_floats(from->file, trace->rows[l], from->tensor, l * layer_size, layer_size, err);
    for (size_t q = trace->rows_from; rc == HW_OK && q < run->n_tokens; q++) rc = check_row(trace, l, q, err);
    return rc;
}

/* Reads how much mass rounding moved according to the file. Present only with rows in F16, and at most twice the
 * maximum that F16 allows. */
static hw_err read_rounding(double *out, const hw__safetensors *file, const hw_run *run, bool halves, hw_error *err) {
    const char *text = hw__safetensors_metadata(file, "rounding");
    double max = 2 * max_rounding(run->n_tokens), v;
    char *end;
    *out = 0;
    if (!text && !halves) return HW_OK;
    if (!text) return hw__fail(err, HW_ERR_FORMAT, "its rows are F16 and its metadata has no \"rounding\"");
    v = strtod(text, &end);
    if (strspn(text, "0123456789.e-") != strlen(text) || end == text || *end || !(v >= 0 && v <= max))
        return hw__fail(err, HW_ERR_FORMAT, "\"rounding\" in its metadata must be a number from 0 to %g", max);
    *out = v;
    return HW_OK;
}

/* The tensors of the signals that the file holds, NULL for others; *wanted gets 1u << hw_signal, or-ed. */
static hw_err find_signals(const hw__tensor *tensors[HW_N_SIGNALS], uint32_t *wanted, const hw__safetensors *file,
                           const hw_run *run, hw_error *err) {
    *wanted = 0;
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        char key[KEY_CAPACITY];
        size_t shape[3], n_dims;
        tensors[i] = NULL;
        if (!hw__safetensors_find(file, signal_key(key, i))) continue;
        if (!signal_shape(&n_dims, shape, run, i))
            return hw__fail(err, HW_ERR_FORMAT, "%zu tokens are too many", run->n_tokens);
        hw_err rc = hw__safetensors_need(&tensors[i], file, key, (hw__tensor_form){HW__F32, n_dims, shape}, err);
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

/* Finds `rows`, in either precision. */
static hw_err find_rows(const hw__tensor **out, const hw__safetensors *file, const hw_run *run, hw_row_retention kept,
                        hw_error *err) {
    size_t n_dims, shape[3];
    if (!rows_shape(&n_dims, shape, run, hw__trace_rows_from(kept, run->n_prompt)))
        return hw__fail(err, HW_ERR_FORMAT, "%zu tokens are too many", run->n_tokens);
    const hw__tensor *found = hw__safetensors_find(file, "rows");
    hw__dtype dtype = found && found->dtype == HW__F16 ? HW__F16 : HW__F32;
    return hw__safetensors_need(out, file, "rows", (hw__tensor_form){dtype, n_dims, shape}, err);
}

/* Which rows the file has: all if it does not say. */
static hw_err read_kept(hw_row_retention *out, const hw__safetensors *file, const hw_run *run, hw_error *err) {
    const char *word = hw__safetensors_metadata(file, "rows");
    *out = HW_ROWS_ALL;
    if (!word) return HW_OK;
    hw_err rc = hw__row_retention_parse(out, word, err);
    if (rc != HW_OK) return hw__fail_in(err, HW_ERR_FORMAT, "its metadata");
    if (*out != HW_ROWS_ALL && (!run->causal || run->n_prompt == 0))
        return hw__fail(err, HW_ERR_FORMAT, "its metadata has \"rows\": \"%s\", which is for causal runs with a prompt",
                        word);
    return HW_OK;
}

/* Takes over `run`, also on failure. */
static hw_err read_trace(hw_trace **out, hw_run *run, hw__safetensors *file, hw_error *err) {
    const hw__tensor *tensor;
    hw_trace *trace = NULL;
    double rounding;
    hw_row_retention kept;
    hw_err rc = read_kept(&kept, file, run, err);
    if (rc == HW_OK) rc = find_rows(&tensor, file, run, kept, err);
    if (rc == HW_OK) rc = read_rounding(&rounding, file, run, tensor->dtype == HW__F16, err);
    if (rc == HW_OK) rc = check_ids(file, run, err);
    if (rc == HW_OK) rc = hw__trace_new_kept(&trace, run, kept, run->n_tokens, err);
    if (rc != HW_OK) {
        hw__run_release(run);
        return rc;
    }
    trace->rounding = rounding;
    rows_source from = {trace, file, tensor};
    /* Each layer needs new memory and a sum over it, so threads share them if there are many floats. */
    rc = hw__parallel_for(trace->n_layers, tensor->n > 1u << 20 ? 0 : 1, read_layer, &from, err);
    if (rc == HW_OK) rc = read_signals(trace, file, err);
    if (rc != HW_OK) {
        hw_trace_free(trace);
        return rc;
    }
    *out = trace;
    return HW_OK;
}

static hw_err read_file(hw_trace **out, hw__safetensors *file, hw_error *err) {
    hw_err rc = hw__safetensors_expect(file, format, VERSION, err);
    if (rc != HW_OK) return rc;
    const char *text = hw__safetensors_metadata(file, "run");
    if (!text) return hw__fail(err, HW_ERR_FORMAT, "its metadata has no \"run\"");
    hw_run *run;
    rc = hw__run_from_text(&run, text, err);
    return rc == HW_OK ? read_trace(out, run, file, err) : rc;
}

static hw_err open_trace(hw_trace **out, hw__input from, hw_error *err) {
    hw__safetensors *file;
    hw_err rc = hw__safetensors_read(&file, from, err);
    if (rc != HW_OK) return rc;
    rc = read_file(out, file, err);
    hw__safetensors_close(file);
    return rc == HW_OK ? rc : hw__fail_in(err, rc, "%s", from.path);
}

hw_err hw_trace_open(hw_trace **out, const char *path, hw_error *err) {
    return open_trace(out, (hw__input){.path = path}, err);
}

hw_err hw_trace_open_bytes(hw_trace **out, const void *bytes, size_t n_bytes, hw_error *err) {
    return open_trace(out, hw__input_bytes(bytes, n_bytes), err);
}

/* ------------------------------------------------------------------ a state */

/* A cache is valid only for the weights, the version and the settings that filled it. */
static hw_err check_model(const hw_run *run, const hw_model *model, hw_error *err) {
    const hw_model_info *is = model->engine->ops->describe(model->engine), *was = &run->model;
    if (!model->engine->ops->restore) return hw__fail(err, HW_ERR_UNSUPPORTED, "engine %s keeps no cache", is->engine);
    if (!hw__same_model(is, was) || is->n_bytes != was->n_bytes)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "it was made by another model (%s) than %s", was->path, is->path);
    if (strcmp(is->engine, was->engine) != 0 || strcmp(is->engine_version, was->engine_version) != 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "its cache is of %s %s, this is %s %s", was->engine,
                        was->engine_version, is->engine, is->engine_version);
    if (run->options.f32_cache != model->params.f32_cache)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "its cache is %s, this model's %s",
                        run->options.f32_cache ? "F32" : "F16", model->params.f32_cache ? "F32" : "F16");
    return HW_OK;
}

/* `stored` is the checksum in the metadata. */
static hw_err check_bytes(const hw__cache *cache, const char *stored, hw_error *err) {
    char is[HW__SHA256_CAPACITY];
    hw__cache_sha256(is, cache);
    if (strcmp(is, stored) == 0) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT, "its cache is damaged: the SHA-256 of its bytes is %s, not %.64s", is, stored);
}

static hw_err restore(const hw_run *run, hw_model *model, hw__safetensors *file, hw_error *err) {
    const hw__tensor *tensor = hw__safetensors_find(file, HW__CACHE);
    if (!tensor || tensor->dtype != HW__U8)
        return hw__fail(err, HW_ERR_FORMAT, "it is a trace and no state: it has no tensor \"" HW__CACHE "\" of U8");
    const char *stored = hw__safetensors_metadata(file, HW__CACHE_SHA256);
    if (!stored)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "an earlier version made it: its metadata has no \"" HW__CACHE_SHA256 "\"");
    hw__cache cache = {.bytes = hw__alloc(tensor->n, 1), .n_bytes = tensor->n};
    int32_t *ids = token_ids(run);
    hw_err rc = cache.bytes && ids ? HW_OK : hw__fail_memory(err, "the model's cache", tensor->n, 1);
    if (rc == HW_OK) rc = hw__safetensors_bytes(file, cache.bytes, tensor, 0, tensor->n, err);
    if (rc == HW_OK) rc = check_bytes(&cache, stored, err);
    if (rc == HW_OK) rc = model->engine->ops->restore(model->engine, &cache, ids, run->n_tokens, err);
    free(cache.bytes);
    free(ids);
    return rc;
}

static hw_err open_state(hw_trace **out, hw_model *model, hw__input from, hw_error *err) {
    if (!model) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model is needed");
    hw__safetensors *file;
    hw_trace *trace = NULL;
    hw_err rc = hw__safetensors_read(&file, from, err);
    if (rc != HW_OK) return rc;
    rc = read_file(&trace, file, err);
    if (rc == HW_OK) rc = check_model(trace->run, model, err);
    if (rc == HW_OK) rc = restore(trace->run, model, file, err);
    hw__safetensors_close(file);
    if (rc == HW_OK) {
        *out = trace;
        return HW_OK;
    }
    hw_trace_free(trace);
    return hw__fail_in(err, rc, "%s", from.path);
}

hw_err hw_state_open(hw_trace **out, hw_model *model, const char *path, hw_error *err) {
    return open_state(out, model, (hw__input){.path = path}, err);
}

hw_err hw_state_open_bytes(hw_trace **out, hw_model *model, const void *bytes, size_t n_bytes, hw_error *err) {
    return open_state(out, model, hw__input_bytes(bytes, n_bytes), err);
}
