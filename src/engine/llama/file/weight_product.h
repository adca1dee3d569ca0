/*
 * weight_product.h - products with a weight as the engine's CPU backend makes them, rounding included.
 *
 * Kernels for quantised weights round their input to 8 bits, each in its own way: only ggml itself gives the same
 * numbers. Some rows of the weight are read from the file, because loaded ones may be repacked.
 */
#ifndef HW_ENGINE_LLAMA_FILE_WEIGHT_PRODUCT_H
#define HW_ENGINE_LLAMA_FILE_WEIGHT_PRODUCT_H

#include "engine/llama/file/gguf.h"

/* out [w.n] <- rows w of a weight times x [w.width]. Errors: as hw__gguf_raw_rows(), ENGINE. */
hw_err hw__weight_product(float *out, const hw__gguf *file, const hw__gguf_pick *w, const float *x, hw_error *err);

#endif
