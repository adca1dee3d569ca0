/*
 * arena.h - memory that is freed all at once: token bytes, names and other small objects of one run.
 *
 * Pointers stay valid until hw__arena_clear(). Not for large arrays.
 *
 * The folder data/: what the library's results consist of: runs, traces, attributions; the names of enums; and tables
 * of settings, with the run's options among them.
 */
#ifndef HW_DATA_ARENA_H
#define HW_DATA_ARENA_H

#include <stddef.h>

typedef struct hw__arena {
    struct hw__arena_block *blocks; /* newest first */
} hw__arena;

/* Zeroed memory, aligned for any type; NULL when memory runs out. */
void *hw__arena_alloc(hw__arena *arena, size_t count, size_t size);
/* Copies bytes [n] and appends a terminator; NULL when memory runs out. */
const char *hw__arena_strndup(hw__arena *arena, const char *bytes, size_t n);
/* Copies a terminated string; NULL is copied as "". */
const char *hw__arena_strdup(hw__arena *arena, const char *s);
void hw__arena_clear(hw__arena *arena);

#endif
