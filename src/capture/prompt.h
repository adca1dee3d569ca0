/*
 * prompt.h - turns the caller's texts into tokens, each with its role and byte range.
 *
 * Control tokens in the caller's text are parsed only if params->special is set: otherwise "<|im_start|>" is plain
 * text. Those of the chat template are parsed, and the template's tokens have the role `template`.
 */
#ifndef HW_CAPTURE_PROMPT_H
#define HW_CAPTURE_PROMPT_H

#include "data/run.h"
#include "engine/engine.h"

/* Checks that prompt, messages and template of `params` are consistent. Errors: ARGUMENT. */
hw_err hw__prompt_check(const hw_run_params *params, hw_error *err);

/* Tokenizes params->prompt, or the conversation rendered by the chat template, and appends its tokens to `run` and
 * their ids to `ids` (the caller frees ids->ids, also on failure). Adds remarks on the text to the run. */
hw_err hw__prompt_tokens(hw_run *run, hw__tokens *ids, hw__engine *engine, const hw_run_params *params, hw_error *err);

/* Ids of params->completion, which continues the prompt: its bytes are those of the text, as far as the tokenizer can
 * represent them; or those of params->begun; or none. The caller frees ids->ids, also on failure. `run`: receives
 * remarks; may be NULL. */
hw_err hw__completion_tokens(hw__tokens *ids, hw_run *run, hw__engine *engine, const hw_run_params *params,
                             hw_error *err);

/* Maximum number of tokens of the completion, of which `n_given` are given. */
static inline size_t hw__max_completion(const hw_run_params *params, size_t n_given) {
    return n_given + (params->completion ? 0 : params->n_generate);
}

#endif
