/* error_kinds.c - the table. */
#include "cli/error_kinds.h"

#include <stdarg.h>
#include <stdio.h>

static const error_kind kinds[] = {
    {HW_ERR_IO, 500, "internal", STATUS_FAILED}, /* first: used for unknown codes */
    {HW_ERR_FORMAT, 500, "internal", STATUS_FAILED},
    {HW_ERR_ARGUMENT, 400, "bad_request", STATUS_USAGE},
    {HW_ERR_UNSUPPORTED, 422, "unsupported", STATUS_FAILED},
    {HW_ERR_MEMORY, 503, "out_of_memory", STATUS_FAILED},
    {HW_ERR_ENGINE, 500, "engine", STATUS_FAILED},
    {HW_ERR_CANCELLED, 409, "stopped", STATUS_INTERRUPTED},
    {ERR_BAD_HOST, 403, "bad_host", STATUS_FAILED},
    {ERR_BAD_ORIGIN, 403, "bad_origin", STATUS_FAILED},
    {ERR_NOT_FOUND, 404, "not_found", STATUS_FAILED},
    {ERR_BAD_METHOD, 405, "method_not_allowed", STATUS_FAILED},
    {ERR_MEDIA_TYPE, 415, "unsupported_media_type", STATUS_FAILED},
    {ERR_TOO_LARGE, 413, "too_large", STATUS_FAILED},
    {ERR_BAD_JSON, 400, "bad_json", STATUS_FAILED},
    {ERR_BUSY, 503, "busy", STATUS_FAILED},
    {ERR_CLOSING, 503, "closing", STATUS_FAILED},
    {ERR_UNFINISHED, 409, "unfinished", STATUS_FAILED},
    {ERR_RUN_FAILED, 409, "failed", STATUS_FAILED},
    {ERR_NOT_FAILED, 409, "not_failed", STATUS_FAILED},
    {ERR_NO_TRACE, 409, "no_trace", STATUS_FAILED},
    {ERR_STORE, 500, "store", STATUS_FAILED},
    {ERR_STORE_FULL, 507, "store", STATUS_FAILED},
    {ERR_ENGINE_ENDED, 500, "engine_ended", STATUS_FAILED},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const error_kind *error_kind_at(size_t i) { return i < N_KINDS ? &kinds[i] : NULL; }

const error_kind *error_kind_of(int code) {
    size_t i = N_KINDS;
    while (i > 1 && kinds[i - 1].code != code) i--;
    return &kinds[i - 1];
}

bool error_ends_run(hw_err code) { return code == HW_ERR_CANCELLED || code == HW_ERR_MEMORY; }

bool error_set(hw_error *err, int code, const char *fmt, ...) {
    if (!err) return false;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    err->code = (hw_err)code;
    return false;
}
