/*
 * top_tokens.h - the alternatives of a step: log probability of the token and of the best few.
 */
#ifndef HW_CAPTURE_TOP_TOKENS_H
#define HW_CAPTURE_TOP_TOKENS_H

#include "engine/engine.h"

/* Owns the array of token->alternatives. */
typedef struct hw__top_tokens {
    hw_alternative list[HW_N_ALTERNATIVES];
    hw__piece pieces[HW_N_ALTERNATIVES];
} hw__top_tokens;

/* The largest few, descending, ties by id. */
typedef struct hw__best {
    int32_t *ids;    /* [capacity] */
    float *logprobs; /* [capacity] */
    int capacity;
} hw__best;

/* Natural-log softmax of logits [n] at index `id`, and the largest into `best`. Returns how many were written, or -1 if
 * a logit is NaN or all are -inf. */
int hw__log_softmax(float *logprob, hw__best best, const float *logits, size_t n, int32_t id);

/* Sets token's logprob and alternatives from the logits of row `row` of the engine's last decode. */
hw_err hw__top_tokens_read(hw__top_tokens *c, hw_token *token, hw__engine *engine, size_t row, hw_error *err);

/* What a chosen token's logit is compared with:
 *
 *     own * (its logit - mean logit) - sum_i weights[i] * (logit of ids[i] - mean logit)
 *
 * The mean: own 1, none. Another token: own 1, that token by 1. The distribution: own 1 - p, others by their
 * probabilities. */
typedef struct hw__contrast {
    double own;
    size_t n;
    int32_t *ids;    /* [n] */
    double *weights; /* [n] */
} hw__contrast;

enum { HW__MAX_OTHERS = 256 };

/* The `n_max` (at most HW__MAX_OTHERS) likeliest tokens but `id` of logits [n] into out->ids, descending, with their
 * probabilities as out->weights; out->own <- that of all tokens but `id`, exact where it is far below 1's rounding.
 * Returns how many, or -1 where a logit is NaN or all are -inf. */
int hw__likeliest_others(hw__contrast *out, int n_max, const float *logits, size_t n, int32_t id);

/* The logit of `id` so compared, from row `row` of the last decode, which must have logits. */
double hw__contrasted_logit(hw__engine *engine, size_t row, int32_t id, const hw__contrast *c);

#endif
