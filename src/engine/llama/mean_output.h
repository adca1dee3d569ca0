/*
 * mean_output.h - the mean row of the output weights, which logits are explained above: one pass over a large tensor.
 *
 * A thread of its own makes it from the moment a model's file is open, while libllama loads the model, mostly on one core, for the
 * tensor that has the usual name. Where the graph names another, or nothing was begun, it is made when it is asked for.
 */
#ifndef HW_ENGINE_LLAMA_MEAN_OUTPUT_H
#define HW_ENGINE_LLAMA_MEAN_OUTPUT_H

#include "engine/llama/gguf.h"

typedef struct hw__mean_output hw__mean_output;

/* NULL: nothing was begun, for want of memory or of such a tensor. `file` outlives it. */
hw__mean_output *hw__mean_output_begin(const hw__gguf *file);
/* Ends the thread, in the middle of its work if need be. */
void hw__mean_output_free(hw__mean_output *m);

/* *mean [width] <- the mean row of tensor `name` [n_rows, width], malloc'd; `begun` is nullable. */
hw_err hw__mean_output_take(float **mean, hw__mean_output *begun, const hw__gguf *file, const hw__gguf_matrix *of,
                            size_t n_threads, hw_error *err);

#endif
