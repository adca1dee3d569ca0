/* run_select.c - completion tokens selected by index, range or text. */
#include "base/error.h"
#include "base/utf8.h"
#include "data/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The tokens that can be selected: the completion, or all tokens if there is none. */
typedef struct span {
    const hw_run *run;
    size_t first, n;
} span;

static hw_token token_at(const span *s, size_t i) { return hw_run_token(s->run, s->first + i); }

static hw_err fail_listing(const span *s, const char *select, const char *why, hw_error *err) {
    char list[700] = "", whole[28], text[28], asked[64];
    size_t at = 0, shown = 0;
    for (; shown < s->n && at + 64 < sizeof list; shown++) {
        hw_run_token_text(whole, sizeof whole, s->run, s->first + shown);
        bool newline = strcmp(whole, "\n") == 0;
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%zu:\"%s\"", shown ? ", " : "", shown,
                               newline ? "\\n" : hw__utf8_line(text, sizeof text, whole, strlen(whole)));
    }
    return hw__fail(err, HW_ERR_ARGUMENT, "token \"%s\" %s; the completion's tokens are %s%s",
                    hw__utf8_line(asked, sizeof asked, select, strlen(select)), why, list, shown < s->n ? ", ..." : "");
}

/* Parses a whole number; negative ones count from the end. False if `text` [n] is not a number. */
static bool parse_index(long *out, const char *text, size_t n, size_t count) {
    char buffer[24], *end;
    if (n == 0 || n >= sizeof buffer) return false;
    memcpy(buffer, text, n);
    buffer[n] = 0;
    if (buffer[0] != '-' && (buffer[0] < '0' || buffer[0] > '9')) return false;
    errno = 0;
    long v = strtol(buffer, &end, 10);
    if (*end || errno || (n == 1 && buffer[0] == '-')) return false;
    *out = v < 0 ? v + (long)count : v;
    return true;
}

static bool parse_range(long *begin, long *end, const char *text, size_t count) {
    const char *colon = strchr(text, ':');
    if (!colon) {
        if (!parse_index(begin, text, strlen(text), count)) return false;
        *end = *begin + 1;
        return true;
    }
    *begin = 0;
    *end = (long)count;
    if (colon == text && colon[1] == 0) return false;
    return (colon == text || parse_index(begin, text, (size_t)(colon - text), count)) &&
           (colon[1] == 0 || parse_index(end, colon + 1, strlen(colon + 1), count));
}

/* First token whose text is `text`, apart from its leading spaces. */
static bool find_token(size_t *begin, const span *s, const char *text, size_t n) {
    for (size_t i = 0; i < s->n; i++) {
        hw_token t = token_at(s, i);
        size_t skip = 0;
        while (skip < t.n_bytes && t.bytes[skip] == ' ' && text[0] != ' ') skip++;
        if (t.n_bytes - skip == n && memcmp(t.bytes + skip, text, n) == 0) {
            *begin = i;
            return true;
        }
    }
    return false;
}

/* Whether the tokens from `i` on, joined, have `text` at offset `at` of token i; *end gets one past the last of
 * them. */
static bool matches_at(size_t *end, const span *s, size_t i, size_t at, const char *text, size_t n) {
    for (size_t done = 0; i < s->n; i++, at = 0) {
        hw_token t = token_at(s, i);
        size_t take = t.n_bytes - at < n - done ? t.n_bytes - at : n - done;
        if (memcmp(t.bytes + at, text + done, take) != 0) return false;
        done += take;
        if (done == n) {
            *end = i + 1;
            return true;
        }
    }
    return false;
}

static bool find_text(size_t *begin, size_t *end, const span *s, const char *text, size_t n) {
    for (size_t i = 0; i < s->n; i++) {
        size_t n_bytes = token_at(s, i).n_bytes;
        for (size_t at = 0; at < n_bytes; at++) {
            if (!matches_at(end, s, i, at, text, n)) continue;
            *begin = i;
            return true;
        }
    }
    return false;
}

hw_err hw_run_select(size_t *begin, size_t *end, const hw_run *run, const char *select, hw_error *err) {
    if (!run || !select) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a run and a selection are needed");
    size_t n = hw_run_n_completion(run);
    span s = {.run = run, .first = n ? run->n_prompt : 0, .n = n ? n : run->n_tokens};
    long from, to;
    if (!select || !*select) return fail_listing(&s, "", "selects nothing", err);
    if (parse_range(&from, &to, select, s.n)) {
        if (from < 0 || to > (long)s.n || from >= to) return fail_listing(&s, select, "selects nothing", err);
        *begin = (size_t)from;
        *end = (size_t)to;
        return HW_OK;
    }
    const char *text = select + (select[0] == '=' && select[1]);
    size_t found_begin, found_end;
    if (find_token(&found_begin, &s, text, strlen(text))) {
        found_end = found_begin + 1;
    } else if (!find_text(&found_begin, &found_end, &s, text, strlen(text))) {
        return fail_listing(&s, select, "is not in the completion", err);
    }
    *begin = found_begin;
    *end = found_end;
    return HW_OK;
}
