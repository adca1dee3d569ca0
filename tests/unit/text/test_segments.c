/* test_segments.c - texts cut into segments: exact byte ranges in many scripts, tokens dealt whole, and nothing
 * lost. */
#include "base/unicode.h"
#include "support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ runs from texts */

static void add_token(hw_run *run, const char *bytes, size_t n, hw_role role, size_t begin, size_t end) {
    hw_token token = {.bytes = bytes, .n_bytes = n, .id = 1, .role = role, .begin = begin, .end = end};
    assert_int_equal(hw__run_add_token(run, &token, NULL), HW_OK);
}

/* A run of tokens written "The| sky", on the given side. */
static hw_run *run_of(const char *tokens, hw_side side) {
    hw_run *run = make_run(1, NULL, 0, NULL, 0);
    char text[1024];
    size_t n = 0;
    for (const char *at = tokens;;) {
        size_t len = strcspn(at, "|");
        memcpy(text + n, at, len);
        add_token(run, at, len, side == HW_SIDE_PROMPT ? HW_ROLE_PROMPT : HW_ROLE_COMPLETION, n, n + len);
        n += len;
        if (!at[len]) break;
        at += len + 1;
    }
    if (side == HW_SIDE_PROMPT) assert_int_equal(hw__run_set_prompt(run, text, n, NULL), HW_OK);
    return run;
}

static hw_segments *cut(const hw_run *run, hw_side side, const char *by) {
    hw_segments *s = NULL;
    hw_error err = {0};
    if (hw_segments_new(&s, run, side, by, &err) != HW_OK) fail_msg("by \"%s\": %s", by, err.msg);
    return s;
}

/* "A |B|" of segments and "0 0 1" of groups, as the tests write them. */
static void describe(char *spans, char *groups, size_t capacity, const hw_segments *s, const char *text) {
    size_t at = 0, n;
    for (size_t i = 0; i < hw_segments_count(s); i++) {
        const hw_span *span = hw_segments_at(s, i);
        at += (size_t)snprintf(spans + at, capacity - at, "%s%.*s", i ? "|" : "", (int)(span->end - span->begin),
                               text + span->begin);
    }
    const int32_t *of = hw_segments_groups(s, &n);
    groups[at = 0] = 0;
    for (size_t t = 0; t < n; t++) at += (size_t)snprintf(groups + at, capacity - at, "%s%d", t ? " " : "", (int)of[t]);
}

static void assert_segments(const hw_segments *s, const char *text, const char *name, const char *want,
                            const char *want_groups) {
    char spans[1024], groups[1024];
    describe(spans, groups, sizeof spans, s, text);
    if (strcmp(spans, want) != 0 || strcmp(groups, want_groups) != 0)
        fail_msg("%s\n got:      %s\n           %s\n expected: %s\n           %s", name, spans, groups, want,
                 want_groups);
}

static void assert_cut(const char *by, const char *tokens, const char *want, const char *want_groups) {
    for (hw_side side = HW_SIDE_PROMPT; side <= HW_SIDE_COMPLETION; side++) {
        hw_run *run = run_of(tokens, side);
        hw_segments *s = cut(run, side, by);
        assert_segments(s, side == HW_SIDE_PROMPT ? hw_run_prompt(run, NULL) : hw_run_completion(run, NULL), tokens,
                        want, want_groups);
        hw_segments_free(s);
        hw__run_release(run);
    }
}

/* ------------------------------------------------------------------ each segmenter */

static void words_carry_the_space_before_them(void **state) {
    (void)state;
    assert_cut("word", "The| quick|,| br|own| fox|.", "The| quick|,| brown| fox|.", "0 1 2 3 3 4 5");
    assert_cut("word", "  |Hi| |there| \n", "  Hi| there \n", "0 0 1 1 1"); /* no word behind: to the one before */
    assert_cut("word", "don|'t|  go", "don't|  go", "0 0 1");
    assert_cut("word", "a|\n\n|b", "a|\n\nb", "0 1 1");
    assert_cut("word", " |\t", " \t", "0 0"); /* white space alone is one segment */
    assert_cut("word", "3.14| is| pi", "3.14| is| pi", "0 1 2");
}

static void segments_without_a_token_go_to_the_one_before(void **state) {
    (void)state;
    assert_cut("word", "Well|...| yes", "Well|...| yes", "0 1 2"); /* three marks, one token */
    assert_cut("word", " a b| c", " a b| c", "0 1");
    assert_cut("sentence", "One|. Two| three.", "One. |Two three.",
               "0 0 1"); /* the one across goes by its first byte */
    assert_cut("sentence", "One.| Two. Three.| Four.", "One. |Two. Three. |Four.", "0 1 2");
    assert_cut("sentence", "A b. C d. E f.", "A b. C d. E f.", "0");
    assert_cut("line", "\n\n\n\nA|\nB", "\n\n\n\nA\n|B", "0 1");
}

static void sentences_keep_their_white_space(void **state) {
    (void)state;
    assert_cut("sentence", "It| rained|.| We| left|!", "It rained. |We left!", "0 0 0 1 1 1");
    assert_cut("sentence", "A.|\n|\n|\n|B.|  \n|  ", "A.\n\n\n|B.  \n  ", "0 0 0 0 1 1 1");
    assert_cut("sentence", "\n\n|A.| B.", "\n\nA. |B.", "0 0 1");
    assert_cut("sentence", "He| met| Mr.| Jones| at| 5| p.m.| today|.| It| cost| $3.50|.",
               "He met Mr. Jones at 5 p.m. today. |It cost $3.50.", "0 0 0 0 0 0 0 0 0 1 1 1 1");
    assert_cut("sentence", "Facts|\n|-| one|\n|-| two", "Facts\n|- one\n|- two", "0 0 1 1 1 2 2");
}

static void lines_end_as_unicode_says(void **state) {
    (void)state;
    assert_cut("line", "a|\r\n|b|\n|c|\r|d|\xE2\x80\xA8|e|\xC2\x85|f", "a\r\n|b\n|c\r|d\xE2\x80\xA8|e\xC2\x85|f",
               "0 0 1 1 2 2 3 3 4 4 5");
    assert_cut("line", "a|\r|\n|b", "a\r\n|b", "0 0 0 1"); /* two tokens, one line end */
    assert_cut("line", "a|\n|  \n|b", "a\n  \n|b", "0 0 0 1");
    assert_cut("line", "a|\nb", "a\n|b", "0 1"); /* by the first byte that is not white space */
}

static void paragraphs_stand_between_blank_lines(void **state) {
    (void)state;
    assert_cut("paragraph", "a|\n|b|\n\n|c", "a\nb\n\n|c", "0 0 0 0 1");
    assert_cut("paragraph", "a|\n| \t|\n|\n|b|\n|c|\n\n", "a\n \t\n\n|b\nc\n\n", "0 0 0 0 0 1 1 1 1");
    assert_cut("paragraph", "a|\r\n|b", "a\r\nb", "0 0 0"); /* one line end, not two */
    assert_cut("paragraph", "a|\r\n\r\n|b", "a\r\n\r\n|b", "0 0 1");
    assert_cut("paragraph", "\n\n|a|\n\n\nb", "\n\na\n\n\n|b", "0 0 1");
    assert_cut("paragraph", "a| b", "a b", "0 0");
}

static void matches_end_segments(void **state) {
    (void)state;
    assert_cut("/;\\s*/", "a|;| b|; |c", "a; |b; |c", "0 0 1 1 2");
    assert_cut("/(?<=;)/", "a|;|b", "a;|b", "0 0 1"); /* matches nothing, still ends something */
    assert_cut("/x/", "a| b", "a b", "0 0");
    assert_cut("/./", "a|b|c", "a|b|c", "0 1 2");
    assert_cut("/\\//", "a|/|b", "a/|b", "0 0 1");
    assert_cut("/(?i)END /", "a| end |b", "a end |b", "0 0 1");
    assert_cut("/\\R---\\R/", "Doc A|\n---\n|Doc B", "Doc A\n---\n|Doc B", "0 0 1");
}

static void tokens_are_their_own_segments(void **state) {
    (void)state;
    assert_cut("token", "The| |\n|\xF0\x9F|\x98\x80|.", "The| |\n|\xF0\x9F|\x98\x80|.", "0 1 2 3 4 5");
}

/* ------------------------------------------------------------------ scripts */

static void ranges_are_exact_in_every_script(void **state) {
    (void)state;
    /* a family of three joined by ZWJ, a flag, a skin tone; tokens end anywhere inside */
    assert_cut("word", "Hi| \xF0\x9F|\x91\xA8\xE2\x80|\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7| ok",
               "Hi| \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7| ok", "0 1 1 1 2");
    assert_cut("word", "\xF0\x9F\x87\xA9|\xF0\x9F\x87\xAA|\xF0\x9F\x91\x8D|\xF0\x9F\x8F\xBD",
               "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA|\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD", "0 0 1 1");
    /* e + combining acute, split between the two and inside the second */
    assert_cut("word", "e|\xCC\x81|te\xCC|\x81| a", "e\xCC\x81te\xCC\x81| a", "0 0 0 0 1");
    /* Chinese: 我们 在 北京 学习 。 by dictionary */
    assert_cut("word",
               "\xE6\x88\x91|\xE4\xBB\xAC|\xE5\x9C\xA8|\xE5\x8C\x97\xE4|\xBA\xAC|\xE5\xAD\xA6\xE4\xB9\xA0|\xE3\x80\x82",
               "\xE6\x88\x91\xE4\xBB\xAC|\xE5\x9C\xA8|\xE5\x8C\x97\xE4\xBA\xAC|\xE5\xAD\xA6\xE4\xB9\xA0|\xE3\x80\x82",
               "0 0 1 2 2 3 4");
    /* Japanese sentences end without a space: 雨です。行こう！ */
    assert_cut("sentence",
               "\xE9\x9B\xA8|\xE3\x81\xA7\xE3\x81\x99|\xE3\x80\x82|\xE8\xA1\x8C\xE3\x81\x93\xE3\x81\x86|\xEF\xBC\x81",
               "\xE9\x9B\xA8\xE3\x81\xA7\xE3\x81\x99\xE3\x80\x82|\xE8\xA1\x8C\xE3\x81\x93\xE3\x81\x86\xEF\xBC\x81",
               "0 0 0 1 1");
    /* Thai: สวัสดี ชาว โลก */
    assert_cut("word",
               "\xE0\xB8\xAA\xE0\xB8\xA7\xE0\xB8\xB1\xE0\xB8\xAA\xE0\xB8\x94\xE0\xB8\xB5|"
               "\xE0\xB8\x8A\xE0\xB8\xB2\xE0\xB8\xA7|\xE0\xB9\x82\xE0\xB8\xA5\xE0\xB8\x81",
               "\xE0\xB8\xAA\xE0\xB8\xA7\xE0\xB8\xB1\xE0\xB8\xAA\xE0\xB8\x94\xE0\xB8\xB5|"
               "\xE0\xB8\x8A\xE0\xB8\xB2\xE0\xB8\xA7|\xE0\xB9\x82\xE0\xB8\xA5\xE0\xB8\x81",
               "0 1 2");
    /* Hebrew שלום, עולם! and Arabic مرحبا؟ نعم with its own question mark */
    assert_cut("word", "\xD7\xA9\xD7\x9C|\xD7\x95\xD7\x9D|,| \xD7\xA2\xD7\x95\xD7\x9C\xD7\x9D|!",
               "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D|,| \xD7\xA2\xD7\x95\xD7\x9C\xD7\x9D|!", "0 0 1 2 3");
    assert_cut("sentence", "\xD9\x85\xD8\xB1\xD8\xAD\xD8\xA8\xD8\xA7|\xD8\x9F| \xD9|\x86\xD8\xB9\xD9\x85",
               "\xD9\x85\xD8\xB1\xD8\xAD\xD8\xA8\xD8\xA7\xD8\x9F |\xD9\x86\xD8\xB9\xD9\x85", "0 0 1 1");
    /* the ideographic space is white space, also in halves */
    assert_cut("word", "a|\xE3\x80|\x80|b",
               "a|\xE3\x80\x80"
               "b",
               "0 1 1 1");
}

static void bytes_that_are_no_text_keep_their_place(void **state) {
    (void)state;
    assert_cut("word", "a|\xFF|\xFE| b", "a|\xFF|\xFE| b", "0 1 2 3");
    assert_cut("word", "a|\xE3\x81| b", "a|\xE3\x81| b", "0 1 2"); /* a character cut short is one U+FFFD */
    assert_cut("sentence", "A\xFF.| B\xC3.", "A\xFF. |B\xC3.", "0 1");
    assert_cut("/\xEF\xBF\xBD/", "a|\xFF|b", "a\xFF|b", "0 0 1");
    assert_cut("line", "\x80\n|\xF0\x9F\n|x", "\x80\n|\xF0\x9F\n|x", "0 1 2");
}

/* ------------------------------------------------------------------ tokens that are not text */

static void special_and_template_tokens_belong_to_none(void **state) {
    (void)state;
    hw_run *run = make_run(1, NULL, 0, NULL, 0);
    hw__run_set_prompt(run, "Hi. Yes<s>", 10, NULL);
    add_token(run, "<s>", 3, HW_ROLE_SPECIAL, 0, 0);
    add_token(run, "<user>", 6, HW_ROLE_TEMPLATE, 0, 0);
    add_token(run, "\xE2\x96\x81", 3, HW_ROLE_PROMPT, 0, 0); /* put there by the tokenizer: stands for no byte */
    add_token(run, "Hi", 2, HW_ROLE_PROMPT, 0, 2);
    add_token(run, "</s>", 4, HW_ROLE_SPECIAL, 2, 2);
    add_token(run, ".", 1, HW_ROLE_PROMPT, 2, 3);
    add_token(run, " Y", 2, HW_ROLE_PROMPT, 3, 5);
    add_token(run, "", 0, HW_ROLE_PROMPT, 5, 5);
    add_token(run, "es", 2, HW_ROLE_PROMPT, 5, 7);
    add_token(run, "<s>", 3, HW_ROLE_SPECIAL, 7, 10); /* written by the user, read as a control token */
    add_token(run, "<end>", 5, HW_ROLE_TEMPLATE, 10, 10);
    hw_segments *s = cut(run, HW_SIDE_PROMPT, "sentence");
    assert_segments(s, "Hi. Yes<s>", "sentence", "Hi. |Yes<s>", "-1 -1 0 0 -1 0 1 1 1 -1 -1");
    hw_segments_free(s);
    s = cut(run, HW_SIDE_PROMPT, "token");
    assert_segments(s, "Hi. Yes<s>", "token", "Hi|.| Y|es", "-1 -1 0 0 -1 1 2 2 3 -1 -1");
    hw_segments_free(s);
    hw__run_release(run);
    run = make_run(1, NULL, 0, NULL, 0);
    hw__run_set_prompt(run, "<s> a b", 7, NULL);
    add_token(run, "<s>", 3, HW_ROLE_SPECIAL, 0, 3); /* text without a token of its own goes to the segment behind it */
    add_token(run, " a", 2, HW_ROLE_PROMPT, 3, 5);
    add_token(run, " b", 2, HW_ROLE_PROMPT, 5, 7);
    s = cut(run, HW_SIDE_PROMPT, "word");
    assert_segments(s, "<s> a b", "word", "<s> a| b", "-1 0 1");
    hw_segments_free(s);
    hw__run_release(run);
}

static void ranges_beyond_the_text_are_no_text(void **state) {
    (void)state;
    hw_run *run = make_run(1, NULL, 0, NULL, 0);
    hw__run_set_prompt(run, "ab", 2, NULL);
    add_token(run, "ab", 2, HW_ROLE_PROMPT, 0, 2);
    add_token(run, "c", 1, HW_ROLE_PROMPT, 1, 3);
    add_token(run, "d", 1, HW_ROLE_PROMPT, 7, 9);
    hw_segments *s = cut(run, HW_SIDE_PROMPT, "word");
    assert_segments(s, "ab", "word", "ab", "0 0 0");
    hw_segments_free(s);
    hw__run_release(run);
}

/* ------------------------------------------------------------------ spans */

/* Bytes: A: 0-3, the 3, sky 6, . 10, \nB: 11-15, emoji 15-19, cafe 19-24, \n 24, end 25-28. */
static hw_run *passages(void) {
    return run_of("A: |the| sky|.|\nB: |\xF0\x9F\x98|\x80|caf\xC3\xA9|\n|end", HW_SIDE_PROMPT);
}

static void spans_stay_as_they_are_given(void **state) {
    (void)state;
    hw_run *run = passages();
    hw_span spans[] = {{"A", 3, 11}, {NULL, 11, 12}, {"B", 15, 24}, {"in e", 26, 27}};
    hw_segments *s = NULL;
    assert_int_equal(hw_segments_from_spans(&s, run, HW_SIDE_PROMPT, spans, 4, NULL), HW_OK);
    memset(spans, 0, sizeof spans); /* copied */
    assert_segments(s, hw_run_prompt(run, NULL), "spans",
                    "the sky.|\n|\xF0\x9F\x98\x80"
                    "caf\xC3\xA9|n",
                    "-1 0 0 0 -1 2 2 2 -1 -1");
    assert_string_equal(hw_segments_at(s, 0)->name, "A");
    assert_string_equal(hw_segments_at(s, 1)->name, "");
    assert_string_equal(hw_segments_at(s, 3)->name, "in e");
    assert_null(hw_segments_at(s, 4));
    hw_segments_free(s);
    hw__run_release(run);
}

static void json_counts_characters(void **state) {
    (void)state;
    static const char json[] =
        "[{\"name\": \"A\", \"begin\": 3, \"end\": 11, \"score\": 0.5}, {\"begin\": 15, \"end\": 16}, "
        "{\"name\": \"\xC3\xA9\", \"begin\": 16, \"end\": 20}]";
    hw_run *run = passages();
    hw_segments *s = NULL;
    hw_error err = {0};
    if (hw_segments_from_json(&s, run, HW_SIDE_PROMPT, json, sizeof json - 1, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_segments(s, hw_run_prompt(run, NULL), "json", "the sky.|\xF0\x9F\x98\x80|caf\xC3\xA9",
                    "-1 0 0 0 -1 1 1 2 -1 -1");
    assert_string_equal(hw_segments_at(s, 2)->name, "\xC3\xA9");
    hw_segments_free(s);
    hw__run_release(run);
}

static void json_counts_what_is_no_character_as_one(void **state) {
    (void)state;
    static const char json[] = "[{\"begin\": 1, \"end\": 2}, {\"begin\": 2, \"end\": 4}]";
    hw_run *run = run_of("a|\xF0\x9F\x98|\xFF|b", HW_SIDE_COMPLETION);
    hw_segments *s = NULL;
    assert_int_equal(hw_segments_from_json(&s, run, HW_SIDE_COMPLETION, json, sizeof json - 1, NULL), HW_OK);
    assert_segments(s, hw_run_completion(run, NULL), "json",
                    "\xF0\x9F\x98|\xFF"
                    "b",
                    "-1 0 1 1");
    hw_segments_free(s);
    hw__run_release(run);
}

/* ------------------------------------------------------------------ errors */

static void bad_spans_are_named(void **state) {
    (void)state;
    static const struct {
        hw_span spans[3];
        size_t n;
        const char *part;
    } cases[] = {
        {{{"A", 0, 4}, {"B", 3, 6}},
         2,
         "spans[1] \"B\" (3 to 6) overlaps spans[0] \"A\" (0 to 4): spans must rise and not overlap"},
        {{{"A", 10, 14}, {"", 3, 6}}, 2, "spans[1] (3 to 6) lies before spans[0] \"A\" (10 to 14)"},
        {{{"A", 0, 4}, {NULL, 20, 29}}, 2, "spans[1] is 20 to 29, but the prompt has 28 bytes"},
        {{{"A", 4, 4}}, 1, "spans[0] \"A\" is 4 to 4: empty"},
        {{{"A", 5, 4}}, 1, "spans[0] \"A\" is 5 to 4: empty"},
        {{{"A\n", 0, 99}}, 1, "spans[0] \"A?\" is 0 to 99"},
        {{{0}}, 0, "no spans given"},
    };
    hw_run *run = passages();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_segments *s = NULL;
        hw_error err = {0};
        hw_err rc = hw_segments_from_spans(&s, run, HW_SIDE_PROMPT, cases[i].spans, cases[i].n, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
        assert_null(s);
    }
    hw__run_release(run);
}

static void bad_json_is_named(void **state) {
    (void)state;
    static const struct {
        const char *json;
        hw_err code;
        const char *part;
    } cases[] = {
        {"[{]", HW_ERR_FORMAT, "no valid JSON: line 1"},
        {"{}", HW_ERR_FORMAT, "spans must be a JSON list"},
        {"[]", HW_ERR_ARGUMENT, "no spans given"},
        {"[{\"begin\": 0, \"end\": 1}, 7]", HW_ERR_FORMAT, "spans[1]: must be an object"},
        {"[{\"begin\": 0}]", HW_ERR_FORMAT, "spans[0]: \"end\" must be there"},
        {"[{\"begin\": 0, \"end\": \"1\"}]", HW_ERR_FORMAT, "spans[0]: \"end\" must be there and be a whole number"},
        {"[{\"begin\": -1, \"end\": 1}]", HW_ERR_FORMAT, "spans[0]: \"begin\" is -1"},
        {"[{\"name\": 3, \"begin\": 0, \"end\": 1}]", HW_ERR_FORMAT, "spans[0]: \"name\""},
        {"[{\"begin\": 0, \"end\": 25}]", HW_ERR_ARGUMENT, "spans[0] is 0 to 25, but the prompt has 24 characters"},
        {"[{\"begin\": 0, \"end\": 5}, {\"begin\": 4, \"end\": 9}]", HW_ERR_ARGUMENT,
         "spans[1] (4 to 9) overlaps spans[0] (0 to 5)"},
    };
    hw_run *run = passages();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_segments *s = NULL;
        hw_error err = {0};
        hw_err rc = hw_segments_from_json(&s, run, HW_SIDE_PROMPT, cases[i].json, strlen(cases[i].json), &err);
        assert_error(&err, rc, cases[i].code, cases[i].part);
        assert_null(s);
    }
    hw__run_release(run);
}

static void bad_segmenters_are_named(void **state) {
    (void)state;
    static const struct {
        const char *by, *part;
    } cases[] = {
        {"words", "segments by \"words\": unknown name, did you mean word?; accepted: token, word, line, sentence, "
                  "paragraph, and "
                  "regular expressions as /RE/"},
        {"", "segments by \"\""},
        {NULL, "NULL: a run and the name of a segmenter"},
        {"/", "segments by \"/\""},
        {"/a", "segments by \"/a\""},
        {"//", "nothing between the slashes"},
        {"/a(b/", "expression /a(b/: mismatched paren at character 3"},
        {"/ab[/", "expression /ab[/: "},
        {"/a{2,1}/", "at character 6"},
        {"/a\n*\n(/", "of line 3"},
        {"/\xFF/", "not UTF-8"},
        {"/(a+)+$/", "too many ways"},
    };
    char text[64];
    memset(text, 'a', sizeof text - 1);
    strcpy(text + 40, "b");
    hw_run *run = run_of(text, HW_SIDE_PROMPT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_segments *s = NULL;
        hw_error err = {0};
        hw_err rc = hw_segments_new(&s, run, HW_SIDE_PROMPT, cases[i].by, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
        assert_null(s);
    }
    hw__run_release(run);
}

static void sides_without_text_are_named(void **state) {
    (void)state;
    hw_run *run = run_of("a", HW_SIDE_PROMPT);
    hw_segments *s = NULL;
    hw_error err = {0};
    assert_error(&err, hw_segments_new(&s, run, HW_SIDE_COMPLETION, "word", &err), HW_ERR_ARGUMENT,
                 "no completion tokens");
    assert_error(&err, hw_segments_new(&s, run, (hw_side)7, "word", &err), HW_ERR_ARGUMENT, "side 7");
    hw_span span = {"A", 0, 1};
    assert_error(&err, hw_segments_from_spans(&s, run, HW_SIDE_COMPLETION, &span, 1, &err), HW_ERR_ARGUMENT,
                 "no completion tokens");
    hw__run_release(run);
    run = run_of("", HW_SIDE_PROMPT); /* one token without bytes */
    for (size_t i = 0; i < hw_segmenter_count(); i++)
        assert_error(&err, hw_segments_new(&s, run, HW_SIDE_PROMPT, hw_segmenter_at(i)->name, &err), HW_ERR_ARGUMENT,
                     "no token with text");
    assert_null(s);
    hw__run_release(run);
    hw_segments_free(NULL);
}

static void table_is_readable(void **state) {
    (void)state;
    static const char *const names[] = {"token", "word", "line", "sentence", "paragraph"};
    assert_int_equal(hw_segmenter_count(), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(hw_segmenter_at(i)->name, names[i]);
        assert_true(strlen(hw_segmenter_at(i)->summary) > 0);
    }
    assert_null(hw_segmenter_at(5));
}

/* ------------------------------------------------------------------ any bytes */

static const char *const scraps[] = {
    " ",
    "  ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    "a",
    "The",
    "word",
    ".",
    ". ",
    "...",
    "!",
    "?",
    ",",
    ";",
    "'",
    "\"",
    "Mr.",
    "3.5",
    "x_y",
    "\xC2\xA0",
    "\xE2\x80\xA9",
    "\xE3\x80\x80",
    "\xE2\x80\x8D",
    "e\xCC\x81",
    "\xCC\x81",
    "\xF0\x9F\x98\x80",
    "\xF0\x9F\x91\xA9",
    "\xEF\xB8\x8F",
    "\xF0\x9F\x87\xA9",
    "\xE6\x88\x91\xE4\xBB\xAC",
    "\xE5\x8C\x97\xE4\xBA\xAC",
    "\xE3\x80\x82",
    "\xE3\x82\xAB",
    "\xE0\xB8\xAA\xE0\xB8\xA7",
    "\xD7\xA9\xD7\x9C",
    "\xD9\x85",
    "\xD8\x9F",
    "\xE2\x80\x8F",
    "\xED\x95\x9C",
    "\xFF",
    "\xC3",
    "\xE3\x81",
    "\xF0\x9F",
    "\x80",
    "\xED\xA0\x80",
    "\xC0\x80",
    "\xF4\x90\x80\x80",
};
enum { N_SCRAPS = sizeof scraps / sizeof *scraps, MAX_TEXT = 400 };

static uint64_t seed;
static size_t below(size_t n) { return (size_t)((seed = mix(seed)) % n); }

/* Text of scraps, or of bytes of all 256 values, NUL too. */
static size_t random_text(char *text) {
    size_t n = 0, scraps_left = below(60);
    bool raw = below(4) == 0;
    while (scraps_left-- > 0 && n + 16 < MAX_TEXT) {
        const char *scrap = scraps[below(N_SCRAPS)];
        if (raw)
            text[n++] = (char)below(256);
        else
            memcpy(text + n, scrap, strlen(scrap)), n += strlen(scrap);
    }
    return n;
}

/* Tokens end at any byte, some stand for no byte, some are special. */
static hw_run *random_run(hw_side side, const char *text, size_t n) {
    hw_run *run = make_run(1, NULL, 0, NULL, 0);
    hw_role own = side == HW_SIDE_PROMPT ? HW_ROLE_PROMPT : HW_ROLE_COMPLETION;
    for (size_t at = 0; at < n || run->n_tokens == 0;) {
        size_t len = below(8), kind = own == HW_ROLE_PROMPT ? below(10) : 9;
        if (len > n - at) len = n - at;
        if (kind == 0) {
            add_token(run, "<s>", 3, HW_ROLE_SPECIAL, at, at);
        } else if (kind == 1) {
            add_token(run, "\xEF", 1, own, at, at);
        } else {
            add_token(run, text + at, len, own, at, at + len);
            at += len;
        }
    }
    if (side == HW_SIDE_PROMPT) hw__run_set_prompt(run, text, n, NULL);
    return run;
}

static bool is_own(const hw_token *t) { return t->role == HW_ROLE_PROMPT || t->role == HW_ROLE_COMPLETION; }

/* Groups are dense and rise; tokens of the text have one that holds a byte of theirs, others have none. */
static void check_groups(const hw_segments *s, const hw_run *run) {
    size_t n;
    const int32_t *groups = hw_segments_groups(s, &n);
    int32_t last = 0, highest = -1;
    for (size_t t = 0; t < n; t++) {
        hw_token token = hw_run_token(run, t);
        assert_int_equal(groups[t] >= 0, is_own(&token));
        if (groups[t] < 0) continue;
        assert_true(groups[t] >= last && groups[t] <= highest + 1);
        last = groups[t];
        if (last > highest) highest = last;
        const hw_span *span = hw_segments_at(s, (size_t)last);
        if (token.begin < token.end) assert_true(span->begin < token.end && token.begin < span->end);
    }
    assert_int_equal((size_t)(highest + 1), hw_segments_count(s));
}

/* Segments tile the text between characters; none is white space only unless all is. */
static void check_tiles(const hw_segments *s, const char *text, size_t n_bytes) {
    hw__utf16 all;
    assert_int_equal(hw__utf16_new(&all, text, n_bytes, NULL), HW_OK);
    size_t at = 0, n = hw_segments_count(s);
    for (size_t i = 0; i < n; i++) {
        const hw_span *span = hw_segments_at(s, i);
        assert_int_equal(span->begin, at);
        assert_true(span->end > span->begin);
        int32_t from = hw__utf16_unit(&all, span->begin), to = hw__utf16_unit(&all, span->end);
        assert_int_equal(all.at[from], span->begin);
        assert_int_equal(all.at[to], span->end);
        if (n > 1) assert_true(hw__utf16_skip_space(&all, from, to) < to);
        at = span->end;
    }
    assert_int_equal(at, n_bytes);
    hw__utf16_clear(&all);
}

static void any_bytes_are_cut_without_loss(void **state) {
    (void)state;
    static const char *const ways[] = {"token", "word", "line", "sentence", "paragraph", "/[.;]\\s*/", "/(?=\\w)/"};
    for (uint64_t round = 0; round < 1500; round++) {
        seed = round;
        char text[MAX_TEXT];
        size_t n = random_text(text);
        hw_side side = below(2) ? HW_SIDE_PROMPT : HW_SIDE_COMPLETION;
        hw_run *run = random_run(side, text, n);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            hw_segments *s = NULL;
            hw_err rc = hw_segments_new(&s, run, side, ways[i], NULL);
            assert_int_equal(rc == HW_OK, n > 0);
            if (rc != HW_OK) continue;
            check_groups(s, run);
            if (i > 0) check_tiles(s, text, n);
            hw_segments_free(s);
        }
        hw__run_release(run);
    }
}

static void units_know_their_bytes(void **state) {
    (void)state;
    hw__utf16 t;
    static const char text[] = "a\xC3\xA9\xF0\x9F\x98\x80\xFF\xE3\x81z";
    assert_int_equal(hw__utf16_new(&t, text, sizeof text - 1, NULL), HW_OK);
    static const UChar units[] = {'a', 0xE9, 0xD83D, 0xDE00, 0xFFFD, 0xFFFD, 'z'};
    static const size_t at[] = {0, 1, 3, 3, 7, 8, 10, 11};
    assert_int_equal(t.n, 7);
    assert_memory_equal(t.units, units, sizeof units);
    assert_memory_equal(t.at, at, sizeof at);
    static const int32_t unit_of[] = {0, 1, 1, 2, 2, 2, 2, 4, 5, 5, 6, 7, 7};
    for (size_t b = 0; b < 13; b++) assert_int_equal(hw__utf16_unit(&t, b), unit_of[b]);
    hw__utf16_clear(&t);
    hw__utf16_clear(&t);
    assert_int_equal(hw__utf16_new(&t, "", 0, NULL), HW_OK);
    assert_int_equal(hw__utf16_unit(&t, 0), 0);
    hw__utf16_clear(&t);
}

/* ------------------------------------------------------------------ columns that are the whole prompt */

static void assert_columns(const hw_partition *p, const int32_t *groups, size_t n_tokens, const char *const *names,
                           size_t n) {
    hw_method_params params = hw_method_params_default();
    hw_partition_columns(p, &params);
    assert_int_equal(hw_partition_count(p), n);
    assert_int_equal(params.n_groups, n);
    assert_memory_equal(params.groups, groups, n_tokens * sizeof *groups);
    for (size_t i = 0; i < n; i++) assert_string_equal(params.group_names[i], names[i]);
}

static void partitions_hold_every_token_once(void **state) {
    (void)state;
    static const hw_span spans[] = {{"A", 0, 3}, {"", 8, 11}};
    static const struct {
        const hw_span *spans; /* NULL: words */
        size_t n_spans, n;
        int32_t groups[4];
        const char *names[3];
    } cases[] = {{NULL, 0, 3, {0, 1, 2, 2}, {"", "", ""}}, /* all are in a word: no more columns */
                 {spans, 2, 3, {0, 2, 1, 1}, {"A", "", "(outside the spans)"}},
                 {spans, 1, 2, {0, 1, 1, 1}, {"A", "(outside the spans)"}}};
    hw_run *run = run_of("The| sky| fe|ll", HW_SIDE_PROMPT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_segments *s = cases[i].spans ? NULL : cut(run, HW_SIDE_PROMPT, "word");
        hw_partition *p;
        hw_err rc = s ? HW_OK : hw_segments_from_spans(&s, run, HW_SIDE_PROMPT, cases[i].spans, cases[i].n_spans, NULL);
        assert_int_equal(rc, HW_OK);
        assert_int_equal(hw_segments_partition(&p, s, NULL), HW_OK);
        hw_segments_free(s); /* nothing of them is kept */
        assert_columns(p, cases[i].groups, 4, cases[i].names, cases[i].n);
        hw_partition_free(p);
    }
    hw_partition_free(NULL);
    hw__run_release(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_carry_the_space_before_them),
        cmocka_unit_test(segments_without_a_token_go_to_the_one_before),
        cmocka_unit_test(sentences_keep_their_white_space),
        cmocka_unit_test(lines_end_as_unicode_says),
        cmocka_unit_test(paragraphs_stand_between_blank_lines),
        cmocka_unit_test(matches_end_segments),
        cmocka_unit_test(tokens_are_their_own_segments),
        cmocka_unit_test(ranges_are_exact_in_every_script),
        cmocka_unit_test(bytes_that_are_no_text_keep_their_place),
        cmocka_unit_test(special_and_template_tokens_belong_to_none),
        cmocka_unit_test(ranges_beyond_the_text_are_no_text),
        cmocka_unit_test(spans_stay_as_they_are_given),
        cmocka_unit_test(json_counts_characters),
        cmocka_unit_test(json_counts_what_is_no_character_as_one),
        cmocka_unit_test(bad_spans_are_named),
        cmocka_unit_test(bad_json_is_named),
        cmocka_unit_test(bad_segmenters_are_named),
        cmocka_unit_test(partitions_hold_every_token_once),
        cmocka_unit_test(sides_without_text_are_named),
        cmocka_unit_test(table_is_readable),
        cmocka_unit_test(any_bytes_are_cut_without_loss),
        cmocka_unit_test(units_know_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
