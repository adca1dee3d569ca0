/*
 * test_models.c - capture on two real models: what the probe says, rows, batches, sliding windows, text of any bytes.
 */
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SMOLLM2[] = "SmolLM2-135M-Instruct.Q4_1.gguf", SMOLLM2_F32[] = "SmolLM2-135M-Instruct.F32.gguf";
static const char GEMMA3[] = "gemma-3-270m-q4_k_m.gguf";
static const char *const both[] = {SMOLLM2, GEMMA3};

static const char PROMPT[] = "Context: It is sunny today, which is bad.\nQ: How is the weather today ?\nA: It is";
static const char COMPLETION[] = " sunny, but it is not as warm as it was yesterday.";

static hw_model *open_model(const char *name, int32_t n_ubatch, bool f32_cache) {
    hw_model_params p = hw_model_params_default();
    p.n_threads = 2;
    p.n_ubatch = n_ubatch;
    p.f32_cache = f32_cache;
    hw_model *model = NULL;
    hw_error err = {0};
    if (hw_model_open(&model, test_model_path(name), &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return model;
}

/* A model by its defaults, opened once for all tests that change nothing of it. */
static hw_model *opened[2];

static hw_model *shared_model(size_t m) {
    if (!opened[m]) opened[m] = open_model(both[m], 0, false);
    return opened[m];
}

static int close_shared(void **state) {
    (void)state;
    for (size_t m = 0; m < 2; m++) hw_model_close(opened[m]);
    return 0;
}

static hw_run_params ask_bytes(const char *prompt, size_t n_bytes, const char *completion, size_t n) {
    hw_run_params p = hw_run_params_default();
    p.prompt = prompt;
    p.prompt_bytes = n_bytes;
    p.completion = completion;
    p.completion_bytes = completion ? strlen(completion) : 0;
    p.n_generate = n;
    return p;
}

static hw_trace *capture(hw_model *model, const hw_run_params *p) {
    hw_trace *trace = NULL;
    hw_error err = {0};
    if (hw_trace_capture(&trace, model, p, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static hw_trace *capture_text(hw_model *model, const char *prompt, const char *completion, size_t n) {
    hw_run_params p = ask_bytes(prompt, strlen(prompt), completion, n);
    return capture(model, &p);
}

/* ------------------------------------------------------------------ the probe */

static void smollm2_describes_itself(void **state) {
    (void)state;
    native_kernels_only();
    const hw_model_info *i = hw_model_describe(shared_model(0));
    assert_string_equal(i->architecture, "llama");
    assert_string_equal(i->engine, "llama");
    assert_string_equal(i->quantisation, "Q4_1");
    assert_string_equal(i->problem, "");
    assert_string_equal(i->device, "CPU");
    assert_int_equal(i->n_layers, 30);
    assert_int_equal(i->n_blocks, 30);
    for (int32_t l = 0; l < 30; l++) assert_int_equal(i->layers[l], l);
    assert_int_equal(i->n_heads, 9);
    assert_int_equal(i->n_heads_kv, 3);
    assert_int_equal(i->n_embd, 576);
    assert_int_equal(i->n_vocab, 49152);
    assert_int_equal(i->n_ctx_train, 8192);
    assert_int_equal(i->n_swa, 0);
    assert_int_equal(strlen(i->metadata_sha256), 64);
    assert_int_equal(strlen(i->sample_sha256), 64);
    assert_true(i->has_chat_template && i->host_rows && !i->has_sinks && !i->adds_bos);
    assert_true(i->row_error < 1e-5);
}

static void gemma3_describes_itself(void **state) {
    (void)state;
    native_kernels_only();
    const hw_model_info *i = hw_model_describe(shared_model(1));
    assert_string_equal(i->architecture, "gemma3");
    assert_string_equal(i->problem, "");
    assert_int_equal(i->n_layers, 18);
    assert_int_equal(i->n_blocks, 18);
    assert_int_equal(i->n_heads, 4);
    assert_int_equal(i->n_heads_kv, 1);
    assert_int_equal(i->n_embd, 640);
    assert_int_equal(i->n_vocab, 262144);
    assert_int_equal(i->n_swa, 512);
    assert_true(i->adds_bos && !i->has_sinks);
    assert_true(i->row_error < 1e-5);
}

/* ------------------------------------------------------------------ rows and batches */

static void rows_are_distributions_over_the_past(void **state) {
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        hw_trace *trace = capture_text(shared_model(m), PROMPT, COMPLETION, 0);
        double max = 0;
        for (size_t l = 0; l < trace->n_layers; l++) {
            for (size_t q = 0; q < hw_run_n_tokens(hw_trace_run(trace)); q++) {
                size_t n;
                const float *row = hw_trace_row(trace, l, q, &n);
                double sum = 0;
                for (size_t k = 0; k < n; k++) sum += (double)row[k];
                assert_int_equal(n, q + 1);
                max = fmax(max, fabs(1 - sum));
            }
        }
        print_message("%s: row sums off by at most %.2g\n", both[m], max);
        assert_true(max < 2e-6);
        hw_trace_free(trace);
    }
}

static hw_trace *trace_by(const char *name, int32_t n_ubatch, bool f32_cache) {
    hw_model *model = open_model(name, n_ubatch, f32_cache);
    hw_trace *trace = capture_text(model, PROMPT, COMPLETION, 0);
    hw_model_close(model);
    return trace;
}

/* A part of the noise of the engine's rows, which averaging over layers reduces: it was .06 to .15 of the rows' in F32,
 * and depends on the CPU's kernels (rows 8e-14 with AVX-512, 1.2e-13 with AVX2). Below F32_BATCHES nothing is
 * judged. */
static const double F32_BATCHES = 1e-14, F32_OF_ROWS = 0.5, OF_ROWS = 2;

static void check_batches(const char *name, bool f32) {
    static const int32_t sizes[] = {1, 7};
    hw_method_params p = hw_method_params_default();
    p.row = HW_ROW_OWN;
    hw_trace *whole = trace_by(name, 512, f32);
    hw_attribution *want = explain(whole, &p);
    for (size_t i = 0; i < 2; i++) {
        hw_trace *split = trace_by(name, sizes[i], f32);
        hw_attribution *a = explain(split, &p);
        assert_int_equal(a->n_rows, want->n_rows);
        double off = nmse(a->values, want->values, a->n_rows * a->n_columns * a->n_layers);
        double noise = rows_noise(split, whole), bound = fmax(F32_BATCHES, (f32 ? F32_OF_ROWS : OF_ROWS) * noise);
        print_message("%s: NMSE of M by batches of %d %.2g, of the rows %.2g, bound %.2g\n", name, sizes[i], off, noise,
                      bound);
        if (!(off <= bound)) fail_msg("above its bound");
        hw_attribution_free(a);
        hw_trace_free(split);
    }
    hw_attribution_free(want);
    hw_trace_free(whole);
}

static void any_batch_size_gives_the_same_result(void **state) {
    (void)state;
    check_batches(SMOLLM2, false);
    check_batches(SMOLLM2_F32, true);
    check_batches(GEMMA3, false);
}

static void the_same_run_gives_the_same_bits(void **state) {
    (void)state;
    native_kernels_only();
    for (size_t m = 0; m < 2; m++) {
        hw_model *model = shared_model(m);
        hw_trace *a = capture_text(model, PROMPT, NULL, 4), *between = capture_text(model, "Hello there", NULL, 2);
        hw_trace *b = capture_text(model, PROMPT, NULL, 4);
        size_t n_tokens = hw_run_n_tokens(hw_trace_run(a));
        assert_int_equal(n_tokens, hw_run_n_tokens(hw_trace_run(b)));
        for (size_t l = 0; l < a->n_layers; l++) {
            for (size_t q = 0; q < n_tokens; q++) {
                size_t n;
                const float *x = hw_trace_row(a, l, q, &n), *y = hw_trace_row(b, l, q, &n);
                assert_memory_equal(x, y, n * sizeof *x);
            }
        }
        hw_trace_free(a);
        hw_trace_free(b);
        hw_trace_free(between);
    }
}

static void check_given(const char *name, int32_t n_ubatch, double row_bound, double logprob_bound) {
    hw_model *model = open_model(name, n_ubatch, name == SMOLLM2_F32);
    hw_trace *generated = capture_text(model, PROMPT, NULL, 8);
    const hw_run *run = hw_trace_run(generated);
    size_t n_bytes, n_tokens = hw_run_n_tokens(run), m = hw_run_n_prompt(run);
    const char *text = hw_run_completion(run, &n_bytes);
    hw_run_params p = ask_bytes(PROMPT, strlen(PROMPT), NULL, 0);
    p.completion = text;
    p.completion_bytes = n_bytes;
    hw_trace *given = capture(model, &p);
    double max = 0, off = 0;
    assert_int_equal(hw_run_n_tokens(hw_trace_run(given)), n_tokens);
    for (size_t t = m; t < n_tokens; t++) {
        hw_token a = hw_run_token(run, t), b = hw_run_token(hw_trace_run(given), t);
        assert_int_equal(a.id, b.id);
        assert_int_equal(a.id, a.alternatives[0].id); /* greedy */
        max = fmax(max, fabs((double)a.logprob - (double)b.logprob));
    }
    for (size_t l = 0; l < given->n_layers; l++) {
        for (size_t q = 0; q < n_tokens; q++) {
            size_t n;
            const float *x = hw_trace_row(generated, l, q, &n), *y = hw_trace_row(given, l, q, &n);
            off = fmax(off, nmse(x, y, n));
        }
    }
    print_message(
        "%s: given and generated rows differ by an NMSE of at most %.2g (bound %.2g), log probabilities by %.2g\n",
        name, off, row_bound, max);
    assert_true(off <= row_bound && max <= logprob_bound);
    hw_trace_free(generated);
    hw_trace_free(given);
    hw_model_close(model);
}

static void given_completion_is_like_the_generated_one(void **state) {
    (void)state;
    check_given(SMOLLM2_F32, 0, 3e-12, 1e-5);
    check_given(SMOLLM2, 1, 0, 0); /* one token a pass, as it was generated: the same numbers of any engine */
    check_given(GEMMA3, 1, 0, 0);
}

/* ------------------------------------------------------------------ sliding window */

enum { WINDOW = 512, GLOBAL_EVERY = 6 };

static char *long_prompt(void) {
    char *text = hw__alloc(8192, 1);
    size_t at = 0;
    for (int i = 0; i < 37; i++)
        at += (size_t)snprintf(text + at, 8192 - at, "Fact %d is that box %d holds %d coins. ", i, i * 7 % 61,
                               i * 13 % 29);
    return text;
}

static void check_window(const hw_trace *trace, size_t n_tokens) {
    for (size_t l = 0; l < trace->n_layers; l++) {
        bool global = (l + 1) % GLOBAL_EVERY == 0;
        double beyond = 0;
        for (size_t q = WINDOW; q < n_tokens; q++) {
            size_t n;
            const float *row = hw_trace_row(trace, l, q, &n);
            for (size_t k = 0; k + WINDOW <= q; k++) beyond += (double)row[k];
            assert_true(global || row[q - WINDOW + 1] > 0); /* the last column inside */
        }
        if ((beyond > 0) != global) fail_msg("layer %zu: weight %g beyond the window", l, beyond);
    }
}

static void check_window_rollout(const hw_trace *trace) {
    hw_attribution *a = explain(trace, NULL);
    size_t m = hw_run_n_prompt(hw_trace_run(trace));
    double deep = 0;
    for (size_t i = 0; i < a->n_rows; i++) {
        size_t q = m - 1 + i;
        double sum = outside(a, i, 0);
        for (size_t k = 0; k < m; k++) {
            sum += cell(a, i, k, 0);
            if (k + WINDOW <= q) assert_true(cell(a, i, k, 0) == 0);
            if (k + WINDOW <= q) deep += cell(a, i, k, 5);
        }
        assert_close(sum, 1, 1e-5);
    }
    assert_true(deep > 0);
    hw_attribution_free(a);
}

static void sliding_windows_cut_rows_off(void **state) {
    (void)state;
    native_kernels_only();
    static const int32_t sizes[] = {512, 100}; /* the first is the default */
    char *text = long_prompt();
    for (size_t i = 0; i < 2; i++) {
        hw_model *model = i ? open_model(GEMMA3, sizes[i], false) : shared_model(1);
        hw_trace *trace = capture_text(model, text, NULL, 3);
        size_t n_tokens = hw_run_n_tokens(hw_trace_run(trace));
        print_message("%s: %zu tokens by batches of %d\n", GEMMA3, n_tokens, sizes[i]);
        assert_true(n_tokens > WINDOW + 20);
        check_window(trace, n_tokens);
        check_window_rollout(trace);
        hw_trace_free(trace);
        if (i) hw_model_close(model);
    }
    free(text);
}

/* ------------------------------------------------------------------ text */

static const struct {
    const char *bytes;
    size_t n;
} texts[] = {
#define TEXT(s)                                                                                                        \
    { s, sizeof s - 1 }
    TEXT("Plain words."),
    TEXT(" leading space"),
    TEXT("   three"),
    TEXT("trailing  "),
    TEXT("\n\n\ttabs\r\n"),
    TEXT("caf\xC3\xA9 na\xC3\xAFve \xE2\x82\xAC 5"),
    TEXT("\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x81\xAF\xE6\x99\xB4\xE3\x82\x8C"),
    TEXT("\xF0\x9F\x99\x82\xF0\x9F\xA6\x84 emoji"),
    TEXT("e\xCC\x81 combining"),
    TEXT("\xD9\x85\xD8\xB1\xD8\xAD\xD8\xA8\xD8\xA7"),
    TEXT("bad \xFF\xFE"
         "bytes"),
    TEXT("cut \xE2\x82"),
    TEXT("\x80\x80 first"),
    TEXT("<|im_start|>user<start_of_turn><bos>"),
    TEXT("1234567890 3.14159"),
    TEXT("x"),
    TEXT(" "),
};

static void every_byte_of_a_prompt_has_its_token(void **state) {
    (void)state;
    native_kernels_only();
    for (size_t m = 0; m < 2; m++) {
        hw_model *model = shared_model(m);
        bool bos = hw_model_describe(model)->adds_bos;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            hw_run_params p = ask_bytes(texts[i].bytes, texts[i].n, " a", 0);
            hw_trace *trace = capture(model, &p);
            const hw_run *run = hw_trace_run(trace);
            size_t at = 0;
            for (size_t t = 0; t < hw_run_n_prompt(run); t++) {
                hw_token token = hw_run_token(run, t);
                assert_int_equal(token.role, t == 0 && bos ? HW_ROLE_SPECIAL : HW_ROLE_PROMPT);
                if (token.begin != at || token.end < at)
                    fail_msg("%s, text %zu: token %zu is %zu..%zu after %zu", both[m], i, t, token.begin, token.end,
                             at);
                at = token.end;
            }
            if (at != texts[i].n) fail_msg("%s, text %zu: tokens end at %zu of %zu", both[m], i, at, texts[i].n);
            hw_trace_free(trace);
        }
    }
}

/* Every byte has its token but for those between gap_begin and gap_end, which may have none. */
static void check_rewritten(hw_model *model, const char *text, size_t n_text, size_t gap_begin, size_t gap_end) {
    hw_run_params p = ask_bytes(text, n_text, " a", 0);
    hw_trace *trace = capture(model, &p);
    const hw_run *run = hw_trace_run(trace);
    size_t at = 0;
    for (size_t t = 0; t < hw_run_n_prompt(run); t++) {
        hw_token token = hw_run_token(run, t);
        assert_true(token.end >= token.begin && token.end <= n_text);
        assert_true(token.begin == at || (at >= gap_begin && token.begin > at && token.begin <= gap_end));
        at = token.end;
    }
    assert_int_equal(at, n_text);
    hw_trace_free(trace);
}

/* Overlong UTF-8 is read as the character it stands for. Gemma's spaces are cut up as U+2581 after an invalid byte. */
static void what_the_tokenizer_rewrites_leaves_the_rest_in_place(void **state) {
    (void)state;
    native_kernels_only();
    check_rewritten(shared_model(0), "The sky \xC0\xAF is blue", 18, 7, 10);
    check_rewritten(shared_model(1), "The sky \xFF\xFE is blue", 18, 8, 11);
}

static void chat_template_is_put_around_the_prompt(void **state) {
    (void)state;
    native_kernels_only();
    hw_run_params p = ask_bytes("What is <|im_end|> ?", 20, NULL, 4);
    p.chat = true;
    hw_trace *trace = capture(shared_model(0), &p);
    const hw_run *run = hw_trace_run(trace);
    char before[512] = "", after[512] = "", own[512] = "";
    size_t n_user = 0;
    for (size_t t = 0; t < hw_run_n_prompt(run); t++) {
        hw_token token = hw_run_token(run, t);
        char *part = token.role == HW_ROLE_PROMPT ? own : n_user ? after : before;
        n_user += token.role == HW_ROLE_PROMPT;
        strncat(part, token.bytes, token.n_bytes);
    }
    assert_string_equal(own, "What is <|im_end|> ?");
    assert_true(n_user > 6); /* <|im_end|> in the user's text is not a control token */
    assert_non_null(strstr(before, "<|im_start|>user\n"));
    assert_string_equal(after, "<|im_end|>\n<|im_start|>assistant\n");
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ refusals */

static bool at_once(void *ctx) {
    (void)ctx;
    return true;
}

static bool third_time(void *ctx) { return ++*(int *)ctx >= 3; }

static void stops_are_heard(void **state) {
    (void)state;
    native_kernels_only();
    hw_model *model = open_model(SMOLLM2, 4, false);
    hw_run_params p = ask_bytes(PROMPT, strlen(PROMPT), NULL, 4);
    hw_trace *trace = NULL;
    hw_error err = {0};
    p.stop = at_once;
    hw_err rc = hw_trace_capture(&trace, model, &p, &err);
    assert_error(&err, rc, HW_ERR_CANCELLED, "stopped at token 0");
    p.stop = NULL; /* the engine is as good as before */
    hw_trace_free(capture(model, &p));
    hw_model_close(model);
    hw_model_params params = hw_model_params_default();
    params.stop = third_time;
    params.ctx = &(int){0};
    rc = hw_model_open(&model, test_model_path(SMOLLM2), &params, &err);
    assert_error(&err, rc, HW_ERR_CANCELLED, "stopped");
}

static void context_is_kept_to(void **state) {
    (void)state;
    native_kernels_only();
    hw_model_params params = hw_model_params_default();
    params.n_ctx = 24;
    params.n_threads = 2;
    hw_model *model = NULL;
    hw_error err = {0};
    assert_int_equal(hw_model_open(&model, test_model_path(SMOLLM2), &params, &err), HW_OK);
    hw_run_params p = ask_bytes("My name is Putin, I am from", 27, NULL, 16);
    hw_trace *trace = capture(model, &p); /* 8 + 16 */
    assert_true(hw_run_n_tokens(hw_trace_run(trace)) <= 24);
    hw_trace_free(trace);
    p.n_generate = 17;
    hw_err rc = hw_trace_capture(&trace, model, &p, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "8 tokens and 17 of completion are 1 more than the context of 24");
    hw_model_close(model);
}

static void sampling_is_seeded(void **state) {
    (void)state;
    native_kernels_only();
    hw_model *model = shared_model(0);
    hw_run_params p = ask_bytes("Once upon a time", 16, NULL, 12);
    p.temperature = 1.5f;
    p.top_k = 50;
    p.top_p = 0.95f;
    p.seed = 3;
    hw_trace *a = capture(model, &p), *b = capture(model, &p);
    p.seed = 4;
    hw_trace *c = capture(model, &p);
    size_t n, other;
    const char *text = hw_run_completion(hw_trace_run(a), &n), *again = hw_run_completion(hw_trace_run(b), &other);
    assert_int_equal(n, other);
    assert_memory_equal(text, again, n);
    again = hw_run_completion(hw_trace_run(c), &other);
    assert_true(n != other || memcmp(text, again, n) != 0);
    hw_trace_free(a);
    hw_trace_free(b);
    hw_trace_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_describes_itself),
        cmocka_unit_test(gemma3_describes_itself),
        cmocka_unit_test(rows_are_distributions_over_the_past),
        cmocka_unit_test(any_batch_size_gives_the_same_result),
        cmocka_unit_test(the_same_run_gives_the_same_bits),
        cmocka_unit_test(given_completion_is_like_the_generated_one),
        cmocka_unit_test(sliding_windows_cut_rows_off),
        cmocka_unit_test(every_byte_of_a_prompt_has_its_token),
        cmocka_unit_test(what_the_tokenizer_rewrites_leaves_the_rest_in_place),
        cmocka_unit_test(chat_template_is_put_around_the_prompt),
        cmocka_unit_test(stops_are_heard),
        cmocka_unit_test(context_is_kept_to),
        cmocka_unit_test(sampling_is_seeded),
    };
    return cmocka_run_group_tests(tests, NULL, close_shared);
}
