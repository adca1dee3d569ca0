/*
 * test_check.c - running a real model again: passes agree with the run itself and with each other, and on facts in
 * random order the check distinguishes an explanation that finds the fact from one that does not.
 */
#include "support/fixture.h"

#include "base/splitmix64.h"
#include "occlusion/keep_masks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far apart, in nats, the same text in different batches may be. Kernels for quantised weights round by the shape
 * of a batch: there every batch is one token, so that all numbers of the engine are the same. */
static const struct {
    const char *name;
    int32_t n_ubatch;
    double bound;
} models[] = {{"SmolLM2-135M-Instruct.F32.gguf", 0, 1e-4},
              {"SmolLM2-135M-Instruct.Q4_1.gguf", 1, 1e-6},
              {"gemma-3-270m-q4_k_m.gguf", 1, 1e-6}};
enum { N_MODELS = 3, N_FACTS = 8, N_PROMPTS = 3, N_ABLATIONS = 8 };

static hw_model *open_model(const char *name, int32_t n_ubatch) {
    hw_error err;
    hw_model *model;
    hw_model_params params = hw_model_params_default();
    params.n_ubatch = n_ubatch;
    params.f32_cache = strstr(name, "F32") != NULL;
    if (hw_model_open(&model, test_model_path(name), &params, &err) != HW_OK) fail_msg("%s", err.msg);
    return model;
}

static hw_trace *run_model(hw_model *model, const char *prompt, const char *completion) {
    hw_run_params params = hw_run_params_default();
    params.prompt = prompt;
    params.prompt_bytes = strlen(prompt);
    params.completion = completion;
    params.completion_bytes = strlen(completion);
    return capture_keeping(model, params, HW_KEEP_ROWS, 1u << HW_SIGNAL_PROJECTION);
}

/* ------------------------------------------------------------------ passes */

static void passes_agree_with_the_run_and_each_other(void **state) {
    (void)state;
    for (size_t i = 0; i < N_MODELS; i++) {
        hw_model *model = open_model(models[i].name, models[i].n_ubatch);
        hw_trace *trace = run_model(model, "The river rises in the hills. The town lies by the sea. The bridge is old.",
                                    " The town has a small harbour and a market.");
        const hw_run *run = hw_trace_run(trace);
        size_t m = hw_run_n_prompt(run), n = hw_run_n_completion(run);
        hw__masked_pass *rerun;
        assert_int_equal(hw__masked_pass_new(&rerun, model, run, NULL, NULL, NULL), HW_OK);
        bool *keep = hw__alloc(m, 1);
        double *first = hw__alloc(n, sizeof *first), *again = hw__alloc(n, sizeof *again), worst_run = 0,
               worst_again = 0;
        memset(keep, true, m);
        assert_int_equal(hw__masked_pass_score(rerun, keep, first, NULL), HW_OK);
        for (size_t t = 0; t < n; t++) worst_run = fmax(worst_run, fabs(first[t] - hw_run_token(run, m + t).logprob));
        for (uint64_t seed = 1; seed < 3; seed++) { /* by way of another text, and by a sequence of its own */
            uint64_t dice = seed;
            hw__masked_pass *fresh;
            for (size_t t = 0; t < m; t++) keep[t] = hw__random_bits(&dice) >> 63;
            keep[m / 2] = true;
            assert_int_equal(hw__masked_pass_score(rerun, keep, first, NULL), HW_OK);
            assert_int_equal(hw__masked_pass_new(&fresh, model, run, NULL, NULL, NULL), HW_OK);
            assert_int_equal(hw__masked_pass_score(fresh, keep, again, NULL), HW_OK);
            hw__masked_pass_free(fresh);
            for (size_t t = 0; t < n; t++) worst_again = fmax(worst_again, fabs(first[t] - again[t]));
            hw__masked_pass_free(rerun); /* the fresh one took the engine's sequence */
            assert_int_equal(hw__masked_pass_new(&rerun, model, run, NULL, NULL, NULL), HW_OK);
            memset(keep, true, m);
            assert_int_equal(hw__masked_pass_score(rerun, keep, first, NULL), HW_OK);
        }
        print_message("%s: passes differ from the run by at most %.2g nats, from each other by %.2g\n", models[i].name,
                      worst_run, worst_again);
        assert_true(worst_run <= models[i].bound && worst_again <= models[i].bound);
        free(keep);
        free(first);
        free(again);
        hw__masked_pass_free(rerun);
        hw_trace_free(trace);
        hw_model_close(model);
    }
}

/* ------------------------------------------------------------------ facts in random order */

static const char *const people[N_FACTS] = {"Anna", "Boris", "Clara", "David", "Elena", "Frank", "Greta", "Henry"};
static const char *const doings[N_FACTS] = {"keeps",    "repairs", "paints",  "sells",
                                            "collects", "draws",   "carries", "breeds"};
static const char *const things[N_FACTS] = {"bees", "clocks", "boats", "tulips", "stamps", "kites", "bread", "horses"};

/* A question about one of the facts before it. Only the facts are segments: the question and the answer's first words
 * stay, or leaving them out would outweigh any fact. */
typedef struct question {
    char prompt[1024];
    hw_span facts[N_FACTS];
    size_t evidence; /* the fact that the question is about */
    const char *thing;
} question;

/* "Greta carries clocks. ... Question: What does Clara do? Answer: Clara paints": things go to people by chance. */
static void write_question(question *q, uint64_t seed) {
    size_t order[N_FACTS], at = 0, shift = hw__random_bits(&seed) % N_FACTS;
    for (size_t i = 0; i < N_FACTS; i++) order[i] = i;
    for (size_t i = N_FACTS - 1; i > 0; i--) {
        size_t j = hw__random_bits(&seed) % (i + 1), held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
    for (size_t i = 0; i < N_FACTS; i++) {
        q->facts[i] = (hw_span){.begin = at};
        at += (size_t)snprintf(q->prompt + at, sizeof q->prompt - at, "%s %s %s. ", people[order[i]], doings[order[i]],
                               things[(order[i] + shift) % N_FACTS]);
        q->facts[i].end = at;
    }
    q->evidence = hw__random_bits(&seed) % N_FACTS;
    size_t asked = order[q->evidence];
    snprintf(q->prompt + at, sizeof q->prompt - at, "Question: What does %s do? Answer: %s %s", people[asked],
             people[asked], doings[asked]);
    q->thing = things[(asked + shift) % N_FACTS];
}

static hw_check *check_question(hw_model *model, uint64_t seed, bool *hit) {
    question q;
    char completion[32];
    hw_error err;
    write_question(&q, seed);
    snprintf(completion, sizeof completion, " %s", q.thing);
    hw_trace *trace = run_model(model, q.prompt, completion);
    hw_segments *segments;
    if (hw_segments_from_spans(&segments, hw_trace_run(trace), HW_SIDE_PROMPT, q.facts, N_FACTS, &err) != HW_OK)
        fail_msg("%s", err.msg);
    hw_method_params params = hw_method_params_default();
    size_t n, top;
    params.groups = hw_segments_groups(segments, &n);
    params.n_groups = hw_segments_count(segments);
    hw_attribution *a;
    if (hw_explain(&a, trace, "contribution", &params, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_view *view;
    assert_int_equal(hw_view_new(&view, a, NULL, NULL), HW_OK);
    *hit = hw_view_top(view, &top, 1) == 1 && top == q.evidence;
    hw_check_params how = hw_check_params_default();
    how.n_ablations = N_ABLATIONS;
    how.seed = seed;
    hw_check *c;
    if (hw_check_new(&c, model, trace, &(hw_check_subject){segments, (const hw_attribution *const *)&a, 1}, &how,
                     &err) != HW_OK)
        fail_msg("%s", err.msg);
    print_message("%s (%zu passes)\n", hw_check_verdict(c), hw_check_n_passes(c));
    hw_view_free(view);
    hw_attribution_free(a);
    hw_segments_free(segments);
    hw_trace_free(trace);
    return c;
}

static const hw_check_row *row_of(const hw_check *c, const char *method) {
    for (size_t i = 0; i < hw_check_count(c); i++)
        if (strcmp(hw_check_at(c, i)->method, method) == 0) return hw_check_at(c, i);
    fail_msg("no row for %s", method);
    return NULL;
}

/* Sums over a few prompts: one prompt proves nothing, and a random order may hit. In full precision, where every engine
 * gives the same. */
static void contribution_finds_what_random_does_not(void **state) {
    (void)state;
    native_kernels_only();
    static const char *const methods[] = {"contribution", "random", "leave-one-out"};
    hw_model *model = open_model(models[0].name, 0);
    double drop[3] = {0}, lds[3] = {0};
    size_t n_hit = 0;
    for (uint64_t seed = 1; seed <= N_PROMPTS; seed++) {
        bool hit;
        hw_check *c = check_question(model, seed, &hit);
        n_hit += hit;
        for (size_t i = 0; i < 3; i++) drop[i] += row_of(c, methods[i])->drop[0] / N_PROMPTS;
        for (size_t i = 0; i < 3; i++) lds[i] += row_of(c, methods[i])->lds / N_PROMPTS;
        assert_int_equal(hw_check_at(c, 0)->n_passes, 0);
        hw_check_free(c);
    }
    for (size_t i = 0; i < 3; i++) print_message("%-14s drop@1 %5.2f nats  LDS %.2f\n", methods[i], drop[i], lds[i]);
    print_message("contribution names the evidence first in %zu of %d\n", n_hit, N_PROMPTS);
    assert_true(n_hit >= N_PROMPTS - 1);
    assert_true(drop[0] > drop[1] + 1);
    assert_true(drop[0] > 0.75 * drop[2]);
    assert_true(lds[0] > lds[1]);
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_agree_with_the_run_and_each_other),
        cmocka_unit_test(contribution_finds_what_random_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
