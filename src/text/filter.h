/*
 * filter.h - which prompt tokens a view hides. A filter never changes a number: views report the mass they hide.
 *
 * A list is filters separated by commas; it selects every token that any of them selects:
 *
 *     NAME, NAME:ARGUMENT    a row of the table in filter.c; stopwords:de
 *     "TEXT"                 tokens with this text; spaces before a token's text are ignored unless TEXT begins with
 *                            one. \" \\ \n and \t as in C
 *     /REGEX/                tokens whose text, spaces included, has a match of the ICU regular expression; \/ is a
 *                            slash
 *
 * The folder text/: text to tokens: segments of prompt and completion, partitions, filters, stop words.
 */
#ifndef HW_TEXT_FILTER_H
#define HW_TEXT_FILTER_H

#include "base/error.h"

/* Sets named [n] for those tokens 0..n-1 of `run` that `list` (nullable) selects; leaves the others unchanged. With n =
 * 0, where named and run may be NULL, it only checks the list. Error ARGUMENT says what is accepted. */
hw_err hw__filter_tokens(bool *named, size_t n, const hw_run *run, const char *list, hw_error *err);

#endif
