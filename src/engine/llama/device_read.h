/*
 * device_read.h - attention rows out of a device's memory, as few bytes of them as are needed.
 *
 * Where only the mean over heads is wanted it is summed on the device: H times fewer bytes cross the bus or the network.
 */
#ifndef HW_ENGINE_LLAMA_DEVICE_READ_H
#define HW_ENGINE_LLAMA_DEVICE_READ_H

#include "engine/engine.h"

#include <ggml-backend.h>

typedef struct hw__fetch hw__fetch;

/* NULL when there is no memory. */
hw__fetch *hw__fetch_new(void);
void hw__fetch_free(hw__fetch *fetch);

/* Rows first..first+count-1 of softmax weights t (F32, [keys, queries, heads] in ggml's order), which has been computed. With
 * `mean` out->n_heads is 1. Fills attn, counts and strides, which hold until the next call; not q0. Errors MEMORY, ENGINE. */
hw_err hw__fetch_rows(hw__fetch *fetch, hw__heads *out, const struct ggml_tensor *t, size_t first, size_t count,
                      bool mean, hw_error *err);

/* Nodes that are not computed yet can be made to write into memory of ours on their device, where they are found when the graph
 * is done: it need not stop there. hw__fetch_keep() puts t at `offset`, where it may take `capacity` bytes; false where it must be
 * read at once: more than fits, or a view. The caller gives no two nodes of a graph bytes in common, for graphs are computed
 * again with their nodes where they were. hw__fetch_move_view() lets a view follow what it is a view of. The memory stays until
 * hw__fetch_free(), which comes after the context's end. */
bool hw__fetch_keep(hw__fetch *fetch, struct ggml_tensor *t, size_t offset, size_t capacity);
void hw__fetch_move_view(const hw__fetch *fetch, struct ggml_tensor *t);

/* A whole tensor's bytes: in place where the CPU can read them, else copied, until the next call; NULL when there is no memory. */
const void *hw__fetch_bytes(hw__fetch *fetch, const struct ggml_tensor *t);

#endif
