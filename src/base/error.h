/*
 * error.h - how every file here reports failure and takes memory.
 *
 * Fallible functions `return hw__fail(err, code, "layer %d asked, model has %d", …)`. Sizes of arrays
 * go through hw__alloc, the one place where count x size is checked for overflow.
 */
#ifndef HW_BASE_ERROR_H
#define HW_BASE_ERROR_H

#include "headwater.h"

/* Fills `err` (nullable) and returns `code`. */
hw_err hw__fail(hw_error *err, hw_err code, const char *fmt, ...) HW_PRINTF(3, 4);

/* Puts "context: " before the message in `err`, keeping its code. Returns that code. */
hw_err hw__fail_in(hw_error *err, hw_err code, const char *fmt, ...) HW_PRINTF(3, 4);

/* HW_ERR_MEMORY, naming what was asked for. */
hw_err hw__fail_memory(hw_error *err, const char *what, size_t count, size_t size);

/* Zeroed array of `count` elements of `size` bytes; never NULL on success, even for count 0. NULL on
 * overflow or when there is no memory. Free with free(). */
void *hw__alloc(size_t count, size_t size);
/* Touches every page of a block of hw__alloc() that will be filled, before somebody waits for it: each costs a fault. */
void hw__touch(void *block, size_t bytes);

/* As realloc for `count` x `size`, checked; the old block stays valid on NULL. */
void *hw__realloc(void *block, size_t count, size_t size);

/* a * b and a + b into *out; false on overflow. */
bool hw__mul(size_t *out, size_t a, size_t b);
bool hw__add(size_t *out, size_t a, size_t b);

/* Copy of [n] bytes with a terminator behind; NULL when there is no memory. */
char *hw__strndup(const char *bytes, size_t n);

#endif
