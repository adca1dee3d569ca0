/*
 * test_composed.c - contributions of every row, composed over layers, on real models.
 *
 * The reference is a dense product in double of rows that come another way: of a run whose prompt is the first token
 * alone and whose given completion is all the rest. There every row is one of interest, kept, decoded and explained as
 * such; here they are the prompt's. Kernels for quantised weights round by the shape of a batch, so both runs decode
 * the same batches: one token at a time, or where the first run's prompt is as long as a batch, whole ones. Then the
 * engine's numbers are the same, whichever engine that is, and the bound is that of our own sums.
 */
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct subject {
    const char *model;
    int32_t n_ubatch;
} subject;

static const subject smollm_f32 = {"SmolLM2-135M-Instruct.F32.gguf", 0};
static const subject smollm = {"SmolLM2-135M-Instruct.Q4_1.gguf", 16};
static const subject gemma = {"gemma-3-270m-q4_k_m.gguf", 1};
static const double BOUND = 1e-12; /* NMSE: three times what was seen */

static hw_model *open_model(const subject *s) {
    hw_error err;
    hw_model *model;
    hw_model_params params = hw_model_params_default();
    params.f32_cache = strstr(s->model, "F32") != NULL;
    params.n_threads = 2;
    params.n_ubatch = s->n_ubatch;
    if (hw_model_open(&model, test_model_path(s->model), &params, &err) != HW_OK) fail_msg("%s", err.msg);
    return model;
}

static hw_trace *run(hw_model *model, const char *prompt, size_t n, const char *completion, uint32_t signals) {
    hw_run_params p = hw_run_params_default();
    p.prompt = prompt;
    p.prompt_bytes = n;
    p.completion = completion;
    p.completion_bytes = strlen(completion);
    return capture_keeping(model, p, HW_KEEP_ROWS, signals);
}

static const hw_measure measures[] = {HW_MEASURE_PROJECTION, HW_MEASURE_NORM, HW_MEASURE_PROXIMITY1,
                                      HW_MEASURE_PROXIMITY2};
enum { N_MEASURES = 4, OF_INTEREST = (1 << HW_SIGNAL_LOGIT) - 1 };
static uint32_t all_of(size_t n) { return ((1u << n) - 1) << HW_SIGNAL_ALL_PROJECTION; }

/* C [T, T] of layer l: clipped, scaled, with a residual of `r`. Rows that the other run lacks (a BOS before its first
 * token) are row 0, which sees itself alone. */
static double *dense_layer(const hw_trace *by_row, hw_measure measure, size_t l, double r) {
    size_t T = by_row->run->n_tokens, first = by_row->run->n_prompt - 1;
    double *c = calloc(T * T, sizeof *c);
    for (size_t q = 0; q < T; q++) {
        double sum = 0;
        if (q < first) c[q * T + q] = 1;
        if (q < first) continue;
        const float *row = hw__trace_signal(by_row, (hw_signal)measure, l, q - first);
        for (size_t k = 0; k <= q; k++) sum += fmax(0, (double)row[k]);
        for (size_t k = 0; k <= q; k++) c[q * T + k] = (1 - r) * fmax(0, (double)row[k]) / sum + (k == q) * r;
    }
    return c;
}

static double *product(const double *a, const double *b, size_t n) {
    double *out = calloc(n * n, sizeof *out);
    for (size_t q = 0; q < n; q++)
        for (size_t j = 0; j <= q; j++)
            for (size_t k = 0; k <= j; k++) out[q * n + k] += a[q * n + j] * b[j * n + k];
    return out;
}

/* S of the layers [from, to), the upper ones on the left, or reversed. */
static double *compose(const hw_trace *by_row, hw_measure measure, size_t from, size_t to, double r, bool reversed) {
    size_t T = by_row->run->n_tokens;
    double *s = calloc(T * T, sizeof *s);
    for (size_t q = 0; q < T; q++) s[q * T + q] = 1;
    for (size_t l = from; l < to; l++) {
        double *c = dense_layer(by_row, measure, l, r), *next = reversed ? product(s, c, T) : product(c, s, T);
        free(c);
        free(s);
        s = next;
    }
    return s;
}

/* M[:,:,l] of `a` against rows of S. */
static double error_of(const hw_attribution *a, const double *s, size_t l) {
    double off = 0, size = 0;
    for (size_t i = 0; i < a->n_rows; i++) {
        size_t q = a->first_token + i - (a->params.row == HW_ROW_PREDICTOR);
        for (size_t k = 0; k < a->n_columns; k++) {
            double want = s[q * a->run->n_tokens + k], d = cell(a, i, k, l) - want;
            off += d * d;
            size += want * want;
        }
    }
    return off / size;
}

static void compare(const hw_trace *whole, const hw_trace *by_row, hw_measure measure, hw_direction direction,
                    const subject *s) {
    hw_error err;
    hw_attribution *a;
    hw_method_params p = hw_method_params_default();
    p.measure = measure;
    p.aggregate = HW_AGGREGATE_ROLLOUT;
    p.direction = direction;
    p.residual = 0.3;
    double r = measure == HW_MEASURE_NORM ? 0.3 : 0, max = 0;
    if (hw_explain(&a, whole, "contribution", &p, &err) != HW_OK) fail_msg("%s", err.msg);
    size_t L = a->n_layers, layers[] = {0, 1, L / 2, L - 1};
    for (size_t i = 0; i < 4; i++) {
        bool up = direction == HW_DIRECTION_INPUT;
        double *want = compose(by_row, measure, up ? 0 : layers[i], up ? layers[i] + 1 : L, r, false);
        max = fmax(max, error_of(a, want, layers[i]));
        free(want);
    }
    printf("  %-32s %-11s %-6s NMSE %.1e\n", s->model, hw_measure_name(measure), hw_direction_name(direction), max);
    assert_true(max <= BOUND);
    double *wrong = compose(by_row, measure, 0, L / 2 + 1, r, true);
    if (direction == HW_DIRECTION_INPUT) assert_true(error_of(a, wrong, L / 2) > 10 * BOUND); /* C_0 ... C_l */
    free(wrong);
    hw_attribution_free(a);
}

/* The rows themselves: every one that both runs have, in every layer below the last. */
static void compare_rows(const hw_trace *whole, const hw_trace *by_row, hw_measure measure, const subject *s) {
    size_t T = whole->run->n_tokens, first = by_row->run->n_prompt - 1;
    double off = 0, size = 0;
    for (size_t l = 0; l + 1 < whole->n_layers; l++) {
        for (size_t q = first; q < T; q++) {
            const float *x = hw__trace_every(whole, HW_SIGNAL_ALL_PROJECTION + (hw_signal)measure, l, q);
            const float *y = hw__trace_signal(by_row, (hw_signal)measure, l, q - first);
            for (size_t k = 0; k <= q; k++) {
                off += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
                size += (double)y[k] * (double)y[k];
            }
        }
    }
    printf("  %-32s %-11s rows   NMSE %.1e\n", s->model, hw_measure_name(measure), off / size);
    assert_true(off / size <= BOUND);
}

static void same_tokens(const hw_trace *a, const hw_trace *b) {
    assert_int_equal(a->run->n_tokens, b->run->n_tokens);
    for (size_t t = 0; t < a->run->n_tokens; t++) assert_int_equal(a->run->tokens[t].id, b->run->tokens[t].id);
}

/* The two runs of one text; `head` bytes are the first token, `m` bytes the prompt. */
static void two_runs(hw_trace **whole, hw_trace **by_row, hw_model *model, const char *text, size_t head, size_t m,
                     size_t n_measures) {
    *whole = run(model, text, m, text + m, all_of(n_measures) | ((1u << n_measures) - 1));
    *by_row = run(model, text, head, text + head, (1u << n_measures) - 1);
    same_tokens(*whole, *by_row);
}

static void composed_contributions_are_the_dense_product(void **state) {
    const subject *s = *state;
    static const char text[] = "Anna keeps clocks. Boris repairs boats. What does Boris repair? Boris repairs boats.";
    hw_trace *whole, *by_row;
    hw_model *model = open_model(s);
    two_runs(&whole, &by_row, model, text, 4, strlen(text) - strlen(" boats."), N_MEASURES);
    for (size_t i = 0; i < N_MEASURES; i++) {
        compare_rows(whole, by_row, measures[i], s);
        compare(whole, by_row, measures[i], HW_DIRECTION_INPUT, s);
        compare(whole, by_row, measures[i], HW_DIRECTION_OUTPUT, s);
    }
    hw_trace_free(whole);
    hw_trace_free(by_row);
    hw_model_close(model);
}

/* Byte at which the first n tokens of a prompt end. */
static size_t end_of(hw_model *model, const char *text, size_t n) {
    hw_error err;
    hw_run *read;
    hw_run_params p = hw_run_params_default();
    p.prompt = text;
    p.prompt_bytes = strlen(text);
    if (hw_run_tokenize(&read, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_in_range(n, 1, hw_run_n_tokens(read));
    size_t end = hw_run_token(read, n - 1).end;
    hw_run_free(read);
    return end;
}

/* More rows than wait at once: they are explained block by block while the prompt is read. */
static void long_prompts_take_several_blocks(void **state) {
    const subject *s = *state;
    enum { SENTENCES = 60, PROMPT_TOKENS = 528 }; /* whole batches */
    char text[SENTENCES * 40] = "Once";
    if (slow_kernels()) skip();
    for (int i = 0; i < SENTENCES; i++) snprintf(text + strlen(text), 40, " Key %d opens box %d.", i, (i * 7) % 60);
    hw_trace *whole, *by_row;
    hw_model *model = open_model(s);
    size_t m = end_of(model, text, PROMPT_TOKENS), batch = (size_t)s->n_ubatch;
    text[end_of(model, text, PROMPT_TOKENS + 4)] = 0;
    two_runs(&whole, &by_row, model, text, end_of(model, text, batch), m, 1);
    assert_int_equal(whole->run->n_prompt, PROMPT_TOKENS);
    assert_int_equal(by_row->run->n_prompt, batch);
    compare_rows(whole, by_row, HW_MEASURE_PROJECTION, s);
    hw_trace_free(whole);
    hw_trace_free(by_row);
    hw_model_close(model);
}

/* Rows of interest that are wanted both ways are the same bits; the last block has nothing of the others. */
static void rows_of_interest_are_there_twice(void **state) {
    const subject *s = *state;
    hw_model *model = open_model(s);
    hw_trace *trace = run(model, "The river runs through", 22, " the valley",
                          all_of(N_MEASURES) | OF_INTEREST | 1u << HW_SIGNAL_LOGIT);
    size_t m = trace->run->n_prompt, L = trace->n_layers;
    for (int i = 0; i < N_MEASURES; i++) {
        hw_signal every = (hw_signal)(HW_SIGNAL_ALL_PROJECTION + i);
        for (size_t l = 0; l < L; l++)
            for (size_t r = 0; r <= hw_run_n_completion(trace->run); r++)
                assert_memory_equal(hw__trace_every(trace, every, l, m - 1 + r),
                                    hw__trace_signal(trace, (hw_signal)i, l, r), (m + r) * sizeof(float));
        for (size_t q = 0; q + 1 < m; q++)
            for (size_t k = 0; k <= q; k++) assert_close(hw__trace_every(trace, every, L - 1, q)[k], 0, 0);
    }
    hw_trace *plain = run(model, "The river runs through", 22, " the valley", OF_INTEREST | 1u << HW_SIGNAL_LOGIT);
    size_t cells = L * (hw_run_n_completion(trace->run) + 1) * trace->run->n_tokens;
    double off = nmse(trace->signals.values[HW_SIGNAL_LOGIT], plain->signals.values[HW_SIGNAL_LOGIT], cells);
    printf("  logits beside every row: NMSE %.1e\n", off);
    assert_true(off <= BOUND); /* products of more rows at once are summed in another order */
    hw_trace_free(trace);
    hw_trace_free(plain);
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(composed_contributions_are_the_dense_product, (void *)&smollm_f32),
        cmocka_unit_test_prestate(composed_contributions_are_the_dense_product, (void *)&gemma),
        cmocka_unit_test_prestate(long_prompts_take_several_blocks, (void *)&smollm),
        cmocka_unit_test_prestate(rows_of_interest_are_there_twice, (void *)&smollm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
