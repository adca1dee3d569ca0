/*
 * graph_walk.h - analyses the graph of one decode: which branches add to the residual stream, how each block's
 * attention gets there, and how the final stream becomes logits.
 *
 * Architectures differ in names and in order, so only two names are relied upon: attention weights
 * (`kq_soft_max-<block>`) and the logits (`result_output`). proof.c compares the values derived from a walk with the
 * engine's own. Nodes are in the order of computation; the index of a node is its number.
 */
#ifndef HW_ENGINE_LLAMA_GRAPH_GRAPH_WALK_H
#define HW_ENGINE_LLAMA_GRAPH_GRAPH_WALK_H

#include "engine/llama/graph/graph_ops.h"
#include "engine/llama/graph/llama_engine.h"

/* Records a node reported by ggml in the recorded pass. False when memory runs out. */
bool hw__record_node(hw__record *record, struct ggml_tensor *t);
void hw__record_free(hw__record *record);

/* Reads the recorded graph into e->graphs, e->readout and e->taps; the layers must be known. Anything that cannot be
 * followed is named in values_problem and readout_problem. Error MEMORY. */
hw_err hw__graph_walk(hw__llama_engine *e, hw_error *err);

#endif
