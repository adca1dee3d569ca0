/*
 * state_file.c - a state: a trace's file with one tensor more, `cache`, the engine's keys and values of its tokens. Any
 * reader of traces reads it; with its model it also saves the passes over its tokens.
 *
 * The cache's bytes are the engine's; it checks their structure itself (kv_cache.c). Nothing there tells whether a
 * key or a value is right, so the metadata has a SHA-256 of them all.
 */
#include "formats/trace_file.h"

#include <stdlib.h>
#include <string.h>

static int32_t *token_ids(const hw_run *run) {
    int32_t *ids = hw__alloc(run->n_tokens, sizeof *ids);
    for (size_t t = 0; ids && t < run->n_tokens; t++) ids[t] = run->tokens[t].id;
    return ids;
}

hw_err hw__state_cache(hw__cache *out, const hw_trace *trace, hw_model *model, hw_error *err) {
    hw__engine *engine = model->engine;
    if (!engine->ops->save)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "engine %s keeps no cache", engine->ops->describe(engine)->engine);
    int32_t *ids = token_ids(trace->run);
    if (!ids) return hw__fail_memory(err, "token ids", trace->run->n_tokens, sizeof *ids);
    hw_err rc = engine->ops->save(engine, out, ids, trace->run->n_tokens, err);
    free(ids);
    return rc;
}

bool hw__cache_sha256(char out[HW__SHA256_ROOM], const hw__cache *cache) {
    hw__sha256 hash;
    hw__sha256_begin(&hash);
    hw__sha256_add(&hash, cache->bytes, cache->n_bytes);
    bool ok = hw__sha256_hex(&hash, out);
    hw__sha256_end(&hash);
    return ok;
}

/* A cache means something only to the weights, the version and the settings that filled it. */
static hw_err check_model(const hw_run *run, const hw_model *model, hw_error *err) {
    const hw_model_info *is = model->engine->ops->describe(model->engine), *was = &run->model;
    if (!model->engine->ops->restore) return hw__fail(err, HW_ERR_UNSUPPORTED, "engine %s keeps no cache", is->engine);
    if (!hw__same_model(is, was) || is->n_bytes != was->n_bytes)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "it was made by another model (%s) than %s", was->path, is->path);
    if (strcmp(is->engine, was->engine) != 0 || strcmp(is->engine_version, was->engine_version) != 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "its cache is of %s %s, this is %s %s", was->engine,
                        was->engine_version, is->engine, is->engine_version);
    if (run->options.f32_cache != model->params.f32_cache)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "its cache is %s, this model's %s",
                        run->options.f32_cache ? "F32" : "F16", model->params.f32_cache ? "F32" : "F16");
    return HW_OK;
}

/* `said` is what the metadata has. */
static hw_err check_bytes(const hw__cache *cache, const char *said, hw_error *err) {
    char is[HW__SHA256_ROOM];
    if (!hw__cache_sha256(is, cache)) return hw__fail(err, HW_ERR_MEMORY, "out of memory: the cache's SHA-256");
    if (strcmp(is, said) == 0) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT, "its cache is damaged: the SHA-256 of its bytes is %s, not %.64s", is, said);
}

static hw_err restore(const hw_run *run, hw_model *model, hw__safetensors *file, hw_error *err) {
    const hw__tensor *tensor = hw__safetensors_find(file, HW__CACHE);
    if (!tensor || tensor->dtype != HW__U8)
        return hw__fail(err, HW_ERR_FORMAT, "it is a trace and no state: it has no tensor \"" HW__CACHE "\" of U8");
    const char *said = hw__safetensors_metadata(file, HW__CACHE_SHA256);
    if (!said)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "an earlier version made it: its metadata has no \"" HW__CACHE_SHA256 "\"");
    hw__cache cache = {.bytes = hw__alloc(tensor->n, 1), .n_bytes = tensor->n};
    int32_t *ids = token_ids(run);
    hw_err rc = cache.bytes && ids ? HW_OK : hw__fail_memory(err, "the model's cache", tensor->n, 1);
    if (rc == HW_OK) rc = hw__safetensors_bytes(file, cache.bytes, tensor, 0, tensor->n, err);
    if (rc == HW_OK) rc = check_bytes(&cache, said, err);
    if (rc == HW_OK) rc = model->engine->ops->restore(model->engine, &cache, ids, run->n_tokens, err);
    free(cache.bytes);
    free(ids);
    return rc;
}

hw_err hw_state_open(hw_trace **out, hw_model *model, const char *path, hw_error *err) {
    hw__safetensors *file;
    hw_trace *trace = NULL;
    hw_err rc = hw__safetensors_open(&file, path, err);
    if (rc != HW_OK) return rc;
    rc = hw__trace_read(&trace, file, err);
    if (rc == HW_OK) rc = check_model(trace->run, model, err);
    if (rc == HW_OK) rc = restore(trace->run, model, file, err);
    hw__safetensors_close(file);
    if (rc == HW_OK) {
        *out = trace;
        return HW_OK;
    }
    hw_trace_free(trace);
    return hw__fail_in(err, rc, "%s", path);
}
