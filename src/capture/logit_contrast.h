/*
 * logit_contrast.h - the token that a logit is contrasted with: "why this one rather than that one".
 *
 * hw_run_params.versus names it by its text, or asks for the likeliest other token of every step.
 */
#ifndef HW_CAPTURE_LOGIT_CONTRAST_H
#define HW_CAPTURE_LOGIT_CONTRAST_H

#include "engine/engine.h"

typedef struct hw__versus {
    bool second; /* the likeliest other token of each step; else `id` */
    int32_t id;  /* -1: none, logits are above their mean */
} hw__versus;

/* Reads hw_run_params.versus (NULL: nothing asked). The token must read exactly so: where the tokenizer does not make one
 * token of the text, the vocabulary is searched. Errors: ARGUMENT, which lists what the text is tokenized to. */
hw_err hw__versus_read(hw__versus *out, const char *text, hw__engine *engine, hw_error *err);

/* The other token of the step that chose `token`, whose alternatives are known; -1 where nothing is asked. */
int32_t hw__versus_id(const hw__versus *v, const hw_token *token);

#endif
