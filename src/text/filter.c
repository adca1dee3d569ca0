/*
 * filter.c - the filter table, and the parser of filter lists.
 *
 * Most rows test one token at a time. Stop words are words of the text, which a tokenizer may split: the tokens' bytes
 * are joined and split into words by ICU, and a token is selected if it contains part of a stop word and of no other
 * word.
 */
#include "text/filter.h"

#include "base/strlist.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "data/thinking.h"
#include "text/stopwords.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct text {
    const char *bytes;
    size_t n;
} text;

static bool same(text a, text b) { return a.n == b.n && (a.n == 0 || memcmp(a.bytes, b.bytes, a.n) == 0); }

static text text_of(const hw_token *t) { return (text){t->bytes, t->n_bytes}; }

/* Removes the spaces that tokenizers put before words. */
static text trim_front(text s) {
    while (s.n > 0 && s.bytes[0] == ' ') s.bytes++, s.n--;
    return s;
}

static text trim(text s) {
    s = trim_front(s);
    while (s.n > 0 && s.bytes[s.n - 1] == ' ') s.n--;
    return s;
}

/* ------------------------------------------------------------------ filters that look at one token */

/* The list of the original note: common words and punctuation that rollout favours. */
static bool is_note(const hw_token *t, size_t index) {
    (void)index;
    static const text list[] = {{",", 1}, {".", 1}, {"\n", 1}, {"is", 2}, {":", 1}, {"and", 3}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (same(trim(text_of(t)), list[i])) return true;
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
    return every_char(text_of(t), space);
}

static bool is_punctuation(const hw_token *t, size_t index) {
    (void)index;
    return every_char(trim(text_of(t)), punctuation);
}

/* ------------------------------------------------------------------ stop words */

/* The joined bytes of tokens. Special and template tokens belong to no word: each of their bytes becomes NUL. */
typedef struct joined_text {
    char *bytes;
    size_t *at; /* [n + 1] offset of each token */
} joined_text;

static void joined_text_free(joined_text *j) {
    free(j->bytes);
    free(j->at);
}

static hw_err join(joined_text *out, const hw_run *run, size_t n, hw_error *err) {
    joined_text j = {.at = hw__alloc(n + 1, sizeof *j.at)};
    for (size_t t = 0; j.at && t < n; t++) j.at[t + 1] = j.at[t] + hw_run_token(run, t).n_bytes;
    j.bytes = j.at ? hw__alloc(j.at[n], 1) : NULL;
    if (!j.bytes) {
        joined_text_free(&j);
        return hw__fail_memory(err, "the filter's text", n + 1, sizeof *j.at);
    }
    for (size_t t = 0; t < n; t++) {
        hw_token token = hw_run_token(run, t);
        bool own = token.role != HW_ROLE_SPECIAL && token.role != HW_ROLE_TEMPLATE;
        if (own && token.n_bytes) memcpy(j.bytes + j.at[t], token.bytes, token.n_bytes);
    }
    *out = j;
    return HW_OK;
}

/* What a UTF-16 unit is part of. */
enum part { NO_WORD, STOP_WORD, OTHER_WORD };

/* Marks the word [from, to). If the whole is not a stop word (as "don't" is), its parts between apostrophes are tested
 * separately: "l'homme", "Anna's". */
static void mark_word(char *parts, const hw__utf16 *all, int32_t from, int32_t to, const hw__stopwords *list) {
    if (hw__stopwords_has(list, all->units + from, to - from)) {
        memset(parts + from, STOP_WORD, (size_t)(to - from));
        return;
    }
    for (int32_t u = from, end; u < to; u = end + 1) {
        for (end = u; end < to && all->units[end] != '\'' && all->units[end] != 0x2019;) end++;
        bool stop = end > u && hw__stopwords_has(list, all->units + u, end - u);
        memset(parts + u, stop ? STOP_WORD : OTHER_WORD, (size_t)(end - u));
    }
}

/* parts [units], zeroed */
static hw_err mark_words(char *parts, const hw__utf16 *all, const hw__stopwords *list, hw_error *err) {
    UBreakIterator *iter;
    hw_err rc = hw__breaks_open(&iter, UBRK_WORD, "", all, err);
    if (rc != HW_OK) return rc;
    for (int32_t from = ubrk_first(iter), to; (to = ubrk_next(iter)) != UBRK_DONE; from = to)
        if (ubrk_getRuleStatus(iter) >= UBRK_WORD_NONE_LIMIT) mark_word(parts, all, from, to, list);
    ubrk_close(iter);
    return HW_OK;
}

/* Whether bytes [begin, end) contain part of a stop word and of no other word. */
static bool holds_stop_word(const char *parts, const hw__utf16 *all, size_t begin, size_t end) {
    bool stop = false;
    for (int32_t u = hw__utf16_unit(all, begin); u < all->n && all->at[u] < end; u++) {
        if (parts[u] == OTHER_WORD) return false;
        stop = stop || parts[u] == STOP_WORD;
    }
    return stop;
}

static hw_err name_words(bool *named, size_t n, const joined_text *j, const hw__stopwords *list, hw_error *err) {
    hw__utf16 all;
    hw_err rc = hw__utf16_new(&all, j->bytes, j->at[n], err);
    if (rc != HW_OK) return rc;
    char *parts = hw__alloc((size_t)all.n, 1);
    rc = parts ? mark_words(parts, &all, list, err) : hw__fail_memory(err, "the filter's words", (size_t)all.n, 1);
    for (size_t t = 0; rc == HW_OK && t < n; t++)
        if (holds_stop_word(parts, &all, j->at[t], j->at[t + 1])) named[t] = true;
    free(parts);
    hw__utf16_clear(&all);
    return rc;
}

static hw_err name_stopwords(bool *named, size_t n, const hw_run *run, const char *language, hw_error *err) {
    hw__stopwords *list;
    hw_err rc = hw__stopwords_new(&list, language ? language : "en", err);
    if (rc != HW_OK) return rc;
    joined_text j = {0};
    if (n > 0 && (rc = join(&j, run, n, err)) == HW_OK) {
        rc = name_words(named, n, &j, list, err);
        joined_text_free(&j);
    }
    hw__stopwords_free(list);
    return rc;
}

/* ------------------------------------------------------------------ messages */

/* Selects the tokens of messages with this role. */
static void name_messages(bool *named, size_t n, const hw_run *run, const char *role) {
    size_t n_messages, i = 0;
    const hw_span *messages = hw_run_messages(run, &n_messages);
    for (size_t t = 0; t < n && t < hw_run_n_prompt(run); t++) {
        hw_token token = hw_run_token(run, t);
        if (token.role == HW_ROLE_TEMPLATE) continue;
        while (i < n_messages && messages[i].end <= token.begin) i++;
        if (i < n_messages && messages[i].begin < token.end && strcmp(messages[i].name, role) == 0) named[t] = true;
    }
}

static hw_err name_thinking(bool *named, size_t n, const hw_run *run, const char *argument, hw_error *err) {
    if (argument) return hw__fail(err, HW_ERR_ARGUMENT, "filter \"thinking\": nothing may follow but a comma");
    if (n == 0) return HW_OK; /* only the list is checked, without a run */
    size_t n_tokens = hw_run_n_tokens(run);
    bool *thinks = hw__alloc(n_tokens, sizeof *thinks);
    if (!thinks) return hw__fail_memory(err, "thinking sections", n_tokens, sizeof *thinks);
    hw_err rc = hw__thinking_tokens(thinks, run, err);
    for (size_t t = 0; rc == HW_OK && t < n && t < n_tokens; t++) named[t] = named[t] || thinks[t];
    free(thinks);
    return rc;
}

/* ------------------------------------------------------------------ the table */

typedef struct filter {
    hw_filter_info info;
    bool (*test)(const hw_token *token, size_t index); /* tests one token; NULL: `run` tests */
    hw_err (*name)(bool *named, size_t n, const hw_run *run, const char *argument, hw_error *err);
    bool by_role; /* selects tokens of the run; if NULL too: messages whose role is the filter's name */
} filter;

static const filter filters[] = {
    {{"note", "the note's list: , . \\n is : and"}, is_note, NULL, false},
    {{"first", "token 0, the sink of every causal model"}, is_first, NULL, false},
    {{"punctuation", "tokens of punctuation and symbols only"}, is_punctuation, NULL, false},
    {{"whitespace", "tokens of white space only"}, is_whitespace, NULL, false},
    {{"special", "control tokens such as BOS"}, is_special, NULL, false},
    {{"template", "tokens that the chat template put around the prompt"}, is_template, NULL, false},
    {{"system", "tokens of system messages"}, NULL, NULL, true},
    {{"user", "tokens of the user's messages"}, NULL, NULL, true},
    {{"assistant", "tokens of the model's messages before its answer"}, NULL, NULL, true},
    {{"thinking", "tokens of thinking sections, <think> ... </think> or other models' marks"},
     NULL,
     name_thinking,
     false},
    {{"stopwords", "the commonest words of English, or of another language: stopwords:de"},
     NULL,
     name_stopwords,
     false},
};
enum { N_FILTERS = sizeof filters / sizeof *filters };

size_t hw_filter_count(void) { return N_FILTERS; }
const hw_filter_info *hw_filter_at(size_t i) { return i < N_FILTERS ? &filters[i].info : NULL; }

/* ------------------------------------------------------------------ lists */

static const char *filter_name(size_t i, const void *ctx) {
    (void)ctx;
    return filters[i].info.name;
}

static hw_err fail_unknown(text name, hw_error *err) {
    char why[400], quoted[64];
    hw__utf8_line(quoted, sizeof quoted, name.bytes, name.n);
    return hw__fail(err, HW_ERR_ARGUMENT, "filter \"%s\": %s, and \"TEXT\" and /REGEX/ for tokens that read so", quoted,
                    hw__unknown_name(why, sizeof why, quoted, (hw__names){filter_name, NULL, N_FILTERS}));
}

/* Parses NAME or NAME:ARGUMENT, terminated. */
static hw_err name_by_table(bool *named, size_t n, const hw_run *run, char *item, hw_error *err) {
    char *colon = strchr(item, ':');
    size_t len = colon ? (size_t)(colon - item) : strlen(item), i = 0;
    while (i < N_FILTERS && !same((text){item, len}, (text){filters[i].info.name, strlen(filters[i].info.name)})) i++;
    if (i == N_FILTERS) return fail_unknown((text){item, strlen(item)}, err);
    const filter *f = &filters[i];
    if (f->name) return f->name(named, n, run, colon ? colon + 1 : NULL, err);
    if (colon) return hw__fail(err, HW_ERR_ARGUMENT, "filter \"%s\": nothing may follow but a comma", f->info.name);
    if (f->by_role && n) name_messages(named, n, run, f->info.name);
    for (size_t t = 0; t < n && f->test; t++) {
        hw_token token = hw_run_token(run, t);
        if (f->test(&token, t)) named[t] = true;
    }
    return HW_OK;
}

static hw_err name_by_text(bool *named, size_t n, const hw_run *run, text wanted, hw_error *err) {
    if (wanted.n == 0) return hw__fail(err, HW_ERR_ARGUMENT, "filter \"\": nothing between the quotes");
    bool raw = wanted.bytes[0] == ' ';
    for (size_t t = 0; t < n; t++) {
        hw_token token = hw_run_token(run, t);
        if (same(raw ? text_of(&token) : trim_front(text_of(&token)), wanted)) named[t] = true;
    }
    return HW_OK;
}

static hw_err token_matches(bool *found, URegularExpression *regex, const hw_token *token, hw_error *err) {
    hw__utf16 all;
    int32_t end;
    hw_err rc = hw__utf16_new(&all, token->bytes, token->n_bytes, err);
    if (rc != HW_OK) return rc;
    rc = hw__regex_begin(regex, &all, err);
    if (rc == HW_OK) rc = hw__regex_next(found, &end, regex, err);
    hw__utf16_clear(&all);
    return rc;
}

static hw_err name_by_regex(bool *named, size_t n, const hw_run *run, text pattern, hw_error *err) {
    URegularExpression *regex;
    hw_err rc = hw__regex_open(&regex, pattern.bytes, pattern.n, err);
    if (rc != HW_OK) return rc;
    for (size_t t = 0; rc == HW_OK && t < n; t++) {
        hw_token token = hw_run_token(run, t);
        bool found = false;
        rc = token_matches(&found, regex, &token, err);
        if (rc == HW_OK && found) named[t] = true;
    }
    uregex_close(regex);
    return rc;
}

/* Bytes of the first item of `list`, up to the comma or the end; 0 if its quote or slash is not closed. */
static size_t item_length(const char *list) {
    char mark = list[0];
    if (mark != '"' && mark != '/') return strcspn(list, ",");
    size_t i = 1;
    for (; list[i] && list[i] != mark; i++)
        if (list[i] == '\\' && list[i + 1]) i++;
    return list[i] ? i + 1 : 0;
}

/* Works in place; false if a backslash precedes an unknown character. */
static bool unescape(text *s, char *bytes) {
    static const char from[] = "\"\\nt", to[] = "\"\\\n\t";
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (bytes[i] == '\\') {
            const char *code = ++i < s->n ? memchr(from, bytes[i], 4) : NULL;
            if (!code) return false;
            bytes[n++] = to[code - from];
        } else {
            bytes[n++] = bytes[i];
        }
    }
    *s = (text){bytes, n};
    return true;
}

/* `item` [n] is terminated and may be changed. */
static hw_err name_by_item(bool *named, size_t n, const hw_run *run, char *item, size_t n_item, hw_error *err) {
    if (item[0] != '"' && item[0] != '/') return name_by_table(named, n, run, item, err);
    text inner = {item + 1, n_item - 2};
    if (item[0] == '/') return name_by_regex(named, n, run, inner, err);
    if (unescape(&inner, item + 1)) return name_by_text(named, n, run, inner, err);
    return hw__fail(err, HW_ERR_ARGUMENT, "a backslash in a quoted filter: \\\" \\\\ \\n and \\t are accepted");
}

static hw_err fail_syntax(const char *at, const char *what, hw_error *err) {
    char shown[64];
    hw__utf8_line(shown, sizeof shown, at, strlen(at));
    return hw__fail(err, HW_ERR_ARGUMENT, "filters, at %s: %s", shown, what);
}

hw_err hw__filter_tokens(bool *named, size_t n, const hw_run *run, const char *list, hw_error *err) {
    for (const char *at = list; at && *at;) {
        size_t len = item_length(at);
        if (len == 0 && *at == '"') return fail_syntax(at, "the quote is not closed", err);
        if (len == 0 && *at == '/') return fail_syntax(at, "the regular expression has no slash at its end", err);
        if (at[len] && at[len] != ',') return fail_syntax(at + len, "a comma or the end must follow here", err);
        char *item = hw__strndup(at, len);
        if (!item) return hw__fail_memory(err, "a filter", len, 1);
        hw_err rc = name_by_item(named, n, run, item, len, err);
        free(item);
        if (rc != HW_OK) return rc;
        at += len + (at[len] == ',');
    }
    return HW_OK;
}

hw_err hw_filter_check(const char *list, hw_error *err) { return hw__filter_tokens(NULL, 0, NULL, list, err); }
