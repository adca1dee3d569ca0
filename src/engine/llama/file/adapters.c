/* adapters.c - see adapters.h. libllama ends the process on metadata of unexpected types, so these are checked
 * first. */
#include "engine/llama/file/adapters.h"

#include "base/sha256.h"
#include "base/strlist.h"
#include "engine/llama/device/backend.h"
#include "engine/llama/device/guarded.h"
#include "engine/llama/file/gguf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Checks metadata that libllama uses without checking it. */
static hw_err check_metadata(const struct gguf_context *meta, const struct llama_model *model, const char *path,
                             hw_error *err) {
    char of_model[128] = "";
    int64_t alpha = gguf_find_key(meta, "adapter.lora.alpha");
    llama_model_meta_val_str(model, "general.architecture", of_model, sizeof of_model);
    if (strcmp(hw__gguf_text(meta, "general.type"), "adapter") != 0 ||
        strcmp(hw__gguf_text(meta, "adapter.type"), "lora") != 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s is not a LoRA adapter (general.type \"%s\", adapter.type \"%s\")",
                        path, hw__gguf_text(meta, "general.type"), hw__gguf_text(meta, "adapter.type"));
    if (strcmp(hw__gguf_text(meta, "general.architecture"), of_model) != 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s is a LoRA of another model: of architecture %s, the model is %s",
                        path, hw__gguf_text(meta, "general.architecture"), of_model);
    if (alpha >= 0 && gguf_get_kv_type(meta, alpha) != GGUF_TYPE_FLOAT32)
        return hw__fail(err, HW_ERR_FORMAT, "%s: adapter.lora.alpha is not a 32-bit float", path);
    if (gguf_find_key(meta, "adapter.alora.invocation_tokens") >= 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "%s is an activated LoRA, which acts on some tokens only: these are not explained", path);
    return HW_OK;
}

/* Checks the dimensions of pairs, which libllama multiplies with each other, and their types. */
static hw_err check_tensors(const struct gguf_context *meta, const char *path, hw_error *err) {
    for (int64_t i = 0; i < gguf_get_n_tensors(meta); i++) {
        const char *name = gguf_get_tensor_name(meta, i);
        enum ggml_type type = gguf_get_tensor_type(meta, i);
        if (strcmp(name, "token_embd.weight.lora_a") == 0)
            return hw__fail(err, HW_ERR_UNSUPPORTED, "%s changes the embeddings (%s): such adapters are not explained",
                            path, name);
        if (type != GGML_TYPE_F32 && !ggml_get_type_traits(type)->to_float)
            return hw__fail(err, HW_ERR_FORMAT, "%s: tensor %s has type %s", path, name, ggml_type_name(type));
    }
    return HW_OK;
}

static hw_err load(struct llama_adapter_lora **out, struct llama_model *model, const char *path, hw_error *err) {
    char reason[256];
    hw__llama_forget_errors();
    hw_err rc = hw__guarded_adapter(out, model, path, err);
    if (rc != HW_OK || *out) return rc;
    hw__llama_first_error(reason, sizeof reason);
    return hw__fail(err, HW_ERR_ARGUMENT, "%s does not fit this model: %s", path, reason);
}

/* Splits "FILE=SCALE" into file and scale; the scale is 1 if missing. */
static hw_err read_spec(char **path, float *scale, const char *spec, hw_error *err) {
    const char *sign = strrchr(spec, '=');
    char *end = NULL;
    double v = sign ? strtod(sign + 1, &end) : 1;
    size_t n = sign ? (size_t)(sign - spec) : strlen(spec);
    if (n == 0 || (sign && (end == sign + 1 || *end || !isfinite((float)v))))
        return hw__fail(err, HW_ERR_ARGUMENT, "LoRA \"%s\": FILE or FILE=SCALE is accepted, SCALE a number", spec);
    *path = hw__strndup(spec, n);
    *scale = (float)v;
    return *path ? HW_OK : hw__fail_memory(err, "a file's name", n + 1, 1);
}

static hw_err open_one(hw__adapters *out, struct llama_model *model, const char *spec, hw__sha256 *hash,
                       hw_error *err) {
    char *path = NULL;
    hw__gguf *file = NULL;
    float scale = 1;
    hw_err rc = read_spec(&path, &scale, spec, err);
    if (rc == HW_OK) rc = hw__gguf_open(&file, path, err);
    if (rc == HW_OK) rc = check_metadata(hw__gguf_metadata(file), model, path, err);
    if (rc == HW_OK) rc = check_tensors(hw__gguf_metadata(file), path, err);
    if (rc == HW_OK) rc = hw__gguf_finish_hashes(file, err);
    if (rc == HW_OK) rc = load(&out->loras[out->n], model, path, err);
    if (rc == HW_OK) {
        const char *sum = hw__gguf_sample_sha256(file);
        hw__sha256_add(hash, sum, strlen(sum));
        hw__sha256_add(hash, &scale, sizeof scale);
        out->scales[out->n++] = scale;
    }
    hw__gguf_close(file);
    free(path);
    return rc;
}

static hw_err join_specs(hw__adapters *out, const char *const *specs, size_t n, hw_error *err) {
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++) bytes += strlen(specs[i]) + 2;
    out->text = hw__alloc(bytes, 1);
    if (!out->text) return hw__fail_memory(err, "names of adapters", bytes, 1);
    hw__join_names(out->text, bytes, hw__names_of(specs, n));
    return HW_OK;
}

hw_err hw__adapters_open(hw__adapters *out, struct llama_model *model, const char *const *specs, size_t n,
                         const char *sample_sha256, hw_error *err) {
    hw__sha256 hash;
    if (n == 0) return HW_OK;
    out->loras = hw__alloc(n, sizeof *out->loras);
    out->scales = hw__alloc(n, sizeof *out->scales);
    if (!out->loras || !out->scales) return hw__fail_memory(err, "adapters", n, sizeof *out->loras);
    hw__sha256_begin(&hash);
    hw__sha256_add(&hash, sample_sha256, strlen(sample_sha256));
    hw_err rc = join_specs(out, specs, n, err);
    for (size_t i = 0; rc == HW_OK && i < n; i++) rc = open_one(out, model, specs[i], &hash, err);
    hw__sha256_hex(&hash, out->sample_sha256);
    return rc;
}

void hw__adapters_clear(hw__adapters *adapters) {
    free(adapters->loras);
    free(adapters->scales);
    free(adapters->text);
    *adapters = (hw__adapters){0};
}

hw_err hw__adapters_apply(const hw__adapters *adapters, struct llama_context *ctx, hw_error *err) {
    int32_t status = 0;
    hw_err rc =
        adapters->n ? hw__guarded_adapters(&status, ctx, adapters->loras, adapters->n, adapters->scales, err) : HW_OK;
    return rc == HW_OK && status
               ? hw__fail(err, HW_ERR_ENGINE, "libllama does not take the adapters (status %d)", status)
               : rc;
}
