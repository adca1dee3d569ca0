/*
 * top_tokens.h - what else a step could have chosen: log probability of the token and of the best few.
 */
#ifndef HW_CAPTURE_TOP_TOKENS_H
#define HW_CAPTURE_TOP_TOKENS_H

#include "engine/engine.h"

/* Keeps what token->alternatives points to. */
typedef struct hw__candidates {
    hw_alternative list[HW_N_ALTERNATIVES];
    hw__piece pieces[HW_N_ALTERNATIVES];
} hw__candidates;

/* Natural-log softmax of logits [n] at index `id`, and the `n_best` largest into best_ids and best_logprobs (falling,
 * ties by id). Returns how many were written, or -1 where a logit is NaN or all are -inf. */
int hw__log_softmax(float *logprob, int32_t *best_ids, float *best_logprobs, int n_best, const float *logits, size_t n,
                    int32_t id);

/* Sets token's logprob and alternatives from the logits of row `row` of the engine's last decode. */
hw_err hw__candidates_read(hw__candidates *c, hw_token *token, hw__engine *engine, size_t row, hw_error *err);

/* Logit of `id` less that of `versus`, or less the mean of all (versus -1), from row `row` of the last decode, which must have
 * logits. */
double hw__candidates_above(hw__engine *engine, size_t row, int32_t id, int32_t versus);

#endif
