/*
 * masked_pass.h - the same completion read again after less of its prompt: how probable is it without these tokens?
 *
 * Tokens are removed, not masked: those behind move up. The completion is given, not chosen (teacher forcing), so one
 * pass tells the log probability of each of its tokens. No attention is shown, so a pass is a plain forward pass.
 */
#ifndef HW_OCCLUSION_MASKED_PASS_H
#define HW_OCCLUSION_MASKED_PASS_H

#include "engine/engine.h"
#include "data/run.h"

typedef struct hw__rerun hw__rerun;

/* Least log probability of one token, in nats. A token that a model rules out (a logit of -inf) gets this instead of
 * -inf, so that falls and their means stay numbers; e^-1000 is 0 in every float, and no finite logit comes near it. */
#define HW__LOGPROB_FLOOR (-1000.0)

/* For passes of `model` over the tokens of `run`, both of which must outlive it; nothing else may use the model in
 * between. `stop` (nullable) ends a pass with HW_ERR_CANCELLED. Errors: ARGUMENT (no completion; another model than the
 * run's), UNSUPPORTED (tokens without ids, as imports have). */
hw_err hw__rerun_new(hw__rerun **out, hw_model *model, const hw_run *run, hw_stop_fn stop, void *stop_ctx,
                     hw_error *err);
void hw__rerun_free(hw__rerun *r);

void hw__rerun_size(const hw__rerun *r, size_t *n_prompt, size_t *n_completion);
/* May token `t` of the prompt be left out? Special and template tokens may not. */
bool hw__rerun_movable(const hw__rerun *r, size_t t);

/* log p [n] of each completion token after the tokens of the prompt that keep [m] names, in nats. What is in `keep` for
 * tokens that may not be left out does not matter. A front that it shares with the pass before is not run again. The
 * first token of a completion needs one before it: ARGUMENT where nothing of the prompt is left. */
hw_err hw__rerun_score(hw__rerun *r, const bool *keep, double *logprob, hw_error *err);

/* Greedy: what the model writes after the prompt tokens that keep [m] names, at most as many tokens as the completion has.
 * ids [n of the completion] <- *n tokens, the one that ends it not among them. Errors: as hw__rerun_score(). */
hw_err hw__rerun_write(hw__rerun *r, const bool *keep, int32_t *ids, size_t *n, hw_error *err);

size_t hw__rerun_n_passes(const hw__rerun *r);  /* calls of hw__rerun_score() that ran */
size_t hw__rerun_n_decoded(const hw__rerun *r); /* tokens that they ran, shared fronts left out */

/* log(p / (1 - p)) of a log probability, without cancellation; at most about 27.6, where 1 - p is 1e-12. */
double hw__logit(double logprob);

#endif
