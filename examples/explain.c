/* explain.c - which prompt tokens did each generated token come from?   explain MODEL.gguf PROMPT */
#include <headwater.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    hw_error err = {.msg = "usage: explain MODEL.gguf PROMPT"};
    hw_model *model = NULL;
    hw_trace *trace = NULL;
    hw_attribution *a = NULL;
    hw_explainer *explainer = NULL;
    hw_run_params run = hw_run_params_default();
    run.prompt = argc == 3 ? argv[2] : "";
    run.prompt_bytes = strlen(run.prompt);
    run.n_generate = 6;
    hw_log_set(NULL, NULL);
    if (argc != 3 || hw_model_open(&model, argv[1], NULL, &err) || hw_explainer_new(&explainer, NULL, &err) ||
        hw_explainer_add(explainer, "logit", NULL, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;
    run.explainer = explainer;
    if (hw_trace_capture(&trace, model, &run, &err) || hw_explainer_result(&a, explainer, 0, trace, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;
    for (size_t i = 0; i < hw_attribution_n_rows(a); i++) {
        hw_view_params row = hw_view_params_default();
        hw_view *view = NULL;
        char token[64], source[64] = "";
        size_t best;
        row.row_begin = i, row.row_end = i + 1, row.hide = "first";
        if (hw_view_new(&view, a, &row, &err)) return fprintf(stderr, "%s\n", err.msg), 1;
        hw_run_token_text(token, sizeof token, hw_trace_run(trace), hw_attribution_first_token(a) + i);
        if (hw_view_top(view, &best, 1)) hw_run_token_text(source, sizeof source, hw_trace_run(trace), best);
        printf("%-10s <- %s\n", token, source);
        hw_view_free(view);
    }
    hw_attribution_free(a), hw_trace_free(trace), hw_explainer_free(explainer), hw_model_close(model);
    return 0;
}
