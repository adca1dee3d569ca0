/*
 * test_settings.c - a setting stands in one place: the row `made_up`, which only this test's table has
 * (HW_MADE_UP_SETTING in src/methods/settings.c), is an option, a key of METHOD:KEY=VALUE, a field of requests and of
 * results, and on every list.
 */
#include "support/files.h"
#include "support/fixture.h"
#include "unit/program/cli/made_up.h"

#include "eval/method_spec.h"
#include "export/method_tables.h"
#include "serve/protocol/request.h"
#include "terminal/attribution_view.h"

#include <stdlib.h>
#include <string.h>

static double made_up(const hw_method_params *p) { return hw_setting_value(p, hw_setting_find("made_up")); }

static void it_is_an_option(void **state) {
    (void)state;
    char value[] = "0.25", too_large[] = "1";
    options o;
    assert_true(read_made_up(&o, value));
    assert_close(made_up(&o.settings), 0.25, 0);
    options_free(&o);
    assert_false(read_made_up(&o, too_large));
    options_free(&o);
}

static void help_lists_it(void **state) {
    (void)state;
    assert_help_has("--made-up 0..1", "a setting that only a test has [0]");
}

static void it_is_a_key_of_one_method(void **state) {
    (void)state;
    variants list;
    hw_error err;
    assert_int_equal(variants_read(&list, "rollout:made-up=0.25,logit", &err), HW_OK);
    assert_close(made_up(&list.at[0].params), 0.25, 0);
    assert_close(made_up(&list.at[1].params), 0, 0);
    variants_free(&list);
    assert_int_equal(variants_read(&list, "logit:made-up=0.25", &err), ERR_USAGE); /* it does not apply there */
    variants_free(&list);
}

static bool read_request(choice *out, const char *body, hw_error *err) {
    json_t *json = request_parse(body, strlen(body), err);
    assert_non_null(json);
    bool ok = request_reexplain(out, json, err);
    json_decref(json);
    return ok;
}

static void it_is_a_field_of_requests(void **state) {
    (void)state;
    choice c;
    hw_error err = {.code = HW_OK};
    assert_true(read_request(&c, "{\"methods\":[\"rollout\"],\"settings\":{\"made_up\":0.25}}", &err));
    assert_close(made_up(&c.params), 0.25, 0);
    assert_false(read_request(&c, "{\"methods\":[\"rollout\"],\"settings\":{\"made_up\":1}}", &err));
    assert_string_equal(err.msg, "\"made_up\" is 1: must be a number from 0 to below 1");
    assert_false(read_request(&c, "{\"methods\":[\"rollout\"],\"settings\":{\"made_up\":\"a\"}}", &err));
    assert_false(read_request(&c, "{\"methods\":[\"rollout\"],\"settings\":{\"made_down\":0}}", &err));
    assert_non_null(strstr(err.msg, "\"made_up\""));
}

static hw_attribution *make_result(void) {
    static const char *const words[] = {" a", " b"}, *const done[] = {"."};
    static const float values[] = {0.5f, 0.25f};
    hw_attribution *a = make_attribution(make_run(1, words, 2, done, 1), NULL, 1, values, NULL);
    hw_error err;
    if (hw_setting_set(&a->params, hw_setting_find("made_up"), 0.25, &err) != HW_OK) fail_msg("%s", err.msg);
    return a;
}

static void results_hold_it(void **state) {
    (void)state;
    hw_attribution *a = make_result();
    const hw_attribution *list[] = {a};
    hw_result *read;
    hw_error err;
    char *text;
    assert_int_equal(hw_attribution_json(&text, NULL, a, &err), HW_OK);
    assert_non_null(strstr(text, "\"made_up\":0.25"));
    free(text);
    if (hw_result_save(list, 1, temp_path("made-up.json"), true, &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw_result_open(&read, temp_path("made-up.json"), &err) != HW_OK) fail_msg("%s", err.msg);
    const hw_method_params params = hw_attribution_params(hw_result_at(read, 0));
    assert_close(made_up(&params), 0.25, 0);
    hw_result_free(read);
    temp_clear();
    hw_attribution_free(a);
}

static void headings_name_it(void **state) {
    (void)state;
    hw_attribution *a = make_result();
    static const selection_params everything = {.token = NULL};
    char *text;
    size_t n;
    terminal t = {.out = open_memstream(&text, &n), .depth = DEPTH_NONE, .width = 100};
    picture p;
    hw_error err;
    assert_int_equal(picture_new(&p, &t, a, &everything, &err), HW_OK);
    show_settings(&p);
    fclose(t.out);
    assert_non_null(strstr(text, "made up 0.25, "));
    free(text);
    picture_free(&p);
    hw_attribution_free(a);
}

static void pages_learn_of_it(void **state) {
    (void)state;
    json_t *tables = tables_json(NULL), *one, *found = NULL;
    size_t i;
    json_array_foreach(json_object_get(tables, "settings"), i, one) {
        if (strcmp(json_string_value(json_object_get(one, "name")), "made_up") == 0) found = one;
    }
    assert_non_null(found);
    assert_string_equal(json_string_value(json_object_get(found, "label")), "Made up");
    assert_string_equal(json_string_value(json_object_get(found, "type")), "number");
    assert_true(json_is_true(json_object_get(found, "below_max")));
    json_decref(tables);
}

/* Every row of the table, by itself: defaults are accepted, and text reads back. */
static void every_setting_reads_what_it_writes(void **state) {
    (void)state;
    for (size_t i = 0; i < hw_setting_count(); i++) {
        const hw_setting_info *s = hw_setting_at(i);
        hw_method_params p = hw_method_params_default(), q = p;
        char text[64];
        hw_error err;
        assert_ptr_equal(hw_setting_find(s->name), s);
        assert_close(hw_setting_value(&p, s), s->default_value, 0);
        double other = s->type == HW_SETTING_WHOLE ? s->min + 3 : s->type == HW_SETTING_NUMBER ? 0.125 : 1;
        if (hw_setting_set(&p, s, other, &err) != HW_OK) fail_msg("%s: %s", s->name, err.msg);
        if (hw_setting_read(&q, s, hw_setting_text(text, sizeof text, &p, s), &err) != HW_OK)
            fail_msg("%s: %s", s->name, err.msg);
        assert_close(hw_setting_value(&q, s), other, 0);
        assert_int_equal(hw_setting_read(&q, s, "neither", &err), HW_ERR_ARGUMENT);
        assert_int_equal(hw_setting_read(&q, s, "", &err), HW_ERR_ARGUMENT);
        assert_int_equal(hw_setting_set(&q, s, 1e18, &err), s->type == HW_SETTING_FLAG ? HW_OK : HW_ERR_ARGUMENT);
    }
    assert_null(hw_setting_at(hw_setting_count()));
    assert_null(hw_setting_find("none"));
}

static void an_option_word_sets_its_flag_and_a_number_clears_it(void **state) {
    (void)state;
    hw_method_params p = hw_method_params_default();
    hw_error err;
    assert_int_equal(hw_setting_read_option(&p, "residual", "measured", &err), HW_OK);
    assert_true(p.residual_measured && p.residual == 0.5);
    assert_int_equal(hw_setting_read_option(&p, "residual", "0.25", &err), HW_OK);
    assert_true(!p.residual_measured && p.residual == 0.25);
    assert_error(&err, hw_setting_read_option(&p, "residual", "most", &err), HW_ERR_ARGUMENT,
                 "must be a number from 0 to 1, or measured");
    assert_error(&err, hw_setting_read_option(&p, "none", "1", &err), HW_ERR_ARGUMENT, "unknown setting");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_an_option),
        cmocka_unit_test(help_lists_it),
        cmocka_unit_test(it_is_a_key_of_one_method),
        cmocka_unit_test(it_is_a_field_of_requests),
        cmocka_unit_test(results_hold_it),
        cmocka_unit_test(headings_name_it),
        cmocka_unit_test(pages_learn_of_it),
        cmocka_unit_test(every_setting_reads_what_it_writes),
        cmocka_unit_test(an_option_word_sets_its_flag_and_a_number_clears_it),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
