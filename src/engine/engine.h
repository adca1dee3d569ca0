/*
 * engine.h - the interface of an engine that runs a model: libllama, an exported attention file, the tests' fake.
 *
 * An engine tokenizes text, decodes tokens in order from position 0, and passes each layer's attention rows to a sink
 * while it decodes. It holds one sequence; begin() starts a new one. Only engine/llama/ uses ggml; higher layers see
 * plain arrays. An engine validates its arguments: no token id, length or position from above may make its library
 * abort.
 *
 * The folder engine/: the interface of engines. Implementations: llama/ runs GGUF models with libllama, import/ replays
 * exported attention.
 */
#ifndef HW_ENGINE_ENGINE_H
#define HW_ENGINE_ENGINE_H

#include "base/atomic_file.h"
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
    bool mean; /* n_heads is 1: the mean over heads, computed on the rows' device */
} hw__heads;

/* The residual stream around one source (attention or a recurrent layer), [n_rows, D] each, for absolute rows q0 and
 * up. The stream after it is before + added, also in blocks whose MLP runs in parallel. */
typedef struct hw__stream {
    const float *before; /* x: the block's input */
    const float *added;  /* a: the source's contribution, after output projection, bias, post-norm and fixed factors */
    const float *mixed;  /* o: input of the post-norm; NULL in blocks without one */
    size_t factor_width; /* H d */
    const float *factor; /* [n_rows, H d] factors of the heads' outputs before W_O: a gate, 1/rms; NULL: none */
    size_t n_rows, q0;   /* the last layer provides only rows whose logits are kept */
} hw__stream;

typedef enum hw__norm { HW__NORM_NONE, HW__NORM_RMS, HW__NORM_LAYER } hw__norm; /* LAYER subtracts the mean first */

/* Receives the data of a decode, once per layer and chunk; pointers are borrowed until it returns. An error ends the
 * decode. */
typedef struct hw__sink {
    hw_err (*rows)(void *ctx, size_t layer /* 0..L-1 */, const hw__heads *heads, hw_error *err);
    /* Both or none: they need two more stops of the graph per layer. */
    hw_err (*stream)(void *ctx, size_t source /* index into info.sources */, const hw__stream *stream, hw_error *err);
    hw_err (*final)(void *ctx, const float *rows /* [n_rows, D] before the final norm */, size_t n_rows, size_t q0,
                    hw_error *err);
    /* With an engine whose n_mixing is not 0: the factors of one row for carry(). */
    hw_err (*mixing)(void *ctx, const float *row /* [n_mixing] */, size_t q, hw_error *err);
    /* The input of the first block, with or without attention: embeddings. May be NULL. */
    hw_err (*origin)(void *ctx, const float *rows /* [n_rows, D] */, size_t n_rows, size_t q0, hw_error *err);
    void *ctx;
    /* Rows before these absolute positions are not needed: if a decode has no others the graph is not stopped. */
    size_t rows_from, stream_from; /* for rows(); for stream() and final() */
    /* For rows before this one the mean over heads is sufficient. An engine whose rows are on a device then passes a
     * layer's rows of one decode in two parts: means, and heads from here on. 0: heads of all rows. */
    size_t heads_from;
    bool values; /* values() will be called: engines keep the inputs of recurrent layers for each token, and queries
                    from stream_from on */
} hw__sink;

/* The values of one source (attention or a recurrent layer): the value of every token so far, and its projection into
 * the stream: f[h,k] = gain * scale * (W_O[:, h] (factor[h] * v[h / (H/H_kv), k])), with the query row's
 * hw__stream.factor if there is one. After a post-norm scale is divided by rms(o) of the query row; a LAYER norm
 * subtracts each f's mean before the gain. Zero-initialise before the first layer; the arrays are malloc'd and reused
 * for the next layers. */
typedef struct hw__values {
    float *v;      /* [n_taps, H_kv, d, n_tokens]: part i of token k belongs to the value of token k + i, whose weights
                      it has */
    size_t n_taps; /* parts of a value, from as many tokens: more than 1 behind a short convolution; 0: 1 */
    float *wo;     /* [D, H*d] */
    float *gain;   /* [D] for a post-norm; NULL: none */
    hw__norm norm;
    float eps;            /* for the post-norm's rms */
    float scale;          /* fixed factor, usually 1 */
    double stream_factor; /* from the stream at this source to the final one: the product of later blocks' factors */
    size_t n_heads, n_heads_kv, head_size, n_tokens;
    const hw__recurrent *recurrent;  /* the weights of the values: NULL for attention, whose rows the sink received */
    hw__recurrent recurrent_storage; /* storage of `recurrent`, with arrays owned by the engine */
    float *kept;                     /* [n_kept] storage of these arrays */
    double *kept_double;             /* [n_kept_double] */
    size_t n_kept, n_kept_double;
    float *gain_storage;                                        /* storage of `gain` */
    float *scratch;                                             /* for the engine */
    size_t v_capacity, wo_capacity, n_gain_capacity, n_scratch; /* floats */
} hw__values;
void hw__values_clear(hw__values *values); /* frees the arrays */

/* Maximum number of rows per decode whose logits are kept: their buffer has this many times V floats. */
enum { HW__MAX_LOGITS = 64, HW__MAX_PIECE = 1024 };

typedef struct hw__piece {
    char bytes[HW__MAX_PIECE]; /* [n_bytes] */
    size_t n_bytes;
    bool special; /* a control token: its bytes are its name, not text */
    bool end;     /* ends the text */
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

/* A malloc'd text. */
typedef struct hw__written {
    char *bytes; /* [n] malloc'd, terminated */
    size_t n;
} hw__written;

/* A conversation, and its chat template. */
typedef struct hw__chat {
    const hw_message *messages; /* [n_messages] */
    size_t n_messages;
    const char *source; /* Jinja; NULL: the model's own */
    hw_thinking thinking;
    hw_stop_fn stop; /* nullable: ends a template that takes long */
    void *stop_ctx;
} hw__chat;

/* Position of a control token's text. */
typedef struct hw__control {
    size_t begin, end;
    int32_t id;
    bool strips_before, strips_after; /* white space beside it is skipped */
} hw__control;

/* Keys and values of a sequence in the engine's own format. */
typedef struct hw__cache {
    unsigned char *bytes; /* [n_bytes] malloc'd */
    size_t n_bytes;
} hw__cache;

/* Limits of the text of a sequence. */
typedef struct hw__text_limits {
    size_t n_ctx;         /* tokens */
    size_t longest_piece; /* bytes of the longest token of the vocabulary */
} hw__text_limits;

typedef enum hw__tokenize_flags {
    HW__TOKENIZE_BOS = 1,       /* add the tokens that the model puts around a text (BOS) */
    HW__TOKENIZE_CONTINUES = 2, /* the text continues another one: no space is put before it */
} hw__tokenize_flags;

/* logit_id - mean logit = <stream, direction> / s(stream) + constant, where s is the root of eps plus the mean square
 * of the stream; a LAYER norm subtracts the stream's mean first (and the direction is orthogonal to it). Everything
 * refers to logits before a soft cap: see hw__engine.logit_cap. */
typedef struct hw__readout {
    hw__norm norm; /* NONE: s is 1 */
    float eps;
    double constant; /* biases of the final norm and of the output, which belong to no token */
    double origin;   /* factor from the input of the first block to the final stream */
} hw__readout;

typedef struct hw__engine hw__engine;

/* Tokens of a sequence that is not decoded yet: the prompt, a prefix of which is in the cache, then a given completion,
 * are decoded in chunks, all others one by one. */
typedef struct hw__extent {
    size_t kept, prompt, given, all;
} hw__extent;

/* Tokens that are decoded together, the first at position `at`. */
typedef struct hw__token_batch {
    const int32_t *ids; /* [n] */
    size_t n, at;
    size_t first_logit; /* rows from here on have logits; n: none has */
} hw__token_batch;

/* A sequence that begins with ids [n] and becomes n_tokens long. */
typedef struct hw__sequence {
    const int32_t *ids;
    size_t n, n_tokens;
    hw_stop_fn stop; /* may be NULL */
    void *stop_ctx;
} hw__sequence;

typedef struct hw__engine_ops {
    const hw_model_info *(*describe)(const hw__engine *e);
    /* Tokenizes [n] bytes without parsing control tokens; the caller frees out->ids. */
    hw_err (*tokenize)(hw__engine *e, hw__tokens *out, const char *text, size_t n, unsigned flags, hw_error *err);
    hw_err (*piece)(hw__engine *e, hw__piece *out, int32_t id, hw_error *err);
    /* Renders a conversation with its chat template, up to the beginning of the answer; without the BOS that tokenize()
     * adds. */
    hw_err (*render)(hw__engine *e, hw__written *out, const hw__chat *chat, hw_error *err);
    /* Finds the first text of a control token at or after byte `from`, the longest one there; out->end is 0 if there is
     * none. tokenize() treats such text as plain text. */
    hw_err (*find_control)(hw__engine *e, hw__control *out, const char *text, size_t n, size_t from, hw_error *err);
    /* Drops the sequence and prepares for one of `n_tokens`. `stop` may be NULL. */
    hw_err (*begin)(hw__engine *e, size_t n_tokens, hw_stop_fn stop, void *stop_ctx, hw_error *err);
    /* Drops the tokens from position `n_tokens` on; earlier ones stay decoded. */
    hw_err (*rewind)(hw__engine *e, size_t n_tokens, hw_error *err);
    /* Maximum number of tokens per decode. */
    size_t (*chunk)(const hw__engine *e);
    /* Appends ids [n] at position `at` (the number decoded so far). Logits are kept for rows first_logit..n-1,
     * at most HW__MAX_LOGITS of them; first_logit == n keeps none. */
    hw_err (*decode)(hw__engine *e, hw__token_batch batch, const hw__sink *sink, hw_error *err);
    /* [V] logits of row `i` of the last decode, first_logit <= i < n; NULL if not kept. */
    const float *(*logits)(hw__engine *e, size_t i);
    /* Samples a token from the logits of row `i` of the last decode. `step` 0 restarts the random generator. */
    hw_err (*sample)(hw__engine *e, int32_t *out, size_t i, size_t step, const hw__sampling *sampling, hw_error *err);
    /* Values and weights of a source for the tokens decoded so far. Only if info.values_problem is "". With
     * values_shared, several threads may call it at once, each with its own `out`. */
    hw_err (*values)(hw__engine *e, hw__values *out, size_t source, hw_error *err);
    /* Direction in which the final stream [D] raises the logit of `id` above the mean logit; see hw__readout. Only if
     * info.readout_problem is "". */
    hw_err (*readout)(hw__engine *e, float *out, hw__readout *how, int32_t id, hw_error *err);
    /* out [n_sources + 1, D] <- direction z [D] of the final stream as it is at the contribution of each source, and at
     * the embedding (last): mixed by the factors of a row, as the sink's mixing() received them. Only if n_mixing is
     * not 0; NULL in engines where it always is. Error MEMORY. */
    hw_err (*carry)(const hw__engine *e, float *out, const float *z, const float *mixing, hw_error *err);
    void (*close)(hw__engine *e);
    /* The remaining functions are for engines with a cache; NULL in others. */
    /* begin() for a sequence that starts with ids [n], of which the first *kept stay decoded: the common prefix with
     * the previous sequence. Errors: as begin(). */
    hw_err (*resume)(hw__engine *e, size_t *kept, const hw__sequence *sequence, hw_error *err);
    /* Saves the cache of ids [n], which must be the whole sequence, as bytes for restore(). UNSUPPORTED if the cache
     * has a form that cannot be saved. */
    hw_err (*save)(hw__engine *e, hw__cache *out, const int32_t *ids, size_t n, hw_error *err);
    /* Restores the sequence ids [n]. Checks every byte: FORMAT if they are not a cache of n tokens of this model. */
    hw_err (*restore)(hw__engine *e, const hw__cache *cache, const int32_t *ids, size_t n, hw_error *err);
    /* Bytes of keys and values for a sequence, and of the largest graph with its tapped nodes. */
    void (*footprint)(const hw__engine *e, const hw__extent *n, uint64_t *cache, uint64_t *buffers);
    /* Limits for checking a text before it is tokenized. */
    hw_err (*text_limits)(hw__engine *e, hw__text_limits *out, hw_error *err);
} hw__engine_ops;

struct hw__engine {
    const hw__engine_ops *ops;   /* first member of every implementation */
    size_t n_threads;            /* threads that higher layers may use while the engine is idle; 0: one */
    float logit_cap;             /* logits are cap tanh(u / cap), and readout() refers to u; 0: logits are u */
    size_t mask_first, n_masked; /* tokens whose logits the model replaces: readout() refuses them, and means are of the
                                    others */
    size_t n_factors;            /* floats of a row that scale heads' outputs before W_O, over all sources */
    size_t n_mixing;       /* 0: the final stream is a sum of contributions, each with a fixed factor. Else it mixes
                                  them by factors of the row, of which there are so many floats; the stream is then
                                  shown only by decodes of a single token with logits */
    const int32_t *unread; /* [n_sources + 1] blocks between the source before and this one, or the end, that read
                                  other tokens and are no source; NULL: none */
    bool values_shared;
    bool generates; /* it generates text token by token, even if that cannot be explained */
};

/* Replays `attention` of a safetensors file, or of its bytes, which are borrowed until the close. Its tokens are given,
 * not sampled: see hw__engine_import_info(). */
hw_err hw__engine_import_open(hw__engine **out, hw__input from, hw_error *err);

/* The file's information on its tokens. */
typedef struct hw__import_info {
    size_t n_tokens;          /* T */
    size_t n_prompt;          /* m; T if the file does not give it */
    bool has_prompt;          /* the file gives m */
    bool causal;              /* every weight on a later column is exactly 0 */
    const char *const *texts; /* [T], or NULL if the file has no token texts */
} hw__import_info;
const hw__import_info *hw__engine_import_info(const hw__engine *e);

/* Purpose of opening a model. A model opened for generation only cannot be explained: no node of its graph is tapped,
 * and no probe runs. */
typedef enum hw__purpose {
    HW__EXPLAINS,
    HW__GENERATES,
    HW__GENERATES_FLASH /* with fused kernels, which do not store attention weights */
} hw__purpose;

/* hw_model_open() for this purpose: the reference that the bench compares explanations with. */
hw_err hw__model_open(hw_model **out, const char *path, const hw_model_params *params, hw__purpose purpose,
                      hw_error *err);

struct hw_model {
    hw__engine *engine;
    hw_model_params params; /* with defaults filled in */
};

#endif
