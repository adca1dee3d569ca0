/*
 * llama_engine.h - the inside of the libllama engine, shared by its files:
 *
 *     llama.c         opening a model, tokens, decodes, sampling
 *     context.c       the context that a sequence is decoded in
 *     backend.c       the log and ggml's backends, once per process
 *     probe.c         what a model shows, looked for once at load
 *     graph_tap.c     what a decode shows: attention rows and the stream, out of the graph
 *     weights.c       values and weights, read when signals are made
 *     devices.c       the devices there are, and which of them a model gets
 *     rpc_client.c    devices of other machines
 *     device_read.c   rows out of a device's memory
 *     rpc_worker.c    this machine's devices for others
 *     guarded.cpp     calls that may throw, behind C functions that catch
 *     kv_cache.c      the cache kept from one sequence to the next, and as bytes
 *
 * These files and gguf.c are the only ones that know ggml. ggml lists dimensions fastest first; that order stops here.
 * ggml aborts the process on bad input: every length, id and position is checked before a call.
 */
#ifndef HW_ENGINE_LLAMA_LLAMA_ENGINE_H
#define HW_ENGINE_LLAMA_LLAMA_ENGINE_H

#include "engine/engine.h"
#include "engine/llama/control_tokens.h"
#include "engine/llama/devices.h"
#include "engine/llama/device_read.h"
#include "engine/llama/gguf.h"

#include <llama.h>

enum { HW__LLAMA_TEXT = 256 };

/* How one block's attention reaches the stream, as its graph shows it. Names are those of tensors in the file. */
typedef struct hw__layer_graph {
    char wo[GGML_MAX_NAME], gain[GGML_MAX_NAME]; /* output projection; post-norm gain, "" for none */
    float eps, scale;                            /* of the post-norm; fixed factor */
    const struct ggml_tensor *values;            /* [keys, d, H_kv] in the cache, valid until the next decode */
    bool complete;                               /* the residual sum was found */
} hw__layer_graph;

/* The way from the final stream to the logits. */
typedef struct hw__readout_graph {
    char norm[GGML_MAX_NAME], weight[GGML_MAX_NAME];
    float eps;
    bool complete, final_seen;
    float *mean; /* [D] mean row of the output weights, computed once */
} hw__readout_graph;

/* What the graph of one decode computes for a block. */
typedef struct hw__block_nodes {
    const struct ggml_tensor *heads;     /* attention; set where it was kept */
    const struct ggml_tensor *mixed;     /* right after the output projection */
    const struct ggml_tensor *attention; /* as it is added to the stream */
    const struct ggml_tensor *other;     /* the stream that it is added to */
    const struct ggml_tensor *sum;
    bool kept; /* mixed (where needed), attention and sum lie in the arena */
} hw__block_nodes;

/* Follows one block from its output projection to the residual sum while ggml asks node by node. */
typedef struct hw__tracker {
    struct ggml_tensor *tail; /* what the next node must consume; NULL: not looking */
    int block;
    bool after_norm; /* the tail is a norm whose gain has not come yet */
} hw__tracker;

/* Memory that nodes write to instead of the graph's own, which it uses again: see graph_tap.c. */
typedef struct hw__arena {
    unsigned char *base; /* malloc'd; nodes of a graph that is used again may point into it, so it never moves */
    size_t bytes, used;
    bool open; /* the decode in progress keeps its nodes */
} hw__arena;

/* Rows of the stream, [n_rows, D] each, made from a block's nodes. */
typedef struct hw__stream_room {
    float *mixed, *before, *added, *final;
} hw__stream_room;

typedef struct hw__llama_engine {
    hw__engine base;
    hw_model_params params; /* defaults filled in */
    struct llama_model *model;
    const struct llama_vocab *vocab;
    struct llama_context *ctx;
    struct llama_sampler *sampler;
    struct llama_batch batch; /* room for params.n_ubatch tokens */
    size_t longest_piece;     /* bytes; 0: not looked for yet */
    int32_t *ids;             /* [context] tokens in the cache */
    size_t n_done;            /* how many there are */
    hw_stop_fn stop;          /* of the current sequence */
    void *stop_ctx;

    hw__rpc rpc;                                      /* servers whose devices it uses */
    ggml_backend_dev_t devices[HW__MOST_DEVICES + 1]; /* ends with NULL */
    hw__fetch *fetch;                                 /* what is read from devices */
    hw__placement placement;

    hw_model_info info;
    char path[4096], architecture[HW__LLAMA_TEXT], name[HW__LLAMA_TEXT], quantisation[HW__LLAMA_TEXT],
        device[HW__LLAMA_TEXT];
    char problem[512];
    int32_t *layers;   /* [L] block of each attention layer, ascending */
    int32_t *layer_of; /* [n_blocks] attention layer of each block, -1 none */

    /* The decode in progress. */
    const hw__sink *sink;
    size_t at, n_rows, first_logit; /* absolute position of its first token, number of tokens, first row with logits */
    size_t n_seen;                  /* attention layers shown so far */
    hw_err failed;
    hw_error failure;
    bool probing;

    /* What attention carries: found by the probe, read when asked. */
    hw__layer_graph *graphs; /* [n_blocks] */
    hw__readout_graph readout;
    hw__tracker track;
    hw__block_nodes *nodes;          /* [n_blocks] of the decode in progress */
    const struct ggml_tensor *final; /* kept stream before the final norm, or NULL */
    hw__arena arena;
    hw__stream_room room;
    char values_problem[HW__LLAMA_TEXT], readout_problem[HW__LLAMA_TEXT];
    hw__control_tokens controls;
    hw__gguf *file; /* weights are read from it, since loaded ones may be repacked or on a device */
} hw__llama_engine;

/* The eval callback of a context whose user data is the engine. */
bool hw__llama_on_node(struct ggml_tensor *t, bool ask, void *user);
/* Whether the caller of the current sequence wants it to end. */
bool hw__llama_on_abort(void *user);

/* Finds the attention layers and what else the model shows; one that lacks them still opens, with info.problem saying what it
 * lacks. */
hw_err hw__llama_probe(hw__llama_engine *e, hw_error *err);

/* Before a decode: decides whether its nodes are kept. After it: shows the sink those that were. */
void hw__llama_watch_begin(hw__llama_engine *e);
hw_err hw__llama_watch_end(hw__llama_engine *e, hw_error *err);

/* Most that a pass over the sequence fills of the arena. */
size_t hw__llama_watch_bytes(const hw__llama_engine *e, const hw__extent *n);
/* Room for what the probe finds and for the stream of one decode. */
hw_err hw__llama_watch_new(hw__llama_engine *e, size_t n_blocks, hw_error *err);
void hw__llama_watch_free(hw__llama_engine *e);

/* Forgets the sequence and makes a context of at least `n_tokens`. */
hw_err hw__llama_make_room(hw__llama_engine *e, size_t n_tokens, hw_error *err);

/* The operations of those names; the first four in tokenizer.c. */
hw_err hw__llama_tokenize(hw__engine *base, hw__tokens *out, const char *text, size_t n, unsigned flags, hw_error *err);
hw_err hw__llama_piece(hw__engine *base, hw__piece *out, int32_t id, hw_error *err);
hw_err hw__llama_text_limits(hw__engine *base, hw__text_limits *out, hw_error *err);
hw_err hw__llama_find_control(hw__engine *base, hw__control *out, const char *text, size_t n, size_t from,
                              hw_error *err);
hw_err hw__llama_values(hw__engine *base, hw__values *out, size_t layer, hw_error *err);
hw_err hw__llama_readout(hw__engine *base, float *out, float *eps, int32_t id, hw_error *err);
hw_err hw__llama_resume(hw__engine *base, size_t *kept, const int32_t *ids, size_t n, size_t n_tokens, hw_stop_fn stop,
                        void *stop_ctx, hw_error *err);
hw_err hw__llama_save(hw__engine *base, hw__cache *out, const int32_t *ids, size_t n, hw_error *err);
void hw__llama_footprint(const hw__engine *base, const hw__extent *n, uint64_t *cache, uint64_t *buffers);
hw_err hw__llama_restore(hw__engine *base, const hw__cache *cache, const int32_t *ids, size_t n, hw_error *err);

#endif
