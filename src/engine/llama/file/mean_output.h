/*
 * mean_output.h - the mean row of the output weights, the reference of logits: one pass over a large tensor.
 *
 * A thread computes it while libllama loads the model, mostly on one core, from the tensor with the usual name. If the
 * graph names another tensor, or no thread was started, it is computed on request.
 */
#ifndef HW_ENGINE_LLAMA_FILE_MEAN_OUTPUT_H
#define HW_ENGINE_LLAMA_FILE_MEAN_OUTPUT_H

#include "engine/llama/file/gguf.h"

typedef struct hw__mean_output hw__mean_output;

/* NULL: not started, because memory ran out or there is no such tensor. `file` must outlive it. */
hw__mean_output *hw__mean_output_begin(const hw__gguf *file);
/* Ends the thread, aborting its work if necessary. */
void hw__mean_output_free(hw__mean_output *m);

/* *mean [width] <- the mean row of tensor `name` [n_rows, width], malloc'd; `begun` is nullable. */
hw_err hw__mean_output_take(float **mean, hw__mean_output *begun, const hw__gguf *file, const hw__gguf_matrix *of,
                            size_t n_threads, hw_error *err);

#endif
