/*
 * test_watch.c - what a decode shows is the same whether its nodes are kept in the arena or the graph stops at each.
 */
#include "engine/llama/graph/llama_engine.h"
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const models[] = {"SmolLM2-135M-Instruct.F32.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf",
                                     "gemma-3-270m-q4_k_m.gguf"};
static const char PROMPT[] =
    "Anna keeps her key in the red box. Tom lives near the sea. Where is the key? It is in the";

static hw_model *open_model(const char *name) {
    char path[256];
    hw_model_params p = hw_model_params_default();
    p.n_threads = 2;
    hw_model *model = NULL;
    hw_error err = {0};
    snprintf(path, sizeof path, "%s/%s", getenv("HEADWATER_TEST_MODELS"), name);
    if (hw_model_open(&model, path, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return model;
}

static hw_trace *capture(hw_model *model, const char *completion) {
    hw_run_params p = hw_run_params_default();
    p.prompt = PROMPT;
    p.prompt_bytes = strlen(PROMPT);
    p.completion = completion;
    p.completion_bytes = completion ? strlen(completion) : 0;
    p.n_generate = 5;
    return capture_keeping(model, p, HW_KEEP_ROWS,
                           1u << HW_SIGNAL_LOGIT | 1u << HW_SIGNAL_PROXIMITY1 | 1u << HW_SIGNAL_RESIDUAL);
}

static void assert_same_rows(const hw_trace *a, const hw_trace *b) {
    size_t n_tokens = hw_run_n_tokens(hw_trace_run(a)), n;
    assert_int_equal(n_tokens, hw_run_n_tokens(hw_trace_run(b)));
    for (size_t l = 0; l < a->n_layers; l++)
        for (size_t q = 0; q < n_tokens; q++) {
            const float *x = hw_trace_row(a, l, q, &n), *y = hw_trace_row(b, l, q, &n);
            assert_memory_equal(x, y, n * sizeof *x);
        }
}

/* Which operand of the residual sum is read, and which follows from it, may differ: a rounding of the stream. */
static void assert_near_signals(const hw_trace *a, const hw_trace *b, hw_signal signal, double bound) {
    size_t m = hw_run_n_prompt(hw_trace_run(a)), n = hw_run_n_completion(hw_trace_run(a));
    double worst = 0;
    for (size_t l = 0; l < a->n_layers; l++)
        for (size_t r = 0; r <= n; r++)
            for (size_t k = 0; k < m + r; k++)
                worst = fmax(worst, fabs(hw__trace_signal(a, signal, l, r)[k] - hw__trace_signal(b, signal, l, r)[k]));
    print_message("  %-12s off by %.1e at most\n", hw_signal_name(signal), worst);
    assert_true(worst <= bound);
}

static void check_model(const char *name) {
    hw_model *model = open_model(name);
    hw__llama_engine *e = (hw__llama_engine *)model->engine;
    size_t bytes = e->arena.bytes;
    for (int given = 0; given < 2; given++) {
        const char *completion = given ? " red box, where she left it." : NULL;
        hw_trace *kept = capture(model, completion);
        assert_true(e->arena.open);
        e->arena.bytes = 0;
        hw_trace *stopped = capture(model, completion);
        assert_false(e->arena.open);
        print_message("%s, %s\n", name, given ? "given" : "generated");
        assert_same_rows(kept, stopped);
        assert_near_signals(kept, stopped, HW_SIGNAL_LOGIT, 1e-5);
        assert_near_signals(kept, stopped, HW_SIGNAL_PROXIMITY1, 1e-5);
        e->arena.bytes = bytes;
        hw_trace_free(kept);
        hw_trace_free(stopped);
    }
    hw_model_close(model);
}

static void keeping_shows_what_stopping_shows(void **state) {
    (void)state;
    if (slow_kernels()) {
        check_model(models[1]);
        return;
    }
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) check_model(models[i]);
}

static hw_trace *short_run(hw_model *model, const char *prompt, bool signals) {
    hw_run_params p = hw_run_params_default();
    p.prompt = prompt;
    p.prompt_bytes = strlen(prompt);
    p.n_generate = 3;
    return capture_keeping(model, p, HW_KEEP_ROWS, signals ? 1u << HW_SIGNAL_LOGIT | 1u << HW_SIGNAL_PROXIMITY1 : 0);
}

/* A decode of the same number of tokens as the one before uses its graph again, also the probe's: nodes that were kept
 * then, and are not read now, must not write over what is. */
static void a_graph_that_is_used_again_keeps_its_nodes_apart(void **state) {
    (void)state;
    static const char *const prompts[] = {"Once upon a time", "The"}; /* as many tokens as the probe has; one */
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        hw_model *kept = open_model(models[1]), *stopped = open_model(models[1]);
        ((hw__llama_engine *)stopped->engine)->arena.bytes = 0;
        for (int run = 0; run < (slow_kernels() ? 2 : 4); run++) {
            hw_trace *a = short_run(kept, prompts[i], run % 2), *b = short_run(stopped, prompts[i], run % 2);
            for (size_t t = 0; t < hw_run_n_tokens(hw_trace_run(b)); t++)
                assert_int_equal(hw_run_token(hw_trace_run(a), t).id, hw_run_token(hw_trace_run(b), t).id);
            assert_same_rows(a, b);
            hw_trace_free(a);
            hw_trace_free(b);
        }
        hw_model_close(kept);
        hw_model_close(stopped);
    }
}

/* Where the suite chose the engine's backend and OpenBLAS's kernels (tests/kernels.cmake), these are what runs. */
static void kernels_are_those_that_were_chosen(void **state) {
    (void)state;
    const char *backend = getenv("HEADWATER_TEST_BACKEND"), *core = getenv("OPENBLAS_CORETYPE");
    if (!backend || !core) skip();
    bool found = false;
    char line[1024], blas[64];
    hw_model *model = open_model(models[1]);
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) found = found || strstr(line, backend);
    fclose(maps);
    snprintf(blas, sizeof blas, "OpenBLAS %s", core);
    if (!found) fail_msg("%s is not loaded", backend);
    assert_string_equal(hw_blas(), blas);
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeping_shows_what_stopping_shows),
        cmocka_unit_test(a_graph_that_is_used_again_keeps_its_nodes_apart),
        cmocka_unit_test(kernels_are_those_that_were_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
