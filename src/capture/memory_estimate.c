/*
 * memory_estimate.c - estimates a run before it starts: memory by part, and time at a stated rate.
 *
 * Parts that the library allocates are counted as it allocates them. The engine reports its own as far as it knows
 * them. Time is approximate: arithmetic and memory at the rates below, which two cores of 2020 reach with quantised
 * weights.
 */
#include "capture/memory_estimate.h"

#include "base/error.h"
#include "base/sized.h"
#include "capture/prefix_reuse.h"
#include "capture/prompt.h"
#include "capture/signal_batch.h"
#include "capture/text_size.h"
#include "methods/explainer.h"
#include "methods/rollout_forward.h"

#include <stdlib.h>

/* Stated rates: multiplications and additions per second and thread, and bytes of weights per second read by a
 * decode. */
static const double FLOPS_A_THREAD = 2e10, WEIGHT_BYTES_A_SECOND = 1e10;

/* The program with its libraries, the tokenizer's memory per token of the vocabulary, and memory of BLAS and the engine
 * per thread; measured and rounded up, because a run that is accepted must not take more. */
static const uint64_t PROGRAM_BYTES = (uint64_t)39 << 20, VOCAB_BYTES = 264, THREAD_BYTES = (uint64_t)3 << 20;

/* Small objects of the library and the engine per token of a run. */
static const uint64_t TOKEN_BYTES = 4096;

typedef struct sizes {
    double layers, sources, prompt, tokens, columns; /* L, with recurrent ones, m, T; columns of M */
    double width;                                    /* floats of a target row of a signal */
    bool sums;                                       /* signals are summed by segment */
    double reused;                                   /* tokens of the prefix reused from an earlier trace */
    hw_row_retention rows;
    uint32_t signals;
} sizes;

static double layer_floats(const sizes *s) { return s->tokens * (s->tokens + 1) / 2; }

static double kept_floats(hw_row_retention kept, const sizes *s) {
    double prompt = (s->prompt - 1) * s->prompt / 2; /* rows before the target rows */
    return kept == HW_ROWS_ALL ? layer_floats(s) : kept == HW_ROWS_TARGET ? layer_floats(s) - prompt : 0;
}

static double signal_bytes(uint32_t wanted, const sizes *s) {
    double floats = 0;
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        if (!(wanted & 1u << i)) continue;
        hw__layout layout = hw__signal_layout((hw_signal)i);
        floats += layout == HW__LAYOUT_ROWS     ? s->sources * (s->tokens - s->prompt + 1) * s->width
                  : layout == HW__LAYOUT_TOKENS ? s->layers * s->tokens
                                                : s->sources * layer_floats(s);
    }
    return floats * sizeof(float);
}

/* Memory of the earlier trace that a run continues. */
static double prefix_bytes(const hw_trace *prefix) {
    if (!prefix) return 0;
    uint32_t signals = 0;
    for (int i = 0; i < HW_N_SIGNALS; i++) signals |= prefix->signals.values[i] ? 1u << i : 0;
    sizes s = {.layers = (double)prefix->n_layers,
               .sources = (double)prefix->n_sources,
               .prompt = (double)prefix->run->n_prompt,
               .tokens = (double)prefix->run->n_tokens,
               .width = (double)prefix->signals.width};
    return s.layers * kept_floats(prefix->kept, &s) * sizeof(float) + signal_bytes(signals, &s);
}

/* A matrix R as block_triangular.c stores it: blocks of rows as wide as their last row, columns in the prompt's
 * proportion. */
static double level_floats(const sizes *s) {
    double floats = 0;
    for (double first = 0; first < s->tokens; first += HW__BLOCK_ROWS) {
        double end = first + HW__BLOCK_ROWS < s->tokens ? first + HW__BLOCK_ROWS : s->tokens;
        double width = end < s->prompt ? end / s->prompt * s->columns : s->columns;
        floats += (end - first) * (width + 1);
    }
    return floats;
}

/* M of every method. Methods that compose layers also need the scratch of the forward product and matrices R: two at a
 * time, one method after another; for streamed prompt rows those of every layer. */
static double method_bytes(const hw_explainer *x, const sizes *s) {
    double composing = 0, results = 0, n = s->tokens - s->prompt;
    double levels = s->rows == HW_ROWS_ALL ? 2 : s->layers + 1;
    for (size_t i = 0; x && i < x->n; i++) {
        const hw_method_info *method = &x->list[i].method->info;
        if (hw_method_active_traits(method, &x->list[i].params) & HW_USES_DIRECTION)
            composing = levels * level_floats(s) * sizeof(float) +
                        hw__rollout_forward_bytes((size_t)s->tokens, (size_t)s->columns + 1);
        double numbers = n * (method->traits & HW_GIVES_LAYERS ? s->sources : 1);
        results += numbers * s->columns * sizeof(float);
        /* Followed through the completion: M with its columns, also of what positions gathered, and finished rows. */
        if (x->list[i].params.through)
            results +=
                numbers * (2 * s->columns + n + (x->list[i].method->gathers ? s->columns + n : 0)) * sizeof(float);
    }
    return composing + results;
}

static double seconds(const hw__engine *engine, const hw_explainer *x, const sizes *s) {
    const hw_model_info *info = engine->ops->describe(engine);
    double threads = engine->n_threads > 0 ? (double)engine->n_threads : 1, n = s->tokens - s->prompt;
    double attention = 4.0 * info->n_layers * info->n_embd * (layer_floats(s) - s->reused * (s->reused + 1) / 2);
    double flops = 2.0 * (double)info->n_params * (s->prompt - s->reused) + attention;
    for (size_t i = 0; x && i < x->n; i++)
        if (hw_method_active_traits(&x->list[i].method->info, &x->list[i].params) & HW_USES_DIRECTION)
            flops += 2 * s->layers * layer_floats(s) * s->columns;
    return flops / (FLOPS_A_THREAD * threads) + n * (double)info->n_bytes / WEIGHT_BYTES_A_SECOND;
}

static sizes count(const hw__engine *engine, const hw__run_tokens *t, const hw_run_params *p) {
    const hw_model_info *info = engine->ops->describe(engine);
    size_t n = hw__max_completion(p, t->given->n);
    const hw_explainer *x = p->explainer;
    bool grouped = x && x->n && x->list[0].params.groups;
    sizes s = {.layers = info->n_layers,
               .sources = t->run->model.n_sources,
               .prompt = (double)t->prompt->n,
               .tokens = (double)t->prompt->n + (double)n,
               .columns = (double)(grouped ? x->list[0].params.n_groups : t->prompt->n),
               .sums = hw__explainer_sums(p->explainer) != NULL,
               .rows = hw__explainer_rows(p->explainer),
               .signals = hw__explainer_signals(p->explainer, info)};
    s.reused = (double)hw__prefix_shared(p->prefix, t->run, s.rows, t->prompt->ids, t->prompt->n, s.signals);
    s.width = s.sums ? s.columns + 1 : s.tokens;
    return s;
}

hw_err hw__estimate(hw_estimate *out, const hw__engine *engine, const hw__run_tokens *tokens, const hw_run_params *p,
                    hw_error *err) {
    const hw_model_info *info = engine->ops->describe(engine);
    sizes s = count(engine, tokens, p);
    if (s.tokens > INT32_MAX) return hw__fail(err, HW_ERR_ARGUMENT, "%.0f tokens are more than any context", s.tokens);
    hw_estimate e = {.n_prompt = (size_t)s.prompt, .n_tokens = (size_t)s.tokens, .n_columns = (size_t)s.columns};
    hw__extent lengths = {(size_t)s.reused, e.n_prompt, tokens->given->n, e.n_tokens};
    e.weights = info->n_bytes;
    e.program = PROGRAM_BYTES + (uint64_t)info->n_vocab * VOCAB_BYTES +
                (engine->n_threads > 0 ? engine->n_threads : 1) * THREAD_BYTES + e.n_tokens * TOKEN_BYTES +
                (uint64_t)tokens->run->prompt_bytes * HW__TOKENIZER_BYTES;
    if (engine->ops->footprint) engine->ops->footprint(engine, &lengths, &e.cache, &e.buffers);
    e.rows = (uint64_t)(s.layers * kept_floats(s.rows, &s) * sizeof(float));
    e.signals = (uint64_t)signal_bytes(s.signals, &s);
    e.waiting = hw__signal_batch_bytes(engine, s.signals, e.n_prompt, e.n_tokens, s.sums);
    e.methods = (uint64_t)method_bytes(p->explainer, &s);
    e.state = (uint64_t)prefix_bytes(p->prefix) + (p->saves_state ? e.cache : 0);
    e.total = e.weights + e.program + e.cache + e.buffers + e.rows + e.signals + e.waiting + e.methods + e.state;
    e.seconds = seconds(engine, p->explainer, &s);
    *out = e;
    return HW_OK;
}

hw_err hw_run_estimate(hw_estimate *out, size_t size, hw_model *model, const hw_run_params *given_params,
                       hw_error *err) {
    if (!model || !given_params)
        return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model and params with a prompt are needed");
    hw_run_params p = hw_run_params_default();
    hw_err rc = hw__params_read(&p, sizeof p, given_params, "hw_run_params", err);
    if (rc != HW_OK) return rc;
    hw__engine *engine = model->engine;
    const hw__run_options options = {.run = {.fuse = p.fuse}, .f32_cache = model->params.f32_cache};
    hw__tokens prompt = {0}, given = {0};
    hw_run *run;
    hw_estimate made;
    rc = hw__run_new(&run, engine->ops->describe(engine), &options, err);
    if (rc != HW_OK) return rc;
    const hw__run_tokens tokens = {run, &prompt, &given};
    rc = hw__prompt_tokens(run, &prompt, engine, &p, err);
    if (rc == HW_OK) rc = hw__completion_tokens(&given, NULL, engine, &p, err);
    if (rc == HW_OK && p.explainer) rc = hw__explainer_begin(p.explainer, run, err);
    if (rc == HW_OK) rc = hw__estimate(&made, engine, &tokens, &p, err);
    if (rc == HW_OK) hw__sized_copy(out, size, &made, sizeof made);
    free(prompt.ids);
    free(given.ids);
    hw__run_release(run);
    return rc;
}
