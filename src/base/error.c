/* error.c - error messages and checked allocation. */
#include "base/error.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hw_err hw__fail(hw_error *err, hw_err code, const char *fmt, ...) {
    if (!err) return code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    err->code = code;
    return code;
}

hw_err hw__fail_in(hw_error *err, hw_err code, const char *fmt, ...) {
    if (!err) return code;
    char inner[sizeof err->msg];
    memcpy(inner, err->msg, sizeof inner);
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof err->msg) n = 0;
    if (snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", inner) < 0) err->msg[n] = 0;
    err->code = code;
    return code;
}

hw_err hw__fail_memory(hw_error *err, const char *what, size_t count, size_t size) {
    return hw__fail(err, HW_ERR_MEMORY, "out of memory: %s needs %.1f MiB", what,
                    (double)count * (double)size / 1048576.0);
}

bool hw__mul(size_t *out, size_t a, size_t b) { return !__builtin_mul_overflow(a, b, out); }
bool hw__add(size_t *out, size_t a, size_t b) { return !__builtin_add_overflow(a, b, out); }

void *hw__alloc(size_t count, size_t size) {
    size_t bytes;
    if (!hw__mul(&bytes, count, size) || bytes > PTRDIFF_MAX) return NULL;
    return calloc(bytes ? bytes : 1, 1);
}

void hw__prefault(void *block, size_t bytes) {
    enum { PAGE = 4096 }; /* the smallest page size of any supported system */
    for (size_t i = 0; i < bytes; i += PAGE) ((volatile char *)block)[i] = 0;
}

bool hw__reserve_floats(float **array, size_t *capacity, size_t floats) {
    if (floats <= *capacity) return true;
    free(*array);
    *array = hw__alloc(floats, sizeof **array);
    *capacity = *array ? floats : 0;
    return *array != NULL;
}

void *hw__realloc(void *block, size_t count, size_t size) {
    size_t bytes;
    if (!hw__mul(&bytes, count, size) || bytes > PTRDIFF_MAX) return NULL;
    return realloc(block, bytes ? bytes : 1);
}

char *hw__strndup(const char *bytes, size_t n) {
    char *copy = n < SIZE_MAX ? hw__alloc(n + 1, 1) : NULL;
    if (copy && n) memcpy(copy, bytes, n);
    return copy;
}
