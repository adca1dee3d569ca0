/*
 * segments.h - internals of hw_segments: byte ranges of one side's text, and the range of each token.
 *
 * Made by segments.c (the segmenter table) or given by the caller (segments_given.c); both call the functions below.
 */
#ifndef HW_TEXT_SEGMENTS_H
#define HW_TEXT_SEGMENTS_H

#include "data/arena.h"
#include "data/run.h"

struct hw_segments {
    hw__arena arena; /* names */
    hw_span *spans;  /* [n] ascending, without overlap */
    size_t n;
    int32_t *groups; /* [n_tokens] */
    size_t n_tokens;
};

/* One side of a run: its text and its tokens. */
typedef struct hw__side {
    const char *text; /* [n_bytes] */
    size_t n_bytes;
    const hw_token *tokens; /* [n_tokens] */
    size_t n_tokens;
    const char *name; /* "prompt" */
} hw__side;

/* Error ARGUMENT if the side has no token. */
hw_err hw__side_of(hw__side *out, const hw_run *run, hw_side side, hw_error *err);
/* Whether a token belongs to the text (special and template tokens do not) and has bytes of it. */
bool hw__side_has_text(const hw__side *side, size_t t);

/* Allocates `n` spans with empty names, every group -1. */
hw_err hw__segments_new(hw_segments **out, const hw__side *side, size_t n, hw_error *err);
/* Sets the group of every token to the span of its first byte that is not white space (of its first byte if all are).
 * Tokens of the text without bytes (a tokenizer may split a character) then get their predecessor's group. */
hw_err hw__segments_assign(hw_segments *segments, const hw__side *side, hw_error *err);

#endif
