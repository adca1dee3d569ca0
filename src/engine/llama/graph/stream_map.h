/*
 * stream_map.h - the final stream as a linear function of what blocks add, for models that mix their stream.
 *
 * In most models a block's output counts with a fixed factor in the final stream. Others carry several streams that
 * are mixed by factors that depend on the token (hyper-connections, AltUp), normalise the stream between blocks, or
 * apply blocks several times. With these factors taken as they were in the pass, the final stream of a row is still a
 * linear function of what each block added to that row. The map is compiled from the recorded graph of one token: it
 * lists the operations between what blocks add and the final stream, and the nodes whose numbers are their factors.
 * Carrying a direction back through it gives the direction at each source's contribution.
 *
 * Linear are sums, products with a factor outside the stream, norms with a constant scale, square
 * weights, mixing of streams, and changes of layout. Other operations end the stream: what leaves them is a
 * contribution of its own. proof.c compares the map with the engine's final stream.
 */
#ifndef HW_ENGINE_LLAMA_GRAPH_STREAM_MAP_H
#define HW_ENGINE_LLAMA_GRAPH_STREAM_MAP_H

#include "engine/llama/graph/graph_nodes.h"

typedef struct hw__stream_map hw__stream_map;

/* Marks the stream of a walk whose graph has one token, and the term of each source, [n_sources] NONE if it has none.
 * False when memory runs out. */
bool hw__stream_map_mark(hw__walk *w, int32_t *terms);

/* Compiles the map of a marked walk into e->map; anything that cannot be followed is named in e->values_problem. Error
 * MEMORY. */
hw_err hw__stream_map_new(hw__walk *w, const int32_t *terms, hw_error *err);
void hw__stream_map_free(hw__stream_map *map);

/* Floats of the factors of a row. */
size_t hw__stream_map_width(const hw__stream_map *map);

/* Before a decode; for each node that ggml reports, with its number: whether the graph must stop there; then with its
 * data. False: error in e->failed. */
void hw__stream_map_begin(hw__stream_map *map);
bool hw__stream_map_wants(hw__llama_engine *e, const struct ggml_tensor *t, size_t number);
bool hw__stream_map_show(hw__llama_engine *e, const struct ggml_tensor *t);
/* The row's factors after the decode; NULL if it did not show all of them. */
const float *hw__stream_map_row(const hw__stream_map *map);

/* out [n_sources + 1, D] <- direction z [D] of the final stream, carried back to each source's contribution, and to the
 * embedding. `row`: of the same token. Error MEMORY. */
hw_err hw__stream_map_carry(const hw__stream_map *map, float *out, const float *z, const float *row, hw_error *err);

/* Engine operation with this name. */
hw_err hw__llama_carry(const hw__engine *base, float *out, const float *z, const float *mixing, hw_error *err);

/* The type, of all weights in the map, that rounds most. */
enum ggml_type hw__stream_map_type(const hw__stream_map *map);

/* In the probe's decode: *sum <- the parts of <z, final stream> of contributions other than those of sources, and of
 * constants. Error MEMORY. */
hw_err hw__stream_map_rest(const hw__stream_map *map, double *sum, const float *z, const float *row, hw_error *err);

#endif
