/* text_remarks.c - one test for each kind of remark, in a table; positions are of the first byte, counted from 0. */
#include "capture/text_remarks.h"

#include "base/error.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { LINE = 300, SHOWN = 48 };

static bool find_mark(size_t *at, const char *bytes, size_t n) {
    *at = 0;
    return n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0;
}

static bool find_invalid(size_t *at, const char *bytes, size_t n) {
    *at = hw__utf8_invalid(bytes, n);
    return *at < n;
}

static bool find_nul(size_t *at, const char *bytes, size_t n) {
    const char *found = n ? memchr(bytes, 0, n) : NULL;
    *at = found ? (size_t)(found - bytes) : n;
    return found;
}

static bool find_crlf(size_t *at, const char *bytes, size_t n) {
    for (*at = 0; *at + 1 < n; ++*at)
        if (bytes[*at] == '\r' && bytes[*at + 1] == '\n') return true;
    return false;
}

static const struct kind {
    bool (*find)(size_t *at, const char *bytes, size_t n);
    const char *before, *after; /* text around "byte 12" */
} kinds[] = {
    {find_mark, "begins with a byte order mark, at", ", which is read as part of it"},
    {find_invalid, "is not UTF-8:", " belongs to no character, and tokenizers may read it as U+FFFD"},
    {find_nul, "holds a NUL character, at", ""},
    {find_crlf, "has lines that end in CRLF, the first at", ": they are other tokens than lines that end in LF"},
};

hw_err hw__remark_text(hw_run *run, const char *what, const char *bytes, size_t n, hw_error *err) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char line[LINE];
        size_t at;
        if (!kinds[i].find(&at, bytes, n)) continue;
        snprintf(line, sizeof line, "the %s %s byte %zu%s", what, kinds[i].before, at, kinds[i].after);
        hw_err rc = hw__run_add_remark(run, line, err);
        if (rc != HW_OK) return rc;
    }
    return HW_OK;
}

hw_err hw__remark_control(hw_run *run, const char *what, hw_span at, hw_error *err) {
    char line[LINE], shown[SHOWN];
    snprintf(line, sizeof line,
             "the %s holds the text of a control token, %s, read as text: the option special reads it as the token",
             what, hw__utf8_line(shown, sizeof shown, at.name + at.begin, at.end - at.begin));
    return hw__run_add_remark(run, line, err);
}

hw_err hw__remark_changed(hw_run *run, const char *given, size_t n, hw_error *err) {
    size_t n_read, same = 0;
    const char *read = hw_run_completion(run, &n_read);
    char line[LINE];
    if (n_read == n && (n == 0 || memcmp(read, given, n) == 0)) return HW_OK;
    while (same < n && same < n_read && read[same] == given[same]) same++;
    snprintf(line, sizeof line,
             "the tokenizer changed the given completion, from byte %zu on: what is explained is its tokens", same);
    return hw__run_add_remark(run, line, err);
}
