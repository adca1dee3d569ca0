/*
 * probe.c - finds once, at load, which data a model provides.
 *
 * Architectures differ, so nothing is assumed: the graph of four tokens is recorded and analysed (graph_walk.c). Three
 * of them are then decoded with the resulting taps, and the fourth alone, and the tapped data are compared with the
 * engine's own numbers (proof.c). The same decodes determine which blocks provide attention rows, whether these sum to
 * 1, whether columns after the query are zero and whether those of an earlier decode are there.
 */
#include "engine/llama/operations.h"

#include "engine/llama/file/probe_cache.h"
#include "engine/llama/graph/graph_walk.h"
#include "engine/llama/graph/proof.h"
#include "engine/llama/graph/stream_map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last token is decoded alone, behind the others, as tokens of a completion are: what a model cannot read from its
 * cache is then missing. */
enum { PROBE_TOKENS = 4, PROBE_FIRST = PROBE_TOKENS - 1 };

typedef struct probe {
    hw__proof *proof;
    const char *architecture;
    double row_error;
    bool non_causal;
    size_t heads; /* of the first attention layer */
} probe;

/* Sums each head's rows and checks for weight after the query. */
static hw_err probe_rows(void *ctx, size_t layer, const hw__heads *h, hw_error *err) {
    probe *p = ctx;
    if (p->heads == 0) p->heads = h->n_heads;
    if (h->n_keys < h->q0 + h->n_rows)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "attention of architecture %s does not reach tokens of an earlier decode (token %zu has %zu "
                        "column%s): it reads a text as a whole and generates nothing",
                        p->architecture, h->q0 + h->n_rows - 1, h->n_keys, h->n_keys == 1 ? "" : "s");
    for (size_t head = 0; head < h->n_heads; head++) {
        for (size_t q = 0; q < h->n_rows; q++) {
            const float *row = h->attn + head * h->head_stride + q * h->row_stride;
            double sum = 0;
            for (size_t k = 0; k < h->n_keys; k++) {
                sum += row[k];
                if (k > h->q0 + q && row[k] != 0 && !isnan(row[k])) p->non_causal = true;
            }
            double error = fabs(1 - sum);
            if (!(error <= p->row_error)) p->row_error = error; /* also for NaN */
        }
    }
    return hw__proof_heads(p->proof, layer, h, err);
}

static hw_err probe_stream(void *ctx, size_t layer, const hw__stream *stream, hw_error *err) {
    return hw__proof_stream(((probe *)ctx)->proof, layer, stream, err);
}

static hw_err probe_final(void *ctx, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    return hw__proof_final(((probe *)ctx)->proof, rows, n_rows, q0, err);
}

static hw_err probe_origin(void *ctx, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    return hw__proof_origin(((probe *)ctx)->proof, rows, n_rows, q0, err);
}

static hw_err probe_mixing(void *ctx, const float *row, size_t q, hw_error *err) {
    return hw__proof_mixing(((probe *)ctx)->proof, row, q, err);
}

/* Why a model is not probed at all, or NULL. */
static const char *unprobed_reason(const hw__llama_engine *e) {
    if (llama_model_has_encoder(e->model) || !llama_model_has_decoder(e->model))
        return "it has an encoder: only decoders that generate text are traced; export its attention to a .safetensors "
               "file and open that";
    if (!llama_get_causal_attn(e->ctx))
        return "it is an encoder (its attention is not causal) and generates nothing; export its attention to a "
               ".safetensors "
               "file and open that";
    if (llama_model_is_diffusion(e->model))
        return "it is a diffusion model: its tokens are not generated one after the other";
    return NULL;
}

static void judge_probe(hw__llama_engine *e, const probe *p) {
    const char *arch = e->info.architecture;
    if (e->info.n_sources == 0)
        snprintf(e->values_problem, sizeof e->values_problem,
                 "no block of architecture %s shows attention weights (no kq_soft_max node)%s%.150s", arch,
                 e->recurrent_problem[0] ? "; " : "", e->recurrent_problem);
    else if (p->non_causal)
        snprintf(e->problem, sizeof e->problem,
                 "attention rows of architecture %s have weight behind the query's own column: it attends to later "
                 "tokens, or not every column is a token (compressed keys)",
                 arch);
    else if (e->info.has_sinks ? !(p->row_error <= 1 + HW_ROW_TOLERANCE) : !(p->row_error <= HW_ROW_TOLERANCE))
        snprintf(e->problem, sizeof e->problem,
                 "attention rows of architecture %s do not sum to 1 (off by %g, at most %g is accepted)", arch,
                 p->row_error, HW_ROW_TOLERANCE);
}

/* ------------------------------------------------------------------ the graph */

/* Finds the attention layers by their weights' nodes. */
static void find_layers(hw__llama_engine *e) {
    e->info.n_layers = 0;
    int64_t max_heads = 0;
    for (int32_t b = 0; b < e->info.n_blocks; b++) e->layer_of[b] = e->source_of[b] = -1;
    for (size_t i = 0; i < e->record.n; i++) {
        const struct ggml_tensor *t = e->record.nodes[i];
        int block = t->op == GGML_OP_SOFT_MAX ? hw__block_of(t->name, "kq_soft_max-") : -1;
        if (block < 0 || block >= e->info.n_blocks) continue;
        e->layer_of[block] = 0;
        if (t->ne[2] > max_heads) max_heads = t->ne[2];
    }
    if (max_heads > 0) e->info.n_heads = (int32_t)max_heads;
    for (int32_t b = 0; b < e->info.n_blocks; b++) {
        if (e->layer_of[b] < 0) continue;
        e->layer_of[b] = e->info.n_layers;
        e->layers[e->info.n_layers++] = b;
    }
}

static int block_at(const hw__llama_engine *e, const struct ggml_tensor *t) {
    int block = hw__is_recurrent_op(t) ? hw__recurrent_block(t) : -1;
    return block < e->info.n_blocks ? block : -1;
}

/* Finds the recurrent operation of each block: a convolution only if there is no other, because it precedes the
 * others. */
static hw_err find_recurrent(hw__llama_engine *e, const struct ggml_tensor **op /* [n_blocks] */, hw_error *err) {
    size_t n = 0;
    for (size_t i = 0; i < e->record.n; i++) {
        const struct ggml_tensor *t = e->record.nodes[i];
        int block = block_at(e, t);
        n += hw__is_recurrent_op(t);
        if (block >= 0 && (!op[block] || op[block]->op == GGML_OP_SSM_CONV)) op[block] = t;
        if (hw__is_recurrent_op(t) && block < 0)
            snprintf(e->recurrent_problem, sizeof e->recurrent_problem, "the block of a %s is not known",
                     ggml_op_desc(t));
    }
    e->recurrent.source_of = hw__alloc(n, sizeof *e->recurrent.source_of);
    e->recurrent.front_of = hw__alloc(n, sizeof *e->recurrent.front_of);
    e->recurrent.n = e->recurrent.source_of && e->recurrent.front_of ? n : 0;
    return e->recurrent.source_of && e->recurrent.front_of
               ? HW_OK
               : hw__fail_memory(err, "recurrent layers", n, 2 * sizeof *e->recurrent.source_of);
}

/* Lists the sources in block order, attention before a recurrent layer of the same block. */
static void list_sources(hw__llama_engine *e, const struct ggml_tensor *const *op) {
    int32_t n = 0;
    for (int32_t b = 0; b < e->info.n_blocks; b++) {
        if (e->layer_of[b] >= 0) {
            e->source_of[b] = n;
            e->sources[n++] = (hw_source){b, e->layer_of[b], HW_SOURCE_ATTENTION};
        }
        if (op[b]) e->sources[n++] = (hw_source){b, -1, hw__recurrent_kind(op[b])};
    }
    e->info.n_sources = n;
    for (size_t i = 0, k = 0; i < e->record.n && k < e->recurrent.n; i++) {
        const struct ggml_tensor *t = e->record.nodes[i];
        int block = block_at(e, t);
        if (!hw__is_recurrent_op(t)) continue;
        int32_t s = n;
        while (block >= 0 && op[block] == t && s > 0 &&
               !(e->sources[s - 1].block == block && e->sources[s - 1].layer < 0))
            s--;
        e->recurrent.source_of[k++] = block >= 0 && op[block] == t ? s - 1 : -1;
    }
}

/* `recurrent`: includes layers without attention. */
static hw_err find_sources(hw__llama_engine *e, bool recurrent, hw_error *err) {
    const struct ggml_tensor **op = hw__alloc((size_t)e->info.n_blocks, sizeof(struct ggml_tensor *));
    if (!op) return hw__fail_memory(err, "recurrent layers", (size_t)e->info.n_blocks, sizeof *op);
    find_layers(e);
    hw_err rc = recurrent ? find_recurrent(e, op, err) : HW_OK;
    if (rc == HW_OK) {
        list_sources(e, op);
        rc = hw__recurrent_new(e, err);
        if (rc == HW_OK) rc = hw__recurrent_find_fronts(e, err);
    }
    free(op);
    return rc;
}

/* Drops the analysis of the graph. */
static void forget_graph(hw__llama_engine *e) {
    hw__recurrent_free(e);
    hw__stream_map_free(e->map);
    e->map = NULL;
    memset(e->graphs, 0, 2 * (size_t)e->info.n_blocks * sizeof *e->graphs);
    e->info.n_sources = 0;
    e->n_taps = 0;
    e->values_problem[0] = e->readout_problem[0] = 0;
    e->readout = (hw__readout_graph){0};
}

/* Logits of which some are overwritten (Chameleon's image tokens): ggml ends the process if there are none. */
static bool overwrites_logits(const hw__record *record) {
    for (size_t i = 0; i < record->n; i++)
        if (record->nodes[i]->op == GGML_OP_SET && strcmp(record->nodes[i]->name, "result_output") == 0) return true;
    return false;
}

static hw_err read_graph(hw__llama_engine *e, const int32_t *ids, size_t n, bool recurrent, hw_error *err) {
    forget_graph(e);
    hw_err rc = hw__llama_record(e, ids, n, err);
    e->needs_logits = rc == HW_OK && overwrites_logits(&e->record);
    e->lookup_first = rc == HW_OK && e->record.n && hw__llama_is_lookup(e->record.nodes[0]);
    if (rc == HW_OK) rc = find_sources(e, recurrent, err);
    if (rc == HW_OK) rc = hw__find_unread(e, err);
    if (rc == HW_OK) rc = hw__graph_walk(e, err);
    hw__record_free(&e->record);
    return rc;
}

/* ------------------------------------------------------------------ the decode */

static hw_err decode_probe(hw__llama_engine *e, probe *p, const int32_t *ids, bool stream, hw_error *err) {
    size_t chunk = e->base.ops->chunk(&e->base);
    hw__sink sink = {.rows = probe_rows, .ctx = p};
    if (stream) {
        sink.stream = probe_stream;
        sink.final = probe_final;
        sink.origin = probe_origin;
        sink.mixing = probe_mixing;
        sink.values = true;
    }
    hw_err rc = e->base.ops->begin(&e->base, PROBE_TOKENS, e->params.stop, e->params.ctx, err);
    for (size_t at = 0, take; rc == HW_OK && at < PROBE_TOKENS; at += take) {
        size_t left = at < PROBE_FIRST ? PROBE_FIRST - at : PROBE_TOKENS - at;
        take = left < chunk ? left : chunk;
        bool ends = left == take; /* the last row of a part has logits */
        rc = e->base.ops->decode(&e->base, (hw__token_batch){ids + at, take, at, ends ? take - 1 : take}, &sink, err);
        if (rc == HW_OK && ends && stream && at < PROBE_FIRST) hw__proof_close(p->proof, e, false);
    }
    return rc;
}

/* A failure to provide other data does not prevent providing attention. */
static hw_err run_probe(hw__llama_engine *e, probe *p, const int32_t *ids, hw_error *err) {
    hw_error why = {0};
    hw_err rc = HW_ERR_UNSUPPORTED;
    e->proof = p->proof;
    if (e->n_taps && !e->values_problem[0]) {
        rc = decode_probe(e, p, ids, true, &why);
        if (rc == HW_ERR_UNSUPPORTED) snprintf(e->values_problem, sizeof e->values_problem, "%.250s", why.msg);
    }
    if (rc == HW_ERR_UNSUPPORTED) rc = decode_probe(e, p, ids, false, &why);
    if (rc == HW_OK) hw__proof_close(p->proof, e, true);
    if (rc != HW_OK && err) *err = why;
    e->proof = NULL;
    return rc;
}

/* Removes the taps of other contributions, which only the proof needs. */
static void drop_rest(hw__llama_engine *e) {
    size_t n = 0;
    for (size_t i = 0; i < e->n_taps; i++)
        if (e->taps[i].role != HW__TAP_REST) e->taps[n++] = e->taps[i];
    e->n_taps = n;
}

/* What the decodes of a probe showed. */
static hw__probe_findings findings_of(const hw__llama_engine *e, const probe *p) {
    int32_t first = e->info.n_layers ? e->source_of[e->layers[0]] : -1;
    const struct ggml_tensor *v = first >= 0 ? hw__llama_cached_values(e->graphs[first].values) : NULL;
    hw__probe_findings f = {.row_error = p->row_error,
                            .has_sinks = e->info.has_sinks,
                            /* libllama reports block 0's, which may have none */
                            .n_heads_kv = v && v->ne[2] > 0 ? (int32_t)v->ne[2] : e->info.n_heads_kv};
    hw__placement_text(f.device, sizeof f.device, &e->placement);
    return f;
}

static void fill_probed(hw__llama_engine *e, const hw__probe_findings *f) {
    e->info.row_error = f->row_error;
    e->info.has_sinks = f->has_sinks;
    e->info.n_heads_kv = f->n_heads_kv;
    e->info.host_rows = !e->placement.remote;
    e->base.values_shared = e->info.host_rows; /* reads from a device share one buffer */
    snprintf(e->device, sizeof e->device, "%s", f->device);
    e->base.n_mixing = e->map && !e->values_problem[0] ? hw__stream_map_width(e->map) : 0;
    e->base.n_factors = 0;
    for (int32_t s = 0; s < e->info.n_sources; s++)
        if (e->graphs[s].gated || e->graphs[s].normed_heads) e->base.n_factors += (size_t)e->graphs[s].wo_width;
    e->base.logit_cap = e->readout_problem[0] ? 0 : e->readout.cap;
    e->base.mask_first = e->readout.mask_first;
    e->base.n_masked = e->readout_problem[0] ? 0 : e->readout.n_masked;
    drop_rest(e);
}

/* ------------------------------------------------------------------ earlier findings */

/* Whether what was found of this model may be kept: one file, on this machine's processor. */
static bool is_kept(hw__probe_identity *out, const hw__llama_engine *e) {
    const hw_model_params *p = &e->params;
    char settings[64];
    bool elsewhere = p->rpc_servers || p->devices || p->n_gpu_layers || !hw__llama_only_cpu();
    if (!p->cache || p->n_loras || elsewhere) return false;
    if (e->recurrent.n) return false; /* the sizes of what their layers read, and their fronts, are seen in a decode */
    if (gguf_find_key(hw__gguf_metadata(e->file), "split.count") >= 0) return false;
    snprintf(settings, sizeof settings, "f32_cache=%d n_ubatch=%d", p->f32_cache, p->n_ubatch);
    return hw__probe_identify(out, p->cache, e->info.path, settings);
}

/* Whether nothing is missing, and no stream is mixed: what that takes is read from decodes. */
static bool is_clean(const hw__llama_engine *e) {
    return !e->problem[0] && !e->values_problem[0] && !e->readout_problem[0] && !e->recurrent_problem[0] &&
           !e->no_memory && !e->placement.remote && !e->map;
}

/* Why a model is opened without a probe, or NULL. */
static const char *skipped_reason(hw__llama_engine *e) {
    const char *reason = unprobed_reason(e);
    e->base.generates = !reason;
    if (reason) return reason;
    return e->purpose == HW__EXPLAINS ? NULL : "it was opened only to generate";
}

/* libllama would sample from memory that nothing wrote. */
static hw_err refuse_without_logits(hw__llama_engine *e) {
    e->base.generates = false;
    snprintf(e->problem, sizeof e->problem, "the graph of architecture %s computes no logits: it generates nothing",
             e->info.architecture);
    return HW_OK;
}

/* One probe of the model; missing data of recurrent layers are reported in recurrent_problem. */
static hw_err probe_once(hw__llama_engine *e, const int32_t *ids, bool recurrent, hw_error *err) {
    size_t chunk = e->base.ops->chunk(&e->base), n = e->mapped ? 1 : PROBE_TOKENS;
    hw_err rc = read_graph(e, ids, chunk < n ? chunk : n, recurrent, err);
    if (rc != HW_OK || (recurrent && e->recurrent_problem[0])) return rc;
    if (!e->readout.has_logits) return refuse_without_logits(e);
    hw_error why = {0};
    hw__probe_findings found;
    hw__probe_identity identity;
    bool kept = recurrent && is_kept(&identity, e);
    if (kept && is_clean(e) && hw__probe_cache_read(&found, &identity)) {
        fill_probed(e, &found);
        return HW_OK;
    }
    probe p = {.proof = hw__proof_new(e), .architecture = e->info.architecture};
    if (!p.proof) return hw__fail_memory(err, "the probe", (size_t)e->info.n_sources, 1);
    rc = run_probe(e, &p, ids, &why);
    if (rc == HW_ERR_UNSUPPORTED) {
        snprintf(e->problem, sizeof e->problem, "%.500s", why.msg);
        rc = HW_OK;
    } else if (rc != HW_OK) {
        if (err) *err = why;
    } else if (!recurrent || !e->recurrent_problem[0]) {
        found = findings_of(e, &p);
        fill_probed(e, &found);
        judge_probe(e, &p);
        if (kept && is_clean(e)) hw__probe_cache_write(&identity, &found);
    }
    hw__proof_free(p.proof);
    return rc;
}

/* With recurrent layers, and without them if some cannot be followed. `mapped`: the final stream may mix what blocks
 * add. */
static hw_err probe_model(hw__llama_engine *e, const int32_t *ids, bool mapped, hw_error *err) {
    e->mapped = mapped;
    e->recurrent_problem[0] = 0;
    hw_err rc = HW_OK;
    for (int recurrent = 1; rc == HW_OK && recurrent >= 0; recurrent--) {
        rc = e->base.ops->begin(&e->base, PROBE_TOKENS, e->params.stop, e->params.ctx, err);
        if (rc == HW_OK) rc = probe_once(e, ids, recurrent, err);
        if (!e->recurrent_problem[0]) break;
    }
    return rc;
}

/* A stream that is not a sum of contributions with fixed factors is followed by a map. If there is none the first
 * reason stays. */
static hw_err probe_mixed(hw__llama_engine *e, const int32_t *ids, hw_error *err) {
    char values[HW__LLAMA_TEXT], readout[HW__LLAMA_TEXT];
    memcpy(values, e->values_problem, sizeof values);
    memcpy(readout, e->readout_problem, sizeof readout);
    hw_err rc = probe_model(e, ids, true, err);
    if (rc == HW_OK && e->values_problem[0]) {
        memcpy(e->values_problem, values, sizeof values);
        memcpy(e->readout_problem, readout, sizeof readout);
    }
    return rc;
}

/* Blocks that read other tokens and are no source. */
static void report_unread(hw__llama_engine *e) {
    if (e->n_unread == 0) return;
    e->base.unread = e->unread;
    if (!e->recurrent_problem[0])
        snprintf(e->recurrent_problem, sizeof e->recurrent_problem,
                 "%d of %d blocks read other tokens by operations that no method follows", e->n_unread,
                 e->info.n_blocks);
}

hw_err hw__llama_probe(hw__llama_engine *e, hw_error *err) {
    hw_err rc = e->base.ops->begin(&e->base, PROBE_TOKENS, e->params.stop, e->params.ctx, err);
    if (rc != HW_OK) return rc;
    const char *reason = skipped_reason(e);
    if (reason) {
        snprintf(e->problem, sizeof e->problem, "%s", reason);
        return HW_OK;
    }
    int32_t ids[PROBE_TOKENS], bos = llama_vocab_bos(e->vocab);
    for (int i = 0; i < PROBE_TOKENS; i++) ids[i] = (i == 0 && bos >= 0) ? bos : (i + 1) % e->info.n_vocab;
    rc = probe_model(e, ids, false, err);
    if (rc == HW_OK && e->values_problem[0] && e->info.n_sources && !e->problem[0]) rc = probe_mixed(e, ids, err);
    report_unread(e);
    return rc == HW_OK && e->no_memory ? hw__fail_memory(err, "the probe", (size_t)e->info.n_embd, sizeof(double)) : rc;
}
