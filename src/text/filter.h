/*
 * filter.h - which prompt tokens a view hides. A filter never changes a number: views report the mass they hide.
 *
 * A list is filters separated by commas; it names every token that any of them names:
 *
 *     NAME, NAME:ARGUMENT    a row of the table in filter.c; stopwords:de
 *     "TEXT"                 tokens that read so; spaces before a token's text are passed over unless TEXT begins with
 *                            one. \" \\ \n and \t are what they are in C
 *     /REGEX/                tokens in whose text, spaces included, the ICU regular expression is found; \/ is a slash
 */
#ifndef HW_TEXT_FILTER_H
#define HW_TEXT_FILTER_H

#include "base/error.h"

/* Sets named [n] for tokens 0..n-1 of `run` that `list` (nullable) names; others keep theirs. With n = 0, where named
 * and run may be NULL, this only checks the list. Error ARGUMENT says what is accepted. */
hw_err hw__filter_tokens(bool *named, size_t n, const hw_run *run, const char *list, hw_error *err);

#endif
