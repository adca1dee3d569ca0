/*
 * engine.h - the seam to whatever runs a model: libllama, an exported attention file, the tests' fake.
 *
 * An engine turns text to tokens, decodes tokens in order from position 0, and shows each layer's attention rows
 * to a sink while it does. It keeps one sequence; begin() starts a new one. Only engine_llama*.c know ggml;
 * everything above this line sees plain arrays. An engine validates what it is given: no token id, length or
 * position from above may make the library behind it abort.
 */
#ifndef HW_ENGINE_ENGINE_H
#define HW_ENGINE_ENGINE_H

#include "base/error.h"
#include "math/recurrent_rows.h"

/* Attention weights of one layer for a chunk of query rows: weight of head h, row q (absolute position
 * q0 + q) on column k is at attn[h*head_stride + q*row_stride + k]. Columns at or beyond `n_keys` do not exist;
 * padded columns (k > position, causal) are present and zero. */
typedef struct hw__heads {
    const float *attn;
    size_t n_heads, n_rows, n_keys;
    size_t head_stride, row_stride; /* in floats */
    size_t q0;
    bool mean; /* n_heads is 1: the mean over heads, summed where the rows live */
} hw__heads;

/* The residual stream around one source, attention or a recurrent layer, [n_rows, D] each, for absolute rows q0 and up. The
 * stream after it is before + added, in blocks whose MLP runs beside it too. */
typedef struct hw__stream {
    const float *before; /* x: what enters the block */
    const float *added;  /* a: what the source adds, after output projection, bias, post-norm and fixed factors */
    const float *mixed;  /* o: what the post-norm reads; NULL in blocks without one */
    size_t factor_width; /* H d */
    const float
        *factor; /* [n_rows, H d] what heads' outputs are multiplied by before W_O: a gate, 1/rms; NULL: nothing */
    size_t n_rows, q0; /* the last layer shows only rows whose logits are kept */
} hw__stream;

typedef enum hw__norm { HW__NORM_NONE, HW__NORM_RMS, HW__NORM_LAYER } hw__norm; /* LAYER takes the mean off first */

/* Receives what a decode shows, once per layer and chunk; borrowed until it returns. An error ends the decode. */
typedef struct hw__sink {
    hw_err (*rows)(void *ctx, size_t layer /* 0..L-1 */, const hw__heads *heads, hw_error *err);
    /* Both or none: asking for them costs two more stops of the graph a layer. */
    hw_err (*stream)(void *ctx, size_t source /* of info.sources */, const hw__stream *stream, hw_error *err);
    hw_err (*final)(void *ctx, const float *rows /* [n_rows, D] before the final norm */, size_t n_rows, size_t q0,
                    hw_error *err);
    /* What enters the first block, whether that has attention or not: embeddings. May be NULL. */
    hw_err (*origin)(void *ctx, const float *rows /* [n_rows, D] */, size_t n_rows, size_t q0, hw_error *err);
    void *ctx;
    /* Rows before these absolute positions need not be shown: where a decode has no others the graph is not stopped. */
    size_t rows_from, stream_from; /* of rows(); of stream() and final() */
    /* Of rows before this one the mean over heads is enough. An engine whose rows are on a device then shows a layer's rows of
     * one decode in two parts: means, and heads from here on. 0: heads of all rows. */
    size_t heads_from;
    bool values; /* values() will be called: engines keep what recurrent layers had of each token, for queries from stream_from on */
} hw__sink;

/* What one source moves, attention or a recurrent layer: the value of every token so far, and how it arrives in the stream:
 * f[h,k] = gain * scale * (W_O[:, h] (factor[h] * v[h / (H/H_kv), k])), with the query row's hw__stream.factor where there is
 * one. After a post-norm scale is divided by rms(o) of the query row; a LAYER norm takes each f's mean off before the gain.
 * Zeroed before the first layer that is read into it; the arrays are malloc'd and used again for the next. */
typedef struct hw__values {
    float *v;    /* [H_kv, d, n_tokens] */
    float *wo;   /* [D, H*d] */
    float *gain; /* [D] of a post-norm; NULL: none */
    hw__norm norm;
    float eps;   /* of the post-norm's rms */
    float scale; /* fixed factor, usually 1 */
    double
        reach; /* what the stream around this attention counts for in the final stream: the factors of later blocks */
    size_t n_heads, n_heads_kv, head_size, n_tokens;
    const hw__recurrent *recurrent; /* what weighs them: NULL for attention, whose rows the sink was shown */
    hw__recurrent recurrent_room;   /* what `recurrent` points to, in arrays of the engine's */
    float *kept;                    /* [n_kept] which these lie in */
    double *kept_double;            /* [n_kept_double] */
    size_t n_kept, n_kept_double;
    float *gain_room;                               /* what `gain` points to */
    float *scratch;                                 /* of the engine */
    size_t v_room, wo_room, n_gain_room, n_scratch; /* floats */
} hw__values;
void hw__values_clear(hw__values *values); /* frees the arrays */

/* Most rows of one decode whose logits are kept: their buffer is this many times V floats. */
enum { HW__MAX_LOGITS = 64, HW__MAX_PIECE = 1024 };

typedef struct hw__piece {
    char bytes[HW__MAX_PIECE]; /* [n_bytes] */
    size_t n_bytes;
    bool special; /* a control token: its bytes are its name, not text */
    bool end;     /* ends a generation */
} hw__piece;

typedef struct hw__sampling {
    float temperature, top_p;
    int32_t top_k;
    uint32_t seed;
} hw__sampling;

typedef struct hw__tokens {
    int32_t *ids; /* [n] malloc'd */
    size_t n;
} hw__tokens;

/* A text that a function made. */
typedef struct hw__written {
    char *bytes; /* [n] malloc'd, a terminator behind */
    size_t n;
} hw__written;

/* A conversation, and the chat template that writes it. */
typedef struct hw__chat {
    const hw_message *messages; /* [n_messages] */
    size_t n_messages;
    const char *source; /* Jinja; NULL: the model's own */
    hw_thinking thinking;
} hw__chat;

/* Where the text of a control token stands. */
typedef struct hw__control {
    size_t begin, end;
    int32_t id;
    bool strips_before, strips_after; /* white space beside it is not read */
} hw__control;

/* Keys and values of a sequence in the engine's own form. */
typedef struct hw__cache {
    unsigned char *bytes; /* [n_bytes] malloc'd */
    size_t n_bytes;
} hw__cache;

/* How much text a sequence can hold. */
typedef struct hw__text_limits {
    size_t n_ctx;         /* tokens */
    size_t longest_piece; /* bytes of the longest token of the vocabulary */
} hw__text_limits;

typedef enum hw__tokenize_flags {
    HW__TOKENIZE_BOS = 1,       /* add what the model puts around a text (BOS) */
    HW__TOKENIZE_CONTINUES = 2, /* the text goes on from another: no space is put before it */
} hw__tokenize_flags;

/* logit_id - mean logit = <stream, direction> / s(stream) + constant, s the root of eps plus the mean square of the stream,
 * less its mean in a LAYER norm (which the direction is orthogonal to). All of it is about logits before a soft cap:
 * see hw__engine.logit_cap. */
typedef struct hw__readout {
    hw__norm norm;
    float eps;
    double constant; /* biases of the final norm and of the output, which belong to no token */
    double origin;   /* what the stream that enters the first block counts for in the final one */
} hw__readout;

typedef struct hw__engine hw__engine;

/* Tokens of a sequence that is not decoded yet: those of the prompt, of which the first are there already, then of a given
 * completion are decoded a chunk at a time, the others one by one. */
typedef struct hw__extent {
    size_t kept, prompt, given, all;
} hw__extent;

typedef struct hw__engine_ops {
    const hw_model_info *(*describe)(const hw__engine *e);
    /* Tokens of [n] bytes, none of which is read as a control token; the caller frees out->ids. */
    hw_err (*tokenize)(hw__engine *e, hw__tokens *out, const char *text, size_t n, unsigned flags, hw_error *err);
    hw_err (*piece)(hw__engine *e, hw__piece *out, int32_t id, hw_error *err);
    /* Writes a conversation by its chat template, up to where the answer begins; without the BOS that tokenize() adds. */
    hw_err (*render)(hw__engine *e, hw__written *out, const hw__chat *chat, hw_error *err);
    /* The first text of a control token at or after byte `from`, the longest there; out->end is 0 where there is none. tokenize()
     * reads such text as letters. */
    hw_err (*find_control)(hw__engine *e, hw__control *out, const char *text, size_t n, size_t from, hw_error *err);
    /* Forgets the sequence and makes room for one of `n_tokens`. `stop` may be NULL. */
    hw_err (*begin)(hw__engine *e, size_t n_tokens, hw_stop_fn stop, void *stop_ctx, hw_error *err);
    /* Forgets the tokens from position `n_tokens` on; what came before stays decoded. */
    hw_err (*rewind)(hw__engine *e, size_t n_tokens, hw_error *err);
    /* Most tokens that one decode takes. */
    size_t (*chunk)(const hw__engine *e);
    /* Appends ids [n] at position `at` (the number decoded so far). Logits are kept for rows first_logit..n-1,
     * at most HW__MAX_LOGITS of them; first_logit == n keeps none. */
    hw_err (*decode)(hw__engine *e, const int32_t *ids, size_t n, size_t at, size_t first_logit, const hw__sink *sink,
                     hw_error *err);
    /* [V] logits of row `i` of the last decode, first_logit <= i < n; NULL if not kept. */
    const float *(*logits)(hw__engine *e, size_t i);
    /* Chooses a token from the logits of row `i` of the last decode. `step` 0 starts the generator afresh. */
    hw_err (*sample)(hw__engine *e, int32_t *out, size_t i, size_t step, const hw__sampling *sampling, hw_error *err);
    /* Values and weights of a source for the tokens decoded so far. Only where info.values_problem is "". With
     * values_shared, several threads may call it at once, each with values of its own. */
    hw_err (*values)(hw__engine *e, hw__values *out, size_t source, hw_error *err);
    /* Direction in which the final stream [D] raises the logit of `id` above the mean logit; see hw__readout. Only where
     * info.readout_problem is "". */
    hw_err (*readout)(hw__engine *e, float *out, hw__readout *how, int32_t id, hw_error *err);
    void (*close)(hw__engine *e);
    /* The rest is of engines that keep what they decoded; NULL in others. */
    /* begin() for a sequence that starts with ids [n], of which the first *kept stay decoded: as many as the sequence before
     * shares with it. Errors: as begin(). */
    hw_err (*resume)(hw__engine *e, size_t *kept, const int32_t *ids, size_t n, size_t n_tokens, hw_stop_fn stop,
                     void *stop_ctx, hw_error *err);
    /* What was decoded of ids [n], which must be the whole sequence, as bytes that restore() reads. UNSUPPORTED where the
     * cache has a form that cannot be kept. */
    hw_err (*save)(hw__engine *e, hw__cache *out, const int32_t *ids, size_t n, hw_error *err);
    /* Makes the sequence ids [n] again. Every byte is checked: FORMAT where they are no cache of n tokens of this model. */
    hw_err (*restore)(hw__engine *e, const hw__cache *cache, const int32_t *ids, size_t n, hw_error *err);
    /* Bytes that a sequence takes in keys and values, and in the largest graph with what it shows. */
    void (*footprint)(const hw__engine *e, const hw__extent *n, uint64_t *cache, uint64_t *buffers);
    /* What bounds a text before it is tokenized. */
    hw_err (*text_limits)(hw__engine *e, hw__text_limits *out, hw_error *err);
} hw__engine_ops;

struct hw__engine {
    const hw__engine_ops *ops; /* first member of every implementation */
    size_t n_threads;          /* that work above it may use while it waits; 0: one */
    float logit_cap;           /* logits are cap tanh(u / cap), and readout() is about u; 0: they are u */
    bool values_shared;
    bool generates; /* it writes text one token after the other, whether or not that can be explained */
};

/* Replays `attention` of a safetensors file. Its tokens are given, not chosen: see hw__engine_import_info(). */
hw_err hw__engine_import_open(hw__engine **out, const char *path, hw_error *err);

/* What an import's file says of its tokens. */
typedef struct hw__import_info {
    size_t n_tokens;          /* T */
    size_t n_prompt;          /* m; T where the file gives none */
    bool has_prompt;          /* the file gives m */
    bool causal;              /* every weight on a later column is exactly 0 */
    const char *const *texts; /* [T] or NULL where the file names none */
} hw__import_info;
const hw__import_info *hw__engine_import_info(const hw__engine *e);

/* What a model is opened for. One that only generates cannot be explained: no node of its graph is tapped, and no probe runs. */
typedef enum hw__purpose {
    HW__EXPLAINS,
    HW__GENERATES,
    HW__GENERATES_FLASH /* with fused kernels, which keep no attention weights */
} hw__purpose;

/* hw_model_open() for that purpose: what the bench compares explanations with. */
hw_err hw__model_open(hw_model **out, const char *path, const hw_model_params *params, hw__purpose purpose, hw_error *err);

struct hw_model {
    hw__engine *engine;
    hw_model_params params; /* with defaults filled in */
};

#endif
