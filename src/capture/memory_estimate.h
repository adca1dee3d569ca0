/*
 * memory_estimate.h - estimates memory and time of a run from its tokens.
 */
#ifndef HW_CAPTURE_MEMORY_ESTIMATE_H
#define HW_CAPTURE_MEMORY_ESTIMATE_H

#include "data/run.h"
#include "engine/engine.h"

/* Tokens of a run that is not decoded yet. */
typedef struct hw__run_tokens {
    const hw_run *run; /* holds those of the prompt */
    const hw__tokens *prompt, *given;
} hw__run_tokens;

/* hw__explainer_begin() must have been called with this run. Errors: ARGUMENT (more tokens than any context). */
hw_err hw__estimate(hw_estimate *out, const hw__engine *engine, const hw__run_tokens *tokens,
                    const hw_run_params *params, hw_error *err);

#endif
