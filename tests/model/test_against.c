/*
 * test_against.c - logits compared on a real model: a token with itself is nothing, and A against B is A less B, each
 * of them above the mean, which two runs that part at that token give; against the distribution the parts sum to what
 * the engine's logits say. In full precision the parts sum to the engine's own logit; products of quantised weights
 * round on the way there.
 */
#include "capture/top_tokens.h"
#include "support/files.h"
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "Context: It is sunny today, which is bad.\nQ: How is the weather today ?\nA: It is";

static hw_trace *run(hw_model *model, const char *completion, const char *against) {
    hw_run_params p = hw_run_params_default();
    p.prompt = PROMPT;
    p.prompt_bytes = strlen(PROMPT);
    p.completion = completion;
    p.completion_bytes = completion ? strlen(completion) : 0;
    p.n_generate = 4;
    p.against = against;
    hw_trace *trace = capture_keeping(model, p, HW_KEEP_ROWS, 1u << HW_SIGNAL_LOGIT);
    assert_string_equal(hw_run_against(hw_trace_run(trace)), against && strcmp(against, "mean") != 0 ? against : "");
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
    double max = 0;
    for (size_t c = i * cells; c < (i + 1) * cells; c++) {
        double want = (double)of->values[c] - (double)than->values[c];
        assert_close(contrast->values[c], want, bound);
        max = fmax(max, fabs(want));
    }
    assert_true(max > 100 * bound); /* and it is not nothing */
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

/* The second token of each step of a generation, named explicitly, gives that step's row. */
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

/* What the rows are above is the same for both: they differ as rows above the mean do. */
static void the_distribution_of_a_step_is_one(void **state) {
    hw_model *model = *state;
    hw_attribution *sunny = logit(run(model, " sunny", "mean")), *cold = logit(run(model, " cold", NULL));
    hw_attribution *a = logit(run(model, " sunny", "distribution")), *b = logit(run(model, " cold", "distribution"));
    size_t cells = a->n_columns * a->n_layers;
    double max = 0;
    for (size_t c = 0; c < cells; c++) {
        double want = (double)sunny->values[c] - (double)cold->values[c];
        assert_close((double)a->values[c] - b->values[c], want, 1e-5);
        max = fmax(max, fabs(want));
    }
    assert_true(max > 1e-3);
    assert_close(a->balance->logit - b->balance->logit, sunny->balance->logit - cold->balance->logit, 1e-4);
    hw_attribution_free(sunny);
    hw_attribution_free(cold);
    hw_attribution_free(a);
    hw_attribution_free(b);
}

typedef struct candidate {
    double logit;
    int32_t id;
} candidate;

static int by_falling_logit(const void *a, const void *b) {
    double x = ((const candidate *)a)->logit, y = ((const candidate *)b)->logit;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* logit - sum_v p_v logit_v, from the engine's logits: of the likeliest 256 others and the token each, the rest as the
 * mean. *rest <- the probability of the rest. */
static double above_the_expected(hw_model *model, const hw_run *run, double *rest) {
    hw__engine *e = model->engine;
    size_t m = run->n_prompt, n = (size_t)run->model.n_vocab;
    int32_t ids[64], chosen = run->tokens[m].id;
    assert_true(m <= 64);
    for (size_t i = 0; i < m; i++) ids[i] = run->tokens[i].id;
    assert_int_equal(e->ops->begin(e, m, NULL, NULL, NULL), HW_OK);
    assert_int_equal(e->ops->decode(e, (hw__token_batch){ids, m, 0, m - 1}, NULL, NULL), HW_OK);
    const float *logits = e->ops->logits(e, m - 1);
    candidate *all = hw__alloc(n, sizeof *all);
    double norm = 0, mean = 0, expected = 0;
    for (size_t i = 0; i < n; i++) {
        all[i] = (candidate){logits[i], (int32_t)i};
        norm += exp(logits[i]);
        mean += logits[i] / (double)n;
    }
    qsort(all, n, sizeof *all, by_falling_logit);
    *rest = 0;
    for (size_t i = 0, others = 0; i < n; i++) {
        bool kept = all[i].id == chosen || others < HW__MAX_OTHERS;
        double p = exp(all[i].logit) / norm;
        others += all[i].id != chosen;
        expected += p * (kept ? all[i].logit : mean);
        *rest += kept ? 0 : p;
    }
    double above = logits[chosen] - expected;
    free(all);
    return above;
}

static void the_distribution_closes(void **state) {
    static const char *const words[] = {" sunny", " cold"};
    hw_model *model = *state;
    for (size_t i = 0; i < 2; i++) {
        hw_trace *trace = run(model, words[i], "distribution");
        hw_attribution *a = logit(trace);
        const hw_balance *b = a->balance;
        double rest;
        assert_close(b->prompt + b->completion + b->bias + b->mlp + b->embedding, b->logit, 1e-4);
        assert_close(b->logit, above_the_expected(model, a->run, &rest), 1e-4);
        print_message("beyond the likeliest %d: %.3f\n", HW__MAX_OTHERS, rest);
        assert_true(rest < 0.25);
        hw_attribution_free(a);
    }
}

static void saved_runs_know_what_was_contrasted(void **state) {
    const char *path = temp_path("against.safetensors");
    hw_trace *trace = run(*state, " sunny", " cold"), *back;
    assert_int_equal(hw_trace_save(trace, path, NULL), HW_OK);
    assert_int_equal(hw_trace_open(&back, path, NULL), HW_OK);
    assert_string_equal(hw_run_against(hw_trace_run(back)), " cold");
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
        cmocka_unit_test(the_distribution_of_a_step_is_one),
        cmocka_unit_test(the_distribution_closes),
        cmocka_unit_test(saved_runs_know_what_was_contrasted),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
