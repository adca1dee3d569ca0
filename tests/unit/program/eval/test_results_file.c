/* test_results_file.c - results of `eval` in a file: going on with it, what differs, and torn ends. */
#include "support/files.h"
#include "support/fixture.h"

#include "eval/results_file.h"

#include <stdlib.h>
#include <string.h>

static char path[512];
static hw_error err; /* of the last call */

static eval_set make_set(void) {
    static char a[] = "a", b[] = "b";
    static eval_item items[] = {{.id = a, .sha256 = "1", .index = 0}, {.id = b, .sha256 = "2", .index = 1}};
    return (eval_set){.path = "set", .at = items, .n = 2, .places = json_pack("{s:i, s:i}", "a", 0, "b", 1)};
}

static json_t *settings(int seed) { return json_pack("{s:i, s:{s:s}}", "seed", seed, "model", "name", "Toy"); }

static json_t *line(const char *id, int index, const char *error) {
    json_t *json = json_pack("{s:s, s:i, s:s, s:o}", "id", id, "index", index, "item_sha256", index ? "2" : "1",
                             "settings", settings(0));
    if (error) json_object_set_new(json, "error", json_string(error));
    return json;
}

static hw_err open_log(eval_log *log, int seed) {
    eval_set set = make_set();
    json_t *with = settings(seed);
    hw_err rc = eval_log_open(log, path, &set, with, &err);
    json_decref(with);
    json_decref(set.places);
    return rc;
}

static int start(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s", temp_path("results.jsonl"));
    return 0;
}

static int end(void **state) {
    (void)state;
    temp_clear();
    return 0;
}

static void lines_are_there_when_it_is_opened_again(void **state) {
    (void)state;
    eval_log log;
    assert_int_equal(open_log(&log, 0), HW_OK);
    assert_int_equal(eval_log_add(&log, line("a", 0, NULL), &err), HW_OK);
    assert_true(eval_log_has(&log, "a"));
    eval_log_close(&log);
    assert_int_equal(open_log(&log, 0), HW_OK);
    assert_true(eval_log_has(&log, "a"));
    assert_false(eval_log_has(&log, "b"));
    assert_int_equal(json_array_size(log.lines), 1);
    eval_log_close(&log);
}

static void a_failure_is_tried_again_and_replaced(void **state) {
    (void)state;
    eval_log log;
    assert_int_equal(open_log(&log, 0), HW_OK);
    assert_int_equal(eval_log_add(&log, line("a", 0, "it broke"), &err), HW_OK);
    assert_false(eval_log_has(&log, "a"));
    assert_int_equal(eval_log_add(&log, line("a", 0, NULL), &err), HW_OK);
    assert_int_equal(json_array_size(log.lines), 1);
    eval_log_close(&log);
    json_t *lines = json_array();
    assert_int_equal(eval_log_read(lines, path, &err), HW_OK);
    assert_int_equal(json_array_size(lines), 1);
    assert_null(json_object_get(json_array_get(lines, 0), "error"));
    json_decref(lines);
}

static void a_torn_last_line_is_cut_off(void **state) {
    (void)state;
    eval_log log;
    assert_int_equal(open_log(&log, 0), HW_OK);
    assert_int_equal(eval_log_add(&log, line("a", 0, NULL), &err), HW_OK);
    eval_log_close(&log);
    size_t n;
    char *whole = read_bytes(path, &n), *torn = malloc(n + 5);
    assert_non_null(torn);
    memcpy(torn, whole, n);
    memcpy(torn + n, "{\"id\"", 5);
    write_bytes(path, torn, n + 5);
    assert_int_equal(open_log(&log, 0), HW_OK);
    eval_log_close(&log);
    assert_true(same_file(path, whole, n));
    free(whole);
    free(torn);
}

static void other_settings_need_another_file(void **state) {
    (void)state;
    eval_log log;
    assert_int_equal(open_log(&log, 0), HW_OK);
    assert_int_equal(eval_log_add(&log, line("a", 0, NULL), &err), HW_OK);
    eval_log_close(&log);
    assert_int_equal(open_log(&log, 4), HW_ERR_ARGUMENT);
    eval_log_close(&log);
    json_t *a = settings(4), *b = settings(0);
    char how[200];
    eval_settings_differ(how, sizeof how, a, b);
    assert_string_equal(how, "seed 4, not 0");
    assert_false(eval_settings_same(a, b));
    json_decref(a);
    json_decref(b);
}

static void a_model_is_the_same_where_one_line_lacks_the_sample_of_its_weights(void **state) {
    (void)state;
    json_t *old = settings(0), *now = settings(0), *other = settings(0);
    json_object_set_new(json_object_get(now, "model"), "sample_sha256", json_string("x"));
    json_object_set_new(json_object_get(other, "model"), "sample_sha256", json_string("y"));
    assert_true(eval_settings_same(old, now) && eval_settings_same(now, old));
    assert_false(eval_settings_same(now, other));
    assert_ptr_equal(eval_settings_fuller(old, now), now);
    json_decref(old);
    json_decref(now);
    json_decref(other);
}

static void lines_of_an_item_that_changed_are_refused(void **state) {
    (void)state;
    eval_item same = {.sha256 = "1", .index = 0}, changed = {.sha256 = "9", .index = 0},
              moved = {.sha256 = "1", .index = 5};
    json_t *one = line("a", 0, NULL);
    assert_true(eval_line_is_of(one, &same));
    assert_false(eval_line_is_of(one, &changed));
    assert_false(eval_line_is_of(one, &moved));
    json_decref(one);
}

static void what_is_no_result_is_left_out(void **state) {
    (void)state;
    static const char text[] = "{\"id\":\"a\",\"index\":0,\"settings\":{}}\n7\n{\"id\":\"b\"}\n\n";
    write_bytes(path, text, strlen(text));
    json_t *lines = json_array();
    assert_int_equal(eval_log_read(lines, path, &err), HW_OK);
    assert_int_equal(json_array_size(lines), 1);
    json_decref(lines);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_there_when_it_is_opened_again, start, end),
        cmocka_unit_test_setup_teardown(a_failure_is_tried_again_and_replaced, start, end),
        cmocka_unit_test_setup_teardown(a_torn_last_line_is_cut_off, start, end),
        cmocka_unit_test_setup_teardown(other_settings_need_another_file, start, end),
        cmocka_unit_test(a_model_is_the_same_where_one_line_lacks_the_sample_of_its_weights),
        cmocka_unit_test(lines_of_an_item_that_changed_are_refused),
        cmocka_unit_test_setup_teardown(what_is_no_result_is_left_out, start, end),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
