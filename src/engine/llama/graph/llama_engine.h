/*
 * llama_engine.h - internals of the libllama engine, shared by the files of these folders:
 *
 *     ../             opens a model, decodes, tokenizes, samples; probes once, at load, which data a model provides
 *     ../device/      backends, devices of this machine and of others, reads from their memory
 *     ../file/        what the files of a model contain
 *     graph_ops.c     properties of nodes
 *     graph_nodes.c   numbers of nodes
 *     graph_walk.c    how attention reaches the stream, and the stream the logits, read from a graph
 *     stream_mark.c   which nodes carry a stream that is mixed
 *     stream_map.c    such a stream as a linear function of what blocks add
 *     proof.c         verifies this against the engine's own numbers
 *     graph_tap.c     reads attention rows and the stream from the graph of a decode
 *     recurrent_tap.c keeps the inputs of recurrent layers for each token
 *     weights.c       values and weights, read when signals are computed
 *
 * Only these folders include ggml. ggml lists dimensions fastest first; that order is converted here. ggml aborts
 * the process on invalid input: every length, id and position is checked before a call.
 */
#ifndef HW_ENGINE_LLAMA_GRAPH_LLAMA_ENGINE_H
#define HW_ENGINE_LLAMA_GRAPH_LLAMA_ENGINE_H

#include "engine/engine.h"
#include "engine/llama/device/device_read.h"
#include "engine/llama/device/devices.h"
#include "engine/llama/file/adapters.h"
#include "engine/llama/file/control_tokens.h"
#include "engine/llama/file/gguf.h"
#include "engine/llama/file/mean_output.h"

#include <llama.h>

enum { HW__LLAMA_TEXT = 256 };

/* A low-rank change of a weight by an adapter, factor * B A. */
typedef struct hw__lora {
    const struct ggml_tensor *a, *b; /* [rank, width], [D, rank] */
    float factor;
} hw__lora;
enum { HW__MAX_LORA = 4 };

/* How one source (attention or a recurrent layer) reaches the stream in the graph. Names are tensors of the file, ""
 * for none: added = relative (bias_scale bias + scale gain norm(W_O (factor * heads) + bias)), where a bias is in one
 * of both places. */
typedef struct hw__layer_graph {
    char wo[GGML_MAX_NAME], gain[GGML_MAX_NAME], bias[GGML_MAX_NAME];
    char sub_gain[GGML_MAX_NAME];   /* gain of a norm before W_O */
    char decompress[GGML_MAX_NAME]; /* [H, d, latent]: computes heads' values from latent ones (MLA) */
    hw__lora lora[HW__MAX_LORA];
    size_t n_lora;
    enum ggml_type wo_type;
    int64_t wo_width, decompressed; /* H d; d */
    int32_t n_heads;                /* of attention */
    int64_t n_sub_gain;             /* H d, or d if heads share it */
    hw__norm kind;                  /* kind of the post-norm */
    float eps, sub_eps, scale, bias_scale;
    float relative;       /* factor of the contribution, relative to the block's input */
    double stream_factor; /* factor from the block's input to the final stream */
    bool bias_after_norm, gated, normed_heads;
    bool gate_is_silu;             /* the gate is silu of the tapped node */
    int64_t gate_offset;           /* offset of the gate in a row, in floats */
    int64_t n_sub;                 /* number of channels in a group of a norm of heads */
    const struct ggml_tensor *own; /* D of a recurrent layer, or the weights of its bonus, by which a token contributes
                                      to its own row; NULL: none */
    bool sub_is_output;            /* the norm of heads reads the output of the recurrent operation */
    size_t gate_width;             /* floats of a row of the gate */
    const struct ggml_tensor *values; /* what the attention weights multiply, valid until the next decode */
} hw__layer_graph;

/* From the final stream to the logits: scale W_out (gain norm(stream)) + biases, each with a factor. */
typedef struct hw__readout_graph {
    char norm[GGML_MAX_NAME], norm_bias[GGML_MAX_NAME], weight[GGML_MAX_NAME], bias[GGML_MAX_NAME];
    hw__norm kind;
    float eps, cap;
    enum ggml_type type;         /* type of the output weights */
    bool elsewhere;              /* they are on a device other than the CPU */
    bool has_logits;             /* the graph computes logits */
    size_t mask_first, n_masked; /* tokens whose logits the graph replaces */
    double scale, norm_bias_scale, bias_scale, origin_factor;
    float *mean; /* [D] mean row of the output weights, computed once */
    double mean_bias;
} hw__readout_graph;

/* Nodes of one decode, in order. */
typedef struct hw__record {
    struct ggml_tensor **nodes; /* [n] */
    size_t n, capacity;
    bool open, complete; /* recording is on; the last needed node has been recorded */
    bool may_end;        /* the decode may be aborted then */
    bool failed;         /* memory ran out */
} hw__record;

typedef enum hw__role {
    HW__TAP_ORIGIN,
    HW__TAP_BEFORE,
    HW__TAP_GATE,
    HW__TAP_SUB,
    HW__TAP_MIXED,
    HW__TAP_ADDED,
    HW__TAP_REST, /* other contributions of blocks than attention: for the proof only */
    HW__TAP_FINAL,
    HW__N_TAPS
} hw__role;

/* A node whose rows are read: the one `offset` nodes after the only one named `anchor`. The graphs of all decodes have
 * both, but with other numbers. */
typedef struct hw__tap {
    char anchor[GGML_MAX_NAME];
    size_t offset;
    enum ggml_op op;
    hw__role role;
    int32_t source; /* index of a source, or -1 */
    int32_t number; /* number in the recorded graph, which determines the order */
    int64_t width;  /* floats of a row */
    double factor;  /* factor from a row to the final stream */
    bool completes; /* the last tap of its source */
    /* In the decode in progress. */
    const struct ggml_tensor *node; /* NULL: not reached yet */
    bool kept;                      /* it is in the arena until the decode is done */
    size_t place;                   /* where in the arena, in bytes */
} hw__tap;

/* Memory that nodes write to instead of the graph's own, which is reused: see graph_tap.c. */
typedef struct hw__tap_arena {
    unsigned char *base; /* malloc'd; nodes of a reused graph may point into it, so it never moves */
    size_t bytes;
    bool open; /* nodes of the decode in progress are redirected */
} hw__tap_arena;

/* Rows of taps, [n_rows, width] each; those of a layer are adjacent. */
typedef struct hw__tap_rows {
    float *rows[HW__N_TAPS];
    size_t capacity[HW__N_TAPS]; /* floats */
    size_t n[HW__N_TAPS];        /* rows read */
    float *factor;               /* [n_rows, H d] */
    size_t factor_capacity;
} hw__tap_rows;

/* Operations of a graph that move information between tokens and keep a state, in graph order: see recurrent_tap.c. */
typedef struct hw__recurrent_store hw__recurrent_store;
typedef struct hw__front hw__front; /* value_convolution.h */
typedef struct hw__recurrent_ops {
    int32_t *source_of;          /* [n] or -1: a convolution before another such operation */
    int32_t *front_of;           /* [n] the source whose values this convolution makes, or -1 */
    size_t n, n_seen;            /* their number; number reached in the decode in progress */
    hw__recurrent_store *stores; /* [n_sources] entries of attention are unused */
    struct ggml_tensor **ops;    /* [n] those of the decode in progress that are read */
    bool *late;                  /* [n] which of them are read when it is done */
    size_t moved;                /* bytes at the arena's end that nodes of a reused graph may write to */
    size_t n_keys;               /* columns of the last decode, rounded as libllama does */
    size_t n_kept;               /* tokens of the sequence for which all of them have data */
    size_t first_query;          /* first token with a query */
} hw__recurrent_ops;

/* Comparisons of the probe: see proof.c. */
typedef struct hw__proof hw__proof;

typedef struct hw__llama_engine {
    hw__engine base;
    hw_model_params params; /* defaults filled in */
    hw__purpose purpose;
    struct llama_model *model;
    bool borrowed;                 /* the model belongs to the caller */
    struct hw__follower *follower; /* follows a run of the caller's own context; NULL: none */
    hw__adapters adapters;
    const struct llama_vocab *vocab;
    struct llama_context *ctx;
    struct llama_sampler *sampler;
    struct llama_batch batch; /* capacity: params.n_ubatch tokens */
    size_t longest_piece;     /* bytes; 0: not determined yet */
    int32_t *ids;             /* [context] tokens in the cache */
    size_t n_done;            /* number of tokens in the cache */
    hw_stop_fn stop;          /* of the current sequence */
    void *stop_ctx;

    hw__rpc rpc;                                     /* servers whose devices are used */
    ggml_backend_dev_t devices[HW__MAX_DEVICES + 1]; /* NULL at the end */
    hw__device_read *device_read;                    /* reads from devices */
    hw__placement placement;
    hw__repacked repacked;

    hw_model_info info;
    char path[4096], architecture[HW__LLAMA_TEXT], name[HW__LLAMA_TEXT], quantisation[HW__LLAMA_TEXT],
        device[HW__LLAMA_TEXT];
    char problem[512];
    int32_t *layers;    /* [L] block of each attention layer, ascending */
    int32_t *layer_of;  /* [n_blocks] attention layer of each block, -1 none */
    hw_source *sources; /* [info.n_sources] in graph order */
    int32_t *source_of; /* [n_blocks] source of each block's attention, -1 none */
    hw__recurrent_ops recurrent;
    char recurrent_problem[HW__LLAMA_TEXT];
    int32_t *unread, n_unread; /* [2 n_blocks + 1] of base.unread; their number */

    /* The decode in progress. */
    const hw__sink *sink;
    size_t at, n_rows, first_logit; /* absolute position of its first token, number of tokens, first row with logits */
    size_t n_seen;                  /* attention layers shown so far */
    bool needs_logits;              /* the graph cannot be built for a decode without logits */
    bool lookup_first;              /* the graph begins with the lookup of the tokens' embeddings */
    hw_err failed;
    hw_error failure;

    /* Analysis of the graph, made by the probe. */
    hw__layer_graph *graphs; /* [n_sources] */
    hw__readout_graph readout;
    bool mapped;                /* the stream is followed by a map, in graphs of one token */
    struct hw__stream_map *map; /* NULL: none */
    bool map_stop;              /* the graph stops at a node that the map reads */
    hw__record record;
    const struct ggml_tensor **heads; /* [n_blocks] attention nodes of the decode in progress, if redirected */
    hw__tap *taps;                    /* [n_taps] in graph order */
    size_t n_taps, taps_capacity;
    size_t next_tap, n_callbacks,
        anchor_at;          /* the first tap not reached; number of nodes so far; the anchor's number, or SIZE_MAX */
    bool recurrent_stop;    /* the graph stops at a recurrent operation */
    int32_t stopped_source; /* source whose nodes are read when computed, or -1 */
    hw__proof *proof;       /* during the probe, else NULL */
    bool no_memory;         /* the probe ran out of memory: data that it reports as missing may exist */
    hw__tap_arena arena;
    hw__tap_rows tapped;
    char values_problem[HW__LLAMA_TEXT], readout_problem[HW__LLAMA_TEXT];
    hw__control_tokens controls;
    hw__mean_output *mean_output; /* nullable */
    hw__gguf *file;               /* weights are read from it, because loaded ones may be repacked or on a device */
} hw__llama_engine;

/* Eval callback of a context whose user data is the engine. */
bool hw__llama_on_node(struct ggml_tensor *t, bool ask, void *user);
/* Whether the caller wants to stop the current sequence. */
bool hw__llama_on_abort(void *user);

/* Before a decode: decides whether its nodes are redirected. After it: passes those to the sink. */
void hw__llama_taps_begin(hw__llama_engine *e);
hw_err hw__llama_taps_end(hw__llama_engine *e, hw_error *err);

/* Maximum arena bytes of a pass over the sequence. */
size_t hw__llama_taps_bytes(const hw__llama_engine *e, const hw__extent *n);
/* Allocates what the probe needs, and the stream of one decode. */
hw_err hw__llama_taps_new(hw__llama_engine *e, size_t n_blocks, hw_error *err);
void hw__llama_taps_free(hw__llama_engine *e);

/* recurrent_tap.c: allocates the data of recurrent operations; e->recurrent.source_of must be set. */
hw_err hw__recurrent_new(hw__llama_engine *e, hw_error *err);
/* Fills e->unread, while the graph is recorded and its sources are listed. */
hw_err hw__find_unread(hw__llama_engine *e, hw_error *err);
/* Finds the convolutions in front of the values of the recorded operations. */
hw_err hw__recurrent_find_fronts(hw__llama_engine *e, hw_error *err);
void hw__recurrent_free(hw__llama_engine *e);
/* Before a decode; for each node that ggml reports: whether the graph must stop there; then with its data. False: error
 * in e->failed. */
void hw__recurrent_begin(hw__llama_engine *e);
bool hw__recurrent_wants(hw__llama_engine *e, struct ggml_tensor *t);
bool hw__recurrent_show(hw__llama_engine *e, const struct ggml_tensor *t);
/* Reads operations behind which the graph did not stop: before the streams around them. */
bool hw__recurrent_show_late(hw__llama_engine *e);
hw_err hw__recurrent_end(hw__llama_engine *e, hw_error *err);
/* After a decode of one token whose nodes have been read: those that the graph stopped for get memory of their own. */
void hw__recurrent_move(hw__llama_engine *e);
/* out->v, heads, recurrent <- the source's data of the tokens so far. */
hw_err hw__recurrent_fill(hw__llama_engine *e, hw__values *out, size_t source, hw_error *err);
/* [n_rows, H d] the operation's output in the last decode. */
const float *hw__recurrent_output(const hw__llama_engine *e, size_t source);
/* Bytes per token, for all sources. */
double hw__recurrent_token_bytes(const hw__llama_engine *e);
/* Bytes per token of the largest source while its signals are computed, as floats, for one thread. */
double hw__recurrent_work_bytes(const hw__llama_engine *e);

/* hw__llama_values() even if there is a problem, for the channels [n_channels] of the projection unless they are
 * NULL. */
hw_err hw__llama_layer_values(hw__llama_engine *e, hw__values *out, size_t source, const size_t *channels,
                              size_t n_channels, hw_error *err);
const struct ggml_tensor *hw__llama_cached_values(const struct ggml_tensor *t);

/* weights.c: engine operations with these names. */
hw_err hw__llama_values(hw__engine *base, hw__values *out, size_t layer, hw_error *err);
hw_err hw__llama_readout(hw__engine *base, float *out, hw__readout *how, int32_t id, hw_error *err);

#endif
