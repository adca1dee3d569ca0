/*
 * probe.c - what a model shows, looked for once at load by decoding four tokens.
 *
 * Tensor names are no stable API and architectures differ: which blocks show attention rows, whether these sum to 1, whether
 * columns after the query are zero, and how attention reaches the stream and the stream the logits is seen here, not assumed.
 */
#include "engine/llama/llama_engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROBE_TOKENS = 4 };

typedef struct probe {
    bool *seen; /* [n_blocks] */
    double row_error;
    bool non_causal;
    size_t heads; /* of the first attention layer */
} probe;

/* Sums each head's rows and looks for weight after the query. */
static hw_err probe_rows(void *ctx, size_t block, const hw__heads *h, hw_error *err) {
    (void)err;
    probe *p = ctx;
    p->seen[block] = true;
    if (p->heads == 0) p->heads = h->n_heads;
    for (size_t head = 0; head < h->n_heads; head++) {
        for (size_t q = 0; q < h->n_rows; q++) {
            const float *row = h->attn + head * h->head_stride + q * h->row_stride;
            double sum = 0;
            for (size_t k = 0; k < h->n_keys; k++) {
                sum += row[k];
                if (k > h->q0 + q && row[k] != 0 && !isnan(row[k])) p->non_causal = true;
            }
            double error = fabs(1 - sum);
            if (!(error <= p->row_error)) p->row_error = error; /* NaN too */
        }
    }
    return HW_OK;
}

/* Why a model is not even probed, or NULL. */
static const char *unprobed_reason(const hw__llama_engine *e) {
    if (llama_model_has_encoder(e->model) || !llama_model_has_decoder(e->model))
        return "it has an encoder: only decoders that generate text are traced; export its attention and use "
               "--attention";
    if (!llama_get_causal_attn(e->ctx))
        return "it is an encoder (its attention is not causal) and generates nothing; export its attention and use "
               "--attention";
    if (llama_model_is_diffusion(e->model))
        return "it is a diffusion model: its tokens are not generated one after the other";
    return NULL;
}

static void judge_probe(hw__llama_engine *e, const probe *p) {
    const char *arch = e->info.architecture;
    if (e->info.n_layers == 0)
        snprintf(e->problem, sizeof e->problem,
                 "no block of architecture %s shows attention weights (no kq_soft_max node)%s", arch,
                 llama_model_is_recurrent(e->model) ? ": it is recurrent and has none" : "");
    else if (p->non_causal)
        snprintf(e->problem, sizeof e->problem, "architecture %s attends to later tokens: rows are not causal", arch);
    else if (e->info.has_sinks ? !(p->row_error <= 1 + HW_ROW_TOLERANCE) : !(p->row_error <= HW_ROW_TOLERANCE))
        snprintf(e->problem, sizeof e->problem,
                 "attention rows of architecture %s do not sum to 1 (off by %g, at most %g is accepted)", arch,
                 p->row_error, HW_ROW_TOLERANCE);
}

/* What the methods that read values and logits miss, if anything. */
static void judge_stream(hw__llama_engine *e) {
    for (int32_t l = 0; l < e->info.n_layers && !e->values_problem[0]; l++) {
        const hw__layer_graph *g = &e->graphs[e->layers[l]];
        const struct ggml_tensor *v = g->values;
        const char *missing = !g->complete ? "the residual sum after attention"
                              : !v || (v->op != GGML_OP_PERMUTE && v->op != GGML_OP_VIEW) ? "values in the cache"
                              : v->nb[0] != ggml_type_size(v->type)        ? "values with tokens side by side"
                              : v->ne[2] < 1 || e->info.n_heads % v->ne[2] ? "values that its heads share evenly"
                              : g->eps > 0 && !g->gain[0]                  ? "the gain of the post-norm"
                              : !hw__gguf_has(e->file, g->wo) ? "the output projection's weight in the file"
                                                              : NULL;
        if (missing)
            snprintf(e->values_problem, sizeof e->values_problem, "block %d does not show %s", e->layers[l], missing);
    }
    const char *missing = !e->readout.final_seen                      ? "the stream before the final norm (l_out)"
                          : !e->readout.complete                      ? "an RMS norm and a product before the logits"
                          : !hw__gguf_has(e->file, e->readout.weight) ? "the output weight in the file"
                          : !hw__gguf_has(e->file, e->readout.norm)   ? "the final norm in the file"
                          : e->values_problem[0]                      ? "what attention carries"
                                                                      : NULL;
    if (missing) snprintf(e->readout_problem, sizeof e->readout_problem, "the graph does not show %s", missing);
}

static hw_err run_probe(hw__llama_engine *e, probe *p, hw_error *err) {
    int32_t ids[PROBE_TOKENS];
    int32_t bos = llama_vocab_bos(e->vocab);
    for (int i = 0; i < PROBE_TOKENS; i++) ids[i] = (i == 0 && bos >= 0) ? bos : (i + 1) % e->info.n_vocab;
    hw__sink sink = {.rows = probe_rows, .ctx = p};
    hw_err rc = HW_OK;
    e->probing = true;
    for (size_t at = 0, take; rc == HW_OK && at < PROBE_TOKENS; at += take) {
        take = PROBE_TOKENS - at < e->base.ops->chunk(&e->base) ? PROBE_TOKENS - at : e->base.ops->chunk(&e->base);
        rc = e->base.ops->decode(&e->base, ids + at, take, at, at + take == PROBE_TOKENS ? take - 1 : take, &sink, err);
    }
    e->probing = false;
    return rc;
}

hw_err hw__llama_probe(hw__llama_engine *e, hw_error *err) {
    hw_err rc = e->base.ops->begin(&e->base, PROBE_TOKENS, e->params.stop, e->params.ctx, err);
    if (rc != HW_OK) return rc;
    const char *reason = unprobed_reason(e);
    e->base.generates = !reason;
    if (!reason && e->params.flash_attention)
        reason = "it was opened with flash attention, which keeps no attention weights";
    if (!reason && e->params.unwatched) reason = "it was opened unwatched, only to generate";
    if (reason) {
        snprintf(e->problem, sizeof e->problem, "%s", reason);
        return HW_OK;
    }
    size_t n_blocks = (size_t)e->info.n_blocks;
    probe p = {.seen = hw__alloc(n_blocks, sizeof *p.seen)};
    if (!p.seen) return hw__fail_memory(err, "the probe", n_blocks, 1);
    hw_error why;
    rc = run_probe(e, &p, &why);
    if (rc == HW_ERR_UNSUPPORTED) {
        snprintf(e->problem, sizeof e->problem, "%.500s", why.msg);
        rc = HW_OK;
    } else if (rc != HW_OK) {
        if (err) *err = why;
    } else {
        for (size_t b = 0; b < n_blocks; b++) {
            e->layer_of[b] = p.seen[b] ? e->info.n_layers : -1;
            if (p.seen[b]) e->layers[e->info.n_layers++] = (int32_t)b;
        }
        e->info.row_error = p.row_error;
        e->info.host_rows = !e->placement.remote;
        e->base.values_shared = e->info.host_rows; /* what is fetched goes through one buffer */
        hw__placement_text(e->device, sizeof e->device, &e->placement);
        if (p.heads) e->info.n_heads = (int32_t)p.heads;
        const struct ggml_tensor *v = e->info.n_layers ? e->graphs[e->layers[0]].values : NULL;
        if (v && v->ne[2] > 0)
            e->info.n_heads_kv = (int32_t)v->ne[2]; /* libllama tells block 0's, which may have none */
        judge_probe(e, &p);
        judge_stream(e);
    }
    free(p.seen);
    return rc;
}
