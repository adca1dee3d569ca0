/*
 * additive.h - a fake model whose answer depends on its prompt by addition, so that ablation has exact answers.
 *
 * Its completions read "XYZ..." from 'X' on. Token i of them has
 *
 *     logit p(y_i) = base[i] + Σ_c effect[i][c] [prompt character c is there]
 *
 * and all other probability is on one other token.
 */
#ifndef HW_SUPPORT_ADDITIVE_H
#define HW_SUPPORT_ADDITIVE_H

#include "support/fake_engine.h"

enum { ADDITIVE_TOKENS = 3, ADDITIVE_CHARS = 12 };

typedef struct additive {
    double base[ADDITIVE_TOKENS];
    const char *chars; /* at most ADDITIVE_CHARS prompt characters that have an effect */
    double effect[ADDITIVE_TOKENS][ADDITIVE_CHARS];
    bool never; /* completion tokens have probability 0 unless chars[0] is there */
} additive;

/* For fake_params.logits, `additive *` as ctx. */
void additive_logits(const void *ctx, float *out, const int32_t *ids, size_t n);
/* log p of completion token i when exactly `present` (a string of prompt characters) is there. */
double additive_logprob(const additive *a, size_t i, const char *present);
/* Parameters of a model that answers so. */
fake_params additive_params(const additive *a);

#endif
