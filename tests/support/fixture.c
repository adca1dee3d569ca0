/* fixture.c - runs, traces and comparisons for tests. */
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 64, RANDOM_COLUMNS = 12 };

/* Tests discard the engine's log, and so get its reasons in errors. */
__attribute__((constructor)) static void discard_log(void) { hw_log_set(NULL, NULL); }

/* ------------------------------------------------------------------ numbers */

uint64_t mix(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

double unit(uint64_t hash) { return (double)(hash >> 11) * 0x1p-53; }

static double score(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    uint64_t seed = ctx ? *(const uint64_t *)ctx : 1;
    return exp(4 * unit(mix(mix(mix(mix(mix(seed) + l) + h) + q) + k)));
}

static double softmax(const void *ctx, size_t l, size_t h, size_t q, size_t k, size_t n) {
    double sum = 0;
    for (size_t c = 0; c < n; c++) sum += score(ctx, l, h, q, c);
    return score(ctx, l, h, q, k) / sum;
}

double random_attention(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    return softmax(ctx, l, h, q, k, q + 1);
}

double random_both_ways(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    return softmax(ctx, l, h, q, k, RANDOM_COLUMNS);
}

void assert_close_at(double got, double want, double bound, const char *what, const char *file, int line) {
    if (fabs(got - want) <= bound) return; /* NaN fails */
    print_error("%s is %.9g, expected %.9g: off by %.3g, at most %.3g\n", what, got, want, fabs(got - want), bound);
    _fail(file, line);
}

double nmse(const float *a, const float *want, size_t n) {
    double off = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        off += ((double)a[i] - (double)want[i]) * ((double)a[i] - (double)want[i]);
        size += (double)want[i] * (double)want[i];
    }
    return off / size;
}

double rows_noise(const hw_trace *a, const hw_trace *want) {
    double off = 0, size = 0;
    size_t n_tokens = hw_run_n_tokens(hw_trace_run(want));
    assert_int_equal(hw_run_n_tokens(hw_trace_run(a)), n_tokens);
    assert_int_equal(a->n_layers, want->n_layers);
    for (size_t l = 0; l < want->n_layers; l++) {
        for (size_t q = 0; q < n_tokens; q++) {
            size_t n;
            const float *x = hw_trace_row(a, l, q, &n), *y = hw_trace_row(want, l, q, &n);
            assert_true(x && y);
            for (size_t k = 0; k < n; k++) {
                off += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
                size += (double)y[k] * (double)y[k];
            }
        }
    }
    return off / size;
}

double logprob_noise(const hw_trace *a, const hw_trace *want) {
    double max = 0;
    const hw_run *x = hw_trace_run(a), *y = hw_trace_run(want);
    assert_int_equal(hw_run_n_tokens(x), hw_run_n_tokens(y));
    for (size_t t = hw_run_n_prompt(y); t < hw_run_n_tokens(y); t++)
        max = fmax(max, fabs((double)hw_run_token(x, t).logprob - (double)hw_run_token(y, t).logprob));
    return max;
}

void native_kernels_only(void) {
    if (getenv("HEADWATER_TEST_BACKEND")) skip();
}

bool slow_kernels(void) {
    const char *backend = getenv("HEADWATER_TEST_BACKEND");
    return backend && strcmp(backend, "libggml-cpu-x64.so") == 0;
}

const char *test_model_path(const char *name) {
    static char path[4096];
    const char *folder = getenv("HEADWATER_TEST_MODELS");
    snprintf(path, sizeof path, "%s/%s", folder && *folder ? folder : "build/models", name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing: scripts/setup-models.sh tests", path);
    fclose(f);
    return path;
}

const char *zoo_model_path(const char *name) {
    static char path[4096];
    const char *folder = getenv("HEADWATER_ZOO");
    snprintf(path, sizeof path, "%s/%s.gguf", folder && *folder ? folder : "build/dev/tests/zoo", name);
    return path;
}

hw_model *open_zoo_model(const char *name, const hw_model_params *params) {
    hw_model *model = NULL;
    hw_error err = {0};
    if (hw_model_open(&model, zoo_model_path(name), params, &err) != HW_OK) fail_msg("%s: %s", name, err.msg);
    return model;
}

void assert_error_at(const hw_error *err, hw_err rc, hw_err code, const char *part, const char *file, int line) {
    if (rc == code && err->code == code && strstr(err->msg, part)) return;
    print_error("%s \"%s\", expected %s with \"%s\"\n", hw_err_name(rc), rc == HW_OK ? "" : err->msg, hw_err_name(code),
                part);
    _fail(file, line);
}

/* ------------------------------------------------------------------ runs */

static hw_run *empty_run(size_t n_layers, bool sinks) {
    int32_t layers[MAX_LAYERS];
    assert_true(n_layers <= MAX_LAYERS);
    for (size_t l = 0; l < n_layers; l++) layers[l] = (int32_t)l;
    hw_model_info info = {.path = "fixture.gguf",
                          .engine = "fixture",
                          .n_layers = (int32_t)n_layers,
                          .n_blocks = (int32_t)n_layers,
                          .layers = layers,
                          .has_sinks = sinks};
    hw__run_options options = {.run = {.top_p = 1}};
    hw_run *run = NULL;
    assert_int_equal(hw__run_new(&run, &info, &options, NULL), HW_OK);
    return run;
}

static void add_word(hw_run *run, const char *word, hw_role role, size_t begin) {
    hw_token token = {
        .bytes = word, .n_bytes = strlen(word), .id = (int32_t)run->n_tokens, .role = role, .logprob = NAN};
    token.begin = begin;
    token.end = begin + token.n_bytes;
    assert_int_equal(hw__run_add_token(run, &token, NULL), HW_OK);
}

hw_run *make_run(size_t n_layers, const char *const *prompt, size_t m, const char *const *completion, size_t n) {
    hw_run *run = empty_run(n_layers, false);
    char text[4096] = "";
    size_t at = 0;
    for (size_t t = 0; t < m; t++) {
        add_word(run, prompt[t], HW_ROLE_PROMPT, at);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", prompt[t]);
        assert_in_range(at, 0, sizeof text - 1);
    }
    for (size_t t = 0; t < n; t++) add_word(run, completion[t], HW_ROLE_COMPLETION, 0);
    assert_int_equal(hw__run_set_prompt(run, text, at, NULL), HW_OK);
    return run;
}

static void add_numbered(hw_run *run, size_t n, hw_role role) {
    for (size_t t = 0; t < n; t++) {
        char word[24];
        snprintf(word, sizeof word, " %c%zu", role == HW_ROLE_PROMPT ? 'p' : 'c', t);
        add_word(run, word, role, 0);
    }
}

/* ------------------------------------------------------------------ traces */

/* One chunk of rows of one layer as an engine shows it: [H, rows, keys + gap]. */
static float *fill_heads(hw__heads *heads, const trace_spec *s, size_t l, size_t q0, size_t n_rows) {
    size_t n_tokens = s->n_prompt + s->n_completion, n_keys = n_tokens + s->key_padding, stride = n_keys + s->row_gap;
    float *attn = hw__alloc(s->n_heads * n_rows * stride, sizeof *attn);
    assert_non_null(attn);
    for (size_t i = 0; i < s->n_heads * n_rows * stride; i++) attn[i] = i % stride < n_keys ? 0 : NAN;
    for (size_t h = 0; h < s->n_heads; h++)
        for (size_t q = 0; q < n_rows; q++)
            for (size_t k = 0; k < (s->bidirectional ? n_tokens : q0 + q + 1); k++)
                attn[(h * n_rows + q) * stride + k] = (float)s->attention(s->ctx, l, h, q0 + q, k);
    *heads = (hw__heads){.attn = attn,
                         .n_heads = s->n_heads,
                         .n_rows = n_rows,
                         .n_keys = n_keys,
                         .head_stride = n_rows * stride,
                         .row_stride = stride,
                         .q0 = q0};
    return attn;
}

static hw_err show_rows(hw_trace *trace, const trace_spec *s, hw_error *err) {
    hw__capture capture = {.trace = trace, .sinks = s->sinks};
    hw__sink sink = hw__capture_sink(&capture);
    size_t n_tokens = s->n_prompt + s->n_completion, chunk = s->chunk ? s->chunk : n_tokens;
    hw_err rc = HW_OK;
    for (size_t q0 = 0; rc == HW_OK && q0 < n_tokens; q0 += chunk) {
        for (size_t l = 0; rc == HW_OK && l < s->n_layers; l++) {
            hw__heads heads;
            float *attn = fill_heads(&heads, s, l, q0, n_tokens - q0 < chunk ? n_tokens - q0 : chunk);
            rc = sink.rows(sink.ctx, l, &heads, err);
            free(attn);
        }
    }
    return rc;
}

/* A method that reads this signal, and no other. */
static const char *method_reading(hw_method_params *p, hw_signal signal) {
    bool every = signal >= HW_SIGNAL_ALL_PROJECTION;
    *p = hw_method_params_default();
    p->residual_measured = signal == HW_SIGNAL_RESIDUAL;
    if (p->residual_measured) return "uniform";
    if (signal == HW_SIGNAL_LOGIT) return "logit";
    p->measure = (hw_measure)(every ? signal - HW_SIGNAL_ALL_PROJECTION : signal - HW_SIGNAL_PROJECTION);
    p->aggregate = every ? HW_AGGREGATE_ROLLOUT : HW_AGGREGATE_MEAN;
    return "contribution";
}

hw_explainer *explainer_keeping(hw_keep keep, uint32_t signals) {
    hw_explainer_params params = hw_explainer_params_default();
    hw_explainer *x;
    hw_error err;
    params.keep = keep;
    assert_int_equal(hw_explainer_new(&x, &params, NULL), HW_OK);
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        hw_method_params p;
        const char *method = method_reading(&p, (hw_signal)i);
        if (signals & 1u << i && hw_explainer_add(x, method, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    }
    assert_int_equal(hw__explainer_signals(x, NULL), signals);
    return x;
}

hw_trace *capture_keeping(hw_model *model, hw_run_params run, hw_keep keep, uint32_t signals) {
    hw_trace *trace;
    hw_error err;
    run.explainer = explainer_keeping(keep, signals);
    if (hw_trace_capture(&trace, model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_explainer_free(run.explainer);
    return trace;
}

hw_err try_trace(hw_trace **out, const trace_spec *s, hw_error *err) {
    hw_run *run = empty_run(s->n_layers, s->sinks);
    run->causal = !s->bidirectional;
    run->options.run.fuse = s->fuse;
    add_numbered(run, s->n_prompt, HW_ROLE_PROMPT);
    add_numbered(run, s->n_completion, HW_ROLE_COMPLETION);
    hw_trace *trace;
    assert_int_equal(hw__trace_new(&trace, run, run->n_tokens, NULL), HW_OK);
    hw_err rc = show_rows(trace, s, err);
    if (rc != HW_OK) {
        hw_trace_free(trace);
        return rc;
    }
    *out = trace;
    return HW_OK;
}

hw_trace *make_trace(const trace_spec *spec) {
    hw_trace *trace = NULL;
    hw_error err = {0};
    if (try_trace(&trace, spec, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

/* ------------------------------------------------------------------ attributions */

hw_attribution *explain(const hw_trace *trace, const hw_method_params *params) {
    hw_attribution *a = NULL;
    hw_error err = {0};
    if (hw_explain(&a, trace, "rollout", params, &err) != HW_OK) fail_msg("%s", err.msg);
    return a;
}

double cell(const hw_attribution *a, size_t i, size_t k, size_t l) {
    assert_true(i < a->n_rows && k < a->n_columns && l < a->n_layers);
    return hw_attribution_values(a)[(i * a->n_columns + k) * a->n_layers + l];
}

double outside(const hw_attribution *a, size_t i, size_t l) {
    assert_true(i < a->n_rows && l < a->n_layers);
    return hw_attribution_outside(a)[i * a->n_layers + l];
}

hw_attribution *make_attribution(hw_run *run, const hw_method_params *params, size_t n_layers, const float *values,
                                 const float *outside_mass) {
    hw_method_params defaults = hw_method_params_default();
    hw_attribution *a = NULL;
    assert_int_equal(hw__attribution_new(&a, run, "rollout", params ? params : &defaults, n_layers, NULL), HW_OK);
    hw__run_release(run); /* the attribution has a reference of its own */
    memcpy(a->values, values, a->n_rows * a->n_columns * n_layers * sizeof *values);
    if (outside_mass) memcpy(a->outside, outside_mass, a->n_rows * n_layers * sizeof *outside_mass);
    assert_int_equal(hw__attribution_diagnose(a, NULL), HW_OK);
    return a;
}

void assert_same_tokens(const hw_run *a, const hw_run *b) {
    assert_int_equal(hw_run_n_tokens(a), hw_run_n_tokens(b));
    assert_int_equal(hw_run_n_prompt(a), hw_run_n_prompt(b));
    for (size_t i = 0; i < hw_run_n_tokens(a); i++) {
        hw_token x = hw_run_token(a, i), y = hw_run_token(b, i);
        assert_int_equal(x.id, y.id);
        assert_int_equal(x.role, y.role);
        assert_int_equal(x.begin, y.begin);
        assert_int_equal(x.end, y.end);
        assert_memory_equal(&x.logprob, &y.logprob, sizeof x.logprob);
        assert_int_equal(x.n_alternatives, y.n_alternatives);
        for (int32_t k = 0; k < x.n_alternatives; k++) {
            assert_int_equal(x.alternatives[k].id, y.alternatives[k].id);
            assert_memory_equal(&x.alternatives[k].logprob, &y.alternatives[k].logprob, sizeof(float));
        }
    }
}
