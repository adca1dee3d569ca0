/*
 * client.c - a program that uses the library: compiled with one version of headwater.h and run with the library of
 * another (test_abi.py). Reports structs whose surroundings the library wrote to, and prints what it computed.
 *
 *     client ATTENTION.safetensors MODEL.gguf
 */
#include "headwater.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD_BYTES = 512, GUARD = 0xA5 };

static int g_n_damaged;

static void check_guards(const char *type, const unsigned char *before, const unsigned char *after) {
    int n = 0;
    for (int i = 0; i < GUARD_BYTES; i++) n += (before[i] != GUARD) + (after[i] != GUARD);
    if (n == 0) return;
    printf("damaged: %d bytes around %s\n", n, type);
    g_n_damaged++;
}

/* Declares `name`, a guarded struct whose `it` is the caller's, and lets `call` fill it. */
#define FILL(type, name, call)                                                                                         \
    struct {                                                                                                           \
        unsigned char before[GUARD_BYTES];                                                                             \
        type it;                                                                                                       \
        unsigned char after[GUARD_BYTES];                                                                              \
    } name;                                                                                                            \
    memset(&name, GUARD, sizeof name);                                                                                 \
    call;                                                                                                              \
    check_guards(#type, name.before, name.after)

#define PARAMS(type, name) FILL(type, name, type##_init(&name.it, sizeof name.it))

static void need(hw_err rc, const hw_error *err) {
    if (rc == HW_OK) return;
    printf("failed: %s\n", err->msg);
    exit(1);
}

static void use_views(const hw_attribution *a) {
    hw_error err;
    hw_view *view;
    PARAMS(hw_view_params, params);
    params.it.row_end = 1;
    need(hw_view_new(&view, a, &params.it, &err), &err);
    double sum = 0;
    for (size_t k = 0; k < hw_view_n_columns(view); k++) sum += (double)hw_view_scores(view)[k] * (double)(k + 1);
    printf("view %.6f\n", sum);
    hw_view_free(view);
#ifdef LATER_FIELDS
    params.it.later[1] = 1;
    hw_err rc = hw_view_new(&view, a, &params.it, &err);
    printf("later field: %s, %s\n", hw_err_name(rc), err.msg);
#endif
}

static void use_citations(const hw_attribution *a, const hw_run *run) {
    hw_error err;
    hw_segments *passages, *answer;
    hw_citation *citation;
    PARAMS(hw_citation_params, params);
    need(hw_segments_new(&passages, run, HW_SIDE_PROMPT, "token", &err), &err);
    need(hw_segments_new(&answer, run, HW_SIDE_COMPLETION, "token", &err), &err);
    need(hw_citation_new(&citation, a, passages, answer, &params.it, &err), &err);
    FILL(hw_citation_link, link, hw_citation_link_copy(&link.it, sizeof link.it, citation, 0, 1));
    FILL(hw_citation_elsewhere, rest, hw_citation_elsewhere_copy(&rest.it, sizeof rest.it, citation, 0));
    printf("citation %.6f %.6f\n", link.it.share, rest.it.rest);
    hw_citation_free(citation);
    hw_segments_free(answer);
    hw_segments_free(passages);
}

static void use_attention(const char *path) {
    hw_error err;
    hw_trace *trace;
    hw_attribution *a;
    PARAMS(hw_method_params, params);
    PARAMS(hw_save_params, saving);
    params.it.residual = 0.25;
    need(hw_trace_import(&trace, path, HW_FUSE_MEAN, &err), &err);
    need(hw_explain(&a, trace, "rollout", &params.it, &err), &err);
    FILL(hw_method_params, used, hw_attribution_params_copy(&used.it, sizeof used.it, a));
    FILL(hw_token, token, hw_run_token_copy(&token.it, sizeof token.it, hw_trace_run(trace), 1));
    printf("residual %.2f, token 1 has %zu bytes\n", used.it.residual, token.it.n_bytes);
    use_views(a);
    use_citations(a, hw_trace_run(trace));
    hw_attribution_free(a);
    hw_trace_free(trace);
}

static void use_model(const char *path) {
    static const char prompt[] = "The capital of France is";
    hw_error err;
    hw_model *model;
    hw_explainer *explainer;
    hw_trace *trace;
    PARAMS(hw_model_params, opening);
    PARAMS(hw_run_params, run);
    PARAMS(hw_explainer_params, explaining);
    opening.it.n_threads = 1;
    opening.it.n_ctx = 64;
    run.it.prompt = prompt;
    run.it.prompt_bytes = strlen(prompt);
    run.it.n_generate = 2;
    explaining.it.keep = HW_KEEP_ROWS;
    need(hw_model_open(&model, path, &opening.it, &err), &err);
    need(hw_explainer_new(&explainer, &explaining.it, &err), &err);
    need(hw_explainer_add(explainer, "attention", NULL, &err), &err);
    run.it.explainer = explainer;
    FILL(hw_model_file, file, need(hw_model_file_read(&file.it, sizeof file.it, path, &err), &err));
    FILL(hw_estimate, needs, need(hw_run_estimate(&needs.it, sizeof needs.it, model, &run.it, &err), &err));
    need(hw_trace_capture(&trace, model, &run.it, &err), &err);
    size_t n;
    const char *completion = hw_run_completion(hw_trace_run(trace), &n);
    printf("%s, at most %zu tokens, ", file.it.architecture, needs.it.n_tokens);
    printf("completion \"%.*s\"\n", (int)n, completion);
    hw_trace_free(trace);
    hw_explainer_free(explainer);
    hw_model_close(model);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    hw_log_set(NULL, NULL);
    PARAMS(hw_worker_params, worker);
    PARAMS(hw_check_params, check);
    PARAMS(hw_confirm_params, confirm);
    printf("defaults %d %zu %zu\n", worker.it.port, check.it.n_ablations, confirm.it.n_passages);
    use_attention(argv[1]);
    use_model(argv[2]);
    return g_n_damaged > 0;
}
