/* model_file.c - hw_model_file_read(): what a model's file says before its weights are loaded. */
#include "base/sized.h"
#include "engine/llama/device/backend.h"
#include "engine/llama/device/guarded.h"
#include "engine/llama/file/gguf.h"
#include "engine/llama/graph/llama_engine.h"

#include <stdio.h>
#include <string.h>

static void read_quantisation(hw_model_file *out, const struct gguf_context *meta) {
    int64_t id = gguf_find_key(meta, "general.file_type");
    if (id < 0 || gguf_get_kv_type(meta, id) != GGUF_TYPE_UINT32) return;
    snprintf(out->quantisation, sizeof out->quantisation, "%s",
             llama_ftype_name((enum llama_ftype)gguf_get_val_u32(meta, id)));
}

/* Files that llama.cpp's tools write in the same format. */
static const struct {
    const char *type, *problem;
} other_files[] = {
    {"adapter", "it is an adapter: open its model, and this file as an adapter of it"},
    {"mmproj", "it is the image or audio part of a model: give the text model's file"},
    {"imatrix", "it is an importance matrix, made to quantise a model"},
    {"clip", "it is the image or audio part of a model: give the text model's file"},
};

static bool is_other_file(hw_model_file *out, const char *type) {
    for (size_t i = 0; i < sizeof other_files / sizeof *other_files; i++) {
        if (strcmp(other_files[i].type, type) != 0) continue;
        snprintf(out->problem, sizeof out->problem, "%s", other_files[i].problem);
        return true;
    }
    return false;
}

static bool is_causal(const struct gguf_context *meta, const char *architecture) {
    char key[128];
    snprintf(key, sizeof key, "%.64s.attention.causal", architecture);
    int64_t id = gguf_find_key(meta, key);
    return id < 0 || gguf_get_kv_type(meta, id) != GGUF_TYPE_BOOL || gguf_get_val_bool(meta, id);
}

/* libllama determines the architecture and the vocabulary. */
static hw_err check_engine(hw_model_file *out, const char *path, hw_error *err) {
    struct llama_model_params p = llama_model_default_params();
    struct llama_model *model = NULL;
    p.vocab_only = true;
    hw__llama_start();
    hw__llama_forget_errors();
    hw_err rc = hw__guarded_load(&model, path, p, err);
    if (rc == HW_ERR_MEMORY) return rc;
    if (!model) {
        hw__llama_load_problem(out->problem, sizeof out->problem, out->architecture);
    } else if (llama_model_has_encoder(model)) {
        snprintf(out->problem, sizeof out->problem, "%s has an encoder: the prompt is not read from left to right",
                 out->architecture);
    } else if (llama_model_is_diffusion(model)) {
        snprintf(out->problem, sizeof out->problem, "%s is a diffusion model: tokens are not generated one by one",
                 out->architecture);
    } else if (llama_vocab_type(llama_model_get_vocab(model)) == LLAMA_VOCAB_TYPE_NONE) {
        snprintf(out->problem, sizeof out->problem, "it has no vocabulary");
    }
    llama_model_free(model);
    return HW_OK;
}

hw_err hw_model_file_read(hw_model_file *out, size_t size, const char *path, hw_error *err) {
    hw_model_file made = {.n_files = 0};
    hw__gguf *file;
    if (!out || !path || !*path) return hw__fail(err, HW_ERR_ARGUMENT, "no model file named");
    hw__llama_connect_log();
    hw_err rc = hw__gguf_open(&file, path, err);
    if (rc != HW_OK) return rc;
    const struct gguf_context *meta = hw__gguf_metadata(file);
    const char *architecture = hw__gguf_text(meta, "general.architecture");
    snprintf(made.architecture, sizeof made.architecture, "%s", architecture);
    snprintf(made.name, sizeof made.name, "%s", hw__gguf_text(meta, "general.name"));
    read_quantisation(&made, meta);
    made.n_files = (int32_t)hw__gguf_count(file, &made.n_params, &made.n_bytes);
    if (is_other_file(&made, hw__gguf_text(meta, "general.type")) || is_other_file(&made, architecture)) {
        /* the reason is set */
    } else if (!*architecture) {
        snprintf(made.problem, sizeof made.problem, "its metadata name no architecture");
    } else if (!is_causal(meta, architecture)) {
        snprintf(made.problem, sizeof made.problem, "its attention is not causal: it embeds text and generates none");
    } else {
        rc = check_engine(&made, path, err);
    }
    hw__gguf_close(file);
    if (rc == HW_OK) hw__sized_copy(out, size, &made, sizeof made);
    return rc;
}
