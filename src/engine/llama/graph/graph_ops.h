/*
 * graph_ops.h - properties of a graph's node: the block in its name, and whether its operation keeps a state.
 */
#ifndef HW_ENGINE_LLAMA_GRAPH_GRAPH_OPS_H
#define HW_ENGINE_LLAMA_GRAPH_GRAPH_OPS_H

#include "headwater.h"

#include <ggml.h>

/* The block of a node named `prefix` and a number, or -1. */
int hw__block_of(const char *name, const char *prefix);

/* Whether t moves information between tokens through a state; its block, or -1; its kind. */
bool hw__is_recurrent_op(const struct ggml_tensor *t);
/* Which source of a recurrent operation is its state; -1: none. */
int hw__recurrent_state(const struct ggml_tensor *t);
int hw__recurrent_block(const struct ggml_tensor *t);
hw_source_kind hw__recurrent_kind(const struct ggml_tensor *t);

#endif
