/*
 * test_golden.c - rollout on real models against the stored results of an independent implementation.
 *
 * tests/data/golden/rollout_*.safetensors come from scripts/make_golden.py: the same GGUF weights dequantised, run in
 * float64 by another library. Rows there are the query positions m-1 .. m+n-1: [:n] are predictor rows, [1:] own rows.
 *
 * In full precision the bounds are about three times what was measured, which is printed: the rounding of F32 sums and
 * products. On a quantised file libllama also rounds activations to 8 bits a block, which the reference does not; how
 * far that moves the engine's own rows and log probabilities is measured here, against the same weights in full
 * precision.
 */
#include "base/safetensors.h"
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far one trace's results may be off. */
typedef struct bounds {
    const char *model;
    double rollout, output, outside; /* normalised mean squared error */
    double logprob;                  /* nats */
} bounds;

typedef struct golden {
    const char *file, *exact, *quantised;
    bounds bounds; /* of the exact model */
    const char *names[5];
} golden;

/* Rollout averages rows over layers: its error was a sixth of theirs at most. */
static const double OF_ROWS = 0.5, OF_LOGPROB = 2;

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

static void check_tokens(const hw_run *run, const expected *e, const bounds *b, const char *name) {
    assert_int_equal(hw_run_n_prompt(run), e->m);
    assert_int_equal(hw_run_n_tokens(run), e->n_tokens);
    double max = 0;
    for (size_t t = 0; t < e->n_tokens; t++) {
        hw_token token = hw_run_token(run, t);
        assert_int_equal(token.id, e->ids[t]);
        if (t >= e->m) max = fmax(max, fabs((double)token.logprob - (double)e->logprob[t - e->m]));
    }
    print_message("%s %s: log probabilities off by at most %.2g, bound %.2g\n", b->model, name, max, b->logprob);
    assert_true(max <= b->logprob);
}

/* Rows of the other convention must be far off, or the comparison could not tell them apart. */
static void check_other_row(const hw_attribution *a, const expected *e, const bounds *b, hw_row_convention row) {
    size_t cells = e->n * e->m * e->n_layers, other = row == HW_ROW_OWN ? 0 : e->m * e->n_layers;
    assert_true(nmse(a->values, e->rollout + other, cells) > 10 * b->rollout);
    assert_true(nmse(a->values, e->output + (e->m * e->n_layers - other), cells) > 10 * b->output);
}

static void check_bound(double got, double bound, const char *model, const char *name, const char *what) {
    print_message("%s %s: NMSE of %s %.2g, bound %.2g\n", model, name, what, got, bound);
    if (!(got <= bound)) fail_msg("above its bound");
}

static void check_rollout(const hw_trace *trace, const expected *e, const bounds *b, const char *name,
                          hw_row_convention row) {
    size_t first = row == HW_ROW_OWN;
    hw_method_params p = hw_method_params_default();
    p.row = row;
    hw_attribution *a = explain(trace, &p);
    char what[64];
    assert_int_equal(a->n_rows, e->n);
    assert_int_equal(a->n_columns, e->m);
    assert_int_equal(a->n_layers, e->n_layers);
    size_t cells = e->n * e->m * e->n_layers, skip = first * e->m * e->n_layers;
    snprintf(what, sizeof what, "rollout, %s row", hw_row_convention_name(row));
    check_bound(nmse(a->values, e->rollout + skip, cells), b->rollout, b->model, name, what);
    if (row == HW_ROW_OWN || e->n > 1) { /* the first predictor row sees nothing outside */
        snprintf(what, sizeof what, "outside, %s row", hw_row_convention_name(row));
        check_bound(nmse(a->outside, e->outside + first * e->n_layers, e->n * e->n_layers), b->outside, b->model, name,
                    what);
    }
    check_other_row(a, e, b, row);
    hw_attribution_free(a);
    p.direction = HW_DIRECTION_OUTPUT;
    a = explain(trace, &p);
    snprintf(what, sizeof what, "output direction, %s row", hw_row_convention_name(row));
    check_bound(nmse(a->values, e->output + skip, cells), b->output, b->model, name, what);
    hw_attribution_free(a);
}

static void check_trace(const hw_trace *trace, const expected *e, const bounds *b, const char *name) {
    check_tokens(hw_trace_run(trace), e, b, name);
    check_rollout(trace, e, b, name, HW_ROW_PREDICTOR);
    check_rollout(trace, e, b, name, HW_ROW_OWN);
}

static hw_model *open_model(const char *name) {
    hw_error err = {0};
    hw_model_params params = hw_model_params_default();
    params.f32_cache = strstr(name, "F32") != NULL;
    params.n_threads = 2;
    hw_model *model = NULL;
    if (hw_model_open(&model, test_model_path(name), &params, &err) != HW_OK) fail_msg("%s", err.msg);
    return model;
}

static void agrees_with_the_reference(void **state) {
    const golden *g = *state;
    char path[256];
    hw_error err = {0};
    snprintf(path, sizeof path, "tests/data/golden/%s", g->file);
    hw__safetensors *file = NULL;
    if (hw__safetensors_open(&file, path, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_model *exact = open_model(g->exact), *quantised = open_model(g->quantised);
    for (size_t i = 0; g->names[i] && !(i > 0 && slow_kernels()); i++) {
        const char *name = g->names[i], *prompt = text_of(file, name, "prompt"),
                   *completion = text_of(file, name, "completion");
        expected e = read_expected(file, name);
        hw_trace *want = capture(exact, prompt, completion), *got = capture(quantised, prompt, completion);
        double noise = rows_noise(got, want);
        check_trace(want, &e, &g->bounds, name);
        print_message("%s %s: NMSE of the rows %.2g\n", g->quantised, name, noise);
        check_trace(got, &e,
                    &(bounds){.model = g->quantised,
                              .rollout = OF_ROWS * noise,
                              .output = OF_ROWS * noise,
                              .outside = OF_ROWS * noise,
                              .logprob = OF_LOGPROB * logprob_noise(got, want)},
                    name);
        hw_trace_free(want);
        hw_trace_free(got);
        free_expected(&e);
    }
    hw_model_close(exact);
    hw_model_close(quantised);
    hw__safetensors_close(file);
}

static const golden smollm2 = {.file = "rollout_smollm2.safetensors",
                               .exact = "SmolLM2-135M-Instruct.F32.gguf",
                               .quantised = "SmolLM2-135M-Instruct.Q4_1.gguf",
                               .bounds = {.model = "SmolLM2-135M-Instruct.F32.gguf",
                                          .rollout = 3e-14,
                                          .output = 5e-13,
                                          .outside = 1e-13,
                                          .logprob = 3e-5},
                               .names = {"putin", "abdul", "sunny", "rome"}};

/* Its embedding, which also makes the logits, stays quantised, and ggml looks GELU up in a table of 16-bit floats. */
static const golden gemma3 = {.file = "rollout_gemma3.safetensors",
                              .exact = "gemma-3-270m.F32-blocks.gguf",
                              .quantised = "gemma-3-270m-q4_k_m.gguf",
                              .bounds = {.model = "gemma-3-270m.F32-blocks.gguf",
                                         .rollout = 3e-10,
                                         .output = 2e-9,
                                         .outside = 2e-9,
                                         .logprob = 0.1},
                              .names = {"putin", "sunny"}};

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(agrees_with_the_reference, (void *)&smollm2),
        cmocka_unit_test_prestate(agrees_with_the_reference, (void *)&gemma3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
