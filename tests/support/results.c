/* results.c - see results.h. */
#include "support/results.h"

#include "data/attribution.h"
#include "data/trace.h"
#include "support/files.h"
#include "support/sample.h"

#include <math.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

void must_save(const hw_attribution *a, const char *path, bool full) {
    hw_error err = {0};
    if (hw_result_save(&a, 1, path, full, &err) != HW_OK) fail_msg("%s", err.msg);
}

hw_result *must_open(const char *path) {
    hw_result *result = NULL;
    hw_error err = {0};
    if (hw_result_open(&result, path, &err) != HW_OK) fail_msg("%s", err.msg);
    return result;
}

/* methods.md 6.9 as a run of a model: "The cat" -> " sat". */
hw_run *worked_run(void) {
    static const int32_t layers[] = {0, 1};
    hw_model_info info = {
        .path = "toy.gguf",
        .engine = "llama",
        .engine_version = "0.5.0",
        .architecture = "llama",
        .name = "Toy",
        .quantisation = "F16",
        .metadata_sha256 = "",
        .sample_sha256 = "",
        .device = "CPU",
        .problem = "",
        .values_problem = "",
        .readout_problem = "",
        .layers = layers,
        .n_layers = 2,
        .n_blocks = 2,
        .n_heads = 1,
        .n_heads_kv = 1,
        .n_embd = 8,
        .n_vocab = 100,
        .n_ctx_train = 64,
        .n_params = 3200,
        .n_bytes = 6400,
        .host_rows = true,
    };
    hw__run_options options = {.run = {.n_generate = 1, .top_p = 1}, .n_ubatch = 512};
    hw_run *run = NULL;
    assert_int_equal(hw__run_new(&run, &info, &options, NULL), HW_OK);
    assert_int_equal(hw__run_set_prompt(run, "The cat", 7, NULL), HW_OK);
    const hw_alternative best[] = {{.bytes = " sat", .n_bytes = 4, .id = 31, .logprob = -0.5f},
                                   {.bytes = "\xE2\x80", .n_bytes = 2, .id = 97, .logprob = -1.25f}};
    const hw_token tokens[] = {
        {.bytes = "The", .n_bytes = 3, .begin = 0, .end = 3, .id = 12, .logprob = NAN},
        {.bytes = " cat", .n_bytes = 4, .begin = 3, .end = 7, .id = 45, .logprob = NAN},
        {.bytes = " sat",
         .n_bytes = 4,
         .id = 31,
         .role = HW_ROLE_COMPLETION,
         .logprob = -0.5f,
         .n_alternatives = 2,
         .alternatives = best},
    };
    for (size_t t = 0; t < COUNT(tokens); t++) assert_int_equal(hw__run_add_token(run, &tokens[t], NULL), HW_OK);
    return run;
}

hw_trace *worked_trace(void) {
    static const float rows[2][6] = {{1, 0.6f, 0.4f, 0.5f, 0.3f, 0.2f}, {1, 0.25f, 0.75f, 0.1f, 0.7f, 0.2f}};
    hw_trace *trace = NULL;
    assert_int_equal(hw__trace_new(&trace, worked_run(), 3, NULL), HW_OK);
    for (size_t l = 0; l < 2; l++) memcpy(trace->rows[l], rows[l], sizeof rows[l]);
    return trace;
}

/* Rollout's own-row answer, R_1 = [1/4, 3/20 | 3/5] and R_2 = [61/200, 67/200 | 9/25]. */
hw_attribution *worked_attribution(void) {
    static const float values[] = {0.25f, 0.305f, 0.15f, 0.335f}, outside_mass[] = {0.6f, 0.36f};
    hw_method_params params = hw_method_params_default();
    params.row = HW_ROW_OWN;
    return make_attribution(worked_run(), &params, 2, values, outside_mass);
}

hw_file_kind kind_of(const char *path) {
    hw_file_kind kind = HW_FILE_UNKNOWN;
    hw_error err = {0};
    if (hw_file_probe(&kind, path, &err) != HW_OK) fail_msg("%s", err.msg);
    return kind;
}
