/*
 * guarded.h - C functions that call libllama and ggml and catch C++ exceptions.
 *
 * libllama is C++ below its C header: a vocabulary without byte tokens, a state of other sizes or a failed allocation
 * throw exceptions, and an exception that leaves a C function ends the process. Here it becomes an error: MEMORY for
 * std::bad_alloc, else ENGINE with the exception's message. Results are those of the wrapped call; out parameters are
 * written only on success. Exceptions on threads started by ggml cannot be caught here.
 */
#ifndef HW_ENGINE_LLAMA_DEVICE_GUARDED_H
#define HW_ENGINE_LLAMA_DEVICE_GUARDED_H

#include "headwater.h"

#include <gguf.h>
#include <llama.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "engine/engine.h"

/* Destination of a text's token ids. */
typedef struct hw__id_buffer {
    int32_t *ids; /* [capacity] */
    int32_t capacity;
} hw__id_buffer;

/* Flags of llama_tokenize(). */
typedef struct hw__tokenize_options {
    const char *text; /* [n_bytes] */
    int32_t n_bytes;
    bool add_special, parse_special;
} hw__tokenize_options;

/* *model NULL: libllama rejected the file and logged the reason. */
hw_err hw__guarded_load(struct llama_model **model, const char *path, struct llama_model_params params, hw_error *err);
/* *ctx NULL: libllama could not make a context and logged the reason. */
hw_err hw__guarded_context(struct llama_context **ctx, struct llama_model *model, struct llama_context_params params,
                           hw_error *err);
/* *n as returned by llama_tokenize(): negative if the buffer is too small. */
hw_err hw__guarded_tokenize(int32_t *n, const struct llama_vocab *vocab, hw__id_buffer out, hw__tokenize_options how,
                            hw_error *err);
/* Bytes of a token in out [capacity]; *n is negative if they do not fit. */
hw_err hw__guarded_piece(int32_t *n, char *out, int32_t capacity, const struct llama_vocab *vocab, int32_t id,
                         hw_error *err);
/* *out NULL: libllama rejected the adapter and logged the reason. */
hw_err hw__guarded_adapter(struct llama_adapter_lora **out, struct llama_model *model, const char *path, hw_error *err);
/* Applies adapters [n] with scales [n] to the context; *status as returned by llama_set_adapters_lora(). */
hw_err hw__guarded_adapters(int32_t *status, struct llama_context *ctx, struct llama_adapter_lora **adapters, size_t n,
                            float *scales, hw_error *err);
/* After an error the state of the context is undefined: free it. */
hw_err hw__guarded_decode(int32_t *status, struct llama_context *ctx, struct llama_batch batch, hw_error *err);
hw_err hw__guarded_logits(const float **out, struct llama_context *ctx, int32_t row, hw_error *err);
/* Drops positions from `first` on in sequence 0; *done false: the architecture does not support it. */
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

/* The metadata of a GGUF file, from bytes [n] at its beginning; *out NULL: they cannot be parsed. Keeps no reference to
 * the bytes. */
hw_err hw__guarded_gguf(struct gguf_context **out, const void *bytes, size_t n, hw_error *err);

/* Loads ggml's backends of a folder. */
hw_err hw__guarded_backends(const char *folder, hw_error *err);
/* ggml_backend_rpc_add_server(), which is looked up by name. */
typedef struct ggml_backend_reg *(*hw__add_server)(const char *endpoint);
hw_err hw__guarded_add_server(struct ggml_backend_reg **out, hw__add_server add, const char *endpoint, hw_error *err);

#ifdef __cplusplus
}
#endif

#endif
