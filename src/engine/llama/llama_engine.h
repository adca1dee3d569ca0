/*
 * llama_engine.h - the inside of the libllama engine, shared by its files:
 *
 *     llama.c         opening a model, sampling
 *     adapters.c      low-rank adapters of a model
 *     context.c       the context that a sequence is decoded in
 *     decode.c        passes over tokens
 *     backend.c       the log and ggml's backends, once per process
 *     probe.c         what a model shows, looked for once at load
 *     graph_ops.c     what a node says of itself
 *     graph_walk.c    how attention reaches the stream and the stream the logits, read from a graph
 *     proof.c         that this gives the engine's own numbers
 *     graph_tap.c     what a decode shows: attention rows and the stream, out of the graph
 *     recurrent_tap.c what recurrent layers read of each token, kept as tokens are decoded
 *     weights.c       values and weights, read when signals are made
 *     mean_output.c   the mean row of the output weights, made ahead
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
#include "engine/llama/adapters.h"
#include "engine/llama/control_tokens.h"
#include "engine/llama/device_read.h"
#include "engine/llama/devices.h"
#include "engine/llama/gguf.h"
#include "engine/llama/mean_output.h"

#include <llama.h>

enum { HW__LLAMA_TEXT = 256 };

/* A low-rank change of a weight, factor * B A, as an adapter adds it. */
typedef struct hw__lora {
    const struct ggml_tensor *a, *b; /* [rank, width], [D, rank] */
    float factor;
} hw__lora;
enum { HW__MAX_LORA = 4 };

/* How one source, attention or a recurrent layer, reaches the stream, as its graph shows it. Names are those of tensors in the file, "" for none:
 * added = relative (bias_scale bias + scale gain norm(W_O (factor * heads) + bias)), a bias being in one of both places. */
typedef struct hw__layer_graph {
    char wo[GGML_MAX_NAME], gain[GGML_MAX_NAME], bias[GGML_MAX_NAME];
    char sub_gain[GGML_MAX_NAME];   /* of a norm before W_O */
    char decompress[GGML_MAX_NAME]; /* [H, d, latent]: makes heads' values of latent ones (MLA) */
    hw__lora lora[HW__MAX_LORA];
    size_t n_lora;
    enum ggml_type wo_type;
    int64_t wo_width, decompressed; /* H d; d */
    int64_t n_sub_gain;             /* H d, or d where heads share it */
    hw__norm kind;                  /* of the post-norm */
    float eps, sub_eps, scale, bias_scale;
    float relative; /* what is added counts for so much where the block's input counts for 1 */
    double reach;   /* what the block's input counts for in the final stream */
    bool bias_after_norm, gated, normed_heads;
    bool gate_is_silu;      /* the gate is silu of what is tapped */
    int64_t gate_offset;    /* floats of a row of that before it */
    int64_t n_sub;          /* channels that a norm of heads takes together */
    const struct ggml_tensor *own; /* D of a recurrent layer, which a token adds to its own row; NULL: none */
    bool sub_is_output;      /* what the norm of heads reads is the output of the recurrent operation */
    size_t gate_width;       /* floats of a row of the gate */
    const struct ggml_tensor *values; /* what the attention weights multiply, valid until the next decode */
} hw__layer_graph;

/* The way from the final stream to the logits: scale W_out (gain norm(stream)) + biases, each with a factor. */
typedef struct hw__readout_graph {
    char norm[GGML_MAX_NAME], norm_bias[GGML_MAX_NAME], weight[GGML_MAX_NAME], bias[GGML_MAX_NAME];
    hw__norm kind;
    float eps, cap;
    enum ggml_type type; /* of the output weights */
    double scale, norm_bias_scale, bias_scale, origin_reach;
    float *mean; /* [D] mean row of the output weights, computed once */
    double mean_bias;
} hw__readout_graph;

/* Nodes of one decode, in order. */
typedef struct hw__record {
    struct ggml_tensor **nodes; /* [n] */
    size_t n, capacity;
    bool open, complete; /* nodes are noted; the last one needed has come */
    bool may_end;        /* then the decode need not go on */
    bool failed;         /* no memory */
} hw__record;

typedef enum hw__role {
    HW__TAP_ORIGIN,
    HW__TAP_BEFORE,
    HW__TAP_GATE,
    HW__TAP_SUB,
    HW__TAP_MIXED,
    HW__TAP_ADDED,
    HW__TAP_REST, /* what blocks add beside attention: for the proof alone */
    HW__TAP_FINAL,
    HW__N_TAPS
} hw__role;

/* A node whose rows are read: the one `offset` nodes behind the only one called `anchor`. The graphs of all decodes have both,
 * though they differ in numbers. */
typedef struct hw__tap {
    char anchor[GGML_MAX_NAME];
    size_t offset;
    enum ggml_op op;
    hw__role role;
    int32_t source; /* of sources, or -1 */
    int32_t number; /* in the recorded graph: the order */
    int64_t width;  /* floats of a row */
    double factor;  /* what a row counts for in the final stream */
    /* Of the decode in progress. */
    const struct ggml_tensor *node; /* NULL: has not come */
    bool kept;                      /* it lies in the arena until the decode is done */
    size_t place;                   /* where in the arena, in bytes */
} hw__tap;

/* Memory that nodes write to instead of the graph's own, which it uses again: see graph_tap.c. */
typedef struct hw__arena {
    unsigned char *base; /* malloc'd; nodes of a graph that is used again may point into it, so it never moves */
    size_t bytes;
    bool open; /* the decode in progress keeps its nodes */
} hw__arena;

/* Rows of taps, [n_rows, width] each; those of a layer's one after the other. */
typedef struct hw__tap_rows {
    float *rows[HW__N_TAPS];
    size_t capacity[HW__N_TAPS]; /* floats */
    size_t n[HW__N_TAPS];        /* rows that were read */
    float *factor;               /* [n_rows, H d] */
    size_t factor_capacity;
} hw__tap_rows;

/* The operations of a graph that move information from token to token and keep a state, in the order of the graph: see
 * recurrent_tap.c. */
typedef struct hw__recurrent_store hw__recurrent_store;
typedef struct hw__recurrent_ops {
    int32_t *source_of;          /* [n] or -1: a convolution in front of another of them */
    size_t n, n_seen;            /* how many there are; in the decode in progress so far */
    hw__recurrent_store *stores; /* [n_sources] those of attention are not used */
    size_t n_kept;               /* tokens of the sequence that all of them hold */
    size_t first_query;          /* first token whose query they hold */
} hw__recurrent_ops;

/* What the probe compares: see proof.c. */
typedef struct hw__proof hw__proof;

typedef struct hw__llama_engine {
    hw__engine base;
    hw_model_params params; /* defaults filled in */
    hw__purpose purpose;
    struct llama_model *model;
    hw__adapters adapters;
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
    hw__repacked repacked;

    hw_model_info info;
    char path[4096], architecture[HW__LLAMA_TEXT], name[HW__LLAMA_TEXT], quantisation[HW__LLAMA_TEXT],
        device[HW__LLAMA_TEXT];
    char problem[512];
    int32_t *layers;    /* [L] block of each attention layer, ascending */
    int32_t *layer_of;  /* [n_blocks] attention layer of each block, -1 none */
    hw_source *sources; /* [info.n_sources] in the order of the graph */
    int32_t *source_of; /* [n_blocks] source of each block's attention, -1 none */
    hw__recurrent_ops recurrent;
    char recurrent_problem[HW__LLAMA_TEXT];

    /* The decode in progress. */
    const hw__sink *sink;
    size_t at, n_rows, first_logit; /* absolute position of its first token, number of tokens, first row with logits */
    size_t n_seen;                  /* attention layers shown so far */
    hw_err failed;
    hw_error failure;

    /* What attention carries: found by the probe, read when asked. */
    hw__layer_graph *graphs; /* [n_sources] */
    hw__readout_graph readout;
    hw__record record;
    const struct ggml_tensor **heads; /* [n_blocks] attention of the decode in progress, where it was kept */
    hw__tap *taps;                    /* [n_taps] in the order of the graph */
    size_t n_taps, taps_capacity;
    size_t next_tap, n_asked,
        anchor_at;         /* the first that has not come; nodes so far; the anchor's number, or SIZE_MAX */
    bool recurrent_stop;    /* the graph stops at a recurrent operation */
    int32_t stopped_source; /* whose nodes are read where they are computed, or -1 */
    hw__proof *proof;      /* while it is made, else NULL */
    bool lacked;           /* the probe had no memory for something: what it says the model lacks may be there */
    hw__arena arena;
    hw__tap_rows tapped;
    char values_problem[HW__LLAMA_TEXT], readout_problem[HW__LLAMA_TEXT];
    hw__control_tokens controls;
    hw__mean_output *mean_output; /* nullable */
    hw__gguf *file; /* weights are read from it, since loaded ones may be repacked or on a device */
} hw__llama_engine;

/* The eval callback of a context whose user data is the engine. */
bool hw__llama_on_node(struct ggml_tensor *t, bool ask, void *user);
/* Whether the caller of the current sequence wants it to end. */
bool hw__llama_on_abort(void *user);

/* Makes the graph of a decode of ids [n] from position 0 and notes its nodes; computes as little as it can. The sequence is to be
 * begun again. Errors: as a decode. */
hw_err hw__llama_record(hw__llama_engine *e, const int32_t *ids, size_t n, hw_error *err);
/* Operations of the same names. */
hw_err hw__llama_decode(hw__engine *base, const int32_t *ids, size_t n, size_t at, size_t first_logit,
                        const hw__sink *sink, hw_error *err);
const float *hw__llama_logits(hw__engine *base, size_t i);

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

/* recurrent_tap.c: room for what recurrent operations read; e->recurrent.source_of is there. */
hw_err hw__recurrent_new(hw__llama_engine *e, hw_error *err);
void hw__recurrent_free(hw__llama_engine *e);
/* Before a decode, and for each node that ggml names: whether the graph must stop there; then with its data. False: e->failed. */
void hw__recurrent_begin(hw__llama_engine *e);
bool hw__recurrent_wants(hw__llama_engine *e, const struct ggml_tensor *t);
bool hw__recurrent_show(hw__llama_engine *e, const struct ggml_tensor *t);
hw_err hw__recurrent_end(hw__llama_engine *e, hw_error *err);
/* out->v, heads, recurrent <- what the source had of the tokens so far. */
hw_err hw__recurrent_fill(hw__llama_engine *e, hw__values *out, size_t source, hw_error *err);
/* [n_rows, H d] the operation's output in the last decode. */
const float *hw__recurrent_output(const hw__llama_engine *e, size_t source);
/* Bytes for each token, in all sources. */
double hw__recurrent_token_bytes(const hw__llama_engine *e);

/* hw__llama_values() whether or not there is a problem, of some channels of the projection [n_channels] where they are not NULL. */
hw_err hw__llama_layer_values(hw__llama_engine *e, hw__values *out, size_t source, const size_t *channels,
                              size_t n_channels, hw_error *err);
const struct ggml_tensor *hw__llama_cached_values(const struct ggml_tensor *t);

/* The operations of those names; the first four in tokenizer.c. */
hw_err hw__llama_tokenize(hw__engine *base, hw__tokens *out, const char *text, size_t n, unsigned flags, hw_error *err);
hw_err hw__llama_piece(hw__engine *base, hw__piece *out, int32_t id, hw_error *err);
hw_err hw__llama_text_limits(hw__engine *base, hw__text_limits *out, hw_error *err);
hw_err hw__llama_find_control(hw__engine *base, hw__control *out, const char *text, size_t n, size_t from,
                              hw_error *err);
hw_err hw__llama_values(hw__engine *base, hw__values *out, size_t layer, hw_error *err);
hw_err hw__llama_readout(hw__engine *base, float *out, hw__readout *how, int32_t id, hw_error *err);
hw_err hw__llama_resume(hw__engine *base, size_t *kept, const int32_t *ids, size_t n, size_t n_tokens, hw_stop_fn stop,
                        void *stop_ctx, hw_error *err);
hw_err hw__llama_save(hw__engine *base, hw__cache *out, const int32_t *ids, size_t n, hw_error *err);
void hw__llama_footprint(const hw__engine *base, const hw__extent *n, uint64_t *cache, uint64_t *buffers);
hw_err hw__llama_restore(hw__engine *base, const hw__cache *cache, const int32_t *ids, size_t n, hw_error *err);

#endif
