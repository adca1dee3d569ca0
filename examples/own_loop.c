/* own_loop.c - your own llama.cpp loop, traced.   own_loop MODEL.gguf PROMPT */
#include <headwater-llama.h>
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROMPT = 512, N_PREDICT = 6 };
static hw_error err = {.msg = "usage: own_loop MODEL.gguf PROMPT"};

static void check(int failed, const char *why) {
    if (failed) fprintf(stderr, "%s\n", why), exit(1);
}

static void print_source(const hw_trace *trace, const hw_attribution *a, size_t i) {
    hw_view_params row = hw_view_params_default();
    hw_view *view;
    char token[64], source[64] = "";
    size_t best;
    row.row_begin = i, row.row_end = i + 1, row.hide = "first";
    check(hw_view_new(&view, a, &row, &err), err.msg);
    hw_run_token_text(token, sizeof token, hw_trace_run(trace), hw_attribution_first_token(a) + i);
    if (hw_view_top(view, &best, 1)) hw_run_token_text(source, sizeof source, hw_trace_run(trace), best);
    printf("%-10s <- %s\n", token, source);
    hw_view_free(view);
}

int main(int argc, char **argv) {
    check(argc != 3, err.msg);
    hw_log_set(NULL, NULL);
    hw_llama_start();
    struct llama_model *weights = llama_model_load_from_file(argv[1], llama_model_default_params());
    check(!weights, "the model cannot be loaded");
    const struct llama_vocab *vocab = llama_model_get_vocab(weights);
    llama_token ids[MAX_PROMPT], token = HW_TAP_NO_TOKEN;
    int n = llama_tokenize(vocab, argv[2], (int)strlen(argv[2]), ids, MAX_PROMPT, true, false);

    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = MAX_PROMPT + N_PREDICT;
    hw_model *model;
    hw_tap *tap;
    hw_explainer *methods;
    check(hw_model_from_llama(&model, weights, argv[1], NULL, &err) || hw_tap_new(&tap, model, &err) ||
              hw_tap_install(tap, &params, &err) || hw_explainer_new(&methods, NULL, &err) ||
              hw_explainer_add(methods, "logit", NULL, &err),
          err.msg);
    struct llama_context *ctx = llama_init_from_model(weights, params);
    struct llama_sampler *sampler = llama_sampler_init_greedy();
    check(!ctx, "no context can be made");

    hw_run_params run = hw_run_params_default();
    run.explainer = methods, run.n_generate = N_PREDICT;
    check(hw_tap_begin(tap, ctx, &run, ids, n > 0 ? (size_t)n : 0, &err), err.msg);
    struct llama_batch batch = llama_batch_get_one(ids, n);
    for (int i = 0; i < N_PREDICT && !llama_vocab_is_eog(vocab, token); i++) {
        check(llama_decode(ctx, batch), "llama_decode() failed");
        token = llama_sampler_sample(sampler, ctx, -1);
        batch = llama_batch_get_one(&token, 1);
    }
    hw_trace *trace;
    hw_attribution *a;
    check(hw_tap_finish(&trace, tap, llama_vocab_is_eog(vocab, token) ? HW_TAP_NO_TOKEN : token, &err) ||
              hw_explainer_result(&a, methods, 0, trace, &err),
          err.msg);
    for (size_t i = 0; i < hw_attribution_n_rows(a); i++) print_source(trace, a, i);
    hw_attribution_free(a), hw_trace_free(trace), hw_explainer_free(methods), llama_sampler_free(sampler);
    llama_free(ctx), hw_tap_free(tap), hw_model_close(model), llama_model_free(weights);
    return 0;
}
