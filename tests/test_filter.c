/* test_filter.c - which tokens each filter hides. */
#include "filter.h"
#include "fixture.h"

#include <string.h>

static const char *const words[] = {
    "The", ",",  " ,", " . ", "\n",   " is", "is",  ":",   "and", " and", "And", "island", ";",     " --",
    " ",   "  ", "\t", "\r\n", "\xC2\xA0", "\xE3\x80\x82", "\xE2\x82\xAC", "$", "1", "\xC2", "", "a.", "\xE2\x80\x94\xC2\xBB", "\n\n",
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
        if (hidden[t] != expected) fail_msg("filter \"%s\": token %d \"%s\" is %s", list, t, words[t], hidden[t] ? "hidden" : "shown");
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
    assert_hides(run, "whitespace,punctuation", (int[]){1, 2, 3, 4, 7, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 26, 27, -1});
    assert_hides(run, "", (int[]){-1});
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

static void unknown_filter_lists_those_there_are(void **state) {
    (void)state;
    static const char *const lists[] = {"nose", "note,nose", "not", "notes", ",", "first,,note", " first"};
    hw_run *run = make_run(1, words, N_WORDS, NULL, 0);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        bool hidden[N_WORDS] = {0};
        hw_error err = {0};
        hw_err rc = hw__filter_tokens(hidden, N_WORDS, run, lists[i], &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, "there are note, first, punctuation, whitespace, special, template");
        assert_int_equal(hw__filter_tokens(hidden, N_WORDS, run, lists[i], NULL), HW_ERR_ARGUMENT);
    }
    hw__run_release(run);
}

static void table_is_readable(void **state) {
    (void)state;
    assert_int_equal(hw_filter_count(), 6);
    for (size_t i = 0; i < hw_filter_count(); i++) {
        bool hidden[1] = {0};
        hw_run *run = make_run(1, words, 1, NULL, 0);
        assert_int_equal(hw__filter_tokens(hidden, 1, run, hw_filter_at(i)->name, NULL), HW_OK);
        assert_true(strlen(hw_filter_at(i)->summary) > 0);
        hw__run_release(run);
    }
    assert_null(hw_filter_at(hw_filter_count()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_hide_what_they_name),
        cmocka_unit_test(hidden_tokens_stay_hidden),
        cmocka_unit_test(unknown_filter_lists_those_there_are),
        cmocka_unit_test(table_is_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
