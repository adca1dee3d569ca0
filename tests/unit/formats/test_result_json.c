/* test_result_json.c - .json: what it holds, and what is refused. */
#include "data/attribution.h"
#include "support/files.h"
#include "support/results.h"
#include "support/sample.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void json_without_the_whole_has_its_means(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    must_save(a, temp_path("a.json"), false);
    hw_result *result = must_open(temp_path("a.json"));
    const hw_attribution *mean = hw_result_at(result, 0);
    assert_int_equal(mean->n_layers, 1);
    assert_int_equal(mean->layers[0], -1);
    for (size_t k = 0; k < 2; k++)
        assert_close(cell(mean, 0, k, 0), (cell(a, 0, k, 0) + cell(a, 0, k, 1)) / 2, 0x1p-26);
    assert_close(outside(mean, 0, 0), 0.48, 0x1p-25);
    assert_memory_equal(&mean->diagnostics, &a->diagnostics, sizeof a->diagnostics); /* of the whole M */
    hw_result_free(result);
    hw_attribution_free(a);
    temp_clear();
}

static void json_holds_many_methods(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2), *b = sample_attribution(run, "attention", NULL, 2);
    const hw_attribution *const list[] = {a, b, a}; /* one method twice: its settings may differ */
    hw_error err = {0};
    assert_int_equal(hw_result_save(list, 3, temp_path("a.json"), true, &err), HW_OK);
    hw_result *result = must_open(temp_path("a.json"));
    assert_int_equal(hw_result_count(result), 3);
    for (size_t i = 0; i < 3; i++) assert_same_attribution(list[i], hw_result_at(result, i));
    hw_result_free(result);
    hw_result_free(NULL);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw__run_release(run);
    temp_clear();
}

/* Saves the worked result as JSON text, `from` replaced by `to`, which must be there. */
static void write_changed(const char *name, bool full, const char *from, const char *to) {
    hw_attribution *a = worked_attribution();
    size_t n;
    must_save(a, temp_path(name), full);
    char *text = read_bytes(temp_path(name), &n), *at = strstr(text, from);
    if (!at) fail_msg("%s is not in the file", from);
    size_t head = (size_t)(at - text), tail = n - head - strlen(from);
    char *changed = malloc(n + strlen(to) + 1);
    assert_non_null(changed);
    memcpy(changed, text, head);
    memcpy(changed + head, to, strlen(to));
    memcpy(changed + head + strlen(to), at + strlen(from), tail);
    write_bytes(temp_path(name), changed, head + strlen(to) + tail);
    free(changed);
    free(text);
    hw_attribution_free(a);
}

static const struct {
    const char *from, *to, *says;
} bad_results[] = {
    {"headwater-result", "other", "its \"format\" is not \"headwater-result\""},
    {"\"version\":1,", "\"version\":\"1\",", "\"version\" must be there and be a whole number"},
    {"\"version\":1,", "\"version\":0,", "\"version\" is 0"},
    {"\"run\":", "\"ran\":", "\"run\" must be there"},
    {"\"stop\":\"length\"", "\"stop\":\"x\"", "the run's description"},
    {"\"attributions\":", "\"others\":", "\"attributions\" must be there"},
    {"\"rollout\"", "\"magic\\n\"", "method \"magic?\": unknown name"},
    {"\"row\":\"own\"", "\"row\":\"none\"", "must be one of predictor, own"},
    {"\"direction\":\"input\"", "\"direction\":1", "\"direction\" must be there and be a string"},
    {"\"columns\":\"prompt\"", "\"columns\":\"all\"",
     "its shape is [1, 2, 2]; run and settings need [1, 3, 1 or more]"},
    {"\"residual\":0.5", "\"residual\":1.5", "setting \"residual\": must be a number from 0 to 1"},
    {"\"residual\":0.5", "\"residual\":null", "setting \"residual\": must be a number from 0 to 1"},
    {"\"residual_measured\":false", "\"residual_measured\":0",
     "\"residual_measured\" must be there and be true or false"},
    {"\"discard\":0.0", "\"discard\":1.0", "setting \"discard\": must be a number from 0 to below 1"},
    {"\"discard\":0.0", "\"discard\":-0.1", "setting \"discard\": must be a number from 0 to below 1"},
    {"\"discard\":0.0", "\"discard\":null", "setting \"discard\": must be a number from 0 to below 1"},
    {"\"discard\":0.0", "\"discard\":\"0\"", "\"discard\" must be there and be a number"},
    {"\"aggregate\":\"mean\"", "\"aggregate\":\"max\"", "must be one of mean, rollout"},
    {"\"aggregate\":\"mean\"", "\"aggregate\":1", "\"aggregate\" must be there and be a string"},
    {"\"remove_sink\":false", "\"remove_sink\":1", "\"remove_sink\" must be there and be true or false"},
    {"\"measure\":\"projection\"", "\"measure\":\"x\"", "must be one of projection"},
    {"\"seed\":\"0\"", "\"seed\":0", "\"seed\" must be there and be a string"},
    {"\"seed\":\"0\"", "\"seed\":\"18446744073709551616\"", "at most 18446744073709551615"},
    {"\"n_ablations\":64", "\"n_ablations\":-1", "\"n_ablations\" is -1"},
    {"\"seed\":\"0\"", "\"seed\":\"-1\"", "decimal digits"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0],\"n_groups\":1",
     "\"groups\" has 1 entries, there are 2 columns"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,2],\"n_groups\":2", "group 1: a whole number from -1 to 1"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,-2],\"n_groups\":2", "group 1: a whole number from -1 to 1"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":0", "\"n_groups\" is 0"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":2000000000",
     "need [1, 2000000000, 1 or more]"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":1", "\"groups\" must be there and be a list"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":2,\"group_names\":[\"a\"]",
     "\"group_names\" has 1 entries for 2 groups"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":1,\"group_names\":[1]",
     "name of group 0: a string is needed"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":1,\"group_names\":\"a\"",
     "\"group_names\" must be there and be a list"},
    {"\"first_mean\":", "\"first\":", "\"first_mean\" must be there"},
    {"\"layers\":[0,1],\"first", "\"layers\":[0],\"first", "\"layers\" has 1 entries for 2 layers"},
    {"\"layers\":[0,1],\"first", "\"layers\":[1,0],\"first", "rising layers of the model"},
    {"\"layers\":[0,1],\"first", "\"layers\":[0,2],\"first", "rising layers of the model"},
    {"\"layers\":[0,1],\"first", "\"layers\":[-1,0],\"first", "rising layers of the model"},
    {"\"layers\":[0,1],\"first", "\"layers\":[0,-1],\"first", "rising layers of the model"},
    {"\"first_token\":2", "\"first_token\":1", "\"first_token\" is 1: 2 to 2 is accepted"},
    {"\"first_token\":2", "\"first_token\":2,\"balance\":[]", "a list of 1 rows"},
    {"\"first_token\":2", "\"first_token\":2,\"balance\":[{\"prompt\":1}]",
     "balance row 0: \"completion\" must be there"},
    {"\"shape\":[1,2,2]", "\"shape\":[1,2]", "[n, m, L], each 1 or more"},
    {"\"shape\":[1,2,2]", "\"shape\":[1,2,0]", "[n, m, L], each 1 or more"},
    {"\"shape\":[1,2,2]", "\"shape\":[1,9223372036854775807,2]", "\"mean\" must hold lists"},
    {"\"shape\":[1,2,2]", "\"shape\":[1,2,9223372036854775807]", "\"outside\" must hold lists"},
    {"\"shape\":[1,2,2]", "\"shape\":[9223372036854775807,2,2]", "\"mean\" must hold lists"},
    {"\"mean\":[\n[", "\"mean\":[\n[[],", "\"mean\" must hold lists"},
    {"\"outside\":[\n[", "\"outside\":[\n[0,", "\"outside\" must hold lists"},
    {"\"outside\":[\n[0.6", "\"outside\":[\n[1e40,0.6", "\"outside\" must hold lists"},
    {"0.600000024", "1e40", "\"outside\" must hold numbers in float's range"},
    {"0.600000024", "\"x\"", "\"outside\" must hold numbers"},
};

/* For the whole M only. */
static const struct {
    const char *from, *to, *says;
} bad_tensors[] = {
    {"\"attribution\":[\n[[0.25", "\"attribution\":[\n[[1e39", "\"attribution\" must hold numbers in float's range"},
    {"\"attribution\":[\n[[0.25,", "\"attribution\":[\n[[",
     "\"attribution\" must hold lists of the lengths in \"shape\": one of 2"},
    {"\"attribution\":[\n[[", "\"attribution\":[\n[[],[", "one of 2 is missing"},
    {"\"attribution\":[\n[", "\"attribution\":[\n[],[", "one of 1 is missing"},
    {"\"attribution\":[\n", "\"attribution\":null,\"x\":[\n", "one of 1 is missing"},
};

static void json_results_that_cannot_be_right_are_refused(void **state) {
    (void)state;
    hw_result *result;
    hw_error err = {0};
    for (size_t i = 0; i < COUNT(bad_results); i++) {
        write_changed("a.json", false, bad_results[i].from, bad_results[i].to);
        assert_error(&err, hw_result_open(&result, temp_path("a.json"), &err), HW_ERR_FORMAT, bad_results[i].says);
        assert_non_null(strstr(err.msg, temp_path("a.json")));
    }
    for (size_t i = 0; i < COUNT(bad_tensors); i++) {
        write_changed("a.json", true, bad_tensors[i].from, bad_tensors[i].to);
        assert_error(&err, hw_result_open(&result, temp_path("a.json"), &err), HW_ERR_FORMAT, bad_tensors[i].says);
    }
    write_changed("a.json", false, "\"version\":1,", "\"version\":2,");
    assert_error(&err, hw_result_open(&result, temp_path("a.json"), &err), HW_ERR_UNSUPPORTED,
                 "this build reads up to version 1");
    write_changed("a.json", false, "\"version\":1,", "\"version\":1,\"later\":{},");
    hw_result_free(must_open(temp_path("a.json"))); /* unknown keys are passed over */
    assert_error(&err, hw_result_open(&result, temp_path("none.json"), &err), HW_ERR_IO, "No such file");
    write_bytes(temp_path("a.json"), "{\"format\":1,\"format\":2}", 23);
    assert_error(&err, hw_result_open(&result, temp_path("a.json"), &err), HW_ERR_FORMAT, "duplicate");
    temp_clear();
}

/* Settings that were added later: a file without them has what they were then. */
static void results_without_later_settings_open(void **state) {
    (void)state;
    static const char *const settings[] = {"\"residual_measured\":false,", "\"discard\":0.0,", "\"remove_sink\":false,",
                                           "\"aggregate\":\"mean\","};
    hw_attribution *a = worked_attribution();
    for (size_t i = 0; i < COUNT(settings); i++) {
        write_changed("a.json", true, settings[i], "");
        hw_result *result = must_open(temp_path("a.json"));
        assert_same_attribution(a, hw_result_at(result, 0));
        hw_result_free(result);
    }
    hw_attribution_free(a);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_without_the_whole_has_its_means),
        cmocka_unit_test(json_holds_many_methods),
        cmocka_unit_test(json_results_that_cannot_be_right_are_refused),
        cmocka_unit_test(results_without_later_settings_open),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
