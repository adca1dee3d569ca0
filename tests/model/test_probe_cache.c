/*
 * test_probe_cache.c - what a probe found is kept by the identity of the model's file, and nothing depends on it: an
 * entry that was read gives the same numbers, and one that is damaged, another's or of another file is passed over.
 *
 * An entry is recognised by a row error that the test writes into it.
 */
#include "support/files.h"
#include "support/fixture.h"

#include "engine/llama/file/probe_cache.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double WRITTEN = 0x1p-40;

static char folder[256], model_file[300];

/* Copies a model of the zoo into the test's folder, which is empty. */
static void start(const char *name) {
    size_t n;
    char *bytes = read_bytes(zoo_model_path(name), &n);
    snprintf(model_file, sizeof model_file, "%s", temp_path("m.gguf"));
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(model_file, '/') - model_file), model_file);
    write_bytes(model_file, bytes, n);
    free(bytes);
}

static hw_model *open_model(const char *cache, bool f32_cache) {
    hw_model_params params = hw_model_params_default();
    hw_model *model = NULL;
    hw_error err = {0};
    params.n_threads = 1;
    params.f32_cache = f32_cache;
    params.cache = cache;
    if (hw_model_open(&model, model_file, &params, &err) != HW_OK) fail_msg("%s", err.msg);
    return model;
}

static double row_error(bool f32_cache) {
    hw_model *model = open_model(folder, f32_cache);
    double error = hw_model_describe(model)->row_error;
    hw_model_close(model);
    return error;
}

/* The path of the entry; NULL: none. */
static const char *entry(void) {
    static char path[600];
    bool found = false;
    DIR *d = opendir(folder);
    for (struct dirent *f; (f = readdir(d));)
        if (strncmp(f->d_name, "probe-", 6) == 0) {
            assert_false(found);
            found = true;
            snprintf(path, sizeof path, "%s/%s", folder, f->d_name);
        }
    closedir(d);
    return found ? path : NULL;
}

/* Replaces a line's value in the entry. */
static void change_entry(const char *key, const char *value) {
    size_t n;
    char *text = read_bytes(entry(), &n), made[9000];
    char *copy = calloc(n + 1, 1);
    memcpy(copy, text, n);
    char *at = strstr(copy, key), *rest = strchr(at, '\n');
    int length = snprintf(made, sizeof made, "%.*s%s %s%s", (int)(at - copy), copy, key, value, rest);
    write_bytes(entry(), made, (size_t)length);
    free(text);
    free(copy);
}

static hw_trace *capture(hw_model *model, hw_explainer **x) {
    hw_explainer_params keeping = hw_explainer_params_default();
    hw_run_params p = hw_run_params_default();
    hw_error err;
    hw_trace *trace;
    keeping.keep = HW_KEEP_ALL;
    assert_int_equal(hw_explainer_new(x, &keeping, NULL), HW_OK);
    p.prompt = "a b c a d";
    p.prompt_bytes = strlen(p.prompt);
    p.completion = " b c";
    p.completion_bytes = strlen(p.completion);
    p.explainer = *x;
    if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

/* A model opened with the entry against one that was proven: what it says of itself, an estimate, and results. */
static void a_known_model_gives_the_same(void **state) {
    (void)state;
    static const char *const names[] = {"llama", "gemma2", "gpt_oss"};
    static const char *const methods[] = {"contribution", "logit", "rollout"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        start(names[i]);
        hw_model_close(open_model(folder, true));
        if (!entry()) fail_msg("%s: no entry", names[i]);
        change_entry("row_error", "0x1p-40");
        hw_model *known = open_model(folder, true), *proven = open_model(NULL, true);
        const hw_model_info *a = hw_model_describe(known), *b = hw_model_describe(proven);
        if (a->row_error != WRITTEN || b->row_error == WRITTEN) fail_msg("%s: the entry was not taken", names[i]);
        assert_true(a->n_layers == b->n_layers && a->n_sources == b->n_sources && a->has_sinks == b->has_sinks);
        assert_true(a->n_heads == b->n_heads && a->n_heads_kv == b->n_heads_kv && a->host_rows == b->host_rows);
        assert_string_equal(a->device, b->device);
        assert_string_equal(a->readout_problem, b->readout_problem);
        hw_explainer *x, *y;
        hw_trace *first = capture(known, &x), *second = capture(proven, &y);
        for (size_t k = 0; k < sizeof methods / sizeof *methods; k++) {
            hw_attribution *one, *other;
            hw_error err;
            if (*hw_method_problem(hw_method_find(methods[k]), b)) continue;
            if (hw_explain(&one, first, methods[k], NULL, &err) != HW_OK) fail_msg("%s", err.msg);
            if (hw_explain(&other, second, methods[k], NULL, &err) != HW_OK) fail_msg("%s", err.msg);
            assert_true(hw_attribution_n_columns(one) == hw_attribution_n_columns(other));
            assert_memory_equal(hw_attribution_values(one), hw_attribution_values(other),
                                hw_attribution_n_rows(one) * hw_attribution_n_columns(one) *
                                    hw_attribution_n_layers(one) * sizeof(float));
            hw_attribution_free(one);
            hw_attribution_free(other);
        }
        hw_trace_free(first);
        hw_trace_free(second);
        hw_explainer_free(x);
        hw_explainer_free(y);
        hw_model_close(known);
        hw_model_close(proven);
        temp_clear();
    }
}

static void touch_model(void) {
    size_t n;
    char *bytes = read_bytes(model_file, &n);
    write_bytes(model_file, bytes, n); /* the same bytes, written later */
    free(bytes);
}
static void damage_end(void) { change_entry("device", "CPU\nand more"); }
static void cut_entry(void) { cut_file(entry(), 40); }
static void empty_entry(void) { cut_file(entry(), 0); }
static void change_features(void) { change_entry("features", "NONE=1"); }
static void change_library(void) { change_entry("libllama", "1 2 3 4.000000005"); }
static void no_number(void) { change_entry("row_error", "nan"); }
static void large_number(void) { change_entry("row_error", "2"); }
static void let_others_write(void) { chmod(entry(), 0622); }

static void what_is_not_this_files_is_passed_over(void **state) {
    (void)state;
    static const struct {
        const char *what;
        void (*change)(void);
    } cases[] = {{"the model was written again", touch_model},
                 {"more lines", damage_end},
                 {"cut", cut_entry},
                 {"empty", empty_entry},
                 {"another processor", change_features},
                 {"another libllama", change_library},
                 {"NaN", no_number},
                 {"more than a row can be off", large_number},
                 {"others may write it", let_others_write}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start("llama");
        double proven = row_error(true);
        struct stat s;
        assert_int_equal(stat(entry(), &s), 0);
        assert_int_equal(s.st_mode & 0777, 0600);
        change_entry("row_error", "0x1p-40");
        assert_true(row_error(true) == WRITTEN);
        cases[i].change();
        if (row_error(true) != proven) fail_msg("%s: the entry was taken", cases[i].what);
        assert_true(row_error(true) == proven); /* it was written anew */
        temp_clear();
    }
}

static void settings_of_the_engine_count(void **state) {
    (void)state;
    start("llama");
    row_error(true);
    change_entry("row_error", "0x1p-40");
    assert_true(row_error(false) != WRITTEN);
    temp_clear();
}

/* A link to an entry, and a folder that does not exist. */
static void only_a_file_of_its_own_is_read(void **state) {
    (void)state;
    char other[700], link[600];
    start("llama");
    double proven = row_error(true);
    change_entry("row_error", "0x1p-40");
    snprintf(link, sizeof link, "%s", entry());
    snprintf(other, sizeof other, "%s/other", folder);
    assert_int_equal(rename(link, other), 0);
    assert_int_equal(symlink(other, link), 0);
    assert_true(row_error(true) == proven);
    strcat(folder, "/none");
    assert_true(row_error(true) == proven);
    temp_clear();
}

/* Sizes of what recurrent layers read, which an estimate counts, are seen in the probe's decode only. */
static void models_with_recurrent_layers_are_proven_each_time(void **state) {
    (void)state;
    static const char *const names[] = {"qwen35", "mamba2", "lfm2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        start(names[i]);
        hw_model_close(open_model(folder, true));
        if (entry()) fail_msg("%s has an entry", names[i]);
        temp_clear();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_model_gives_the_same),
        cmocka_unit_test(what_is_not_this_files_is_passed_over),
        cmocka_unit_test(models_with_recurrent_layers_are_proven_each_time),
        cmocka_unit_test(settings_of_the_engine_count),
        cmocka_unit_test(only_a_file_of_its_own_is_read),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
