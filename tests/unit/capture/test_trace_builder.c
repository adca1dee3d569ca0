/*
 * test_trace_builder.c - rows and tokens that a caller passes become the trace that the same weights give as a whole;
 * anything else is refused, and the builder goes on as if it had not been passed.
 */
#include "support/files.h"
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { L = 3, H = 2, M = 5, N = 4, T = M + N };

static hw_trace_builder_params params(void) {
    hw_trace_builder_params p = hw_trace_builder_params_default();
    p.n_layers = L;
    p.n_heads = H;
    p.n_prompt = M;
    p.max_tokens = T;
    p.model = "theirs";
    return p;
}

static hw_trace_builder *start(void) {
    hw_trace_builder_params p = params();
    hw_trace_builder *b;
    hw_error err = {0};
    if (hw_trace_builder_new(&b, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return b;
}

/* out [L, H, n_rows, n_keys], malloc'd. */
static float *weights(size_t at, size_t n_rows, size_t n_keys) {
    float *out = calloc(L * H * n_rows * n_keys, sizeof *out);
    for (size_t l = 0; l < L; l++)
        for (size_t h = 0; h < H; h++)
            for (size_t i = 0; i < n_rows; i++)
                for (size_t k = 0; k <= at + i; k++)
                    out[((l * H + h) * n_rows + i) * n_keys + k] = (float)random_attention(NULL, l, h, at + i, k);
    return out;
}

static hw_err add_rows(hw_trace_builder *b, size_t at, size_t n_rows, size_t n_keys, hw_error *err) {
    float *rows = weights(at, n_rows, n_keys);
    hw_err rc = hw_trace_builder_rows(b, rows, n_rows, n_keys, err);
    free(rows);
    return rc;
}

static void add_token(hw_trace_builder *b, size_t t) {
    char text[16];
    hw_error err = {0};
    int n = snprintf(text, sizeof text, " w%zu", t);
    if (hw_trace_builder_token(b, text, (size_t)n, (int32_t)t + 7, t < M ? NAN : -0.5f, &err) != HW_OK)
        fail_msg("%s", err.msg);
}

/* A prompt as one block with padded columns, then step after step, as an engine computes them. */
static hw_trace *build(size_t n_rows) {
    hw_trace_builder *b = start();
    hw_trace *trace;
    hw_error err = {0};
    for (size_t t = 0; t < M; t++) add_token(b, t);
    if (add_rows(b, 0, M, M + 3, &err) != HW_OK) fail_msg("%s", err.msg);
    for (size_t t = M; t < T; t++) {
        add_token(b, t);
        if (t < n_rows && add_rows(b, t, 1, t + 1, &err) != HW_OK) fail_msg("%s", err.msg);
    }
    if (hw_trace_builder_finish(&trace, b, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_trace_builder_free(b);
    return trace;
}

static void assert_same_values(const hw_trace *built, const hw_trace *whole) {
    hw_attribution *a = explain(built, NULL), *w = explain(whole, NULL);
    assert_int_equal(hw_attribution_n_rows(a), N);
    assert_int_equal(hw_attribution_n_columns(a), M);
    assert_memory_equal(hw_attribution_values(a), hw_attribution_values(w), N * M * L * sizeof(float));
    hw_attribution_free(a);
    hw_attribution_free(w);
}

static void rows_become_the_trace_of_the_whole(void **state) {
    (void)state;
    const trace_spec spec = {
        .n_layers = L, .n_heads = H, .n_prompt = M, .n_completion = N, .attention = random_attention};
    hw_trace *built = build(T), *whole = make_trace(&spec);
    for (size_t l = 0; l < L; l++)
        for (size_t q = 0; q < T; q++) {
            size_t n, m;
            const float *x = hw_trace_row(built, l, q, &n), *y = hw_trace_row(whole, l, q, &m);
            assert_int_equal(n, m);
            assert_memory_equal(x, y, n * sizeof *x);
        }
    assert_same_values(built, whole);
    hw_trace_free(built);
    hw_trace_free(whole);
}

static void tokens_are_the_callers(void **state) {
    (void)state;
    hw_trace *trace = build(T);
    const hw_run *run = hw_trace_run(trace);
    size_t n;
    assert_string_equal(hw_run_prompt(run, &n), " w0 w1 w2 w3 w4");
    assert_int_equal(n, 15);
    assert_int_equal(hw_run_n_prompt(run), M);
    assert_int_equal(hw_run_finish_reason(run), HW_STOP_GIVEN);
    assert_string_equal(hw_run_model(run)->name, "theirs");
    assert_true(hw_run_model(run)->row_error > 0 && hw_run_model(run)->row_error < 1e-6);
    hw_token first = hw_run_token(run, 1), last = hw_run_token(run, T - 1);
    assert_int_equal(first.begin, 3);
    assert_int_equal(first.end, 6);
    assert_true(isnan(first.logprob));
    assert_int_equal(last.id, T - 1 + 7);
    assert_true(last.logprob == -0.5f);
    hw_trace_free(trace);
}

static void it_is_saved_and_opened(void **state) {
    (void)state;
    hw_trace *trace = build(T), *opened;
    hw_error err = {0};
    const char *path = temp_path("built.trace.safetensors");
    if (hw_trace_save(trace, path, &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw_trace_open(&opened, path, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_same_values(opened, trace);
    hw_trace_free(trace);
    hw_trace_free(opened);
}

/* Engines do not compute the row of a last token, which chooses nothing. */
static void last_row_may_be_missing(void **state) {
    (void)state;
    hw_trace *lacking = build(T - 1), *whole = build(T);
    hw_attribution *a = NULL;
    hw_error err = {0};
    assert_same_values(lacking, whole);
    hw_method_params own = hw_method_params_default();
    own.row = HW_ROW_OWN;
    hw_err rc = hw_explain(&a, lacking, "rollout", &own, &err);
    assert_error(&err, rc, HW_ERR_UNSUPPORTED, "last token");
    rc = hw_explain(&a, whole, "contribution", NULL, &err);
    assert_error(&err, rc, HW_ERR_UNSUPPORTED, "");
    hw_trace_free(lacking);
    hw_trace_free(whole);
}

static void shapes_out_of_range_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t offset, value;
        const char *words;
    } cases[] = {
        {offsetof(hw_trace_builder_params, n_layers), 0, "n_layers is 0"},
        {offsetof(hw_trace_builder_params, n_heads), 0, "n_heads is 0"},
        {offsetof(hw_trace_builder_params, n_layers), SIZE_MAX, "n_layers is"},
        {offsetof(hw_trace_builder_params, n_prompt), 0, "n_prompt is 0"},
        {offsetof(hw_trace_builder_params, max_tokens), M - 1, "max_tokens 4"},
        {offsetof(hw_trace_builder_params, max_tokens), SIZE_MAX, "max_tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_trace_builder_params p = params();
        hw_trace_builder *b = NULL;
        hw_error err = {0};
        memcpy((char *)&p + cases[i].offset, &cases[i].value, sizeof cases[i].value);
        hw_err rc = hw_trace_builder_new(&b, &p, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].words);
        assert_null(b);
    }
}

typedef void (*spoil)(float *rows);
static void put_nan(float *rows) { rows[2] = NAN; }
static void put_infinity(float *rows) { rows[2] = INFINITY; }
static void make_negative(float *rows) { rows[0] += 2 * rows[1], rows[1] = -rows[1]; }
static void lose_mass(float *rows) { rows[0] -= 0.01f; }
static void look_ahead(float *rows) { rows[M] = 1e-20f; }

static void rows_that_are_not_attention_are_refused(void **state) {
    (void)state;
    static const struct {
        spoil act;
        hw_err code;
        const char *words;
    } cases[] = {{put_nan, HW_ERR_ENGINE, "layer 0"},
                 {put_infinity, HW_ERR_ENGINE, "layer 0"},
                 {make_negative, HW_ERR_ENGINE, "negative weights"},
                 {lose_mass, HW_ERR_ENGINE, "it must be 1 within 0.001"},
                 {look_ahead, HW_ERR_ARGUMENT, "head 0, row 4 puts 1e-20 on column 5"}};
    hw_trace_builder *b = start();
    hw_error err = {0};
    for (size_t t = 0; t < T; t++) add_token(b, t);
    assert_int_equal(add_rows(b, 0, M - 1, M, &err), HW_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float *rows = weights(M - 1, 1, M + 1);
        cases[i].act(rows);
        hw_err rc = hw_trace_builder_rows(b, rows, 1, M + 1, &err);
        assert_error(&err, rc, cases[i].code, cases[i].words);
        free(rows);
    }
    hw_err rc = add_rows(b, M - 1, 1, M - 1, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "have 4 columns: the last one needs 5");
    rc = add_rows(b, M - 1, N + 2, T + 1, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "max_tokens is 9");
    rc = hw_trace_builder_token(b, "x", 1, -1, NAN, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "a token more than max_tokens");
    hw_trace *trace = NULL;
    rc = hw_trace_builder_finish(&trace, b, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "4 rows and 9 tokens");
    assert_int_equal(add_rows(b, M - 1, N + 1, T, &err), HW_OK); /* nothing of the above was taken */
    assert_int_equal(hw_trace_builder_finish(&trace, b, &err), HW_OK);
    rc = hw_trace_builder_finish(&trace, b, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "finished already");
    hw_trace_builder_free(b);
    hw_trace *reference = build(T);
    assert_same_values(trace, reference);
    hw_trace_free(trace);
    hw_trace_free(reference);
}

/* Every token's row has a weight on each of the T. */
static double wide_attention(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx;
    double sum = 0;
    for (size_t i = 0; i < T; i++) sum += (double)((l + 2 * h + 3 * q + i * i) % 7 + 1);
    return (double)((l + 2 * h + 3 * q + k * k) % 7 + 1) / sum;
}

/* Row q of an encoder's weights, [L, H, 1, T]. */
static hw_err add_wide_row(hw_trace_builder *b, size_t q, size_t n_keys, hw_error *err) {
    float rows[L * H * (T + 1)] = {0};
    for (size_t l = 0; l < L; l++)
        for (size_t h = 0; h < H; h++)
            for (size_t k = 0; k < T; k++) rows[(l * H + h) * n_keys + k] = (float)wide_attention(NULL, l, h, q, k);
    return hw_trace_builder_rows(b, rows, 1, n_keys, err);
}

static hw_trace_builder *start_wide(size_t n_prompt) {
    hw_trace_builder_params p = params();
    hw_trace_builder *b;
    hw_error err = {0};
    p.n_prompt = n_prompt;
    p.bidirectional = true;
    if (hw_trace_builder_new(&b, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return b;
}

/* n_prompt T: an encoder, whose every row is explained; M: a completion after a prompt that was read as a whole. */
static void rows_may_read_later_tokens(void **state) {
    (void)state;
    static const size_t prompts[] = {T, M};
    for (size_t i = 0; i < 2; i++) {
        const trace_spec spec = {.n_layers = L,
                                 .n_heads = H,
                                 .n_prompt = prompts[i],
                                 .n_completion = T - prompts[i],
                                 .bidirectional = true,
                                 .attention = wide_attention};
        hw_trace_builder *b = start_wide(prompts[i]);
        hw_trace *built, *whole = make_trace(&spec);
        hw_error err = {0};
        for (size_t t = 0; t < T; t++) {
            add_token(b, t);
            if (add_wide_row(b, t, T + t % 2, &err) != HW_OK) fail_msg("%s", err.msg);
        }
        if (hw_trace_builder_finish(&built, b, &err) != HW_OK) fail_msg("%s", err.msg);
        hw_trace_builder_free(b);
        assert_false(hw_run_is_causal(hw_trace_run(built)));
        hw_attribution *a = explain(built, NULL), *w = explain(whole, NULL);
        size_t n = hw_attribution_n_rows(w) * hw_attribution_n_columns(w) * L;
        assert_int_equal(hw_attribution_n_rows(a), hw_attribution_n_rows(w));
        assert_int_equal(hw_attribution_n_columns(a), prompts[i]);
        assert_memory_equal(hw_attribution_values(a), hw_attribution_values(w), n * sizeof(float));
        hw_attribution_free(a);
        hw_attribution_free(w);
        hw_trace_free(built);
        hw_trace_free(whole);
    }
}

static void an_encoder_that_is_not_whole_is_refused(void **state) {
    (void)state;
    hw_trace_builder *b = start_wide(T);
    hw_trace *trace = NULL;
    hw_error err = {0};
    for (size_t t = 0; t + 1 < T; t++) {
        add_token(b, t);
        if (add_wide_row(b, t, T, &err) != HW_OK) fail_msg("%s", err.msg);
    }
    hw_err rc = hw_trace_builder_finish(&trace, b, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "8 tokens: max_tokens, 9, are needed");
    add_token(b, T - 1);
    rc = hw_trace_builder_finish(&trace, b, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "8 rows and 9 tokens: as many rows are needed");
    rc = add_rows(b, T - 1, 1, T - 1, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "have 8 columns: the last one needs 9");
    float rows[L * H * (T + 1)];
    for (size_t i = 0; i < L * H * (T + 1); i++) rows[i] = 1.0f / (T + 1);
    rc = hw_trace_builder_rows(b, rows, 1, T + 1, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "on column 9, which comes after the last token");
    assert_null(trace);
    hw_trace_builder_free(b);
}

static void log_probabilities_are_checked(void **state) {
    (void)state;
    hw_trace_builder *b = start();
    hw_error err = {0};
    hw_err rc = hw_trace_builder_token(b, "x", 1, -1, 0.5f, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "log probability 0.5");
    hw_trace *trace = NULL;
    for (size_t t = 0; t < M; t++) add_token(b, t);
    rc = hw_trace_builder_finish(&trace, b, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "there is no completion");
    hw_trace_builder_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_the_trace_of_the_whole),
        cmocka_unit_test(tokens_are_the_callers),
        cmocka_unit_test(it_is_saved_and_opened),
        cmocka_unit_test(last_row_may_be_missing),
        cmocka_unit_test(shapes_out_of_range_are_refused),
        cmocka_unit_test(rows_that_are_not_attention_are_refused),
        cmocka_unit_test(rows_may_read_later_tokens),
        cmocka_unit_test(an_encoder_that_is_not_whole_is_refused),
        cmocka_unit_test(log_probabilities_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
