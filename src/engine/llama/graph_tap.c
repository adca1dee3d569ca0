/*
 * graph_tap.c - what a decode shows, out of the graph that computes it.
 *
 * Attention rows are the `kq_soft_max-<block>` nodes (F32, ne = [keys padded, queries, heads, 1]), which exist only with
 * flash attention disabled. Names after attention differ by architecture, so the graph is followed instead: the product
 * whose input is `kqv_out-<block>` is the output projection; what consumes it in turn (bias, rows picked, post-norm,
 * factor) leads to the residual sum, the first addition of two computed tensors.
 *
 * ggml asks of every node before it computes it. One that is wanted stops the graph, is shown, and its memory is used
 * again by later nodes. A stop costs ten to twenty microseconds, which is nothing in a chunk of the prompt and a tenth of
 * a decode of one token. So where all that one decode shows is small, nothing stops: the nodes are made to write into an
 * arena of ours (ggml reads a node where its `data` points), where they are found when the decode is done.
 */
#include "engine/llama/llama_engine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The arena: room for a token of a large model at 4,000 tokens of context, or 64 of a small one at a hundred. It is
 * touched, and becomes real memory, only as far as a decode needs. */
enum { ARENA_BYTES = 32 << 20, ALIGNMENT = 64, KEY_PADDING = 256 };

/* ------------------------------------------------------------------ nodes that are kept */

static size_t rounded(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Bytes that keeping all nodes of a decode of rows at.. takes, as far as the probe tells. */
static size_t kept_bytes(const hw__llama_engine *e, size_t at, size_t n_rows) {
    size_t n_keys = rounded(at + n_rows, KEY_PADDING), row = n_rows * sizeof(float), bytes = 0;
    if (n_rows > ARENA_BYTES / sizeof(float) || n_keys > ARENA_BYTES) return SIZE_MAX;
    bytes += (size_t)e->info.n_layers * rounded((size_t)e->info.n_heads * n_keys * row, ALIGNMENT);
    bytes += (3 * (size_t)e->info.n_blocks + 1) * rounded((size_t)e->info.n_embd * row, ALIGNMENT);
    return bytes;
}

/* Most of what the passes over rows begin..end-1 keep; those that would not fit keep nothing. */
static size_t most_kept(const hw__llama_engine *e, size_t begin, size_t end, size_t chunk) {
    size_t most = 0;
    for (size_t at = begin; at < end; at += chunk) {
        size_t bytes = kept_bytes(e, at, end - at < chunk ? end - at : chunk);
        if (bytes <= ARENA_BYTES && bytes > most) most = bytes;
    }
    return most;
}

size_t hw__llama_watch_bytes(const hw__llama_engine *e, const hw__extent *n) {
    size_t chunk = (size_t)e->params.n_ubatch, given = n->prompt + n->given;
    size_t passes[] = {most_kept(e, n->kept, n->prompt, chunk), most_kept(e, n->prompt, given, chunk),
                       given < n->all ? most_kept(e, n->all - 1, n->all, 1) : 0};
    size_t most = passes[0] > passes[1] ? passes[0] : passes[1];
    return most > passes[2] ? most : passes[2];
}

void hw__llama_watch_begin(hw__llama_engine *e) {
    e->arena.used = 0;
    e->arena.open = e->sink && !e->probing && kept_bytes(e, e->at, e->n_rows) <= e->arena.bytes;
    hw__fetch_begin(e->fetch);
    e->final = NULL;
    e->track.tail = NULL;
    memset(e->nodes, 0, (size_t)e->info.n_blocks * sizeof *e->nodes);
}

/* Makes a node that is not computed yet write into the arena, or into memory of ours on its device. */
static bool keep(hw__llama_engine *e, struct ggml_tensor *t) {
    size_t bytes = rounded(ggml_nbytes(t), ALIGNMENT);
    if (!e->arena.open) return false;
    if (!ggml_backend_buffer_is_host(t->buffer)) return hw__fetch_keep(e->fetch, t);
    if (t->view_src || bytes > e->arena.bytes - e->arena.used) return false;
    t->data = e->arena.base + e->arena.used;
    e->arena.used += bytes;
    return true;
}

/* A view goes where what it is a view of went. */
static void move_view(const hw__llama_engine *e, struct ggml_tensor *t) {
    const unsigned char *of = t->view_src ? t->view_src->data : NULL;
    if (of && of >= e->arena.base && of < e->arena.base + e->arena.bytes)
        t->data = (char *)t->view_src->data + t->view_offs;
    hw__fetch_move_view(e->fetch, t);
}

/* ------------------------------------------------------------------ attention rows */

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
    return ggml_backend_buffer_is_host(t->buffer) ? t->data : hw__fetch_all(e->fetch, t);
}

/* Rows in place. */
static hw__heads host_rows(const struct ggml_tensor *t) {
    return (hw__heads){.attn = t->data,
                       .n_heads = (size_t)t->ne[2],
                       .n_rows = (size_t)t->ne[1],
                       .n_keys = (size_t)t->ne[0],
                       .head_stride = t->nb[2] / sizeof(float),
                       .row_stride = t->nb[1] / sizeof(float)};
}

/* Shows rows first..first+count-1 of what one decode computed; those on a device as means over heads where that is enough. */
static bool show_rows(hw__llama_engine *e, const struct ggml_tensor *t, int block, size_t first, size_t count,
                      bool mean) {
    if (count == 0) return true;
    hw__heads heads = {.n_heads = 0};
    if (ggml_backend_buffer_is_host(t->buffer)) {
        heads = host_rows(t);
    } else if ((e->failed = hw__fetch_rows(e->fetch, &heads, t, first, count, mean, &e->failure)) != HW_OK) {
        return false;
    }
    heads.q0 = e->at + first;
    size_t layer = e->probing ? (size_t)block : (size_t)e->layer_of[block];
    e->failed = e->sink->rows(e->sink->ctx, layer, &heads, &e->failure);
    return e->failed == HW_OK;
}

/* Where the rows of a block live, noted by the probe's first decode. */
static void note_rows(hw__llama_engine *e, const struct ggml_tensor *t) {
    if (e->at == 0) hw__placement_note(&e->placement, t->buffer);
    e->info.has_sinks = e->info.has_sinks || t->src[2] != NULL;
}

static bool show_heads(hw__llama_engine *e, const struct ggml_tensor *t, int block) {
    if (t->type != GGML_TYPE_F32 || t->nb[0] != sizeof(float))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "attention is not F32", block);
    if (t->ne[3] != 1 || (size_t)t->ne[1] != e->n_rows)
        return fail_decode(e, HW_ERR_UNSUPPORTED, "attention has not one row per token", block);
    if (e->probing) note_rows(e, t);
    bool host = ggml_backend_buffer_is_host(t->buffer);
    size_t means = host || e->sink->heads_from <= e->at ? 0 : e->sink->heads_from - e->at;
    if (means > e->n_rows) means = e->n_rows;
    e->n_seen++;
    return show_rows(e, t, block, 0, means, true) && show_rows(e, t, block, means, e->n_rows - means, false);
}

/* Whether the decode in progress has rows that the sink wants. */
static bool wants_rows(const hw__llama_engine *e) { return e->at + e->n_rows > e->sink->rows_from; }

/* ------------------------------------------------------------------ following a block to its residual sum */

/* Not so what was computed on another device and copied here, which has no operation either. */
static bool is_weight(const struct ggml_tensor *t) {
    return t->op == GGML_OP_NONE && t->buffer &&
           ggml_backend_buffer_get_usage(t->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

static float float_param(const struct ggml_tensor *t) {
    float v;
    memcpy(&v, t->op_params, sizeof v);
    return v;
}

/* Takes one consumer of the tail into account; true when it is the residual sum. An operation that is not linear or not
 * known ends the search, and the block stays incomplete. */
static bool follow(hw__tracker *k, hw__block_nodes *nodes, hw__layer_graph *g, struct ggml_tensor *t) {
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
        nodes->attention = k->tail;
        nodes->other = other;
        nodes->sum = t;
        return true;
    default: k->tail = NULL; return false;
    }
    k->tail = t;
    return false;
}

/* The output projection of a block; true if the graph is to stop there. Only a post-norm needs its rows. */
static bool begin_block(hw__llama_engine *e, struct ggml_tensor *t, int block) {
    hw__layer_graph *g = &e->graphs[block];
    bool needed = e->probing || g->gain[0];
    e->track = (hw__tracker){.tail = t, .block = block};
    e->nodes[block].mixed = t;
    *g = (hw__layer_graph){.scale = 1, .values = g->values};
    snprintf(g->wo, sizeof g->wo, "%s", t->src[0]->name);
    e->nodes[block].kept = !needed || keep(e, t);
    return !e->nodes[block].kept;
}

/* Neither the tail nor the sum is computed yet when ggml asks for the sum, unless the graph stopped in between. */
static bool end_block(hw__llama_engine *e, struct ggml_tensor *sum) {
    hw__block_nodes *nodes = &e->nodes[e->track.block];
    struct ggml_tensor *attention = e->track.tail;
    e->track.tail = NULL;
    nodes->kept = nodes->kept && keep(e, attention) && keep(e, sum);
    return !nodes->kept;
}

/* Asked for every node in graph order: is it one that the stream needs, and must the graph stop there? */
static bool wants_stream(hw__llama_engine *e, struct ggml_tensor *t) {
    hw__tracker *k = &e->track;
    int block = t->op == GGML_OP_MUL_MAT ? block_of(t->name, "kqv-") : -1;
    if (block >= 0 && block < e->info.n_blocks) e->graphs[block].values = t->src[0];
    if (!e->probing && e->at + e->n_rows <= e->sink->stream_from) return false;
    block = t->op == GGML_OP_MUL_MAT ? block_of(t->src[1]->name, "kqv_out-") : -1;
    if (block >= 0 && block < e->info.n_blocks) return begin_block(e, t, block);
    if (k->tail && (t->src[0] == k->tail || t->src[1] == k->tail))
        return follow(k, &e->nodes[k->block], &e->graphs[k->block], t) && end_block(e, t);
    if (block_of(t->name, "l_out-") != e->info.n_blocks - 1) return false;
    if (!keep(e, t)) return true;
    e->final = t;
    return false;
}

/* ------------------------------------------------------------------ the stream */

/* Copies the first `n` rows of a [D, rows] F32 tensor. */
static bool copy_rows(hw__llama_engine *e, float *to, const struct ggml_tensor *t) {
    if (t->type != GGML_TYPE_F32 || !ggml_is_contiguous(t) || t->ne[0] != e->info.n_embd ||
        (size_t)t->ne[1] > e->n_rows)
        return false;
    const float *rows = rows_of(e, t);
    if (rows) memcpy(to, rows, ggml_nbytes(t));
    return rows != NULL;
}

static bool show_mixed(hw__llama_engine *e, int block) {
    if (copy_rows(e, e->room.mixed, e->nodes[block].mixed)) return true;
    return fail_decode(e, HW_ERR_UNSUPPORTED, "the output projection is not F32 [D, tokens]", block);
}

/* The residual sum has been computed, perhaps in place of one of its operands: the other one is read, this one follows. */
static bool show_stream(hw__llama_engine *e, int block) {
    const hw__block_nodes *b = &e->nodes[block];
    hw__stream_room *r = &e->room;
    size_t n = (size_t)b->sum->ne[1], cells = n * (size_t)e->info.n_embd, skipped = e->n_rows - n;
    bool has_attention = b->attention->data != b->sum->data;
    float *read = has_attention ? r->added : r->before, *derived = has_attention ? r->before : r->added;
    if (n > e->n_rows || (n != e->n_rows && skipped != e->first_logit))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the stream has other rows", block);
    if (!copy_rows(e, read, has_attention ? b->attention : b->other) || !copy_rows(e, derived, b->sum))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the stream is not F32 [D, tokens]", block);
    for (size_t i = 0; i < cells; i++) derived[i] -= read[i];
    e->graphs[block].complete = true;
    if (e->probing) return true;
    hw__stream stream = {.before = r->before,
                         .added = r->added,
                         .mixed = e->graphs[block].gain[0] ? r->mixed + skipped * (size_t)e->info.n_embd : NULL,
                         .n_rows = n,
                         .q0 = e->at + skipped};
    e->failed = e->sink->stream(e->sink->ctx, (size_t)e->layer_of[block], &stream, &e->failure);
    return e->failed == HW_OK;
}

static bool show_final(hw__llama_engine *e, const struct ggml_tensor *t) {
    size_t n = (size_t)t->ne[1];
    if (n > e->n_rows || !copy_rows(e, e->room.final, t))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the final stream is not F32", e->info.n_blocks - 1);
    e->readout.final_seen = true;
    if (e->probing || n == 0) return true;
    e->failed = e->sink->final(e->sink->ctx, e->room.final, n, e->at + e->n_rows - n, &e->failure);
    return e->failed == HW_OK;
}

/* A node that the graph stopped at has been computed: those of the stream are the block's that is followed, or the last. */
static bool show_stream_node(hw__llama_engine *e, const struct ggml_tensor *t) {
    int block = e->track.block;
    if (t == e->nodes[block].mixed) return show_mixed(e, block);
    return t == e->nodes[block].sum ? show_stream(e, block) : show_final(e, t);
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

/* ------------------------------------------------------------------ during and after a decode */

/* Called by ggml for every node, first to ask whether to stop there, then with its data where it stopped. */
bool hw__llama_on_node(struct ggml_tensor *t, bool ask, void *user) {
    hw__llama_engine *e = user;
    if (!e->sink) return false;
    int block = t->op == GGML_OP_SOFT_MAX ? block_of(t->name, "kq_soft_max-") : -1;
    bool heads = block >= 0 && block < e->info.n_blocks && (e->probing || (e->layer_of[block] >= 0 && wants_rows(e)));
    if (!ask) return heads ? show_heads(e, t, block) : show_stream_node(e, t);
    move_view(e, t);
    if (e->probing) find_readout(e, t);
    if (heads && keep(e, t)) {
        e->nodes[block].heads = t;
        return false;
    }
    return heads || ((e->probing || e->sink->stream) && wants_stream(e, t));
}

hw_err hw__llama_watch_end(hw__llama_engine *e, hw_error *err) {
    bool ok = true;
    for (int32_t b = 0; e->sink && ok && b < e->info.n_blocks; b++) {
        const hw__block_nodes *nodes = &e->nodes[b];
        if (nodes->heads) ok = show_heads(e, nodes->heads, b);
        if (ok && nodes->kept && e->graphs[b].gain[0]) ok = show_mixed(e, b);
        if (ok && nodes->kept) ok = show_stream(e, b);
    }
    if (ok && e->final) ok = show_final(e, e->final);
    if (!ok) {
        if (err) *err = e->failure;
        return e->failed;
    }
    if (e->sink && !e->probing && wants_rows(e) && e->n_seen != (size_t)e->info.n_layers)
        return hw__fail(err, HW_ERR_ENGINE, "%zu of %d attention layers showed their rows", e->n_seen,
                        e->info.n_layers);
    return HW_OK;
}

/* ------------------------------------------------------------------ room */

hw_err hw__llama_watch_new(hw__llama_engine *e, size_t n_blocks, hw_error *err) {
    size_t rows = (size_t)e->params.n_ubatch, row_bytes = (size_t)e->info.n_embd * sizeof(float);
    e->graphs = hw__alloc(n_blocks, sizeof *e->graphs);
    e->nodes = hw__alloc(n_blocks, sizeof *e->nodes);
    e->arena.base = aligned_alloc(ALIGNMENT, ARENA_BYTES);
    if (!e->graphs || !e->nodes || !e->arena.base)
        return hw__fail_memory(err, "what a decode shows", n_blocks, sizeof *e->nodes + sizeof *e->graphs);
    e->arena.bytes = ARENA_BYTES;
    float **buffers[] = {&e->room.mixed, &e->room.before, &e->room.added, &e->room.final};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (!(*buffers[i] = hw__alloc(rows, row_bytes)))
            return hw__fail_memory(err, "rows of the stream", rows, row_bytes);
    return HW_OK;
}

void hw__llama_watch_free(hw__llama_engine *e) {
    free(e->graphs);
    free(e->nodes);
    free(e->arena.base);
    free(e->room.mixed);
    free(e->room.before);
    free(e->room.added);
    free(e->room.final);
}
