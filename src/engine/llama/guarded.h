/*
 * guarded.h - the calls of libllama and ggml that may throw, each behind a C function that catches.
 *
 * libllama is C++ below its C header: a vocabulary without byte tokens, a state of other sizes or a failed allocation are exceptions
 * there, and one that leaves a C function ends the process. Here it becomes an error: MEMORY for std::bad_alloc, else ENGINE
 * with what the exception says. Results are as the wrapped call's; out parameters are written only on success.
 * Exceptions on threads that ggml starts for itself cannot be caught here.
 */
#ifndef HW_ENGINE_LLAMA_GUARDED_H
#define HW_ENGINE_LLAMA_GUARDED_H

#include "headwater.h"

#include <gguf.h>
#include <llama.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "engine/engine.h"

/* Where a text's token ids go. */
typedef struct hw__id_buffer {
    int32_t *ids; /* [capacity] */
    int32_t capacity;
} hw__id_buffer;

/* How a text is read: flags of llama_tokenize(). */
typedef struct hw__tokenize_options {
    bool add_special, parse_special;
} hw__tokenize_options;

/* *model NULL: libllama refused the file, and logged why. */
hw_err hw__guarded_load(struct llama_model **model, const char *path, struct llama_model_params params, hw_error *err);
/* *ctx NULL: libllama could not make one, and logged why. */
hw_err hw__guarded_context(struct llama_context **ctx, struct llama_model *model, struct llama_context_params params,
                           hw_error *err);
/* *n as llama_tokenize() returns it: below 0 when the buffer is too small. */
hw_err hw__guarded_tokenize(int32_t *n, const struct llama_vocab *vocab, const char *text, int32_t n_bytes,
                            hw__id_buffer out, hw__tokenize_options how, hw_error *err);
/* Bytes of a token in out [capacity]; *n below 0 when they do not fit. */
hw_err hw__guarded_piece(int32_t *n, char *out, int32_t capacity, const struct llama_vocab *vocab, int32_t id,
                         hw_error *err);
/* *out NULL: libllama refused the adapter, and logged why. */
hw_err hw__guarded_adapter(struct llama_adapter_lora **out, struct llama_model *model, const char *path, hw_error *err);
/* Has the context use adapters [n] with scales [n]; *status as llama_set_adapters_lora() returns it. */
hw_err hw__guarded_adapters(int32_t *status, struct llama_context *ctx, struct llama_adapter_lora **adapters, size_t n,
                            float *scales, hw_error *err);
/* After an error the context is in no defined state: free it. */
hw_err hw__guarded_decode(int32_t *status, struct llama_context *ctx, struct llama_batch batch, hw_error *err);
hw_err hw__guarded_logits(const float **out, struct llama_context *ctx, int32_t row, hw_error *err);
/* Forgets positions from `first` on in sequence 0; *done false: the architecture cannot. */
hw_err hw__guarded_forget(bool *done, struct llama_context *ctx, int32_t first, hw_error *err);

hw_err hw__guarded_sampler(struct llama_sampler **out, const hw__sampling *options, hw_error *err);
hw_err hw__guarded_sample(int32_t *id, struct llama_sampler *sampler, struct llama_context *ctx, int32_t row,
                          hw_error *err);

/* The cache as bytes; `sequence` -1: every cell. */
hw_err hw__guarded_state_size(size_t *n, struct llama_context *ctx, int32_t sequence, hw_error *err);
hw_err hw__guarded_state_read(size_t *n, unsigned char *out, size_t capacity, struct llama_context *ctx,
                              int32_t sequence, hw_error *err);
hw_err hw__guarded_state_write(size_t *n, struct llama_context *ctx, const unsigned char *bytes, size_t n_bytes,
                               int32_t sequence, hw_error *err);

/* The metadata of a GGUF file, bytes [n] from its begin on; *out NULL: they do not parse. Keeps no reference to them. */
hw_err hw__guarded_gguf(struct gguf_context **out, const void *bytes, size_t n, hw_error *err);

/* Loads ggml's backends of a folder. */
hw_err hw__guarded_backends(const char *folder, hw_error *err);
/* ggml_backend_rpc_add_server(), which is found by name. */
typedef struct ggml_backend_reg *(*hw__add_server)(const char *endpoint);
hw_err hw__guarded_add_server(struct ggml_backend_reg **out, hw__add_server add, const char *endpoint, hw_error *err);

#ifdef __cplusplus
}
#endif

#endif
