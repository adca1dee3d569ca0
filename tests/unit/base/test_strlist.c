/* test_strlist.c - lists of names in messages, and the name that was meant. */
#include "support/fixture.h"

#include "base/strlist.h"

#include <string.h>

static const char *const methods[] = {"rollout", "contribution", "logit", "flow"};
static const char *const gaps[] = {NULL, "a", NULL, "b", "c", NULL};

static void names_are_joined_and_gaps_are_not_shown(void **state) {
    (void)state;
    char out[64];
    assert_string_equal(hw__join_names(out, sizeof out, hw__names_of(methods, 4)),
                        "rollout, contribution, logit, flow");
    assert_string_equal(hw__join_names_by(out, sizeof out, hw__names_of(gaps, 6), ", ", " and "), "a, b and c");
    assert_string_equal(hw__join_names(out, sizeof out, hw__names_of(gaps, 1)), "");
    assert_string_equal(hw__join_names(out, sizeof out, hw__names_of(gaps, 0)), "");
}

static void what_is_too_long_is_cut_inside_the_buffer(void **state) {
    (void)state;
    for (size_t capacity = 1; capacity < 40; capacity++) {
        char out[48];
        memset(out, '#', sizeof out);
        hw__join_names(out, capacity, hw__names_of(methods, 4));
        assert_true(strlen(out) < capacity);
        assert_int_equal(out[capacity], '#');
    }
}

static void the_nearest_name_is_a_few_edits_away(void **state) {
    (void)state;
    hw__names names = hw__names_of(methods, 4);
    assert_string_equal(hw__nearest_name("rolout", names), "rollout");
    assert_string_equal(hw__nearest_name("contributoin", names), "contribution");
    assert_null(hw__nearest_name("attention", names));
    assert_null(hw__nearest_name("", names));
    assert_null(hw__nearest_name("rollout", hw__names_of(gaps, 0)));
}

static void an_unknown_name_is_answered_with_the_list(void **state) {
    (void)state;
    char out[128];
    hw__names names = hw__names_of(methods, 4);
    assert_string_equal(hw__unknown_name(out, sizeof out, "rolout", names),
                        "unknown name, did you mean rollout?; accepted: rollout, contribution, logit, flow");
    assert_string_equal(hw__unknown_name(out, sizeof out, "attention", names),
                        "unknown name; accepted: rollout, contribution, logit, flow");
    assert_string_equal(hw__unknown_name(out, sizeof out, NULL, names),
                        "unknown name; accepted: rollout, contribution, logit, flow");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_joined_and_gaps_are_not_shown),
        cmocka_unit_test(what_is_too_long_is_cut_inside_the_buffer),
        cmocka_unit_test(the_nearest_name_is_a_few_edits_away),
        cmocka_unit_test(an_unknown_name_is_answered_with_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
