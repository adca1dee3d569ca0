/*
 * graph_nodes.h - a recorded graph with numbered nodes and what a walk finds about them; for graph_walk.c,
 * stream_mark.c and stream_map.c.
 *
 * The folder engine/llama/graph/: reads attention rows, values and contributions from the computation graphs that
 * libllama builds, and verifies what it read.
 */
#ifndef HW_ENGINE_LLAMA_GRAPH_GRAPH_NODES_H
#define HW_ENGINE_LLAMA_GRAPH_GRAPH_NODES_H

#include "engine/llama/graph/graph_ops.h"
#include "engine/llama/graph/llama_engine.h"

enum { HW__NODE_NONE = -1, HW__NODE_SEVERAL = -2 };

/* Properties of one node found by the walk. */
typedef struct hw__node_mark {
    double factor; /* factor from a row to the final stream */
    int32_t first; /* the first and the last sum on which it depends without another in between, or NONE */
    int32_t last;
    int32_t source; /* source on which it depends without a sum in between, NONE or SEVERAL */
    bool has_sum;   /* it is a sum of the stream's kind, or selects or scales rows of one */
    bool in_stream; /* reached from the final stream through sums; with a stream map: it carries the stream */
    bool embedding; /* in_stream, and contains a term that depends on no sum: the embedding */
    bool mixed;     /* in_stream, and contains the contribution of a source */
    bool term;      /* in_stream, and added as a whole */
} hw__node_mark;

typedef struct hw__walk {
    hw__llama_engine *e;
    struct ggml_tensor **nodes; /* [n] */
    hw__node_mark *marks;       /* [n] */
    int32_t *slots;             /* [mask + 1] node numbers by address, NONE if empty */
    int32_t *source_at;         /* [n] source whose attention weights or operation the node is, or NONE */
    bool *anchors;              /* [n] nodes with a name that also occurs exactly once in later graphs of the model */
    size_t n, mask;
    int32_t final, origin; /* numbers of the final stream and of the first block's input, or NONE */
} hw__walk;

/* The place of a tensor in slots, or the free one for it. */
size_t hw__node_slot(const hw__walk *w, const struct ggml_tensor *t);
/* A tensor's number, or NONE for tensors that are not computed: weights, inputs, the cache. */
int32_t hw__node_number(const hw__walk *w, const struct ggml_tensor *t);
bool hw__is_weight(const struct ggml_tensor *t);
/* Floating-point parameter i of an operation. */
float hw__node_param(const struct ggml_tensor *t, size_t i);

#endif
