/* build_trace.c - rollout of attention rows that another engine computed; here they are made up. */
#include <headwater.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS = 2, HEADS = 1, PROMPT = 2, TOKENS = 4 };

/* Weights [LAYERS, HEADS, 1, q + 1] of the token at position q, as your engine has them after each step. */
static void compute_row(float *out, size_t q) {
    for (size_t i = 0; i < LAYERS * HEADS * (q + 1); i++) out[i] = 1.0f / (float)(q + 1);
}

int main(void) {
    static const char *const tokens[TOKENS] = {"the", "cat", "sat", "down"};
    float rows[LAYERS * HEADS * TOKENS];
    hw_error err = {.msg = ""};
    hw_trace_builder *builder = NULL;
    hw_trace *trace = NULL;
    hw_attribution *a = NULL;
    hw_trace_builder_params params = hw_trace_builder_params_default();
    params.n_layers = LAYERS, params.n_heads = HEADS, params.n_prompt = PROMPT, params.max_tokens = TOKENS;
    if (hw_trace_builder_new(&builder, &params, &err)) return fprintf(stderr, "%s\n", err.msg), 1;
    for (size_t q = 0; q < TOKENS; q++) {
        compute_row(rows, q);
        if (hw_trace_builder_token(builder, tokens[q], strlen(tokens[q]), -1, NAN, &err) ||
            hw_trace_builder_rows(builder, rows, 1, q + 1, &err))
            return fprintf(stderr, "%s\n", err.msg), 1;
    }
    if (hw_trace_builder_finish(&trace, builder, &err) || hw_explain(&a, trace, "rollout", NULL, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;
    const float *m = hw_attribution_values(a); /* M [n, m, L] */
    for (size_t i = 0; i < TOKENS - PROMPT; i++)
        printf("%-4s <-  the %.3f  cat %.3f\n", tokens[PROMPT + i], m[(i * PROMPT + 0) * LAYERS + LAYERS - 1],
               m[(i * PROMPT + 1) * LAYERS + LAYERS - 1]);
    hw_attribution_free(a), hw_trace_free(trace), hw_trace_builder_free(builder);
    return 0;
}
