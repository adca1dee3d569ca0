/*
 * token_spans.h - finds the bytes of a text that each of its tokens represents. Pure; called by prompt.c.
 */
#ifndef HW_CAPTURE_TOKEN_SPANS_H
#define HW_CAPTURE_TOKEN_SPANS_H

#include "headwater.h"

/* Sets begin and end of tokens [n] (with bytes) in text [n_text]. Ranges are ascending and do not overlap. Ranges are
 * exact if the joined bytes equal the text, or the text with a space put before it, or the text with each invalid byte
 * replaced by U+FFFD (as tokenizers do). If a tokenizer rewrites the text (case, accents), a token whose bytes are
 * found nearby gets their range, others an empty one. Returns whether all ranges are exact. */
bool hw__find_token_spans(hw_token *tokens, size_t n, const char *text, size_t n_text);

#endif
