/* test_run_store.c - runs in a database: in the making, finished, failed, changed, and files that are not of it. */
#include "support/files.h"
#include "support/fixture.h"

#include "serve/jobs/run_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char document[] =
    "{\"format\":\"headwater-document\",\"attributions\":[{\"method\":\"logit\",\"settings\":{},\"v\":1}]}";
static const hw_model_info model = {.name = "Toy", .path = "toy.gguf", .sample_sha256 = "abc"};

static store *opened(const char *path) {
    store *s;
    hw_error err;
    if (!store_open(&s, path, &err)) fail_msg("%s", err.msg);
    return s;
}

static int64_t begun(store *s, const char *prompt) {
    hw_error err;
    explain_request r = {.prompt = {prompt, strlen(prompt)}};
    int64_t id = store_begin(s, &r, "{\"prompt\":\"x\"}", &model, &err);
    if (!id) fail_msg("%s", err.msg);
    return id;
}

static void finish(store *s, int64_t id, const char *trace) {
    hw_error err;
    finished what = {
        .n_prompt = 5, .n_completion = 2, .completion = {"ab", 2}, .document = document, .trace_path = trace};
    if (!store_finish(s, id, &what, &err)) fail_msg("%s", err.msg);
}

static json_t *got(store *s, int64_t id) {
    buffer text = {.n = 0};
    hw_error err;
    if (!store_get(s, id, &text, &err)) fail_msg("%s", err.msg);
    json_t *json = json_loadb(text.bytes, text.n, 0, NULL);
    assert_non_null(json);
    buffer_free(&text);
    return json;
}

static void assert_refused(bool ok, const hw_error *err, int code) {
    assert_false(ok);
    assert_int_equal(err->code, code);
}

static void a_run_is_listed_and_comes_back(void **state) {
    (void)state;
    store *s = opened(NULL);
    int64_t id = begun(s, "My name \xE2\x82\xAC");
    hw_error err;
    buffer none = {.n = 0};
    assert_refused(store_get(s, id, &none, &err), &err, ERR_UNFINISHED);
    buffer_free(&none);
    finish(s, id, NULL);
    json_t *list = store_list(s, &err), *run = json_array_get(json_object_get(list, "runs"), 0), *whole = got(s, id);
    assert_int_equal(json_integer_value(json_object_get(run, "id")), id);
    assert_string_equal(json_string_value(json_object_get(run, "prompt")), "My name \xE2\x82\xAC");
    assert_string_equal(json_string_value(json_object_get(run, "model")), "Toy");
    assert_int_equal(json_integer_value(json_object_get(run, "n_completion")), 2);
    assert_true(json_is_true(json_object_get(run, "finished")) && json_is_false(json_object_get(run, "has_trace")));
    assert_null(json_object_get(run, "failure"));
    assert_int_equal(json_integer_value(json_object_get(whole, "id")), id);
    assert_string_equal(json_string_value(json_object_get(whole, "format")), "headwater-document");
    json_decref(list);
    json_decref(whole);
    store_close(s);
}

static void names_are_any_text(void **state) {
    (void)state;
    store *s = opened(NULL);
    int64_t id = begun(s, "x");
    hw_error err;
    finish(s, id, NULL);
    static const char name[] = "a \"quoted\" name\n";
    assert_true(store_rename(s, id, (span_of_text){name, strlen(name)}, &err));
    json_t *whole = got(s, id);
    assert_string_equal(json_string_value(json_object_get(whole, "name")), name);
    json_decref(whole);
    assert_refused(store_rename(s, 99, (span_of_text){"b", 1}, &err), &err, ERR_NOT_FOUND);
    store_close(s);
}

static void an_explanation_of_the_same_settings_takes_the_place_of_the_old(void **state) {
    (void)state;
    store *s = opened(NULL);
    int64_t id = begun(s, "x");
    hw_error err;
    finish(s, id, NULL);
    json_t *list = json_loads(
        "[{\"method\":\"logit\",\"settings\":{},\"v\":2},{\"method\":\"rollout\",\"settings\":{}}]", 0, NULL);
    json_t *members = json_pack("{s:{s:i}}", "check", "lds", 1);
    assert_true(store_amend(s, id, list, members, &err));
    json_t *whole = got(s, id), *all = json_object_get(whole, "attributions");
    assert_int_equal(json_array_size(all), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 0), "v")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(whole, "check"), "lds")), 1);
    json_decref(whole);
    json_decref(list);
    json_decref(members);
    store_close(s);
}

static void a_failed_run_can_be_made_again_and_no_other(void **state) {
    (void)state;
    store *s = opened(NULL);
    int64_t id = begun(s, "x");
    hw_error err;
    failed_run r;
    assert_refused(store_failed_run(s, id, &r, &err), &err, ERR_NOT_FAILED);
    assert_true(store_progress(s, id, (span_of_text){"to\0ken", 6}, &err));
    assert_true(store_fail(s, id, "it was killed", &err));
    buffer none = {.n = 0};
    assert_refused(store_get(s, id, &none, &err), &err, ERR_RUN_FAILED);
    assert_non_null(strstr(err.msg, "it was killed"));
    buffer_free(&none);
    assert_true(store_failed_run(s, id, &r, &err));
    assert_string_equal(r.request, "{\"prompt\":\"x\"}");
    assert_int_equal(r.n_completion, 6);
    assert_memory_equal(r.completion, "to\0ken", 6);
    failed_run_free(&r);
    assert_true(store_retry(s, id, &err));
    assert_refused(store_retry(s, id, &err), &err, ERR_NOT_FAILED);
    assert_refused(store_delete(s, id, &err), &err, ERR_UNFINISHED);
    finish(s, id, NULL);
    assert_true(store_delete(s, id, &err));
    assert_refused(store_has(s, id, &err), &err, ERR_NOT_FOUND);
    store_close(s);
}

static void runs_stay_in_a_file_of_the_owner_alone(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path("runs.sqlite"));
    store *s = opened(path), *second;
    hw_error err;
    int64_t done = begun(s, "x"), open_one = begun(s, "y");
    finish(s, done, NULL);
    assert_refused(store_open(&second, path, &err), &err, ERR_STORE);
    assert_non_null(strstr(err.msg, "is in use by another headwater serve"));
    store_close(s);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    s = opened(path);
    json_decref(got(s, done));
    failed_run r;
    assert_true(store_failed_run(s, open_one, &r, &err)); /* the end of a server is a failure of what it did */
    failed_run_free(&r);
    store_close(s);
    temp_clear();
}

static void other_files_are_left_alone(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path("other.sqlite"));
    static const char text[] =
        "this is not a database, and long enough to be looked at as one: ................................";
    write_bytes(path, text, sizeof text);
    store *s;
    hw_error err;
    assert_refused(store_open(&s, path, &err), &err, ERR_STORE);
    assert_true(same_file(path, text, sizeof text));
    temp_clear();
}

static void traces_come_back_byte_for_byte(void **state) {
    (void)state;
    store *s = opened(NULL);
    int64_t with = begun(s, "x"), without = begun(s, "y");
    char in[512], out[512];
    hw_error err;
    snprintf(in, sizeof in, "%s", temp_path("trace"));
    snprintf(out, sizeof out, "%s", temp_path("copy"));
    write_bytes(in, "a\0b", 3);
    finish(s, with, in);
    finish(s, without, NULL);
    if (!store_trace(s, with, out, &err)) fail_msg("%s", err.msg);
    assert_true(same_file(out, "a\0b", 3));
    assert_refused(store_trace(s, without, temp_path("none"), &err), &err, ERR_NO_TRACE);
    assert_refused(store_trace(s, 99, temp_path("none"), &err), &err, ERR_NOT_FOUND);
    store_close(s);
    temp_clear();
}

static void memory_keeps_the_newest(void **state) {
    (void)state;
    store *s = opened(NULL);
    hw_error err;
    int64_t first = 0, last = 0;
    for (int i = 0; i < STORE_MEMORY_RUNS + 3; i++) {
        last = begun(s, "x");
        if (!first) first = last;
        finish(s, last, NULL);
    }
    assert_false(store_has(s, first, &err));
    assert_true(store_has(s, last, &err));
    json_t *list = store_list(s, &err);
    assert_int_equal(json_array_size(json_object_get(list, "runs")), STORE_MEMORY_RUNS);
    json_decref(list);
    store_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_listed_and_comes_back),
        cmocka_unit_test(names_are_any_text),
        cmocka_unit_test(an_explanation_of_the_same_settings_takes_the_place_of_the_old),
        cmocka_unit_test(a_failed_run_can_be_made_again_and_no_other),
        cmocka_unit_test(runs_stay_in_a_file_of_the_owner_alone),
        cmocka_unit_test(other_files_are_left_alone),
        cmocka_unit_test(traces_come_back_byte_for_byte),
        cmocka_unit_test(memory_keeps_the_newest),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
