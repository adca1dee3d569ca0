/*
 * control_tokens.h - texts of a vocabulary's control tokens, and a search for them in a text: libllama parses them as
 * tokens only on request. Called by llama.c.
 */
#ifndef HW_ENGINE_LLAMA_FILE_CONTROL_TOKENS_H
#define HW_ENGINE_LLAMA_FILE_CONTROL_TOKENS_H

#include "engine/engine.h"

#include <llama.h>

/* Zeroed until the first search fills it. */
typedef struct hw__control_tokens {
    int32_t *ids;         /* [n] by first byte, longer texts first */
    size_t n, first[257]; /* first[b]: the first whose text begins with byte b */
    bool read;
} hw__control_tokens;

/* A text and the position to start from. */
typedef struct hw__control_text {
    const char *bytes;
    size_t n, begin;
} hw__control_text;

/* The first control token's text at or after text.begin, the longest one there; out->end is 0 if there is none. Error:
 * MEMORY. */
hw_err hw__control_tokens_find(hw__control *out, hw__control_tokens *list, const struct llama_vocab *vocab,
                               hw__control_text text, hw_error *err);
void hw__control_tokens_clear(hw__control_tokens *list);

#endif
