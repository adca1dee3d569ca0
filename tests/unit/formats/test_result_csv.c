/* test_result_csv.c - .csv: exact bytes, and what is quoted. */
#include "data/attribution.h"
#include "support/files.h"
#include "support/results.h"
#include "support/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void csv_is_exact(void **state) {
    (void)state;
    static const char expected[] = "completion_index,completion_token,prompt_index,prompt_token,layer,value\r\n"
                                   "0, sat,0,The,0,0.25\r\n"
                                   "0, sat,0,The,1,0.305000007\r\n"
                                   "0, sat,1, cat,0,0.150000006\r\n"
                                   "0, sat,1, cat,1,0.335000008\r\n";
    hw_attribution *a = worked_attribution();
    must_save(a, temp_path("a.csv"), false);
    assert_true(same_file(temp_path("a.csv"), expected, sizeof expected - 1));
    hw_attribution_free(a);
    temp_clear();
}

/* Quotes, commas, line ends, half characters, NUL; blocks 1 and 3; a NaN is an empty field. */
static void csv_quotes_what_needs_it(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2);
    for (size_t i = 0; i < 3 * 5 * 2; i++) a->values[i] = (float)i;
    a->values[29] = NAN;
    a->values[1] = -0.0f;
    must_save(a, temp_path("a.csv"), false);
    size_t n;
    char *text = read_bytes(temp_path("a.csv"), &n);
    static const char first[] =
        "completion_index,completion_token,prompt_index,prompt_token,layer,value\r\n"
        "0, \xF0\x9F\x99\x82,0,<s>,1,0\r\n0, \xF0\x9F\x99\x82,0,<s>,3,-0.0\r\n"
        "0, \xF0\x9F\x99\x82,1,<|user|>,1,2\r\n0, \xF0\x9F\x99\x82,1,<|user|>,3,3\r\n"
        "0, \xF0\x9F\x99\x82,2,A\xC3\xA9,1,4\r\n0, \xF0\x9F\x99\x82,2,A\xC3\xA9,3,5\r\n"
        "0, \xF0\x9F\x99\x82,3,\", \"\"x\"\"\r\n\",1,6\r\n"; /* characters are where they begin */
    static const char last[] = "2,\0,4,\xE2\x80\xB9"
                               "FF\xE2\x80\xBA\0,3,\r\n";
    assert_memory_equal(text, first, sizeof first - 1);
    assert_memory_equal(text + n - (sizeof last - 1), last, sizeof last - 1);
    free(text);
    hw_attribution_free(a);
    hw__run_release(run);
    temp_clear();
}

static void csv_quotes_for_each_reason_alone(void **state) {
    (void)state;
    static const char *const words[] = {"a\"b", "a,b", "a\nb", "a\rb", " a b ", ""};
    static const char *const fields[] = {",\"a\"\"b\",", ",\"a,b\",", ",\"a\nb\",", ",\"a\rb\",", ", a b ,", ",5,,"};
    hw_run *run = make_run(1, words, COUNT(words), words, 1);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 1);
    must_save(a, temp_path("a.csv"), false);
    size_t n;
    char *text = read_bytes(temp_path("a.csv"), &n);
    for (size_t i = 0; i < COUNT(fields); i++)
        if (!strstr(text, fields[i])) fail_msg("no field %s in\n%s", fields[i], text);
    free(text);
    hw_attribution_free(a);
    hw__run_release(run);
    temp_clear();
}

/* Two groups of five prompt tokens, one token in none, without names and where one has a name: the halves of a
 * character meet in their group's text. */
static void csv_names_groups_by_name_or_text(void **state) {
    (void)state;
    static const int32_t groups[] = {1, -1, 0, 0, 1};
    hw_method_params params = hw_method_params_default();
    static const char *const names[] = {"", "Anna, 1"};
    static const char lines[] =
        "\r\n0, \xF0\x9F\x99\x82,0,\"A\xC3\xA9, \"\"x\"\"\r\n\",-1,0\r\n0, \xF0\x9F\x99\x82,1,<s>\xE2\x80\xB9"
        "FF\xE2\x80\xBA\0,-1,1\r\n";
    static const char named[] =
        "\r\n0, \xF0\x9F\x99\x82,0,\"A\xC3\xA9, \"\"x\"\"\r\n\",-1,0\r\n0, \xF0\x9F\x99\x82,1,\"Anna, 1\",-1,1\r\n";
    params.groups = groups;
    params.n_groups = 2;
    hw_run *run = sample_run(true);
    for (int has_names = 0; has_names < 2; has_names++) {
        params.group_names = has_names ? names : NULL;
        hw_attribution *a = sample_attribution(run, "rollout", &params, 1);
        for (size_t i = 0; i < 6; i++) a->values[i] = (float)i;
        must_save(a, temp_path("a.csv"), false);
        size_t n;
        char *text = read_bytes(temp_path("a.csv"), &n);
        assert_memory_equal(text + 71, has_names ? named : lines, (has_names ? sizeof named : sizeof lines) - 1);
        free(text);
        hw_attribution_free(a);
    }
    hw__run_release(run);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_is_exact),
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(csv_quotes_for_each_reason_alone),
        cmocka_unit_test(csv_names_groups_by_name_or_text),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
