/*
 * test_zoo.c - tiny models of many architectures, with random weights, compared with Hugging Face's code.
 *
 * tests/zoo/make.py writes the models and the golden files, which the build unpacks; running needs neither. Each
 * model runs on a prompt that is decoded in chunks and is longer than the sliding windows, with weights and cache in
 * F32. Compared are attention rows, rollout, contribution, logit with its balance, and log probabilities. A method
 * that a model lacks must be refused for the reason in the golden file. The results are written to a table, of which
 * docs/models.md is made.
 */
#include "support/fixture.h"

#include "base/safetensors.h"
#include "data/trace.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Normalised mean squared errors, and nats. ggml looks GELU up in a table of 16-bit floats: rows behind the first layer
 * then differ by what these round. */
static const double ROWS = 1e-8, ROWS_BY_TABLES = 3e-5, PARTS = 1e-6, PARTS_BY_TABLES = 1e-5, NATS = 1e-4,
                    NATS_BY_TABLES = 1e-2, LOGPROB_BY_TABLES = 0.1;

enum { MAX_MODELS = 256, MAX_NAME = 64, MAX_PATH = 512 };

typedef struct zoo {
    char names[MAX_MODELS][MAX_NAME];
    size_t n;
    FILE *table;
} zoo;

/* One model at a time. */
typedef struct subject {
    const char *name;
    hw__safetensors *golden;
    hw_model *model;
    hw_trace *trace;
    bool tables;
    char problem[1536]; /* the first */
} subject;

static const char *folder(void) {
    const char *path = getenv("HEADWATER_ZOO");
    return path && *path ? path : "build/dev/tests/zoo";
}

static const char *path_of(const char *name, const char *ending) {
    static char path[MAX_PATH];
    snprintf(path, sizeof path, "%s/%s%s", folder(), name, ending);
    return path;
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static int find_models(void **state) {
    static zoo z;
    static const char ending[] = ".safetensors";
    DIR *dir = opendir(folder());
    for (const struct dirent *entry; dir && z.n < MAX_MODELS && (entry = readdir(dir));) {
        size_t n = strlen(entry->d_name), tail = sizeof ending - 1;
        if (n > tail && n - tail < MAX_NAME && strcmp(entry->d_name + n - tail, ending) == 0)
            snprintf(z.names[z.n++], MAX_NAME, "%.*s", (int)(n - tail), entry->d_name);
    }
    if (dir) closedir(dir);
    qsort(z.names, z.n, MAX_NAME, by_name);
    z.table = fopen(path_of("results", ".tsv"), "w");
    *state = &z;
    return z.table ? 0 : -1;
}

static int close_table(void **state) { return fclose(((zoo *)*state)->table); }

static void report(subject *s, const char *fmt, ...) HW_PRINTF(2, 3);
static void report(subject *s, const char *fmt, ...) {
    va_list args;
    if (s->problem[0]) return;
    va_start(args, fmt);
    vsnprintf(s->problem, sizeof s->problem, fmt, args);
    va_end(args);
}

/* ------------------------------------------------------------------ golden files */

static const char *text_of(const subject *s, const char *key) {
    const char *text = hw__safetensors_metadata(s->golden, key);
    return text ? text : "";
}

static bool has_method(const subject *s, const char *method) { return strstr(text_of(s, "methods"), method) != NULL; }

static float *floats_of(const subject *s, const char *name, size_t n) {
    const hw__tensor *t = hw__safetensors_find(s->golden, name);
    if (!t || t->n != n) fail_msg("%s: golden %s is not %zu numbers", s->name, name, n);
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    assert_int_equal(hw__safetensors_floats(s->golden, values, t, 0, n, NULL), HW_OK);
    return values;
}

static int64_t *ints_of(const subject *s, const char *name, size_t *n) {
    const hw__tensor *t = hw__safetensors_find(s->golden, name);
    assert_non_null(t);
    int64_t *values = malloc(t->n * sizeof *values);
    assert_non_null(values);
    assert_int_equal(hw__safetensors_ints(s->golden, values, t, 0, t->n, NULL), HW_OK);
    *n = t->n;
    return values;
}

/* ------------------------------------------------------------------ comparisons */

/* Prints what is compared; more than the bound, or NaN, is a problem. */
static void judge(subject *s, const char *what, double off, double bound) {
    printf(" %s %.0e", what, off);
    if (!(off <= bound)) report(s, "%s is off by %.2g, bound %.2g", what, off, bound);
}

static bool check_tokens(subject *s) {
    const hw_run *run = hw_trace_run(s->trace);
    size_t n;
    int64_t *ids = ints_of(s, "ids", &n);
    bool same = n == hw_run_n_tokens(run) && hw_run_n_prompt(run) == (size_t)strtoul(text_of(s, "m"), NULL, 10);
    for (size_t i = 0; same && i < n; i++) same = ids[i] == hw_run_token(run, i).id;
    if (!same) report(s, "its tokens are others");
    free(ids);
    return same;
}

static void check_logprobs(subject *s) {
    const hw_run *run = hw_trace_run(s->trace);
    size_t n = hw_run_n_completion(run), m = hw_run_n_prompt(run);
    float *want = floats_of(s, "logprob", n);
    double off = 0;
    for (size_t i = 0; i < n; i++) off = fmax(off, fabs((double)hw_run_token(run, m + i).logprob - (double)want[i]));
    judge(s, "logprob", off, s->tables ? LOGPROB_BY_TABLES : NATS);
    free(want);
}

static void check_rows(subject *s) {
    size_t n_kept, T = hw_run_n_tokens(hw_trace_run(s->trace)), L = s->trace->n_layers;
    int64_t *kept = ints_of(s, "rows_kept", &n_kept);
    float *want = floats_of(s, "rows", L * n_kept * T), *got = calloc(L * n_kept * T, sizeof *got);
    assert_non_null(got);
    for (size_t l = 0; l < L; l++) {
        for (size_t i = 0; i < n_kept; i++) {
            size_t n;
            const float *row = hw__trace_row(s->trace, l, (size_t)kept[i], &n);
            memcpy(got + (l * n_kept + i) * T, row, n * sizeof *got);
        }
    }
    judge(s, "rows", nmse(got, want, L * n_kept * T), s->tables ? ROWS_BY_TABLES : ROWS);
    if (s->tables) judge(s, "first", nmse(got, want, n_kept * T), ROWS);
    free(kept);
    free(want);
    free(got);
}

static void check_balance(subject *s, const hw_attribution *a) {
    enum { PROMPT, COMPLETION, BIAS, EMBEDDING, LOGIT, N_PARTS };
    static const char *const names[] = {"prompt", "completion", "bias", "embedding", "logit's height"};
    const hw_balance *b = hw_attribution_balance(a);
    double off[N_PARTS] = {0}, rest = 0;
    for (size_t i = 0; i < a->n_rows; i++) rest = fmax(rest, fabs(hw_balance_rest(&b[i])));
    judge(s, "rest", rest, NATS);
    if (!hw__safetensors_find(s->golden, "balance")) return; /* of a model without attention */
    float *want = floats_of(s, "balance", a->n_rows * N_PARTS);
    for (size_t i = 0; i < a->n_rows; i++) {
        double got[N_PARTS] = {b[i].prompt, b[i].completion, b[i].bias, b[i].embedding, b[i].logit};
        for (size_t k = 0; k < N_PARTS; k++) off[k] = fmax(off[k], fabs(got[k] - (double)want[i * N_PARTS + k]));
    }
    bool hybrid = a->n_layers > s->trace->n_layers; /* its recurrent layers' parts are among the first three */
    for (size_t k = hybrid ? EMBEDDING : 0; k < N_PARTS; k++)
        judge(s, names[k], off[k], s->tables ? NATS_BY_TABLES : NATS);
    free(want);
}

/* M [n, m, layers] of the attention layers alone, or of the recurrent ones. */
static float *of_kind(const subject *s, const hw_attribution *a, bool recurrent, size_t n_layers) {
    const hw_model_info *info = hw_model_describe(s->model);
    size_t at = 0;
    float *out = malloc((a->n_rows * a->n_columns * n_layers + 1) * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < a->n_rows * a->n_columns; i++)
        for (size_t l = 0; l < a->n_layers; l++)
            if ((a->n_layers > s->trace->n_layers && info->sources[l].layer < 0) == recurrent)
                out[at++] = a->values[i * a->n_layers + l];
    assert_int_equal(at, a->n_rows * a->n_columns * n_layers);
    return out;
}

/* The golden numbers `name` of layers of one kind. */
static void judge_layers(subject *s, const hw_attribution *a, const char *name, bool recurrent, double bound) {
    size_t L = recurrent ? a->n_layers - s->trace->n_layers : s->trace->n_layers, n = a->n_rows * a->n_columns * L;
    float *want = floats_of(s, name, n), *got = of_kind(s, a, recurrent, L);
    judge(s, name, nmse(got, want, n), bound);
    free(want);
    free(got);
}

static void check_method(subject *s, const char *method, double bound) {
    char recurrent[64];
    hw_error err = {0};
    hw_attribution *a = NULL;
    if (!has_method(s, method)) return;
    if (hw_explain(&a, s->trace, method, NULL, &err) != HW_OK) {
        report(s, "%s: %s", method, err.msg);
        return;
    }
    if (has_method(s, "rollout")) judge_layers(s, a, method, false, bound);
    snprintf(recurrent, sizeof recurrent, "recurrent.%s", method);
    if (hw__safetensors_find(s->golden, recurrent)) judge_layers(s, a, recurrent, true, bound);
    if (hw_attribution_balance(a)) check_balance(s, a);
    hw_attribution_free(a);
}

/* ------------------------------------------------------------------ one model */

static bool open_subject(subject *s, hw_error *err) {
    hw_model_params params = hw_model_params_default();
    params.n_threads = 1;
    params.n_ubatch = 16;
    params.f32_cache = true;
    if (hw__safetensors_open(&s->golden, path_of(s->name, ".safetensors"), err) != HW_OK) fail_msg("%s", err->msg);
    s->tables = strcmp(text_of(s, "tables"), "1") == 0;
    return hw_model_open(&s->model, path_of(s->name, ".gguf"), &params, err) == HW_OK;
}

static bool capture(subject *s) {
    hw_run_params p = hw_run_params_default();
    p.prompt = text_of(s, "prompt");
    p.prompt_bytes = strlen(p.prompt);
    p.completion = text_of(s, "completion");
    p.completion_bytes = strlen(p.completion);
    uint32_t signals = (has_method(s, "contribution") ? 1u << HW_SIGNAL_PROJECTION : 0) |
                       (has_method(s, "logit") ? 1u << HW_SIGNAL_LOGIT : 0);
    s->trace = capture_keeping(s->model, p, HW_KEEP_ROWS, signals);
    return true;
}

/* "" or why the model lacks a method. */
static const char *lack_of(const hw_model_info *info, const char *method) {
    return hw_method_problem(hw_method_find(method), info);
}

/* Each method is there, or is refused as the golden file expects. */
static void check_lacks(subject *s) {
    static const char *const methods[] = {"rollout", "contribution", "logit"};
    const hw_model_info *info = hw_model_describe(s->model);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const char *lack = lack_of(info, methods[i]);
        char key[64];
        snprintf(key, sizeof key, "refused.%s", methods[i]);
        const char *expected = text_of(s, key);
        if (has_method(s, methods[i]) && lack[0]) report(s, "%s is refused: %s", methods[i], lack);
        if (has_method(s, methods[i]) || !expected[0]) continue;
        if (!lack[0]) report(s, "%s is not refused", methods[i]);
        if (!strstr(lack, expected)) report(s, "%s is refused for \"%s\", not \"%s\"", methods[i], lack, expected);
    }
}

static void put_result(const zoo *z, const subject *s) {
    const hw_model_info *info = hw_model_describe(s->model);
    fprintf(z->table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s->name, info->architecture, text_of(s, "converted_from"),
            lack_of(info, "rollout"), lack_of(info, "contribution"), lack_of(info, "logit"),
            !has_method(s, "rollout") && !hw__safetensors_find(s->golden, "recurrent.logit") ? "probe"
            : s->tables                                                                      ? "tables"
                                                                                             : "exact");
}

static void close_subject(subject *s) {
    hw_trace_free(s->trace);
    hw_model_close(s->model);
    hw__safetensors_close(s->golden);
}

static bool check_model(const zoo *z, const char *name) {
    subject s = {.name = name};
    hw_error err = {0};
    printf("%s:", name);
    if (!open_subject(&s, &err)) {
        report(&s, "%s", err.msg);
    } else {
        check_lacks(&s);
        bool attention = has_method(&s, "rollout"), any = attention || has_method(&s, "logit");
        if (any && !s.problem[0] && capture(&s) && (!attention || check_tokens(&s))) {
            if (attention) check_rows(&s);
            if (attention) check_logprobs(&s);
            check_method(&s, "rollout", s.tables ? ROWS_BY_TABLES : ROWS);
            check_method(&s, "contribution", s.tables ? PARTS_BY_TABLES : PARTS);
            check_method(&s, "logit", s.tables ? PARTS_BY_TABLES : PARTS);
        }
        put_result(z, &s);
    }
    printf("%s%s\n", s.problem[0] ? " FAILED: " : "", s.problem);
    close_subject(&s);
    return !s.problem[0];
}

/* ------------------------------------------------------------------ tests */

static void there_are_45_or_more(void **state) { assert_true(((const zoo *)*state)->n >= 45); }

static void each_is_right_or_refused(void **state) {
    const zoo *z = *state;
    size_t n_failed = 0;
    for (size_t i = 0; i < z->n; i++) n_failed += !check_model(z, z->names[i]);
    if (n_failed) fail_msg("%zu of %zu architectures failed", n_failed, z->n);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_45_or_more),
        cmocka_unit_test(each_is_right_or_refused),
    };
    return cmocka_run_group_tests(tests, find_models, close_table);
}
