/*
 * gguf.h - a GGUF file as a file: checked before libllama sees it, hashed, and its weights read by name.
 *
 * Weights come from here and not from the loaded model, which may have them repacked for the CPU or on a device.
 */
#ifndef HW_ENGINE_LLAMA_GGUF_H
#define HW_ENGINE_LLAMA_GGUF_H

#include "base/error.h"

typedef struct hw__gguf hw__gguf;

/* A weight [n_rows, width] by its name, which is borrowed. */
typedef struct hw__gguf_matrix {
    const char *name;
    size_t n_rows, width;
} hw__gguf_matrix;

/* Opens and checks: a regular file, the magic, metadata that parse, every tensor inside the file; of the first file of a split the
 * others too. Errors: IO, FORMAT, MEMORY, ARGUMENT (a part that is not the first). */
hw_err hw__gguf_open(hw__gguf **out, const char *path, hw_error *err);
void hw__gguf_close(hw__gguf *file);

/* What ggml read of it, of the first file where there are several. */
const struct gguf_context *hw__gguf_metadata(const hw__gguf *file);

/* Opening begins to hash, on a thread of its own; this waits for it. Error: IO. */
hw_err hw__gguf_finish_hashes(hw__gguf *file, hw_error *err);
/* After that: hex SHA-256 of the bytes before the tensor data, and of these with a sample of each tensor: two checkpoints of one
 * model may differ in their weights alone. */
const char *hw__gguf_metadata_sha256(const hw__gguf *file);
const char *hw__gguf_sample_sha256(const hw__gguf *file);

/* The output weights, where they have the usual name and as many columns as the metadata say that the stream has. */
bool hw__gguf_output(const hw__gguf *file, hw__gguf_matrix *out);

/* Rows first..first+n-1 of a weight [rows, width], dequantised into out [n, width]. Errors: UNSUPPORTED (no such tensor, a type
 * that cannot be read), FORMAT (smaller than asked), IO. Several threads may read at once. */
hw_err hw__gguf_rows(const hw__gguf *file, float *out, const char *name, size_t first, size_t n, size_t width,
                     hw_error *err);

#endif
