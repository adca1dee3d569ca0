/*
 * token_spans.h - which bytes of a text each of its tokens stands for. Pure; called by prompt.c.
 */
#ifndef HW_CAPTURE_TOKEN_SPANS_H
#define HW_CAPTURE_TOKEN_SPANS_H

#include "headwater.h"

/* Sets begin and end of tokens [n] (bytes filled in) in text [n_text]. Ranges never overlap and rise with the
 * token. Where the joined bytes are the text, or the text with a space put before it, or the text with each invalid byte
 * replaced by U+FFFD (what tokenizers do), ranges are exact. Where a tokenizer rewrites the text (case, accents),
 * a token whose bytes are found close by gets their range, others an empty one. Returns whether all were exact. */
bool hw__align(hw_token *tokens, size_t n, const char *text, size_t n_text);

#endif
