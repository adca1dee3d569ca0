/* answer_tokens.h - log probabilities of an answer's tokens as JSON. */
#ifndef HW_SERVE_ENGINE_ANSWER_TOKENS_H
#define HW_SERVE_ENGINE_ANSWER_TOKENS_H

#include "headwater.h"

#include <jansson.h>

/* {"text", "bytes", "logprob", "top": [{"text", "bytes", "logprob"}]} with at most `n_top` alternatives; NULL when
 * memory runs out. */
json_t *answer_token(const hw_token *token, size_t n_top);

#endif
