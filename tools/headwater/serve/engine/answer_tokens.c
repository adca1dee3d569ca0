/* answer_tokens.c - see answer_tokens.h. */
#include "serve/engine/answer_tokens.h"

#include "base/json.h"

static json_t *bytes_json(const char *bytes, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) list = hw__json_append(list, json_integer((unsigned char)bytes[i]));
    return list;
}

static json_t *candidate(const char *bytes, size_t n, float logprob) {
    return json_pack("{s:o, s:o, s:o}", "text", hw__json_replaced(bytes, n), "bytes", bytes_json(bytes, n), "logprob",
                     hw__json_float(logprob));
}

json_t *answer_token(const hw_token *token, size_t n_top) {
    json_t *top = json_array();
    for (size_t i = 0; i < n_top && i < (size_t)token->n_alternatives; i++) {
        const hw_alternative *a = &token->alternatives[i];
        top = hw__json_append(top, candidate(a->bytes, a->n_bytes, a->logprob));
    }
    return hw__json_set(candidate(token->bytes, token->n_bytes, token->logprob), "top", top);
}
