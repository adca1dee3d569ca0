/*
 * result.c - saves and opens results by file extension, and detects what a file contains.
 *
 * All files of one call are written under temporary names before the first one is renamed into place.
 */
#include "formats/result.h"

#include "base/atomic_file.h"
#include "base/safetensors.h"
#include "base/strlist.h"
#include "formats/run_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t hw_format_count(void) { return hw__n_formats; }
const hw_format_info *hw_format_at(size_t i) { return i < hw__n_formats ? &hw__formats[i]->info : NULL; }

static const hw__format *find_format(const char *path) {
    for (size_t i = 0; path && i < hw__n_formats; i++)
        if (hw__has_extension(path, hw__formats[i]->info.extension)) return hw__formats[i];
    return NULL;
}

const hw_format_info *hw_format_of(const char *path) {
    const hw__format *format = find_format(path);
    return format ? &format->info : NULL;
}

/* `ctx`: a bool, true to list only formats that can be opened. */
static const char *extension(size_t i, const void *ctx) {
    return !*(const bool *)ctx || hw__formats[i]->open ? hw__formats[i]->info.extension : NULL;
}

static hw_err fail_ending(hw_error *err, const char *path, bool to_open) {
    char list[128];
    return hw__fail(err, HW_ERR_ARGUMENT, "\"%s\": the name of a result to %s must end in one of %s", path ? path : "",
                    to_open ? "open" : "save",
                    hw__join_names(list, sizeof list, (hw__names){extension, &to_open, hw__n_formats}));
}

/* ------------------------------------------------------------------ save */

static hw_err same_run(bool *same, const hw_run *a, const hw_run *b, hw_error *err) {
    json_t *x = NULL, *y = NULL;
    hw_err rc = a == b ? HW_OK : hw__run_to_json(&x, a, err);
    if (rc == HW_OK && a != b) rc = hw__run_to_json(&y, b, err);
    if (rc == HW_OK) *same = a == b || json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return rc;
}

static hw_err check_values(const hw_attribution *a, hw_error *err) {
    size_t n = a->n_rows * a->n_columns * a->n_layers;
    for (size_t i = 0; i < n; i++)
        if (isinf(a->values[i]))
            return hw__fail(err, HW_ERR_ARGUMENT, "value %zu of method %s is infinite: it cannot be saved", i,
                            a->method);
    return HW_OK;
}

static hw_err check_list(const hw_attribution *const *list, size_t n, bool many, hw_error *err) {
    if (n == 0) return hw__fail(err, HW_ERR_ARGUMENT, "no result to save: at least 1 is needed");
    for (size_t i = 0; i < n; i++) {
        bool same = true;
        hw_err rc = same_run(&same, list[0]->run, list[i]->run, err);
        if (rc == HW_OK && !same)
            rc = hw__fail(err, HW_ERR_ARGUMENT, "result %zu is of another run than the first: save them apart", i);
        if (rc == HW_OK) rc = check_values(list[i], err);
        if (rc != HW_OK) return rc;
        for (size_t j = 0; j < i && !many; j++)
            if (strcmp(list[i]->method, list[j]->method) == 0)
                return hw__fail(err, HW_ERR_ARGUMENT,
                                "two results of method %s need the same file name: .json holds both", list[i]->method);
    }
    return HW_OK;
}

/* What goes into a file: attributions [n], with the whole M or without. */
typedef struct content {
    const hw_attribution *const *list;
    size_t n;
    bool full;
} content;

/* Writes one complete file that is not yet renamed into place. */
static hw_err write_file(hw__file *file, const hw__format *format, content c, const char *path, hw_error *err) {
    hw_err rc = hw__file_create(file, path, err);
    if (rc != HW_OK) return rc;
    if ((rc = format->save(file, c.list, c.n, c.full, err)) != HW_OK) {
        hw__file_abort(file);
        return hw__fail_in(err, rc, "%s", path);
    }
    return hw__file_finish(file, err);
}

/* Makes NAME.METHOD.EXT from NAME.EXT, malloc'd. */
static char *method_path(const char *path, const char *extension, const char *method) {
    size_t stem = strlen(path) - strlen(extension), capacity = strlen(path) + strlen(method) + 2;
    char *out = hw__alloc(capacity, 1);
    if (out) snprintf(out, capacity, "%.*s.%s%s", (int)stem, path, method, path + stem);
    return out;
}

static hw_err write_each(hw__file *files, const hw__format *format, content c, const char *path, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; rc == HW_OK && i < c.n; i++) {
        char *name = method_path(path, format->info.extension, c.list[i]->method);
        rc = name ? write_file(&files[i], format, (content){&c.list[i], 1, c.full}, name, err)
                  : hw__fail_memory(err, "a file name", strlen(path), 1);
        free(name);
    }
    return rc;
}

static hw_err save_each(const hw__format *format, const hw_attribution *const *list, size_t n, const char *path,
                        bool full, hw_error *err) {
    hw__file *files = hw__alloc(n, sizeof *files);
    if (!files) return hw__fail_memory(err, "the list of files", n, sizeof *files);
    hw_err rc = write_each(files, format, (content){list, n, full}, path, err);
    for (size_t i = 0; rc == HW_OK && i < n; i++)
        if ((rc = hw__file_commit(&files[i], err)) != HW_OK && i > 0)
            hw__fail_in(err, rc, "%zu of %zu files are in place", i, n);
    for (size_t i = 0; i < n; i++) hw__file_abort(&files[i]);
    free(files);
    return rc;
}

static hw_err check_given(const hw_attribution *const *list, size_t n, hw_error *err) {
    bool given = list != NULL;
    for (size_t i = 0; given && i < n; i++) given = list[i] != NULL;
    return given ? HW_OK : hw__fail(err, HW_ERR_ARGUMENT, "NULL: attributions are needed");
}

hw_err hw_result_save(const hw_attribution *const *list, size_t n, const char *path, bool full, hw_error *err) {
    hw_err rc = check_given(list, n, err);
    if (rc != HW_OK) return rc;
    const hw__format *format = find_format(path);
    if (!format) return fail_ending(err, path, false);
    if ((rc = check_list(list, n, format->info.many, err)) != HW_OK) return rc;
    if (n > 1 && !format->info.many) return save_each(format, list, n, path, full, err);
    hw__file file;
    rc = write_file(&file, format, (content){list, n, full}, path, err);
    return rc == HW_OK ? hw__file_commit(&file, err) : rc;
}

static const char *format_name(size_t i, const void *ctx) {
    (void)ctx;
    return hw__formats[i]->info.name;
}

/* By name. */
static hw_err named_format(const hw__format **out, const char *name, hw_error *err) {
    char list[128];
    for (size_t i = 0; name && i < hw__n_formats; i++)
        if (strcmp(hw__formats[i]->info.name, name) == 0) {
            *out = hw__formats[i];
            return HW_OK;
        }
    return hw__fail(err, HW_ERR_ARGUMENT, "unknown format \"%s\"; accepted: %s", name ? name : "",
                    hw__join_names(list, sizeof list, (hw__names){format_name, NULL, hw__n_formats}));
}

hw_err hw_result_to_bytes(char **out, size_t *n_bytes, const hw_attribution *const *list, size_t n, const char *format,
                          hw_error *err) {
    const hw__format *found = NULL;
    hw__file file;
    hw_err rc = check_given(list, n, err);
    if (rc == HW_OK) rc = named_format(&found, format, err);
    if (rc == HW_OK && n > 1 && !found->info.many)
        rc = hw__fail(err, HW_ERR_ARGUMENT, "format %s holds one method, %zu are given", format, n);
    if (rc == HW_OK) rc = check_list(list, n, true, err);
    if (rc == HW_OK) rc = hw__file_create_memory(&file, err);
    if (rc != HW_OK) return rc;
    if ((rc = found->save(&file, list, n, true, err)) == HW_OK) return hw__file_take(&file, out, n_bytes, err);
    hw__file_abort(&file);
    return rc;
}

/* ------------------------------------------------------------------ open */

static hw_err open_result(hw_result **out, const hw__format *format, hw__input from, hw_error *err) {
    hw_result *result = hw__alloc(1, sizeof *result);
    if (!result) return hw__fail_memory(err, "a result", 1, sizeof *result);
    hw_err rc = format->open(result, from, err);
    if (rc != HW_OK) {
        hw_result_free(result);
        return rc;
    }
    *out = result;
    return HW_OK;
}

hw_err hw_result_open(hw_result **out, const char *path, hw_error *err) {
    const hw__format *format = find_format(path);
    if (!format || !format->open) return fail_ending(err, path, true);
    return open_result(out, format, (hw__input){.path = path}, err);
}

void hw_result_free(hw_result *result) {
    if (!result) return;
    for (size_t i = 0; i < result->n; i++) hw_attribution_free(result->list[i]);
    free(result->list);
    free(result);
}

size_t hw_result_count(const hw_result *result) { return result->n; }
const hw_attribution *hw_result_at(const hw_result *result, size_t i) { return i < result->n ? result->list[i] : NULL; }

/* ------------------------------------------------------------------ probe */

/* By the first bytes: '{' after white space is JSON, '{' after an 8-byte length is safetensors. */
typedef enum look { LOOKS_OTHER, LOOKS_JSON, LOOKS_SAFETENSORS } look;

static look look_at_head(const unsigned char *head, size_t n) {
    size_t space = 0;
    while (space < n && memchr(" \t\r\n", head[space], 4)) space++;
    /* The format allows neither a length of 0 nor one above four bytes; text would read as such a length. */
    bool length = n > 8 && head[8] == '{' && memcmp(head + 4, "\0\0\0\0", 4) == 0;
    return length ? LOOKS_SAFETENSORS : space < n && head[space] == '{' ? LOOKS_JSON : LOOKS_OTHER;
}

static hw_err look_at(look *out, const char *path, hw_error *err) {
    FILE *stream;
    uint64_t n_bytes;
    unsigned char head[256] = {0};
    hw_err rc = hw__file_open(&stream, &n_bytes, path, err);
    if (rc != HW_OK) return rc;
    size_t n = fread(head, 1, sizeof head, stream);
    if (ferror(stream)) rc = hw__fail(err, HW_ERR_IO, "%s cannot be read", path);
    fclose(stream);
    if (rc == HW_OK) *out = look_at_head(head, n);
    return rc;
}

hw_err hw_result_open_bytes(hw_result **out, const void *bytes, size_t n_bytes, hw_error *err) {
    if (!bytes) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: the bytes of a result are needed");
    const hw__input from = hw__input_bytes(bytes, n_bytes);
    look looks = look_at_head(from.bytes, from.n_bytes);
    if (looks == LOOKS_OTHER)
        return hw__fail(err, HW_ERR_FORMAT, "%zu bytes that are neither safetensors nor JSON", from.n_bytes);
    return open_result(out, find_format(looks == LOOKS_JSON ? "a.json" : "a.safetensors"), from, err);
}

static hw_err probe_safetensors(hw_file_kind *out, const char *path, hw_error *err) {
    hw__safetensors *file;
    hw_err rc = hw__safetensors_open(&file, path, err);
    if (rc != HW_OK) return rc;
    const char *format = hw__safetensors_metadata(file, "format");
    bool is_headwater = format && strncmp(format, "headwater-", strlen("headwater-")) == 0;
    *out = HW_FILE_UNKNOWN;
    if (is_headwater && strcmp(format, HW__TRACE_FORMAT) == 0)
        *out = HW_FILE_TRACE;
    else if (is_headwater && strcmp(format, HW__ATTRIBUTION_FORMAT) == 0)
        *out = HW_FILE_RESULT;
    else if (!is_headwater && hw__safetensors_find(file, "attention"))
        *out = HW_FILE_ATTENTION;
    hw__safetensors_close(file);
    return HW_OK;
}

static hw_err probe_json(hw_file_kind *out, const char *path, hw_error *err) {
    json_t *json;
    hw_error reason;
    hw_err rc = hw__json_load(&json, path, &reason);
    if (rc == HW_ERR_FORMAT) { /* text that begins with a brace but is not JSON */
        *out = HW_FILE_UNKNOWN;
        return HW_OK;
    }
    if (rc != HW_OK) return hw__fail(err, rc, "%s", reason.msg);
    const char *format = json_string_value(json_object_get(json, "format"));
    *out = format && strcmp(format, HW__RESULT_FORMAT) == 0 ? HW_FILE_RESULT : HW_FILE_UNKNOWN;
    json_decref(json);
    return HW_OK;
}

hw_err hw_file_probe(hw_file_kind *out, const char *path, hw_error *err) {
    look looks;
    hw_err rc = look_at(&looks, path, err);
    if (rc != HW_OK) return rc;
    if (looks == LOOKS_SAFETENSORS) return probe_safetensors(out, path, err);
    if (looks == LOOKS_JSON) return probe_json(out, path, err);
    *out = HW_FILE_UNKNOWN;
    return HW_OK;
}
