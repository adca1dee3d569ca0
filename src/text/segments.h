/*
 * segments.h - the inside of hw_segments: byte ranges of one side's text, and the range that each token belongs to.
 *
 * Cut by segments.c (the segmenter table) or given by the caller (segments_given.c); both end in the functions below.
 */
#ifndef HW_TEXT_SEGMENTS_H
#define HW_TEXT_SEGMENTS_H

#include "base/arena.h"
#include "data/run.h"

struct hw_segments {
    hw__pool pool;  /* names */
    hw_span *spans; /* [n] rising, none overlaps another */
    size_t n;
    int32_t *groups; /* [n_tokens] */
    size_t n_tokens;
};

/* One side of a run: its text and the tokens that stand for it. */
typedef struct hw__side {
    const char *text; /* [n_bytes] */
    size_t n_bytes;
    const hw_token *tokens; /* [n_tokens] */
    size_t n_tokens;
    const char *name; /* "prompt" */
} hw__side;

/* Error ARGUMENT where the side has no token. */
hw_err hw__side_of(hw__side *out, const hw_run *run, hw_side side, hw_error *err);
/* Whether a token is one of the text's own (special and template tokens are not) and stands for bytes of it. */
bool hw__side_has_text(const hw__side *side, size_t t);

/* Room for `n` spans, names empty, every group -1. */
hw_err hw__segments_new(hw_segments **out, const hw__side *side, size_t n, hw_error *err);
/* Sets the group of every token to the span that holds its first byte that is no white space (its first byte where it
 * has no other); then tokens of the text that stand for no byte (a tokenizer may write a character as several) get
 * their predecessor's. */
hw_err hw__segments_assign(hw_segments *segments, const hw__side *side, hw_error *err);

#endif
