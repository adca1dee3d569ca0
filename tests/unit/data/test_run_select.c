/* test_run_select.c - completion tokens named by index, range or text. */
#include "base/utf8.h"
#include "support/fixture.h"

#include <string.h>

static const char *const prompt[] = {"I", " am", " from"};
static const char *const completion[] = {" Russian", ",",  " I", " am", "  Russia", " a", "7",
                                         " 2020",    "\n", "=",  "12",  "(",        "x"};
enum { N_PROMPT = 3, N = sizeof completion / sizeof *completion };

static hw_run *the_run(void) { return make_run(1, prompt, N_PROMPT, completion, N); }

static void tokens_are_named_by_index_range_and_text(void **state) {
    (void)state;
    static const struct {
        const char *select;
        size_t begin, end;
    } cases[] = {
        {"0", 0, 1},        {"12", 12, 13},     {"-1", 12, 13},        {"-13", 0, 1},     {"2:5", 2, 5},
        {":2", 0, 2},       {"11:", 11, 13},    {"-2:", 11, 13},       {":-11", 0, 2},    {"-3:-1", 10, 12},
        {"0:13", 0, 13},    {"1:-1", 1, 12},    {"Russia", 4, 5},      {" Russia", 0, 1}, {"  Russia", 4, 5},
        {" Russian", 0, 1}, {"Russian", 0, 1},  {"ussian", 0, 1},      {"am", 3, 4},      {" am", 3, 4},
        {"I am", 2, 4},     {"n, I", 0, 3},     {", I am  Rus", 1, 5}, {"=7", 6, 7},      {"=2020", 7, 8},
        {"=12", 10, 11},    {"7 2020\n", 6, 9}, {"=", 9, 10},          {"==", 9, 10},     {"==12", 9, 11},
        {"\n", 8, 9},       {"(", 11, 12},      {"(x", 11, 13},        {"=0", 7, 8},      {"a", 5, 6},
        {"ia a", 4, 6},     {"=a", 5, 6},       {"I", 2, 3},           {"s", 0, 1},
    };
    hw_run *run = the_run();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t begin = 77, end = 77;
        hw_error err = {0};
        if (hw_run_select(&begin, &end, run, cases[i].select, &err) != HW_OK)
            fail_msg("\"%s\": %s", cases[i].select, err.msg);
        if (begin != cases[i].begin || end != cases[i].end) fail_msg("\"%s\": %zu..%zu", cases[i].select, begin, end);
    }
    hw__run_release(run);
}

static void what_selects_nothing_lists_the_tokens(void **state) {
    (void)state;
    static const struct {
        const char *select, *part;
    } cases[] = {
        {"", "token \"\" selects nothing"},
        {"13", "token \"13\" selects nothing"},
        {"-14", "token \"-14\" selects nothing"},
        {"3:3", "token \"3:3\" selects nothing"},
        {"5:2", "selects nothing"},
        {"0:14", "selects nothing"},
        {"2020", "selects nothing"},
        {"99999999999999999999", "is not in the completion"},
        {"Rome", "token \"Rome\" is not in the completion"},
        {":", "is not in the completion"},
        {"-", "is not in the completion"},
        {"from", "is not in the completion"}, /* the prompt's */
        {"x(", "is not in the completion"},
        {"=nowhere", "\"=nowhere\" is not in the completion"},
        {"1:x", "is not in the completion"},
    };
    hw_run *run = the_run();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t begin = 77, end = 77;
        hw_error err = {0};
        hw_err rc = hw_run_select(&begin, &end, run, cases[i].select, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
        assert_error(&err, rc, HW_ERR_ARGUMENT, "tokens are 0:\" Russian\", 1:\",\", 2:\" I\"");
        assert_error(&err, rc, HW_ERR_ARGUMENT, "8:\"\\n\"");
        assert_error(&err, rc, HW_ERR_ARGUMENT, "12:\"x\"");
        assert_true(begin == 77 && end == 77);
        assert_int_equal(hw_run_select(&begin, &end, run, cases[i].select, NULL), HW_ERR_ARGUMENT);
    }
    size_t begin, end;
    assert_int_equal(hw_run_select(&begin, &end, run, NULL, NULL), HW_ERR_ARGUMENT);
    hw__run_release(run);
}

static void without_a_completion_every_token_can_be_named(void **state) {
    (void)state;
    hw_run *run = make_run(1, prompt, N_PROMPT, NULL, 0);
    size_t begin, end;
    hw_error err = {0};
    assert_int_equal(hw_run_select(&begin, &end, run, "am", &err), HW_OK);
    assert_true(begin == 1 && end == 2);
    assert_int_equal(hw_run_select(&begin, &end, run, "-1", &err), HW_OK);
    assert_true(begin == 2 && end == 3);
    hw_err rc = hw_run_select(&begin, &end, run, "3", &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "0:\"I\", 1:\" am\", 2:\" from\"");
    hw__run_release(run);
}

static void characters_split_over_tokens_are_found(void **state) {
    (void)state;
    static const char *const split[] = {" x", "\xE2", "\x82", "\xAC", "\xC3\xA9t\xC3", "\xA9"};
    hw_run *run = make_run(1, prompt, N_PROMPT, split, 6);
    size_t begin, end;
    hw_error err = {0};
    assert_int_equal(hw_run_select(&begin, &end, run, "\xE2\x82\xAC", &err), HW_OK);
    assert_true(begin == 1 && end == 4);
    assert_int_equal(hw_run_select(&begin, &end, run, "t\xC3\xA9", &err), HW_OK);
    assert_true(begin == 4 && end == 6);
    hw_err rc = hw_run_select(&begin, &end, run, "\xE2\x82\xAD\xFF", &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "is not in the completion");
    assert_true(hw__utf8_valid(err.msg, strlen(err.msg)));
    hw__run_release(run);
}

static void long_lists_are_cut_between_characters(void **state) {
    (void)state;
    const char *many[200];
    char asked[400];
    for (size_t i = 0; i < 200; i++)
        many[i] =
            i % 2 ? " \xE6\x9D\xB1\xE4\xBA\xAC\xE6\x9D\xB1\xE4\xBA\xAC\xE6\x9D\xB1\xE4\xBA\xAC\xE6\x9D\xB1\xE4\xBA\xAC"
                  : "\x82";
    for (size_t i = 0; i + 3 < sizeof asked; i += 3) memcpy(asked + i, "\xE2\x82\xAC", 4);
    hw_run *run = make_run(1, prompt, N_PROMPT, many, 200);
    size_t begin, end;
    hw_error err = {0};
    hw_err rc = hw_run_select(&begin, &end, run, asked, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, ", ...");
    assert_true(hw__utf8_valid(err.msg, strlen(err.msg)));
    assert_string_equal(err.msg + strlen(err.msg) - 5, ", ...");
    assert_null(strchr(err.msg, '\n'));
    hw__run_release(run);
}

static void empty_tokens_are_passed_over(void **state) {
    (void)state;
    static const char *const gaps[] = {"", "ab", "", "cd", ""};
    hw_run *run = make_run(1, prompt, N_PROMPT, gaps, 5);
    size_t begin, end;
    assert_int_equal(hw_run_select(&begin, &end, run, "bc", NULL), HW_OK);
    assert_true(begin == 1 && end == 4);
    assert_int_equal(hw_run_select(&begin, &end, run, "cd", NULL), HW_OK);
    assert_true(begin == 3 && end == 4);
    hw__run_release(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_named_by_index_range_and_text),
        cmocka_unit_test(what_selects_nothing_lists_the_tokens),
        cmocka_unit_test(without_a_completion_every_token_can_be_named),
        cmocka_unit_test(characters_split_over_tokens_are_found),
        cmocka_unit_test(long_lists_are_cut_between_characters),
        cmocka_unit_test(empty_tokens_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
