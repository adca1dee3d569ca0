/*
 * gguf.h - access to a GGUF file: checks it before libllama opens it, computes its hashes, and reads weights by name.
 *
 * Weights are read from the file and not from the loaded model, which may have them repacked for the CPU or on a
 * device.
 */
#ifndef HW_ENGINE_LLAMA_FILE_GGUF_H
#define HW_ENGINE_LLAMA_FILE_GGUF_H

#include "base/error.h"

#include <ggml.h>

typedef struct hw__gguf hw__gguf;

/* A weight [n_rows, width] with a borrowed name. */
typedef struct hw__gguf_matrix {
    const char *name;
    size_t n_rows, width;
} hw__gguf_matrix;

/* Opens and checks: a regular file, the magic, metadata that can be parsed, every tensor inside the file; for the first
 * file of a split also the others. Errors: IO, FORMAT, MEMORY, ARGUMENT (a part that is not the first). */
hw_err hw__gguf_open(hw__gguf **out, const char *path, hw_error *err);
void hw__gguf_close(hw__gguf *file);

/* ggml's view of the metadata, of the first file if there are several. */
const struct gguf_context *hw__gguf_metadata(const hw__gguf *file);
/* A text of the metadata; "" if there is none with this key. */
const char *hw__gguf_text(const struct gguf_context *meta, const char *key);

/* Opening starts to compute the hashes on a thread; this waits for them. Error: IO. */
hw_err hw__gguf_finish_hashes(hw__gguf *file, hw_error *err);
/* Valid after that: hex SHA-256 of the bytes before the tensor data, and of these with a sample of each tensor, because
 * two checkpoints of a model may differ only in their weights. */
const char *hw__gguf_metadata_sha256(const hw__gguf *file);
const char *hw__gguf_sample_sha256(const hw__gguf *file);

/* Number of files; parameters and bytes of their tensors. */
size_t hw__gguf_count(const hw__gguf *file, uint64_t *n_params, uint64_t *n_bytes);

/* The output weights, if they have the usual name and the width of the stream given in the metadata. */
bool hw__gguf_output(const hw__gguf *file, hw__gguf_matrix *out);

/* Rows first..first+n-1 of a weight [rows, width], dequantised into out [n, width]. Errors: UNSUPPORTED (no such
 * tensor, a type that cannot be read), FORMAT (smaller than requested), IO. Several threads may read at once. */
typedef struct hw__gguf_part {
    const char *name;
    size_t first, n, width;
} hw__gguf_part;
hw_err hw__gguf_rows(const hw__gguf *file, float *out, hw__gguf_part rows, hw_error *err);

/* Rows ids [n] of a weight [rows, width]. */
typedef struct hw__gguf_pick {
    const char *name;
    size_t width, n;
    const int32_t *ids;
} hw__gguf_pick;

/* Rows as they are stored. */
typedef struct hw__gguf_raw {
    unsigned char *bytes; /* [n, row_bytes] malloc'd */
    size_t row_bytes;
    enum ggml_type type;
} hw__gguf_raw;

/* Errors: as hw__gguf_rows(), MEMORY. */
hw_err hw__gguf_raw_rows(const hw__gguf *file, hw__gguf_raw *out, const hw__gguf_pick *pick, hw_error *err);

#endif
