/*
 * result_safetensors.c - the whole M of one method, bit for bit, for NumPy and PyTorch; see docs/reference/formats.md.
 *
 *     attribution     F32 [n, m, L]
 *     outside         F32 [n, L]
 *     prompt_ids      I32 [tokens before the completion]
 *     completion_ids  I32 [tokens of the completion]
 *     residual        F32 [L, T] if the residual was measured: attention's share of the residual stream
 */
#include "base/safetensors.h"
#include "formats/attribution_json.h"
#include "formats/result.h"
#include "formats/run_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };

/* ------------------------------------------------------------------ save */

static json_t *metadata_of(const hw_attribution *a, const char *run) {
    json_t *json;
    if (hw__attribution_to_json(&json, a, NULL) != HW_OK) return NULL;
    char *text = hw__json_dump(json, HW__ATTRIBUTION_JSON_FLAGS);
    json_t *metadata = text ? json_pack("{s:s, s:s, s:s, s:s}", "format", HW__ATTRIBUTION_FORMAT, "version", "1", "run",
                                        run, "attribution", text)
                            : NULL;
    free(text);
    json_decref(json);
    return metadata;
}

static hw_err write_header(hw__safetensors_writer *out, hw__file *file, const hw_attribution *a, hw_error *err) {
    const hw__tensor tensors[] = {
        {.name = "attribution", .dtype = HW__F32, .n_dims = 3, .shape = {a->n_rows, a->n_columns, a->n_layers}},
        {.name = "outside", .dtype = HW__F32, .n_dims = 2, .shape = {a->n_rows, a->n_layers}},
        {.name = "prompt_ids", .dtype = HW__I32, .n_dims = 1, .shape = {a->run->n_prompt}},
        {.name = "completion_ids", .dtype = HW__I32, .n_dims = 1, .shape = {a->run->n_tokens - a->run->n_prompt}},
        {.name = "residual",
         .dtype = HW__F32,
         .n_dims = 2,
         .shape = {(size_t)a->run->model.n_layers, a->run->n_tokens}},
    };
    size_t n_tensors = sizeof tensors / sizeof *tensors - (a->measured == NULL);
    char *run;
    hw_err rc = hw__run_to_text(&run, a->run, err);
    if (rc != HW_OK) return rc;
    json_t *metadata = metadata_of(a, run);
    free(run);
    if (!metadata) return hw__fail(err, HW_ERR_MEMORY, "out of memory: the description of the result");
    rc = hw__safetensors_begin(out, file, tensors, n_tensors, metadata, err);
    json_decref(metadata);
    return rc;
}

/* n = 1, and the file always holds the whole M. */
static hw_err save(hw__file *file, const hw_attribution *const *list, size_t n, bool full, hw_error *err) {
    (void)n;
    (void)full;
    const hw_attribution *a = list[0];
    hw__safetensors_writer writer;
    hw_err rc = write_header(&writer, file, a, err);
    if (rc != HW_OK) return rc;
    hw__safetensors_put_floats(&writer, a->values, a->n_rows * a->n_columns * a->n_layers);
    hw__safetensors_put_floats(&writer, a->outside, a->n_rows * a->n_layers);
    for (size_t t = 0; t < a->run->n_tokens; t++) hw__safetensors_put_ints(&writer, &a->run->tokens[t].id, 1);
    if (a->measured)
        hw__safetensors_put_floats(&writer, a->measured, (size_t)a->run->model.n_layers * a->run->n_tokens);
    return HW_OK;
}

/* ------------------------------------------------------------------ open */

/* Ids of run tokens first..first+n-1 must equal those of the tensor. */
static hw_err check_ids(hw__safetensors *file, const char *name, const hw_run *run, size_t first, size_t n,
                        hw_error *err) {
    const hw__tensor *tensor;
    hw_err rc = hw__safetensors_need(&tensor, file, name, (hw__tensor_form){HW__I32, 1, &n}, err);
    if (rc != HW_OK) return rc;
    int64_t *ids = hw__alloc(n, sizeof *ids);
    if (!ids) return hw__fail_memory(err, name, n, sizeof *ids);
    rc = hw__safetensors_ints(file, ids, tensor, 0, n, err);
    for (size_t t = 0; rc == HW_OK && t < n; t++)
        if (ids[t] != run->tokens[first + t].id)
            rc = hw__fail(err, HW_ERR_FORMAT, "token %zu has id %d in the run and %lld in %s", first + t,
                          run->tokens[first + t].id, (long long)ids[t], name);
    free(ids);
    return rc;
}

static hw_err read_floats(hw__safetensors *file, float *out, const hw__tensor *tensor, hw_error *err) {
    hw_err rc = hw__safetensors_floats(file, out, tensor, 0, tensor->n, err);
    for (size_t i = 0; rc == HW_OK && i < tensor->n; i++)
        if (isinf(out[i])) rc = hw__fail(err, HW_ERR_FORMAT, "value %zu of tensor \"%s\" is infinite", i, tensor->name);
    return rc;
}

/* Files of earlier versions do not have it. */
static hw_err read_measured(hw_attribution *a, hw__safetensors *file, hw_error *err) {
    const hw__tensor *tensor;
    size_t shape[2] = {(size_t)a->run->model.n_layers, a->run->n_tokens}, cells;
    if (!a->params.residual_measured || !hw__safetensors_find(file, "residual")) return HW_OK;
    hw_err rc = hw__safetensors_need(&tensor, file, "residual", (hw__tensor_form){HW__F32, 2, shape}, err);
    if (rc != HW_OK) return rc;
    if (!hw__mul(&cells, shape[0], shape[1]) || !(a->measured = hw__alloc(cells, sizeof *a->measured)))
        return hw__fail_memory(err, "the measured residual", shape[0], shape[1] * sizeof *a->measured);
    rc = hw__safetensors_floats(file, a->measured, tensor, 0, cells, err);
    for (size_t i = 0; rc == HW_OK && i < cells; i++)
        if (!(a->measured[i] >= 0 && a->measured[i] <= 1))
            rc = hw__fail(err, HW_ERR_FORMAT, "value %zu of tensor \"residual\" is %g, must be 0 to 1", i,
                          a->measured[i]);
    return rc;
}

static hw_err read_tensors(hw_attribution *a, hw__safetensors *file, const hw__tensor *values, hw_error *err) {
    const hw_run *run = a->run;
    const hw__tensor *outside;
    size_t shape[2] = {a->n_rows, a->n_layers};
    hw_err rc = hw__safetensors_need(&outside, file, "outside", (hw__tensor_form){HW__F32, 2, shape}, err);
    if (rc == HW_OK) rc = read_floats(file, a->values, values, err);
    if (rc == HW_OK) rc = read_floats(file, a->outside, outside, err);
    if (rc == HW_OK) rc = check_ids(file, "prompt_ids", run, 0, run->n_prompt, err);
    if (rc == HW_OK) rc = check_ids(file, "completion_ids", run, run->n_prompt, run->n_tokens - run->n_prompt, err);
    return rc == HW_OK ? read_measured(a, file, err) : rc;
}

static hw_err read_attribution(hw_result *out, hw__safetensors *file, const json_t *json, const hw_run *run,
                               hw_error *err) {
    const hw__tensor *values = hw__safetensors_find(file, "attribution");
    if (!values || values->dtype != HW__F32 || values->n_dims != 3)
        return hw__fail(err, HW_ERR_FORMAT, "there is no tensor \"attribution\" of F32 [n, m, L]");
    if (!(out->list = hw__alloc(1, sizeof *out->list))) return hw__fail_memory(err, "a result", 1, sizeof *out->list);
    hw_err rc = hw__attribution_from_json(&out->list[0], json, run, values->shape, false, err);
    if (rc != HW_OK) return rc;
    out->n = 1;
    return read_tensors(out->list[0], file, values, err);
}

static hw_err read_result(hw_result *out, hw__safetensors *file, hw_error *err) {
    hw_err rc = hw__safetensors_expect(file, HW__ATTRIBUTION_FORMAT, VERSION, err);
    if (rc != HW_OK) return rc;
    const char *run_text = hw__safetensors_metadata(file, "run"), *text = hw__safetensors_metadata(file, "attribution");
    if (!run_text || !text)
        return hw__fail(err, HW_ERR_FORMAT, "its metadata has no \"%s\"", run_text ? "attribution" : "run");
    hw_run *run;
    if ((rc = hw__run_from_text(&run, run_text, err)) != HW_OK) return rc;
    json_t *json;
    rc = hw__json_parse(&json, text, strlen(text), err);
    if (rc == HW_OK) {
        rc = read_attribution(out, file, json, run, err);
        json_decref(json);
    }
    hw__run_release(run); /* the attribution holds its own reference */
    return rc;
}

static hw_err open_input(hw_result *out, hw__input from, hw_error *err) {
    hw__safetensors *file;
    hw_err rc = hw__safetensors_read(&file, from, err);
    if (rc != HW_OK) return rc;
    rc = read_result(out, file, err);
    hw__safetensors_close(file);
    return rc == HW_OK ? rc : hw__fail_in(err, rc, "%s", from.path);
}

const hw__format hw__format_safetensors = {
    .info = {.name = "safetensors",
             .extension = ".safetensors",
             .summary = "the whole M bit for bit, with everything that made it"},
    .save = save,
    .open = open_input,
};
