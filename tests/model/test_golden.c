/*
 * test_golden.c - rollout on real models against the stored results of an independent implementation.
 *
 * tests/data/golden/rollout_*.safetensors come from scripts/make_golden.py: the same GGUF weights dequantised, run in
 * float64 by another library. Rows there are the query positions m-1 .. m+n-1: [:n] are predictor rows, [1:] own rows.
 *
 * Bounds are about three times what was measured, which is printed. In full precision that is the rounding of F32 sums and
 * products, 1e-13. On a quantised file libllama's CPU kernels also round activations to 8 bits a block, the reference does not.
 */
#include "support/fixture.h"
#include "base/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far a model file's results may be off. */
typedef struct bounds {
    double rollout, output, outside; /* normalised mean squared error */
    double logprob;                  /* nats */
} bounds;

typedef struct golden {
    const char *file, *model;
    bool f32_cache;
    bounds bounds;
    const char *names[5];
} golden;

/* One prompt of a golden file; arrays malloc'd. */
typedef struct expected {
    size_t n_tokens, m, n, n_layers;
    int64_t *ids;   /* [T] */
    float *rollout; /* [n+1, m, L] */
    float *output;  /* [n+1, m, L] */
    float *outside; /* [n+1, L] */
    float *logprob; /* [n] */
} expected;

static const hw__tensor *find(hw__safetensors *file, const char *name, const char *what) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, what);
    const hw__tensor *tensor = hw__safetensors_find(file, key);
    if (!tensor) fail_msg("the golden file has no %s", key);
    return tensor;
}

static float *read_floats(hw__safetensors *file, const char *name, const char *what) {
    const hw__tensor *tensor = find(file, name, what);
    float *values = hw__alloc(tensor->n, sizeof *values);
    assert_non_null(values);
    assert_int_equal(hw__safetensors_floats(file, values, tensor, 0, tensor->n, NULL), HW_OK);
    return values;
}

static const char *text_of(const hw__safetensors *file, const char *name, const char *what) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, what);
    const char *text = hw__safetensors_metadata(file, key);
    if (!text) fail_msg("the golden file's metadata has no %s", key);
    return text;
}

static expected read_expected(hw__safetensors *file, const char *name) {
    const hw__tensor *ids = find(file, name, "ids"), *rollout = find(file, name, "rollout");
    expected e = {
        .n_tokens = ids->n, .m = rollout->shape[1], .n = rollout->shape[0] - 1, .n_layers = rollout->shape[2]};
    assert_int_equal(e.n_tokens, e.m + e.n);
    e.ids = hw__alloc(ids->n, sizeof *e.ids);
    assert_int_equal(hw__safetensors_ints(file, e.ids, ids, 0, ids->n, NULL), HW_OK);
    e.rollout = read_floats(file, name, "rollout");
    e.output = read_floats(file, name, "output");
    e.outside = read_floats(file, name, "outside");
    e.logprob = read_floats(file, name, "logprob");
    return e;
}

static void free_expected(expected *e) {
    free(e->ids);
    free(e->rollout);
    free(e->output);
    free(e->outside);
    free(e->logprob);
}

static hw_trace *capture(hw_model *model, const char *prompt, const char *completion) {
    hw_run_params p = hw_run_params_default();
    p.prompt = prompt;
    p.prompt_bytes = strlen(prompt);
    p.completion = completion;
    p.completion_bytes = strlen(completion);
    hw_trace *trace = NULL;
    hw_error err = {0};
    if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static void check_tokens(const hw_run *run, const expected *e, const bounds *b, const golden *g, const char *name) {
    assert_int_equal(hw_run_n_prompt(run), e->m);
    assert_int_equal(hw_run_n_tokens(run), e->n_tokens);
    double most = 0;
    for (size_t t = 0; t < e->n_tokens; t++) {
        hw_token token = hw_run_token(run, t);
        assert_int_equal(token.id, e->ids[t]);
        if (t >= e->m) most = fmax(most, fabs((double)token.logprob - (double)e->logprob[t - e->m]));
    }
    print_message("%s %s: log probabilities off by at most %.2g\n", g->model, name, most);
    assert_true(most <= b->logprob);
}

/* Rows of the other convention must be far off, or the comparison could not tell them apart. */
static void check_other_row(const hw_attribution *a, const expected *e, const golden *g, hw_row row) {
    size_t cells = e->n * e->m * e->n_layers, other = row == HW_ROW_OWN ? 0 : e->m * e->n_layers;
    assert_true(nmse(a->values, e->rollout + other, cells) > 10 * g->bounds.rollout);
    assert_true(nmse(a->values, e->output + (e->m * e->n_layers - other), cells) > 10 * g->bounds.output);
}

static void check_bound(double got, double bound, const golden *g, const char *name, const char *what) {
    print_message("%s %s: NMSE of %s %.2g, bound %.2g\n", g->model, name, what, got, bound);
    if (!(got <= bound)) fail_msg("above its bound");
}

static void check_rollout(const hw_trace *trace, const expected *e, const golden *g, const char *name, hw_row row) {
    size_t first = row == HW_ROW_OWN;
    hw_method_params p = hw_method_params_default();
    p.row = row;
    hw_attribution *a = explain(trace, &p);
    char what[64];
    assert_int_equal(a->n_rows, e->n);
    assert_int_equal(a->n_columns, e->m);
    assert_int_equal(a->n_layers, e->n_layers);
    size_t cells = e->n * e->m * e->n_layers, skip = first * e->m * e->n_layers;
    snprintf(what, sizeof what, "rollout, %s row", hw_row_name(row));
    check_bound(nmse(a->values, e->rollout + skip, cells), g->bounds.rollout, g, name, what);
    if (row == HW_ROW_OWN || e->n > 1) { /* the first predictor row sees nothing outside */
        snprintf(what, sizeof what, "outside, %s row", hw_row_name(row));
        check_bound(nmse(a->outside, e->outside + first * e->n_layers, e->n * e->n_layers), g->bounds.outside, g, name,
                    what);
    }
    check_other_row(a, e, g, row);
    hw_attribution_free(a);
    p.direction = HW_DIRECTION_OUTPUT;
    a = explain(trace, &p);
    snprintf(what, sizeof what, "output direction, %s row", hw_row_name(row));
    check_bound(nmse(a->values, e->output + skip, cells), g->bounds.output, g, name, what);
    hw_attribution_free(a);
}

static void check_golden(const golden *g) {
    char path[256];
    hw_error err = {0};
    snprintf(path, sizeof path, "tests/data/golden/%s", g->file);
    hw__safetensors *file = NULL;
    if (hw__safetensors_open(&file, path, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_model_params params = hw_model_params_default();
    params.f32_cache = g->f32_cache;
    params.n_threads = 2;
    hw_model *model = NULL;
    if (hw_model_open(&model, model_path(g->model), &params, &err) != HW_OK) fail_msg("%s", err.msg);
    for (size_t i = 0; g->names[i]; i++) {
        expected e = read_expected(file, g->names[i]);
        hw_trace *trace =
            capture(model, text_of(file, g->names[i], "prompt"), text_of(file, g->names[i], "completion"));
        check_tokens(hw_trace_run(trace), &e, &g->bounds, g, g->names[i]);
        check_rollout(trace, &e, g, g->names[i], HW_ROW_PREDICTOR);
        check_rollout(trace, &e, g, g->names[i], HW_ROW_OWN);
        hw_trace_free(trace);
        free_expected(&e);
    }
    hw_model_close(model);
    hw__safetensors_close(file);
}

static void smollm2_quantised(void **state) {
    (void)state;
    check_golden(&(golden){.file = "rollout_smollm2.safetensors",
                           .model = "SmolLM2-135M-Instruct.Q4_1.gguf",
                           .bounds = {.rollout = 1e-5, .output = 5e-6, .outside = 5e-6, .logprob = 0.4},
                           .names = {"putin", "abdul", "sunny", "rome"}});
}

static void smollm2_full_precision(void **state) {
    (void)state;
    check_golden(&(golden){.file = "rollout_smollm2.safetensors",
                           .model = "SmolLM2-135M-Instruct.F32.gguf",
                           .f32_cache = true,
                           .bounds = {.rollout = 3e-14, .output = 5e-13, .outside = 1e-13, .logprob = 3e-5},
                           .names = {"putin", "abdul", "sunny", "rome"}});
}

static void gemma3_quantised(void **state) {
    (void)state;
    check_golden(&(golden){.file = "rollout_gemma3.safetensors",
                           .model = "gemma-3-270m-q4_k_m.gguf",
                           .bounds = {.rollout = 3e-5, .output = 3e-5, .outside = 1e-4, .logprob = 0.8},
                           .names = {"putin", "sunny"}});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_quantised),
        cmocka_unit_test(smollm2_full_precision),
        cmocka_unit_test(gemma3_quantised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
