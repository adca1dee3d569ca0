/*
 * run.h - the inside of hw_run: which tokens, by which model, with which options.
 *
 * Shared by the trace and by every attribution of it (counted references), immutable once captured.
 * It knows nothing of attention.
 */
#ifndef HW_DATA_RUN_H
#define HW_DATA_RUN_H

#include "headwater.h"
#include "base/arena.h"

#include <stdatomic.h>

/* More than the kinds of remarks that two texts can have. */
enum { HW__MAX_REMARKS = 16 };

/* The options that made the run, as they are kept in files. */
typedef struct hw__run_options {
    size_t n_generate;
    float temperature, top_p;
    int32_t top_k, n_ubatch;
    uint32_t seed;
    hw_fuse fuse;
    bool chat, f32_cache;
    const char *versus; /* in the run's pool; "" for none */
    bool special;
    hw_thinking thinking;
} hw__run_options;

struct hw_run {
    atomic_int refs;
    hw__pool pool; /* owns every string below, token bytes and alternatives */
    hw_model_info model;
    hw__run_options options;
    hw_stop stop;
    bool causal;
    const char *prompt; /* [prompt_bytes] in pool */
    size_t prompt_bytes;
    char *completion; /* [completion_bytes] malloc'd, grows with the tokens */
    size_t completion_bytes;
    hw_token *tokens; /* [n_tokens] malloc'd */
    size_t n_tokens, room, n_prompt;
    const hw_span *messages; /* [n_messages] in pool, rising: role and byte range in the prompt */
    size_t n_messages;
    const char *remarks[HW__MAX_REMARKS]; /* [n_remarks] in pool */
    size_t n_remarks;
    size_t n_reused; /* tokens of the front whose rows came from an earlier trace; not kept in files */
};

/* A run with no tokens and one reference, `model` copied into it. */
hw_err hw__run_new(hw_run **out, const hw_model_info *model, const hw__run_options *options, hw_error *err);
/* Whether they are of one GGUF file, by its metadata and, where both say it, a sample of its weights. */
bool hw__same_model(const hw_model_info *a, const hw_model_info *b);
hw_run *hw__run_retain(const hw_run *run); /* one more reference; to be released like the first */
void hw__run_release(hw_run *run);         /* NULL is fine */

hw_err hw__run_set_prompt(hw_run *run, const char *bytes, size_t n, hw_error *err);
/* Spans of the prompt, copied. Errors: FORMAT (they do not rise, or end beyond the prompt), MEMORY. */
hw_err hw__run_set_messages(hw_run *run, const hw_span *messages, size_t n, hw_error *err);
hw_err hw__run_add_remark(hw_run *run, const char *sentence, hw_error *err); /* copied; one too many is dropped */

/* Appends a token, its bytes and alternatives copied. A completion token's bytes are appended to the
 * completion and give its range. `n_prompt` counts up with every token that is not of the completion. */
hw_err hw__run_add_token(hw_run *run, const hw_token *token, hw_error *err);

#endif
