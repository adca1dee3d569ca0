/*
 * masked_pass.h - log probabilities of the same completion after a prompt without some of its tokens.
 *
 * Tokens are removed, not masked: those after them move up. The completion is fixed, not generated (teacher forcing),
 * so one pass gives the log probability of each of its tokens. No attention is captured, so a pass is a plain forward
 * pass.
 */
#ifndef HW_OCCLUSION_MASKED_PASS_H
#define HW_OCCLUSION_MASKED_PASS_H

#include "data/run.h"
#include "engine/engine.h"

typedef struct hw__masked_pass hw__masked_pass;

/* Minimum log probability of one token, in nats. A token that the model excludes (a logit of -inf) gets this instead of
 * -inf, so that drops and their means stay finite; e^-1000 is 0 in every float, and no finite logit comes near it. */
#define HW__LOGPROB_FLOOR (-1000.0)

/* Passes of `model` over the tokens of `run`; both must outlive it, and nothing else may use the model in between.
 * `stop` (nullable) ends a pass with HW_ERR_CANCELLED. Errors: ARGUMENT (no completion; not the run's model),
 * UNSUPPORTED (tokens without ids, as in imports). */
hw_err hw__masked_pass_new(hw__masked_pass **out, hw_model *model, const hw_run *run, hw_stop_fn stop, void *stop_ctx,
                           hw_error *err);
void hw__masked_pass_free(hw__masked_pass *r);

void hw__masked_pass_size(const hw__masked_pass *r, size_t *n_prompt, size_t *n_completion);
/* Whether token `t` of the prompt may be left out: special and template tokens may not. */
bool hw__masked_pass_movable(const hw__masked_pass *r, size_t t);

/* log p [n] of each completion token after the prompt tokens with keep [m] set, in nats. Entries of tokens that may not
 * be left out are ignored. A prefix shared with the previous pass is not decoded again. ARGUMENT if nothing of the
 * prompt is left: the first completion token needs a token before it. */
hw_err hw__masked_pass_score(hw__masked_pass *r, const bool *keep, double *logprob, hw_error *err);

/* Generates greedily after the prompt tokens with keep [m] set, at most as many tokens as the completion has. ids [n of
 * the completion] <- *n tokens, without the end-of-text token. Errors: as hw__masked_pass_score(). */
hw_err hw__masked_pass_write(hw__masked_pass *r, const bool *keep, int32_t *ids, size_t *n, hw_error *err);

size_t hw__masked_pass_n_passes(const hw__masked_pass *r);  /* calls of hw__masked_pass_score() that decoded */
size_t hw__masked_pass_n_decoded(const hw__masked_pass *r); /* tokens that they decoded, without shared prefixes */

/* log(p / (1 - p)) of a log probability, without cancellation; at most about 27.6, where 1 - p is 1e-12. */
double hw__logit(double logprob);

#endif
