/*
 * adapters.h - low-rank adapters (LoRA) of a model: GGUF files that are checked, loaded, and included in the model's
 * identity.
 *
 * The folder engine/llama/file/: what a model's files contain: GGUF metadata and rows of weights, adapters, the mean
 * row of the output weights, the vocabulary's control tokens.
 */
#ifndef HW_ENGINE_LLAMA_FILE_ADAPTERS_H
#define HW_ENGINE_LLAMA_FILE_ADAPTERS_H

#include "engine/engine.h"

#include <llama.h>

typedef struct hw__adapters {
    struct llama_adapter_lora **loras; /* [n] freed with the model */
    float *scales;                     /* [n] */
    size_t n;
    char *text;             /* malloc'd: "FILE", "FILE=0.5", separated by ", "; NULL: none */
    char sample_sha256[65]; /* hash of the model's weights and of the adapters with their scales */
} hw__adapters;

/* Loads specs [n], each "FILE" or "FILE=SCALE", for a model whose weights have this checksum. Errors: ARGUMENT (a scale
 * is not a number; an adapter of another architecture or of other weights), IO, FORMAT, UNSUPPORTED, MEMORY. */
hw_err hw__adapters_open(hw__adapters *out, struct llama_model *model, const char *const *specs, size_t n,
                         const char *sample_sha256, hw_error *err);
/* Frees everything that the model does not own. */
void hw__adapters_clear(hw__adapters *adapters);
/* Applies them to a new context. */
hw_err hw__adapters_apply(const hw__adapters *adapters, struct llama_context *ctx, hw_error *err);

#endif
