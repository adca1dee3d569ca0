/*
 * test_token_text.c - characters that are cut over tokens are shown where they begin.
 */
#include "support/fixture.h"

#include <string.h>

static void assert_text(const hw_run *run, size_t i, const char *expected) {
    char text[64];
    size_t n = hw_run_token_text(text, sizeof text, run, i);
    if (strcmp(text, expected) != 0 || n != strlen(expected))
        fail_msg("token %zu is shown as \"%s\" (%zu bytes), expected \"%s\"", i, text, n, expected);
}

static void characters_are_whole_where_they_begin(void **state) {
    (void)state;
    static const char *const prompt[] = {"a",    " \xF0", "\x9F",     "\x98\x80", "b\xC3",        "\xA9",
                                         "\xC3", "x",     "\x80\xFF", "\xE2\x82", "\xAC\xE6\x97", "\xA5 c"};
    static const char *const completion[] = {"\xE2\x80", "y"};
    hw_run *run = make_run(1, prompt, 12, completion, 2);
    static const char *const shown[] = {"a",
                                        " \xF0\x9F\x98\x80",
                                        "\xCB\x99",
                                        "\xCB\x99",
                                        "b\xC3\xA9",
                                        "\xCB\x99",
                                        "\xE2\x80\xB9"
                                        "C3\xE2\x80\xBA",
                                        "x",
                                        "\xE2\x80\xB9"
                                        "80\xE2\x80\xBA\xE2\x80\xB9"
                                        "FF\xE2\x80\xBA",
                                        "\xE2\x82\xAC",
                                        "\xE6\x97\xA5",
                                        " c"};
    for (size_t i = 0; i < 12; i++) assert_text(run, i, shown[i]);
    assert_text(run, 12,
                "\xE2\x80\xB9"
                "E2\xE2\x80\xBA\xE2\x80\xB9"
                "80\xE2\x80\xBA"); /* never whole */
    assert_text(run, 13, "y");
    hw__run_release(run);
}

/* A completion's first bytes do not complete the prompt's last. */
static void prompt_and_completion_share_no_character(void **state) {
    (void)state;
    static const char *const prompt[] = {"\xC3"}, *const completion[] = {"\xA9"};
    hw_run *run = make_run(1, prompt, 1, completion, 1);
    assert_text(run, 0,
                "\xE2\x80\xB9"
                "C3\xE2\x80\xBA");
    assert_text(run, 1,
                "\xE2\x80\xB9"
                "A9\xE2\x80\xBA");
    hw__run_release(run);
}

static void assert_group(const hw_run *run, const int32_t *groups, size_t n, int32_t group, const char *expected) {
    char text[64];
    size_t n_text = hw_run_group_text(text, sizeof text, run, groups, n, group);
    if (strcmp(text, expected) != 0 || n_text != strlen(expected))
        fail_msg("group %d is shown as \"%s\" (%zu bytes), expected \"%s\"", (int)group, text, n_text, expected);
    assert_int_equal(hw_run_group_text(NULL, 0, run, groups, n, group), n_text);
}

/* A group that ends within a character has the whole of it, the next one a dot; bytes of no character are written
 * out. */
static void groups_have_each_character_once(void **state) {
    (void)state;
    static const char *const prompt[] = {"a", " \xF0", "\x9F", "\x98\x80", "b\xC3", "\xA9", "\xFF", "c"};
    static const int32_t groups[] = {0, 0, 0, 1, 1, 1, 2, 0};
    hw_run *run = make_run(1, prompt, 8, NULL, 0);
    assert_group(run, groups, 8, 0,
                 "a \xF0\x9F\x98\x80"
                 "c");
    assert_group(run, groups, 8, 1,
                 "\xCB\x99"
                 "b\xC3\xA9");
    assert_group(run, groups, 8, 2,
                 "\xE2\x80\xB9"
                 "FF\xE2\x80\xBA");
    assert_group(run, groups, 8, 3, "");
    assert_group(run, groups, 7, 0, "a \xF0\x9F\x98\x80");
    hw__run_release(run);
}

static void what_does_not_fit_is_cut_between_characters(void **state) {
    (void)state;
    static const char *const prompt[] = {"ab\xC3", "\xA9"
                                                   "c"};
    hw_run *run = make_run(1, prompt, 2, NULL, 0);
    char text[4];
    assert_int_equal(hw_run_token_text(text, sizeof text, run, 0), 4);
    assert_string_equal(text, "ab");
    assert_int_equal(hw_run_token_text(NULL, 0, run, 0), 4);
    hw__run_release(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_are_whole_where_they_begin),
        cmocka_unit_test(prompt_and_completion_share_no_character),
        cmocka_unit_test(groups_have_each_character_once),
        cmocka_unit_test(what_does_not_fit_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
