/*
 * prompt.h - from the caller's texts to tokens, each with its role and byte range.
 *
 * The caller's text is not read for control tokens unless params->special says so: "<|im_start|>" in it is plain text. Those of the
 * chat template are control tokens, and the template's tokens carry the role `template`.
 */
#ifndef HW_CAPTURE_PROMPT_H
#define HW_CAPTURE_PROMPT_H

#include "engine/engine.h"
#include "data/run.h"

/* Whether prompt, messages and template of `params` go together. Errors: ARGUMENT. */
hw_err hw__prompt_check(const hw_run_params *params, hw_error *err);

/* Tokenizes params->prompt, or the conversation that the chat template writes, and appends its tokens to `run`, their ids to
 * `ids` (whose ids the caller frees, on failure too). Remarks on the text go to the run. */
hw_err hw__prompt_tokens(hw_run *run, hw__tokens *ids, hw__engine *engine, const hw_run_params *params, hw_error *err);

/* Ids of params->completion, which goes on from the prompt: its bytes are the text's, as far as the tokenizer can spell them. The
 * caller frees ids->ids, on failure too. `run`: takes remarks; NULL: nobody does. */
hw_err hw__completion_tokens(hw__tokens *ids, hw_run *run, hw__engine *engine, const hw_run_params *params, hw_error *err);

#endif
