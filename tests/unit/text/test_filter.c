/* test_filter.c - which tokens each filter hides. */
#include "support/fixture.h"
#include "text/filter.h"

#include <string.h>

static const char *const words[] = {
    "The",
    ",",
    " ,",
    " . ",
    "\n",
    " is",
    "is",
    ":",
    "and",
    " and",
    "And",
    "island",
    ";",
    " --",
    " ",
    "  ",
    "\t",
    "\r\n",
    "\xC2\xA0",
    "\xE3\x80\x82",
    "\xE2\x82\xAC",
    "$",
    "1",
    "\xC2",
    "",
    "a.",
    "\xE2\x80\x94\xC2\xBB",
    "\n\n",
};
enum { N_WORDS = sizeof words / sizeof *words };

/* The words that `list` hides must be exactly `want` (indices, up to -1). */
static void assert_hides(hw_run *run, const char *list, const int *want) {
    bool hidden[N_WORDS] = {0};
    hw_error err = {0};
    if (hw__filter_tokens(hidden, N_WORDS, run, list, &err) != HW_OK) fail_msg("%s", err.msg);
    for (int t = 0; t < N_WORDS; t++) {
        bool expected = *want == t;
        want += expected;
        if (hidden[t] == expected) continue;
        fail_msg("filter \"%s\": token %d \"%s\" is %s", list, t, words[t], hidden[t] ? "hidden" : "shown");
    }
}

static void filters_hide_what_they_name(void **state) {
    (void)state;
    hw_run *run = make_run(1, words, N_WORDS, NULL, 0);
    run->tokens[9].role = HW_ROLE_SPECIAL;
    run->tokens[0].role = run->tokens[2].role = HW_ROLE_TEMPLATE;
    assert_hides(run, "note", (int[]){1, 2, 3, 4, 5, 6, 7, 8, 9, -1});
    assert_hides(run, "first", (int[]){0, -1});
    assert_hides(run, "punctuation", (int[]){1, 2, 3, 7, 12, 13, 19, 20, 21, 26, -1});
    assert_hides(run, "whitespace", (int[]){4, 14, 15, 16, 17, 18, 27, -1});
    assert_hides(run, "special", (int[]){9, -1});
    assert_hides(run, "template", (int[]){0, 2, -1});
    assert_hides(run, "first,special", (int[]){0, 9, -1});
    assert_hides(run, "whitespace,punctuation",
                 (int[]){1, 2, 3, 4, 7, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 26, 27, -1});
    assert_hides(run, "", (int[]){-1});
    assert_hides(run, "system,user,assistant", (int[]){-1}); /* no chat */
    assert_hides(run, NULL, (int[]){-1});
    hw__run_release(run);
}

static void hidden_tokens_stay_hidden(void **state) {
    (void)state;
    hw_run *run = make_run(1, words, N_WORDS, NULL, 0);
    bool hidden[N_WORDS] = {0};
    hidden[11] = true;
    assert_int_equal(hw__filter_tokens(hidden, 1, run, "first", NULL), HW_OK); /* one token only */
    assert_true(hidden[0] && hidden[11] && !hidden[1]);
    hw__run_release(run);
}

/* The first six tokens are a conversation, one byte each. */
static void messages_are_hidden_by_their_role(void **state) {
    (void)state;
    hw_run *run = make_run(1, words, N_WORDS, NULL, 0);
    static const hw_span messages[] = {{"system", 0, 1}, {"user", 1, 3}, {"assistant", 3, 4}, {"user", 4, 5}};
    assert_int_equal(hw__run_set_prompt(run, "abcdef", 6, NULL), HW_OK);
    assert_int_equal(hw__run_set_messages(run, messages, 4, NULL), HW_OK);
    for (size_t t = 0; t < N_WORDS; t++) {
        run->tokens[t].begin = t < 6 ? t : 6;
        run->tokens[t].end = t < 6 ? t + 1 : 6;
    }
    run->tokens[2].role = HW_ROLE_TEMPLATE;
    assert_hides(run, "system", (int[]){0, -1});
    assert_hides(run, "user", (int[]){1, 4, -1});
    assert_hides(run, "assistant,system", (int[]){0, 3, -1});
    hw__run_release(run);
}

static void unknown_filter_lists_those_there_are(void **state) {
    (void)state;
    static const char *const lists[] = {"nose", "note,nose", "not", "notes", ",", "first,,note", " first"};
    hw_run *run = make_run(1, words, N_WORDS, NULL, 0);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        bool hidden[N_WORDS] = {0};
        hw_error err = {0};
        hw_err rc = hw__filter_tokens(hidden, N_WORDS, run, lists[i], &err);
        assert_error(
            &err, rc, HW_ERR_ARGUMENT,
            "accepted: note, first, punctuation, whitespace, special, template, system, user, assistant, thinking, "
            "stopwords, and \"TEXT\" and /REGEX/");
        assert_int_equal(hw__filter_tokens(hidden, N_WORDS, run, lists[i], NULL), HW_ERR_ARGUMENT);
    }
    hw__run_release(run);
}

static void text_in_quotes_names_tokens_that_read_so(void **state) {
    (void)state;
    hw_run *run = make_run(1, words, N_WORDS, NULL, 0);
    assert_hides(run, "\"is\"", (int[]){5, 6, -1}); /* spaces before it are passed over */
    assert_hides(run, "\" is\"", (int[]){5, -1});   /* unless they are asked for */
    assert_hides(run, "\"And\"", (int[]){10, -1});
    assert_hides(run, "\"an\"", (int[]){-1});
    assert_hides(run, "\",\"", (int[]){1, 2, -1}); /* a comma in quotes separates nothing */
    assert_hides(run, "\"a.\",\"--\",first", (int[]){0, 13, 25, -1});
    assert_hides(run, "\"\\n\",\"\\t\"", (int[]){4, 16, -1});
    assert_hides(run, "\" \"", (int[]){14, -1});
    assert_hides(run, "\"\xC2\"", (int[]){23, -1}); /* half a character */
    assert_hides(run, "\"\xE2\x82\xAC\",", (int[]){20, -1});
    hw__run_release(run);
    static const char *const quoted[] = {"say", " \"", "\\", "\"q\""};
    run = make_run(1, quoted, 4, NULL, 0);
    bool hidden[4] = {false};
    assert_int_equal(hw__filter_tokens(hidden, 4, run, "\"\\\"\",\"\\\\\"", NULL), HW_OK); /* "\"","\\" */
    assert_true(!hidden[0] && hidden[1] && hidden[2] && !hidden[3]);
    hw__run_release(run);
}

static void regular_expressions_search_the_token(void **state) {
    (void)state;
    hw_run *run = make_run(1, words, N_WORDS, NULL, 0);
    assert_hides(run, "/^ ?is$/", (int[]){5, 6, -1});
    assert_hides(run, "/is/", (int[]){5, 6, 11, -1});
    assert_hides(run, "/(?i)^and/,/^.{1,1}[.]$/", (int[]){8, 10, 25, -1}); /* its comma separates nothing */
    assert_hides(run, "/^\\s+$/", (int[]){4, 14, 15, 16, 17, 18, 27, -1});
    assert_hides(run, "/\\p{Sc}/", (int[]){20, 21, -1});
    assert_hides(run, "/\xEF\xBF\xBD/", (int[]){23, -1}); /* half a character reads as U+FFFD */
    assert_hides(run, "/\\A\\z/", (int[]){24, -1});
    hw__run_release(run);
    static const char *const slashes[] = {"a/b", "a,b"};
    run = make_run(1, slashes, 2, NULL, 0);
    bool hidden[2] = {false};
    assert_int_equal(hw__filter_tokens(hidden, 2, run, "/\\//", NULL), HW_OK);
    assert_true(hidden[0] && !hidden[1]);
    hw__run_release(run);
}

static void lists_that_cannot_be_read_are_named(void **state) {
    (void)state;
    static const struct {
        const char *list, *part;
    } cases[] = {
        {"\"the", "filters, at \"the: the quote is not closed"},
        {"first,\"a\\\"", "filters, at \"a\\\": the quote is not closed"},
        {"/a\\/", "filters, at /a\\/: the regular expression has no slash at its end"},
        {"\"a\"b", "filters, at b: a comma or the end must follow"},
        {"/a/i,first", "filters, at i,first: a comma or the end must follow"},
        {"\"\"", "nothing between the quotes"},
        {"\"\\q\"", "a backslash in a quoted filter: \\\" \\\\ \\n and \\t are accepted"},
        {"//", "nothing between the slashes"},
        {"first,/a(/", "expression /a(/: mismatched paren at character 2"},
        {"first:1", "filter \"first\": nothing may follow"},
        {"the", "filter \"the\": unknown name"},
        {"stop:de", "filter \"stop:de\": unknown name"},
        {"/(a+)+$/", "too many ways"},
    };
    static const char *const word[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"};
    hw_run *run = make_run(1, word, 1, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool hidden[1] = {false};
        hw_error err = {0};
        hw_err rc = hw__filter_tokens(hidden, 1, run, cases[i].list, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
        if (i + 1 == sizeof cases / sizeof *cases) continue; /* shows only on a token */
        rc = hw__filter_tokens(NULL, 0, NULL, cases[i].list, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
    }
    hw__run_release(run);
}

static void kept_tokens_are_never_hidden(void **state) {
    (void)state;
    static const char *const prompt[] = {"The", " sky", ",", " is", "."}, *const answer[] = {" blue"};
    static const float values[5] = {1, 2, 4, 8, 16};
    static const struct {
        const char *hide, *keep;
        bool hidden[5];
    } cases[] = {
        {"stopwords,punctuation", NULL, {true, false, true, true, true}},
        {"stopwords,punctuation", "\",\",/^is$/,first", {false, false, false, true, true}},
        {"stopwords,punctuation", "stopwords", {false, false, true, false, true}},
        {"/./", "note", {true, true, false, false, false}},
        {"", "first", {false, false, false, false, false}},
        {"first", "", {true, false, false, false, false}},
    };
    hw_attribution *a = make_attribution(make_run(1, prompt, 5, answer, 1), NULL, 1, values, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_view *v = NULL;
        double mass = 0;
        assert_int_equal(
            hw_view_new(&v, a,
                        &(hw_view_params){.size = sizeof(hw_view_params), .hide = cases[i].hide, .keep = cases[i].keep},
                        NULL),
            HW_OK);
        for (size_t k = 0; k < 5; k++) {
            if (hw_view_is_hidden(v, k) != cases[i].hidden[k]) fail_msg("case %zu, token %zu", i, k);
            if (cases[i].hidden[k]) mass += (double)values[k];
        }
        assert_close(hw_view_hidden_mass(v), mass, 0);
        hw_view_free(v);
    }
    hw_error err = {0};
    hw_view *v = NULL;
    assert_error(&err, hw_view_new(&v, a, &(hw_view_params){.size = sizeof(hw_view_params), .keep = "nose"}, &err),
                 HW_ERR_ARGUMENT, "filter \"nose\"");
    hw_attribution_free(a);
}

static void table_is_readable(void **state) {
    (void)state;
    static const char *const names[] = {"note",     "first",  "punctuation", "whitespace", "special",
                                        "template", "system", "user",        "assistant",  "thinking"};
    hw_run *run = make_run(1, words, 1, NULL, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool hidden[1] = {0};
        assert_string_equal(hw_filter_at(i)->name, names[i]);
        assert_int_equal(hw__filter_tokens(hidden, 1, run, names[i], NULL), HW_OK);
    }
    hw__run_release(run);
    for (size_t i = 0; i < hw_filter_count(); i++) {
        assert_true(*hw_filter_at(i)->name && *hw_filter_at(i)->summary);
        assert_int_equal(hw_filter_check(hw_filter_at(i)->name, NULL), HW_OK); /* without a run */
    }
    assert_null(hw_filter_at(hw_filter_count()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_hide_what_they_name),
        cmocka_unit_test(hidden_tokens_stay_hidden),
        cmocka_unit_test(messages_are_hidden_by_their_role),
        cmocka_unit_test(unknown_filter_lists_those_there_are),
        cmocka_unit_test(text_in_quotes_names_tokens_that_read_so),
        cmocka_unit_test(regular_expressions_search_the_token),
        cmocka_unit_test(lists_that_cannot_be_read_are_named),
        cmocka_unit_test(kept_tokens_are_never_hidden),
        cmocka_unit_test(table_is_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
