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
 * is done: it need not stop there. hw__fetch_begin() takes back what was given; hw__fetch_keep() is false where the node must be
 * read at once: no room, or a view. hw__fetch_move_view() lets a view follow what it is a view of. Graphs may be computed again,
 * so the memory stays until hw__fetch_free(), which comes after the context's end. */
void hw__fetch_begin(hw__fetch *fetch);
bool hw__fetch_keep(hw__fetch *fetch, struct ggml_tensor *t);
void hw__fetch_move_view(const hw__fetch *fetch, struct ggml_tensor *t);

/* A whole tensor's bytes, until the next call; NULL when there is no memory. */
const void *hw__fetch_all(hw__fetch *fetch, const struct ggml_tensor *t);

#endif
