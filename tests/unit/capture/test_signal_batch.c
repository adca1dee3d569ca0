/* test_signal_batch.c - what is refused before a model runs for it; what waiting rows become is in
 * model/test_composed.c. */
#include "capture/signal_batch.h"
#include "support/fixture.h"

static const hw_model_info info = {
    .path = "m.gguf", .n_embd = 8, .n_heads = 2, .values_problem = "", .readout_problem = ""};

static const hw_model_info *described;
static const hw_model_info *describe(const hw__engine *e) {
    (void)e;
    return described;
}
static const hw__engine_ops ops = {.describe = describe};
static const hw__engine engine = {.ops = &ops};

static hw_err make(hw_trace *trace, uint32_t wanted, const hw_model_info *of, size_t n_tokens, hw_error *err) {
    hw__signal_batch p;
    described = of;
    hw_err rc = hw__signal_batch_new(&p, trace, wanted, &engine, n_tokens, err);
    hw__signal_batch_free(&p);
    return rc;
}

/* 3 layers: T^2 / 2 floats of each. */
static void every_row_of_too_many_tokens_is_refused(void **state) {
    (void)state;
    hw_error err = {0};
    hw_trace *trace =
        make_trace(&(trace_spec){.n_layers = 3, .n_heads = 2, .n_prompt = 4, .attention = random_attention});
    const uint32_t one = 1u << HW_SIGNAL_ALL_NORM, four = 15u << HW_SIGNAL_ALL_PROJECTION;
    assert_error(
        &err, make(trace, one, &info, 30000, &err), HW_ERR_ARGUMENT,
        "contributions of every row over 30000 tokens and 3 layers would take 5.0 GiB, at most 4 GiB are kept");
    assert_error(&err, make(trace, four, &info, 15000, &err), HW_ERR_ARGUMENT, "5.0 GiB");
    assert_int_equal(make(trace, four, &info, 40, &err), HW_OK);
    hw_trace_free(trace);
}

static void what_the_engine_cannot_show_is_named(void **state) {
    (void)state;
    hw_error err = {0};
    hw_model_info lacking = info;
    hw_trace *trace =
        make_trace(&(trace_spec){.n_layers = 3, .n_heads = 2, .n_prompt = 4, .attention = random_attention});
    lacking.readout_problem = "no norm";
    assert_error(&err, make(trace, 1u << HW_SIGNAL_LOGIT, &lacking, 9, &err), HW_ERR_UNSUPPORTED,
                 "how logits arise: no norm");
    lacking.values_problem = "no values";
    assert_error(&err, make(trace, 1u << HW_SIGNAL_ALL_NORM, &lacking, 9, &err), HW_ERR_UNSUPPORTED,
                 "what attention carries: no values");
    assert_int_equal(make(trace, 0, &lacking, 9, &err), HW_OK);
    hw_trace_free(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_too_many_tokens_is_refused),
        cmocka_unit_test(what_the_engine_cannot_show_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
