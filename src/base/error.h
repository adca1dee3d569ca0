/*
 * error.h - error reporting and memory allocation for all modules.
 *
 * Fallible functions `return hw__fail(err, code, "layer %d requested, model has %d", …)`. Array sizes go through
 * hw__alloc(), the one place that checks count x size for overflow.
 */
#ifndef HW_BASE_ERROR_H
#define HW_BASE_ERROR_H

#include "headwater.h"

/* Fills `err` (nullable) and returns `code`. */
hw_err hw__fail(hw_error *err, hw_err code, const char *fmt, ...) HW_PRINTF(3, 4);

/* Prepends "context: " to the message in `err` and keeps its code. Returns that code. */
hw_err hw__fail_in(hw_error *err, hw_err code, const char *fmt, ...) HW_PRINTF(3, 4);

/* Reports HW_ERR_MEMORY with the name and size of what was to be allocated. */
hw_err hw__fail_memory(hw_error *err, const char *what, size_t count, size_t size);

/* Zeroed array of `count` elements of `size` bytes; never NULL on success, even for count 0. NULL on overflow or when
 * memory runs out. Free with free(). */
void *hw__alloc(size_t count, size_t size);
/* Prefaults every page of a block from hw__alloc() before the time-critical part that fills it: the first write to a
 * page costs a page fault. */
void hw__prefault(void *block, size_t bytes);

/* Makes a reused array hold at least `floats`; what it held is lost when it grows. False, with *array NULL and
 * *capacity 0, when memory runs out. */
bool hw__reserve_floats(float **array, size_t *capacity, size_t floats);

/* realloc() for `count` x `size` with an overflow check; the old block stays valid on NULL. */
void *hw__realloc(void *block, size_t count, size_t size);

/* *out = a * b, *out = a + b; false on overflow. */
bool hw__mul(size_t *out, size_t a, size_t b);
bool hw__add(size_t *out, size_t a, size_t b);

/* Copies bytes [n] and appends a terminator; NULL when memory runs out. */
char *hw__strndup(const char *bytes, size_t n);

#endif
