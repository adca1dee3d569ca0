/* test_rewrite.c - what a model writes without some of its prompt, on a model whose answer depends on its prompt by
 * addition. */
#include "support/additive.h"

#include <stdlib.h>
#include <string.h>

static const additive model_of = {.base = {-4, -4, 4}, .chars = "ab", .effect = {{8, 0}, {0, 8}, {0, 0}}};

static void assert_written(hw_model *model, const hw_trace *trace, const hw_segments *segments, const char *left_out,
                           const char *want) {
    static const char prompt[] = "abcd";
    bool without[4] = {false};
    char *text = NULL;
    size_t n;
    hw_error err;
    for (size_t i = 0; i < 4; i++) without[i] = strchr(left_out, prompt[i]) != NULL;
    hw_omission omission = {.segments = segments, .without = without};
    if (hw_run_rewrite(&text, &n, model, hw_trace_run(trace), omission, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_string_equal(text, want);
    assert_int_equal(n, strlen(want));
    free(text);
}

static bool always(void *ctx) {
    (void)ctx;
    return true;
}

static void it_is_written_again_from_what_is_left(void **state) {
    (void)state;
    fake_params params = additive_params(&model_of);
    hw_model *model = fake_model(&params);
    hw_run_params run = ask("abcd", "XYZ", 0);
    hw_span spans[] = {{.begin = 0, .end = 1}, {.begin = 1, .end = 2}, {.begin = 2, .end = 3}, {.begin = 3, .end = 4}};
    hw_trace *trace;
    hw_segments *segments, *answer;
    hw_error err;
    char *text = NULL;
    size_t n;
    bool none[4] = {false}, all[4] = {true, true, true, true};
    if (hw_trace_capture(&trace, model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
    const hw_run *r = hw_trace_run(trace);
    assert_int_equal(hw_segments_from_spans(&segments, r, HW_SIDE_PROMPT, spans, 4, &err), HW_OK);
    assert_int_equal(hw_segments_new(&answer, r, HW_SIDE_COMPLETION, "token", &err), HW_OK);
    assert_written(model, trace, segments, "", "XYZ");
    assert_written(model, trace, segments, "c", "XYZ");
    assert_written(model, trace, segments, "b", "X.X"); /* after what is no `Y` comes the first step again */
    assert_written(model, trace, segments, "a", "...");
    hw_omission whole = {.segments = segments, .without = all}, other = {.segments = answer, .without = none},
                stopped = {.segments = segments, .without = none, .stop = always};
    assert_error(&err, hw_run_rewrite(&text, &n, model, r, whole, &err), HW_ERR_ARGUMENT, "no token of the prompt");
    assert_error(&err, hw_run_rewrite(&text, &n, model, r, other, &err), HW_ERR_ARGUMENT, "segments of 3 tokens");
    assert_int_equal(hw_run_rewrite(&text, &n, model, r, stopped, &err), HW_ERR_CANCELLED);
    assert_null(text);
    hw_segments_free(answer);
    hw_segments_free(segments);
    hw_trace_free(trace);
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_written_again_from_what_is_left)};
    return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
