/* unicode.c - conversions between ICU's strings and errors and ours. */
#include "base/unicode.h"

#include "base/utf8.h"

#include <unicode/uchar.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ text */

hw_err hw__utf16_new(hw__utf16 *out, const char *bytes, size_t n_bytes, hw_error *err) {
    if (n_bytes >= INT32_MAX)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "text of %zu bytes: at most %d can be cut", n_bytes, INT32_MAX - 1);
    hw__utf16 text = {.units = hw__alloc(n_bytes, sizeof *text.units), .at = hw__alloc(n_bytes + 1, sizeof *text.at)};
    if (!text.units || !text.at) {
        hw__utf16_clear(&text);
        return hw__fail_memory(err, "the text", n_bytes, sizeof *text.units + sizeof *text.at);
    }
    for (int32_t i = 0, n = (int32_t)n_bytes; i < n;) { /* a character has at least as many bytes as UTF-16 units */
        int32_t begin = i, first = text.n;
        UChar32 c;
        U8_NEXT_OR_FFFD((const uint8_t *)bytes, i, n, c);
        U16_APPEND_UNSAFE(text.units, text.n, c);
        for (int32_t u = first; u < text.n; u++) text.at[u] = (size_t)begin;
    }
    text.at[text.n] = n_bytes;
    *out = text;
    return HW_OK;
}

void hw__utf16_clear(hw__utf16 *text) {
    free(text->units);
    free(text->at);
    *text = (hw__utf16){0};
}

int32_t hw__utf16_unit(const hw__utf16 *text, size_t byte) {
    if (byte >= text->at[text->n]) return text->n;
    int32_t low = 0, high = text->n; /* invariant: at[low] <= byte < at[high] */
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (text->at[middle] <= byte)
            low = middle;
        else
            high = middle;
    }
    /* do not return the second half of a surrogate pair */
    return low > 0 && text->at[low - 1] == text->at[low] ? low - 1 : low;
}

int32_t hw__utf16_skip_space(const hw__utf16 *text, int32_t u, int32_t end) {
    while (u < end && u_isUWhiteSpace(text->units[u])) u++; /* all white space is in the basic multilingual plane */
    return u;
}

/* ------------------------------------------------------------------ break iterators */

static hw_err fail_icu(hw_error *err, UErrorCode status, const char *what) {
    hw_err code = status == U_MEMORY_ALLOCATION_ERROR ? HW_ERR_MEMORY : HW_ERR_UNSUPPORTED;
    return hw__fail(err, code, "%s: ICU reports %s", what, u_errorName(status));
}

hw_err hw__breaks_open(UBreakIterator **out, UBreakIteratorType type, const char *locale, const hw__utf16 *text,
                       hw_error *err) {
    UErrorCode status = U_ZERO_ERROR;
    UBreakIterator *it = ubrk_open(type, locale, text->units, text->n, &status);
    if (U_FAILURE(status)) return fail_icu(err, status, "text boundaries");
    *out = it;
    return HW_OK;
}

/* ------------------------------------------------------------------ regular expressions */

/* Matching with exponential backtracking is stopped. The unit is ICU's own, about a millisecond. */
static const int32_t MATCH_LIMIT = 5000;

/* Turns "U_REGEX_MISMATCHED_PAREN" into "mismatched paren". */
static const char *reason(char out[64], UErrorCode status) {
    const char *name = u_errorName(status), *from = strncmp(name, "U_REGEX_", 8) == 0 ? name + 8 : name;
    size_t n = 0;
    for (; from[n] && n < 63; n++) out[n] = from[n] == '_' ? ' ' : (char)tolower((unsigned char)from[n]);
    out[n] = 0;
    return out;
}

static hw_err fail_pattern(hw_error *err, UErrorCode status, const UParseError *where, const char *pattern, size_t n) {
    char shown[128], why[64], line[24] = "";
    if (status == U_MEMORY_ALLOCATION_ERROR) return hw__fail_memory(err, "a regular expression", n, sizeof(UChar));
    if (where->line > 1) snprintf(line, sizeof line, " of line %d", (int)where->line);
    return hw__fail(err, HW_ERR_ARGUMENT, "expression /%s/: %s at character %d%s",
                    hw__utf8_line(shown, sizeof shown, pattern, n), reason(why, status), (int)where->offset, line);
}

hw_err hw__regex_open(URegularExpression **out, const char *pattern, size_t n, hw_error *err) {
    if (n == 0) return hw__fail(err, HW_ERR_ARGUMENT, "expression //: nothing between the slashes");
    if (!hw__utf8_valid(pattern, n))
        return hw__fail(err, HW_ERR_ARGUMENT, "the expression between the slashes is not UTF-8");
    hw__utf16 text;
    hw_err rc = hw__utf16_new(&text, pattern, n, err);
    if (rc != HW_OK) return rc;
    UErrorCode status = U_ZERO_ERROR;
    UParseError where = {0};
    URegularExpression *regex = uregex_open(text.units, text.n, 0, &where, &status); /* ICU copies the pattern */
    uregex_setTimeLimit(regex, MATCH_LIMIT, &status);
    hw__utf16_clear(&text);
    if (U_FAILURE(status)) {
        uregex_close(regex);
        return fail_pattern(err, status, &where, pattern, n);
    }
    *out = regex;
    return HW_OK;
}

hw_err hw__regex_begin(URegularExpression *regex, const hw__utf16 *text, hw_error *err) {
    UErrorCode status = U_ZERO_ERROR;
    uregex_setText(regex, text->units, text->n, &status);
    return U_FAILURE(status) ? fail_icu(err, status, "a regular expression's text") : HW_OK;
}

hw_err hw__regex_next(bool *found, int32_t *end, URegularExpression *regex, hw_error *err) {
    UErrorCode status = U_ZERO_ERROR;
    *found = uregex_findNext(regex, &status);
    if (*found) *end = uregex_end(regex, 0, &status);
    if (status == U_REGEX_TIME_OUT || status == U_REGEX_STACK_OVERFLOW)
        return hw__fail(err, HW_ERR_ARGUMENT, "the expression tries too many ways to match this text: simplify it");
    return U_FAILURE(status) ? fail_icu(err, status, "a regular expression") : HW_OK;
}
