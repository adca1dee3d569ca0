/*
 * result_json.c - results as one JSON object, for programs in any language; see docs/reference/formats.md.
 *
 * The arrays of numbers are written directly, not built as a tree: a whole M has millions of them. Floats have nine
 * digits, which read back to the same float.
 */
#include "formats/attribution_json.h"
#include "formats/result.h"
#include "formats/run_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };

/* ------------------------------------------------------------------ save */

static int dump_part(const char *bytes, size_t n, void *ctx) {
    hw__file *file = ctx;
    hw__file_write(file, bytes, n);
    return hw__file_failed(file) ? -1 : 0;
}

/* Writes the tree and releases it. The file remembers a failed write. */
static hw_err put_json(hw__file *file, json_t *json, size_t flags, hw_error *err) {
    int status = json_dump_callback(json, dump_part, file, flags);
    json_decref(json);
    if (status == 0 || hw__file_failed(file)) return HW_OK;
    return hw__fail(err, HW_ERR_MEMORY, "out of memory: the text of a result");
}

/* "[a,b,...]" of values [n]. */
static void put_floats(hw__file *file, const float *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        hw__file_text(file, i ? "," : "[");
        hw__file_float(file, values[i], "null");
    }
    hw__file_text(file, "]");
}

/* Means over layers of row i, [m]. */
static void put_mean_row(hw__file *file, const hw_attribution *a, size_t i) {
    for (size_t k = 0; k < a->n_columns; k++) {
        const float *cell = a->values + (i * a->n_columns + k) * a->n_layers; /* [L] */
        double sum = 0;
        for (size_t l = 0; l < a->n_layers; l++) sum += cell[l];
        hw__file_text(file, k ? "," : "[");
        hw__file_float(file, (float)(sum / (double)a->n_layers), "null");
    }
    hw__file_text(file, "]");
}

/* All values of row i, [m][L]. */
static void put_full_row(hw__file *file, const hw_attribution *a, size_t i) {
    for (size_t k = 0; k < a->n_columns; k++) {
        hw__file_text(file, k ? "," : "[");
        put_floats(file, a->values + (i * a->n_columns + k) * a->n_layers, a->n_layers);
    }
    hw__file_text(file, "]");
}

static void put_outside_row(hw__file *file, const hw_attribution *a, size_t i) {
    put_floats(file, a->outside + i * a->n_layers, a->n_layers);
}

/* `"key":[row,row,...]`, one line per row. */
static void put_rows(hw__file *file, const char *key, const hw_attribution *a,
                     void (*put_row)(hw__file *, const hw_attribution *, size_t)) {
    hw__file_printf(file, ",\n\"%s\":[\n", key);
    for (size_t i = 0; i < a->n_rows && !hw__file_failed(file); i++) {
        if (i) hw__file_text(file, ",\n");
        put_row(file, a, i);
    }
    hw__file_text(file, "\n]");
}

static hw_err put_attribution(hw__file *file, const hw_attribution *a, bool full, hw_error *err) {
    json_t *json;
    hw_err rc = hw__attribution_to_json(&json, a, err);
    if (rc != HW_OK) return rc;
    hw__file_text(file, "{");
    rc = put_json(file, json, HW__ATTRIBUTION_JSON_FLAGS | JSON_EMBED, err);
    if (rc != HW_OK) return rc;
    hw__file_printf(file, ",\"shape\":[%zu,%zu,%zu]", a->n_rows, a->n_columns, a->n_layers);
    put_rows(file, "mean", a, put_mean_row);
    put_rows(file, "outside", a, put_outside_row);
    if (full) put_rows(file, "attribution", a, put_full_row);
    hw__file_text(file, "}");
    return HW_OK;
}

static hw_err save(hw__file *file, const hw_attribution *const *list, size_t n, bool full, hw_error *err) {
    json_t *run;
    hw_err rc = hw__run_to_json(&run, list[0]->run, err);
    if (rc != HW_OK) return rc;
    hw__file_printf(file, "{\"format\":\"" HW__RESULT_FORMAT "\",\"version\":%d,\n\"run\":", VERSION);
    rc = put_json(file, run, HW__RUN_JSON_FLAGS, err);
    if (rc != HW_OK) return rc;
    hw__file_text(file, ",\n\"attributions\":[");
    for (size_t i = 0; i < n; i++) {
        hw__file_text(file, i ? ",\n" : "\n");
        if ((rc = put_attribution(file, list[i], full, err)) != HW_OK) return rc;
    }
    hw__file_text(file, "\n]}\n");
    return HW_OK;
}

/* ------------------------------------------------------------------ open */

static hw_err get_float(float *to, const json_t *v, const char *key, hw_error *err) {
    *to = json_is_null(v) ? NAN : (float)json_number_value(v);
    if (json_is_null(v) || (json_is_number(v) && isfinite(*to))) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT, "\"%s\" must hold numbers in float's range, or null", key);
}

static hw_err check_length(const json_t *list, const char *key, size_t n, hw_error *err) {
    if (json_is_array(list) && json_array_size(list) == n) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT, "\"%s\" must hold lists of the lengths in \"shape\": one of %zu is missing",
                    key, n);
}

/* [n][m] numbers, row by row; `key` must be there. */
static hw_err get_matrix(float *to, const json_t *json, const char *key, size_t n, size_t m, hw_error *err) {
    const json_t *rows = json_object_get(json, key);
    hw_err rc = check_length(rows, key, n, err);
    for (size_t i = 0; rc == HW_OK && i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        rc = check_length(row, key, m, err);
        for (size_t k = 0; rc == HW_OK && k < m; k++) rc = get_float(&to[i * m + k], json_array_get(row, k), key, err);
    }
    return rc;
}

/* [n][m][L] numbers. */
static hw_err get_tensor(hw_attribution *a, const json_t *rows, hw_error *err) {
    hw_err rc = check_length(rows, "attribution", a->n_rows, err);
    for (size_t i = 0; rc == HW_OK && i < a->n_rows; i++) {
        const json_t *row = json_array_get(rows, i);
        rc = check_length(row, "attribution", a->n_columns, err);
        for (size_t k = 0; rc == HW_OK && k < a->n_columns; k++) {
            const json_t *cell = json_array_get(row, k);
            float *to = a->values + (i * a->n_columns + k) * a->n_layers;
            rc = check_length(cell, "attribution", a->n_layers, err);
            for (size_t l = 0; rc == HW_OK && l < a->n_layers; l++)
                rc = get_float(&to[l], json_array_get(cell, l), "attribution", err);
        }
    }
    return rc;
}

/* outside [n][L]; if M has one layer, the mean over the file's L. */
static hw_err get_outside(hw_attribution *a, const json_t *json, size_t n_layers, hw_error *err) {
    if (n_layers == a->n_layers) return get_matrix(a->outside, json, "outside", a->n_rows, n_layers, err);
    float *all = hw__alloc(a->n_rows * n_layers, sizeof *all); /* cannot overflow: the file holds a list of that
                                                                  length */
    if (!all) return hw__fail_memory(err, "mass outside", a->n_rows * n_layers, sizeof *all);
    hw_err rc = get_matrix(all, json, "outside", a->n_rows, n_layers, err);
    for (size_t i = 0; rc == HW_OK && i < a->n_rows; i++) {
        double sum = 0;
        for (size_t l = 0; l < n_layers; l++) sum += all[i * n_layers + l];
        a->outside[i] = (float)(sum / (double)n_layers);
    }
    free(all);
    return rc;
}

/* Reads "shape" and checks that "mean" and "outside" have its lengths, so that no more is allocated than the file
 * holds. */
static hw_err get_shape(size_t shape[3], const json_t *json, hw_error *err) {
    const json_t *list;
    hw_err rc = hw__json_array(&list, json, "shape", err);
    if (rc != HW_OK) return rc;
    for (size_t d = 0; d < 3; d++) {
        const json_t *v = json_array_get(list, d);
        if (json_array_size(list) != 3 || !json_is_integer(v) || json_integer_value(v) < 1)
            return hw__fail(err, HW_ERR_FORMAT, "\"shape\" must be [n, m, L], each 1 or more");
        shape[d] = (size_t)json_integer_value(v);
    }
    for (size_t i = 0; rc == HW_OK && i < shape[0]; i++) {
        rc = check_length(json_array_get(json_object_get(json, "mean"), i), "mean", shape[1], err);
        if (rc == HW_OK)
            rc = check_length(json_array_get(json_object_get(json, "outside"), i), "outside", shape[2], err);
    }
    return rc;
}

static hw_err read_attribution(hw_attribution **out, const json_t *json, const hw_run *run, hw_error *err) {
    size_t shape[3];
    const json_t *tensor = json_object_get(json, "attribution");
    hw_err rc = get_shape(shape, json, err);
    if (rc != HW_OK) return rc;
    hw_attribution *a;
    rc = hw__attribution_from_json(&a, json, run, shape, tensor == NULL, err);
    if (rc != HW_OK) return rc;
    rc = tensor ? get_tensor(a, tensor, err) : get_matrix(a->values, json, "mean", a->n_rows, a->n_columns, err);
    if (rc == HW_OK) rc = get_outside(a, json, shape[2], err);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    *out = a;
    return HW_OK;
}

static hw_err check_format(const json_t *json, hw_error *err) {
    const char *format = json_string_value(json_object_get(json, "format"));
    int64_t version;
    if (!format || strcmp(format, HW__RESULT_FORMAT) != 0)
        return hw__fail(err, HW_ERR_FORMAT, "holds no result: its \"format\" is not \"" HW__RESULT_FORMAT "\"");
    hw_err rc = hw__json_int(&version, json, "version", 1, INT32_MAX, err);
    if (rc == HW_OK && version > VERSION)
        rc = hw__fail(err, HW_ERR_UNSUPPORTED,
                      "is version %lld of " HW__RESULT_FORMAT "; this build reads up to version %d", (long long)version,
                      VERSION);
    return rc;
}

static hw_err read_list(hw_result *out, const json_t *json, const hw_run *run, hw_error *err) {
    const json_t *list;
    hw_err rc = hw__json_array(&list, json, "attributions", err);
    if (rc != HW_OK) return rc;
    size_t n = json_array_size(list);
    if (n == 0) return hw__fail(err, HW_ERR_FORMAT, "\"attributions\" is empty: at least 1 is needed");
    if (!(out->list = hw__alloc(n, sizeof *out->list)))
        return hw__fail_memory(err, "the list of results", n, sizeof *out->list);
    for (size_t i = 0; i < n; i++) {
        rc = read_attribution(&out->list[i], json_array_get(list, i), run, err);
        if (rc != HW_OK) return hw__fail_in(err, rc, "attribution %zu", i);
        out->n = i + 1;
    }
    return HW_OK;
}

static hw_err open_input(hw_result *out, hw__input from, hw_error *err) {
    json_t *json;
    hw_err rc =
        from.bytes ? hw__json_parse(&json, from.bytes, from.n_bytes, err) : hw__json_load(&json, from.path, err);
    if (rc != HW_OK) return rc;
    hw_run *run = NULL;
    const json_t *object;
    rc = check_format(json, err);
    if (rc == HW_OK) rc = hw__json_object(&object, json, "run", err);
    if (rc == HW_OK) rc = hw__run_from_json(&run, object, err);
    if (rc == HW_OK) rc = read_list(out, json, run, err);
    hw__run_release(run); /* each attribution holds its own reference */
    json_decref(json);
    return rc == HW_OK ? rc : hw__fail_in(err, rc, "%s", from.path);
}

const hw__format hw__format_json = {
    .info =
        {.name = "json",
         .extension = ".json",
         .summary =
             "tokens, settings, diagnostics and means over layers; with the whole M on request; any number of methods",
         .many = true},
    .save = save,
    .open = open_input,
};
