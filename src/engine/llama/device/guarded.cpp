/* guarded.cpp - one try block for all calls: the call is a lambda. */
#include "engine/llama/device/guarded.h"

#include <ggml-backend.h>

#include <exception>
#include <new>

/* Runs `call`; `what` names the failed operation in the message. */
template <typename Call> static hw_err guard(hw_error *err, const char *what, Call call) noexcept {
    try {
        call();
        return HW_OK;
    } catch (const std::bad_alloc &) {
        return hw__fail(err, HW_ERR_MEMORY, "out of memory: %s", what);
    } catch (const std::exception &e) {
        return hw__fail(err, HW_ERR_ENGINE, "%s failed in libllama: %s", what, e.what());
    } catch (...) {
        return hw__fail(err, HW_ERR_ENGINE, "%s failed in libllama without a message", what);
    }
}

hw_err hw__guarded_load(llama_model **model, const char *path, llama_model_params params, hw_error *err) {
    return guard(err, "loading the model", [&] { *model = llama_model_load_from_file(path, params); });
}

hw_err hw__guarded_context(llama_context **ctx, llama_model *model, llama_context_params params, hw_error *err) {
    return guard(err, "making a context", [&] { *ctx = llama_init_from_model(model, params); });
}

hw_err hw__guarded_tokenize(int32_t *n, const llama_vocab *vocab, hw__id_buffer out, hw__tokenize_options how,
                            hw_error *err) {
    return guard(err, "reading the text's tokens (the vocabulary may lack tokens for some bytes)", [&] {
        *n = llama_tokenize(vocab, how.text, how.n_bytes, out.ids, out.capacity, how.add_special, how.parse_special);
    });
}

hw_err hw__guarded_piece(int32_t *n, char *out, int32_t capacity, const llama_vocab *vocab, int32_t id, hw_error *err) {
    return guard(err, "reading a token's text", [&] { *n = llama_token_to_piece(vocab, id, out, capacity, 0, true); });
}

hw_err hw__guarded_adapter(llama_adapter_lora **out, llama_model *model, const char *path, hw_error *err) {
    return guard(err, "loading an adapter", [&] { *out = llama_adapter_lora_init(model, path); });
}

hw_err hw__guarded_adapters(int32_t *status, llama_context *ctx, llama_adapter_lora **adapters, size_t n, float *scales,
                            hw_error *err) {
    return guard(err, "using adapters", [&] { *status = llama_set_adapters_lora(ctx, adapters, n, scales); });
}

hw_err hw__guarded_decode(int32_t *status, llama_context *ctx, llama_batch batch, hw_error *err) {
    return guard(err, "decoding", [&] { *status = llama_decode(ctx, batch); });
}

hw_err hw__guarded_logits(const float **out, llama_context *ctx, int32_t row, hw_error *err) {
    return guard(err, "reading logits", [&] { *out = llama_get_logits_ith(ctx, row); });
}

hw_err hw__guarded_forget(bool *done, llama_context *ctx, int32_t first, hw_error *err) {
    return guard(err, "forgetting tokens", [&] { *done = llama_memory_seq_rm(llama_get_memory(ctx), 0, first, -1); });
}

static void add(llama_sampler *chain, llama_sampler *next) {
    if (!next) throw std::bad_alloc();
    llama_sampler_chain_add(chain, next);
}

static void fill_chain(llama_sampler *chain, const hw__sampling &o) {
    if (o.temperature <= 0) {
        add(chain, llama_sampler_init_greedy());
        return;
    }
    if (o.top_k > 0) add(chain, llama_sampler_init_top_k(o.top_k));
    if (o.top_p < 1) add(chain, llama_sampler_init_top_p(o.top_p, 1));
    add(chain, llama_sampler_init_temp(o.temperature));
    add(chain, llama_sampler_init_dist(o.seed));
}

hw_err hw__guarded_sampler(llama_sampler **out, const hw__sampling *options, hw_error *err) {
    llama_sampler *chain = nullptr;
    hw_err rc = guard(err, "making a sampler", [&] {
        chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
        if (!chain) throw std::bad_alloc();
        fill_chain(chain, *options);
    });
    if (rc == HW_OK)
        *out = chain;
    else if (chain)
        llama_sampler_free(chain);
    return rc;
}

hw_err hw__guarded_sample(int32_t *id, llama_sampler *sampler, llama_context *ctx, int32_t row, hw_error *err) {
    return guard(err, "sampling a token", [&] { *id = llama_sampler_sample(sampler, ctx, row); });
}

hw_err hw__guarded_state_size(size_t *n, llama_context *ctx, int32_t sequence, hw_error *err) {
    return guard(err, "measuring the cache", [&] { *n = llama_state_seq_get_size(ctx, sequence); });
}

hw_err hw__guarded_state_read(size_t *n, unsigned char *out, size_t capacity, llama_context *ctx, int32_t sequence,
                              hw_error *err) {
    return guard(err, "reading the cache", [&] { *n = llama_state_seq_get_data(ctx, out, capacity, sequence); });
}

hw_err hw__guarded_state_write(size_t *n, llama_context *ctx, const unsigned char *bytes, size_t n_bytes,
                               int32_t sequence, hw_error *err) {
    return guard(err, "filling the cache", [&] { *n = llama_state_seq_set_data(ctx, bytes, n_bytes, sequence); });
}

hw_err hw__guarded_gguf(gguf_context **out, const void *bytes, size_t n, hw_error *err) {
    return guard(err, "reading the model file's metadata", [&] {
        gguf_init_params params = {};
        params.no_alloc = true;
        *out = gguf_init_from_buffer(bytes, n, params);
    });
}

hw_err hw__guarded_backends(const char *folder, hw_error *err) {
    return guard(err, "loading ggml's backends", [&] { ggml_backend_load_all_from_path(folder); });
}

hw_err hw__guarded_add_server(ggml_backend_reg **out, hw__add_server add_server, const char *endpoint, hw_error *err) {
    return guard(err, "connecting to a worker", [&] { *out = add_server(endpoint); });
}
