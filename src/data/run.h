/*
 * run.h - internals of hw_run: which tokens, by which model, with which options.
 *
 * Shared by the trace and all its attributions (reference count); immutable once captured. Knows nothing of attention.
 */
#ifndef HW_DATA_RUN_H
#define HW_DATA_RUN_H

#include "data/arena.h"
#include "headwater.h"

#include <stdatomic.h>

/* More than the number of distinct remarks that prompt and completion can have. */
enum { HW__MAX_REMARKS = 16 };

/* Options of the run that are saved in files. */
typedef struct hw__run_options {
    hw_run_params run; /* those of the table (run_options.c); its text is in the run's arena */
    int32_t n_ubatch;
    bool f32_cache;
} hw__run_options;

struct hw_run {
    atomic_int refs;
    hw__arena arena; /* owns every string below, token bytes and alternatives */
    hw_model_info model;
    hw__run_options options;
    hw_stop stop;
    bool causal;
    const char *prompt; /* [prompt_bytes] in the arena */
    size_t prompt_bytes;
    char *completion; /* [completion_bytes] malloc'd, grows with the tokens */
    size_t completion_bytes;
    hw_token *tokens; /* [n_tokens] malloc'd */
    size_t n_tokens, capacity, n_prompt;
    bool thinks;             /* the last token is in a thinking section that has not ended */
    const hw_span *messages; /* [n_messages] in the arena, ascending: role and byte range in the prompt */
    size_t n_messages;
    const char *remarks[HW__MAX_REMARKS]; /* [n_remarks] in the arena */
    size_t n_remarks;
    double recurrent_share; /* see hw_run_recurrent_share() */
    size_t n_reused;        /* tokens of the prefix whose rows came from an earlier trace; not saved in files */
};

/* A run with no tokens and one reference; `model` is copied. */
hw_err hw__run_new(hw_run **out, const hw_model_info *model, const hw__run_options *options, hw_error *err);
/* Whether both describe the same GGUF file: compares the metadata and, if both have it, the sample of the weights. */
bool hw__same_model(const hw_model_info *a, const hw_model_info *b);
/* Whether logits are compared with those of another token: `against` is second or a token's text. */
bool hw__run_against_token(const hw_run *run);
hw_run *hw__run_retain(const hw_run *run); /* adds a reference; release it with hw__run_release() */
void hw__run_release(hw_run *run);         /* accepts NULL */

hw_err hw__run_set_prompt(hw_run *run, const char *bytes, size_t n, hw_error *err);
/* The prompt is the joined bytes of its tokens. */
hw_err hw__run_join_prompt(hw_run *run, hw_error *err);
/* Copies spans of the prompt. Errors: FORMAT (they are not ascending, or end past the prompt), MEMORY. */
hw_err hw__run_set_messages(hw_run *run, const hw_span *messages, size_t n, hw_error *err);
hw_err hw__run_add_remark(hw_run *run, const char *sentence, hw_error *err); /* copied; ignored when the list is full */

/* Appends a token; copies its bytes and alternatives. A completion token's bytes are appended to the completion and
 * define its range. `n_prompt` counts the tokens that are not part of the completion. */
hw_err hw__run_add_token(hw_run *run, const hw_token *token, hw_error *err);

#endif
