/*
 * control_tokens.h - the texts of a vocabulary's control tokens, and where one stands in a text: what libllama reads as such tokens
 * where it is told to. Called by llama.c.
 */
#ifndef HW_ENGINE_LLAMA_CONTROL_TOKENS_H
#define HW_ENGINE_LLAMA_CONTROL_TOKENS_H

#include "engine/engine.h"

#include <llama.h>

/* Zeroed until the first search fills it. */
typedef struct hw__control_tokens {
    int32_t *ids;        /* [n] by first byte, the longer text first */
    size_t n, from[257]; /* from[b]: the first whose text begins with byte b */
    bool read;
} hw__control_tokens;

/* A text and where in it to begin. */
typedef struct hw__control_text {
    const char *bytes;
    size_t n, from;
} hw__control_text;

/* The first control token's text at or after text.from, the longest there; out->end is 0 where there is none. Error: MEMORY. */
hw_err hw__control_tokens_find(hw__control *out, hw__control_tokens *list, const struct llama_vocab *vocab,
                               hw__control_text text, hw_error *err);
void hw__control_tokens_clear(hw__control_tokens *list);

#endif
