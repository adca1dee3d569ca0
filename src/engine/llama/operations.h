/*
 * operations.h - the operations of an engine run by libllama (engine.h), and what its files use of each other:
 *
 *     llama.c        opens and closes a model
 *     tokenizer.c    text to tokens and back
 *     context.c      contexts of libllama, and their memory
 *     decode.c       decodes with a sink, logits
 *     kv_cache.c     the common prefix, the cache as bytes
 *     follow.c       decodes of a context that the caller drives
 *     probe.c        what the model provides
 */
#ifndef HW_ENGINE_LLAMA_OPERATIONS_H
#define HW_ENGINE_LLAMA_OPERATIONS_H

#include "engine/llama/graph/llama_engine.h"

hw_err hw__llama_tokenize(hw__engine *base, hw__tokens *out, const char *text, size_t n, unsigned flags, hw_error *err);
hw_err hw__llama_piece(hw__engine *base, hw__piece *out, int32_t id, hw_error *err);
hw_err hw__llama_text_limits(hw__engine *base, hw__text_limits *out, hw_error *err);
hw_err hw__llama_find_control(hw__engine *base, hw__control *out, const char *text, size_t n, size_t from,
                              hw_error *err);
hw_err hw__llama_decode(hw__engine *base, hw__token_batch batch, const hw__sink *sink, hw_error *err);
const float *hw__llama_logits(hw__engine *base, size_t i);
hw_err hw__llama_resume(hw__engine *base, size_t *kept, const hw__sequence *sequence, hw_error *err);
hw_err hw__llama_save(hw__engine *base, hw__cache *out, const int32_t *ids, size_t n, hw_error *err);
hw_err hw__llama_restore(hw__engine *base, const hw__cache *cache, const int32_t *ids, size_t n, hw_error *err);
void hw__llama_footprint(const hw__engine *base, const hw__extent *n, uint64_t *cache, uint64_t *buffers);

/* Empties the sequence; makes a new context where the one that is there is too small for `n_tokens`. */
hw_err hw__llama_ensure_context(hw__llama_engine *e, size_t n_tokens, hw_error *err);

/* Builds the graph of a decode of ids [n] from position 0 and records its nodes; computes as little as possible. Begin
 * the sequence again afterwards. Errors: as a decode. */
hw_err hw__llama_record(hw__llama_engine *e, const int32_t *ids, size_t n, hw_error *err);

/* follow.c: the lookup of the embeddings of a batch's tokens; logits of row `row` of the last decode followed, NULL if
 * there are none. */
bool hw__llama_is_lookup(const struct ggml_tensor *t);
const float *hw__follow_logits(const struct hw__follower *f, size_t row);

/* Whether all of ggml's devices are this machine's processor. */
bool hw__llama_only_cpu(void);

/* Finds the attention layers and other data that the model provides; a model that lacks some still opens, and
 * info.problem names what is missing. */
hw_err hw__llama_probe(hw__llama_engine *e, hw_error *err);

#endif
