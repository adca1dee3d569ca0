/* decode.c - forward passes: for a run, and one for the probe that only records the graph. */
#include "engine/llama/operations.h"

#include "engine/llama/device/backend.h"
#include "engine/llama/device/guarded.h"

#include <stdlib.h>
#include <string.h>

static hw_err check_decode(const hw__llama_engine *e, const int32_t *ids, size_t n, size_t at, size_t first_logit,
                           hw_error *err) {
    if (!e->ctx) return hw__fail(err, HW_ERR_ARGUMENT, "decode before begin");
    if (n == 0 || n > (size_t)e->params.n_ubatch)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu tokens in one decode: 1..%d are accepted", n, e->params.n_ubatch);
    if (at != e->n_done)
        return hw__fail(err, HW_ERR_ARGUMENT, "decode at position %zu, the sequence has %zu tokens", at, e->n_done);
    if (at + n > llama_n_ctx(e->ctx))
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu tokens do not fit into a context of %u", at + n,
                        llama_n_ctx(e->ctx));
    if (first_logit > n || n - first_logit > HW__MAX_LOGITS)
        return hw__fail(err, HW_ERR_ARGUMENT, "logits of rows %zu..%zu: at most %d are kept", first_logit, n,
                        HW__MAX_LOGITS);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= e->info.n_vocab)
            return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", ids[i], e->info.n_vocab - 1);
    return HW_OK;
}

static void fill_batch(hw__llama_engine *e, const int32_t *ids, size_t n, size_t at, size_t first_logit) {
    e->batch.n_tokens = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        e->batch.token[i] = ids[i];
        e->batch.pos[i] = (llama_pos)(at + i);
        e->batch.n_seq_id[i] = 1;
        e->batch.seq_id[i][0] = 0;
        e->batch.logits[i] = i >= first_logit;
    }
}

static hw_err decode_error(hw__llama_engine *e, int32_t status, hw_error *err) {
    if (e->failed != HW_OK) { /* a row was rejected; libllama's later messages do not matter */
        if (err) *err = e->failure;
        return e->failed;
    }
    if (status == 2 || hw__llama_on_abort(e)) return hw__fail(err, HW_ERR_CANCELLED, "stopped at token %zu", e->at);
    char reason[HW__LLAMA_TEXT];
    hw__llama_first_error(reason, sizeof reason);
    return hw__fail(err, HW_ERR_ENGINE, "decoding %zu tokens at %zu failed (%d): %s", e->n_rows, e->at, status, reason);
}

/* After an exception the context is unusable. */
static hw_err drop_context(hw__llama_engine *e, hw_err rc) {
    llama_free(e->ctx);
    e->ctx = NULL;
    e->n_done = 0;
    return rc;
}

hw_err hw__llama_decode(hw__engine *base, hw__token_batch batch, const hw__sink *sink, hw_error *err) {
    const int32_t *ids = batch.ids;
    size_t n = batch.n, at = batch.at, first_logit = batch.first_logit;
    hw__llama_engine *e = (hw__llama_engine *)base;
    hw_err rc = check_decode(e, ids, n, at, first_logit, err);
    if (rc != HW_OK) return rc;
    if (e->needs_logits && first_logit == n) first_logit--;
    fill_batch(e, ids, n, at, first_logit);
    e->sink = sink;
    e->at = at;
    e->n_rows = n;
    e->first_logit = first_logit;
    e->n_seen = 0;
    e->failed = HW_OK;
    hw__llama_forget_errors();
    hw__llama_taps_begin(e);
    int32_t status;
    rc = hw__guarded_decode(&status, e->ctx, e->batch, err);
    if (rc != HW_OK)
        rc = drop_context(e, rc);
    else
        rc = status == 0 && e->failed == HW_OK ? hw__llama_taps_end(e, err) : decode_error(e, status, err);
    e->sink = NULL;
    if (rc != HW_OK) return rc;
    memcpy(e->ids + at, ids, n * sizeof *ids);
    e->n_done += n;
    return HW_OK;
}

/* The graph is then one piece, and all nodes are known before the first is computed. */
bool hw__llama_only_cpu(void) {
    for (size_t i = 0; i < ggml_backend_dev_count(); i++)
        if (ggml_backend_dev_type(ggml_backend_dev_get(i)) != GGML_BACKEND_DEVICE_TYPE_CPU) return false;
    return true;
}

hw_err hw__llama_record(hw__llama_engine *e, const int32_t *ids, size_t n, hw_error *err) {
    hw_err rc = check_decode(e, ids, n, 0, n - 1, err);
    if (rc != HW_OK) return rc;
    fill_batch(e, ids, n, 0, n - 1);
    e->at = 0;
    e->n_rows = n;
    e->failed = HW_OK;
    e->record = (hw__record){.open = true, .may_end = hw__llama_only_cpu() && !e->devices[0]};
    hw__llama_log_errors(false);
    int32_t status = 0;
    rc = hw__guarded_decode(&status, e->ctx, e->batch, err);
    hw__llama_log_errors(true);
    e->record.open = false;
    if (rc != HW_OK) return drop_context(e, rc);
    if (e->record.failed) return hw__fail_memory(err, "the graph's nodes", e->record.n, sizeof *e->record.nodes);
    return status == 0 || (status == 2 && e->record.complete) ? HW_OK : decode_error(e, status, err);
}

const float *hw__llama_logits(hw__engine *base, size_t i) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (e->follower) return hw__follow_logits(e->follower, i);
    if (!e->ctx || i >= (size_t)e->batch.n_tokens || !e->batch.logits[i]) return NULL;
    const float *row;
    return hw__guarded_logits(&row, e->ctx, (int32_t)i, NULL) == HW_OK ? row : NULL;
}
