/*
 * engine_llama_watch.c - what a decode shows, out of the graph that computes it.
 *
 * Attention rows come from the graph's `kq_soft_max-<block>` nodes (F32, ne = [keys padded, queries, heads, 1]),
 * which exist only with flash attention disabled. Tensor names are no stable API and architectures differ, so the probe
 * looks at load which blocks show such a node.
 */
#include "engine_llama.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ rows during a decode */

/* The number behind `prefix` in a node's name, or -1. */
static int block_of(const char *name, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0) return -1;
    const char *digits = name + n;
    if (!isdigit((unsigned char)*digits)) return -1;
    char *end;
    long block = strtol(digits, &end, 10);
    return *end == 0 && block < INT32_MAX ? (int)block : -1;
}

static bool fail_decode(hw__llama_engine *e, hw_err code, const char *what, int block) {
    e->failed = hw__fail(&e->failure, code, "block %d of %s: %s", block, e->info.architecture, what);
    return false; /* ends the decode */
}

/* The tensor's floats: in place where the CPU can read them, else copied. NULL when there is no memory. */
static const float *rows_of(hw__llama_engine *e, const struct ggml_tensor *t) {
    if (ggml_backend_buffer_is_host(t->buffer)) return t->data;
    size_t floats = ggml_nbytes(t) / sizeof(float);
    if (floats > e->copy_floats) {
        float *grown = hw__realloc(e->copy, floats, sizeof *grown);
        if (!grown) return NULL;
        e->copy = grown;
        e->copy_floats = floats;
    }
    ggml_backend_tensor_get(t, e->copy, 0, floats * sizeof(float));
    return e->copy;
}

static bool show_heads(hw__llama_engine *e, const struct ggml_tensor *t, int block) {
    if (t->type != GGML_TYPE_F32 || t->nb[0] != sizeof(float))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "attention is not F32", block);
    if (t->ne[3] != 1 || (size_t)t->ne[1] != e->n_rows)
        return fail_decode(e, HW_ERR_UNSUPPORTED, "attention has not one row per token", block);
    const float *attn = rows_of(e, t);
    if (!attn) return fail_decode(e, HW_ERR_MEMORY, "no memory for rows from the device", block);
    if (e->probing) {
        snprintf(e->device, sizeof e->device, "%s", ggml_backend_buft_name(ggml_backend_buffer_get_type(t->buffer)));
        e->info.host_rows = ggml_backend_buffer_is_host(t->buffer);
        e->info.has_sinks = e->info.has_sinks || t->src[2] != NULL;
    }
    hw__heads heads = {
        .attn = attn,
        .n_heads = (size_t)t->ne[2],
        .n_rows = (size_t)t->ne[1],
        .n_keys = (size_t)t->ne[0],
        .head_stride = t->nb[2] / sizeof(float),
        .row_stride = t->nb[1] / sizeof(float),
        .q0 = e->at,
    };
    size_t layer = e->probing ? (size_t)block : (size_t)e->layer_of[block];
    e->failed = e->sink->rows(e->sink->ctx, layer, &heads, &e->failure);
    e->n_seen++;
    return e->failed == HW_OK;
}

/* ------------------------------------------------------------------ the stream during a decode
 * Names after attention differ by architecture, so the graph is followed instead: the product whose input is
 * `kqv_out-<block>` is the output projection; what consumes it in turn (bias, rows picked, post-norm, factor) leads to
 * the residual sum, the first addition of two computed tensors. */

static bool is_weight(const struct ggml_tensor *t) { return t->op == GGML_OP_NONE; }

static float float_param(const struct ggml_tensor *t) {
    float v;
    memcpy(&v, t->op_params, sizeof v);
    return v;
}

/* Takes one consumer of the tail into account; true when it is the residual sum. An operation that is not linear or not
 * known ends the search, and the block stays incomplete. */
static bool follow(hw__tracker *k, hw__layer_graph *g, const struct ggml_tensor *t) {
    const struct ggml_tensor *other = t->src[0] == k->tail ? t->src[1] : t->src[0];
    bool after_norm = k->after_norm;
    k->after_norm = false;
    switch (t->op) {
    case GGML_OP_GET_ROWS:
    case GGML_OP_RESHAPE:
    case GGML_OP_VIEW:
    case GGML_OP_CONT: break;
    case GGML_OP_SCALE: g->scale *= float_param(t); break;
    case GGML_OP_RMS_NORM:
        g->eps = float_param(t);
        k->after_norm = true;
        break;
    case GGML_OP_MUL:
        if (!after_norm || !other || !is_weight(other)) return k->tail = NULL, false;
        snprintf(g->gain, sizeof g->gain, "%s", other->name);
        break;
    case GGML_OP_ADD:
        if (other && is_weight(other)) break; /* a bias */
        k->attention = k->tail;
        k->other = other;
        k->sum = t;
        k->tail = NULL;
        return true;
    default: k->tail = NULL; return false;
    }
    k->tail = t;
    return false;
}

/* Asked for every node in graph order: which of them the stream needs. */
static bool wants_stream(hw__llama_engine *e, const struct ggml_tensor *t) {
    hw__tracker *k = &e->track;
    int block = t->op == GGML_OP_MUL_MAT ? block_of(t->name, "kqv-") : -1;
    if (block >= 0 && block < e->info.n_blocks) e->graphs[block].values = t->src[0];
    block = t->op == GGML_OP_MUL_MAT ? block_of(t->src[1]->name, "kqv_out-") : -1;
    if (block >= 0 && block < e->info.n_blocks) {
        *k = (hw__tracker){.tail = t,
                           .mixed = t,
                           .block = block,
                           .mixed_rows = k->mixed_rows,
                           .before = k->before,
                           .added = k->added,
                           .final_rows = k->final_rows};
        hw__layer_graph *g = &e->graphs[block];
        bool wanted =
            e->probing || g->gain[0]; /* only a post-norm needs it; each node that is wanted stops the graph */
        *g = (hw__layer_graph){.scale = 1, .values = g->values};
        snprintf(g->wo, sizeof g->wo, "%s", t->src[0]->name);
        return wanted;
    }
    if (k->tail && (t->src[0] == k->tail || t->src[1] == k->tail)) return follow(k, &e->graphs[k->block], t);
    return block_of(t->name, "l_out-") == e->info.n_blocks - 1;
}

/* Copies the first `n` rows of a [D, rows] F32 tensor. */
static bool copy_rows(hw__llama_engine *e, float *to, const struct ggml_tensor *t) {
    if (t->type != GGML_TYPE_F32 || !ggml_is_contiguous(t) || t->ne[0] != e->info.n_embd ||
        (size_t)t->ne[1] > e->n_rows)
        return false;
    const float *rows = rows_of(e, t);
    if (rows) memcpy(to, rows, ggml_nbytes(t));
    return rows != NULL;
}

/* The residual sum has been computed, perhaps in place of one of its operands: the other one is read, this one follows. */
static bool show_stream(hw__llama_engine *e, const struct ggml_tensor *t) {
    hw__tracker *k = &e->track;
    size_t n = (size_t)t->ne[1], cells = n * (size_t)e->info.n_embd, skipped = e->n_rows - n;
    bool attention_kept = k->attention->data != t->data;
    float *kept = attention_kept ? k->added : k->before, *derived = attention_kept ? k->before : k->added;
    if (n > e->n_rows || (n != e->n_rows && skipped != e->first_logit))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the stream has other rows", k->block);
    if (!copy_rows(e, kept, attention_kept ? k->attention : k->other) || !copy_rows(e, derived, t))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the stream is not F32 [D, tokens]", k->block);
    for (size_t i = 0; i < cells; i++) derived[i] -= kept[i];
    e->graphs[k->block].complete = true;
    if (e->probing) return true;
    hw__stream stream = {.before = k->before,
                         .added = k->added,
                         .mixed = k->mixed_rows + skipped * (size_t)e->info.n_embd,
                         .n_rows = n,
                         .q0 = e->at + skipped};
    e->failed = e->sink->stream(e->sink->ctx, (size_t)e->layer_of[k->block], &stream, &e->failure);
    return e->failed == HW_OK;
}

static bool show_final(hw__llama_engine *e, const struct ggml_tensor *t) {
    size_t n = (size_t)t->ne[1];
    if (n > e->n_rows || !copy_rows(e, e->track.final_rows, t))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the final stream is not F32", e->info.n_blocks - 1);
    e->readout.final_seen = true;
    if (e->probing || n == 0) return true;
    e->failed = e->sink->final(e->sink->ctx, e->track.final_rows, n, e->at + e->n_rows - n, &e->failure);
    return e->failed == HW_OK;
}

static bool show_stream_node(hw__llama_engine *e, const struct ggml_tensor *t) {
    if (t == e->track.mixed) {
        if (copy_rows(e, e->track.mixed_rows, t)) return true;
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the output projection is not F32 [D, tokens]", e->track.block);
    }
    return t == e->track.sum ? show_stream(e, t) : show_final(e, t);
}

/* The way to the logits, found when their product comes by: weight x (norm(stream) * gain). */
static void find_readout(hw__llama_engine *e, const struct ggml_tensor *t) {
    hw__readout_graph *r = &e->readout;
    if (strcmp(t->name, "result_norm") == 0 && t->op == GGML_OP_MUL && t->src[0]->op == GGML_OP_RMS_NORM) {
        r->eps = float_param(t->src[0]);
        snprintf(r->norm, sizeof r->norm, "%s", t->src[1]->name);
    } else if (t->op == GGML_OP_MUL_MAT && strcmp(t->src[1]->name, "result_norm") == 0) {
        snprintf(r->weight, sizeof r->weight, "%s", t->src[0]->name);
        r->complete = r->norm[0] != 0;
    }
}

/* Called by ggml for every node, first to ask whether it is wanted, then with its data. */
bool hw__llama_on_node(struct ggml_tensor *t, bool ask, void *user) {
    hw__llama_engine *e = user;
    bool streams = e->probing || (e->sink && e->sink->stream);
    int block = t->op == GGML_OP_SOFT_MAX ? block_of(t->name, "kq_soft_max-") : -1;
    bool heads = block >= 0 && block < e->info.n_blocks && (e->probing || (e->sink && e->layer_of[block] >= 0));
    if (!ask) return heads ? show_heads(e, t, block) : show_stream_node(e, t);
    if (e->probing) find_readout(e, t);
    return heads || (streams && wants_stream(e, t));
}

/* ------------------------------------------------------------------ room */

hw_err hw__llama_watch_new(hw__llama_engine *e, size_t n_blocks, hw_error *err) {
    size_t rows = (size_t)e->params.n_ubatch, row_bytes = (size_t)e->info.n_embd * sizeof(float);
    e->graphs = hw__alloc(n_blocks, sizeof *e->graphs);
    float **buffers[] = {&e->track.mixed_rows, &e->track.before, &e->track.added, &e->track.final_rows};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (!(*buffers[i] = hw__alloc(rows, row_bytes)))
            return hw__fail_memory(err, "rows of the stream", rows, row_bytes);
    return e->graphs ? HW_OK : hw__fail_memory(err, "the layer list", n_blocks, sizeof *e->graphs);
}

void hw__llama_watch_free(hw__llama_engine *e) {
    free(e->copy);
    free(e->graphs);
    free(e->track.mixed_rows);
    free(e->track.before);
    free(e->track.added);
    free(e->track.final_rows);
}
