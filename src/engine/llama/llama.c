/*
 * llama.c - models run by libllama: opening, tokens, decodes, sampling. llama_engine.h lists its other files.
 */
#include "engine/llama/operations.h"

#include "headwater-llama.h"

#include "base/sized.h"

#include "base/background.h"
#include "engine/llama/chat_template.h"
#include "engine/llama/device/backend.h"
#include "engine/llama/device/guarded.h"
#include "engine/llama/graph/stream_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_UBATCH = 512 };

/* ------------------------------------------------------------------ operations */

static const hw_model_info *describe(const hw__engine *base) { return &((const hw__llama_engine *)base)->info; }

static hw_err render(hw__engine *base, hw__written *out, const hw__chat *chat, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (!chat->source && !e->info.has_chat_template)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s has no chat template: its prompts are plain text", e->info.path);
    return hw__chat_template_render(out, e->model, chat, err);
}

static hw_err begin(hw__engine *base, size_t n_tokens, hw_stop_fn stop, void *stop_ctx, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    e->stop = stop;
    e->stop_ctx = stop_ctx;
    return hw__llama_ensure_context(e, n_tokens, err);
}

static hw_err rewind_to(hw__engine *base, size_t n_tokens, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (!e->ctx || n_tokens > e->n_done)
        return hw__fail(err, HW_ERR_ARGUMENT, "rewind to %zu of %zu tokens", n_tokens, e->n_done);
    bool done = true;
    hw_err rc = n_tokens < e->n_done ? hw__guarded_forget(&done, e->ctx, (int32_t)n_tokens, err) : HW_OK;
    if (rc != HW_OK) return rc;
    if (!done)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "architecture %s cannot forget its last tokens", e->info.architecture);
    e->n_done = n_tokens;
    return HW_OK;
}

static size_t chunk(const hw__engine *base) { return (size_t)((const hw__llama_engine *)base)->params.n_ubatch; }

static hw_err sample(hw__engine *base, int32_t *out, size_t i, size_t step, const hw__sampling *sampling,
                     hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (!hw__llama_logits(base, i))
        return hw__fail(err, HW_ERR_ARGUMENT, "row %zu of the last decode has no logits", i);
    if (step == 0 || !e->sampler) {
        llama_sampler_free(e->sampler);
        e->sampler = NULL;
        hw_err rc = hw__guarded_sampler(&e->sampler, sampling, err);
        if (rc != HW_OK) return rc;
    }
    return hw__guarded_sample(out, e->sampler, e->ctx, (int32_t)i, err);
}

static void close_engine(hw__engine *base) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (!e) return;
    llama_sampler_free(e->sampler);
    llama_free(e->ctx);
    if (!e->borrowed) llama_model_free(e->model);
    if (e->batch.token) llama_batch_free(e->batch);
    hw__adapters_clear(&e->adapters);
    free(e->ids);
    hw__control_tokens_clear(&e->controls);
    free(e->layers);
    free(e->unread);
    free(e->layer_of);
    hw__recurrent_free(e);
    free(e->sources);
    free(e->source_of);
    free(e->readout.mean);
    hw__llama_taps_free(e);
    hw__device_read_free(e->device_read);
    hw__rpc_close(&e->rpc);
    hw__mean_output_free(e->mean_output);
    hw__gguf_close(e->file);
    free(e);
}

static const hw__engine_ops llama_ops = {
    .describe = describe,
    .tokenize = hw__llama_tokenize,
    .piece = hw__llama_piece,
    .render = render,
    .find_control = hw__llama_find_control,
    .begin = begin,
    .rewind = rewind_to,
    .chunk = chunk,
    .decode = hw__llama_decode,
    .logits = hw__llama_logits,
    .sample = sample,
    .values = hw__llama_values,
    .readout = hw__llama_readout,
    .carry = hw__llama_carry,
    .close = close_engine,
    .resume = hw__llama_resume,
    .save = hw__llama_save,
    .restore = hw__llama_restore,
    .footprint = hw__llama_footprint,
    .text_limits = hw__llama_text_limits,
};

/* ------------------------------------------------------------------ loading */

static bool on_load(float progress, void *user) {
    const hw_model_params *p = user;
    if (p->progress) p->progress(p->ctx, HW_STAGE_LOAD, (size_t)(progress * 1000.0f), 1000);
    return !(p->stop && p->stop(p->ctx));
}

/* Chooses the devices that the model may use; if none are named, libllama chooses. */
static hw_err choose_devices(hw__llama_engine *e, hw_error *err) {
    const hw_model_params *p = &e->params;
    if (!p->rpc_servers && !p->devices) return HW_OK;
    hw_err rc = hw__rpc_open(&e->rpc, p->rpc_servers, err);
    return rc == HW_OK ? hw__devices_choose(e->devices, &e->rpc, p->devices, err) : rc;
}

static void read_meta(const hw__llama_engine *e, char *out, size_t capacity, const char *key) {
    if (llama_model_meta_val_str(e->model, key, out, capacity) < 0) out[0] = 0;
}

/* Whether the file is that of the caller's model, as far as sizes show: the probe compares the weights. */
static hw_err check_borrowed(const hw__llama_engine *e, const char *path, hw_error *err) {
    uint64_t n_params, n_bytes;
    char architecture[HW__LLAMA_TEXT];
    hw__gguf_count(e->file, &n_params, &n_bytes);
    read_meta(e, architecture, sizeof architecture, "general.architecture");
    if (n_params == llama_model_n_params(e->model) && n_bytes == llama_model_size(e->model) &&
        strcmp(architecture, hw__gguf_text(hw__gguf_metadata(e->file), "general.architecture")) == 0)
        return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "%s is not the file of this model: it has %" PRIu64 " weights in %" PRIu64
                    " bytes, the model %" PRIu64 " in %" PRIu64,
                    path, n_params, n_bytes, llama_model_n_params(e->model), llama_model_size(e->model));
}

static hw_err load(hw__llama_engine *e, const char *path, hw_error *err) {
    if (e->borrowed) return check_borrowed(e, path, err);
    hw_err rc = choose_devices(e, err);
    if (rc != HW_OK) return rc;
    struct llama_model_params p = llama_model_default_params();
    if (e->devices[0]) p.devices = e->devices;
    p.n_gpu_layers = e->params.n_gpu_layers;
    p.progress_callback = on_load;
    p.progress_callback_user_data = &e->params;
    hw__llama_forget_errors();
    if ((rc = hw__guarded_load(&e->model, path, p, err)) != HW_OK || e->model) return rc;
    if (e->params.stop && e->params.stop(e->params.ctx))
        return hw__fail(err, HW_ERR_CANCELLED, "stopped while loading %s", path);
    char reason[512];
    hw__llama_load_problem(reason, sizeof reason, hw__gguf_text(hw__gguf_metadata(e->file), "general.architecture"));
    return hw__fail(err, HW_ERR_ENGINE, "%s: %s", path, reason);
}

static void fill_info(hw__llama_engine *e, const char *path) {
    const struct llama_model *m = e->model;
    snprintf(e->path, sizeof e->path, "%s", path);
    read_meta(e, e->architecture, sizeof e->architecture, "general.architecture");
    read_meta(e, e->name, sizeof e->name, "general.name");
    snprintf(e->quantisation, sizeof e->quantisation, "%s", llama_ftype_name(llama_model_ftype(m)));
    e->info = (hw_model_info){
        .path = e->path,
        .engine = "llama",
        .engine_version = llama_version(),
        .architecture = e->architecture,
        .name = e->name,
        .quantisation = e->quantisation,
        .metadata_sha256 = hw__gguf_metadata_sha256(e->file),
        .sample_sha256 = e->adapters.n ? e->adapters.sample_sha256 : hw__gguf_sample_sha256(e->file),
        .adapters = e->adapters.text ? e->adapters.text : "",
        .device = e->device,
        .problem = e->problem,
        .values_problem = e->values_problem,
        .readout_problem = e->readout_problem,
        .recurrent_problem = e->recurrent_problem,
        .layers = e->layers,
        .sources = e->sources,
        .n_blocks = llama_model_n_layer(m),
        .n_heads = llama_model_n_head(m),
        .n_heads_kv = llama_model_n_head_kv(m),
        .n_embd = llama_model_n_embd(m),
        .n_vocab = llama_vocab_n_tokens(e->vocab),
        .n_ctx_train = llama_model_n_ctx_train(m),
        .n_swa = llama_model_n_swa(m),
        .n_params = llama_model_n_params(m),
        .n_bytes = llama_model_size(m),
        .adds_bos = llama_vocab_get_add_bos(e->vocab),
        .has_chat_template = llama_model_chat_template(m, NULL) != NULL,
    };
    if (e->params.n_ctx == 0) e->params.n_ctx = e->info.n_ctx_train;
}

static hw_err check_params(hw_model_params *p, hw_error *err) {
    hw_err rc = hw__llama_threads(&p->n_threads, err);
    if (rc != HW_OK) return rc;
    if (p->n_ctx < 0) return hw__fail(err, HW_ERR_ARGUMENT, "a context of %d tokens: 0 (as trained) or more", p->n_ctx);
    if (p->n_ubatch == 0) p->n_ubatch = DEFAULT_UBATCH;
    if (p->n_ubatch < 1 || p->n_ubatch > 8192)
        return hw__fail(err, HW_ERR_ARGUMENT, "%d tokens per pass: 1..8192 are accepted", p->n_ubatch);
    return HW_OK;
}

static void start_backends(void *ctx) {
    (void)ctx;
    hw__llama_start();
}

/* Reads the file while another thread loads ggml's backends. */
static hw_err open_file(hw__llama_engine *e, const char *path, hw_error *err) {
    hw__background starting;
    hw__llama_connect_log();
    hw__background_start(&starting, start_backends, NULL);
    hw_err rc = hw__gguf_open(&e->file, path, err);
    hw__background_wait(&starting);
    return rc;
}

static hw_err open_engine(hw__llama_engine *e, const char *path, hw_error *err) {
    hw_err rc = check_params(&e->params, err);
    e->base.n_threads = (size_t)e->params.n_threads;
    if (rc == HW_OK) rc = open_file(e, path, err);
    if (rc != HW_OK) return rc;
    if (e->params.n_threads > 1 && e->purpose == HW__EXPLAINS) e->mean_output = hw__mean_output_begin(e->file);
    if ((rc = load(e, path, err)) != HW_OK || (rc = hw__gguf_finish_hashes(e->file, err)) != HW_OK) return rc;
    rc = hw__adapters_open(&e->adapters, e->model, e->params.loras, e->params.n_loras, hw__gguf_sample_sha256(e->file),
                           err);
    if (rc != HW_OK) return rc;
    e->vocab = llama_model_get_vocab(e->model);
    size_t n_blocks = (size_t)llama_model_n_layer(e->model);
    e->layers = hw__alloc(n_blocks, sizeof *e->layers);
    e->layer_of = hw__alloc(n_blocks, sizeof *e->layer_of);
    e->source_of = hw__alloc(n_blocks, sizeof *e->source_of);
    e->sources = hw__alloc(2 * n_blocks, sizeof *e->sources);
    e->batch = llama_batch_init(e->params.n_ubatch, 0, 1);
    e->device_read = hw__device_read_new();
    if (!e->layers || !e->layer_of || !e->source_of || !e->sources || !e->batch.token || !e->device_read)
        return hw__fail_memory(err, "the layer list", n_blocks, sizeof(int32_t));
    fill_info(e, path);
    if ((rc = hw__llama_taps_new(e, n_blocks, err)) != HW_OK) return rc;
    if (e->info.n_vocab < 2 || llama_vocab_type(e->vocab) == LLAMA_VOCAB_TYPE_NONE)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: has no vocabulary", path);
    return hw__llama_probe(e, err);
}

/* `borrowed`: a model that the caller has loaded; NULL: none. */
static hw_err engine_open(hw__engine **out, const char *path, struct llama_model *borrowed,
                          const hw_model_params *params, hw__purpose purpose, hw_error *err) {
    hw__llama_engine *e = hw__alloc(1, sizeof *e);
    if (!e) return hw__fail_memory(err, "the engine", 1, sizeof *e);
    e->base.ops = &llama_ops;
    e->params = *params;
    e->purpose = purpose;
    e->model = borrowed;
    e->borrowed = borrowed != NULL;
    hw_err rc = open_engine(e, path, err);
    if (rc != HW_OK) {
        close_engine(&e->base);
        return rc;
    }
    *out = &e->base;
    return HW_OK;
}

static hw_err model_open(hw_model **out, const char *path, struct llama_model *borrowed, const hw_model_params *params,
                         hw__purpose purpose, hw_error *err) {
    if (!path || !*path) return hw__fail(err, HW_ERR_ARGUMENT, "no model file named");
    hw_model *model = hw__alloc(1, sizeof *model);
    if (!model) return hw__fail_memory(err, "a model", 1, sizeof *model);
    model->params = hw_model_params_default();
    hw_err rc = hw__params_read(&model->params, sizeof model->params, params, "hw_model_params", err);
    if (rc == HW_OK) rc = engine_open(&model->engine, path, borrowed, &model->params, purpose, err);
    if (rc != HW_OK) {
        free(model);
        return rc;
    }
    *out = model;
    return HW_OK;
}

hw_err hw__model_open(hw_model **out, const char *path, const hw_model_params *params, hw__purpose purpose,
                      hw_error *err) {
    return model_open(out, path, NULL, params, purpose, err);
}

void hw_llama_start(void) { hw__llama_start(); }

hw_err hw_model_from_llama(hw_model **out, struct llama_model *model, const char *path, const hw_model_params *params,
                           hw_error *err) {
    if (!model) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model that libllama has loaded is needed");
    if (params && (params->rpc_servers || params->devices || params->n_gpu_layers))
        return hw__fail(err, HW_ERR_ARGUMENT, "rpc_servers, devices, n_gpu_layers: the model is loaded already");
    return model_open(out, path, model, params, HW__EXPLAINS, err);
}

hw_err hw_model_open(hw_model **out, const char *path, const hw_model_params *params, hw_error *err) {
    return hw__model_open(out, path, params, HW__EXPLAINS, err);
}
