/* consumer.c - needs every part of an installation: the engine's kernels, BLAS, lists of stop words, chat templates.
 *     consumer MODEL.gguf */
#include <headwater.h>

#include <stdio.h>
#include <string.h>

static int fail(const hw_error *err) {
    fprintf(stderr, "%s\n", err->msg);
    return 1;
}

int main(int argc, char **argv) {
    hw_error err = {.msg = "usage: consumer MODEL.gguf"};
    hw_model *model = NULL;
    hw_trace *trace = NULL;
    hw_attribution *a = NULL;
    hw_view *view = NULL;
    size_t best = 0;
    char token[64];
    hw_run_params run = hw_run_params_default();
    hw_method_params settings = hw_method_params_default();
    hw_view_params shown = hw_view_params_default();
    hw_log_set(NULL, NULL);
    run.prompt = "The key is in the red box. Where is the key?";
    run.prompt_bytes = strlen(run.prompt);
    run.n_generate = 2;
    run.chat = true;
    shown.hide = "first,stopwords:en";
    if (argc != 2 || hw_model_open(&model, argv[1], NULL, &err) || hw_trace_capture(&trace, model, &run, &err) ||
        hw_explain(&a, trace, "rollout", &settings, &err) || hw_view_new(&view, a, &shown, &err))
        return fail(&err);
    if (!hw_view_top(view, &best, 1)) return 1;
    hw_run_token_text(token, sizeof token, hw_trace_run(trace), best);
    printf("%s: %zu tokens, rollout begins at \"%s\"\n", hw_version(), hw_run_n_prompt(hw_trace_run(trace)), token);
    hw_view_free(view), hw_attribution_free(a), hw_trace_free(trace), hw_model_close(model);
    return 0;
}
