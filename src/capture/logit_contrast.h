/*
 * logit_contrast.h - what a chosen token's logit is compared with: "why this one rather than that one".
 *
 * hw_run_params.against names another token by its text, or says `mean`, `distribution` or `second`.
 */
#ifndef HW_CAPTURE_LOGIT_CONTRAST_H
#define HW_CAPTURE_LOGIT_CONTRAST_H

#include "capture/top_tokens.h"

typedef enum hw__against_kind {
    HW__AGAINST_MEAN,         /* the mean of all logits */
    HW__AGAINST_DISTRIBUTION, /* their mean by the model's probabilities: the direction of the log probability. The
                                 likeliest HW__MAX_OTHERS tokens count each, those left as the mean */
    HW__AGAINST_SECOND,       /* the likeliest other token of each step */
    HW__AGAINST_TOKEN         /* one token */
} hw__against_kind;

typedef struct hw__against {
    hw__against_kind kind;
    int32_t id; /* of HW__AGAINST_TOKEN */
} hw__against;

/* Reads hw_run_params.against (NULL: the mean). The token must read exactly so: where the tokenizer does not make one
 * token of the text, the vocabulary is searched. Errors: ARGUMENT, which lists what the text is tokenized to. */
hw_err hw__against_read(hw__against *out, const char *text, hw__engine *engine, hw_error *err);

/* How many other tokens a step is compared with at most. */
size_t hw__against_others(const hw__against *v);

/* What `token`, chosen by row `row` of the last decode, is compared with; its alternatives are known. out->ids and
 * out->weights take hw__against_others(). Error ENGINE: logits that are not numbers. */
hw_err hw__against_take(hw__contrast *out, const hw__against *v, const hw_token *token, hw__engine *engine, size_t row,
                        hw_error *err);

#endif
