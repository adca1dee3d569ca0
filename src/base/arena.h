/*
 * arena.h - memory that is freed all at once: token bytes, names and other small things of one run.
 *
 * Pointers stay valid until hw__pool_clear(). Not for large arrays.
 */
#ifndef HW_BASE_ARENA_H
#define HW_BASE_ARENA_H

#include <stddef.h>

typedef struct hw__pool {
    struct hw__pool_block *blocks; /* newest first */
} hw__pool;

/* Zeroed, aligned for any type; NULL when there is no memory. */
void *hw__pool_alloc(hw__pool *pool, size_t count, size_t size);
/* Copy of [n] bytes with a terminator behind; NULL when there is no memory. */
const char *hw__pool_strndup(hw__pool *pool, const char *bytes, size_t n);
/* The same of a terminated string; NULL reads as "". */
const char *hw__pool_strdup(hw__pool *pool, const char *s);
void hw__pool_clear(hw__pool *pool);

#endif
