/*
 * test_tap.c - a run of a loop over libllama, written as its example `simple`, gives the trace of hw_trace_capture():
 * every row, signal, probability and result, bit for bit where both decode the same batches. A loop that does what
 * cannot be followed goes on, and the tap refuses with words.
 */
#include "support/files.h"
#include "support/fixture.h"

#include "headwater-llama.h"

#include <gguf.h>
#include <llama.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PREDICT = 6, MAX_TOKENS = 400 };
static const char PROMPT[] =
    "Anna keeps her key in the red box. Tom lives near the sea. Where is the key? It is in the";
static const char SMOLLM[] = "SmolLM2-135M-Instruct.Q4_1.gguf", GEMMA[] = "gemma-3-270m-q4_k_m.gguf";

/* ------------------------------------------------------------------ a model and a loop of the caller */

typedef struct setup {
    struct llama_model *theirs;
    hw_model *model;
    hw_tap *tap;
    struct llama_context *ctx;
    int32_t ids[MAX_TOKENS];
    size_t n;
    bool alone; /* the prompt's last token is decoded alone: models whose stream is mixed need that */
} setup;

static struct llama_context_params context_params(int32_t n_ubatch) {
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = MAX_TOKENS;
    p.n_batch = MAX_TOKENS;
    p.n_ubatch = (uint32_t)n_ubatch;
    p.n_threads = p.n_threads_batch = 1;
    return p;
}

static struct llama_model *load(const char *path) {
    struct llama_model_params p = llama_model_default_params();
    p.n_gpu_layers = 0;
    struct llama_model *m = llama_model_load_from_file(path, p);
    if (!m) fail_msg("%s", path);
    return m;
}

static setup open_setup(const char *path, int32_t n_ubatch) {
    setup s = {.theirs = load(path)};
    hw_error err = {0};
    hw_model_params p = hw_model_params_default();
    p.n_threads = 1;
    p.n_ubatch = n_ubatch;
    p.n_ctx = MAX_TOKENS;
    if (hw_model_from_llama(&s.model, s.theirs, path, &p, &err) != HW_OK) fail_msg("%s: %s", path, err.msg);
    if (hw_tap_new(&s.tap, s.model, &err) != HW_OK) fail_msg("%s: %s", path, err.msg);
    struct llama_context_params c = context_params(n_ubatch);
    if (hw_tap_install(s.tap, &c, &err) != HW_OK) fail_msg("%s", err.msg);
    s.ctx = llama_init_from_model(s.theirs, c);
    assert_non_null(s.ctx);
    s.alone = s.model->engine->n_mixing > 0;
    return s;
}

static void close_setup(setup *s) {
    llama_free(s->ctx);
    hw_tap_free(s->tap);
    hw_model_close(s->model);
    llama_model_free(s->theirs);
}

static hw_run_params run_params(void) {
    hw_run_params p = hw_run_params_default();
    p.prompt = PROMPT;
    p.prompt_bytes = strlen(PROMPT);
    p.n_generate = N_PREDICT;
    return p;
}

/* The prompt's tokens as libllama makes them. */
static void tokenize(setup *s) {
    const struct llama_vocab *vocab = llama_model_get_vocab(s->theirs);
    int32_t n = llama_tokenize(vocab, PROMPT, (int32_t)strlen(PROMPT), s->ids, MAX_TOKENS, true, false);
    assert_in_range(n, 2, MAX_TOKENS - N_PREDICT);
    s->n = (size_t)n;
}

static bool decode(setup *s, int32_t *ids, size_t n) {
    return llama_decode(s->ctx, llama_batch_get_one(ids, (int32_t)n)) == 0;
}

/* llama.cpp's `simple`: decodes the last batch, samples, makes the next batch of that token. Returns a token that was
 * sampled and not decoded, or HW_TAP_NO_TOKEN. `decodes_last`: the loop decodes that one too. */
static int32_t simple_loop(setup *s, bool decodes_last) {
    const struct llama_vocab *vocab = llama_model_get_vocab(s->theirs);
    struct llama_sampler *sampler = llama_sampler_chain_init(llama_sampler_chain_default_params());
    llama_sampler_chain_add(sampler, llama_sampler_init_greedy());
    size_t first = s->alone ? s->n - 1 : 0;
    if (first && !decode(s, s->ids, first)) fail_msg("llama_decode");
    llama_batch batch = llama_batch_get_one(s->ids + first, (int32_t)(s->n - first));
    int32_t token = HW_TAP_NO_TOKEN;
    for (int i = 0; i <= N_PREDICT; i++) {
        if (i == N_PREDICT && !decodes_last) break;
        if (llama_decode(s->ctx, batch) != 0) fail_msg("llama_decode");
        if (i == N_PREDICT) {
            token = HW_TAP_NO_TOKEN;
            break;
        }
        token = llama_sampler_sample(sampler, s->ctx, -1);
        if (llama_vocab_is_eog(vocab, token)) {
            token = HW_TAP_NO_TOKEN;
            break;
        }
        batch = llama_batch_get_one(&token, 1);
    }
    llama_sampler_free(sampler);
    return token;
}

/* The same with libllama's newer batches. */
static int32_t simple_loop_of_ext(setup *s) {
    struct llama_sampler *sampler = llama_sampler_init_greedy();
    struct llama_batch_ext *batch = llama_batch_ext_init(s->ctx);
    int32_t token = HW_TAP_NO_TOKEN;
    for (size_t at = 0, n = s->n; at < s->n + N_PREDICT - 1; at += n, n = 1) {
        n = at ? 1 : s->n;
        llama_batch_ext_clear(batch);
        for (size_t i = 0; i < n; i++) {
            llama_pos pos = (llama_pos)(at + i);
            int32_t entry = llama_batch_ext_add_token(batch, 0, at ? token : s->ids[i]);
            llama_batch_ext_set_pos(batch, entry, &pos);
        }
        llama_batch_ext_set_output_logits(batch, (int32_t)n - 1, true);
        if (llama_process(s->ctx, LLAMA_PROCESS_TYPE_DECODE, batch) != 0) fail_msg("llama_process");
        token = llama_sampler_sample(sampler, s->ctx, -1);
    }
    llama_batch_ext_free(batch);
    llama_sampler_free(sampler);
    return token;
}

/* ------------------------------------------------------------------ comparing */

static void assert_same_rows(const hw_trace *a, const hw_trace *b) {
    assert_int_equal(a->n_layers, b->n_layers);
    for (size_t l = 0; l < a->n_layers; l++)
        for (size_t q = 0; q < hw_run_n_tokens(hw_trace_run(a)); q++) {
            size_t n, m;
            const float *x = hw_trace_row(a, l, q, &n), *y = hw_trace_row(b, l, q, &m);
            assert_int_equal(n, m);
            assert_memory_equal(x, y, n * sizeof *x);
        }
}

static void assert_same_result(hw_explainer *x, hw_explainer *y, size_t i, const hw_trace *a, const hw_trace *b) {
    hw_attribution *p, *q;
    hw_error err = {0};
    if (hw_explainer_result(&p, x, i, a, &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw_explainer_result(&q, y, i, b, &err) != HW_OK) fail_msg("%s", err.msg);
    size_t n = hw_attribution_n_rows(p) * hw_attribution_n_columns(p) * hw_attribution_n_layers(p);
    assert_int_equal(hw_attribution_n_columns(p), hw_attribution_n_columns(q));
    assert_memory_equal(hw_attribution_values(p), hw_attribution_values(q), n * sizeof(float));
    const hw_balance *balance = hw_attribution_balance(p);
    if (balance) assert_memory_equal(balance, hw_attribution_balance(q), hw_attribution_n_rows(p) * sizeof *balance);
    hw_attribution_free(p);
    hw_attribution_free(q);
}

/* Every method without further passes that the model provides. */
static hw_explainer *explainer_of(const hw_model *model, hw_keep keep) {
    static const char *const methods[] = {"rollout", "attention", "contribution", "logit"};
    hw_explainer *x;
    hw_explainer_params p = hw_explainer_params_default();
    hw_error err = {0};
    p.keep = keep;
    assert_int_equal(hw_explainer_new(&x, &p, &err), HW_OK);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!hw_method_problem(hw_method_find(methods[i]), hw_model_describe(model))[0])
            assert_int_equal(hw_explainer_add(x, methods[i], NULL, &err), HW_OK);
    return x;
}

static size_t n_methods(const hw_model *model) {
    size_t n = 0;
    static const char *const methods[] = {"rollout", "attention", "contribution", "logit"};
    for (size_t i = 0; i < 4; i++) n += !hw_method_problem(hw_method_find(methods[i]), hw_model_describe(model))[0];
    return n;
}

static hw_trace *own_run(setup *s, hw_explainer *x) {
    hw_run_params p = run_params();
    hw_trace *trace;
    hw_error err = {0};
    p.explainer = x;
    if (hw_trace_capture(&trace, s->model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static hw_trace *tapped_run(setup *s, hw_explainer *x, bool text, bool decodes_last) {
    hw_run_params p = run_params();
    hw_trace *trace;
    hw_error err = {0};
    p.explainer = x;
    if (!text) p.prompt = NULL, p.prompt_bytes = 0;
    llama_memory_clear(llama_get_memory(s->ctx), true);
    if (hw_tap_begin(s->tap, s->ctx, &p, s->ids, s->n, &err) != HW_OK) fail_msg("%s", err.msg);
    int32_t last = simple_loop(s, decodes_last);
    if (hw_tap_finish(&trace, s->tap, last, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static void begin(setup *s, hw_explainer *x) {
    hw_run_params p = run_params();
    hw_error err = {0};
    p.explainer = x;
    llama_memory_clear(llama_get_memory(s->ctx), true);
    if (hw_tap_begin(s->tap, s->ctx, &p, s->ids, s->n, &err) != HW_OK) fail_msg("%s", err.msg);
}

/* A run of our own, and what is to be the same run of a loop. */
typedef struct pair {
    setup s;
    hw_explainer *x, *y; /* of `own` and of `tapped`, with every method */
    hw_trace *own, *tapped;
} pair;

/* Makes the first run; the caller makes the other. */
static pair open_pair(const char *path, int32_t n_ubatch, hw_keep keep) {
    pair p = {.s = open_setup(path, n_ubatch)};
    tokenize(&p.s);
    p.x = explainer_of(p.s.model, keep);
    p.y = explainer_of(p.s.model, keep);
    p.own = own_run(&p.s, p.x);
    return p;
}

static void close_pair(pair *p) {
    hw_trace_free(p->own);
    hw_trace_free(p->tapped);
    hw_explainer_free(p->x);
    hw_explainer_free(p->y);
    close_setup(&p->s);
}

static void assert_same_runs(const pair *p) {
    assert_same_tokens(hw_trace_run(p->own), hw_trace_run(p->tapped));
    for (size_t i = 0; i < n_methods(p->s.model); i++) assert_same_result(p->x, p->y, i, p->own, p->tapped);
}

static void check_same(const char *path, int32_t n_ubatch, hw_keep keep) {
    pair p = open_pair(path, n_ubatch, keep);
    p.tapped = tapped_run(&p.s, p.y, true, keep != HW_KEEP_RESULTS);
    assert_same_runs(&p);
    if (keep != HW_KEEP_RESULTS) assert_same_rows(p.own, p.tapped);
    close_pair(&p);
}

/* ------------------------------------------------------------------ tests */

/* One architecture of each kind: learned positions, ALiBi, windows, latent values, recurrent layers alone and beside
 * attention, mixed streams, sinks. */
static void test_architectures(void **state) {
    (void)state;
    static const char *const models[] = {"llama",  "gpt2", "bloom",     "gemma3",  "deepseek2", "qwen35",
                                         "mamba2", "lfm2", "falcon_h1", "gemma3n", "gpt_oss",   "llama4"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        print_message("  %s\n", models[i]);
        check_same(zoo_model_path(models[i]), 512, HW_KEEP_ROWS);
    }
}

/* Micro-batches: one llama_decode() is several graphs. */
static void test_micro_batches(void **state) {
    (void)state;
    check_same(zoo_model_path("llama"), 8, HW_KEEP_ROWS);
    check_same(zoo_model_path("gemma3"), 7, HW_KEEP_ROWS);
    check_same(zoo_model_path("llama"), 8, HW_KEEP_RESULTS);
}

static void test_real_models(void **state) {
    (void)state;
    check_same(test_model_path(SMOLLM), 512, HW_KEEP_RESULTS);
    check_same(test_model_path(GEMMA), 512, HW_KEEP_ROWS);
}

/* Batches of libllama's newer kind, the last token not decoded. */
static void test_ext_batches(void **state) {
    (void)state;
    pair p = open_pair(zoo_model_path("llama"), 512, HW_KEEP_RESULTS);
    hw_run_params run = run_params();
    hw_error err = {0};
    run.explainer = p.y;
    assert_int_equal(hw_tap_begin(p.s.tap, p.s.ctx, &run, NULL, 0, &err), HW_OK);
    int32_t last = simple_loop_of_ext(&p.s);
    assert_int_equal(hw_tap_finish(&p.tapped, p.s.tap, last, &err), HW_OK);
    assert_same_runs(&p);
    close_pair(&p);
}

/* Without a text the prompt is the joined bytes of its tokens. */
static void test_tokens_without_text(void **state) {
    (void)state;
    pair p = open_pair(test_model_path(SMOLLM), 512, HW_KEEP_ROWS);
    p.tapped = tapped_run(&p.s, p.y, false, true);
    size_t n;
    assert_string_equal(hw_run_prompt(hw_trace_run(p.tapped), &n), PROMPT);
    assert_same_tokens(hw_trace_run(p.own), hw_trace_run(p.tapped));
    assert_same_rows(p.own, p.tapped);
    close_pair(&p);
}

/* Every token from `first` on in one batch, each with logits. */
static struct llama_batch completion_batch(const hw_run *run, size_t first) {
    struct llama_batch batch = llama_batch_init(MAX_TOKENS, 0, 1);
    for (size_t i = first; i < hw_run_n_tokens(run); i++) {
        size_t k = (size_t)batch.n_tokens++;
        batch.token[k] = hw_run_token(run, i).id;
        batch.pos[k] = (llama_pos)i;
        batch.n_seq_id[k] = 1;
        batch.seq_id[k][0] = 0;
        batch.logits[k] = true;
    }
    return batch;
}

/* A completion that is decoded at once, as a draft is: each row that chooses a token has logits. */
static void test_given_completion(void **state) {
    (void)state;
    pair p = open_pair(zoo_model_path("llama"), 512, HW_KEEP_ROWS);
    const hw_run *run = hw_trace_run(p.own);
    begin(&p.s, p.y);
    assert_true(decode(&p.s, p.s.ids, p.s.n));
    struct llama_batch batch = completion_batch(run, p.s.n);
    hw_error err = {0};
    assert_int_equal(llama_decode(p.s.ctx, batch), 0);
    if (hw_tap_finish(&p.tapped, p.s.tap, HW_TAP_NO_TOKEN, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(hw_run_n_tokens(hw_trace_run(p.tapped)), hw_run_n_tokens(run));
    for (size_t i = p.s.n; i < hw_run_n_tokens(run); i++)
        assert_close(hw_run_token(hw_trace_run(p.tapped), i).logprob, hw_run_token(run, i).logprob, 1e-4);
    llama_batch_free(batch);
    close_pair(&p);
}

/* ------------------------------------------------------------------ what is refused */

static void assert_refused(setup *s, hw_err code, const char *words) {
    hw_error err = {0};
    hw_trace *trace = NULL;
    hw_err rc = hw_tap_finish(&trace, s->tap, HW_TAP_NO_TOKEN, &err);
    assert_error(&err, rc, code, words);
    assert_null(trace);
}

typedef void (*misuse)(setup *s);

static void remove_tail(setup *s) {
    llama_memory_seq_rm(llama_get_memory(s->ctx), 0, (llama_pos)s->n - 3, -1);
    assert_true(decode(s, s->ids, 1));
}
/* No later position shows it: only the mask does. */
static void remove_middle(setup *s) {
    llama_memory_seq_rm(llama_get_memory(s->ctx), 0, 4, 6);
    assert_true(decode(s, s->ids, 1));
}
static void shift(setup *s) {
    llama_memory_seq_rm(llama_get_memory(s->ctx), 0, 0, 4);
    llama_memory_seq_add(llama_get_memory(s->ctx), 0, 4, -1, -4);
    assert_true(decode(s, s->ids, 1));
}
static void clear(setup *s) {
    llama_memory_clear(llama_get_memory(s->ctx), true);
    assert_true(decode(s, s->ids, 1));
}
static void clear_at_the_end(setup *s) {
    assert_true(decode(s, s->ids, 1));
    llama_memory_clear(llama_get_memory(s->ctx), true);
}
/* The context's state <- that of another context that has decoded n tokens, in other order. */
static void load_other_state(setup *s, size_t n) {
    struct llama_context_params p = context_params(512);
    hw_error err;
    p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    p.swa_full = true;
    struct llama_context *other = llama_init_from_model(s->theirs, p), *own = s->ctx;
    assert_non_null(other);
    int32_t ids[MAX_TOKENS];
    for (size_t i = 0; i < n; i++) ids[i] = s->ids[i < s->n ? i : 1];
    int32_t third = ids[2];
    ids[2] = ids[3];
    ids[3] = third;
    s->ctx = other;
    assert_true(decode(s, ids, n));
    s->ctx = own;
    size_t n_bytes = llama_state_get_size(other);
    uint8_t *state = malloc(n_bytes);
    assert_non_null(state);
    assert_int_equal(llama_state_get_data(other, state, n_bytes), n_bytes);
    assert_int_equal(hw_tap_error(s->tap, &err), HW_OK); /* no decode of this context was seen as one of ours */
    assert_true(llama_state_set_data(own, state, n_bytes) > 0);
    free(state);
    llama_free(other);
}
static void replace_state(setup *s) {
    load_other_state(s, s->n);
    assert_true(decode(s, s->ids, 1));
}
static void replace_state_at_the_end(setup *s) {
    assert_true(decode(s, s->ids + 1, 1));
    load_other_state(s, s->n + 1);
}
static void decode_no_more(setup *s) { (void)s; }
static void decode_too_many(setup *s) {
    for (int i = 0; i <= N_PREDICT; i++) assert_true(decode(s, s->ids, 1));
}
static void leave_out_logits(setup *s) {
    struct llama_batch batch = llama_batch_init(3, 0, 1);
    batch.n_tokens = 3;
    for (int i = 0; i < 3; i++) {
        batch.token[i] = s->ids[1];
        batch.pos[i] = (llama_pos)s->n + i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = i == 2;
    }
    assert_int_equal(llama_decode(s->ctx, batch), 0);
    llama_batch_free(batch);
}
static void scatter_logits(setup *s) {
    struct llama_batch batch = llama_batch_init(3, 0, 1);
    batch.n_tokens = 3;
    for (int i = 0; i < 3; i++) {
        batch.token[i] = s->ids[1];
        batch.pos[i] = (llama_pos)s->n + i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = i != 1;
    }
    assert_int_equal(llama_decode(s->ctx, batch), 0);
    llama_batch_free(batch);
}

static void test_loops_that_cannot_be_followed(void **state) {
    (void)state;
    static const struct {
        misuse act;
        hw_err code;
        const char *words;
    } cases[] = {
        {remove_tail, HW_ERR_ARGUMENT, "the cache was changed in between"},
        {remove_middle, HW_ERR_ARGUMENT, "attends to other tokens than those before it"},
        {shift, HW_ERR_ARGUMENT, "the cache was changed in between"},
        {clear, HW_ERR_ARGUMENT, "the cache was changed in between"},
        {clear_at_the_end, HW_ERR_ARGUMENT, "finish a tap before the cache is changed"},
        {replace_state, HW_ERR_ARGUMENT, "holds other numbers than the decode of token"},
        {replace_state_at_the_end, HW_ERR_ARGUMENT, "holds other numbers than the decode of token"},
        {decode_no_more, HW_ERR_UNSUPPORTED, "no token follows the prompt"},
        {decode_too_many, HW_ERR_ARGUMENT, "(n_generate)"},
        {leave_out_logits, HW_ERR_ARGUMENT, "has no logits: request them"},
        {scatter_logits, HW_ERR_ARGUMENT, "request those of the last rows"},
    };
    setup s = open_setup(zoo_model_path("llama"), 512);
    tokenize(&s);
    hw_explainer *x = explainer_of(s.model, HW_KEEP_METHODS);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&s, x);
        assert_true(decode(&s, s.ids, s.n));
        cases[i].act(&s);
        assert_refused(&s, cases[i].code, cases[i].words);
    }
    /* and the tap follows the next run as if nothing had happened */
    begin(&s, x);
    simple_loop(&s, true);
    hw_trace *trace;
    hw_error err = {0};
    if (hw_tap_finish(&trace, s.tap, HW_TAP_NO_TOKEN, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_trace_free(trace);
    hw_explainer_free(x);
    close_setup(&s);
}

/* A replaced cache is noticed in every kind of layer: attention, whole and sliding, compressed, recurrent. If libllama
 * puts the state's tokens into other cells, the mask shows it. */
static void test_replaced_states(void **state) {
    (void)state;
    static const char *const names[] = {"gemma3", "deepseek2", "qwen35", "mamba2", "falcon_h1", "lfm2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        print_message("  %s\n", names[i]);
        setup s = open_setup(zoo_model_path(names[i]), 512);
        tokenize(&s);
        hw_explainer *x = explainer_of(s.model, HW_KEEP_METHODS);
        begin(&s, x);
        assert_true(decode(&s, s.ids, s.n));
        replace_state(&s);
        assert_refused(&s, HW_ERR_ARGUMENT, i == 0 ? "the cache was changed" : "holds other numbers");
        hw_explainer_free(x);
        close_setup(&s);
    }
}

/* A state that is written and read back in mid-run changes nothing: a loop may save its cache. */
static void test_own_state_read_back(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("llama"), 512);
    tokenize(&s);
    hw_error err = {0};
    hw_trace *traces[2];
    for (int reads = 0; reads < 2; reads++) {
        begin(&s, NULL);
        assert_true(decode(&s, s.ids, s.n));
        size_t n_bytes = llama_state_get_size(s.ctx);
        uint8_t *bytes = malloc(n_bytes);
        assert_non_null(bytes);
        assert_int_equal(llama_state_get_data(s.ctx, bytes, n_bytes), n_bytes);
        if (reads) assert_int_equal(llama_state_set_data(s.ctx, bytes, n_bytes), n_bytes);
        free(bytes);
        assert_true(decode(&s, s.ids + 1, 1));
        if (hw_tap_finish(&traces[reads], s.tap, HW_TAP_NO_TOKEN, &err) != HW_OK) fail_msg("%s", err.msg);
    }
    assert_same_rows(traces[0], traces[1]);
    for (int i = 0; i < 2; i++) hw_trace_free(traces[i]);
    close_setup(&s);
}

static void test_other_tokens(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("llama"), 512);
    tokenize(&s);
    begin(&s, NULL);
    int32_t other = s.ids[2];
    s.ids[2] = s.ids[3];
    s.ids[3] = other;
    assert_true(decode(&s, s.ids, s.n));
    assert_refused(&s, HW_ERR_ARGUMENT, "was decoded at position 2, the prompt has");
    hw_run_params p = run_params();
    hw_error err = {0};
    llama_memory_clear(llama_get_memory(s.ctx), true);
    hw_err rc = hw_tap_begin(s.tap, s.ctx, &p, s.ids, s.n, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "are not those of the text");
    assert_int_equal(hw_tap_begin(s.tap, s.ctx, &p, NULL, 0, &err), HW_OK);
    assert_true(decode(&s, s.ids, 2));
    assert_refused(&s, HW_ERR_ARGUMENT, "2 of the prompt's 55 tokens were decoded");
    close_setup(&s);
}

static bool another_callback(struct ggml_tensor *t, bool ask, void *user) {
    (void)t, (void)user;
    return !ask;
}

/* Contexts that cannot be followed: each is refused, the latest when the run is finished. */
static void test_other_contexts(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("llama"), 512);
    tokenize(&s);
    hw_error err = {0};
    hw_run_params run = run_params();
    struct llama_context_params p = context_params(512);
    p.cb_eval = another_callback;
    hw_err rc = hw_tap_install(s.tap, &p, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "cb_eval is set to another function");
    p = context_params(512);
    p.n_seq_max = 2;
    rc = hw_tap_install(s.tap, &p, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "n_seq_max is 2: one sequence is followed");
    p = context_params(512);
    p.embeddings = true;
    rc = hw_tap_install(s.tap, &p, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "embeddings");

    struct llama_context *own = s.ctx;
    struct {
        const char *words;
        bool installs, flash, replaced;
    } cases[] = {{"no decode was seen", false, false, false},
                 {"flash attention is on", true, true, false},
                 {"no decode was seen", true, false, true}};
    for (size_t i = 0; i < 3; i++) {
        p = context_params(512);
        if (cases[i].installs) assert_int_equal(hw_tap_install(s.tap, &p, &err), HW_OK);
        if (cases[i].flash) p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
        if (cases[i].replaced) p.cb_eval = another_callback;
        s.ctx = llama_init_from_model(s.theirs, p);
        assert_non_null(s.ctx);
        assert_int_equal(hw_tap_begin(s.tap, s.ctx, &run, NULL, 0, &err), HW_OK);
        assert_true(decode(&s, s.ids, s.n) && decode(&s, s.ids, 1));
        assert_refused(&s, HW_ERR_ARGUMENT, cases[i].words);
        llama_free(s.ctx);
    }
    p = context_params(512);
    assert_int_equal(hw_tap_install(s.tap, &p, &err), HW_OK);
    p.n_seq_max = 2;
    s.ctx = llama_init_from_model(s.theirs, p);
    rc = hw_tap_begin(s.tap, s.ctx, &run, NULL, 0, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "for 2 sequences");
    llama_free(s.ctx);
    s.ctx = own;
    close_setup(&s);
}

static void test_second_model(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("llama"), 512), other = open_setup(zoo_model_path("gpt2"), 512);
    hw_run_params run = run_params();
    hw_error err = {0};
    hw_err rc = hw_tap_begin(s.tap, other.ctx, &run, NULL, 0, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "the context is of another model");
    hw_model *model = NULL;
    rc = hw_model_from_llama(&model, other.theirs, zoo_model_path("llama"), NULL, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "is not the file of this model");
    assert_null(model);
    close_setup(&other);
    close_setup(&s);
}

/* A control vector and an adapter change what is computed, and are not in the model's file. */
static void test_control_vector(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("llama"), 512);
    tokenize(&s);
    int32_t D = llama_model_n_embd(s.theirs), n_layer = llama_model_n_layer(s.theirs);
    float *direction = calloc((size_t)(D * n_layer), sizeof *direction);
    for (int32_t i = 0; i < D * n_layer; i++) direction[i] = 0.01f;
    assert_int_equal(llama_set_adapter_cvec(s.ctx, direction, (size_t)(D * (n_layer - 1)), D, 1, n_layer), 0);
    begin(&s, NULL);
    assert_true(decode(&s, s.ids, s.n));
    assert_refused(&s, HW_ERR_UNSUPPORTED, "the context has a control vector");
    free(direction);
    close_setup(&s);
}

static void add_weights(struct gguf_context *file, struct ggml_context *c, const char *name, int64_t n, int64_t rows) {
    struct ggml_tensor *t = ggml_new_tensor_2d(c, GGML_TYPE_F32, n, rows);
    ggml_set_name(t, name);
    for (int64_t i = 0; i < n * rows; i++) ((float *)t->data)[i] = 0.01f * (float)(i % 7);
    gguf_add_tensor(file, t);
}

static void test_adapter(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("llama"), 512);
    tokenize(&s);
    const char *path = temp_path("adapter.gguf");
    struct gguf_context *file = gguf_init_empty();
    struct ggml_context *c = ggml_init((struct ggml_init_params){.mem_size = 1 << 20});
    int64_t D = llama_model_n_embd(s.theirs);
    gguf_set_val_str(file, "general.type", "adapter");
    gguf_set_val_str(file, "general.architecture", "llama");
    gguf_set_val_str(file, "adapter.type", "lora");
    gguf_set_val_f32(file, "adapter.lora.alpha", 2);
    add_weights(file, c, "blk.0.attn_q.weight.lora_a", D, 2);
    add_weights(file, c, "blk.0.attn_q.weight.lora_b", 2, D);
    assert_true(gguf_write_to_file(file, path, false));
    struct llama_adapter_lora *adapter = llama_adapter_lora_init(s.theirs, path);
    assert_non_null(adapter);
    float scale = 1;
    assert_int_equal(llama_set_adapters_lora(s.ctx, &adapter, 1, &scale), 0);
    begin(&s, NULL);
    assert_true(decode(&s, s.ids, s.n));
    assert_refused(&s, HW_ERR_UNSUPPORTED, "the context has an adapter");
    gguf_free(file);
    ggml_free(c);
    close_setup(&s);
}

/* Models that mix their stream show it only for single tokens. */
static void test_mixed_stream_needs_single_rows(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("gemma3n"), 512);
    tokenize(&s);
    hw_explainer *x = explainer_of(s.model, HW_KEEP_METHODS);
    begin(&s, x);
    assert_true(decode(&s, s.ids, s.n));
    assert_refused(&s, HW_ERR_ARGUMENT, "must be decoded one by one");
    hw_explainer_free(x);
    close_setup(&s);
}

/* One thing at a time: the model's own runs, a second run of the tap, a cache that is not empty. */
static void test_one_run_at_a_time(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("llama"), 512);
    tokenize(&s);
    hw_run_params run = run_params();
    hw_error err = {0};
    hw_trace *trace = NULL;
    hw_err rc = hw_tap_finish(&trace, s.tap, HW_TAP_NO_TOKEN, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "no run is followed");
    begin(&s, NULL);
    assert_true(decode(&s, s.ids, s.n));
    rc = hw_trace_capture(&trace, s.model, &run, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "finish that tap first");
    rc = hw_tap_begin(s.tap, s.ctx, &run, NULL, 0, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "follows a run already");
    assert_int_equal(hw_tap_error(s.tap, &err), HW_OK);
    assert_true(decode(&s, s.ids, 1));
    assert_int_equal(hw_tap_finish(&trace, s.tap, HW_TAP_NO_TOKEN, &err), HW_OK);
    hw_trace_free(trace);
    rc = hw_tap_begin(s.tap, s.ctx, &run, NULL, 0, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "tokens, which were not followed");
    rc = hw_trace_capture(&trace, s.model, &run, &err); /* the model is free again */
    assert_int_equal(rc, HW_OK);
    hw_trace_free(trace);
    run.completion = "x";
    run.completion_bytes = 1;
    rc = hw_tap_begin(s.tap, s.ctx, &run, NULL, 0, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "hw_run_params.completion is set");
    close_setup(&s);
}

/* A token that was not decoded has no row. */
static void test_last_token_without_row(void **state) {
    (void)state;
    setup s = open_setup(zoo_model_path("llama"), 512);
    tokenize(&s);
    begin(&s, NULL);
    int32_t last = simple_loop(&s, false);
    hw_error err = {0};
    hw_trace *trace = NULL;
    hw_err rc = hw_tap_finish(&trace, s.tap, last, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "the row of the last token is kept or read");
    close_setup(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_micro_batches),
        cmocka_unit_test(test_real_models),
        cmocka_unit_test(test_ext_batches),
        cmocka_unit_test(test_tokens_without_text),
        cmocka_unit_test(test_given_completion),
        cmocka_unit_test(test_loops_that_cannot_be_followed),
        cmocka_unit_test(test_replaced_states),
        cmocka_unit_test(test_own_state_read_back),
        cmocka_unit_test(test_other_tokens),
        cmocka_unit_test(test_other_contexts),
        cmocka_unit_test(test_second_model),
        cmocka_unit_test(test_control_vector),
        cmocka_unit_test(test_adapter),
        cmocka_unit_test(test_mixed_stream_needs_single_rows),
        cmocka_unit_test(test_one_run_at_a_time),
        cmocka_unit_test(test_last_token_without_row),
    };
    hw_log_set(NULL, NULL);
    hw_llama_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
