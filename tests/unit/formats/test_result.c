/* test_result.c - results on disk: formats go by the ending, every format brings back what it can hold, files are whole
 * or not there. */
#include "data/attribution.h"
#include "support/files.h"
#include "support/results.h"
#include "support/sample.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void formats_go_by_the_ending(void **state) {
    (void)state;
    static const struct {
        const char *path, *name;
    } cases[] = {
        {"a.json", "json"}, {"a.JSON", "json"},     {"/x.y/a.b.safetensors", "safetensors"},
        {"a.csv", "csv"},   {"a.npy", "npy"},       {"a.json.gz", NULL},
        {"json", NULL},     {".json", NULL},        {"", NULL},
        {"a.jsonl", NULL},  {"a.safetensor", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const hw_format_info *info = hw_format_of(cases[i].path);
        if (!cases[i].name)
            assert_null(info);
        else
            assert_string_equal(info->name, cases[i].name);
    }
    assert_null(hw_format_of(NULL));
    assert_int_equal(hw_format_count(), 4);
    assert_null(hw_format_at(4));
    for (size_t i = 0; i < hw_format_count(); i++) {
        const hw_format_info *info = hw_format_at(i);
        assert_true(info->name && info->extension[0] == '.' && strlen(info->summary) > 10);
        assert_int_equal(info->many, strcmp(info->name, "json") == 0);
    }
}

static void other_endings_are_refused_with_those_that_are_not(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    const hw_attribution *list = a;
    hw_result *result;
    hw_error err = {0};
    assert_error(&err, hw_result_save(&list, 1, "a.txt", false, &err), HW_ERR_ARGUMENT,
                 "\"a.txt\": the name of a result to save must end in one of .json, .safetensors, .csv, .npy");
    assert_error(&err, hw_result_save(&list, 1, NULL, false, &err), HW_ERR_ARGUMENT, "must end in one of");
    assert_error(&err, hw_result_open(&result, "a.npy", &err), HW_ERR_ARGUMENT,
                 "to open must end in one of .json, .safetensors");
    assert_null(strstr(err.msg, ".csv"));
    hw_attribution_free(a);
}

typedef struct shape_case {
    const char *method;
    hw_method_params params;
    size_t n_layers;
    bool balance;
} shape_case;

static void comes_back(const hw_run *run, const shape_case *c, const char *path) {
    hw_attribution *a = sample_attribution(run, c->method, &c->params, c->n_layers);
    if (c->balance) {
        a->balance = calloc(a->n_rows, sizeof *a->balance);
        assert_non_null(a->balance);
        for (size_t i = 0; i < a->n_rows; i++)
            a->balance[i] = (hw_balance){.prompt = 0.1 * (double)i, .mlp = 1.0 / 3, .logit = -7};
    }
    must_save(a, path, true);
    hw_result *result = must_open(path);
    assert_int_equal(hw_result_count(result), 1);
    assert_same_attribution(a, hw_result_at(result, 0));
    assert_null(hw_result_at(result, 1));
    size_t n;
    char *bytes = read_bytes(path, &n);
    must_save(hw_result_at(result, 0), path, true);
    assert_true(same_file(path, bytes, n));
    free(bytes);
    hw_result_free(result);
    hw_attribution_free(a);
}

static void results_come_back_bit_for_bit(void **state) {
    (void)state;
    static const int32_t groups[] = {2, 0, -1, 0, 1}, all_groups[] = {0, 0, 0, 0, 0, 0, 0, 0};
    static const char *const names[] = {"Anna's \xF0\x9F\x8C\x8A", "", "\"\n", NULL};
    shape_case cases[] = {{"rollout", {0}, 2, false}, {"rollout", {0}, 2, false},     {"rollout", {0}, 2, false},
                          {"rollout", {0}, 2, false}, {"attention", {0}, 1, false},   {"logit", {0}, 2, true},
                          {"random", {0}, 2, false},  {"contribution", {0}, 2, false}};
    for (size_t i = 0; i < COUNT(cases); i++) cases[i].params = hw_method_params_default();
    cases[1].params.columns = HW_COLUMNS_ALL;
    cases[1].params.residual = 0.1; /* no float, no short binary fraction */
    cases[2].params.groups = groups;
    cases[2].params.n_groups = 4; /* the last one is empty */
    cases[2].params.group_names = names;
    cases[3].params.columns = HW_COLUMNS_ALL;
    cases[3].params.groups = all_groups;
    cases[3].params.n_groups = 1;
    cases[4].params.row = HW_ROW_OWN;
    cases[4].params.direction = HW_DIRECTION_OUTPUT;
    cases[6].params.seed = UINT64_MAX;
    cases[6].params.n_ablations = 1000000;
    cases[7].params.measure = HW_MEASURE_PROXIMITY2;
    cases[7].params.aggregate = HW_AGGREGATE_ROLLOUT;
    cases[0].params.residual_measured = true;
    cases[2].params.discard = 0.7;
    cases[3].params.remove_sink = true;
    hw_run *run = sample_run(true);
    for (size_t i = 0; i < COUNT(cases); i++) {
        comes_back(run, &cases[i], temp_path("a.json"));
        comes_back(run, &cases[i], temp_path("a.safetensors"));
    }
    hw__run_release(run);
    temp_clear();
}

/* A run of which nothing is known but its tokens: every row is explained. */
static void results_without_completion_come_back(void **state) {
    (void)state;
    static const char *const words[] = {"a", "b"};
    hw_run *run = make_run(2, words, 2, NULL, 0);
    const shape_case c = {"rollout", hw_method_params_default(), 2, false};
    comes_back(run, &c, temp_path("a.json"));
    comes_back(run, &c, temp_path("a.safetensors"));
    hw__run_release(run);
    temp_clear();
}

static void other_formats_take_a_file_a_method(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2), *b = sample_attribution(run, "attention", NULL, 2);
    const hw_attribution *const list[] = {a, b};
    hw_error err = {0};
    assert_int_equal(hw_result_save(list, 2, temp_path("x.y.safetensors"), false, &err), HW_OK);
    assert_int_equal(temp_count(), 2);
    hw_result *first = must_open(temp_path("x.y.rollout.safetensors")),
              *second = must_open(temp_path("x.y.attention.safetensors"));
    assert_same_attribution(a, hw_result_at(first, 0));
    assert_same_attribution(b, hw_result_at(second, 0));
    /* A result read from two files is of one run, whatever its pointers say. */
    const hw_attribution *const reread[] = {hw_result_at(first, 0), hw_result_at(second, 0)};
    assert_int_equal(hw_result_save(reread, 2, temp_path("both.json"), false, &err), HW_OK);
    hw_result_free(first);
    hw_result_free(second);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw__run_release(run);
    temp_clear();
}

static void all_files_are_whole_before_one_is_replaced(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2), *b = sample_attribution(run, "attention", NULL, 2);
    const hw_attribution *const list[] = {a, b};
    hw_error err = {0};
    write_bytes(temp_path("x.rollout.csv"), "old", 3);
    assert_int_equal(mkdir(temp_path("x.attention.csv"), 0777), 0);
    assert_error(&err, hw_result_save(list, 2, temp_path("x.csv"), false, &err), HW_ERR_IO,
                 "x.attention.csv is a directory");
    assert_true(same_file(temp_path("x.rollout.csv"), "old", 3));
    assert_int_equal(temp_count(), 2);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw__run_release(run);
    temp_clear();
}

static void lists_that_do_not_go_together_are_refused(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2), *other = worked_attribution();
    const hw_attribution *const twice[] = {a, a}, *const mixed[] = {a, other};
    hw_error err = {0};
    assert_error(&err, hw_result_save(twice, 0, temp_path("a.json"), false, &err), HW_ERR_ARGUMENT,
                 "no result to save");
    assert_error(&err, hw_result_save(twice, 2, temp_path("a.csv"), false, &err), HW_ERR_ARGUMENT,
                 "two results of method rollout");
    assert_error(&err, hw_result_save(mixed, 2, temp_path("a.json"), false, &err), HW_ERR_ARGUMENT,
                 "result 1 is of another run");
    a->values[3] = INFINITY;
    assert_error(&err, hw_result_save(twice, 1, temp_path("a.npy"), false, &err), HW_ERR_ARGUMENT,
                 "value 3 of method rollout is infinite");
    assert_int_equal(temp_count(), 0);
    hw_attribution_free(a);
    hw_attribution_free(other);
    hw__run_release(run);
}

/* A disk that is full: each format notices, and the earlier file is still there. */
static void a_failed_save_leaves_the_old_file(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    const hw_attribution *list = a;
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 16;
    for (size_t i = 0; i < hw_format_count(); i++) {
        char name[32];
        hw_error err = {0};
        snprintf(name, sizeof name, "a%s", hw_format_at(i)->extension);
        write_bytes(temp_path(name), "old", 3);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        hw_err rc = hw_result_save(&list, 1, temp_path(name), true, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_error(&err, rc, HW_ERR_IO, "File too large");
        assert_non_null(strstr(err.msg, name));
        assert_true(same_file(temp_path(name), "old", 3));
        assert_int_equal(temp_count(), i + 1);
    }
    hw_attribution_free(a);
    temp_clear();
}

static void changed_bytes_do_no_harm(const char *name) {
    size_t n, opened = 0;
    char *bytes = read_bytes(temp_path(name), &n);
    for (size_t i = 0; i < n; i++) {
        const char changes[] = {(char)(bytes[i] ^ 1), i % 2 ? '"' : '9', (char)(bytes[i] ^ 0x80)};
        for (size_t c = 0; c < COUNT(changes); c++) {
            hw_result *result = NULL;
            hw_error err = {0};
            patch_byte(temp_path(name), i, changes[c]);
            hw_err rc = hw_result_open(&result, temp_path(name), &err);
            assert_true(rc == HW_OK || (err.code == rc && err.msg[0]));
            opened += rc == HW_OK;
            hw_result_free(rc == HW_OK ? result : NULL);
        }
        patch_byte(temp_path(name), i, bytes[i]);
    }
    assert_true(opened > 0 && opened < 3 * n);
    for (size_t cut = n - 1; cut-- > 0;) { /* the JSON file's last byte is only its line end */
        hw_result *result;
        cut_file(temp_path(name), cut);
        if (hw_result_open(&result, temp_path(name), NULL) == HW_OK)
            fail_msg("%s cut to %zu of %zu bytes opens", name, cut, n);
    }
    free(bytes);
}

static void no_damaged_result_does_harm(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2);
    must_save(a, temp_path("a.json"), true);
    must_save(a, temp_path("a.safetensors"), true);
    changed_bytes_do_no_harm("a.json");
    changed_bytes_do_no_harm("a.safetensors");
    hw_attribution_free(a);
    hw__run_release(run);
    temp_clear();
}

static void formats_are_recognised_by_content(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    hw_trace *trace = worked_trace();
    must_save(a, temp_path("a.json"), false);
    must_save(a, temp_path("a.safetensors"), false);
    must_save(a, temp_path("a.npy"), false);
    assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
    assert_int_equal(kind_of(temp_path("a.json")), HW_FILE_RESULT);
    assert_int_equal(kind_of(temp_path("a.safetensors")), HW_FILE_RESULT);
    assert_int_equal(kind_of(temp_path("a.npy")), HW_FILE_UNKNOWN);
    assert_int_equal(kind_of(temp_path("t")), HW_FILE_TRACE);
    static const char attention[] = "\"attention\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    static const struct {
        const char *metadata;
        hw_file_kind kind;
    } containers[] = {{"{", HW_FILE_ATTENTION},
                      {"{\"__metadata__\":{\"format\":\"pt\"},", HW_FILE_ATTENTION}, /* as transformers saves */
                      {"{\"__metadata__\":{\"format\":\"headwater-other\"},", HW_FILE_UNKNOWN},
                      {"{\"not_", HW_FILE_UNKNOWN}};
    for (size_t i = 0; i < COUNT(containers); i++) {
        char header[256];
        snprintf(header, sizeof header, "%s%s", containers[i].metadata, attention + (i == 3));
        write_container(temp_path("x"), header, "1234", 4);
        assert_int_equal(kind_of(temp_path("x")), containers[i].kind);
    }
    static const struct {
        const char *bytes;
        size_t n;
        hw_file_kind kind;
    } others[] = {{"", 0, HW_FILE_UNKNOWN},
                  {"{}", 2, HW_FILE_UNKNOWN},
                  {"{ no JSON", 9, HW_FILE_UNKNOWN},
                  {"\n {\"format\":\"headwater-result\"}", 31, HW_FILE_RESULT},
                  {"GGUF\3\0\0\0", 8, HW_FILE_UNKNOWN},
                  {"text with {", 11, HW_FILE_UNKNOWN}};
    for (size_t i = 0; i < COUNT(others); i++) {
        write_bytes(temp_path("x"), others[i].bytes, others[i].n);
        assert_int_equal(kind_of(temp_path("x")), others[i].kind);
    }
    hw_file_kind kind;
    hw_error err = {0};
    cut_file(temp_path("t"), 100); /* a broken one says so instead of being unknown */
    assert_error(&err, hw_file_probe(&kind, temp_path("t"), &err), HW_ERR_FORMAT, "cut off");
    assert_error(&err, hw_file_probe(&kind, temp_path("none"), &err), HW_ERR_IO, "No such file");
    hw_trace_free(trace);
    hw_attribution_free(a);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_go_by_the_ending),
        cmocka_unit_test(other_endings_are_refused_with_those_that_are_not),
        cmocka_unit_test(results_come_back_bit_for_bit),
        cmocka_unit_test(results_without_completion_come_back),
        cmocka_unit_test(other_formats_take_a_file_a_method),
        cmocka_unit_test(all_files_are_whole_before_one_is_replaced),
        cmocka_unit_test(lists_that_do_not_go_together_are_refused),
        cmocka_unit_test(a_failed_save_leaves_the_old_file),
        cmocka_unit_test(no_damaged_result_does_harm),
        cmocka_unit_test(formats_are_recognised_by_content),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
