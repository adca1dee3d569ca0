/*
 * follow.h - decodes of a context that the caller made and drives, as libllama's callback shows them.
 *
 * The caller's context calls back for the nodes of its graphs. A decode of one batch is one graph or several
 * (micro-batches); each is an event here: begin, with its tokens, then the sink's rows, then end, with its logits.
 * Errors do not end the caller's decode: nothing is read after the first one, which hw__follow_end() returns.
 */
#ifndef HW_ENGINE_FOLLOW_H
#define HW_ENGINE_FOLLOW_H

#include "engine/engine.h"

struct llama_context;
struct llama_context_params;

typedef struct hw__follower hw__follower;

typedef struct hw__follow_events {
    /* Before a graph of batch->ids [n] at position `at` computes: *sink receives its rows. */
    hw_err (*begin)(void *ctx, hw__sink *sink, const hw__token_batch *batch, hw_error *err);
    /* After it: rows from batch->first_logit on have logits (hw__engine_ops.logits). The last row's stay until the next
     * begin() returns. */
    hw_err (*end)(void *ctx, const hw__token_batch *batch, hw_error *err);
    void *ctx;
} hw__follow_events;

/* Errors: UNSUPPORTED (an engine other than libllama, a model whose graphs cannot be followed, adapters), MEMORY. */
hw_err hw__follow_new(hw__follower **out, hw__engine *engine, const hw__follow_events *events, hw_error *err);
/* The contexts that it follows must have been freed, or never decode again. */
void hw__follow_free(hw__follower *f);

/* Sets what a context needs to be followed. Error ARGUMENT: a setting that the caller must change. */
hw_err hw__follow_install(hw__follower *f, struct llama_context_params *params, hw_error *err);

/* Follows the next sequence of `ctx`, whose cache must be empty. The engine runs nothing of its own until
 * hw__follow_end(). Errors: ARGUMENT. */
hw_err hw__follow_begin(hw__follower *f, struct llama_context *ctx, hw_error *err);
/* The first error so far; HW_OK: none. */
hw_err hw__follow_error(const hw__follower *f, hw_error *err);
/* Error ARGUMENT if the context's cache no longer holds the decoded tokens, whose values are in it. */
hw_err hw__follow_holds(const hw__follower *f, hw_error *err);
/* Number of decoded tokens. */
size_t hw__follow_count(const hw__follower *f);
/* Stops following. */
void hw__follow_end(hw__follower *f);

#endif
