/*
 * unicode.h - text as UTF-16 for ICU with a map back to bytes; break iterators and regular expressions that report
 * hw_err.
 *
 * Called by segments.c and filter.c. Knows nothing of tokens. Does not read the environment's locale.
 */
#ifndef HW_BASE_UNICODE_H
#define HW_BASE_UNICODE_H

#include "base/error.h"

#include <unicode/ubrk.h>
#include <unicode/uregex.h>

/* Any bytes as UTF-16. Invalid UTF-8 becomes U+FFFD: one for each longest run that begins a character but does not
 * complete it, and one for each stray byte. */
typedef struct hw__utf16 {
    UChar *units; /* [n] */
    size_t *at;   /* [n + 1] byte at which the character of each unit begins; at[n] is the number of bytes */
    int32_t n;
} hw__utf16;

/* Release with hw__utf16_clear(), which also accepts a zeroed struct. Error UNSUPPORTED for 2 GiB or more. */
hw_err hw__utf16_new(hw__utf16 *out, const char *bytes, size_t n_bytes, hw_error *err);
void hw__utf16_clear(hw__utf16 *text);
/* First unit of the character that contains `byte`; n for bytes past the end. */
int32_t hw__utf16_unit(const hw__utf16 *text, size_t byte);
/* First unit in [u, end) that is not white space; `end` if all are. */
int32_t hw__utf16_skip_space(const hw__utf16 *text, int32_t u, int32_t end);

/* Iterates over `text`, which must outlive the iterator; free with ubrk_close(). */
hw_err hw__breaks_open(UBreakIterator **out, UBreakIteratorType type, const char *locale, const hw__utf16 *text,
                       hw_error *err);

/* Compiles pattern [n]; free with uregex_close(). Error ARGUMENT says where the pattern is wrong. */
hw_err hw__regex_open(URegularExpression **out, const char *pattern, size_t n, hw_error *err);
/* Starts a search from the beginning of `text`, which must outlive the search. */
hw_err hw__regex_begin(URegularExpression *regex, const hw__utf16 *text, hw_error *err);
/* Finds the next match, which may be empty, and writes the unit after it. *found is false if there is no match. Error
 * ARGUMENT if matching takes too long. */
hw_err hw__regex_next(bool *found, int32_t *end, URegularExpression *regex, hw_error *err);

#endif
