/*
 * test_capture.c - one run of an engine becomes a trace: heads fused, rows checked, tokens and probabilities kept.
 *
 * The engine is the fake one, whose every number is known, and which fails when asked to.
 */
#include "capture/head_fusion.h"
#include "support/fake_engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "It was sunny in Rome, the city of Russia";

/* Bit for bit: the rows of two traces. */
static void assert_same_rows(const hw_trace *a, const hw_trace *b, size_t n_tokens) {
    for (size_t l = 0; l < a->n_layers; l++) {
        for (size_t q = 0; q < n_tokens; q++) {
            size_t n, m;
            const float *x = hw_trace_row(a, l, q, &n), *y = hw_trace_row(b, l, q, &m);
            assert_int_equal(n, q + 1);
            assert_int_equal(m, q + 1);
            assert_memory_equal(x, y, n * sizeof *x);
        }
    }
}

/* ------------------------------------------------------------------ heads to one row */

static double fused_by_hand(hw_fuse fuse, size_t n_heads, size_t l, size_t q, size_t k) {
    double sum = 0, max = 0, min = 1;
    for (size_t h = 0; h < n_heads; h++) {
        double w = (double)(float)random_attention(NULL, l, h, q, k);
        sum += w;
        max = fmax(max, w);
        min = fmin(min, w);
    }
    return fuse == HW_FUSE_MEAN ? sum / (double)n_heads : fuse == HW_FUSE_MAX ? max : min;
}

static void fuses_mean_max_and_min(void **state) {
    (void)state;
    for (int fuse = HW_FUSE_MEAN; fuse <= HW_FUSE_MIN; fuse++) {
        fake_params fake = fake_params_default();
        fake.n_heads = 3;
        fake.attention = random_attention;
        hw_run_params p = ask(PROMPT, " is", 0);
        p.fuse = fuse;
        hw_trace *trace = fake_trace(&fake, &p);
        assert_int_equal(hw_run_fuse(hw_trace_run(trace)), fuse);
        for (size_t l = 0; l < 3; l++) {
            for (size_t q = 0; q < hw_run_n_tokens(hw_trace_run(trace)); q++) {
                size_t n;
                const float *row = hw_trace_row(trace, l, q, &n);
                double total = 0;
                for (size_t k = 0; k < n; k++) total += fused_by_hand(fuse, 3, l, q, k);
                if (fuse == HW_FUSE_MEAN) assert_close(total, 1, 1e-6);
                for (size_t k = 0; k < n; k++)
                    assert_close(row[k], fused_by_hand(fuse, 3, l, q, k) / (fuse == HW_FUSE_MEAN ? 1 : total), 0x1p-22);
            }
        }
        hw_trace_free(trace);
    }
}

static void minimum_of_disjoint_heads_stays_with_the_token(void **state) {
    (void)state;
    static const float attn[2][3] = {{1, 0, 0}, {0, 1, 0}};
    hw__heads heads = {
        .attn = &attn[0][0], .n_heads = 2, .n_rows = 1, .n_keys = 3, .head_stride = 3, .row_stride = 3, .q0 = 2};
    static const struct {
        hw_fuse how;
        float row[3];
    } cases[] = {
        {HW_FUSE_MIN, {0, 0, 1}},
        {HW_FUSE_MAX, {0.5f, 0.5f, 0}},
        {HW_FUSE_MEAN, {0.5f, 0.5f, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float row[3], *rows[] = {row};
        static const size_t n_columns[] = {3};
        assert_int_equal(
            hw__fuse_rows(&(hw__fused_rows){rows, n_columns, 0, 1}, &heads, (hw__fusion){.fuse = cases[i].how}, NULL),
            HW_OK);
        assert_memory_equal(row, cases[i].row, sizeof row);
    }
}

static void padding_is_never_counted(void **state) {
    (void)state;
    for (int fuse = HW_FUSE_MEAN; fuse <= HW_FUSE_MIN; fuse++) {
        fake_params fake = fake_params_default();
        hw_run_params p = ask(PROMPT, NULL, 5);
        p.fuse = fuse;
        hw_trace *plain = fake_trace(&fake, &p);
        fake.key_padding = 9;
        fake.row_gap = 5;   /* not numbers */
        fake.head_gap = 11; /* nor are these */
        hw_trace *padded = fake_trace(&fake, &p);
        assert_same_rows(plain, padded, hw_run_n_tokens(hw_trace_run(plain)));
        hw_trace_free(plain);
        hw_trace_free(padded);
    }
}

/* ------------------------------------------------------------------ batches */

static void any_split_gives_the_same_bits(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params p = ask(PROMPT, NULL, 6);
    hw_trace *whole = fake_trace(&fake, &p);
    hw_attribution *m = explain(whole, NULL);
    static const size_t chunks[] = {1, 2, 7, 31};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        fake.chunk = chunks[i];
        hw_trace *split = fake_trace(&fake, &p);
        hw_attribution *again = explain(split, NULL);
        assert_same_tokens(hw_trace_run(whole), hw_trace_run(split));
        assert_same_rows(whole, split, hw_run_n_tokens(hw_trace_run(whole)));
        assert_memory_equal(hw_attribution_values(m), hw_attribution_values(again),
                            m->n_rows * m->n_columns * m->n_layers * sizeof(float));
        hw_attribution_free(again);
        hw_trace_free(split);
    }
    hw_attribution_free(m);
    hw_trace_free(whole);
}

/* " Rome is a city" as the tokenizer splits it, after a prompt of n_prompt tokens. */
static const char *const answer[] = {" Rome", " is", " a", " ", "city", ".", " I", " am", " the", "\n\n"};
enum { N_ANSWER = sizeof answer / sizeof *answer, N_PROMPT = 14 };
static const char ANSWER[] = " Rome is a city. I am the\n\n";

static fake_params scripted(const fake_script *script) {
    fake_params fake = fake_params_default();
    fake.logits = fake_follow;
    fake.ctx = script;
    return fake;
}

static void given_completion_equals_the_generated_one(void **state) {
    (void)state;
    fake_script script = {.n_prompt = N_PROMPT, .n = N_ANSWER, .texts = answer};
    fake_params fake = scripted(&script);
    hw_run_params p = ask(PROMPT, NULL, 64);
    hw_trace *generated = fake_trace(&fake, &p);
    const hw_run *run = hw_trace_run(generated);
    assert_int_equal(hw_run_n_prompt(run), N_PROMPT);
    assert_int_equal(hw_run_n_completion(run), N_ANSWER);
    assert_int_equal(hw_run_finish_reason(run), HW_STOP_END);
    static const size_t chunks[] = {1, 3, 64, 512};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        fake.chunk = chunks[i];
        p = ask(PROMPT, ANSWER, 0);
        hw_trace *given = fake_trace(&fake, &p);
        assert_int_equal(hw_run_finish_reason(hw_trace_run(given)), HW_STOP_GIVEN);
        assert_same_tokens(run, hw_trace_run(given));
        assert_same_rows(generated, given, N_PROMPT + N_ANSWER);
        hw_trace_free(given);
    }
    hw_trace_free(generated);
}

static void long_given_completion_keeps_to_the_logits_limit(void **state) {
    (void)state;
    static const size_t chunks[] = {512, 100, 64};
    char text[131];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (size_t i = 0; i < 3; i++) {
        fake_params fake = fake_params_default();
        fake.n_layers = 1;
        fake.chunk = chunks[i];
        hw_model *model = fake_model(&fake);
        hw_run_params p = ask("ab", text, 0);
        hw_trace *trace = NULL;
        assert_int_equal(hw_trace_capture(&trace, model, &p, NULL), HW_OK);
        assert_int_equal(hw_run_n_completion(hw_trace_run(trace)), 130);
        assert_int_equal(fake_n_decodes(model), 1 + 3); /* the prompt; 64, 64 and 2 */
        assert_int_equal(fake_longest_decode(model), HW__MAX_LOGITS);
        hw_model_close(model);
        hw_trace_free(trace);
    }
}

/* ------------------------------------------------------------------ tokens of the completion */

static double log_softmax(const float *logits, int32_t id) {
    double sum = 0;
    for (size_t i = 0; i < fake_n_vocab(); i++) sum += exp((double)logits[i]);
    return (double)logits[id] - log(sum);
}

static void assert_alternatives(const hw_token *token, const float *logits) {
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    assert_int_equal(token->n_alternatives, HW_N_ALTERNATIVES);
    for (int32_t i = 0; i < HW_N_ALTERNATIVES; i++) {
        hw_alternative a = token->alternatives[i];
        hw__piece piece;
        assert_close(a.logprob, log_softmax(logits, a.id), 1e-6);
        assert_true(i == 0 || a.logprob <= token->alternatives[i - 1].logprob);
        assert_int_equal(model->engine->ops->piece(model->engine, &piece, a.id, NULL), HW_OK);
        assert_int_equal(a.n_bytes, piece.n_bytes);
        assert_memory_equal(a.bytes, piece.bytes, a.n_bytes);
    }
    hw_model_close(model);
}

static void log_probabilities_are_those_of_the_step(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params p = ask(PROMPT, " Rome is a city", 0);
    hw_trace *trace = fake_trace(&fake, &p);
    const hw_run *run = hw_trace_run(trace);
    int32_t ids[64];
    float logits[512];
    assert_int_equal(hw_run_n_prompt(run), N_PROMPT);
    for (size_t t = 0; t < hw_run_n_tokens(run); t++) {
        hw_token token = hw_run_token(run, t);
        ids[t] = token.id;
        if (t < N_PROMPT) {
            assert_true(isnan(token.logprob) && token.n_alternatives == 0);
        } else {
            fake_logits(logits, ids, t);
            assert_close(token.logprob, log_softmax(logits, token.id), 1e-6); /* floats of size 10 */
            assert_alternatives(&token, logits);
        }
    }
    hw_trace_free(trace);
}

static void greedy_takes_the_first_alternative(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params p = ask(PROMPT, NULL, 6);
    hw_trace *trace = fake_trace(&fake, &p);
    const hw_run *run = hw_trace_run(trace);
    assert_int_equal(hw_run_n_completion(run), 6);
    assert_int_equal(hw_run_finish_reason(run), HW_STOP_LENGTH);
    for (size_t t = N_PROMPT; t < hw_run_n_tokens(run); t++) {
        hw_token token = hw_run_token(run, t);
        assert_int_equal(token.role, HW_ROLE_COMPLETION);
        assert_int_equal(token.id, token.alternatives[0].id);
        assert_true(token.logprob == token.alternatives[0].logprob);
    }
    hw_trace_free(trace);
}

static void completion_is_its_tokens_bytes_joined(void **state) {
    (void)state;
    static const char *const halves[] = {" a", "\xE2", "\x82", "\xAC", "\xC3\xA9"};
    fake_script script = {.n_prompt = N_PROMPT, .n = 5, .texts = halves};
    fake_params fake = scripted(&script);
    hw_run_params p = ask(PROMPT, NULL, 9);
    hw_trace *trace = fake_trace(&fake, &p);
    const hw_run *run = hw_trace_run(trace);
    size_t n, at = 0;
    const char *text = hw_run_completion(run, &n);
    assert_int_equal(n, 7);
    assert_memory_equal(text, " a\xE2\x82\xAC\xC3\xA9", 7);
    for (size_t i = 0; i < 5; i++) {
        hw_token token = hw_run_token(run, N_PROMPT + i);
        assert_int_equal(token.begin, at);
        at += strlen(halves[i]);
        assert_int_equal(token.end, at);
        assert_memory_equal(token.bytes, halves[i], token.n_bytes);
    }
    hw_trace_free(trace);
}

typedef struct watch {
    size_t n_tokens, n_prompts, n_asked, stop_after; /* 0: never */
    char text[256];
    hw_stage stage;
    size_t done, total, n_prefill, n_decode;
} watch;

static void on_token(void *ctx, const hw_run *run, size_t i) {
    watch *w = ctx;
    hw_token token = hw_run_token(run, i);
    assert_int_equal(i + 1, hw_run_n_tokens(run));
    assert_int_equal(token.role, HW_ROLE_COMPLETION);
    assert_int_equal(token.begin, strlen(w->text));
    strncat(w->text, token.bytes, token.n_bytes);
    w->n_tokens++;
}

/* Before anything is decoded. */
static void on_prompt(void *ctx, const hw_run *run) {
    watch *w = ctx;
    assert_int_equal(w->n_prefill + w->n_tokens, 0);
    assert_int_equal(hw_run_n_prompt(run), N_PROMPT);
    assert_int_equal(hw_run_n_tokens(run), N_PROMPT);
    w->n_prompts++;
}

static void on_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    watch *w = ctx;
    assert_true(stage > w->stage || (stage == w->stage && done > w->done && total == w->total) || w->total == 0);
    *(stage == HW_STAGE_PREFILL ? &w->n_prefill : &w->n_decode) += 1;
    w->stage = stage;
    w->done = done;
    w->total = total;
    assert_true(done <= total);
}

static bool on_stop(void *ctx) {
    watch *w = ctx;
    return w->stop_after && ++w->n_asked >= w->stop_after;
}

static void tokens_and_progress_are_reported_as_they_come(void **state) {
    (void)state;
    watch w = {0};
    fake_script script = {.n_prompt = N_PROMPT, .n = N_ANSWER, .texts = answer};
    fake_params fake = scripted(&script);
    fake.chunk = 4;
    hw_run_params p = ask(PROMPT, NULL, N_ANSWER);
    p.on_prompt = on_prompt;
    p.on_token = on_token;
    p.progress = on_progress;
    p.ctx = &w;
    hw_trace_free(fake_trace(&fake, &p));
    assert_int_equal(w.n_prompts, 1);
    assert_string_equal(w.text, ANSWER);
    assert_int_equal(w.n_tokens, N_ANSWER);
    assert_int_equal(w.n_prefill, (N_PROMPT + 3) / 4);
    assert_int_equal(w.n_decode, N_ANSWER);
    assert_int_equal(w.done, N_ANSWER);
}

static void seed_decides_and_every_run_starts_it_afresh(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params p = ask(PROMPT, NULL, 12);
    p.temperature = 2;
    p.seed = 7;
    hw_model *model = fake_model(&fake);
    hw_trace *first = NULL, *again = NULL, *other = NULL;
    assert_int_equal(hw_trace_capture(&first, model, &p, NULL), HW_OK);
    assert_int_equal(hw_trace_capture(&again, model, &p, NULL), HW_OK);
    p.seed = 8;
    assert_int_equal(hw_trace_capture(&other, model, &p, NULL), HW_OK);
    hw_model_close(model);
    assert_same_tokens(hw_trace_run(first), hw_trace_run(again));
    assert_same_rows(first, again, N_PROMPT + 12);
    size_t n_same = 0;
    for (size_t t = N_PROMPT; t < N_PROMPT + 12; t++)
        n_same += hw_run_token(hw_trace_run(first), t).id == hw_run_token(hw_trace_run(other), t).id;
    assert_true(n_same < 12);
    hw_trace_free(first);
    hw_trace_free(again);
    hw_trace_free(other);
}

/* ------------------------------------------------------------------ refusals */

/* Captures, which must fail with `code` and a message holding `part`, and leave the result alone. */
static void refuse(const fake_params *fake, const hw_run_params *p, hw_err code, const char *part) {
    hw_trace *const untouched = (hw_trace *)&untouched;
    hw_trace *trace = untouched;
    hw_error err = {0};
    hw_err rc = fake_try(&trace, fake, p, &err);
    if (rc != code || !strstr(err.msg, part))
        fail_msg("%s \"%s\", expected %s with \"%s\"", hw_err_name(rc), err.msg, hw_err_name(code), part);
    assert_int_equal(err.code, code);
    assert_ptr_equal(trace, untouched);
    assert_int_equal(fake_try(&trace, fake, p, NULL), code); /* the error is nullable */
}

static void rows_that_cannot_be_right_are_refused(void **state) {
    (void)state;
    static const struct {
        fake_failure failure;
        const char *part;
    } cases[] = {
        {FAKE_NAN_WEIGHT, "row 9"},    {FAKE_NEGATIVE, "negative"},    {FAKE_ROW_SUM, "1.5"},
        {FAKE_ROW_SHORT, "0.5"},       {FAKE_OPPOSED_SUMS, "layer 1"}, {FAKE_TOO_FEW_KEYS, "columns"},
        {FAKE_EXTRA_LAYER, "layer 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int fuse = HW_FUSE_MEAN; fuse <= HW_FUSE_MIN; fuse++) {
            fake_params fake = fake_params_default();
            fake.failure = cases[i].failure;
            fake.fail_at = 9;
            fake.fail_layer = 1;
            fake.chunk = fuse == HW_FUSE_MEAN ? 512 : 4;
            hw_run_params p = ask(PROMPT, NULL, 3);
            p.fuse = fuse;
            refuse(&fake, &p, HW_ERR_ENGINE, cases[i].part);
            if (cases[i].failure == FAKE_TOO_FEW_KEYS || cases[i].failure == FAKE_EXTRA_LAYER) continue;
            fake.fail_at = N_PROMPT + 1; /* while generating */
            fake.fail_layer = 2;
            refuse(&fake, &p, HW_ERR_ENGINE, "layer 2");
        }
    }
}

static void sinks_may_take_a_share_of_a_row(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.sinks = 0.4;
    hw_run_params p = ask(PROMPT, " is", 0);
    hw_trace *trace = fake_trace(&fake, &p);
    for (size_t q = 0; q < N_PROMPT; q++) {
        size_t n;
        const float *row = hw_trace_row(trace, 1, q, &n);
        double sum = 0;
        for (size_t k = 0; k < n; k++) sum += row[k];
        assert_close(sum, 0.6, 1e-6);
    }
    hw_trace_free(trace);
    fake.fail_at = 3;
    fake.failure = FAKE_NEGATIVE;
    refuse(&fake, &p, HW_ERR_ENGINE, "negative");
    fake.sinks = 0.1;
    fake.failure = FAKE_ROW_SUM; /* 1.35 */
    refuse(&fake, &p, HW_ERR_ENGINE, "1.35");
}

static void engine_failures_are_passed_on(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params generate = ask(PROMPT, NULL, 6), given = ask(PROMPT, " Rome is a city", 0);
    fake.chunk = 5;
    fake.failure = FAKE_DECODE;
    for (size_t at = 0; at < N_PROMPT + 3; at++) {
        fake.fail_at = at;
        refuse(&fake, &generate, HW_ERR_ENGINE, "the fake decode fails");
        refuse(&fake, &given, HW_ERR_ENGINE, "the fake decode fails");
    }
    fake.failure = FAKE_NAN_LOGIT;
    for (fake.fail_at = N_PROMPT - 1; fake.fail_at < N_PROMPT + 2; fake.fail_at++) {
        refuse(&fake, &generate, HW_ERR_ENGINE, "not numbers");
        refuse(&fake, &given, HW_ERR_ENGINE, "not numbers");
    }
    fake.failure = FAKE_NO_LOGITS;
    fake.fail_at = 0;
    refuse(&fake, &generate, HW_ERR_ARGUMENT, "no logits");
    refuse(&fake, &given, HW_ERR_ENGINE, "no logits");
    fake.failure = FAKE_TOKENIZE;
    refuse(&fake, &generate, HW_ERR_ENGINE, "the fake tokenizer fails");
}

static void model_with_a_problem_is_refused(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.problem = "it is recurrent";
    hw_run_params p = ask(PROMPT, NULL, 6);
    refuse(&fake, &p, HW_ERR_UNSUPPORTED, "fake.gguf cannot be explained: it is recurrent");
}

static void options_out_of_range_are_named(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params p = ask("", NULL, 6);
    refuse(&fake, &p, HW_ERR_ARGUMENT, "the prompt is empty");
    p = ask(PROMPT, "", 6);
    refuse(&fake, &p, HW_ERR_ARGUMENT, "completion is empty");
    p = ask(PROMPT, NULL, 0);
    refuse(&fake, &p, HW_ERR_ARGUMENT, "n_generate is 0: must be a whole number from 1 to 1000000");
    static const float bad_temperatures[] = {-0.5f, 101, NAN, INFINITY};
    for (size_t i = 0; i < 4; i++) {
        p = ask(PROMPT, NULL, 6);
        p.temperature = bad_temperatures[i];
        refuse(&fake, &p, HW_ERR_ARGUMENT, "temperature is");
    }
    static const float bad_top_p[] = {0, -1, 1.5f, NAN};
    for (size_t i = 0; i < 4; i++) {
        p = ask(PROMPT, NULL, 6);
        p.top_p = bad_top_p[i];
        refuse(&fake, &p, HW_ERR_ARGUMENT, "top_p is");
    }
    p = ask(PROMPT, NULL, 6);
    p.top_k = -1;
    refuse(&fake, &p, HW_ERR_ARGUMENT, "top_k is -1: must be a whole number from 0 to 2147483647");
    p = ask(PROMPT, NULL, 6);
    p.fuse = (hw_fuse)3;
    refuse(&fake, &p, HW_ERR_ARGUMENT, "fuse is 3: must be one of mean, max, min");
}

static void context_overflow_says_by_how_much(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params generate = ask(PROMPT, NULL, 6), given = ask(PROMPT, " Rome is", 0);
    fake.n_ctx = N_PROMPT + 6;
    hw_trace_free(fake_trace(&fake, &generate)); /* just fits */
    fake.n_ctx = N_PROMPT + 3;
    refuse(&fake, &generate, HW_ERR_ARGUMENT, "14 tokens and 6 of completion are 3 more than the context of 17");
    fake.n_ctx = N_PROMPT + 1;
    refuse(&fake, &given, HW_ERR_ARGUMENT, "14 tokens and 2 of completion are 1 more than the context of 15");
    generate.n_generate = 1000000;
    refuse(&fake, &generate, HW_ERR_ARGUMENT, "more than the context of 15");
    generate.n_generate = SIZE_MAX;
    refuse(&fake, &generate, HW_ERR_ARGUMENT, "must be a whole number from 1 to 1000000");
}

static void lowered_context_counts(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params p = ask(PROMPT, NULL, 6);
    hw_model *model = fake_model(&fake);
    model->params.n_ctx = 16;
    hw_trace *trace = NULL;
    hw_error err = {0};
    hw_err rc = hw_trace_capture(&trace, model, &p, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "4 more than the context of 16");
    hw_model_close(model);
}

static void end_token_first_is_an_error(void **state) {
    (void)state;
    fake_script script = {.n_prompt = N_PROMPT, .n = 0};
    fake_params fake = scripted(&script);
    hw_run_params p = ask(PROMPT, NULL, 6);
    refuse(&fake, &p, HW_ERR_UNSUPPORTED, "ended its completion before the first token");
}

/* ------------------------------------------------------------------ stopping */

static void stop_during_prefill_cancels(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chunk = 4; /* 4 decodes of 3 layers: asked 12 times before the first token */
    for (size_t after = 1; after <= 12; after++) {
        watch w = {.stop_after = after};
        hw_run_params p = ask(PROMPT, NULL, 6);
        p.on_token = on_token;
        p.stop = on_stop;
        p.ctx = &w;
        hw_trace *trace = NULL;
        hw_error err = {0};
        hw_err rc = fake_try(&trace, &fake, &p, &err);
        assert_error(&err, rc, HW_ERR_CANCELLED, "stopped at token");
        assert_null(trace);
        assert_int_equal(w.n_tokens, 0);
    }
}

static void stop_during_generation_keeps_the_tokens_so_far(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params p = ask(PROMPT, NULL, 6);
    hw_trace *whole = fake_trace(&fake, &p);
    for (size_t kept = 1; kept < 6; kept++) {
        watch w = {.stop_after = 3 + kept}; /* 3 layers of the prompt, then once a token */
        p.stop = on_stop;
        p.ctx = &w;
        hw_trace *trace = fake_trace(&fake, &p);
        const hw_run *run = hw_trace_run(trace);
        assert_int_equal(hw_run_finish_reason(run), HW_STOP_CANCELLED);
        assert_int_equal(hw_run_n_completion(run), kept);
        assert_same_rows(whole, trace, N_PROMPT + kept);
        hw_method_params own = hw_method_params_default();
        own.row = HW_ROW_OWN;
        hw_attribution *a = explain(trace, &own), *b = explain(whole, &own);
        for (size_t i = 0; i < kept * N_PROMPT * 3; i++) assert_close(a->values[i], b->values[i], LAYER_BOUND(3));
        hw_attribution_free(a);
        hw_attribution_free(b);
        hw_trace_free(trace);
    }
    hw_trace_free(whole);
}

static void stop_while_given_tokens_are_read_cancels(void **state) {
    (void)state;
    watch w = {.stop_after = 5};
    fake_params fake = fake_params_default();
    hw_run_params p = ask(PROMPT, " Rome is a city", 0);
    p.stop = on_stop;
    p.ctx = &w;
    hw_trace *trace = NULL;
    hw_error err = {0};
    hw_err rc = fake_try(&trace, &fake, &p, &err);
    assert_error(&err, rc, HW_ERR_CANCELLED, "stopped at token 14");
}

/* The same tokens, roles, probabilities and rows as a run that generated all of them. */
static void a_begun_completion_goes_on_to_the_same_run(void **state) {
    (void)state;
    int32_t ids[N_ANSWER];
    fake_script script = {.n_prompt = N_PROMPT, .n = N_ANSWER, .texts = answer};
    fake_params fake = scripted(&script);
    hw_run_params p = ask(PROMPT, NULL, 64);
    hw_trace *whole = fake_trace(&fake, &p);
    const hw_run *run = hw_trace_run(whole);
    for (size_t i = 0; i < N_ANSWER; i++) ids[i] = hw_run_token(run, N_PROMPT + i).id;
    for (size_t n = 1; n < N_ANSWER; n++) {
        p.begun = ids;
        p.n_begun = n;
        hw_trace *longer = fake_trace(&fake, &p);
        assert_same_tokens(run, hw_trace_run(longer));
        assert_same_rows(whole, longer, N_PROMPT + N_ANSWER);
        assert_int_equal(hw_run_finish_reason(hw_trace_run(longer)), HW_STOP_END);
        hw_trace_free(longer);
    }
    hw_trace_free(whole);
}

static void bad_beginnings_are_refused(void **state) {
    (void)state;
    const int32_t ids[] = {3, 1 << 30};
    fake_params fake = fake_params_default();
    hw_run_params p = ask(PROMPT, NULL, 4);
    p.n_begun = 2;
    refuse(&fake, &p, HW_ERR_ARGUMENT, "2 ids of a completion at NULL");
    p.begun = ids;
    refuse(&fake, &p, HW_ERR_ARGUMENT, "token 1 of the completion has the id 1073741824");
    p = ask(PROMPT, " Rome", 0);
    p.begun = ids;
    p.n_begun = 1;
    refuse(&fake, &p, HW_ERR_ARGUMENT, "given whole, or begun by ids");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuses_mean_max_and_min),
        cmocka_unit_test(minimum_of_disjoint_heads_stays_with_the_token),
        cmocka_unit_test(padding_is_never_counted),
        cmocka_unit_test(any_split_gives_the_same_bits),
        cmocka_unit_test(given_completion_equals_the_generated_one),
        cmocka_unit_test(long_given_completion_keeps_to_the_logits_limit),
        cmocka_unit_test(log_probabilities_are_those_of_the_step),
        cmocka_unit_test(greedy_takes_the_first_alternative),
        cmocka_unit_test(completion_is_its_tokens_bytes_joined),
        cmocka_unit_test(tokens_and_progress_are_reported_as_they_come),
        cmocka_unit_test(seed_decides_and_every_run_starts_it_afresh),
        cmocka_unit_test(rows_that_cannot_be_right_are_refused),
        cmocka_unit_test(sinks_may_take_a_share_of_a_row),
        cmocka_unit_test(engine_failures_are_passed_on),
        cmocka_unit_test(model_with_a_problem_is_refused),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(context_overflow_says_by_how_much),
        cmocka_unit_test(lowered_context_counts),
        cmocka_unit_test(end_token_first_is_an_error),
        cmocka_unit_test(stop_during_prefill_cancels),
        cmocka_unit_test(stop_during_generation_keeps_the_tokens_so_far),
        cmocka_unit_test(stop_while_given_tokens_are_read_cancels),
        cmocka_unit_test(a_begun_completion_goes_on_to_the_same_run),
        cmocka_unit_test(bad_beginnings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
