/*
 * prompt.h - from the caller's text to the prompt's tokens, each with its role and byte range.
 *
 * The user's text is never read for control tokens: "<|im_start|>" in it is plain text. Only the chat template's
 * own parts are, and theirs carry the role `template`.
 */
#ifndef HW_CAPTURE_PROMPT_H
#define HW_CAPTURE_PROMPT_H

#include "engine/engine.h"
#include "data/run.h"

/* Tokenizes params->prompt (wrapped in the chat template if params->chat) and appends its tokens to `run`,
 * their ids to `ids` (whose ids the caller frees, on failure too). */
hw_err hw__prompt_tokens(hw_run *run, hw__tokens *ids, hw__engine *engine, const hw_run_params *params, hw_error *err);

#endif
