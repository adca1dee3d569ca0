/*
 * test_token_spans.c - which bytes each token stands for, by hand-made cases and by texts cut at random.
 */
#include "capture/token_spans.h"
#include "support/fixture.h"

#include <string.h>

typedef struct range {
    size_t begin, end;
} range;

typedef struct alignment {
    const char *text;
    const char *tokens[8]; /* up to NULL */
    range ranges[8];
    bool exact;
} alignment;

static const alignment cases[] = {
    /* as it is */
    {"ab cd", {"ab", " cd"}, {{0, 2}, {2, 5}}, true},
    {"", {NULL}, {{0, 0}}, true},
    {"ab", {"a", "", "b"}, {{0, 1}, {1, 1}, {1, 2}}, true},
    {" ab", {" ", "ab"}, {{0, 1}, {1, 3}}, true},
    {"\xC3\xA9", {"\xC3", "\xA9"}, {{0, 1}, {1, 2}}, true},
    {"a\xFF\xE2\x82", {"a\xFF", "\xE2", "\x82"}, {{0, 2}, {2, 3}, {3, 4}}, true},
    {"\xEF\xBF\xBD", {"\xEF\xBF\xBD"}, {{0, 3}}, true}, /* U+FFFD itself */
    {"\xED\xA0\x80", {"\xED\xA0\x80"}, {{0, 3}}, true}, /* a surrogate passed through */
    /* a space put before */
    {"ab cd", {" ab", " cd"}, {{0, 2}, {2, 5}}, true},
    {"ab", {" ", "ab"}, {{0, 0}, {0, 2}}, true},
    {" ab", {"  ", "ab"}, {{0, 1}, {1, 3}}, true},
    {" ab", {"  ab"}, {{0, 3}}, true},
    {"   ", {"    "}, {{0, 3}}, true},
    {"\xC3\xA9", {" \xC3", "\xA9"}, {{0, 1}, {1, 2}}, true},
    /* invalid bytes as U+FFFD */
    {"a\xFF"
     "b",
     {"a", "\xEF\xBF\xBD", "b"},
     {{0, 1}, {1, 2}, {2, 3}},
     true},
    {"a\xFF"
     "b",
     {"a", "\xEF", "\xBF", "\xBD", "b"},
     {{0, 1}, {1, 2}, {2, 2}, {2, 2}, {2, 3}},
     true},
    {"a\xFF"
     "b",
     {"a\xEF", "\xBF\xBD"
               "b"},
     {{0, 2}, {2, 3}},
     true},
    {"a\xE2\x82", {"a", "\xEF\xBF\xBD", "\xEF\xBF\xBD"}, {{0, 1}, {1, 2}, {2, 3}}, true},
    {"\xC3\xA9\xFF", {"\xC3\xA9\xEF\xBF\xBD"}, {{0, 3}}, true},
    {"\xA9\xC3\xA9", {"\xEF\xBF\xBD", "\xC3\xA9"}, {{0, 1}, {1, 3}}, true},
    {"\xC0\x80", {"\xEF\xBF\xBD\xEF\xBF\xBD"}, {{0, 2}}, true}, /* an overlong form is two bad bytes */
    {"\xFF\xEF\xBF\xBD", {"\xEF\xBF\xBD", "\xEF\xBF\xBD"}, {{0, 1}, {1, 4}}, true},
    {"\xF0\x9F\x99\x82\xFF", {"\xF0\x9F", "\x99\x82", "\xEF\xBF\xBD"}, {{0, 2}, {2, 4}, {4, 5}}, true},
    /* both */
    {"\xFF", {" \xEF\xBF\xBD"}, {{0, 1}}, true},
    {" \xFF", {"  ", "\xEF\xBF\xBD"}, {{0, 1}, {1, 2}}, true},
    /* rewritten: found close by, or nothing */
    {"Rome IS nice", {"rome", " is", " nice"}, {{0, 0}, {0, 0}, {7, 12}}, false},
    {"a b c", {"a", "c"}, {{0, 1}, {4, 5}}, false},
    {"ab", {"ab", "c"}, {{0, 2}, {2, 2}}, false},
    {"abc", {"ab"}, {{0, 2}}, false},
    {"caf\xC3\xA9 x", {"cafe", " x"}, {{0, 0}, {5, 7}}, false},
    {"ab", {" ", " ab"}, {{0, 0}, {0, 0}}, false}, /* only one space is put before */
    {"ab", {"<unk>", "b"}, {{0, 0}, {1, 2}}, false},
    {"", {"a"}, {{0, 0}}, false},
    {"", {" "}, {{0, 0}}, true},
};

static void check(const alignment *c) {
    hw_token tokens[8] = {0};
    size_t n = 0;
    for (; n < 8 && c->tokens[n]; n++) tokens[n] = (hw_token){.bytes = c->tokens[n], .n_bytes = strlen(c->tokens[n])};
    bool exact = hw__find_token_spans(tokens, n, c->text, strlen(c->text));
    for (size_t t = 0; t < n; t++)
        if (tokens[t].begin != c->ranges[t].begin || tokens[t].end != c->ranges[t].end)
            fail_msg("case %td (\"%s\"), token %zu \"%s\": %zu..%zu, expected %zu..%zu", c - cases, c->text, t,
                     c->tokens[t], tokens[t].begin, tokens[t].end, c->ranges[t].begin, c->ranges[t].end);
    if (exact != c->exact) fail_msg("case %td (\"%s\"): exact is %d", c - cases, c->text, exact);
}

static void hand_made_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i]);
}

static void lost_token_is_looked_for_close_by_only(void **state) {
    (void)state;
    char text[80];
    memset(text, '-', sizeof text);
    for (size_t at = 60; at < 70; at++) {
        hw_token tokens[2] = {{.bytes = "A", .n_bytes = 1}, {.bytes = "xyz", .n_bytes = 3}};
        memcpy(text + at, "xyz", 3);
        assert_false(hw__find_token_spans(tokens, 2, text, sizeof text));
        assert_int_equal(tokens[1].begin, at <= 64 ? at : 0);
        assert_int_equal(tokens[1].end, at <= 64 ? at + 3 : 0);
        memcpy(text + at, "---", 3);
    }
}

static void nul_is_a_byte_like_any_other(void **state) {
    (void)state;
    hw_token tokens[2] = {{.bytes = "a\0", .n_bytes = 2}, {.bytes = "\0b", .n_bytes = 2}};
    assert_true(hw__find_token_spans(tokens, 2, "a\0\0b", 4));
    assert_int_equal(tokens[0].end, 2);
    assert_int_equal(tokens[1].end, 4);
}

/* ------------------------------------------------------------------ texts cut at random */

typedef struct stream {
    char bytes[512];
    size_t origin[512]; /* byte of the text that each came from */
    size_t n;
} stream;

static void emit(stream *s, const char *bytes, size_t n, size_t origin, size_t step) {
    for (size_t i = 0; i < n; i++) {
        s->bytes[s->n] = bytes[i];
        s->origin[s->n++] = origin + i * step;
    }
}

/* A text of characters and bad bytes, and the stream that a tokenizer makes of it. */
static size_t random_text(char *text, stream *s, uint64_t *dice, bool lead, bool replace) {
    static const char *const units[] = {"a",    " ",    "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x99\x82", "\n",
                                        "\xFF", "\x80", "b"};
    size_t n = 0;
    *s = (stream){0};
    if (lead) emit(s, " ", 1, 0, 0);
    for (size_t i = 0; i < 24; i++) {
        const char *unit = units[(*dice = mix(*dice)) % (sizeof units / sizeof *units)];
        size_t len = strlen(unit);
        bool bad = replace && (unit[0] == '\xFF' || unit[0] == '\x80');
        if (bad) {
            emit(s, "\xEF\xBF\xBD", 3, n, 0);
        } else {
            emit(s, unit, len, n, 1);
        }
        memcpy(text + n, unit, len);
        n += len;
    }
    return n;
}

/* Cuts a stream into tokens, and says of each which bytes of the text it must have. */
static size_t cut(hw_token *tokens, range *want, const stream *s, uint64_t *dice, bool lead) {
    size_t n = 0;
    for (size_t at = 0; at < s->n; n++) {
        size_t len = 1 + (*dice = mix(*dice)) % 5, after = n ? want[n - 1].end : 0;
        if (len > s->n - at) len = s->n - at;
        tokens[n] = (hw_token){.bytes = s->bytes + at, .n_bytes = len};
        size_t first = lead && at == 0 ? 1 : 0;
        want[n] = (range){after, after};
        if (first < len && s->origin[at + len - 1] + 1 > after) want[n].end = s->origin[at + len - 1] + 1;
        at += len;
    }
    return n;
}

static void check_random(uint64_t seed, bool lead, bool replace) {
    char text[128];
    stream s;
    hw_token tokens[512];
    range want[512];
    uint64_t dice = seed;
    size_t n_text = random_text(text, &s, &dice, lead, replace), n = cut(tokens, want, &s, &dice, lead);
    assert_true(hw__find_token_spans(tokens, n, text, n_text));
    for (size_t t = 0; t < n; t++) {
        assert_int_equal(tokens[t].begin, want[t].begin);
        assert_int_equal(tokens[t].end, want[t].end);
    }
}

static void texts_cut_at_random_are_exact(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) check_random(seed, seed & 1, seed & 2);
}

/* Tokens that have little to do with the text: whatever comes out lies in it, rises and does not overlap. */
static void ranges_always_rise_and_stay_inside(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        char text[128];
        stream s, other;
        hw_token tokens[512];
        range unused[512];
        uint64_t dice = seed;
        random_text(text, &other, &dice, seed & 1, true);
        size_t n_text = random_text(text, &s, &dice, false, false), n = cut(tokens, unused, &other, &dice, false),
               at = 0;
        hw__find_token_spans(tokens, n, text, n_text);
        for (size_t t = 0; t < n; t++) {
            assert_true(at <= tokens[t].begin && tokens[t].begin <= tokens[t].end && tokens[t].end <= n_text);
            at = tokens[t].end;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hand_made_cases),
        cmocka_unit_test(lost_token_is_looked_for_close_by_only),
        cmocka_unit_test(nul_is_a_byte_like_any_other),
        cmocka_unit_test(texts_cut_at_random_are_exact),
        cmocka_unit_test(ranges_always_rise_and_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
