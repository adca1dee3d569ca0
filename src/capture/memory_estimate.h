/*
 * memory_estimate.h - what a run would take, from tokens that were read.
 */
#ifndef HW_CAPTURE_MEMORY_ESTIMATE_H
#define HW_CAPTURE_MEMORY_ESTIMATE_H

#include "engine/engine.h"
#include "data/run.h"

/* Tokens of a run that is not decoded yet. */
typedef struct hw__run_tokens {
    const hw_run *run; /* with the prompt's */
    const hw__tokens *prompt, *given;
} hw__run_tokens;

/* params->explainer has begun with this run. Errors: ARGUMENT (more tokens than any context). */
hw_err hw__estimate(hw_estimate *out, const hw__engine *engine, const hw__run_tokens *tokens, const hw_run_params *params,
                    hw_error *err);

#endif
