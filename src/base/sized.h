/*
 * sized.h - structs of the public header whose caller was compiled with another version of it: shorter or longer than
 * the library's own.
 *
 * Fields are appended behind the whole struct, so the first min(size, own size) bytes mean the same to both.
 */
#ifndef HW_BASE_SIZED_H
#define HW_BASE_SIZED_H

#include "headwater.h"

/* Reads the caller's params over the defaults in `own`; both begin with `size_t size`. NULL leaves the defaults. Error
 * ARGUMENT: params that were not initialised; a field that only a later version has and that is not 0. */
hw_err hw__params_read(void *own, size_t own_size, const void *params, const char *type, hw_error *err);

/* Fills the caller's params of `size` bytes with the values in `own`; later fields get 0. Sets its field `size`. */
void hw__params_fill(void *params, size_t size, const void *own, size_t own_size);

/* Whether the caller's params have the field of `n` bytes at `offset`. */
bool hw__params_have(const void *params, size_t offset, size_t n);

/* The same for a struct without a field `size`. */
void hw__sized_copy(void *out, size_t size, const void *own, size_t own_size);

#endif
