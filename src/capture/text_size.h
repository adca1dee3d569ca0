/*
 * text_size.h - whether a text can fit into the context at all, found out before the whole of it is tokenized.
 *
 * Tokenizing takes about a hundred bytes of memory and half a microsecond for each byte of text, and cannot be stopped. A text
 * that is far too long is therefore refused by its size, then by a count over its parts, which a stop function can end.
 */
#ifndef HW_CAPTURE_TEXT_SIZE_H
#define HW_CAPTURE_TEXT_SIZE_H

#include "engine/engine.h"

/* What the tokenizer holds for each byte of a text while it reads it; measured of libllama on words, letters and spaces: 40 to 112. */
enum { HW__TOKENIZER_BYTES = 128 };

/* A text of the caller's, and what messages call it. */
typedef struct hw__text {
    const char *bytes; /* [n] */
    size_t n;
    const char *name; /* "prompt" */
} hw__text;

/* ARGUMENT where the text cannot fit into the engine's context, or tokenizing it would take more than params->memory;
 * CANCELLED when params->stop said so. OK says nothing about the exact number of tokens. */
hw_err hw__text_check(hw__engine *engine, const hw__text *text, const hw_run_params *params, hw_error *err);

#endif
