/*
 * segments.c - splits texts into words, lines, sentences and paragraphs, and assigns tokens to the pieces.
 *
 * A segmenter is a row of the table: it marks where pieces end, in UTF-16 units. The rest is common to all: pieces of
 * white space and pieces without a token are joined to a neighbour, so that segments cover the text and groups are
 * numbered without gaps. Boundaries lie between characters, so that no character is split; token ranges may lie
 * anywhere.
 */
#include "text/segments.h"

#include "base/strlist.h"
#include "base/unicode.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ sides and tokens */

hw_err hw__side_of(hw__side *out, const hw_run *run, hw_side side, hw_error *err) {
    hw__side s = {.name = "prompt", .tokens = run->tokens, .n_tokens = run->n_prompt};
    if (side == HW_SIDE_PROMPT) {
        s.text = hw_run_prompt(run, &s.n_bytes);
    } else if (side == HW_SIDE_COMPLETION) {
        s.name = "completion";
        s.tokens = run->tokens + run->n_prompt;
        s.n_tokens = hw_run_n_completion(run);
        s.text = hw_run_completion(run, &s.n_bytes);
    } else {
        return hw__fail(err, HW_ERR_ARGUMENT, "side %d: 0 (prompt) or 1 (completion)", (int)side);
    }
    if (s.n_tokens == 0) return hw__fail(err, HW_ERR_ARGUMENT, "the run has no %s tokens to divide", s.name);
    *out = s;
    return HW_OK;
}

static bool is_own(const hw_token *t) { return t->role != HW_ROLE_SPECIAL && t->role != HW_ROLE_TEMPLATE; }

bool hw__side_has_text(const hw__side *side, size_t t) {
    const hw_token *token = &side->tokens[t];
    return is_own(token) && token->begin < token->end && token->end <= side->n_bytes;
}

hw_err hw__segments_new(hw_segments **out, const hw__side *side, size_t n, hw_error *err) {
    hw_segments *s = hw__alloc(1, sizeof *s);
    if (!s) return hw__fail_memory(err, "segments", 1, sizeof *s);
    *s = (hw_segments){.n = n, .n_tokens = side->n_tokens};
    s->spans = hw__alloc(n, sizeof *s->spans);
    s->groups = hw__alloc(side->n_tokens, sizeof *s->groups);
    if (!s->spans || !s->groups) {
        hw_segments_free(s);
        return hw__fail_memory(err, "segments", n + side->n_tokens, sizeof *s->spans);
    }
    for (size_t i = 0; i < n; i++) s->spans[i].name = "";
    for (size_t t = 0; t < side->n_tokens; t++) s->groups[t] = -1;
    *out = s;
    return HW_OK;
}

/* The byte that decides which segment a token belongs to: the first one that is not white space. */
static size_t anchor(const hw_token *token, const hw__utf16 *text) {
    int32_t end = hw__utf16_unit(text, token->end - 1) + 1;
    int32_t u = hw__utf16_skip_space(text, hw__utf16_unit(text, token->begin), end);
    return u < end && text->at[u] > token->begin ? text->at[u] : token->begin;
}

/* Index of the span that contains `byte`, -1 if there is none. */
static int32_t find_span(const hw_segments *s, size_t byte) {
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->spans[middle].end <= byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n && s->spans[low].begin <= byte ? (int32_t)low : -1;
}

/* Tokens of the text without a byte of their own join the token before them; those at the start join the one after. */
static void deal_empty(hw_segments *s, const hw__side *side) {
    int32_t group = -1;
    size_t first = 0;
    while (first < side->n_tokens && !hw__side_has_text(side, first)) first++;
    if (first < side->n_tokens) group = s->groups[first];
    for (size_t t = 0; t < side->n_tokens; t++) {
        if (hw__side_has_text(side, t))
            group = s->groups[t];
        else if (is_own(&side->tokens[t]))
            s->groups[t] = group;
    }
}

static void deal(hw_segments *s, const hw__side *side, const hw__utf16 *text) {
    for (size_t t = 0; t < side->n_tokens; t++)
        if (hw__side_has_text(side, t)) s->groups[t] = find_span(s, anchor(&side->tokens[t], text));
    deal_empty(s, side);
}

hw_err hw__segments_assign(hw_segments *s, const hw__side *side, hw_error *err) {
    hw__utf16 text;
    hw_err rc = hw__utf16_new(&text, side->text, side->n_bytes, err);
    if (rc != HW_OK) return rc;
    deal(s, side, &text);
    hw__utf16_clear(&text);
    return HW_OK;
}

/* ------------------------------------------------------------------ where pieces end */

/* ends[u]: a piece ends before unit u. Set for 0 < u < n; 0 and n always end a piece. */
typedef struct pieces {
    const hw__utf16 *text;
    bool *ends; /* [n + 1] */
} pieces;

static hw_err split_at_breaks(pieces *c, UBreakIteratorType type, const char *locale, hw_error *err) {
    UBreakIterator *iter;
    hw_err rc = hw__breaks_open(&iter, type, locale, c->text, err);
    if (rc != HW_OK) return rc;
    for (int32_t u = ubrk_first(iter); u != UBRK_DONE; u = ubrk_next(iter)) c->ends[u] = true;
    ubrk_close(iter);
    return HW_OK;
}

static hw_err split_words(pieces *c, hw_error *err) { return split_at_breaks(c, UBRK_WORD, "", err); }

/* The locale's list of abbreviations ("Mr.") keeps sentences together; other languages are not affected. */
static hw_err split_sentences(pieces *c, hw_error *err) {
    return split_at_breaks(c, UBRK_SENTENCE, "en@ss=standard", err);
}

/* Unit after the line that begins at `u`, terminator included (Unicode 5.8: LF, VT, FF, CR, CRLF, NEL, LS, PS). */
static int32_t line_end(const hw__utf16 *text, int32_t u) {
    for (; u < text->n; u++) {
        UChar c = text->units[u];
        if (c == '\r' && u + 1 < text->n && text->units[u + 1] == '\n') return u + 2;
        if ((c >= '\n' && c <= '\r') || c == 0x85 || c == 0x2028 || c == 0x2029) return u + 1;
    }
    return u;
}

static hw_err split_lines(pieces *c, hw_error *err) {
    (void)err;
    for (int32_t u = 0; u < c->text->n; u = line_end(c->text, u)) c->ends[u] = true;
    return HW_OK;
}

/* A paragraph begins at the first line that is not blank, at the start and after blank lines. */
static hw_err split_paragraphs(pieces *c, hw_error *err) {
    (void)err;
    bool after_blank = false;
    for (int32_t u = 0, end; u < c->text->n; u = end) {
        end = line_end(c->text, u);
        bool blank = hw__utf16_skip_space(c->text, u, end) == end;
        if (after_blank && !blank) c->ends[u] = true;
        after_blank = blank;
    }
    return HW_OK;
}

static hw_err split_at_matches(pieces *c, const char *pattern, size_t n, hw_error *err) {
    URegularExpression *regex;
    hw_err rc = hw__regex_open(&regex, pattern, n, err);
    if (rc != HW_OK) return rc;
    rc = hw__regex_begin(regex, c->text, err);
    int32_t end;
    for (bool found = true; rc == HW_OK && found;) {
        rc = hw__regex_next(&found, &end, regex, err);
        if (rc == HW_OK && found) c->ends[end] = true;
    }
    uregex_close(regex);
    return rc;
}

/* One row of the table. */
typedef struct segmenter {
    hw_segmenter_info info;
    hw_err (*split)(pieces *c, hw_error *err); /* NULL: one piece per token */
    bool space_first; /* white space belongs to the piece after it, as tokens have it; else to the piece before */
} segmenter;

static const segmenter segmenters[] = {
    {{"token", "each token its own segment"}, NULL, false},
    {{"word", "words with the space before them (Unicode rules, dictionaries for Chinese, Japanese, Thai ...); each "
              "punctuation mark is one, too"},
     split_words,
     true},
    {{"line", "lines; blank ones go with the line before"}, split_lines, false},
    {{"sentence", "sentences (Unicode rules); a line's end ends one, too"}, split_sentences, false},
    {{"paragraph", "paragraphs: what blank lines separate"}, split_paragraphs, false},
};
enum { N_SEGMENTERS = sizeof segmenters / sizeof *segmenters };

size_t hw_segmenter_count(void) { return N_SEGMENTERS; }
const hw_segmenter_info *hw_segmenter_at(size_t i) { return i < N_SEGMENTERS ? &segmenters[i].info : NULL; }

/* ------------------------------------------------------------------ from pieces to segments */

static int32_t next_end(const pieces *c, int32_t u) {
    for (u++; u < c->text->n && !c->ends[u];) u++;
    return u;
}

/* Joins pieces of white space to the piece after (space_first) or before; at the ends to the only neighbour. */
static void join_space(pieces *c, bool space_first) {
    int32_t n = c->text->n;
    for (int32_t u = 0, end; u < n; u = end) {
        end = next_end(c, u);
        if (hw__utf16_skip_space(c->text, u, end) < end) continue;
        bool forward = (space_first || u == 0) && end < n;
        c->ends[forward ? end : u] = false;
        if (forward) end = u; /* continue with the enlarged piece */
    }
}

/* Removes spans without a token: their bytes go to the span before, or to the one after at the start. */
static void drop_empty(hw_segments *s, size_t n_bytes, int32_t *index) {
    for (size_t t = 0; t < s->n_tokens; t++)
        if (s->groups[t] >= 0) index[s->groups[t]] = 1;
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!index[i]) continue;
        index[i] = (int32_t)kept;
        s->spans[kept] = s->spans[i];
        if (kept > 0) s->spans[kept - 1].end = s->spans[kept].begin;
        kept++;
    }
    for (size_t t = 0; t < s->n_tokens; t++)
        if (s->groups[t] >= 0) s->groups[t] = index[s->groups[t]];
    if (kept > 0) {
        s->spans[0].begin = 0;
        s->spans[kept - 1].end = n_bytes;
    }
    s->n = kept;
}

static hw_err collect(hw_segments **out, const pieces *c, const hw__side *side, hw_error *err) {
    size_t n = 0;
    for (int32_t u = 0; u < c->text->n; u = next_end(c, u)) n++;
    hw_segments *s;
    hw_err rc = hw__segments_new(&s, side, n, err);
    if (rc != HW_OK) return rc;
    n = 0;
    for (int32_t u = 0, end; u < c->text->n; u = end, n++) {
        end = next_end(c, u);
        s->spans[n].begin = c->text->at[u];
        s->spans[n].end = c->text->at[end];
    }
    int32_t *index = hw__alloc(s->n, sizeof *index);
    if (!index) {
        hw_segments_free(s);
        return hw__fail_memory(err, "segments", n, sizeof *index);
    }
    deal(s, side, c->text);
    drop_empty(s, side->n_bytes, index);
    free(index);
    *out = s;
    return HW_OK;
}

/* Splits by a segmenter, or by pattern [n] if it is NULL. */
static hw_err split_text(hw_segments **out, const hw__side *side, const segmenter *by, const char *pattern, size_t n,
                         hw_error *err) {
    hw__utf16 text;
    hw_err rc = hw__utf16_new(&text, side->text, side->n_bytes, err);
    if (rc != HW_OK) return rc;
    pieces c = {.text = &text, .ends = hw__alloc((size_t)text.n + 1, sizeof *c.ends)};
    if (!c.ends) rc = hw__fail_memory(err, "segments", (size_t)text.n + 1, sizeof *c.ends);
    if (rc == HW_OK) rc = by ? by->split(&c, err) : split_at_matches(&c, pattern, n, err);
    if (rc == HW_OK) {
        join_space(&c, by && by->space_first);
        rc = collect(out, &c, side, err);
    }
    free(c.ends);
    hw__utf16_clear(&text);
    return rc;
}

static hw_err split_tokens(hw_segments **out, const hw__side *side, hw_error *err) {
    hw_segments *s;
    hw_err rc = hw__segments_new(&s, side, side->n_tokens, err);
    if (rc != HW_OK) return rc;
    s->n = 0;
    for (size_t t = 0; t < side->n_tokens; t++) {
        if (!hw__side_has_text(side, t)) continue;
        s->groups[t] = (int32_t)s->n;
        s->spans[s->n].begin = side->tokens[t].begin;
        s->spans[s->n++].end = side->tokens[t].end;
    }
    deal_empty(s, side);
    *out = s;
    return HW_OK;
}

/* ------------------------------------------------------------------ public */

static const char *segmenter_name(size_t i, const void *ctx) {
    (void)ctx;
    return segmenters[i].info.name;
}

static hw_err fail_unknown(const char *by, hw_error *err) {
    char why[300], quoted[64];
    hw__utf8_line(quoted, sizeof quoted, by, strlen(by));
    return hw__fail(err, HW_ERR_ARGUMENT, "segments by \"%s\": %s, and regular expressions as /RE/", quoted,
                    hw__unknown_name(why, sizeof why, quoted, (hw__names){segmenter_name, NULL, N_SEGMENTERS}));
}

hw_err hw_segments_new(hw_segments **out, const hw_run *run, hw_side which, const char *by, hw_error *err) {
    if (!run || !by) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a run and the name of a segmenter are needed");
    hw__side side;
    if (!by) by = "";
    size_t i = 0, n = strlen(by);
    bool regex = n >= 2 && by[0] == '/' && by[n - 1] == '/';
    while (!regex && i < N_SEGMENTERS && strcmp(segmenters[i].info.name, by) != 0) i++;
    if (i == N_SEGMENTERS) return fail_unknown(by, err);
    hw_err rc = hw__side_of(&side, run, which, err);
    if (rc != HW_OK) return rc;
    hw_segments *s;
    if (regex)
        rc = split_text(&s, &side, NULL, by + 1, n - 2, err);
    else
        rc = segmenters[i].split ? split_text(&s, &side, &segmenters[i], NULL, 0, err) : split_tokens(&s, &side, err);
    if (rc != HW_OK) return rc;
    if (s->n == 0) {
        hw_segments_free(s);
        return hw__fail(err, HW_ERR_ARGUMENT, "the %s has no token with text to divide", side.name);
    }
    *out = s;
    return HW_OK;
}

void hw_segments_free(hw_segments *s) {
    if (!s) return;
    hw__arena_clear(&s->arena);
    free(s->spans);
    free(s->groups);
    free(s);
}

size_t hw_segments_count(const hw_segments *s) { return s->n; }
const hw_span *hw_segments_at(const hw_segments *s, size_t i) { return i < s->n ? &s->spans[i] : NULL; }

const int32_t *hw_segments_groups(const hw_segments *s, size_t *n) {
    if (n) *n = s->n_tokens;
    return s->groups;
}
