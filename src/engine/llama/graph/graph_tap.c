/*
 * graph_tap.c - reads the tapped nodes of a decode from the graph that computes it.
 *
 * Attention rows are the `kq_soft_max-<block>` nodes (F32, ne = [keys padded, queries, heads, 1]), which exist only
 * with flash attention disabled. The stream around them is in the nodes that graph_walk.c found at load: taps. In each
 * decode a tap is found again by the name of a nearby node and its distance from it, because the node numbers of two
 * decodes differ.
 *
 * ggml calls back for every node before computing it. If the callback requests the node, the graph stops after it, and
 * its memory is reused by later nodes. A stop costs ten to twenty microseconds, which is negligible in a chunk of the
 * prompt but a tenth of a decode of one token. So if the tapped data of a decode are small, nothing stops: the nodes
 * are redirected into our own arena (ggml uses a node's `data` pointer), and read when the decode is done.
 */
#include "engine/llama/graph/graph_walk.h"
#include "engine/llama/graph/proof.h"
#include "engine/llama/graph/stream_map.h"
#include "math/short_convolution.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The arena: space for one token of a large model at 4,000 tokens of context, or 64 of a small one at a hundred. Its
 * pages are used only as far as a decode needs them. */
enum { ARENA_BYTES = 32 << 20, ALIGNMENT = 256, KEY_PADDING = 256 };

/* ------------------------------------------------------------------ nodes that are kept */

static size_t rounded(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Layout of the nodes in the arena: the heads of each layer, then the taps that every decode reads, then those of the
 * proof. A node's place depends only on its number and the decode's shape. libllama reuses the graph of one decode for
 * the next of the same shape, and nodes redirected in an earlier decode still write to their old place, so it must
 * never be the place of another node. */
static size_t heads_bytes(const hw__llama_engine *e, size_t at, size_t n_rows) {
    size_t n_keys = rounded(at + n_rows, KEY_PADDING);
    return rounded((size_t)e->info.n_heads * n_keys * n_rows * sizeof(float), ALIGNMENT);
}

static size_t tap_bytes(const hw__tap *tap, size_t n_rows) {
    return rounded((size_t)tap->width * n_rows * sizeof(float), ALIGNMENT);
}

/* Bytes needed for all nodes of a decode of rows at.., as far as the probe found them. */
static size_t kept_bytes(const hw__llama_engine *e, size_t at, size_t n_rows) {
    if (n_rows > ARENA_BYTES / sizeof(float) || rounded(at + n_rows, KEY_PADDING) > ARENA_BYTES) return SIZE_MAX;
    size_t bytes = (size_t)e->info.n_layers * heads_bytes(e, at, n_rows);
    for (size_t i = 0; i < e->n_taps; i++) bytes += tap_bytes(&e->taps[i], n_rows);
    return bytes;
}

static void place_taps(hw__llama_engine *e) {
    size_t place = (size_t)e->info.n_layers * heads_bytes(e, e->at, e->n_rows);
    for (int of_proof = 0; of_proof < 2; of_proof++) {
        for (size_t i = 0; i < e->n_taps; i++) {
            if ((e->taps[i].role == HW__TAP_REST) != of_proof) continue;
            e->taps[i].place = place;
            place += tap_bytes(&e->taps[i], e->n_rows);
        }
    }
}

/* Maximum arena bytes of the passes over rows begin..end-1; passes that do not fit use none. */
static size_t max_kept(const hw__llama_engine *e, size_t begin, size_t end, size_t chunk) {
    size_t max = 0;
    for (size_t at = begin; at < end; at += chunk) {
        size_t bytes = kept_bytes(e, at, end - at < chunk ? end - at : chunk);
        if (bytes <= ARENA_BYTES && bytes > max) max = bytes;
    }
    return max;
}

size_t hw__llama_taps_bytes(const hw__llama_engine *e, const hw__extent *n) {
    size_t chunk = (size_t)e->params.n_ubatch, given = n->prompt + n->given;
    size_t passes[] = {max_kept(e, n->kept, n->prompt, chunk), max_kept(e, n->prompt, given, chunk),
                       given < n->all ? max_kept(e, n->all - 1, n->all, 1) : 0};
    size_t max = passes[0] > passes[1] ? passes[0] : passes[1];
    return (max > passes[2] ? max : passes[2]) + e->recurrent.moved; /* as the last decode, or the probe, left it */
}

void hw__llama_taps_begin(hw__llama_engine *e) {
    size_t n_keys = rounded(e->at + e->n_rows, KEY_PADDING);
    if (e->n_rows != 1 || n_keys != e->recurrent.n_keys) e->recurrent.moved = 0; /* the graph is built anew */
    e->recurrent.n_keys = n_keys;
    e->arena.open = e->sink && kept_bytes(e, e->at, e->n_rows) <= e->arena.bytes - e->recurrent.moved;
    if (e->arena.open) place_taps(e);
    for (size_t i = 0; i < e->n_taps; i++) e->taps[i].node = NULL;
    e->next_tap = e->n_callbacks = 0;
    e->anchor_at = SIZE_MAX;
    e->stopped_source = -1;
    e->recurrent_stop = e->map_stop = false;
    if (e->map) hw__stream_map_begin(e->map);
    hw__recurrent_begin(e);
    memset(e->heads, 0, (size_t)e->info.n_blocks * sizeof *e->heads);
}

/* Redirects a node that is not computed yet to its place in the arena, or in our memory on its device. */
static bool keep(hw__llama_engine *e, struct ggml_tensor *t, size_t place, size_t capacity) {
    if (!e->arena.open) return false;
    if (!ggml_backend_buffer_is_host(t->buffer)) return hw__device_read_keep(e->device_read, t, place, capacity);
    if (t->view_src || ggml_nbytes(t) > capacity) return false;
    t->data = e->arena.base + place;
    return true;
}

/* Moves a view to the new memory of its source. */
static void move_view(const hw__llama_engine *e, struct ggml_tensor *t) {
    const unsigned char *of = t->view_src ? t->view_src->data : NULL;
    if (of && of >= e->arena.base && of < e->arena.base + e->arena.bytes)
        t->data = (char *)t->view_src->data + t->view_offs;
    hw__device_read_move_view(e->device_read, t);
}

/* ------------------------------------------------------------------ attention rows */

static bool fail_decode(hw__llama_engine *e, hw_err code, const char *what, int block) {
    e->failed = hw__fail(&e->failure, code, "block %d of %s: %s", block, e->info.architecture, what);
    return false; /* ends the decode */
}

/* Rows that are in host memory. */
static hw__heads host_rows(const struct ggml_tensor *t) {
    return (hw__heads){.attn = t->data,
                       .n_heads = (size_t)t->ne[2],
                       .n_rows = (size_t)t->ne[1],
                       .n_keys = (size_t)t->ne[0],
                       .head_stride = t->nb[2] / sizeof(float),
                       .row_stride = t->nb[1] / sizeof(float)};
}

/* Passes rows first..first+count-1 of one decode to the sink; rows on a device as means over heads if that is
 * sufficient. */
static bool show_rows(hw__llama_engine *e, const struct ggml_tensor *t, int block, size_t first, size_t count,
                      bool mean) {
    if (count == 0) return true;
    hw__heads heads = {.n_heads = 0};
    if (ggml_backend_buffer_is_host(t->buffer)) {
        heads = host_rows(t);
    } else if ((e->failed = hw__device_read_rows(e->device_read, &heads, t, (hw__row_range){first, count}, mean,
                                                 &e->failure)) != HW_OK) {
        return false;
    }
    heads.q0 = e->at + first;
    e->failed = e->sink->rows(e->sink->ctx, (size_t)e->layer_of[block], &heads, &e->failure);
    return e->failed == HW_OK;
}

static bool show_heads(hw__llama_engine *e, const struct ggml_tensor *t, int block) {
    if (t->type != GGML_TYPE_F32 || t->nb[0] != sizeof(float))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "attention is not F32", block);
    if (t->ne[3] != 1 || (size_t)t->ne[1] != e->n_rows)
        return fail_decode(e, HW_ERR_UNSUPPORTED, "attention has not one row per token", block);
    if (e->proof && e->at == 0) hw__placement_note(&e->placement, t->buffer);
    if (e->proof) e->info.has_sinks = e->info.has_sinks || t->src[2] != NULL;
    bool host = ggml_backend_buffer_is_host(t->buffer);
    size_t means = host || e->sink->heads_from <= e->at ? 0 : e->sink->heads_from - e->at;
    if (means > e->n_rows) means = e->n_rows;
    e->n_seen++;
    return show_rows(e, t, block, 0, means, true) && show_rows(e, t, block, means, e->n_rows - means, false);
}

/* Whether the decode in progress has rows that the sink needs. */
static bool wants_rows(const hw__llama_engine *e) { return e->at + e->n_rows > e->sink->rows_from; }

/* ------------------------------------------------------------------ rows of taps */

static bool refuse_rows(hw__llama_engine *e, const hw__tap *tap) {
    e->failed = hw__fail(&e->failure, HW_ERR_UNSUPPORTED, "node %s of %s is not F32 [%zu tokens or fewer, %d] any more",
                         tap->anchor, e->info.architecture, e->n_rows, (int)tap->width);
    return false;
}

/* Copies a tap's rows to those of its role; the last block has none if no logits are kept. */
static bool read_tap(hw__llama_engine *e, const hw__tap *tap) {
    const struct ggml_tensor *t = tap->node;
    size_t floats = (size_t)ggml_nelements(t), n = tap->width > 0 ? floats / (size_t)tap->width : 0;
    if (t->type != GGML_TYPE_F32 || !ggml_is_contiguous(t) || tap->width < 1 || n * (size_t)tap->width != floats ||
        n > e->n_rows)
        return refuse_rows(e, tap);
    float **rows = &e->tapped.rows[tap->role];
    float *to = hw__reserve_floats(rows, &e->tapped.capacity[tap->role], e->n_rows * (size_t)tap->width) ? *rows : NULL;
    const float *from = to && n ? hw__device_read_bytes(e->device_read, t) : to;
    if (!from) {
        e->failed = hw__fail_memory(&e->failure, "rows of the stream", e->n_rows, (size_t)tap->width * sizeof *to);
        return false;
    }
    if (n) memcpy(to, from, floats * sizeof *to);
    e->tapped.n[tap->role] = n;
    return true;
}

/* to [width] *= 1 / rms of each group of channels that a norm of heads uses. */
static void multiply_sub_scales(float *to, const hw__layer_graph *g, const float *row, size_t width) {
    size_t n = (size_t)g->n_sub;
    for (size_t first = 0; first < width; first += n) {
        double sum = 0;
        for (size_t i = first; i < first + n; i++) sum += (double)row[i] * row[i];
        double scale = 1 / sqrt(sum / (double)n + g->sub_eps);
        for (size_t i = first; i < first + n; i++) to[i] = (float)(to[i] * scale);
    }
}

/* to [width] <- the factors that a gate [gate_width] gives: heads, or channels of all heads, may share one. */
static void spread_gate(float *to, const hw__layer_graph *g, const float *gate, size_t width) {
    bool each = (size_t)g->gate_width == width;
    for (size_t c = 0; c < width; c++) to[c] = each ? gate[c] : gate[c * g->gate_width / width];
    if (g->gate_is_silu) hw__silu_all(to, width);
}

/* [n_rows, width] factors of the heads' outputs: the gate, which heads may share, and 1/rms of a norm. `gate_step`:
 * floats from row to row of the buffer that holds the gate. */
static const float *read_factor(hw__llama_engine *e, const hw__layer_graph *g, size_t gate_step, const float *output) {
    size_t width = (size_t)g->wo_width, n = g->gated ? e->tapped.n[HW__TAP_GATE]
                                            : output ? e->n_rows
                                                     : e->tapped.n[HW__TAP_SUB];
    const float *subs = output ? output : e->tapped.rows[HW__TAP_SUB];
    bool fits = hw__reserve_floats(&e->tapped.factor, &e->tapped.factor_capacity, e->n_rows * width);
    float *out = fits ? e->tapped.factor : NULL;
    if (g->normed_heads && (g->n_sub < 1 || width % (size_t)g->n_sub)) return NULL;
    for (size_t i = 0; out && i < n; i++) {
        const float *gate = g->gated ? e->tapped.rows[HW__TAP_GATE] + i * gate_step + g->gate_offset : NULL;
        float *to = out + i * width;
        for (size_t c = 0; !gate && c < width; c++) to[c] = 1;
        if (gate) spread_gate(to, g, gate, width);
        if (g->normed_heads) multiply_sub_scales(to, g, subs + i * width, width);
    }
    return out;
}

/* ------------------------------------------------------------------ the stream */

static const hw__tap *tap_of(const hw__llama_engine *e, int32_t source, hw__role role) {
    for (size_t i = 0; i < e->n_taps; i++)
        if (e->taps[i].source == source && e->taps[i].role == role) return &e->taps[i];
    return NULL;
}

/* The last n of the rows read for a role. */
static const float *last_rows(const hw__llama_engine *e, hw__role role, size_t n, size_t width) {
    size_t have = e->tapped.n[role];
    return have < n ? NULL : e->tapped.rows[role] + (have - n) * width;
}

/* Called when all rows of a source have been read. */
static bool show_stream(hw__llama_engine *e, int32_t source) {
    int block = e->sources[source].block;
    const hw__layer_graph *g = &e->graphs[source];
    size_t D = (size_t)e->info.n_embd, n = e->tapped.n[HW__TAP_ADDED], skipped = e->n_rows - n;
    if (n != e->n_rows && skipped != e->first_logit)
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the stream has other rows", block);
    float *added = e->tapped.rows[HW__TAP_ADDED];
    for (size_t i = 0; g->relative != 1 && i < n * D; i++) added[i] *= g->relative;
    hw__stream stream = {.before = last_rows(e, HW__TAP_BEFORE, n, D),
                         .added = added,
                         .mixed = g->kind == HW__NORM_NONE ? NULL : last_rows(e, HW__TAP_MIXED, n, D),
                         .n_rows = n,
                         .q0 = e->at + skipped};
    if ((g->gated || g->normed_heads) && (e->sources[source].layer >= 0 || e->sink->values)) {
        const hw__tap *gate = g->gated ? tap_of(e, source, HW__TAP_GATE) : NULL;
        const float *output = g->sub_is_output ? hw__recurrent_output(e, (size_t)source) : NULL;
        const float *factor = read_factor(e, g, gate ? (size_t)gate->width : 0, output);
        if (!factor) return fail_decode(e, HW_ERR_MEMORY, "out of memory: its gate", block);
        stream.factor_width = (size_t)g->wo_width;
        stream.factor = factor + skipped * stream.factor_width;
    }
    if (!stream.before || (g->kind != HW__NORM_NONE && !stream.mixed))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the stream has fewer rows than attention", block);
    e->failed = e->sink->stream(e->sink->ctx, (size_t)source, &stream, &e->failure);
    return e->failed == HW_OK;
}

typedef hw_err (*show_rows_fn)(void *ctx, const float *rows, size_t n_rows, size_t q0, hw_error *err);

static bool show_plain(hw__llama_engine *e, const hw__tap *tap, show_rows_fn show) {
    size_t n = e->tapped.n[tap->role];
    if (!show || n == 0) return true;
    e->failed = show(e->sink->ctx, e->tapped.rows[tap->role], n, e->at + e->n_rows - n, &e->failure);
    return e->failed == HW_OK;
}

/* Called when a tap's node has been computed. Rows that belong together are passed on when the last of them is read. */
static bool show_tap(hw__llama_engine *e, const hw__tap *tap) {
    if (!read_tap(e, tap)) return false;
    switch (tap->role) {
    case HW__TAP_ORIGIN: return show_plain(e, tap, e->sink->origin);
    case HW__TAP_FINAL: return show_plain(e, tap, e->sink->final);
    case HW__TAP_REST:
        e->failed = e->proof ? hw__proof_rest(e->proof, e, tap, &e->failure) : HW_OK;
        return e->failed == HW_OK;
    default: return !tap->completes || show_stream(e, tap->source);
    }
}

/* For a layer that stops only at its last nodes, redirected nodes are read then. */
static bool show_stopped(hw__llama_engine *e, const struct ggml_tensor *t) {
    bool ok = true;
    for (size_t i = 0; ok && i < e->next_tap; i++) {
        hw__tap *tap = &e->taps[i];
        if (tap->kept && tap->source >= 0 && tap->source == e->stopped_source) {
            ok = read_tap(e, tap);
            tap->kept = false;
        } else if (tap->node == t && !tap->kept) {
            ok = show_tap(e, tap);
        }
    }
    return ok;
}

/* Checks one node; true if it is the next tap. */
static bool is_next_tap(hw__llama_engine *e, const struct ggml_tensor *t, size_t number) {
    if (e->next_tap == e->n_taps) return false;
    const hw__tap *tap = &e->taps[e->next_tap];
    if (e->anchor_at == SIZE_MAX && strcmp(t->name, tap->anchor) == 0) e->anchor_at = number;
    return e->anchor_at != SIZE_MAX && number == e->anchor_at + tap->offset && t->op == tap->op;
}

/* Called for every node in graph order: whether the graph must stop there for the stream. */
static bool wants_stream(hw__llama_engine *e, struct ggml_tensor *t) {
    size_t number = e->n_callbacks++;
    bool stop = e->map_stop = e->map && hw__stream_map_wants(e, t, number);
    while (is_next_tap(e, t, number)) {
        hw__tap *tap = &e->taps[e->next_tap];
        const hw__tap *before = e->next_tap ? tap - 1 : NULL, *next = tap + 1;
        bool same = before && before->node == t;
        tap->node = t;
        tap->kept = same ? before->kept
                    : tap->source >= 0 && tap->source == e->stopped_source
                        ? false
                        : keep(e, t, tap->place, tap_bytes(tap, e->n_rows));
        if (!tap->kept && tap->source >= 0) e->stopped_source = tap->source;
        stop = stop || !tap->kept;
        if (++e->next_tap == e->n_taps || strcmp(next->anchor, tap->anchor) != 0) e->anchor_at = SIZE_MAX;
    }
    return stop;
}

/* ------------------------------------------------------------------ during and after a decode */

static bool record(hw__llama_engine *e, struct ggml_tensor *t) {
    if (!hw__record_node(&e->record, t)) e->record.failed = true;
    hw__repacked_note(&e->repacked, t);
    if (strcmp(t->name, "result_output") == 0) e->record.complete = true;
    return false;
}

/* Whether the decode shows the stream; one that is mixed only with a single token that has logits. */
static bool streams(const hw__llama_engine *e) {
    bool single = e->n_rows == 1 && e->first_logit == 0;
    return e->sink->stream && e->at + e->n_rows > e->sink->stream_from && (single || !e->map);
}

/* Called by ggml for every node, first to ask whether to stop after it, then with its data if it stopped. */
bool hw__llama_on_node(struct ggml_tensor *t, bool ask, void *user) {
    hw__llama_engine *e = user;
    if (e->record.open) return !ask || record(e, t);
    if (!e->sink) { /* in a graph that is used again */
        if (ask) move_view(e, t);
        return false;
    }
    int block = t->op == GGML_OP_SOFT_MAX ? hw__block_of(t->name, "kq_soft_max-") : -1;
    bool heads = block >= 0 && block < e->info.n_blocks && e->layer_of[block] >= 0 && wants_rows(e);
    if (!ask && e->map_stop && !hw__stream_map_show(e, t)) return false;
    if (!ask) e->map_stop = false;
    if (!ask && !hw__recurrent_show_late(e)) return false;
    if (!ask && e->recurrent_stop) {
        e->recurrent_stop = false;
        return hw__recurrent_show(e, t) && show_stopped(e, t);
    }
    if (!ask) return heads ? show_heads(e, t, block) : show_stopped(e, t);
    move_view(e, t);
    int of = t->op == GGML_OP_MUL_MAT ? hw__block_of(t->name, "kqv-") : -1;
    if (of >= 0 && of < e->info.n_blocks && e->source_of[of] >= 0) e->graphs[e->source_of[of]].values = t->src[0];
    bool stop = streams(e) && wants_stream(e, t);
    if (hw__recurrent_wants(e, t)) return e->recurrent_stop = true;
    size_t bytes = heads ? heads_bytes(e, e->at, e->n_rows) : 0;
    if (heads && keep(e, t, (size_t)e->layer_of[block] * bytes, bytes)) {
        e->heads[block] = t;
        return stop;
    }
    return heads || stop;
}

static bool show_kept(hw__llama_engine *e) {
    bool ok = true;
    for (int32_t b = 0; ok && b < e->info.n_blocks; b++)
        if (e->heads[b]) ok = show_heads(e, e->heads[b], b);
    for (size_t i = 0; ok && streams(e) && i < e->n_taps; i++)
        if (e->taps[i].node && e->taps[i].kept) ok = show_tap(e, &e->taps[i]);
    return ok;
}

/* Passes the factors of a mixed stream to the sink. */
static hw_err show_factors(const hw__llama_engine *e, hw_error *err) {
    const float *row = hw__stream_map_row(e->map);
    if (!row) return hw__fail(err, HW_ERR_UNSUPPORTED, "the graph of one token lacks nodes that mix the stream");
    return e->sink->mixing ? e->sink->mixing(e->sink->ctx, row, e->at, err) : HW_OK;
}

hw_err hw__llama_taps_end(hw__llama_engine *e, hw_error *err) {
    if (!e->sink) return HW_OK;
    bool late = hw__recurrent_show_late(e);
    hw_err kept = late ? hw__recurrent_end(e, err) : HW_OK;
    if (kept != HW_OK) return kept;
    if (!late || !show_kept(e)) {
        if (e->failed == HW_OK) return hw__fail(err, HW_ERR_ENGINE, "what the decode computed could not be read");
        if (err) *err = e->failure;
        return e->failed;
    }
    if (wants_rows(e) && e->n_seen != (size_t)e->info.n_layers)
        return hw__fail(err, HW_ERR_ENGINE, "%zu of %d attention layers showed their rows", e->n_seen,
                        e->info.n_layers);
    if (streams(e) && e->next_tap < e->n_taps)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "the graph for %zu tokens has no node %zu behind %s, which that of the probe has", e->n_rows,
                        e->taps[e->next_tap].offset, e->taps[e->next_tap].anchor);
    hw__recurrent_move(e);
    return streams(e) && e->map ? show_factors(e, err) : HW_OK;
}

/* ------------------------------------------------------------------ capacity */

hw_err hw__llama_taps_new(hw__llama_engine *e, size_t n_blocks, hw_error *err) {
    e->graphs = hw__alloc(2 * n_blocks, sizeof *e->graphs); /* attention and a recurrent layer */
    e->heads = hw__alloc(n_blocks, sizeof *e->heads);
    e->arena.base = aligned_alloc(ALIGNMENT, ARENA_BYTES);
    if (!e->graphs || !e->heads || !e->arena.base)
        return hw__fail_memory(err, "what a decode shows", n_blocks, sizeof *e->heads + sizeof *e->graphs);
    e->arena.bytes = ARENA_BYTES;
    return HW_OK;
}

void hw__llama_taps_free(hw__llama_engine *e) {
    free(e->graphs);
    free(e->heads);
    free(e->taps);
    free(e->arena.base);
    free(e->tapped.factor);
    for (size_t i = 0; i < HW__N_TAPS; i++) free(e->tapped.rows[i]);
    hw__record_free(&e->record);
    hw__stream_map_free(e->map);
}
