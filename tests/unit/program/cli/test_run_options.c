/*
 * test_run_options.c - an option of runs stands in one place: the row `made_up`, which only this test's table has
 * (HW_MADE_UP_OPTION in src/data/run_options.c), is an option, a field of requests and of result files, and on every
 * list.
 */
#include "support/files.h"
#include "support/fixture.h"
#include "support/sample.h"
#include "unit/program/cli/made_up.h"

#include "export/method_tables.h"
#include "formats/run_json.h"
#include "serve/protocol/request.h"

#include <stdlib.h>
#include <string.h>

static double made_up(const hw_run_params *p) { return hw_setting_value(p, hw_run_option_find("made_up")); }

static void it_is_an_option(void **state) {
    (void)state;
    char value[] = "0.25", too_large[] = "8";
    options o;
    assert_true(read_made_up(&o, value));
    assert_close(made_up(&o.run), 0.25, 0);
    options_free(&o);
    assert_false(read_made_up(&o, too_large));
    options_free(&o);
}

static void help_lists_it(void **state) {
    (void)state;
    assert_help_has("--made-up 0..7", "an option that only a test has [0]");
}

static bool read_request(explain_request *out, const char *body, hw_error *err) {
    json_t *json = request_parse(body, strlen(body), err);
    assert_non_null(json);
    bool ok = request_explain(out, json, err);
    json_decref(json);
    return ok;
}

static void it_is_a_field_of_requests(void **state) {
    (void)state;
    explain_request r;
    hw_error err = {.code = HW_OK};
    assert_true(read_request(&r, "{\"prompt\":\"a\",\"options\":{\"made_up\":0.25}}", &err));
    assert_close(made_up(&r.run), 0.25, 0);
    assert_false(read_request(&r, "{\"prompt\":\"a\",\"options\":{\"made_up\":8}}", &err));
    assert_string_equal(err.msg, "\"made_up\" is 8: must be a number from 0 to 7");
    assert_false(read_request(&r, "{\"prompt\":\"a\",\"options\":{\"made_down\":0}}", &err));
    assert_non_null(strstr(err.msg, "\"made_up\""));
}

static void files_hold_it(void **state) {
    (void)state;
    static const char *const words[] = {" a", " b"}, *const done[] = {"."};
    hw_run *run = make_run(1, words, 2, done, 1), *read;
    json_t *json;
    hw_error err;
    assert_int_equal(hw_setting_set(&run->options.run, hw_run_option_find("made_up"), 0.25, &err), HW_OK);
    assert_int_equal(hw__run_to_json(&json, run, &err), HW_OK);
    assert_close(json_real_value(json_object_get(json_object_get(json, "options"), "made_up")), 0.25, 0);
    if (hw__run_from_json(&read, json, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_close(made_up(&read->options.run), 0.25, 0);
    json_decref(json);
    hw_run_free(read);
    hw_run_free(run);
}

static void pages_learn_of_it(void **state) {
    (void)state;
    json_t *tables = tables_json(NULL), *one, *found = NULL;
    size_t i;
    json_array_foreach(json_object_get(tables, "options"), i, one) {
        if (strcmp(json_string_value(json_object_get(one, "name")), "made_up") == 0) found = one;
    }
    assert_non_null(found);
    assert_string_equal(json_string_value(json_object_get(found, "label")), "Made up");
    assert_string_equal(json_string_value(json_object_get(found, "type")), "number");
    assert_int_equal(json_number_value(json_object_get(found, "max")), 7);
    json_decref(tables);
}

/* A value that is accepted and not the default. */
static double other_value(const hw_setting_info *s) {
    return s->type == HW_SETTING_WHOLE ? s->min + 3 : s->type == HW_SETTING_NUMBER ? 0.125 : 1;
}

/* Every row of the table, by itself: defaults are accepted, and text reads back. */
static void every_option_reads_what_it_writes(void **state) {
    (void)state;
    for (size_t i = 0; i < hw_run_option_count(); i++) {
        const hw_setting_info *s = hw_run_option_at(i);
        hw_run_params p = hw_run_params_default(), q = p;
        char text[64];
        hw_error err;
        assert_ptr_equal(hw_run_option_find(s->name), s);
        assert_close(hw_setting_value(&p, s), s->default_value, 0);
        if (s->type == HW_SETTING_TEXT) {
            assert_int_equal(hw_setting_read(&p, s, " Berlin", &err), HW_OK);
            assert_int_equal(hw_setting_set(&p, s, 1, &err), HW_ERR_ARGUMENT);
        } else if (hw_setting_set(&p, s, other_value(s), &err) != HW_OK) {
            fail_msg("%s: %s", s->name, err.msg);
        }
        hw_setting_text(text, sizeof text, &p, s);
        if (hw_setting_read(&q, s, text, &err) != HW_OK) fail_msg("%s: %s", s->name, err.msg);
        assert_close(hw_setting_value(&q, s), hw_setting_value(&p, s), 0);
        assert_int_equal(hw_setting_read(&q, s, "", &err), HW_ERR_ARGUMENT);
        assert_int_equal(hw_setting_set(&q, s, -1, &err), s->type == HW_SETTING_FLAG ? HW_OK : HW_ERR_ARGUMENT);
    }
    assert_null(hw_run_option_at(hw_run_option_count()));
    assert_null(hw_run_option_find("none"));
}

static void text_has_a_length(void **state) {
    (void)state;
    hw_run_params p = hw_run_params_default();
    const hw_setting_info *s = hw_run_option_find("against");
    char accepts[100], text[202] = "";
    hw_error err;
    assert_string_equal(hw_setting_accepts(accepts, sizeof accepts, s), "text of 1 to 200 bytes without NUL");
    memset(text, 'a', 200);
    assert_int_equal(hw_setting_read(&p, s, text, &err), HW_OK);
    assert_ptr_equal(p.against, text);
    text[200] = 'a';
    assert_int_equal(hw_setting_read(&p, s, text, &err), HW_ERR_ARGUMENT);
}

/* What a command has as its own default is on its help and is what happens. */
static void commands_have_defaults_of_their_own(void **state) {
    (void)state;
    static const struct {
        const char *name;
        unsigned bit;
        size_t n;
    } wanted[] = {{"explain", IN_EXPLAIN, 32}, {"cite", IN_CITE, 128}, {"eval", IN_EVAL, 3}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s", wanted[i].name);
        char *argv[] = {name, NULL};
        options o;
        hw_error err;
        assert_int_equal(options_read(&o, name, wanted[i].bit, 1, argv, &err), HW_OK);
        assert_int_equal(o.run.n_generate, wanted[i].n);
        options_free(&o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_an_option),           cmocka_unit_test(help_lists_it),
        cmocka_unit_test(it_is_a_field_of_requests), cmocka_unit_test(files_hold_it),
        cmocka_unit_test(pages_learn_of_it),         cmocka_unit_test(every_option_reads_what_it_writes),
        cmocka_unit_test(text_has_a_length),         cmocka_unit_test(commands_have_defaults_of_their_own),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
