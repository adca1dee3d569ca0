/*
 * proof.h - verifies that the analysis by graph_walk.c gives the numbers that the engine computes.
 *
 * One decode of a few tokens uses the same taps as every later one, and its last row is computed again: the stream from
 * its terms, each layer's attention from weights and values (some channels), the logits from the final stream (some
 * tokens).
 */
#ifndef HW_ENGINE_LLAMA_GRAPH_PROOF_H
#define HW_ENGINE_LLAMA_GRAPH_PROOF_H

#include "engine/llama/graph/llama_engine.h"

/* Allocates storage for the data of the decode. NULL when memory runs out. */
hw__proof *hw__proof_new(const hw__llama_engine *e);
void hw__proof_free(hw__proof *proof);

/* Receive the data of the decode, as members of a sink whose ctx is the proof; and the taps that sinks do not
 * receive. */
hw_err hw__proof_heads(void *proof, size_t layer, const hw__heads *heads, hw_error *err);
hw_err hw__proof_stream(void *proof, size_t layer, const hw__stream *stream, hw_error *err);
hw_err hw__proof_final(void *proof, const float *rows, size_t n_rows, size_t q0, hw_error *err);
hw_err hw__proof_origin(void *proof, const float *rows, size_t n_rows, size_t q0, hw_error *err);
hw_err hw__proof_mixing(void *proof, const float *row, size_t q, hw_error *err);
hw_err hw__proof_rest(hw__proof *proof, const hw__llama_engine *e, const hw__tap *tap, hw_error *err);

/* Compares, and reports in values_problem and readout_problem the step whose numbers differ from the engine's. Logits
 * of the last row must have been kept. `sources`: what each source adds too, beside the stream and the logits; the
 * latter are compared for a decode of several tokens as well, which an engine may compute otherwise. */
void hw__proof_close(const hw__proof *proof, hw__llama_engine *e, bool sources);

#endif
