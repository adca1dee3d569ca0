/*
 * test_contribution.c - contributions and logits of real models: identities that must hold whatever the weights are,
 * and an independent PyTorch implementation in float64 on the same weights (scripts/make_golden.py --methods).
 *
 * In full precision the bounds are those of our arithmetic. On quantised files libllama rounds activations to 8 bits,
 * which PyTorch does not: there the same weights in full precision are run beside them, and what the engine's attention
 * rows and logits differ by is the noise that bounds what is made of them.
 */
#include "support/fixture.h"

#include "base/safetensors.h"

#include <jansson.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two files of one model's weights, and what PyTorch makes of them. */
typedef struct family {
    const char *exact, *quantised, *golden;
    double nmse;    /* of every measure, in full precision; about three times what was seen */
    double closure; /* nats by which the balance may miss the engine's own logit there */
} family;

static const family families[] = {
    {"SmolLM2-135M-Instruct.F32.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf",
     "tests/data/golden/contribution_smollm2.safetensors", 3e-12, 1e-5},
    /* ggml looks GELU up in a table of 16-bit floats, and the product that makes the logits is one of quantised
     * weights, which each CPU's kernels round in their own way: logit was off by 5e-8 to 1.7e-7 with those for AMX, by
     * 3.2e-7 with those for AVX2. */
    {"gemma-3-270m.F32-blocks.gguf", "gemma-3-270m-q4_k_m.gguf", "tests/data/golden/contribution_gemma3.safetensors",
     1e-6, 0.4},
};

/* Contributions take rows, values and the stream, which all round: their error was up to 28 times that of the rows.
 * That of a sum over columns is of the first power, and was half of the rows'. The last product rounds as all before it
 * do. */
static const double OF_ROWS = 100, OF_SUMS = 2, OF_LOGITS = 3;

/* How far off one trace's results may be. */
typedef struct bounds {
    const char *model;
    double nmse, sum, closure;
} bounds;

static hw_model *open_model(const char *name, int32_t n_ubatch) {
    hw_error err;
    hw_model *model;
    hw_model_params params = hw_model_params_default();
    params.f32_cache = strstr(name, "F32") != NULL;
    params.n_ubatch = n_ubatch;
    if (hw_model_open(&model, test_model_path(name), &params, &err) != HW_OK) fail_msg("%s", err.msg);
    return model;
}

static hw_trace *run_note(hw_model *model, const json_t *item) {
    hw_run_params params = hw_run_params_default();
    params.prompt = json_string_value(json_object_get(item, "prompt"));
    params.prompt_bytes = strlen(params.prompt);
    params.completion = json_string_value(json_object_get(item, "completion"));
    params.completion_bytes = strlen(params.completion);
    return capture_keeping(model, params, HW_KEEP_ROWS, (1u << HW_SIGNAL_ALL_PROJECTION) - 1);
}

/* Rows first..first+n-1 of a golden tensor [rows, m, L]; NULL where the file has none of that name. */
static float *golden_rows(hw__safetensors *file, const char *name, const char *what, size_t first, size_t n,
                          size_t cells) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s", name, what);
    const hw__tensor *t = hw__safetensors_find(file, key);
    if (!t) return NULL;
    assert_true((first + n) * cells <= t->n);
    float *values = malloc(n * cells * sizeof *values);
    assert_int_equal(hw__safetensors_floats(file, values, t, first * cells, n * cells, NULL), HW_OK);
    return values;
}

static void compare(hw__safetensors *file, const char *name, const char *what, const hw_trace *trace,
                    const char *method, const hw_method_params *params, const bounds *p) {
    hw_error err;
    hw_attribution *a;
    if (hw_explain(&a, trace, method, params, &err) != HW_OK) fail_msg("%s", err.msg);
    size_t first = params->row == HW_ROW_OWN, n = a->n_rows, cells = a->n_columns * a->n_layers;
    float *want = golden_rows(file, name, what, first, n, cells);
    assert_non_null(want);
    double error = nmse(a->values, want, n * cells);
    printf("  %-32s %-6s %-12s %-9s NMSE %.1e\n", p->model, name, what, hw_row_convention_name(params->row), error);
    assert_true(error <= p->nmse);
    free(want);
    hw_attribution_free(a);
}

/* Projections of all columns, completion included, sum to 1: neither model has an attention bias. */
static void check_sums(const hw_trace *trace, double bound) {
    hw_method_params params = hw_method_params_default();
    double max = 0;
    for (int row = HW_ROW_PREDICTOR; row <= HW_ROW_OWN; row++) {
        hw_attribution *a;
        params.row = (hw_row_convention)row;
        assert_int_equal(hw_explain(&a, trace, "contribution", &params, NULL), HW_OK);
        for (size_t i = 0; i < a->n_rows; i++) {
            for (size_t l = 0; l < a->n_layers; l++) {
                double sum = outside(a, i, l);
                for (size_t k = 0; k < a->n_columns; k++) sum += cell(a, i, k, l);
                max = fmax(max, fabs(sum - 1));
            }
        }
        hw_attribution_free(a);
    }
    printf("  sums of projections are off by at most %.1e, bound %.1e\n", max, bound);
    assert_true(max <= bound);
}

static void check_balance(const hw_trace *trace, double closure) {
    hw_attribution *a;
    double max = 0;
    assert_int_equal(hw_explain(&a, trace, "logit", NULL, NULL), HW_OK);
    const hw_balance *b = hw_attribution_balance(a);
    for (size_t i = 0; i < a->n_rows; i++) {
        double prompt = 0, sum = b[i].prompt + b[i].completion + b[i].bias + b[i].mlp + b[i].embedding;
        for (size_t c = 0; c < a->n_columns * a->n_layers; c++) prompt += a->values[i * a->n_columns * a->n_layers + c];
        max = fmax(max, fabs(sum - b[i].logit));
        assert_close(prompt, b[i].prompt, 1e-3);
    }
    printf("  balances miss the logit by at most %.1e, bound %.1e\n", max, closure);
    assert_true(max <= closure);
    hw_attribution_free(a);
}

static void check_trace(const hw_trace *trace, hw__safetensors *file, const char *name, const bounds *p) {
    static const hw_measure measures[] = {HW_MEASURE_PROJECTION, HW_MEASURE_NORM, HW_MEASURE_PROXIMITY1,
                                          HW_MEASURE_PROXIMITY2};
    hw_method_params params = hw_method_params_default();
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) {
        params.measure = measures[i];
        params.row = HW_ROW_PREDICTOR;
        compare(file, name, hw_measure_name(measures[i]), trace, "contribution", &params, p);
        params.row = HW_ROW_OWN;
        compare(file, name, hw_measure_name(measures[i]), trace, "contribution", &params, p);
    }
    params.row = HW_ROW_PREDICTOR;
    compare(file, name, "logit", trace, "logit", &params, p);
    check_sums(trace, p->sum);
    check_balance(trace, p->closure);
}

/* The largest difference of what the engine gives the likeliest tokens of each step. */
static double logit_noise(const hw_trace *a, const hw_trace *want) {
    double max = 0;
    size_t m = hw_run_n_prompt(hw_trace_run(want)), n_tokens = hw_run_n_tokens(hw_trace_run(want));
    for (size_t t = m; t < n_tokens; t++) {
        hw_token x = hw_run_token(hw_trace_run(a), t), y = hw_run_token(hw_trace_run(want), t);
        max = fmax(max, fabs((double)x.logprob - (double)y.logprob));
        for (int32_t i = 0; i < y.n_alternatives; i++)
            for (int32_t j = 0; j < x.n_alternatives; j++)
                if (x.alternatives[j].id == y.alternatives[i].id)
                    max = fmax(max, fabs((double)x.alternatives[j].logprob - (double)y.alternatives[i].logprob));
    }
    return max;
}

static void check_item(hw_model *exact, hw_model *quantised, hw__safetensors *file, const json_t *item,
                       const family *f) {
    const char *name = json_string_value(json_object_get(item, "name"));
    char key[96];
    snprintf(key, sizeof key, "%s.projection", name);
    if (!hw__safetensors_find(file, key)) return; /* not every prompt is stored for every model */
    hw_trace *want = run_note(exact, item), *got = run_note(quantised, item);
    check_trace(want, file, name, &(bounds){f->exact, f->nmse, 1e-5, f->closure});
    double noise = rows_noise(got, want), logits = logit_noise(got, want);
    printf("  %s: noise of the rows %.1e, of logits %.2f nats\n", name, noise, logits);
    check_trace(got, file, name, &(bounds){f->quantised, OF_ROWS * noise, OF_SUMS * sqrt(noise), OF_LOGITS * logits});
    hw_trace_free(want);
    hw_trace_free(got);
}

static void contributions_agree(void **state) {
    const family *f = *state;
    hw_error err;
    hw__safetensors *file;
    if (hw__safetensors_open(&file, f->golden, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_model *exact = open_model(f->exact, 0), *quantised = open_model(f->quantised, 0);
    FILE *lines = fopen("examples/note.jsonl", "r");
    assert_non_null(lines);
    size_t n = 0;
    for (json_t *item; (item = json_loadf(lines, JSON_DISABLE_EOF_CHECK, NULL)); n++) {
        check_item(exact, quantised, file, item, f);
        json_decref(item);
    }
    assert_int_equal(n, 4);
    fclose(lines);
    hw_model_close(exact);
    hw_model_close(quantised);
    hw__safetensors_close(file);
}

/* Tokens that are generated one by one give what the same give in blocks; in full precision, where the engine does
 * too. */
static void blocks_do_not_matter(void **state) {
    (void)state;
    native_kernels_only();
    hw_model *model = open_model(families[0].exact, 0);
    hw_run_params run = hw_run_params_default();
    run.prompt = "The river runs through the valley and";
    run.prompt_bytes = strlen(run.prompt);
    run.n_generate = 100; /* more than one block */
    const uint32_t signals = 1u << HW_SIGNAL_PROJECTION | 1u << HW_SIGNAL_LOGIT;
    hw_trace *generated = capture_keeping(model, run, HW_KEEP_ROWS, signals);
    assert_true(hw_run_n_completion(hw_trace_run(generated)) > HW__MAX_LOGITS);
    run.completion = hw_run_completion(hw_trace_run(generated), &run.completion_bytes);
    hw_trace *forced = capture_keeping(model, run, HW_KEEP_ROWS, signals);
    check_balance(generated, families[0].closure);
    check_balance(forced, families[0].closure);
    hw_attribution *a, *b;
    assert_int_equal(hw_explain(&a, generated, "contribution", NULL, NULL), HW_OK);
    assert_int_equal(hw_explain(&b, forced, "contribution", NULL, NULL), HW_OK);
    double error = nmse(a->values, b->values, a->n_rows * a->n_columns * a->n_layers);
    printf("  generated against forced, 100 tokens: NMSE %.1e\n", error);
    assert_true(error < 1e-10);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw_trace_free(generated);
    hw_trace_free(forced);
    hw_model_close(model);
}

/* ------------------------------------------------------------------ signals summed as they come */

enum { PROMPT_CAPACITY = 4096, MAX_TOKENS = 1024 };

/* Columns of the prompt. */
typedef struct columns {
    hw_method_params params;
    int32_t groups[MAX_TOKENS];
} columns;

static void cut_by_seven(columns *c, hw_model *model, const hw_run_params *params) {
    hw_run *run;
    assert_int_equal(hw_run_tokenize(&run, model, params, NULL), HW_OK);
    size_t m = hw_run_n_prompt(run);
    hw_run_free(run);
    assert_in_range(m, 8, MAX_TOKENS);
    for (size_t t = 0; t < m; t++) c->groups[t] = (int32_t)(t / 7) - 1; /* the first seven are outside */
    c->params = hw_method_params_default();
    c->params.groups = c->groups;
    c->params.n_groups = (m - 1) / 7;
}

/* Its signals are summed by these columns as they come. */
static hw_trace *capture_summed(hw_model *model, hw_run_params run, const columns *c) {
    hw_error err;
    hw_trace *trace;
    hw_method_params p = c->params;
    assert_int_equal(hw_explainer_new(&run.explainer, NULL, NULL), HW_OK);
    assert_int_equal(hw_explainer_add(run.explainer, "logit", &p, NULL), HW_OK);
    for (int m = HW_MEASURE_PROJECTION; m <= HW_MEASURE_PROXIMITY2; m++) {
        p.measure = (hw_measure)m;
        assert_int_equal(hw_explainer_add(run.explainer, "contribution", &p, NULL), HW_OK);
    }
    if (hw_trace_capture(&trace, model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_explainer_free(run.explainer);
    return trace;
}

static void compare_sums(const hw_trace *summed, const hw_trace *by_token, const char *method,
                         const hw_method_params *p) {
    hw_error err;
    hw_attribution *a, *b;
    if (hw_explain(&a, summed, method, p, &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw_explain(&b, by_token, method, p, &err) != HW_OK) fail_msg("%s", err.msg);
    size_t rows = a->n_rows * a->n_layers;
    double error = nmse(a->values, b->values, rows * a->n_columns), out = nmse(a->outside, b->outside, rows);
    printf("  %s, %s: NMSE %.1e, outside %.1e\n", method, hw_measure_name(p->measure), error, out);
    assert_true(error < 1e-10 && out < 1e-10);
    const hw_balance *got = hw_attribution_balance(a), *want = hw_attribution_balance(b);
    for (size_t i = 0; got && i < a->n_rows; i++) {
        assert_close(got[i].prompt, want[i].prompt, 1e-5);
        assert_close(got[i].completion, want[i].completion, 1e-5);
    }
    hw_attribution_free(a);
    hw_attribution_free(b);
}

static void sums_refuse_other_columns(const hw_trace *summed, columns *c) {
    hw_error err;
    hw_attribution *a;
    assert_error(&err, hw_explain(&a, summed, "logit", NULL, &err), HW_ERR_UNSUPPORTED, "groups of columns");
    c->groups[8] = -1;
    assert_error(&err, hw_explain(&a, summed, "contribution", &c->params, &err), HW_ERR_UNSUPPORTED,
                 "is asked for others");
    assert_error(&err, hw_trace_save(summed, "/tmp/never.safetensors", &err), HW_ERR_UNSUPPORTED, "by token");
}

/* The rows of a prompt of this length are several batches if they are summed, and one if they are not. Both fit the
 * same batches, so that the engine's numbers are the same. */
static void sums_as_they_come_are_sums_of_tokens(void **state) {
    enum { BATCH = 16 };
    native_kernels_only(); /* sums of the same numbers */
    hw_model *model = open_model(*state, BATCH);
    hw_run_params run = hw_run_params_default();
    char prompt[PROMPT_CAPACITY] = "";
    for (int i = 0; i < 30; i++) {
        size_t at = strlen(prompt);
        snprintf(prompt + at, sizeof prompt - at, "In year %d the river rose, and %d people left the valley for good. ",
                 i, i * 7);
    }
    run.prompt = prompt;
    run.prompt_bytes = strlen(prompt);
    run.completion = "In year 30 the river rose again, and nobody was left in the valley to see it, or to tell us";
    run.completion_bytes = strlen(run.completion);
    columns c;
    cut_by_seven(&c, model, &run);
    hw_trace *by_token = capture_keeping(model, run, HW_KEEP_METHODS, (1u << HW_SIGNAL_ALL_PROJECTION) - 1);
    hw_trace *summed = capture_summed(model, run, &c);
    compare_sums(summed, by_token, "logit", &c.params);
    for (int m = HW_MEASURE_PROJECTION; m <= HW_MEASURE_PROXIMITY2; m++) {
        c.params.measure = (hw_measure)m;
        c.params.row = m % 2 ? HW_ROW_OWN : HW_ROW_PREDICTOR;
        compare_sums(summed, by_token, "contribution", &c.params);
    }
    sums_refuse_other_columns(summed, &c);
    hw_trace_free(by_token);
    hw_trace_free(summed);
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(contributions_agree, (void *)&families[0]),
        cmocka_unit_test_prestate(contributions_agree, (void *)&families[1]),
        cmocka_unit_test(blocks_do_not_matter),
        cmocka_unit_test_prestate(sums_as_they_come_are_sums_of_tokens, (void *)families[0].quantised),
        cmocka_unit_test_prestate(sums_as_they_come_are_sums_of_tokens, (void *)families[1].quantised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
