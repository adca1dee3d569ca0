/*
 * device_read.h - reads attention rows from device memory, transferring as few bytes as possible.
 *
 * If only the mean over heads is needed it is summed on the device: H times fewer bytes cross the bus or the network.
 */
#ifndef HW_ENGINE_LLAMA_DEVICE_DEVICE_READ_H
#define HW_ENGINE_LLAMA_DEVICE_DEVICE_READ_H

#include "engine/engine.h"

#include <ggml-backend.h>

typedef struct hw__device_read hw__device_read;

/* NULL when memory runs out. */
hw__device_read *hw__device_read_new(void);
void hw__device_read_free(hw__device_read *reader);

typedef struct hw__row_range {
    size_t first, count;
} hw__row_range;

/* Reads rows of computed softmax weights t (F32, [keys, queries, heads] in ggml's order). With
 * `mean` out->n_heads is 1. Sets attn, counts and strides, valid until the next call; not q0. Errors MEMORY, ENGINE. */
hw_err hw__device_read_rows(hw__device_read *reader, hw__heads *out, const struct ggml_tensor *t, hw__row_range rows,
                            bool mean, hw_error *err);

/* Nodes that are not computed yet can be redirected to our own memory on their device and read after the graph is done,
 * so that the graph need not stop for them. hw__device_read_keep() places t at `offset`, with at most `capacity` bytes;
 * false if the node must be read at once: it is too large, or a view. The caller must not overlap nodes of a graph,
 * because graphs are computed again with their nodes in the same places. hw__device_read_move_view() moves a view to
 * the new memory of its source. The memory stays until hw__device_read_free(), which must follow the end of the
 * context. */
bool hw__device_read_keep(hw__device_read *reader, struct ggml_tensor *t, size_t offset, size_t capacity);
void hw__device_read_move_view(const hw__device_read *reader, struct ggml_tensor *t);

/* A whole tensor's bytes: in place if the CPU can read them, else copied and valid until the next call; NULL when
 * memory runs out. */
const void *hw__device_read_bytes(hw__device_read *reader, const struct ggml_tensor *t);

#endif
