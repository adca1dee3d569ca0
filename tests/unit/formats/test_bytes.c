/* Traces and results in memory: the bytes of their files, and what is not such bytes is refused. */
#include "support/files.h"
#include "support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char attention_path[] = "tests/data/golden/random_attention.safetensors";

static hw_trace *the_trace(void) {
    hw_trace *trace = NULL;
    hw_error err;
    if (hw_trace_import(&trace, attention_path, HW_FUSE_MEAN, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static char *file_bytes(size_t *n, const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    *n = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void a_trace_comes_back_from_the_bytes_of_its_file(void **state) {
    (void)state;
    hw_trace *trace = the_trace(), *back;
    hw_error err;
    char *bytes, *again;
    size_t n, n_file, n_again;
    const char *path = temp_path("trace.safetensors");
    if (hw_trace_to_bytes(&bytes, &n, trace, NULL, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(hw_trace_save(trace, path, &err), HW_OK);
    char *stored = file_bytes(&n_file, path);
    assert_int_equal(n, n_file);
    assert_memory_equal(bytes, stored, n);
    if (hw_trace_open_bytes(&back, bytes, n, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(hw_trace_to_bytes(&again, &n_again, back, NULL, &err), HW_OK);
    assert_int_equal(n_again, n);
    assert_memory_equal(again, bytes, n);
    free(stored);
    hw_free(again);
    hw_free(bytes);
    hw_trace_free(back);
    hw_trace_free(trace);
}

static void results_come_back_from_the_bytes_of_their_format(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_attribution *a = explain(trace, NULL);
    const hw_attribution *list[] = {a, a};
    static const char *const formats[] = {"json", "safetensors"};
    hw_error err;
    for (size_t i = 0; i < 2; i++) {
        char *bytes;
        size_t n;
        hw_result *result;
        if (hw_result_to_bytes(&bytes, &n, list, 1, formats[i], &err) != HW_OK) fail_msg("%s", err.msg);
        if (hw_result_open_bytes(&result, bytes, n, &err) != HW_OK) fail_msg("%s", err.msg);
        assert_int_equal(hw_result_count(result), 1);
        const hw_attribution *back = hw_result_at(result, 0);
        size_t cells = hw_attribution_n_rows(a) * hw_attribution_n_columns(a) * hw_attribution_n_layers(a);
        assert_memory_equal(hw_attribution_values(back), hw_attribution_values(a), cells * sizeof(float));
        hw_result_free(result);
        hw_free(bytes);
    }
    char *bytes = NULL;
    assert_error(&err, hw_result_to_bytes(&bytes, NULL, list, 1, "xlsx", &err), HW_ERR_ARGUMENT,
                 "unknown format \"xlsx\"; accepted: json, safetensors");
    assert_error(&err, hw_result_to_bytes(&bytes, NULL, list, 2, "npy", &err), HW_ERR_ARGUMENT, "holds one method");
    assert_null(bytes);
    hw_attribution_free(a);
    hw_trace_free(trace);
}

static void bytes_cut_off_anywhere_are_refused(void **state) {
    (void)state;
    hw_trace *trace = the_trace(), *back = NULL;
    hw_error err;
    char *bytes;
    size_t n;
    assert_int_equal(hw_trace_to_bytes(&bytes, &n, trace, NULL, &err), HW_OK);
    for (size_t i = 0; i < n; i += i < 64 || i > n - 64 ? 1 : 61) {
        char *part = malloc(i ? i : 1); /* its own block, so that reading past it is found */
        memcpy(part, bytes, i);
        assert_error(&err, hw_trace_open_bytes(&back, part, i, &err), HW_ERR_FORMAT, "(memory)");
        assert_int_not_equal(hw_trace_import_bytes(&back, part, i, HW_FUSE_MEAN, NULL), HW_OK);
        hw_result *result = NULL;
        assert_int_not_equal(hw_result_open_bytes(&result, part, i, NULL), HW_OK);
        free(part);
    }
    assert_int_equal(hw_trace_open_bytes(&back, NULL, 8, &err), HW_ERR_ARGUMENT);
    assert_int_equal(hw_trace_import_bytes(&back, NULL, 8, HW_FUSE_MEAN, &err), HW_ERR_ARGUMENT);
    assert_null(back);
    hw_free(bytes);
    hw_trace_free(trace);
}

static void attention_is_imported_from_bytes(void **state) {
    (void)state;
    hw_error err;
    size_t n;
    char *bytes = file_bytes(&n, attention_path);
    hw_trace *from_file = the_trace(), *from_bytes;
    if (hw_trace_import_bytes(&from_bytes, bytes, n, HW_FUSE_MEAN, &err) != HW_OK) fail_msg("%s", err.msg);
    free(bytes);
    hw_attribution *a = explain(from_file, NULL), *b = explain(from_bytes, NULL);
    size_t cells = hw_attribution_n_rows(a) * hw_attribution_n_columns(a) * hw_attribution_n_layers(a);
    assert_memory_equal(hw_attribution_values(a), hw_attribution_values(b), cells * sizeof(float));
    assert_string_equal(hw_run_model(hw_trace_run(from_bytes))->path, "(memory)");
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw_trace_free(from_file);
    hw_trace_free(from_bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_comes_back_from_the_bytes_of_its_file),
        cmocka_unit_test(results_come_back_from_the_bytes_of_their_format),
        cmocka_unit_test(bytes_cut_off_anywhere_are_refused),
        cmocka_unit_test(attention_is_imported_from_bytes),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
