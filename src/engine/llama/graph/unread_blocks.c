/*
 * unread_blocks.c - finds blocks that read other tokens in a way that no source follows.
 *
 * A block reaches other tokens through memory of its own alone: a cache of keys and values, or a state. A block whose
 * memory is in the graph, and which has no source of that kind, is one: its attention shows no weights, or it keeps a
 * state by operations that nothing here reads (linear attention written out as products, say).
 */
#include "engine/llama/graph/llama_engine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Block of the memory that a tensor is a part of, or -1; *recurrent: it is a state. */
static int block_of_memory(const struct ggml_tensor *t, bool *recurrent) {
    const char *name = t && t->view_src ? t->view_src->name : t ? t->name : "", *at = strrchr(name, '_');
    if (strncmp(name, "cache_", 6) != 0 || !at || at[1] != 'l' || !isdigit((unsigned char)at[2])) return -1;
    long block = strtol(at + 2, NULL, 10);
    *recurrent = at > name && (at[-1] == 'r' || at[-1] == 's');
    return block < INT32_MAX ? (int)block : -1;
}

static bool has_source(const hw__llama_engine *e, int block, bool recurrent) {
    for (int32_t s = 0; s < e->info.n_sources; s++)
        if (e->sources[s].block == block && (e->sources[s].layer < 0) == recurrent) return true;
    return false;
}

/* Counts a block before the source that follows it. */
static void count_block(hw__llama_engine *e, int block) {
    int32_t s = 0;
    while (s < e->info.n_sources && e->sources[s].block <= block) s++;
    e->unread[s]++;
}

hw_err hw__find_unread(hw__llama_engine *e, hw_error *err) {
    size_t n = (size_t)e->info.n_blocks;
    bool *seen = hw__alloc(n, sizeof *seen);
    free(e->unread);
    e->unread = hw__alloc(2 * n + 1, sizeof *e->unread);
    if (!seen || !e->unread) {
        free(seen);
        return hw__fail_memory(err, "blocks", n, sizeof *seen + 2 * sizeof *e->unread);
    }
    e->n_unread = 0;
    for (size_t i = 0; i < e->record.n; i++)
        for (int j = 0; j < GGML_MAX_SRC; j++) {
            bool recurrent = false;
            int block = block_of_memory(e->record.nodes[i]->src[j], &recurrent);
            if (block < 0 || block >= e->info.n_blocks || seen[block] || has_source(e, block, recurrent)) continue;
            seen[block] = true;
            count_block(e, block);
            e->n_unread++;
        }
    free(seen);
    return HW_OK;
}
