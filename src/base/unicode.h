/*
 * unicode.h - text as ICU takes it, with the way back to bytes; break iterators and regular expressions behind our errors.
 *
 * Called by segments.c and filter.c. Nothing here knows of tokens. No locale is taken from the environment.
 */
#ifndef HW_BASE_UNICODE_H
#define HW_BASE_UNICODE_H

#include "base/error.h"

#include <unicode/ubrk.h>
#include <unicode/uregex.h>

/* UTF-16 of any bytes. What is not UTF-8 reads as U+FFFD, one for each longest run that begins a character but does not
 * end it and for each stray byte. */
typedef struct hw__utf16 {
    UChar *units; /* [n] */
    size_t *at;   /* [n + 1] byte where the character of each unit begins; at[n] is the number of bytes */
    int32_t n;
} hw__utf16;

/* Release with hw__utf16_clear(), which takes a zeroed one too. Error UNSUPPORTED for 2 GiB and more. */
hw_err hw__utf16_new(hw__utf16 *out, const char *bytes, size_t n_bytes, hw_error *err);
void hw__utf16_clear(hw__utf16 *text);
/* First unit of the character that holds `byte`; n for bytes behind the end. */
int32_t hw__utf16_unit(const hw__utf16 *text, size_t byte);
/* First unit in [u, end) that is no white space; `end` where all are. */
int32_t hw__utf16_skip_space(const hw__utf16 *text, int32_t u, int32_t end);

/* Over `text`, which must outlive it; free with ubrk_close(). */
hw_err hw__breaks_open(UBreakIterator **out, UBreakIteratorType type, const char *locale, const hw__utf16 *text,
                       hw_error *err);

/* From pattern [n]; free with uregex_close(). Error ARGUMENT says where the pattern is wrong. */
hw_err hw__regex_open(URegularExpression **out, const char *pattern, size_t n, hw_error *err);
/* Looks through `text`, which must outlive the search, from its beginning. */
hw_err hw__regex_begin(URegularExpression *regex, const hw__utf16 *text, hw_error *err);
/* The next match, which may be empty: writes the unit behind it. *found false: there is none. Error ARGUMENT where the
 * pattern takes too long. */
hw_err hw__regex_next(bool *found, int32_t *end, URegularExpression *regex, hw_error *err);

#endif
