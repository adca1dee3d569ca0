/*
 * Tests whether Headwater can use this llama.cpp. Compiling checks that every declaration exists that the library
 * needs; running checks that the libraries load, agree with their headers, and know a CPU. Needs no model. Exit status
 * 0: yes; otherwise one line names what is missing.
 */
#include <ggml-backend.h>
#include <ggml.h>
#include <gguf.h>
#include <llama.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void discard_log(enum ggml_log_level level, const char *text, void *user) {
    (void)level;
    (void)text;
    (void)user;
}

static bool ask_nothing(struct ggml_tensor *tensor, bool ask, void *user) {
    (void)tensor;
    (void)user;
    return !ask;
}

static int missing(const char *what) {
    fprintf(stderr, "engine probe: %s\n", what);
    return EXIT_FAILURE;
}

/* The fields that the library sets when it loads a model and opens a context. */
static struct llama_context_params context_params(void) {
    struct llama_context_params params = llama_context_default_params();
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.cb_eval = ask_nothing;
    params.cb_eval_user_data = NULL;
    params.swa_full = true;
    return params;
}

/* Referenced so that the linker must find it: clearing memory needs a context, and so a model. */
static void (*const memory_clear)(llama_memory_t, bool) = llama_memory_clear;

int main(void) {
    llama_log_set(discard_log, NULL);
    /* loads backends that are plug-ins */
    if (ggml_backend_dev_count() == 0) ggml_backend_load_all_from_path(ENGINE_LIB_DIR);
    llama_backend_init();

    struct llama_model_params model = llama_model_default_params();
    model.use_extra_bufts = false;
    struct llama_context_params context = context_params();
    if (model.use_extra_bufts || context.cb_eval != ask_nothing || !context.swa_full || !memory_clear)
        return missing("parameters do not keep what is set");
    if (context.n_batch == 0 || context.n_ubatch > context.n_batch)
        return missing("headers and libraries disagree about llama_context_params");

    struct gguf_init_params gguf = {.no_alloc = true, .ctx = NULL};
    if (gguf_init_from_file("/nonexistent/model.gguf", gguf))
        return missing("gguf_init_from_file opens a file that does not exist");
    if (!ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU)) return missing("no CPU backend");
    if (!ggml_get_type_traits(GGML_TYPE_Q4_1)->to_float) return missing("no dequantisation of Q4_1");

    llama_backend_free();
    return EXIT_SUCCESS;
}
