/*
 * test_versus.c - logits contrasted on a real model: a token with itself is nothing, and A against B is A less B, each of
 * them above the mean, which two runs that part at that token give. In full precision the parts sum to the engine's own
 * logit; products of quantised weights round on the way there.
 */
#include "support/files.h"
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "Context: It is sunny today, which is bad.\nQ: How is the weather today ?\nA: It is";

static hw_trace *run(hw_model *model, const char *completion, const char *versus) {
    hw_run_params p = hw_run_params_default();
    p.prompt = PROMPT;
    p.prompt_bytes = strlen(PROMPT);
    p.completion = completion;
    p.completion_bytes = completion ? strlen(completion) : 0;
    p.n_generate = 4;
    p.versus = versus;
    hw_trace *trace = capture_keeping(model, p, HW_KEEP_ROWS, 1u << HW_SIGNAL_LOGIT);
    assert_string_equal(hw_run_versus(hw_trace_run(trace)), versus ? versus : "");
    return trace;
}

static hw_attribution *logit(hw_trace *trace) {
    hw_attribution *a;
    assert_int_equal(hw_explain(&a, trace, "logit", NULL, NULL), HW_OK);
    hw_trace_free(trace);
    return a;
}

static const double *members(const hw_balance *b) { return &b->prompt; }
enum { N_MEMBERS = sizeof(hw_balance) / sizeof(double) };

/* Row i: contrasted = of less than, both above the mean. */
static void assert_difference(const hw_attribution *contrast, const hw_attribution *of, const hw_attribution *than,
                              size_t i, double bound) {
    size_t cells = of->n_columns * of->n_layers;
    double most = 0;
    for (size_t c = i * cells; c < (i + 1) * cells; c++) {
        double want = (double)of->values[c] - (double)than->values[c];
        assert_close(contrast->values[c], want, bound);
        most = fmax(most, fabs(want));
    }
    assert_true(most > 100 * bound); /* and it is not nothing */
    for (size_t j = 0; j < N_MEMBERS; j++)
        assert_close(members(&contrast->balance[i])[j], members(&of->balance[i])[j] - members(&than->balance[i])[j],
                     1e-3);
}

static void one_token_less_another(void **state) {
    hw_model *model = *state;
    hw_attribution *sunny = logit(run(model, " sunny", NULL)), *cold = logit(run(model, " cold", NULL));
    hw_attribution *contrast = logit(run(model, " sunny", " cold")), *back = logit(run(model, " cold", " sunny"));
    assert_difference(contrast, sunny, cold, 0, 1e-5);
    assert_difference(back, cold, sunny, 0, 1e-5);
    const hw_balance *b = contrast->balance;
    assert_close(b->prompt + b->completion + b->bias + b->mlp + b->embedding, b->logit, 1e-4);
    assert_true(fabs(b->logit) > 1);
    hw_attribution_free(sunny);
    hw_attribution_free(cold);
    hw_attribution_free(contrast);
    hw_attribution_free(back);
}

static void a_token_against_itself_is_nothing(void **state) {
    hw_attribution *a = logit(run(*state, " sunny", " sunny"));
    for (size_t c = 0; c < a->n_columns * a->n_layers; c++) assert_close(a->values[c], 0, 0);
    for (size_t j = 0; j < N_MEMBERS; j++) assert_close(members(a->balance)[j], 0, 0);
    hw_attribution_free(a);
}

/* Of a generation each step's own second, named by hand, gives that step's row. */
static void second_is_the_next_best_of_each_step(void **state) {
    hw_model *model = *state;
    hw_attribution *a = logit(run(model, NULL, "second"));
    assert_int_equal(a->n_rows, 4);
    size_t cells = a->n_columns * a->n_layers;
    for (size_t i = 0; i < a->n_rows; i++) {
        char text[64] = "=";
        hw_token token = hw_run_token(a->run, a->first_token + i);
        const hw_alternative *other = &token.alternatives[token.alternatives[0].id == token.id];
        memcpy(text + 1, other->bytes, other->n_bytes);
        hw_attribution *b = logit(run(model, NULL, text));
        assert_memory_equal(a->values + i * cells, b->values + i * cells, cells * sizeof(float));
        assert_close(a->balance[i].logit, (double)token.logprob - (double)other->logprob,
                     1e-4); /* the normaliser drops out */
        hw_attribution_free(b);
    }
    hw_attribution_free(a);
}

static void saved_runs_know_what_was_contrasted(void **state) {
    const char *path = temp_path("versus.safetensors");
    hw_trace *trace = run(*state, " sunny", " cold"), *back;
    assert_int_equal(hw_trace_save(trace, path, NULL), HW_OK);
    assert_int_equal(hw_trace_open(&back, path, NULL), HW_OK);
    assert_string_equal(hw_run_versus(hw_trace_run(back)), " cold");
    hw_attribution *a = logit(trace), *b = logit(back);
    assert_memory_equal(a->values, b->values, a->n_columns * a->n_layers * sizeof(float));
    assert_memory_equal(a->balance, b->balance, sizeof *a->balance);
    hw_attribution_free(a);
    hw_attribution_free(b);
}

static int open_model(void **state) {
    files_setup(NULL);
    hw_error err;
    hw_model *model;
    hw_model_params params = hw_model_params_default();
    params.n_threads = 2;
    params.f32_cache = true;
    if (hw_model_open(&model, test_model_path("SmolLM2-135M-Instruct.F32.gguf"), &params, &err) != HW_OK)
        fail_msg("%s", err.msg);
    *state = model;
    return 0;
}

static int close_model(void **state) {
    hw_model_close(*state);
    return files_teardown(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_token_less_another),
        cmocka_unit_test(a_token_against_itself_is_nothing),
        cmocka_unit_test(second_is_the_next_best_of_each_step),
        cmocka_unit_test(saved_runs_know_what_was_contrasted),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
