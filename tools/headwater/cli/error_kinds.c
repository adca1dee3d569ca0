/* error_kinds.c - the table. */
#include "cli/error_kinds.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static const error_kind kinds[] = {
    {HW_ERR_IO, 500, "internal", STATUS_FAILED, false}, /* first: used for unknown codes */
    {HW_ERR_FORMAT, 500, "internal", STATUS_FAILED, false},
    {HW_ERR_ARGUMENT, 400, "bad_request", STATUS_FAILED, false}, /* a value of a file; of the command line: ERR_USAGE */
    {HW_ERR_UNSUPPORTED, 422, "unsupported", STATUS_FAILED, false},
    {HW_ERR_MEMORY, 503, "out_of_memory", STATUS_FAILED, false},
    {HW_ERR_ENGINE, 500, "engine", STATUS_FAILED, false},
    {HW_ERR_CANCELLED, 409, "stopped", STATUS_INTERRUPTED, false},
    {ERR_BAD_HOST, 403, "bad_host", STATUS_FAILED, false},
    {ERR_BAD_ORIGIN, 403, "bad_origin", STATUS_FAILED, false},
    {ERR_NOT_FOUND, 404, "not_found", STATUS_FAILED, false},
    {ERR_BAD_METHOD, 405, "method_not_allowed", STATUS_FAILED, false},
    {ERR_MEDIA_TYPE, 415, "unsupported_media_type", STATUS_FAILED, false},
    {ERR_TOO_LARGE, 413, "too_large", STATUS_FAILED, false},
    {ERR_BAD_JSON, 400, "bad_json", STATUS_FAILED, false},
    {ERR_BUSY, 503, "busy", STATUS_FAILED, false},
    {ERR_CLOSING, 503, "closing", STATUS_FAILED, false},
    {ERR_UNFINISHED, 409, "unfinished", STATUS_FAILED, false},
    {ERR_RUN_FAILED, 409, "failed", STATUS_FAILED, false},
    {ERR_NOT_FAILED, 409, "not_failed", STATUS_FAILED, false},
    {ERR_NO_TRACE, 409, "no_trace", STATUS_FAILED, false},
    {ERR_STORE, 500, "store", STATUS_FAILED, false},
    {ERR_STORE_FULL, 507, "store", STATUS_FAILED, false},
    {ERR_ENGINE_ENDED, 500, "engine_ended", STATUS_FAILED, false},
    {ERR_CONTEXT, 400, "context_length_exceeded", STATUS_FAILED, false},
    {ERR_NO_MODEL, 404, "model_not_found", STATUS_FAILED, false},
    {ERR_NO_TOKEN, 401, "unauthorized", STATUS_FAILED, false},
    {ERR_USAGE, 400, "bad_request", STATUS_USAGE, false},
    {ERR_REPORTED, 500, "internal", STATUS_FAILED, true},
    {ERR_INTERRUPTED, 409, "stopped", STATUS_INTERRUPTED, true},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const error_kind *error_kind_at(size_t i) { return i < N_KINDS ? &kinds[i] : NULL; }

const error_kind *error_kind_of(int code) {
    size_t i = N_KINDS;
    while (i > 1 && kinds[i - 1].code != code) i--;
    return &kinds[i - 1];
}

bool error_ends_run(hw_err code) { return code == HW_ERR_CANCELLED || code == HW_ERR_MEMORY; }

static void fill(hw_error *err, int code, const char *fmt, va_list args) HW_PRINTF(3, 0);
static void fill(hw_error *err, int code, const char *fmt, va_list args) {
    if (!err) return;
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
    err->code = (hw_err)code;
}

bool error_set(hw_error *err, int code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(err, code, fmt, args);
    va_end(args);
    return false;
}

hw_err usage_error(hw_error *err, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(err, ERR_USAGE, fmt, args);
    va_end(args);
    return (hw_err)ERR_USAGE;
}

hw_err usage_error_in(hw_error *err, const char *what) {
    if (err->code == HW_ERR_ARGUMENT) err->code = (hw_err)ERR_USAGE;
    return what ? hw__fail_in(err, err->code, "%s", what) : err->code;
}
