/* test_method_spec.c - METHOD[:SETTING]...: keys, bare values, filters, and what is refused. */
#include "support/fixture.h"

#include "cli/error_kinds.h"
#include "eval/method_spec.h"

#include <stdio.h>
#include <string.h>

static variants read_list(const char *list) {
    variants v;
    hw_error err;
    assert_int_equal(variants_read(&v, list, &err), HW_OK);
    return v;
}

static void settings_are_each_methods_own(void **state) {
    (void)state;
    variants v = read_list("rollout:residual=0.25,rollout,contribution:norm:own,rollout:residual=measured");
    assert_int_equal(v.n, 4);
    assert_close(v.at[0].params.residual, 0.25, 0);
    assert_close(v.at[1].params.residual, 0.5, 0);
    assert_int_equal(v.at[2].params.measure, HW_MEASURE_NORM);
    assert_int_equal(v.at[2].params.row, HW_ROW_OWN);
    assert_true(v.at[3].params.residual_measured);
    assert_string_equal(v.at[0].label, "rollout:residual=0.25");
    assert_string_equal(v.at[0].method, "rollout");
    variants_free(&v);
}

static void views_are_settings_too(void **state) {
    (void)state;
    variants v = read_list("rollout:last:hide=first+note:lift,rollout:layers=2-3:remove-sink");
    assert_string_equal(v.at[0].layers, "last");
    assert_string_equal(v.at[0].hide, "first,note");
    assert_true(v.at[0].lift);
    assert_string_equal(v.at[1].layers, "2-3");
    assert_true(v.at[1].params.remove_sink);
    assert_true(!v.at[1].lift && !v.at[1].hide);
    variants_free(&v);
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "rolout",
                                      "rollout,",
                                      "rollout:",
                                      "rollout:residual=2",
                                      "rollout:residual=",
                                      "rollout:residul=0.5",
                                      "rollout:0.5",
                                      "logit:residual=0.5", /* has no effect there */
                                      "logit:lift",         /* nats are not shares */
                                      "rollout:hide=nonsense",
                                      "rollout:layers=x",
                                      "rollout,rollout"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        variants v;
        hw_error err;
        if ((int)variants_read(&v, bad[i], &err) != ERR_USAGE) fail_msg("\"%s\" was taken", bad[i]);
        variants_free(&v);
    }
}

static void lists_have_an_end(void **state) {
    (void)state;
    char list[64 * (MAX_VARIANTS + 1)] = "";
    for (int i = 0; i <= MAX_VARIANTS; i++) {
        char one[64];
        snprintf(one, sizeof one, "%srollout:residual=0.%03d", i ? "," : "", i + 1);
        strcat(list, one);
    }
    variants v;
    hw_error err;
    assert_int_equal(variants_read(&v, list, &err), ERR_USAGE);
    variants_free(&v);
    *strrchr(list, ',') = 0;
    v = read_list(list);
    assert_int_equal(v.n, MAX_VARIANTS);
    variants_free(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_each_methods_own),
        cmocka_unit_test(views_are_settings_too),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(lists_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
