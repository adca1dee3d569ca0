/* sample.c - see sample.h. */
#include "support/sample.h"

#include "data/trace.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char prompt[] = "A\xC3\xA9, \"x\"\r\n\xFF\0";
enum { PROMPT_BYTES = sizeof prompt - 1 };

static hw_run *empty_run(bool causal) {
    static const int32_t layers[SAMPLE_LAYERS] = {1, 3};
    hw_model_info info = {
        .path = "models/\xFF.gguf", /* a file name that is not UTF-8 */
        .engine = "llama",
        .engine_version = "0.5.0",
        .architecture = "toy",
        .name = "Toy \"1\"",
        .quantisation = "Q4_1",
        .sample_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        .metadata_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        .device = "CPU",
        .problem = "",
        .values_problem = "none",
        .readout_problem = "norm",
        .layers = layers,
        .n_layers = SAMPLE_LAYERS,
        .n_blocks = 4,
        .n_heads = 9,
        .n_heads_kv = 3,
        .n_embd = 576,
        .n_vocab = 49152,
        .n_ctx_train = 8192,
        .n_swa = 512,
        .n_params = 134515008,
        .n_bytes = (uint64_t)1 << 40,
        .adds_bos = true,
        .has_chat_template = true,
        .host_rows = true,
        .row_error = 0x1p-21,
    };
    hw__run_options options = {.run = {.n_generate = 33,
                                       .temperature = 0.7f,
                                       .top_p = 0.95f,
                                       .top_k = 40,
                                       .seed = UINT32_MAX,
                                       .fuse = HW_FUSE_MAX,
                                       .chat = true,
                                       .special = true,
                                       .thinking = HW_THINKING_OFF,
                                       .against = "=\xE2\x82"}, /* half a character */
                               .n_ubatch = 512,
                               .f32_cache = true};
    hw_run *run = NULL;
    assert_int_equal(hw__run_new(&run, &info, &options, NULL), HW_OK);
    run->causal = causal;
    run->stop = HW_STOP_END;
    assert_int_equal(hw__run_set_prompt(run, prompt, PROMPT_BYTES, NULL), HW_OK);
    static const hw_span messages[] = {{"system", 0, 2}, {"r\xC3\xB4le\xFF", 2, 12}};
    assert_int_equal(hw__run_set_messages(run, messages, 2, NULL), HW_OK);
    assert_int_equal(hw__run_add_remark(run, "the prompt is odd", NULL), HW_OK);
    return run;
}

static void add(hw_run *run, const hw_token *token) { assert_int_equal(hw__run_add_token(run, token, NULL), HW_OK); }

hw_run *sample_run(bool causal) {
    hw_run *run = empty_run(causal);
    const hw_alternative best[2] = {{.bytes = "\x82", .n_bytes = 1, .id = 7, .logprob = -0.25f},
                                    {.bytes = "\0", .n_bytes = 1, .id = 0, .logprob = -INFINITY}};
    add(run, &(hw_token){.bytes = "<s>", .n_bytes = 3, .id = 1, .role = HW_ROLE_SPECIAL, .logprob = NAN});
    add(run, &(hw_token){.bytes = "<|user|>", .n_bytes = 8, .id = 2, .role = HW_ROLE_TEMPLATE, .logprob = NAN});
    add(run, &(hw_token){.bytes = prompt, .n_bytes = 2, .begin = 0, .end = 2, .id = 3, .logprob = NAN});
    add(run, &(hw_token){.bytes = prompt + 2, .n_bytes = 8, .begin = 2, .end = 10, .id = 4, .logprob = NAN});
    add(run, &(hw_token){.bytes = prompt + 10, .n_bytes = 2, .begin = 10, .end = 12, .id = 5, .logprob = NAN});
    add(run, &(hw_token){.bytes = " \xF0\x9F",
                         .n_bytes = 3,
                         .id = 6,
                         .role = HW_ROLE_COMPLETION,
                         .logprob = -INFINITY,
                         .n_alternatives = 2,
                         .alternatives = best});
    add(run, &(hw_token){.bytes = "\x99\x82",
                         .n_bytes = 2,
                         .id = INT32_MAX,
                         .role = HW_ROLE_COMPLETION,
                         .logprob = -0.100200005f,
                         .n_alternatives = 1,
                         .alternatives = best});
    add(run, &(hw_token){.bytes = "\0", .n_bytes = 1, .id = -1, .role = HW_ROLE_COMPLETION, .logprob = -0.0f});
    return run;
}

/* ------------------------------------------------------------------ traces */

static void fill_row(float *row, size_t n, uint64_t seed) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += row[k] = (float)unit(mix(seed + k));
    for (size_t k = 0; k < n; k++) row[k] = (float)(row[k] / sum);
}

static void fill_signals(hw_trace *trace) {
    hw__signals *s = &trace->signals;
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        hw__layout layout = hw__signal_layout((hw_signal)i);
        size_t n = s->n_tokens, layer = layout == HW__LAYOUT_TOKENS ? n
                                        : layout == HW__LAYOUT_ROWS ? s->n_rows * n
                                                                    : n * (n + 1) / 2;
        for (size_t j = 0; s->values[i] && j < SAMPLE_LAYERS * layer; j++)
            s->values[i][j] = (float)(unit(mix(j + 1000 * (uint64_t)i)) - (i == HW_SIGNAL_RESIDUAL ? 0 : 0.5));
    }
    for (size_t r = 0; s->balance && r < s->n_rows; r++) {
        double *member = &s->balance[r].prompt;
        for (size_t j = 0; j < sizeof *s->balance / sizeof *member; j++) member[j] = unit(mix(r * 100 + j)) * 20 - 10;
    }
}

hw_trace *sample_trace(bool causal, uint32_t signals, size_t spare) {
    hw_trace *trace = NULL;
    assert_int_equal(hw__trace_new(&trace, sample_run(causal), SAMPLE_TOKENS + spare, NULL), HW_OK);
    for (size_t l = 0; l < SAMPLE_LAYERS; l++)
        for (size_t q = 0; q < SAMPLE_TOKENS + spare; q++) {
            size_t n;
            float *row = hw__trace_row(trace, l, q, &n);
            fill_row(row, causal ? n : SAMPLE_TOKENS, l * 100 + q);
        }
    if (signals) {
        assert_int_equal(
            hw__trace_add_signals(trace, signals, SAMPLE_COMPLETION + 1 + spare, SAMPLE_TOKENS + spare, NULL), HW_OK);
        fill_signals(trace);
    }
    return trace;
}

/* ------------------------------------------------------------------ attributions */

hw_attribution *sample_attribution(const hw_run *run, const char *method, const hw_method_params *params,
                                   size_t n_layers) {
    static const float odd[] = {-0.0f, FLT_TRUE_MIN, FLT_MAX, 1.0f / 3, -1e-20f};
    hw_method_params defaults = hw_method_params_default();
    hw_attribution *a = NULL;
    const hw_method_info *info = hw_method_find(method);
    assert_non_null(info);
    assert_int_equal(hw__attribution_new(&a, run, info->name, params ? params : &defaults, n_layers, NULL), HW_OK);
    size_t n = a->n_rows * a->n_columns * n_layers, n_odd = sizeof odd / sizeof *odd;
    for (size_t i = 0; i < n; i++) a->values[i] = i < n_odd ? odd[i] : (float)unit(mix(i));
    for (size_t i = 0; i < a->n_rows * n_layers; i++) a->outside[i] = (float)unit(mix(i + 77));
    a->values[n - 1] = NAN;
    a->diagnostics = (hw_diagnostics){.first_mean = 1.0 / 3,
                                      .first_last = 0.1,
                                      .outside_mean = 0x1p-60,
                                      .outside_last = 1,
                                      .position_mean = NAN,
                                      .position_last = -1};
    return a;
}

/* ------------------------------------------------------------------ comparisons */

static void assert_same_bytes(const char *a, size_t n_a, const char *b, size_t n_b) {
    assert_int_equal(n_a, n_b);
    if (n_a) assert_memory_equal(a, b, n_a);
}

/* NaN equals NaN; -0 is not 0. */
static void assert_same_float(float a, float b) {
    if (isnan(a) && isnan(b)) return;
    assert_memory_equal(&a, &b, sizeof a);
}

static void assert_same_double(double a, double b) {
    if (isnan(a) && isnan(b)) return;
    assert_memory_equal(&a, &b, sizeof a);
}

static void assert_same_model(const hw_model_info *a, const hw_model_info *b) {
    assert_string_equal(a->path, b->path);
    assert_string_equal(a->engine, b->engine);
    assert_string_equal(a->engine_version, b->engine_version);
    assert_string_equal(a->architecture, b->architecture);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->quantisation, b->quantisation);
    assert_string_equal(a->metadata_sha256, b->metadata_sha256);
    assert_string_equal(a->sample_sha256, b->sample_sha256);
    assert_string_equal(a->device, b->device);
    assert_string_equal(a->problem, b->problem);
    assert_string_equal(a->values_problem, b->values_problem);
    assert_string_equal(a->readout_problem, b->readout_problem);
    assert_int_equal(a->n_layers, b->n_layers);
    assert_memory_equal(a->layers, b->layers, (size_t)a->n_layers * sizeof *a->layers);
    assert_int_equal(a->n_blocks, b->n_blocks);
    assert_int_equal(a->n_heads, b->n_heads);
    assert_int_equal(a->n_heads_kv, b->n_heads_kv);
    assert_int_equal(a->n_embd, b->n_embd);
    assert_int_equal(a->n_vocab, b->n_vocab);
    assert_int_equal(a->n_ctx_train, b->n_ctx_train);
    assert_int_equal(a->n_swa, b->n_swa);
    assert_int_equal(a->n_params, b->n_params);
    assert_int_equal(a->n_bytes, b->n_bytes);
    assert_int_equal(a->adds_bos, b->adds_bos);
    assert_int_equal(a->has_chat_template, b->has_chat_template);
    assert_int_equal(a->has_sinks, b->has_sinks);
    assert_int_equal(a->host_rows, b->host_rows);
    assert_close(a->row_error, b->row_error, a->row_error * 1e-8); /* nine digits */
}

static void assert_same_options(const hw__run_options *a, const hw__run_options *b) {
    assert_int_equal(a->run.n_generate, b->run.n_generate);
    assert_same_float(a->run.temperature, b->run.temperature);
    assert_same_float(a->run.top_p, b->run.top_p);
    assert_int_equal(a->run.top_k, b->run.top_k);
    assert_int_equal(a->n_ubatch, b->n_ubatch);
    assert_int_equal(a->run.seed, b->run.seed);
    assert_int_equal(a->run.fuse, b->run.fuse);
    assert_int_equal(a->run.chat, b->run.chat);
    assert_int_equal(a->f32_cache, b->f32_cache);
    assert_string_equal(a->run.against ? a->run.against : "", b->run.against ? b->run.against : "");
    assert_int_equal(a->run.special, b->run.special);
    assert_int_equal(a->run.thinking, b->run.thinking);
}

static void assert_same_token(const hw_token *a, const hw_token *b) {
    assert_same_bytes(a->bytes, a->n_bytes, b->bytes, b->n_bytes);
    assert_int_equal(a->begin, b->begin);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->role, b->role);
    assert_same_float(a->logprob, b->logprob);
    assert_int_equal(a->n_alternatives, b->n_alternatives);
    for (int32_t i = 0; i < a->n_alternatives; i++) {
        const hw_alternative *x = &a->alternatives[i], *y = &b->alternatives[i];
        assert_same_bytes(x->bytes, x->n_bytes, y->bytes, y->n_bytes);
        assert_int_equal(x->id, y->id);
        assert_same_float(x->logprob, y->logprob);
    }
}

void assert_same_run(const hw_run *a, const hw_run *b) {
    assert_same_model(&a->model, &b->model);
    assert_same_options(&a->options, &b->options);
    assert_int_equal(a->stop, b->stop);
    assert_int_equal(a->causal, b->causal);
    assert_same_bytes(a->prompt, a->prompt_bytes, b->prompt, b->prompt_bytes);
    assert_same_bytes(a->completion, a->completion_bytes, b->completion, b->completion_bytes);
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_int_equal(a->n_prompt, b->n_prompt);
    for (size_t t = 0; t < a->n_tokens; t++) assert_same_token(&a->tokens[t], &b->tokens[t]);
    assert_int_equal(a->n_messages, b->n_messages);
    for (size_t i = 0; i < a->n_messages; i++) {
        assert_string_equal(a->messages[i].name, b->messages[i].name);
        assert_int_equal(a->messages[i].begin, b->messages[i].begin);
        assert_int_equal(a->messages[i].end, b->messages[i].end);
    }
    assert_int_equal(a->n_remarks, b->n_remarks);
    for (size_t i = 0; i < a->n_remarks; i++) assert_string_equal(a->remarks[i], b->remarks[i]);
}

static void assert_same_signals(const hw_trace *a, const hw_trace *b) {
    size_t n_rows = hw_run_n_completion(a->run) + 1, n = a->run->n_tokens;
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        hw_signal signal = (hw_signal)i;
        assert_int_equal(hw_trace_has(a, signal), hw_trace_has(b, signal));
        if (!hw_trace_has(a, signal)) continue;
        for (size_t l = 0; l < a->n_layers; l++) {
            hw__layout layout = hw__signal_layout(signal);
            if (layout == HW__LAYOUT_TOKENS)
                assert_memory_equal(a->signals.values[i] + l * a->signals.n_tokens,
                                    b->signals.values[i] + l * b->signals.n_tokens, n * sizeof(float));
            for (size_t q = 0; layout == HW__LAYOUT_EVERY && q < n; q++)
                assert_memory_equal(hw__trace_every(a, signal, l, q), hw__trace_every(b, signal, l, q),
                                    (q + 1) * sizeof(float));
            for (size_t r = 0; layout == HW__LAYOUT_ROWS && r < n_rows; r++)
                assert_memory_equal(hw__trace_signal(a, signal, l, r), hw__trace_signal(b, signal, l, r),
                                    n * sizeof(float));
        }
    }
    assert_int_equal(a->signals.balance != NULL, b->signals.balance != NULL);
    if (a->signals.balance) assert_memory_equal(a->signals.balance, b->signals.balance, n_rows * sizeof(hw_balance));
}

void assert_same_trace(const hw_trace *a, const hw_trace *b) {
    assert_same_run(a->run, b->run);
    assert_int_equal(a->n_layers, b->n_layers);
    for (size_t l = 0; l < a->n_layers; l++)
        for (size_t q = 0; q < a->run->n_tokens; q++) {
            size_t n_a, n_b;
            const float *x = hw_trace_row(a, l, q, &n_a), *y = hw_trace_row(b, l, q, &n_b);
            assert_int_equal(n_a, n_b);
            assert_memory_equal(x, y, n_a * sizeof *x);
        }
    assert_same_signals(a, b);
}

static void assert_same_params(const hw_method_params *a, const hw_method_params *b, size_t n_columns) {
    assert_int_equal(a->row, b->row);
    assert_int_equal(a->direction, b->direction);
    assert_int_equal(a->columns, b->columns);
    assert_same_double(a->residual, b->residual);
    assert_int_equal(a->residual_measured, b->residual_measured);
    assert_same_double(a->discard, b->discard);
    assert_int_equal(a->remove_sink, b->remove_sink);
    assert_int_equal(a->measure, b->measure);
    assert_int_equal(a->aggregate, b->aggregate);
    assert_true(a->seed == b->seed);
    assert_int_equal(a->n_ablations, b->n_ablations);
    assert_int_equal(a->groups != NULL, b->groups != NULL);
    if (!a->groups) return;
    assert_int_equal(a->n_groups, b->n_groups);
    assert_memory_equal(a->groups, b->groups, n_columns * sizeof *a->groups);
    assert_int_equal(a->group_names != NULL, b->group_names != NULL);
    for (size_t g = 0; a->group_names && g < a->n_groups; g++)
        assert_string_equal(a->group_names[g], b->group_names[g]);
}

void assert_same_attribution(const hw_attribution *a, const hw_attribution *b) {
    assert_same_run(a->run, b->run);
    assert_string_equal(a->method, b->method);
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->n_columns, b->n_columns);
    assert_int_equal(a->n_layers, b->n_layers);
    assert_int_equal(a->first_token, b->first_token);
    assert_same_params(&a->params, &b->params,
                       a->params.columns == HW_COLUMNS_ALL ? a->run->n_tokens : a->run->n_prompt);
    assert_memory_equal(a->layers, b->layers, a->n_layers * sizeof *a->layers);
    for (size_t i = 0; i < a->n_rows * a->n_columns * a->n_layers; i++) assert_same_float(a->values[i], b->values[i]);
    for (size_t i = 0; i < a->n_rows * a->n_layers; i++) assert_same_float(a->outside[i], b->outside[i]);
    const double *x = &a->diagnostics.first_mean, *y = &b->diagnostics.first_mean;
    for (size_t i = 0; i < sizeof a->diagnostics / sizeof *x; i++) assert_same_double(x[i], y[i]);
    assert_int_equal(a->balance != NULL, b->balance != NULL);
    if (a->balance) assert_memory_equal(a->balance, b->balance, a->n_rows * sizeof *a->balance);
}
