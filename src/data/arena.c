/* arena.c - a list of memory blocks, each filled from the front. */
#include "data/arena.h"

#include "base/error.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16 * 1024 };

struct hw__arena_block {
    struct hw__arena_block *next;
    size_t used, capacity; /* bytes used, and size of `bytes` */
    alignas(max_align_t) unsigned char bytes[];
};

static struct hw__arena_block *grow(hw__arena *arena, size_t need) {
    size_t capacity = need > BLOCK_BYTES ? need : BLOCK_BYTES, total;
    if (!hw__add(&total, sizeof(struct hw__arena_block), capacity)) return NULL;
    struct hw__arena_block *block = hw__alloc(total, 1);
    if (!block) return NULL;
    block->capacity = capacity;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *hw__arena_alloc(hw__arena *arena, size_t count, size_t size) {
    size_t bytes, padded;
    if (!hw__mul(&bytes, count, size) || !hw__add(&padded, bytes, alignof(max_align_t))) return NULL;
    padded -= padded % alignof(max_align_t); /* adds at least one byte, for a terminator */
    struct hw__arena_block *block = arena->blocks;
    if (!block || block->capacity - block->used < padded) block = grow(arena, padded);
    if (!block) return NULL;
    void *p = block->bytes + block->used;
    block->used += padded;
    return p;
}

const char *hw__arena_strndup(hw__arena *arena, const char *bytes, size_t n) {
    size_t capacity;
    char *copy = hw__add(&capacity, n, 1) ? hw__arena_alloc(arena, capacity, 1) : NULL;
    if (copy && n) memcpy(copy, bytes, n);
    return copy;
}

const char *hw__arena_strdup(hw__arena *arena, const char *s) {
    return hw__arena_strndup(arena, s ? s : "", s ? strlen(s) : 0);
}

void hw__arena_clear(hw__arena *arena) {
    while (arena->blocks) {
        struct hw__arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}
