/*
 * test_null_arguments.c - a pointer that a caller forgot is an error with a message, in every public function that can
 * fail; and params that have defaults take NULL for them.
 */
#include "support/fake_engine.h"
#include "support/sample.h"

#include <string.h>

static hw_model *model;
static hw_trace *trace;
static const hw_run *run;
static hw_attribution *made;
static hw_error err;

/* The call fails with ARGUMENT and a message. */
#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        err = (hw_error){0};                                                                                           \
        assert_int_equal((call), HW_ERR_ARGUMENT);                                                                     \
        assert_true(strlen(err.msg) > 0);                                                                              \
    } while (0)

static void runs(void **state) {
    (void)state;
    hw_trace *t;
    hw_run *r;
    hw_estimate e;
    size_t begin, end;
    hw_run_params params = ask("a b", NULL, 1);
    REFUSED(hw_trace_capture(&t, model, NULL, &err));
    REFUSED(hw_trace_capture(&t, NULL, &params, &err));
    REFUSED(hw__run_generate(&r, model, NULL, &err));
    REFUSED(hw__run_generate(&r, NULL, &params, &err));
    REFUSED(hw_run_tokenize(&r, model, NULL, &err));
    REFUSED(hw_run_tokenize(&r, NULL, &params, &err));
    REFUSED(hw_run_estimate(&e, sizeof e, model, NULL, &err));
    REFUSED(hw_run_estimate(&e, sizeof e, NULL, &params, &err));
    REFUSED(hw_run_select(&begin, &end, NULL, "0", &err));
    REFUSED(hw_run_select(&begin, &end, run, NULL, &err));
    params.prompt = NULL;
    REFUSED(hw_trace_capture(&t, model, &params, &err));
    hw_run_params defaults = hw_run_params_default();
    REFUSED(hw_trace_capture(&t, model, &defaults, &err));
}

static void files(void **state) {
    (void)state;
    hw_trace *t;
    hw_result *result;
    hw_file_kind kind;
    hw_model *m;
    const hw_attribution *list[] = {NULL};
    REFUSED(hw_model_open(&m, NULL, NULL, &err));
    REFUSED(hw_model_check_chat(NULL, NULL, &err));
    REFUSED(hw_model_file_read(NULL, 0, NULL, &err));
    REFUSED(hw_trace_open(&t, NULL, &err));
    REFUSED(hw_trace_import(&t, NULL, HW_FUSE_MEAN, &err));
    REFUSED(hw_trace_save(NULL, "t", &err));
    REFUSED(hw_trace_save(trace, NULL, &err));
    REFUSED(hw_trace_save_as(NULL, "t", NULL, &err));
    REFUSED(hw_trace_save_as(trace, NULL, NULL, &err));
    REFUSED(hw_state_open(&t, NULL, "t", &err));
    REFUSED(hw_state_open(&t, model, NULL, &err));
    REFUSED(hw_result_save(NULL, 1, "r.json", false, &err));
    REFUSED(hw_result_save(list, 1, "r.json", false, &err));
    REFUSED(hw_result_save(NULL, 0, "r.json", false, &err));
    list[0] = made;
    REFUSED(hw_result_save(list, 1, NULL, false, &err));
    REFUSED(hw_result_open(&result, NULL, &err));
    REFUSED(hw_file_probe(&kind, NULL, &err));
    REFUSED(hw_worker_run(NULL, &err));
}

static void explanations(void **state) {
    (void)state;
    hw_attribution *a;
    hw_explainer *x;
    hw_view *view;
    size_t begin, end;
    const int32_t groups[SAMPLE_TOKENS] = {0};
    REFUSED(hw_explain(&a, NULL, "rollout", NULL, &err));
    REFUSED(hw_explain(&a, trace, NULL, NULL, &err));
    assert_int_equal(hw_explainer_new(&x, NULL, &err), HW_OK);
    REFUSED(hw_explainer_add(x, NULL, NULL, &err));
    REFUSED(hw_explainer_add(NULL, "rollout", NULL, &err));
    assert_int_equal(hw_explainer_add(x, "rollout", NULL, &err), HW_OK);
    REFUSED(hw_explainer_split(x, NULL, true, &err));
    REFUSED(hw_explainer_split(NULL, "word", true, &err));
    REFUSED(hw_explainer_split_spans(x, NULL, 0, NULL, true, &err));
    REFUSED(hw_explainer_split_spans(NULL, "[]", 2, NULL, true, &err));
    REFUSED(hw_explainer_result(&a, x, 0, NULL, &err));
    REFUSED(hw_explainer_result(&a, NULL, 0, trace, &err));
    REFUSED(hw_explainer_result(&a, x, 1, trace, &err)); /* there is one method */
    assert_null(hw_explainer_segments(NULL));
    hw_explainer_free(x);
    hw_explainer_free(NULL);
    REFUSED(hw_attribution_group(&a, NULL, groups, NULL, 1, &err));
    REFUSED(hw_attribution_group(&a, made, NULL, NULL, 1, &err));
    REFUSED(hw_attribution_through(&a, NULL, &err));
    REFUSED(hw_attribution_select_layers(&begin, &end, NULL, "1", &err));
    REFUSED(hw_attribution_select_layers(&begin, &end, made, NULL, &err));
    REFUSED(hw_view_new(&view, NULL, NULL, &err));
    assert_int_equal(hw_view_new(&view, made, NULL, &err), HW_OK);
    hw_view_free(view);
    assert_int_equal(hw_filter_check(NULL, &err), HW_OK); /* none */
    assert_int_equal(hw_method_signals(NULL, NULL), 0);
    assert_null(hw_method_find(NULL));
    assert_int_equal(hw_method_active_traits(NULL, NULL), 0);
    assert_true(hw_method_active_traits(hw_method_find("rollout"), NULL) & HW_USES_FUSE);
}

static void segments(void **state) {
    (void)state;
    hw_segments *s;
    hw_partition *partition;
    REFUSED(hw_segments_new(&s, NULL, HW_SIDE_PROMPT, "word", &err));
    REFUSED(hw_segments_new(&s, run, HW_SIDE_PROMPT, NULL, &err));
    REFUSED(hw_segments_from_spans(&s, NULL, HW_SIDE_PROMPT, &(hw_span){"a", 0, 1}, 1, &err));
    REFUSED(hw_segments_from_spans(&s, run, HW_SIDE_PROMPT, NULL, 1, &err));
    REFUSED(hw_segments_from_json(&s, NULL, HW_SIDE_PROMPT, "[]", 2, &err));
    REFUSED(hw_segments_from_json(&s, run, HW_SIDE_PROMPT, NULL, 2, &err));
    REFUSED(hw_segments_partition(&partition, NULL, &err));
}

static void judgements(void **state) {
    (void)state;
    hw_check *check;
    hw_citation *citation;
    hw_confirmation *confirmation;
    hw_segments *parts;
    const hw_attribution *list[] = {made};
    assert_int_equal(hw_segments_new(&parts, run, HW_SIDE_PROMPT, "word", &err), HW_OK);
    REFUSED(hw_check_new(&check, NULL, trace, &(hw_check_subject){parts, list, 1}, NULL, &err));
    REFUSED(hw_check_new(&check, model, NULL, &(hw_check_subject){parts, list, 1}, NULL, &err));
    REFUSED(hw_check_new(&check, model, trace, &(hw_check_subject){NULL, list, 1}, NULL, &err));
    REFUSED(hw_check_new(&check, model, trace, &(hw_check_subject){parts, NULL, 1}, NULL, &err));
    REFUSED(hw_citation_new(&citation, NULL, parts, parts, NULL, &err));
    REFUSED(hw_citation_new(&citation, made, NULL, parts, NULL, &err));
    REFUSED(hw_citation_new(&citation, made, parts, NULL, NULL, &err));
    REFUSED(hw_confirmation_new(&confirmation, NULL, trace, &(hw_cited){NULL, parts, parts}, NULL, &err));
    hw_segments_free(parts);
}

static void texts(void **state) {
    (void)state;
    char *out;
    hw_method_params params = hw_method_params_default();
    const hw_attribution *list[] = {NULL};
    REFUSED(hw_document_json(&out, NULL, NULL, NULL, 0, &err));
    REFUSED(hw_document_json(&out, run, NULL, NULL, 1, &err));
    REFUSED(hw_document_json(&out, run, NULL, list, 1, &err));
    REFUSED(hw_attribution_json(&out, NULL, NULL, &err));
    REFUSED(hw_token_json(&out, NULL, NULL, 0, &err));
    REFUSED(hw_token_json(&out, NULL, run, hw_run_n_tokens(run), &err));
    REFUSED(hw_model_json(&out, NULL, NULL, &err));
    REFUSED(hw_setting_set(NULL, hw_setting_at(0), 0, &err));
    REFUSED(hw_setting_set(&params, NULL, 0, &err));
    REFUSED(hw_setting_read(NULL, hw_setting_at(0), "1", &err));
    REFUSED(hw_setting_read(&params, NULL, "1", &err));
    REFUSED(hw_setting_read(&params, hw_setting_at(0), NULL, &err));
    REFUSED(hw_setting_read_option(NULL, "row", "own", &err));
    REFUSED(hw_setting_read_option(&params, NULL, "own", &err));
    REFUSED(hw_setting_read_option(&params, "row", NULL, &err));
    REFUSED(hw_fuse_parse(&(hw_fuse){0}, NULL, &err));
    REFUSED(hw_row_convention_parse(&(hw_row_convention){0}, NULL, &err));
}

static int set_up(void **state) {
    (void)state;
    static fake_params fake;
    fake = fake_params_default();
    model = fake_model(&fake);
    trace = sample_trace(true, 0, 0);
    run = hw_trace_run(trace);
    return hw_explain(&made, trace, "rollout", NULL, &err);
}

static int tear_down(void **state) {
    (void)state;
    hw_attribution_free(made);
    hw_trace_free(trace);
    hw_model_close(model);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs),     cmocka_unit_test(files),      cmocka_unit_test(explanations),
        cmocka_unit_test(segments), cmocka_unit_test(judgements), cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
