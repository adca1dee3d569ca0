/*
 * engine_llama.c - models run by libllama; the only file that includes llama.h (gguf_file.c reads GGUF through ggml).
 *
 * Attention rows come from the graph's `kq_soft_max-<block>` nodes (F32, ne = [keys padded, queries, heads, 1]),
 * which exist only with flash attention disabled. ggml lists dimensions fastest first; that order stops here.
 * Tensor names are no stable API and architectures differ, so a probe at load looks which blocks show such a
 * node, whether rows sum to 1, and whether columns after the query are zero. ggml aborts the process on bad
 * input: every length, id and position is checked before a call.
 */
#include "engine.h"
#include "gguf_file.h"

#include <llama.h>

#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROBE_TOKENS = 4, DEFAULT_UBATCH = 512, KEY_BYTES = 128, TEXT_BYTES = 256 };

/* How one block's attention reaches the stream, as its graph shows it. Names are those of tensors in the file. */
typedef struct layer_graph {
    char wo[GGML_MAX_NAME], gain[GGML_MAX_NAME]; /* output projection; post-norm gain, "" for none */
    float eps, scale;                            /* of the post-norm; fixed factor */
    const struct ggml_tensor *values;            /* [keys, d, H_kv] in the cache, valid until the next decode */
    bool complete;                               /* the residual sum was found */
} layer_graph;

/* The way from the final stream to the logits. */
typedef struct readout_graph {
    char norm[GGML_MAX_NAME], weight[GGML_MAX_NAME];
    float eps;
    bool complete, final_seen;
    float *mean; /* [D] mean row of the output weights, computed once */
} readout_graph;

/* Follows one block from its output projection to the residual sum while ggml asks node by node. */
typedef struct tracker {
    const struct ggml_tensor *tail, *mixed, *sum, *attention, *other;
    int block;
    bool after_norm;                                 /* the tail is a norm whose gain has not come yet */
    float *mixed_rows, *before, *added, *final_rows; /* [n_rows, D] */
} tracker;

typedef struct llama_engine {
    hw__engine base;
    hw_model_params params; /* defaults filled in */
    struct llama_model *model;
    const struct llama_vocab *vocab;
    struct llama_context *ctx;
    struct llama_sampler *sampler;
    struct llama_batch batch; /* room for params.n_ubatch tokens */
    size_t n_done;            /* tokens in the cache */
    hw_stop_fn stop;          /* of the current sequence */
    void *stop_ctx;

    hw_model_info info;
    char path[4096], architecture[TEXT_BYTES], name[TEXT_BYTES], quantisation[TEXT_BYTES], device[TEXT_BYTES];
    char problem[512];
    int32_t *layers;   /* [L] block of each attention layer, ascending */
    int32_t *layer_of; /* [n_blocks] attention layer of each block, -1 none */

    /* The decode in progress. */
    const hw__sink *sink;
    size_t at, n_rows, first_logit; /* absolute position of its first token, number of tokens, first row with logits */
    size_t n_seen;                  /* attention layers shown so far */
    hw_err failed;
    hw_error failure;
    float *copy; /* rows fetched from a device */
    size_t copy_floats;
    bool probing;

    /* What attention carries: found by the probe, read when asked. */
    layer_graph *graphs; /* [n_blocks] */
    readout_graph readout;
    tracker track;
    char values_problem[TEXT_BYTES], readout_problem[TEXT_BYTES];
    hw__gguf *file; /* weights are read from it, since loaded ones may be repacked or on a device */
} llama_engine;

/* ------------------------------------------------------------------ the library's log */

static struct {
    pthread_mutex_t lock;
    char last_error[512];
} g_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_log(enum ggml_log_level level, const char *text, void *ctx) {
    (void)ctx;
    char line[1024];
    size_t n = strcspn(text, "\n");
    if (n == 0 || level == GGML_LOG_LEVEL_CONT) return;
    snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), text);
    if (level == GGML_LOG_LEVEL_ERROR) {
        pthread_mutex_lock(&g_log.lock);
        snprintf(g_log.last_error, sizeof g_log.last_error, "%.*s", (int)sizeof g_log.last_error - 1, line);
        pthread_mutex_unlock(&g_log.lock);
    }
    hw__log(level == GGML_LOG_LEVEL_ERROR  ? HW_LOG_ERROR
            : level == GGML_LOG_LEVEL_WARN ? HW_LOG_WARN
            : level == GGML_LOG_LEVEL_INFO ? HW_LOG_INFO
                                           : HW_LOG_DEBUG,
            line);
}

static void last_error(char *out, size_t room) {
    pthread_mutex_lock(&g_log.lock);
    snprintf(out, room, "%.*s", (int)room - 1, g_log.last_error[0] ? g_log.last_error : "no reason given");
    g_log.last_error[0] = 0;
    pthread_mutex_unlock(&g_log.lock);
}

static void init_backend(void) {
    llama_log_set(on_log, NULL);
    llama_backend_init();
    if (ggml_backend_dev_count() == 0) ggml_backend_load_all(); /* builds whose backends are plug-ins */
}

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

static bool fail_decode(llama_engine *e, hw_err code, const char *what, int block) {
    e->failed = hw__fail(&e->failure, code, "block %d of %s: %s", block, e->info.architecture, what);
    return false; /* ends the decode */
}

/* The tensor's floats: in place where the CPU can read them, else copied. NULL when there is no memory. */
static const float *rows_of(llama_engine *e, const struct ggml_tensor *t) {
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

static bool show_heads(llama_engine *e, const struct ggml_tensor *t, int block) {
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
static bool follow(tracker *k, layer_graph *g, const struct ggml_tensor *t) {
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
static bool wants_stream(llama_engine *e, const struct ggml_tensor *t) {
    tracker *k = &e->track;
    int block = t->op == GGML_OP_MUL_MAT ? block_of(t->name, "kqv-") : -1;
    if (block >= 0 && block < e->info.n_blocks) e->graphs[block].values = t->src[0];
    block = t->op == GGML_OP_MUL_MAT ? block_of(t->src[1]->name, "kqv_out-") : -1;
    if (block >= 0 && block < e->info.n_blocks) {
        *k = (tracker){.tail = t,
                       .mixed = t,
                       .block = block,
                       .mixed_rows = k->mixed_rows,
                       .before = k->before,
                       .added = k->added,
                       .final_rows = k->final_rows};
        layer_graph *g = &e->graphs[block];
        bool wanted =
            e->probing || g->gain[0]; /* only a post-norm needs it; each node that is wanted stops the graph */
        *g = (layer_graph){.scale = 1, .values = g->values};
        snprintf(g->wo, sizeof g->wo, "%s", t->src[0]->name);
        return wanted;
    }
    if (k->tail && (t->src[0] == k->tail || t->src[1] == k->tail)) return follow(k, &e->graphs[k->block], t);
    return block_of(t->name, "l_out-") == e->info.n_blocks - 1;
}

/* Copies the first `n` rows of a [D, rows] F32 tensor. */
static bool copy_rows(llama_engine *e, float *to, const struct ggml_tensor *t) {
    if (t->type != GGML_TYPE_F32 || !ggml_is_contiguous(t) || t->ne[0] != e->info.n_embd ||
        (size_t)t->ne[1] > e->n_rows)
        return false;
    const float *rows = rows_of(e, t);
    if (rows) memcpy(to, rows, ggml_nbytes(t));
    return rows != NULL;
}

/* The residual sum has been computed, perhaps in place of one of its operands: the other one is read, this one follows. */
static bool show_stream(llama_engine *e, const struct ggml_tensor *t) {
    tracker *k = &e->track;
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

static bool show_final(llama_engine *e, const struct ggml_tensor *t) {
    size_t n = (size_t)t->ne[1];
    if (n > e->n_rows || !copy_rows(e, e->track.final_rows, t))
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the final stream is not F32", e->info.n_blocks - 1);
    e->readout.final_seen = true;
    if (e->probing || n == 0) return true;
    e->failed = e->sink->final(e->sink->ctx, e->track.final_rows, n, e->at + e->n_rows - n, &e->failure);
    return e->failed == HW_OK;
}

static bool show_stream_node(llama_engine *e, const struct ggml_tensor *t) {
    if (t == e->track.mixed) {
        if (copy_rows(e, e->track.mixed_rows, t)) return true;
        return fail_decode(e, HW_ERR_UNSUPPORTED, "the output projection is not F32 [D, tokens]", e->track.block);
    }
    return t == e->track.sum ? show_stream(e, t) : show_final(e, t);
}

/* The way to the logits, found when their product comes by: weight x (norm(stream) * gain). */
static void find_readout(llama_engine *e, const struct ggml_tensor *t) {
    readout_graph *r = &e->readout;
    if (strcmp(t->name, "result_norm") == 0 && t->op == GGML_OP_MUL && t->src[0]->op == GGML_OP_RMS_NORM) {
        r->eps = float_param(t->src[0]);
        snprintf(r->norm, sizeof r->norm, "%s", t->src[1]->name);
    } else if (t->op == GGML_OP_MUL_MAT && strcmp(t->src[1]->name, "result_norm") == 0) {
        snprintf(r->weight, sizeof r->weight, "%s", t->src[0]->name);
        r->complete = r->norm[0] != 0;
    }
}

/* Called by ggml for every node, first to ask whether it is wanted, then with its data. */
static bool on_node(struct ggml_tensor *t, bool ask, void *user) {
    llama_engine *e = user;
    bool streams = e->probing || (e->sink && e->sink->stream);
    int block = t->op == GGML_OP_SOFT_MAX ? block_of(t->name, "kq_soft_max-") : -1;
    bool heads = block >= 0 && block < e->info.n_blocks && (e->probing || (e->sink && e->layer_of[block] >= 0));
    if (!ask) return heads ? show_heads(e, t, block) : show_stream_node(e, t);
    if (e->probing) find_readout(e, t);
    return heads || (streams && wants_stream(e, t));
}

static bool on_abort(void *user) {
    llama_engine *e = user;
    return e->stop && e->stop(e->stop_ctx);
}

/* ------------------------------------------------------------------ operations */

static const hw_model_info *describe(const hw__engine *base) { return &((const llama_engine *)base)->info; }

static hw_err tokenize(hw__engine *base, hw__tokens *out, const char *text, size_t n, unsigned flags, hw_error *err) {
    llama_engine *e = (llama_engine *)base;
    if (n > INT32_MAX / 8)
        return hw__fail(err, HW_ERR_ARGUMENT, "text of %zu bytes: at most %d are read at once", n, INT32_MAX / 8);
    int32_t room = (int32_t)n + 16, count = 0;
    int32_t *ids = NULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        free(ids);
        ids = hw__alloc((size_t)room, sizeof *ids);
        if (!ids) return hw__fail_memory(err, "the tokens of a text", (size_t)room, sizeof *ids);
        count = llama_tokenize(e->vocab, text, (int32_t)n, ids, room, flags & HW__TOKENIZE_BOS,
                               flags & HW__TOKENIZE_SPECIAL);
        if (count >= 0) break;
        room = count == INT32_MIN ? 0 : -count;
    }
    if (count < 0) {
        free(ids);
        return hw__fail(err, HW_ERR_ENGINE, "the model's tokenizer failed on a text of %zu bytes", n);
    }
    *out = (hw__tokens){.ids = ids, .n = (size_t)count};
    return HW_OK;
}

static hw_err piece(hw__engine *base, hw__piece *out, int32_t id, hw_error *err) {
    llama_engine *e = (llama_engine *)base;
    if (id < 0 || id >= e->info.n_vocab)
        return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", id, e->info.n_vocab - 1);
    int32_t n = llama_token_to_piece(e->vocab, id, out->bytes, HW__MAX_PIECE, 0, true);
    if (n < 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "token %d is %d bytes long, at most %d are handled", id, -n,
                        HW__MAX_PIECE);
    out->n_bytes = (size_t)n;
    out->special = (llama_vocab_get_attr(e->vocab, id) & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) != 0;
    out->end = llama_vocab_is_eog(e->vocab, id);
    return HW_OK;
}

/* The template with a placeholder for the user's text; malloc'd, NULL with `err` filled. */
static char *apply_template(llama_engine *e, const char *placeholder, hw_error *err) {
    const char *tmpl = llama_model_chat_template(e->model, NULL);
    if (!tmpl) {
        hw__fail(err, HW_ERR_UNSUPPORTED, "%s has no chat template: its prompts are plain text", e->info.path);
        return NULL;
    }
    struct llama_chat_message message = {.role = "user", .content = placeholder};
    int32_t room = 4096;
    for (int attempt = 0; attempt < 2; attempt++) {
        char *text = hw__alloc((size_t)room + 1, 1);
        if (!text) return hw__fail_memory(err, "the chat template", (size_t)room, 1), NULL;
        int32_t n = llama_chat_apply_template(tmpl, &message, 1, true, text, room);
        if (n >= 0 && n <= room) return text;
        free(text);
        if (n < 0) break;
        room = n;
    }
    hw__fail(err, HW_ERR_UNSUPPORTED, "the chat template of %s is of no kind that libllama knows", e->info.path);
    return NULL;
}

static hw_err chat(hw__engine *base, char **before, char **after, hw_error *err) {
    static const char placeholder[] = "headwater-user-text";
    char *text = apply_template((llama_engine *)base, placeholder, err);
    if (!text) return err ? err->code : HW_ERR_UNSUPPORTED;
    hw_err rc = HW_OK;
    char *found = strstr(text, placeholder);
    if (!found || strstr(found + 1, placeholder)) {
        rc = hw__fail(err, HW_ERR_UNSUPPORTED, "the chat template does not hold the user's text exactly once");
        goto out;
    }
    char *head = hw__strndup(text, (size_t)(found - text));
    char *tail = hw__strndup(found + sizeof placeholder - 1, strlen(found + sizeof placeholder - 1));
    if (!head || !tail) {
        free(head);
        free(tail);
        rc = hw__fail_memory(err, "the chat template", strlen(text), 1);
        goto out;
    }
    *before = head;
    *after = tail;
out:
    free(text);
    return rc;
}

static struct llama_context_params context_params(llama_engine *e, size_t n_tokens) {
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)((n_tokens + 255) / 256 * 256);
    p.n_batch = p.n_ubatch = (uint32_t)e->params.n_ubatch;
    p.n_outputs_max = HW__MAX_LOGITS < p.n_batch ? HW__MAX_LOGITS : p.n_batch;
    p.n_threads = p.n_threads_batch = e->params.n_threads;
    p.flash_attn_type = e->params.flash_attention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    p.swa_full = true; /* sliding-window layers keep every column */
    if (!e->params.unwatched) {
        p.cb_eval = on_node;
        p.cb_eval_user_data = e;
    }
    p.abort_callback = on_abort;
    p.abort_callback_data = e;
    if (e->params.f32_cache) p.type_k = p.type_v = GGML_TYPE_F32;
    return p;
}

static hw_err begin(hw__engine *base, size_t n_tokens, hw_stop_fn stop, void *stop_ctx, hw_error *err) {
    llama_engine *e = (llama_engine *)base;
    if (n_tokens == 0 || n_tokens > (size_t)e->params.n_ctx)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu tokens do not fit into a context of %d", n_tokens, e->params.n_ctx);
    e->stop = stop;
    e->stop_ctx = stop_ctx;
    e->n_done = 0;
    if (e->ctx && llama_n_ctx(e->ctx) >= n_tokens) {
        llama_memory_clear(llama_get_memory(e->ctx), true);
        return HW_OK;
    }
    llama_free(e->ctx);
    e->ctx = llama_init_from_model(e->model, context_params(e, n_tokens));
    if (e->ctx) return HW_OK;
    char reason[TEXT_BYTES];
    last_error(reason, sizeof reason);
    return hw__fail(err, HW_ERR_ENGINE, "a context of %zu tokens could not be made: %s", n_tokens, reason);
}

static hw_err rewind_to(hw__engine *base, size_t n_tokens, hw_error *err) {
    llama_engine *e = (llama_engine *)base;
    if (!e->ctx || n_tokens > e->n_done)
        return hw__fail(err, HW_ERR_ARGUMENT, "rewind to %zu of %zu tokens", n_tokens, e->n_done);
    if (n_tokens < e->n_done && !llama_memory_seq_rm(llama_get_memory(e->ctx), 0, (llama_pos)n_tokens, -1))
        return hw__fail(err, HW_ERR_UNSUPPORTED, "architecture %s cannot forget its last tokens", e->info.architecture);
    e->n_done = n_tokens;
    return HW_OK;
}

static size_t chunk(const hw__engine *base) { return (size_t)((const llama_engine *)base)->params.n_ubatch; }

static hw_err check_decode(const llama_engine *e, const int32_t *ids, size_t n, size_t at, size_t first_logit,
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

static void fill_batch(llama_engine *e, const int32_t *ids, size_t n, size_t at, size_t first_logit) {
    e->batch.n_tokens = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        e->batch.token[i] = ids[i];
        e->batch.pos[i] = (llama_pos)(at + i);
        e->batch.n_seq_id[i] = 1;
        e->batch.seq_id[i][0] = 0;
        e->batch.logits[i] = i >= first_logit;
    }
}

static hw_err decode(hw__engine *base, const int32_t *ids, size_t n, size_t at, size_t first_logit,
                     const hw__sink *sink, hw_error *err) {
    llama_engine *e = (llama_engine *)base;
    hw_err rc = check_decode(e, ids, n, at, first_logit, err);
    if (rc != HW_OK) return rc;
    fill_batch(e, ids, n, at, first_logit);
    e->sink = sink;
    e->at = at;
    e->n_rows = n;
    e->first_logit = first_logit;
    e->n_seen = 0;
    e->failed = HW_OK;
    int32_t status = llama_decode(e->ctx, e->batch);
    e->sink = NULL;
    if (e->failed != HW_OK) { /* a row was refused; what libllama then said of the rest does not matter */
        if (err) *err = e->failure;
        return e->failed;
    }
    if (status == 2 || (status != 0 && on_abort(e))) return hw__fail(err, HW_ERR_CANCELLED, "stopped at token %zu", at);
    if (status != 0) {
        char reason[TEXT_BYTES];
        last_error(reason, sizeof reason);
        return hw__fail(err, HW_ERR_ENGINE, "decoding %zu tokens at %zu failed (%d): %s", n, at, status, reason);
    }
    if (sink && !e->probing && e->n_seen != (size_t)e->info.n_layers)
        return hw__fail(err, HW_ERR_ENGINE, "%zu of %d attention layers showed their rows", e->n_seen,
                        e->info.n_layers);
    e->n_done += n;
    return HW_OK;
}

static const float *logits(hw__engine *base, size_t i) {
    llama_engine *e = (llama_engine *)base;
    if (!e->ctx || i >= (size_t)e->batch.n_tokens || !e->batch.logits[i]) return NULL;
    return llama_get_logits_ith(e->ctx, (int32_t)i);
}

static struct llama_sampler *make_sampler(const hw__sampling *s) {
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    if (!chain) return NULL;
    if (s->temperature <= 0) {
        llama_sampler_chain_add(chain, llama_sampler_init_greedy());
        return chain;
    }
    if (s->top_k > 0) llama_sampler_chain_add(chain, llama_sampler_init_top_k(s->top_k));
    if (s->top_p < 1) llama_sampler_chain_add(chain, llama_sampler_init_top_p(s->top_p, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_temp(s->temperature));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(s->seed));
    return chain;
}

static hw_err sample(hw__engine *base, int32_t *out, size_t i, size_t step, const hw__sampling *sampling,
                     hw_error *err) {
    llama_engine *e = (llama_engine *)base;
    if (!logits(base, i)) return hw__fail(err, HW_ERR_ARGUMENT, "row %zu of the last decode has no logits", i);
    if (step == 0 || !e->sampler) {
        llama_sampler_free(e->sampler);
        e->sampler = make_sampler(sampling);
        if (!e->sampler) return hw__fail_memory(err, "the sampler", 1, 1);
    }
    *out = llama_sampler_sample(e->sampler, e->ctx, (int32_t)i);
    return HW_OK;
}

static void close_engine(hw__engine *base) {
    llama_engine *e = (llama_engine *)base;
    if (!e) return;
    llama_sampler_free(e->sampler);
    llama_free(e->ctx);
    llama_model_free(e->model);
    if (e->batch.token) llama_batch_free(e->batch);
    free(e->layers);
    free(e->layer_of);
    free(e->copy);
    free(e->graphs);
    free(e->readout.mean);
    free(e->track.mixed_rows);
    free(e->track.before);
    free(e->track.added);
    free(e->track.final_rows);
    hw__gguf_close(e->file);
    free(e);
}

/* ------------------------------------------------------------------ values and weights */

/* Values of the tokens so far, [H_kv, d, n_done], out of the cache view [keys, d, H_kv]. */
static hw_err read_values(llama_engine *e, hw__values *out, const struct ggml_tensor *t, hw_error *err) {
    size_t d = (size_t)t->ne[1], n_kv = (size_t)t->ne[2], n = e->n_done, element = ggml_type_size(t->type);
    out->v = hw__alloc(n_kv * d, n * sizeof(float));
    unsigned char *raw = hw__alloc(n, element);
    if (!out->v || !raw) {
        free(raw);
        return hw__fail_memory(err, "the values of a layer", n_kv * d, n * sizeof(float));
    }
    const struct ggml_type_traits *traits = ggml_get_type_traits(t->type);
    for (size_t r = 0; r < n_kv * d; r++) {
        size_t offset = r / d * t->nb[2] + r % d * t->nb[1];
        ggml_backend_tensor_get(t, raw, offset, n * element);
        if (t->type == GGML_TYPE_F32) {
            memcpy(out->v + r * n, raw, n * element);
        } else {
            traits->to_float(raw, out->v + r * n, (int64_t)n);
        }
    }
    free(raw);
    out->n_heads_kv = n_kv;
    out->head_size = d;
    out->n_tokens = n;
    return HW_OK;
}

void hw__values_clear(hw__values *values) {
    free(values->v);
    free(values->wo);
    free(values->gain);
    *values = (hw__values){0};
}

static hw_err values(hw__engine *base, hw__values *out, size_t layer, hw_error *err) {
    llama_engine *e = (llama_engine *)base;
    if (e->values_problem[0]) return hw__fail(err, HW_ERR_UNSUPPORTED, "%s", e->values_problem);
    if (layer >= (size_t)e->info.n_layers)
        return hw__fail(err, HW_ERR_ARGUMENT, "layer %zu: the model has %d", layer, e->info.n_layers);
    const layer_graph *g = &e->graphs[e->layers[layer]];
    size_t width = (size_t)e->info.n_embd, heads;
    hw__values v = {.eps = g->eps, .scale = g->scale};
    hw_err rc = read_values(e, &v, g->values, err);
    if (rc != HW_OK) goto out;
    heads = (size_t)e->info.n_heads * v.head_size;
    v.n_heads = (size_t)e->info.n_heads;
    v.wo = hw__alloc(width, heads * sizeof(float));
    if (g->gain[0]) v.gain = hw__alloc(width, sizeof(float));
    if (!v.wo || (g->gain[0] && !v.gain)) {
        rc = hw__fail_memory(err, g->wo, width, heads * sizeof(float));
        goto out;
    }
    if ((rc = hw__gguf_rows(e->file, v.wo, g->wo, 0, width, heads, err)) != HW_OK) goto out;
    if (v.gain) rc = hw__gguf_rows(e->file, v.gain, g->gain, 0, 1, width, err);
out:
    if (rc == HW_OK) {
        *out = v;
    } else {
        hw__values_clear(&v);
    }
    return rc;
}

/* The mean row of the output weights [V, D], a one-time pass over them. */
static hw_err mean_readout(llama_engine *e, hw_error *err) {
    size_t width = (size_t)e->info.n_embd, n = (size_t)e->info.n_vocab, block = 256;
    double *sum = hw__alloc(width, sizeof *sum);
    float *rows = hw__alloc(block, width * sizeof *rows), *mean = hw__alloc(width, sizeof *mean);
    hw_err rc = sum && rows && mean ? HW_OK : hw__fail_memory(err, "the mean output row", block, width * sizeof *rows);
    for (size_t first = 0; rc == HW_OK && first < n; first += block) {
        size_t take = n - first < block ? n - first : block;
        rc = hw__gguf_rows(e->file, rows, e->readout.weight, first, take, width, err);
        for (size_t i = 0; rc == HW_OK && i < take * width; i += width)
            for (size_t d = 0; d < width; d++) sum[d] += rows[i + d];
    }
    for (size_t d = 0; rc == HW_OK && d < width; d++) mean[d] = (float)(sum[d] / (double)n);
    free(sum);
    free(rows);
    if (rc == HW_OK) {
        e->readout.mean = mean;
    } else {
        free(mean);
    }
    return rc;
}

static hw_err readout(hw__engine *base, float *out, float *eps, int32_t id, hw_error *err) {
    llama_engine *e = (llama_engine *)base;
    size_t width = (size_t)e->info.n_embd;
    if (e->readout_problem[0]) return hw__fail(err, HW_ERR_UNSUPPORTED, "%s", e->readout_problem);
    if (id < 0 || id >= e->info.n_vocab)
        return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", id, e->info.n_vocab - 1);
    hw_err rc = e->readout.mean ? HW_OK : mean_readout(e, err);
    if (rc != HW_OK) return rc;
    float *gain = hw__alloc(width, sizeof *gain);
    if (!gain) return hw__fail_memory(err, "the final norm", width, sizeof *gain);
    rc = hw__gguf_rows(e->file, gain, e->readout.norm, 0, 1, width, err);
    if (rc == HW_OK) rc = hw__gguf_rows(e->file, out, e->readout.weight, (size_t)id, 1, width, err);
    for (size_t d = 0; rc == HW_OK && d < width; d++) out[d] = gain[d] * (out[d] - e->readout.mean[d]);
    free(gain);
    *eps = e->readout.eps;
    return rc;
}

static const hw__engine_ops llama_ops = {
    .describe = describe,
    .tokenize = tokenize,
    .piece = piece,
    .chat = chat,
    .begin = begin,
    .rewind = rewind_to,
    .chunk = chunk,
    .decode = decode,
    .logits = logits,
    .sample = sample,
    .values = values,
    .readout = readout,
    .close = close_engine,
};

/* ------------------------------------------------------------------ loading and probing */

static bool on_load(float progress, void *user) {
    const hw_model_params *p = user;
    if (p->progress) p->progress(p->ctx, HW_STAGE_LOAD, (size_t)(progress * 1000.0f), 1000);
    return !(p->stop && p->stop(p->ctx));
}

static hw_err load(llama_engine *e, const char *path, hw_error *err) {
    struct llama_model_params p = llama_model_default_params();
    p.n_gpu_layers = e->params.n_gpu_layers;
    p.progress_callback = on_load;
    p.progress_callback_user_data = &e->params;
    e->model = llama_model_load_from_file(path, p);
    if (e->model) return HW_OK;
    if (e->params.stop && e->params.stop(e->params.ctx))
        return hw__fail(err, HW_ERR_CANCELLED, "stopped while loading %s", path);
    char reason[TEXT_BYTES];
    last_error(reason, sizeof reason);
    return hw__fail(err, HW_ERR_ENGINE, "%s: libllama could not load it: %s", path, reason);
}

static void read_meta(const llama_engine *e, char *out, size_t room, const char *key) {
    if (llama_model_meta_val_str(e->model, key, out, room) < 0) out[0] = 0;
}

static void fill_info(llama_engine *e, const char *path) {
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
        .metadata_sha256 = hw__gguf_sha256(e->file),
        .device = e->device,
        .problem = e->problem,
        .values_problem = e->values_problem,
        .readout_problem = e->readout_problem,
        .layers = e->layers,
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
static const char *unprobed_reason(const llama_engine *e) {
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

static void judge_probe(llama_engine *e, const probe *p) {
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
static void judge_stream(llama_engine *e) {
    for (int32_t l = 0; l < e->info.n_layers && !e->values_problem[0]; l++) {
        const layer_graph *g = &e->graphs[e->layers[l]];
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

static hw_err run_probe(llama_engine *e, probe *p, hw_error *err) {
    int32_t ids[PROBE_TOKENS];
    int32_t bos = llama_vocab_bos(e->vocab);
    for (int i = 0; i < PROBE_TOKENS; i++) ids[i] = (i == 0 && bos >= 0) ? bos : (i + 1) % e->info.n_vocab;
    hw__sink sink = {.rows = probe_rows, .ctx = p};
    hw_err rc = HW_OK;
    e->probing = true;
    for (size_t at = 0, take; rc == HW_OK && at < PROBE_TOKENS; at += take) {
        take = PROBE_TOKENS - at < chunk(&e->base) ? PROBE_TOKENS - at : chunk(&e->base);
        rc = decode(&e->base, ids + at, take, at, at + take == PROBE_TOKENS ? take - 1 : take, &sink, err);
    }
    e->probing = false;
    return rc;
}

/* Finds the attention layers; a model that lacks them still opens, with info.problem saying what it lacks. */
static hw_err probe_model(llama_engine *e, hw_error *err) {
    hw_err rc = begin(&e->base, PROBE_TOKENS, e->params.stop, e->params.ctx, err);
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

static hw_err check_params(hw_model_params *p, hw_error *err) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (p->n_threads == 0) p->n_threads = cores > 0 ? (int32_t)cores : 1;
    if (p->n_threads < 1 || p->n_threads > 512)
        return hw__fail(err, HW_ERR_ARGUMENT, "%d threads: 1..512 are accepted", p->n_threads);
    if (p->n_ctx < 0) return hw__fail(err, HW_ERR_ARGUMENT, "a context of %d tokens: 0 (as trained) or more", p->n_ctx);
    if (p->n_ubatch == 0) p->n_ubatch = DEFAULT_UBATCH;
    if (p->n_ubatch < 1 || p->n_ubatch > 8192)
        return hw__fail(err, HW_ERR_ARGUMENT, "%d tokens per pass: 1..8192 are accepted", p->n_ubatch);
    return HW_OK;
}

static hw_err make_stream_room(llama_engine *e, size_t n_blocks, hw_error *err) {
    size_t rows = (size_t)e->params.n_ubatch, row_bytes = (size_t)e->info.n_embd * sizeof(float);
    e->graphs = hw__alloc(n_blocks, sizeof *e->graphs);
    float **buffers[] = {&e->track.mixed_rows, &e->track.before, &e->track.added, &e->track.final_rows};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (!(*buffers[i] = hw__alloc(rows, row_bytes)))
            return hw__fail_memory(err, "rows of the stream", rows, row_bytes);
    return e->graphs ? HW_OK : hw__fail_memory(err, "the layer list", n_blocks, sizeof *e->graphs);
}

static hw_err open_engine(llama_engine *e, const char *path, hw_error *err) {
    hw_err rc = check_params(&e->params, err);
    if (rc != HW_OK || (rc = hw__gguf_open(&e->file, path, err)) != HW_OK || (rc = load(e, path, err)) != HW_OK)
        return rc;
    e->vocab = llama_model_get_vocab(e->model);
    size_t n_blocks = (size_t)llama_model_n_layer(e->model);
    e->layers = hw__alloc(n_blocks, sizeof *e->layers);
    e->layer_of = hw__alloc(n_blocks, sizeof *e->layer_of);
    e->batch = llama_batch_init(e->params.n_ubatch, 0, 1);
    if (!e->layers || !e->layer_of || !e->batch.token)
        return hw__fail_memory(err, "the layer list", n_blocks, sizeof(int32_t));
    fill_info(e, path);
    if ((rc = make_stream_room(e, n_blocks, err)) != HW_OK) return rc;
    if (e->info.n_vocab < 2 || llama_vocab_type(e->vocab) == LLAMA_VOCAB_TYPE_NONE)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: has no vocabulary", path);
    return probe_model(e, err);
}

hw_err hw__engine_llama_open(hw__engine **out, const char *path, const hw_model_params *params, hw_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_backend);
    llama_engine *e = hw__alloc(1, sizeof *e);
    if (!e) return hw__fail_memory(err, "the engine", 1, sizeof *e);
    e->base.ops = &llama_ops;
    e->params = *params;
    hw_err rc = open_engine(e, path, err);
    if (rc != HW_OK) {
        close_engine(&e->base);
        return rc;
    }
    *out = &e->base;
    return HW_OK;
}
