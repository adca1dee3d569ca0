/*
 * graph_walk.h - what the graph of one decode says: which branches add to the residual stream, how each block's attention
 * gets there, and how the final stream becomes logits.
 *
 * Architectures differ in names and in order, so nothing is taken from a name but where attention weights are
 * (`kq_soft_max-<block>`) and which node the logits are (`result_output`); the values that a walk promises are compared with
 * the engine's own by proof.c. Nodes are in the order in which they are computed; an index into them is a node's number.
 */
#ifndef HW_ENGINE_LLAMA_GRAPH_WALK_H
#define HW_ENGINE_LLAMA_GRAPH_WALK_H

#include "engine/llama/graph_ops.h"
#include "engine/llama/llama_engine.h"

/* Notes a node that ggml names in the pass that is recorded. False when there is no memory. */
bool hw__record_node(hw__record *record, struct ggml_tensor *t);
void hw__record_free(hw__record *record);

/* Reads the recorded graph into e->graphs, e->readout and e->taps; the layers must be known. What cannot be followed is named in
 * values_problem and readout_problem. Error MEMORY. */
hw_err hw__graph_walk(hw__llama_engine *e, hw_error *err);

#endif
