/*
 * follow.c - reads the graphs of a context that the caller drives.
 *
 * A graph begins with the lookup of its tokens' embeddings and ends with the logits. In between, nodes are read as in
 * decodes of our own (graph_tap.c). Which tokens a graph is of, where they are in the cache and which rows have logits
 * is read from the graph's inputs, since the caller's batch is not seen.
 *
 * A column of an attention row is a token of the sequence only if the caller changes nothing in the cache. Three checks
 * hold that: after each graph's tokens the highest position must be the number of tokens; the mask of each row must
 * show exactly the columns up to its own (from some column on where a window slides), so that a row that sees a gap, or
 * is not in its own column, is refused; and the last token's numbers must still be there (kv_sample.h).
 */
#include "engine/follow.h"

#include "engine/llama/graph/graph_ops.h"
#include "engine/llama/kv_sample.h"
#include "engine/llama/operations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hw__follower {
    hw__llama_engine *engine;
    hw__follow_events events;
    struct llama_context *ctx; /* NULL: nothing is followed */
    hw_err failed;             /* the first error */
    hw_error failure;
    hw__sink sink;
    size_t n_done;   /* tokens decoded before the current graph */
    size_t own_done; /* n_done of the engine's own context */
    hw__kv_sample sample;

    /* The graph in progress. */
    bool open, wanted;                     /* the engine requested the node whose data come next */
    int32_t *ids;                          /* [n] */
    size_t n, capacity;                    /* capacity of ids */
    const struct ggml_tensor *table;       /* what its tokens are looked up in */
    const struct ggml_tensor *masks[2];    /* those that have been checked: of whole and of sliding attention */
    struct ggml_tensor *values;            /* [n_sources] the cache's views, which outlive the graph */
    const float *logits;                   /* rows logits_from .. of the last graph */
    float *last;                           /* [V] copy of its last row */
    size_t logits_from, n_logits, row_end; /* row_end: rows of the last graph */
};

/* ------------------------------------------------------------------ properties of nodes */

static bool reads_rows(const struct ggml_tensor *t, const char *input) {
    return t->op == GGML_OP_GET_ROWS && strstr(t->src[1]->name, input);
}

bool hw__llama_is_lookup(const struct ggml_tensor *t) { return reads_rows(t, "inp_tokens"); }

static bool is_output(const struct ggml_tensor *t) { return strcmp(t->name, "result_output") == 0; }

/* Products with weights of an adapter, and sums with a control vector: what is read from the model's file would not be
 * what was computed. */
static const char *change_of(const struct ggml_tensor *t) {
    if (t->op == GGML_OP_MUL_MAT && strstr(t->src[0]->name, ".lora_")) return "an adapter";
    bool plain = t->op == GGML_OP_ADD && t->src[1]->op == GGML_OP_NONE && strncmp(t->src[1]->name, "leaf_", 5) == 0;
    return plain ? "a control vector" : NULL;
}

/* ------------------------------------------------------------------ errors */

/* Ends the reading of this graph and of all later ones. */
static void fail(hw__follower *f, hw_err rc) {
    f->failed = rc;
    f->open = false;
    f->engine->sink = NULL;
}

#define FAIL(f, code, ...) fail(f, hw__fail(&(f)->failure, code, __VA_ARGS__))

static void fail_as_engine(hw__follower *f) {
    f->failure = f->engine->failure;
    fail(f, f->engine->failed);
}

/* ------------------------------------------------------------------ the beginning of a graph */

static bool read_ids(hw__follower *f, const struct ggml_tensor *ids) {
    f->n = (size_t)ids->ne[0];
    if (f->n > f->capacity) {
        int32_t *larger = hw__realloc(f->ids, f->n, sizeof *larger);
        if (!larger) {
            fail(f, hw__fail_memory(&f->failure, "the tokens of a batch", f->n, sizeof *larger));
            return false;
        }
        f->ids = larger;
        f->capacity = f->n;
    }
    ggml_backend_tensor_get(ids, f->ids, 0, f->n * sizeof *f->ids);
    return true;
}

static hw_err check_sample(const hw__follower *f, hw_error *err) {
    if (hw__kv_sample_holds(&f->sample)) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "the context's cache holds other numbers than the decode of token %zu left there: it was replaced "
                    "(llama_state_set_data() and the like)",
                    f->n_done);
}

/* libllama has already assigned cells to the graph's tokens. */
static bool continues(hw__follower *f) {
    llama_pos last = llama_memory_seq_pos_max(llama_get_memory(f->ctx), 0);
    if (last == (llama_pos)(f->n_done + f->n) - 1) {
        hw_err rc = check_sample(f, &f->failure);
        if (rc != HW_OK) fail(f, rc);
        return rc == HW_OK;
    }
    FAIL(f, HW_ERR_ARGUMENT,
         "a batch of %zu token%s that ends at position %d came after %zu tokens: the cache was changed in between "
         "(llama_memory_seq_rm() and the like), or a decode failed",
         f->n, f->n == 1 ? "" : "s", (int)last, f->n_done);
    return false;
}

static void begin_graph(hw__follower *f, const struct ggml_tensor *lookup) {
    hw__llama_engine *e = f->engine;
    if (f->open) {
        FAIL(f, HW_ERR_ARGUMENT, "the decode of %zu tokens at position %zu did not complete", f->n, f->n_done);
        return;
    }
    if (!read_ids(f, lookup->src[1]) || !continues(f)) return;
    hw__token_batch batch = {f->ids, f->n, f->n_done, f->n};
    f->sink = (hw__sink){0};
    hw_err rc = f->events.begin(f->events.ctx, &f->sink, &batch, &f->failure);
    if (rc != HW_OK) {
        fail(f, rc);
        return;
    }
    f->open = true;
    f->wanted = false;
    f->table = lookup->src[0];
    f->n_logits = 0;
    f->masks[0] = f->masks[1] = NULL;
    e->sink = &f->sink;
    e->at = f->n_done;
    e->n_rows = f->n;
    e->first_logit = f->n - 1;
    e->n_seen = 0;
    e->failed = HW_OK;
    hw__llama_taps_begin(e);
}

/* ------------------------------------------------------------------ inputs of the graph */

/* The rows with logits must be the last ones. */
static void read_output_rows(hw__follower *f, const struct ggml_tensor *t) {
    size_t n = (size_t)t->src[1]->ne[0], first = n <= f->n ? f->n - n : 0;
    int32_t *rows = hw__alloc(n + 1, sizeof *rows);
    if (!rows) {
        fail(f, hw__fail_memory(&f->failure, "rows with logits", n, sizeof *rows));
        return;
    }
    if (n) ggml_backend_tensor_get(t->src[1], rows, 0, n * sizeof *rows);
    for (size_t i = 0; i < n && f->failed == HW_OK; i++)
        if (rows[i] != (int32_t)(first + i))
            FAIL(f, HW_ERR_ARGUMENT,
                 "logits were requested for row %d of a batch of %zu, and not for all later ones: request those of the "
                 "last rows",
                 rows[i], f->n);
    free(rows);
    f->engine->first_logit = first;
}

static float mask_cell(const struct ggml_tensor *t, const unsigned char *bytes, size_t row, size_t k) {
    const unsigned char *at = bytes + row * t->nb[1] + k * t->nb[0];
    float value;
    uint16_t half;
    if (t->type == GGML_TYPE_F32) {
        memcpy(&value, at, sizeof value);
        return value;
    }
    memcpy(&half, at, sizeof half);
    return ggml_fp16_to_fp32(half);
}

/* Whether row q of the mask shows columns a .. q and no other; a is 0 but for sliding windows. */
static bool shows_past(const struct ggml_tensor *t, const unsigned char *bytes, size_t row, size_t q, bool slides) {
    size_t n = (size_t)t->ne[0], begin = 0;
    if (q >= n) return false;
    while (begin < n && mask_cell(t, bytes, row, begin) == -INFINITY) begin++;
    if (begin > q || (begin > 0 && !slides)) return false;
    for (size_t k = begin; k < n; k++)
        if ((mask_cell(t, bytes, row, k) != -INFINITY) != (k <= q)) return false;
    return true;
}

/* `t`: attention weights about to be computed. */
static void check_mask(hw__follower *f, const struct ggml_tensor *t) {
    const struct ggml_tensor *mask = t->src[1];
    if (!mask || mask->op != GGML_OP_NONE || (mask->type != GGML_TYPE_F32 && mask->type != GGML_TYPE_F16)) return;
    if (mask == f->masks[0] || mask == f->masks[1]) return;
    f->masks[f->masks[0] != NULL] = mask;
    const unsigned char *bytes = hw__device_read_bytes(f->engine->device_read, mask);
    if (!bytes) {
        fail(f, hw__fail_memory(&f->failure, "the attention mask", f->n, (size_t)mask->ne[0] * sizeof(float)));
        return;
    }
    bool slides = f->engine->info.n_swa > 0;
    for (size_t row = 0; row < f->n; row++) {
        if (shows_past(mask, bytes, row, f->n_done + row, slides)) continue;
        FAIL(f, HW_ERR_ARGUMENT,
             "the token at position %zu attends to other tokens than those before it: the cache was changed, or "
             "attention is not causal",
             f->n_done + row);
        return;
    }
}

/* ------------------------------------------------------------------ the end of a graph */

static bool has_attention(const hw__follower *f) {
    const hw__llama_engine *e = f->engine;
    bool shown = e->n_seen > 0 || e->info.n_layers == 0;
    for (int32_t b = 0; !shown && b < e->info.n_blocks; b++) shown = e->heads[b] != NULL;
    return shown || f->sink.rows_from >= f->n_done + f->n;
}

/* The tensors of a graph are gone when the next one is built; the cache is not. */
static void keep_values(hw__follower *f) {
    hw__llama_engine *e = f->engine;
    for (int32_t s = 0; s < e->info.n_sources; s++) {
        const struct ggml_tensor *t = hw__llama_cached_values(e->graphs[s].values);
        if (!t || t == &f->values[s]) continue;
        f->values[s] = *t;
        e->graphs[s].values = &f->values[s];
    }
}

/* Logits of the graph's last rows: [n_logits, V]. */
static bool read_logits(hw__follower *f, const struct ggml_tensor *t) {
    f->n_logits = (size_t)t->ne[1];
    f->logits_from = f->n - f->n_logits;
    f->row_end = f->n;
    f->logits = NULL;
    if (f->n_logits == 0) return true;
    if (t->type == GGML_TYPE_F32 && ggml_is_contiguous(t) && t->ne[0] == f->engine->info.n_vocab && f->n_logits <= f->n)
        f->logits = hw__device_read_bytes(f->engine->device_read, t);
    if (!f->logits) FAIL(f, HW_ERR_UNSUPPORTED, "the logits of a batch of %zu tokens cannot be read", f->n);
    return f->logits;
}

static void end_graph(hw__follower *f, const struct ggml_tensor *output) {
    hw__llama_engine *e = f->engine;
    if (!has_attention(f)) {
        FAIL(f, HW_ERR_ARGUMENT,
             "the batch of %zu tokens at position %zu computed no attention weights: flash attention is on. Call "
             "hw_tap_install() after all other settings of the context",
             f->n, f->n_done);
        return;
    }
    hw_err rc = hw__llama_taps_end(e, &f->failure);
    e->sink = NULL;
    f->open = false;
    keep_values(f);
    if (rc == HW_OK && !read_logits(f, output)) return;
    hw__token_batch batch = {f->ids, f->n, f->n_done, f->n - f->n_logits};
    e->n_done = f->n_done += f->n;
    hw__kv_sample_take(&f->sample, f->n_done - 1);
    if (rc == HW_OK) rc = f->events.end(f->events.ctx, &batch, &f->failure);
    if (rc != HW_OK) {
        fail(f, rc);
        return;
    }
    if (f->n_logits == 0) return;
    size_t V = (size_t)e->info.n_vocab;
    memcpy(f->last, f->logits + (f->n_logits - 1) * V, V * sizeof *f->last);
    f->logits = f->last;
    f->logits_from = f->row_end - 1;
    f->n_logits = 1;
}

const float *hw__follow_logits(const hw__follower *f, size_t row) {
    if (!f->logits || row < f->logits_from || row - f->logits_from >= f->n_logits) return NULL;
    return f->logits + (row - f->logits_from) * (size_t)f->engine->info.n_vocab;
}

/* ------------------------------------------------------------------ the callback */

/* A node that is about to be computed: whether the graph must stop after it. */
static bool announce(hw__follower *f, struct ggml_tensor *t) {
    if (hw__llama_is_lookup(t) && (!f->open || t->src[0] == f->table)) begin_graph(f, t);
    if (!f->open) return false; /* a graph that moves or shifts the cache, or a failure */
    const char *change = change_of(t);
    if (change) {
        FAIL(f, HW_ERR_UNSUPPORTED, "the context has %s, which is not part of the model's file: it is not followed",
             change);
        return false;
    }
    if (reads_rows(t, "out_ids")) read_output_rows(f, t);
    if (f->open && t->op == GGML_OP_SOFT_MAX && hw__block_of(t->name, "kq_soft_max-") >= 0) check_mask(f, t);
    hw__kv_sample_see(&f->sample, t);
    f->wanted = f->open && hw__llama_on_node(t, true, f->engine);
    return f->wanted || (f->open && is_output(t));
}

static bool on_node(struct ggml_tensor *t, bool ask, void *user) {
    hw__follower *f = user;
    if (!f->ctx || f->failed != HW_OK) return !ask;
    if (ask) return announce(f, t);
    if (f->open && f->wanted && !hw__llama_on_node(t, false, f->engine)) fail_as_engine(f);
    if (f->open && is_output(t)) end_graph(f, t);
    return true; /* the caller's decode goes on */
}

/* ------------------------------------------------------------------ operations */

static hw_err check_model(const hw__llama_engine *e, hw_error *err) {
    if (e->info.problem[0])
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s cannot be explained: %s", e->info.path, e->info.problem);
    if (e->adapters.n)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s was opened with adapters: contexts of others do not have them",
                        e->info.path);
    if (!e->lookup_first)
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "the graph of architecture %s does not begin with its tokens: other loops are not followed",
                        e->info.architecture);
    return HW_OK;
}

hw_err hw__follow_new(hw__follower **out, hw__engine *engine, const hw__follow_events *events, hw_error *err) {
    const hw_model_info *info = engine->ops->describe(engine);
    if (strcmp(info->engine, "llama") != 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "loops of engine %s are not followed, only those of llama",
                        info->engine);
    hw__llama_engine *e = (hw__llama_engine *)engine;
    hw_err rc = check_model(e, err);
    if (rc != HW_OK) return rc;
    hw__follower *f = hw__alloc(1, sizeof *f);
    if (!f) return hw__fail_memory(err, "a tap", 1, sizeof *f);
    f->engine = e;
    f->events = *events;
    f->values = hw__alloc((size_t)e->info.n_sources + 1, sizeof *f->values);
    f->last = hw__alloc((size_t)e->info.n_vocab, sizeof *f->last);
    if (!f->values || !f->last) {
        hw__follow_free(f);
        return hw__fail_memory(err, "logits", (size_t)e->info.n_vocab, sizeof(float));
    }
    *out = f;
    return HW_OK;
}

void hw__follow_free(hw__follower *f) {
    if (!f) return;
    hw__follow_end(f);
    for (int32_t s = 0; f->values && s < f->engine->info.n_sources; s++)
        if (f->engine->graphs[s].values == &f->values[s]) f->engine->graphs[s].values = NULL;
    free(f->ids);
    free(f->values);
    free(f->last);
    free(f);
}

hw_err hw__follow_install(hw__follower *f, struct llama_context_params *params, hw_error *err) {
    if (params->cb_eval && params->cb_eval != on_node)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "llama_context_params.cb_eval is set to another function: a context has one callback");
    if (params->n_seq_max > 1)
        return hw__fail(err, HW_ERR_ARGUMENT, "llama_context_params.n_seq_max is %u: one sequence is followed",
                        params->n_seq_max);
    if (params->embeddings)
        return hw__fail(err, HW_ERR_ARGUMENT, "llama_context_params.embeddings is set: such a context has no logits");
    params->cb_eval = on_node;
    params->cb_eval_user_data = f;
    params->flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params->swa_full = true;
    return HW_OK;
}

hw_err hw__follow_begin(hw__follower *f, struct llama_context *ctx, hw_error *err) {
    hw__llama_engine *e = f->engine;
    llama_memory_t memory = llama_get_memory(ctx);
    if (e->follower) return hw__fail(err, HW_ERR_ARGUMENT, "a run of this model is followed already: finish it first");
    if (llama_get_model(ctx) != e->model)
        return hw__fail(err, HW_ERR_ARGUMENT, "the context is of another model than %s as it was opened here",
                        e->info.path);
    if (llama_n_seq_max(ctx) > 1)
        return hw__fail(err, HW_ERR_ARGUMENT, "the context is for %u sequences: one is followed (n_seq_max 1)",
                        llama_n_seq_max(ctx));
    if (!memory) return hw__fail(err, HW_ERR_UNSUPPORTED, "the context has no cache");
    llama_pos last = llama_memory_seq_pos_max(memory, 0);
    if (last >= 0)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "the context's cache holds %d tokens, which were not followed: llama_memory_clear() it",
                        (int)last + 1);
    f->ctx = ctx;
    f->failed = HW_OK;
    f->open = false;
    f->n_done = f->n_logits = 0;
    hw__kv_sample_clear(&f->sample);
    f->logits = NULL;
    f->own_done = e->n_done;
    e->n_done = 0;
    e->follower = f;
    return HW_OK;
}

hw_err hw__follow_error(const hw__follower *f, hw_error *err) {
    if (f->failed != HW_OK && err) *err = f->failure;
    return f->failed;
}

hw_err hw__follow_holds(const hw__follower *f, hw_error *err) {
    llama_memory_t memory = llama_get_memory(f->ctx);
    llama_pos first = llama_memory_seq_pos_min(memory, 0), last = llama_memory_seq_pos_max(memory, 0);
    bool recurrent = llama_model_is_recurrent(f->engine->model) || llama_model_is_hybrid(f->engine->model);
    if (last == (llama_pos)f->n_done - 1 && (first == 0 || recurrent)) return check_sample(f, err);
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "the context's cache holds positions %d to %d, and %zu tokens were decoded: finish a tap before "
                    "the cache is changed",
                    (int)first, (int)last, f->n_done);
}

size_t hw__follow_count(const hw__follower *f) { return f->n_done; }

void hw__follow_end(hw__follower *f) {
    if (!f->ctx) return;
    f->ctx = NULL;
    f->open = false;
    f->engine->sink = NULL;
    f->engine->follower = NULL;
    f->engine->n_done = f->own_done;
}
