/* context.c - the llama_context in which a sequence is decoded: enlarged when necessary, and reused. */
#include "engine/llama/operations.h"

#include "engine/llama/device/backend.h"
#include "engine/llama/device/guarded.h"

bool hw__llama_on_abort(void *user) {
    hw__llama_engine *e = user;
    if (e->record.open) return e->record.complete && e->record.may_end;
    return e->stop && e->stop(e->stop_ctx);
}

static struct llama_context_params context_params(hw__llama_engine *e, size_t n_tokens) {
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)((n_tokens + 255) / 256 * 256);
    p.n_batch = p.n_ubatch = (uint32_t)e->params.n_ubatch;
    p.n_outputs_max = HW__MAX_LOGITS < p.n_batch ? HW__MAX_LOGITS : p.n_batch;
    p.n_threads = p.n_threads_batch = e->params.n_threads;
    p.flash_attn_type =
        e->purpose == HW__GENERATES_FLASH ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    p.swa_full = true; /* sliding-window layers keep every column */
    if (e->purpose == HW__EXPLAINS) {
        p.cb_eval = hw__llama_on_node;
        p.cb_eval_user_data = e;
    }
    p.abort_callback = hw__llama_on_abort;
    p.abort_callback_data = e;
    if (e->params.f32_cache) p.type_k = p.type_v = GGML_TYPE_F32;
    return p;
}

hw_err hw__llama_ensure_context(hw__llama_engine *e, size_t n_tokens, hw_error *err) {
    if (e->follower)
        return hw__fail(err, HW_ERR_ARGUMENT, "a run of %s in another context is followed: finish that tap first",
                        e->info.path);
    if (n_tokens == 0 || n_tokens > (size_t)e->params.n_ctx)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu tokens do not fit into a context of %d", n_tokens, e->params.n_ctx);
    e->n_done = 0;
    if (e->ctx && llama_n_ctx(e->ctx) >= n_tokens) {
        llama_memory_clear(llama_get_memory(e->ctx), true);
        return HW_OK;
    }
    llama_free(e->ctx);
    e->ctx = NULL;
    hw__llama_forget_errors();
    hw_err rc = hw__guarded_context(&e->ctx, e->model, context_params(e, n_tokens), err);
    if (rc != HW_OK) return rc;
    if (!e->ctx) {
        char reason[HW__LLAMA_TEXT];
        hw__llama_first_error(reason, sizeof reason);
        return hw__fail(err, HW_ERR_ENGINE, "a context of %zu tokens could not be made: %s", n_tokens, reason);
    }
    if ((rc = hw__adapters_apply(&e->adapters, e->ctx, err)) != HW_OK) {
        llama_free(e->ctx);
        e->ctx = NULL;
        return rc;
    }
    int32_t *ids = hw__realloc(e->ids, llama_n_ctx(e->ctx), sizeof *ids);
    if (ids) {
        e->ids = ids;
        return HW_OK;
    }
    llama_free(e->ctx);
    e->ctx = NULL;
    return hw__fail_memory(err, "the sequence's tokens", n_tokens, sizeof *ids);
}
