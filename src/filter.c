/* filter.c - the filter table. */
#include "filter.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <stdio.h>
#include <string.h>

typedef struct text {
    const char *bytes;
    size_t n;
} text;

/* The token without the spaces that tokenizers put before words. */
static text trim_spaces(const hw_token *t) {
    text s = {t->bytes, t->n_bytes};
    while (s.n > 0 && s.bytes[0] == ' ') s.bytes++, s.n--;
    while (s.n > 0 && s.bytes[s.n - 1] == ' ') s.n--;
    return s;
}

/* The note's own list: common words and punctuation that rollout is biased towards. */
static bool is_note(const hw_token *t, size_t index) {
    (void)index;
    static const char *const list[] = {",", ".", "\n", "is", ":", "and"};
    text s = trim_spaces(t);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (s.n == strlen(list[i]) && memcmp(s.bytes, list[i], s.n) == 0) return true;
    return false;
}

static bool is_first(const hw_token *t, size_t index) {
    (void)t;
    return index == 0;
}

static bool is_special(const hw_token *t, size_t index) {
    (void)index;
    return t->role == HW_ROLE_SPECIAL;
}

static bool is_template(const hw_token *t, size_t index) {
    (void)index;
    return t->role == HW_ROLE_TEMPLATE;
}

/* Whether every character satisfies `test`; false for no characters and for invalid UTF-8. */
static bool every_char(text s, bool (*test)(UChar32)) {
    if (s.n == 0) return false;
    for (int32_t i = 0, n = (int32_t)s.n; i < n;) {
        UChar32 c;
        U8_NEXT((const uint8_t *)s.bytes, i, n, c);
        if (c < 0 || !test(c)) return false;
    }
    return true;
}

static bool space(UChar32 c) { return u_isUWhiteSpace(c); }
static bool punctuation(UChar32 c) { return (U_GET_GC_MASK(c) & (U_GC_P_MASK | U_GC_S_MASK)) != 0; }

static bool is_whitespace(const hw_token *t, size_t index) {
    (void)index;
    return every_char((text){t->bytes, t->n_bytes}, space);
}

static bool is_punctuation(const hw_token *t, size_t index) {
    (void)index;
    return every_char(trim_spaces(t), punctuation);
}

static const struct filter {
    hw_filter_info info;
    bool (*hides)(const hw_token *token, size_t index);
} filters[] = {
    {{"note", "the note's list: , . \\n is : and"}, is_note},
    {{"first", "token 0, the sink of every causal model"}, is_first},
    {{"punctuation", "tokens of punctuation and symbols only"}, is_punctuation},
    {{"whitespace", "tokens of white space only"}, is_whitespace},
    {{"special", "control tokens such as BOS"}, is_special},
    {{"template", "tokens that the chat template put around the prompt"}, is_template},
};
enum { N_FILTERS = sizeof filters / sizeof *filters };

size_t hw_filter_count(void) { return N_FILTERS; }
const hw_filter_info *hw_filter_at(size_t i) { return i < N_FILTERS ? &filters[i].info : NULL; }

static const struct filter *find(const char *name, size_t n) {
    for (size_t i = 0; i < N_FILTERS; i++)
        if (strlen(filters[i].info.name) == n && memcmp(filters[i].info.name, name, n) == 0) return &filters[i];
    return NULL;
}

static hw_err fail_unknown(const char *name, size_t n, hw_error *err) {
    char list[256] = "";
    for (size_t i = 0, at = 0; i < N_FILTERS && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", filters[i].info.name);
    return hw__fail(err, HW_ERR_ARGUMENT, "filter \"%.*s\": there is none of that name; there are %s", (int)(n < 64 ? n : 64), name, list);
}

hw_err hw__filter_tokens(bool *hidden, size_t n, const hw_run *run, const char *list, hw_error *err) {
    for (const char *at = list; at && *at;) {
        size_t len = strcspn(at, ",");
        const struct filter *filter = find(at, len);
        if (!filter) return fail_unknown(at, len, err);
        for (size_t t = 0; t < n; t++) {
            hw_token token = hw_run_token(run, t);
            if (filter->hides(&token, t)) hidden[t] = true;
        }
        at += len + (at[len] == ',');
    }
    return HW_OK;
}
