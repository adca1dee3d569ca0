/*
 * headwater.h - traces every generated token back to its sources in the prompt.
 *
 * The one public header of libheadwater; C99 and C++. Data flows one way:
 *
 *     hw_model --hw_trace_capture--> hw_trace --hw_explain--> hw_attribution --hw_view_new--> hw_view
 *
 * A trace holds all that an explanation needs, so it can be saved, reopened without the model and explained again by
 * any method. An attribution is the tensor M; a view selects, filters and averages it and never changes it.
 *
 * Letters: L layers with attention, H query heads, T tokens = m prompt + n completion, V vocabulary. `q` is a query
 * row, `k` a key column; both count from 0. Arrays are row-major, slowest index first.
 *
 * Target rows are the rows m-1 .. m+n-1: those that explain completion tokens.
 *
 * Sections, in this order:
 *
 *     errors and messages          hw_error, hw_version(), hw_log_set()
 *     enumerations                 hw_fuse, hw_role ...: names, and parsing them
 *     models                       hw_model_open(), hw_model_info
 *     devices                      hw_device_list_new(), hw_worker_run()
 *     runs                         hw_run, hw_token: text, ids, roles
 *     traces                       hw_trace_capture(), save, open, import
 *     segments                     hw_segments_new(): words, sentences, passages
 *     methods                      the table of methods, hw_method_params
 *     tables of settings           what command line, HTTP and forms read
 *     attributions                 hw_explain(): M, its mass outside, diagnostics
 *     explainers                   hw_explainer_new(): methods that explain a run while it grows
 *     memory and time estimate     hw_run_estimate()
 *     faithfulness                 hw_check_new(), hw_run_rewrite()
 *     citations                    hw_citation_new(), hw_confirmation_new()
 *     results on disk              hw_result_save(), hw_result_open()
 *     documents                    hw_document_json(): what the page draws
 *     views                        hw_view_new(): rows, layers, filters
 *     traces built                 hw_trace_builder_new(): of another engine's rows
 *
 * Conventions
 *   - Fallible functions return hw_err (0 or negative) and take a nullable hw_error last.
 *   - The out parameter comes first, is written only on success, and the caller frees `**out`.
 *   - Returned `const` pointers are borrowed: they are valid as long as the object they came from.
 *   - Structs grow at their end only, behind their whole size, and keep working with programs built before: every
 *     function that reads or fills a struct of the caller takes its size, as first field (params) or argument. Params:
 *     start from hw_X_params_default(), or hw_X_params_init(&p, sizeof p). An older library refuses a later field that
 *     is not 0 (ARGUMENT), and sets one that it should fill to 0. Structs that are "frozen" never change; those behind
 *     `const` pointers grow, so do not copy them and do not declare arrays of them.
 *   - Functions defined in this header are compiled into the caller and pass its sizes; the library exports none of
 *     them.
 *   - Counts and indices of what is in memory (tokens, rows, columns, segments, results, bytes) are size_t. int32_t are
 *     numbers that the model's file or the engine defines, in which a negative one has a meaning or that it stores so:
 *     token ids, blocks, layer indices, heads, dimensions, threads, and the few alternatives of a token. uint64_t are
 *     numbers of weights, and bytes of files and memory in structs.
 *   - Params with defaults may be NULL. Any other NULL pointer is error ARGUMENT in functions that can fail; only the
 *     out parameter itself must not be NULL.
 *   - open/close for objects with a file or device, new/free for memory; close and free accept NULL.
 *   - The library never prints, exits, aborts on input, reads the environment or touches signals. The engine below it
 *     writes its log to standard error, unless hw_log_set() is called.
 *   - Threads: any number may use an object at the same time through functions that take it as `const`, and free it
 *     after them. Functions that take it as non-const (models, explainers) need it alone.
 */
#ifndef HEADWATER_H
#define HEADWATER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Semantic versioning: a program built with 1.x runs with every library 1.y, y >= x. */
#define HW_VERSION_MAJOR  1
#define HW_VERSION_MINOR  0
#define HW_VERSION_PATCH  0
#define HW_VERSION        "1.0.0"
#define HW_VERSION_NUMBER (HW_VERSION_MAJOR * 1000000 + HW_VERSION_MINOR * 1000 + HW_VERSION_PATCH)

#if defined(__GNUC__)
#define HW_API               __attribute__((visibility("default")))
#define HW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define HW_API
#define HW_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ errors and messages */

typedef enum hw_err {
    HW_OK = 0,
    HW_ERR_ARGUMENT = -1,    /* a value outside the accepted range */
    HW_ERR_IO = -2,          /* a file cannot be read or written */
    HW_ERR_FORMAT = -3,      /* bytes violate the file format */
    HW_ERR_MEMORY = -4,      /* an allocation failed */
    HW_ERR_UNSUPPORTED = -5, /* not supported by the model, trace or build */
    HW_ERR_ENGINE = -6,      /* the engine failed, or produced invalid rows */
    HW_ERR_CANCELLED = -7    /* the caller's stop function returned true */
} hw_err;

/* What is wrong, which value, and what is accepted. UTF-8, one line, always terminated. Frozen. */
typedef struct hw_error {
    hw_err code;
    char msg[1024];
} hw_error;

HW_API const char *hw_version(void);         /* "1.0.0": HW_VERSION of the library that runs */
HW_API uint32_t hw_version_number(void);     /* the same as HW_VERSION_NUMBER */
HW_API const char *hw_err_name(hw_err code); /* "HW_ERR_IO" */
/* Frees text that the library allocated (hw_document_json(), hw_run_rewrite() ...); accepts NULL. */
HW_API void hw_free(void *text);
/* "OpenBLAS SkylakeX": the library that multiplies matrices and the processor type of its kernels; OPENBLAS_CORETYPE
 * selects another type. Opens the library if that has not happened; on failure "none: " and the reason. */
HW_API const char *hw_blas(void);

/* FATAL: the engine ends the process after this line, for example when a worker of the model has died. */
typedef enum hw_log_level { HW_LOG_DEBUG, HW_LOG_INFO, HW_LOG_WARN, HW_LOG_ERROR, HW_LOG_FATAL } hw_log_level;
/* Receives one line of the engine's log, without its newline. Called from any thread. */
typedef void (*hw_log_fn)(void *ctx, hw_log_level level, const char *line);
/* Sets the receiver of the engine's messages; NULL discards them. Process-wide: set it before opening models. The first
 * call makes the library replace the log callbacks of libllama and ggml and ggml's abort callback; without it they are
 * left as they are: the engine writes to standard error, and errors lack the engine's reason. */
HW_API void hw_log_set(hw_log_fn log, void *ctx);

/* ------------------------------------------------------------------ enumerations
 * One enum for every choice that a user can name; hw_*_name() returns the name of a value, and hw_*_parse() reads it;
 * error ARGUMENT lists the accepted names. */

typedef enum hw_fuse { HW_FUSE_MEAN, HW_FUSE_MAX, HW_FUSE_MIN } hw_fuse;
typedef enum hw_row_convention { HW_ROW_PREDICTOR, HW_ROW_OWN } hw_row_convention;
typedef enum hw_direction { HW_DIRECTION_INPUT, HW_DIRECTION_OUTPUT } hw_direction;
typedef enum hw_columns { HW_COLUMNS_PROMPT, HW_COLUMNS_ALL } hw_columns;
typedef enum hw_measure {
    HW_MEASURE_PROJECTION,
    HW_MEASURE_NORM,
    HW_MEASURE_PROXIMITY1,
    HW_MEASURE_PROXIMITY2
} hw_measure;
typedef enum hw_aggregate { HW_AGGREGATE_MEAN, HW_AGGREGATE_ROLLOUT } hw_aggregate;
typedef enum hw_precision { HW_PRECISION_F32, HW_PRECISION_F16 } hw_precision;
/* THINKING: text of a thinking section (<think> ... </think>, [THINK] ... [/THINK], gpt-oss's analysis channel), marks
 * included: in the completion, and in the caller's text; its side is hw_run_n_prompt()'s. A section that has not ended
 * extends to the end of the run. While a run is generated the tokens of a mark get the role when the mark is whole. */
typedef enum hw_role {
    HW_ROLE_PROMPT,
    HW_ROLE_COMPLETION,
    HW_ROLE_SPECIAL,
    HW_ROLE_TEMPLATE,
    HW_ROLE_THINKING
} hw_role;
/* Which attention rows a trace keeps or a method needs: of every token; the target rows, m-1 and up; none. */
typedef enum hw_row_retention { HW_ROWS_ALL, HW_ROWS_TARGET, HW_ROWS_NONE } hw_row_retention;
typedef enum hw_stop { HW_STOP_LENGTH, HW_STOP_END, HW_STOP_GIVEN, HW_STOP_CANCELLED } hw_stop;
/* Whether a chat template makes the model think before it answers: the template's default, or as set by the
 * caller. */
typedef enum hw_thinking { HW_THINKING_DEFAULT, HW_THINKING_ON, HW_THINKING_OFF } hw_thinking;

HW_API const char *hw_fuse_name(hw_fuse v);
HW_API const char *hw_row_convention_name(hw_row_convention v);
HW_API const char *hw_direction_name(hw_direction v);
HW_API const char *hw_columns_name(hw_columns v);
HW_API const char *hw_measure_name(hw_measure v);
HW_API const char *hw_aggregate_name(hw_aggregate v);
HW_API const char *hw_precision_name(hw_precision v);
HW_API const char *hw_role_name(hw_role v);
HW_API const char *hw_stop_name(hw_stop v);
HW_API const char *hw_row_retention_name(hw_row_retention v);
HW_API const char *hw_thinking_name(hw_thinking v);
HW_API hw_err hw_fuse_parse(hw_fuse *out, const char *word, hw_error *err);
HW_API hw_err hw_row_convention_parse(hw_row_convention *out, const char *word, hw_error *err);
HW_API hw_err hw_direction_parse(hw_direction *out, const char *word, hw_error *err);
HW_API hw_err hw_columns_parse(hw_columns *out, const char *word, hw_error *err);
HW_API hw_err hw_measure_parse(hw_measure *out, const char *word, hw_error *err);
HW_API hw_err hw_aggregate_parse(hw_aggregate *out, const char *word, hw_error *err);
HW_API hw_err hw_precision_parse(hw_precision *out, const char *word, hw_error *err);
HW_API hw_err hw_thinking_parse(hw_thinking *out, const char *word, hw_error *err);

/* ------------------------------------------------------------------ models */

typedef struct hw_model hw_model;

/* What moves information from token to token in a block. */
typedef enum hw_source_kind {
    HW_SOURCE_ATTENTION,
    HW_SOURCE_DELTA_NET,   /* gated delta net, Kimi delta attention */
    HW_SOURCE_STATE_SPACE, /* Mamba, Mamba-2 */
    HW_SOURCE_CONVOLUTION, /* gated short convolution */
    HW_N_SOURCE_KINDS
} hw_source_kind;
HW_API const char *hw_source_kind_name(hw_source_kind kind); /* "attention", "delta net" ... */

/* One layer that contributions are read of. Frozen. */
typedef struct hw_source {
    int32_t block; /* the model's own index; a block may have attention and a recurrent layer side by side */
    int32_t layer; /* which of the attention layers 0 .. L-1 it is; -1: recurrent, without attention weights */
    hw_source_kind kind;
} hw_source;

/* Properties of a model. Strings are UTF-8 and never NULL. */
typedef struct hw_model_info {
    const char *path;            /* as passed to hw_model_open(); for an import the file's path */
    const char *engine;          /* "llama", "import" */
    const char *engine_version;  /* version of the engine's library, "" if it has none */
    const char *architecture;    /* "llama", "gemma3" ... */
    const char *name;            /* the model's own name, "" if it has none */
    const char *quantisation;    /* "Q4_1" ... */
    const char *metadata_sha256; /* hex SHA-256 of the GGUF file's bytes before its tensor data */
    const char *sample_sha256;   /* also over the first, middle and last 4 KiB of each tensor: identifies the
                                    weights; "" if unknown */
    const char *device;          /* where attention rows are: "CPU", "CUDA0" ...; "RPC0 20, CPU 10": number of layers
                                    on each */
    const char *problem;         /* "", or why this model cannot be explained */
    const char *values_problem;  /* "", or why attention's values cannot be read (method contribution) */
    const char *readout_problem; /* "", or why logits cannot be traced to the stream (method logit) */
    /* "" or why recurrent layers cannot be read: they count as the model's own part then */
    const char *recurrent_problem;
    const int32_t *layers; /* [L] the model's own index of each layer with attention, ascending */
    /* [n_sources] layers of `contribution` and `logit`, ascending: attention, and recurrent ones */
    const hw_source *sources;
    int32_t n_sources;
    int32_t n_layers; /* L */
    int32_t n_blocks; /* all blocks, including those without attention */
    int32_t n_heads;  /* H, query heads (the most of any attention layer) */
    int32_t n_heads_kv;
    int32_t n_embd;      /* hidden size */
    int32_t n_vocab;     /* V; 0 if there is no vocabulary */
    int32_t n_ctx_train; /* context length in training, tokens */
    int32_t n_swa;       /* sliding window in tokens, 0 = none */
    uint64_t n_params;
    uint64_t n_bytes; /* weights */
    bool adds_bos;
    bool has_chat_template;
    bool has_sinks;       /* learned sinks: the weights of a row sum to less than 1 */
    bool host_rows;       /* attention of every layer is read in place, not copied from a device */
    double row_error;     /* largest |1 - row sum| found by the probe */
    const char *adapters; /* hw_model_params.loras, separated by ", "; "" for none. They are in sample_sha256 */
} hw_model_info;

/* Accepted distance of a row's sum from 1: a softmax in F32 is off by at most 1e-6, so a larger distance means that
 * columns were misread or are missing. */
#define HW_ROW_TOLERANCE 1e-3

typedef enum hw_stage { HW_STAGE_LOAD, HW_STAGE_PREFILL, HW_STAGE_DECODE, HW_STAGE_EXPLAIN } hw_stage;
/* Progress: `done` of `total` (permille for HW_STAGE_LOAD, otherwise tokens). */
typedef void (*hw_progress_fn)(void *ctx, hw_stage stage, size_t done, size_t total);
/* Called often by the working thread, also during a decode; return true to stop. */
typedef bool (*hw_stop_fn)(void *ctx);
/* A stop function for other languages, whose own functions are slow to call: `ctx` is one byte, which another thread
 * sets to stop; 0: continue. */
HW_API bool hw_stop_by_flag(void *ctx);

typedef struct hw_model_params {
    size_t size;
    int32_t n_threads;    /* 0: one per core */
    int32_t n_gpu_layers; /* blocks to offload; 0: none, negative: all */
    int32_t n_ctx;        /* maximum number of tokens of a run; 0: the context length in training */
    int32_t n_ubatch;     /* prompt tokens per forward pass; 0: 512 */
    bool f32_cache;       /* keys and values as F32 instead of F16: for exact comparisons; doubles the cache */
    hw_progress_fn progress;
    hw_stop_fn stop;
    void *ctx;                /* for progress and stop */
    const char *rpc_servers;  /* "HOST:PORT,HOST:PORT": machines running hw_worker_run(), whose devices get blocks
                                before this machine's; NULL: none. n_gpu_layers sets the number of blocks on devices */
    const char *devices;      /* "RPC0,CUDA1": only these get blocks, in this order; NULL: all (see
                                hw_device_list_new()) */
    const char *const *loras; /* [n_loras] low-rank adapters, GGUF files, each "FILE" or "FILE=SCALE"; NULL: none. One
                                 of another model is ARGUMENT */
    size_t n_loras;
    const char *cache; /* an existing folder, in which it is kept that the probe found nothing missing: by the identity
                          (device, inode, size, time of change) of the model's file and of the engine's libraries, with
                          the processor's features. Such a model is not proven again. NULL: every opening proves */
} hw_model_params;

HW_API void hw_model_params_init(hw_model_params *params, size_t size);
static inline hw_model_params hw_model_params_default(void) {
    hw_model_params params;
    hw_model_params_init(&params, sizeof params);
    return params;
}
/* Loads a GGUF model and probes which data it provides. A model that loads but cannot be explained is opened too (see
 * hw_model_info.problem). Errors: ARGUMENT (threads, devices, adapters: which value), IO, FORMAT, UNSUPPORTED (an
 * adapter or a worker's version that is not supported), MEMORY, ENGINE, CANCELLED. */
HW_API hw_err hw_model_open(hw_model **out, const char *path, const hw_model_params *params, hw_error *err);
HW_API void hw_model_close(hw_model *model);
HW_API const hw_model_info *hw_model_describe(const hw_model *model);
/* Renders a short conversation with a chat template: `source` as Jinja text, NULL for the model's own. Fails if
 * hw_run_params.chat would fail for every conversation. Errors: UNSUPPORTED (the model has no template; the template
 * cannot be rendered, with the reason; the build has no template engine), MEMORY. */
HW_API hw_err hw_model_check_chat(hw_model *model, const char *source, hw_error *err);

/* What the headers of a GGUF file say. Strings are UTF-8, truncated where they are longer. */
typedef struct hw_model_file {
    char architecture[64]; /* "" if none is named */
    char name[128];
    char quantisation[64];      /* as hw_model_info.quantisation, "" if the file does not say */
    char problem[512];          /* "", or why it cannot be explained, as far as this shows without its weights */
    uint64_t n_params, n_bytes; /* weights, of all files of a split */
    int32_t n_files;
} hw_model_file;

/* Reads headers and vocabulary, not the weights. "" in `problem` does not prove that the model can be explained:
 * hw_model_open() does. Errors: ARGUMENT (a part of a split that is not the first), IO, FORMAT, MEMORY. */
HW_API hw_err hw_model_file_read(hw_model_file *out, size_t size, const char *path, hw_error *err);

/* ------------------------------------------------------------------ devices
 * Devices that can run a model's blocks: this machine's CPU and GPUs, and those of other machines that run
 * hw_worker_run(), through ggml's RPC protocol. The protocol is neither authenticated nor encrypted: use it only in
 * networks whose every machine you trust. If a worker dies while a model uses it, ggml ends the process, after a line
 * of level HW_LOG_FATAL. */

typedef struct hw_device {
    const char *name;               /* "CPU", "CUDA0", "RPC0" */
    const char *description;        /* the chip; HOST:PORT for RPC devices */
    uint64_t n_bytes, n_bytes_free; /* memory; 0 if unknown */
    bool takes_blocks;              /* can be used by n_gpu_layers and hw_model_params.devices */
    bool host;                      /* its memory belongs to this process: rows are read in place */
} hw_device;

typedef struct hw_device_list hw_device_list;

/* Lists devices: those of `rpc_servers` (as in hw_model_params), then this machine's. While the list exists the servers
 * accept no other client. Errors: ARGUMENT (not HOST:PORT), IO (a server cannot be reached, or does not answer within 5
 * s), UNSUPPORTED (its version), ENGINE (it has no devices), MEMORY. */
HW_API hw_err hw_device_list_new(hw_device_list **out, const char *rpc_servers, hw_error *err);
HW_API void hw_device_list_free(hw_device_list *list);
HW_API size_t hw_device_list_count(const hw_device_list *list);
HW_API const hw_device *hw_device_list_at(const hw_device_list *list, size_t i);

typedef struct hw_worker_params {
    size_t size;
    const char *host;    /* IPv4 address to listen on; NULL: "127.0.0.1", which only this machine can reach */
    uint16_t port;       /* 1..65535 */
    int32_t n_threads;   /* for work on the CPU; 0: one per core */
    const char *devices; /* devices to serve: "CUDA0,CUDA1" or "CPU"; NULL: every GPU, or the CPU if there is none */
} hw_worker_params;

HW_API void hw_worker_params_init(hw_worker_params *params, size_t size);
static inline hw_worker_params hw_worker_params_default(void) {
    hw_worker_params params;
    hw_worker_params_init(&params, sizeof params);
    return params;
}
/* Serves this machine's devices to one client after another, and returns only on failure: run it in a process of its
 * own. ggml logs to standard output, and ends the process on invalid requests. Errors: ARGUMENT, IO (the address is in
 * use, or not this machine's), UNSUPPORTED (a build without RPC), ENGINE. */
HW_API hw_err hw_worker_run(const hw_worker_params *params, hw_error *err);

/* ------------------------------------------------------------------ runs: which tokens, by which model */

typedef struct hw_run hw_run;

/* A candidate token of one generation step. Frozen. */
typedef struct hw_alternative {
    const char *bytes; /* [n_bytes], not terminated; may be part of a character */
    size_t n_bytes;
    int32_t id;
    float logprob; /* natural log of its probability according to the model, before sampling options */
} hw_alternative;

#define HW_N_ALTERNATIVES 5

typedef struct hw_token {
    const char *bytes; /* [n_bytes] exact bytes, not terminated; may be part of a character or invalid UTF-8 */
    size_t n_bytes;
    size_t begin, end; /* byte range in the prompt (completion tokens: in the completion); empty for tokens without
                          text: BOS, template */
    int32_t id;        /* -1 if there is no vocabulary (imports) */
    hw_role role;
    float logprob;          /* as in hw_alternative; NaN if unknown (prompt tokens, imports) */
    int32_t n_alternatives; /* 0 .. HW_N_ALTERNATIVES, most probable first */
    const hw_alternative *alternatives;
} hw_token;

HW_API size_t hw_run_n_tokens(const hw_run *run);     /* T */
HW_API size_t hw_run_n_prompt(const hw_run *run);     /* m: all tokens before the completion, including special and
                                                         template tokens */
HW_API size_t hw_run_n_completion(const hw_run *run); /* n */
/* What layers that mix tokens added to the stream of target rows (norms, summed): the share of recurrent layers, which
 * methods of attention weights cannot see. NaN if the model has none, or if they are not read. */
HW_API double hw_run_recurrent_share(const hw_run *run);
HW_API size_t hw_run_n_reused(const hw_run *run); /* prompt tokens whose rows were copied from
                                                         hw_run_params.prefix; 0 for a run from a file */
/* Token i, 0 <= i < T; its pointers are borrowed. */
HW_API void hw_run_token_copy(hw_token *out, size_t size, const hw_run *run, size_t i);
static inline hw_token hw_run_token(const hw_run *run, size_t i) {
    hw_token token;
    hw_run_token_copy(&token, sizeof token, run, i);
    return token;
}
/* Displayed text of a token, UTF-8 with a terminator: a character split over several tokens is shown in the first, and
 * a dot (U+02D9) in tokens that hold nothing else; invalid bytes are written as ‹E2›. Writes what fits into out
 * [capacity], in whole characters; returns the bytes of the whole text, as snprintf() does. */
HW_API size_t hw_run_token_text(char *out, size_t capacity, const hw_run *run, size_t i);
/* The same for those of the first n tokens that are in `group` according to groups [n], joined: a dot is shown only if
 * a character begins in another group. */
HW_API size_t hw_run_group_text(char *out, size_t capacity, const hw_run *run, const int32_t *groups, size_t n,
                                int32_t group);
HW_API const char *hw_run_prompt(const hw_run *run, size_t *n_bytes); /* the caller's prompt, unchanged */
/* the joined bytes of the completion tokens */
HW_API const char *hw_run_completion(const hw_run *run, size_t *n_bytes);
HW_API const hw_model_info *hw_run_model(const hw_run *run);
HW_API hw_fuse hw_run_fuse(const hw_run *run);
HW_API hw_stop hw_run_finish_reason(const hw_run *run); /* why the completion ended */
HW_API bool hw_run_is_causal(const hw_run *run);
HW_API const char *hw_run_against(const hw_run *run); /* hw_run_params.against; "" for the mean */
/* Remarks on the texts of the run, one sentence each: the text of control tokens read as plain letters,
 * bytes that are not UTF-8, NUL, CRLF, a byte order mark, a completion that the tokenizer changed. */
HW_API size_t hw_run_n_remarks(const hw_run *run);
HW_API const char *hw_run_remark(const hw_run *run, size_t i);

/* Selects completion tokens: an index (`3`, `-1` the last), a range `a:b` (b excluded), or text (the first token with
 * this text, else the first tokens that contain it; `=7` is the text "7"). Writes the half-open range [*begin, *end) of
 * completion indices. On an import without a prompt length the indices are those of all tokens. Error ARGUMENT lists
 * the tokens. */
HW_API hw_err hw_run_select(size_t *begin, size_t *end, const hw_run *run, const char *select, hw_error *err);

/* ------------------------------------------------------------------ traces */

typedef struct hw_trace hw_trace;

/* Numbers that a trace can hold besides attention: methods need them and only a running model provides them. Unless
 * noted otherwise they are [L, n + 1, T]: the target rows m-1 .. m+n-1 against columns 0 .. q. */
typedef enum hw_signal {
    HW_SIGNAL_PROJECTION, /* <T, y> / |y|^2, see contribution_math.h */
    HW_SIGNAL_NORM,       /* |T|, attention only, rows scaled to 1 */
    HW_SIGNAL_PROXIMITY1, /* |y|_1 - |y - T|_1, clipped at 0, rows scaled to 1 */
    HW_SIGNAL_PROXIMITY2, /* the same with p = 2 */
    HW_SIGNAL_LOGIT, /* direct effect on the logit of the token that the row chose, above the mean logit or what else it
                        is compared with (hw_run_params.against) */
    HW_SIGNAL_RESIDUAL, /* [L, T] |a| / (|a| + |x|): how much attention changed the stream */
    /* The first four of every row, [L, T(T+1)/2] packed as attention rows are: as much memory as those take, and at
     * most 4 GiB together. The last block shows the rows of interest only; the others are 0 there. */
    HW_SIGNAL_ALL_PROJECTION,
    HW_SIGNAL_ALL_NORM,
    HW_SIGNAL_ALL_PROXIMITY1,
    HW_SIGNAL_ALL_PROXIMITY2,
    HW_N_SIGNALS
} hw_signal;
HW_API const char *hw_signal_name(hw_signal v); /* "projection" ... */

/* One message of a conversation. Frozen. */
typedef struct hw_message {
    const char *role;    /* "system", "user", "assistant", or another role of the chat template */
    const char *content; /* [content_bytes]; any bytes */
    size_t content_bytes;
} hw_message;

typedef struct hw_explainer hw_explainer; /* below */
typedef struct hw_method_params hw_method_params;
typedef struct hw_estimate hw_estimate;

typedef struct hw_run_params {
    size_t size;
    const char *prompt; /* [prompt_bytes]; any bytes: invalid UTF-8 is kept and reported by hw_run_remark() */
    size_t prompt_bytes;
    const char *completion; /* [completion_bytes] explain this text, which continues the prompt: no tokenizer space
                               is inserted between; NULL: generate */
    size_t completion_bytes;
    size_t n_generate; /* maximum number of tokens; default 32 */
    bool chat;         /* wrap the prompt, as a user message, in the chat template */
    float temperature; /* 0: greedy */
    int32_t top_k;     /* 0: all */
    float top_p;       /* 1: all */
    uint32_t seed;
    hw_fuse fuse; /* how heads are fused to one row */
    /* Called with each completion token (token i of the run) when it is chosen; may be NULL. */
    void (*on_token)(void *ctx, const hw_run *run, size_t i);
    hw_progress_fn progress;
    hw_stop_fn stop; /* during generation: the trace ends with the tokens so far (HW_STOP_CANCELLED) */
    void *ctx;       /* for on_token, on_estimate, progress and stop */
    /* Where the explainer has methods that read logits: what each chosen token's logit is compared with. NULL or
     * "mean": the mean of all logits. "distribution": their mean by the model's own probabilities, which is the
     * direction of the log probability; the 256 likeliest other tokens count each, those left as the mean. "second":
     * the likeliest other token of each step. Else one token, named by its exact text (" Berlin"; "=second" for the
     * text "second", "==" for "="). */
    const char *against;
    /* Methods that explain the run, borrowed: what the trace keeps is what they need, and what they are to keep. NULL:
     * the trace keeps every attention row and no signal. */
    hw_explainer *explainer;
    /* An earlier trace, borrowed until the run ends, or NULL. The prefix that both prompts share, and that the model
     * still holds from its last run (or from hw_state_open()), is not decoded again: its rows are copied, so that the
     * trace equals one without prefix. Has no effect if it is of another model or `fuse`, if it lacks prompt rows or
     * every-row signals that are to be kept, or if methods of the explainer consume streamed rows; hw_run_n_reused()
     * returns the number of tokens reused. For captures only. */
    const hw_trace *prefix;
    /* A capture that needs more bytes is refused: ARGUMENT. Compared is hw_estimate.total without the memory that
     * methods use after the run. 0: no limit. */
    uint64_t memory;
    /* Called once with the estimate of the run, when the prompt is tokenized and before the first decode. Any result
     * except HW_OK ends the run with that error; may be NULL. */
    hw_err (*on_estimate)(void *ctx, const hw_estimate *estimate, hw_error *err);
    bool saves_state; /* hw_trace_save_as() with a model follows: estimates include the copy of its cache */
    /* [n_messages] a whole conversation for the chat template, instead of `prompt`, which must be NULL. The run's
     * prompt is their contents in the order of the rendered template, with a blank line between two: byte ranges and
     * segments refer to that text. NULL: none. */
    const hw_message *messages;
    size_t n_messages;
    /* For `chat` or `messages`. The template as Jinja text, NULL: the model's own. It is rendered as by llama.cpp's
     * server, except for the date: strftime_now("FORMAT") returns 26 July 2024, so that a run can be repeated. */
    const char *chat_template;
    hw_thinking thinking; /* ON and OFF: UNSUPPORTED if both give the same text */
    bool special;         /* parse the text of control tokens in prompt, messages and completion as these tokens;
                             else as plain text */
    /* Called once with `ctx`, before the first decode, when the run has its prompt tokens; may be NULL. */
    void (*on_prompt)(void *ctx, const hw_run *run);
    /* [n_begun] ids that the completion begins with, instead of `completion`: those of an earlier run of this prompt,
     * which goes on. They are decoded as given, and up to n_generate tokens follow them; the result explains all of
     * them as one completion. Sampling starts again, with seed + n_begun. NULL: none. */
    const int32_t *begun;
    size_t n_begun;
} hw_run_params;

HW_API void hw_run_params_init(hw_run_params *params, size_t size);
static inline hw_run_params hw_run_params_default(void) {
    hw_run_params params;
    hw_run_params_init(&params, sizeof params);
    return params;
}
/* Runs the model once and keeps every layer's attention rows, or what the explainer needs.
 * Errors: ARGUMENT (empty prompt, prompt + n beyond the context, a bad option), UNSUPPORTED (see
 * hw_model_info.problem), FORMAT (spans of the explainer, or a cache, that are not as they should be), IO (the model's
 * file can no longer be read), ENGINE, MEMORY, CANCELLED (stopped before the first completion token). */
HW_API hw_err hw_trace_capture(hw_trace **out, hw_model *model, const hw_run_params *params, hw_error *err);
/* Tokenizes the prompt, with roles and byte ranges: decodes nothing, makes no completion, and accepts a prompt longer
 * than the context. Errors: ARGUMENT (as above), UNSUPPORTED (no chat template), ENGINE, MEMORY,
 * CANCELLED. */
HW_API hw_err hw_run_tokenize(hw_run **out, hw_model *model, const hw_run_params *params, hw_error *err);
HW_API void hw_run_free(hw_run *run);
/* Opens exported attention: a safetensors file with `attention` [L,H,T,T] or [L,T,T] (F16, BF16, F32, F64), and
 * metadata `m` and `tokens` if known. With `m` rows must be causal; without, every row is explained against every
 * column. Errors: IO, FORMAT (which value, where), MEMORY. */
HW_API hw_err hw_trace_import(hw_trace **out, const char *path, hw_fuse fuse, hw_error *err);
/* The same for the bytes of such a file, which are read before it returns. Errors: FORMAT, MEMORY. */
HW_API hw_err hw_trace_import_bytes(hw_trace **out, const void *bytes, size_t n_bytes, hw_fuse fuse, hw_error *err);
/* Saves it with default settings. Errors: as hw_trace_save_as(). */
HW_API hw_err hw_trace_save(const hw_trace *trace, const char *path, hw_error *err);

typedef struct hw_save_params {
    size_t size;
    hw_precision precision; /* of attention rows: F32 is exact; F16 takes half the space, see hw_trace_rounding().
                               Signals are F32 */
    hw_model *model;        /* the model that made the run, unused since: also saves its cache, for hw_state_open().
                               NULL: no cache */
} hw_save_params;
HW_API void hw_save_params_init(hw_save_params *params, size_t size);
static inline hw_save_params hw_save_params_default(void) {
    hw_save_params params;
    hw_save_params_init(&params, sizeof params);
    return params;
}
/* The same with settings. Errors: ARGUMENT (the model has decoded other tokens since), UNSUPPORTED (a trace that cannot
 * be saved: HW_KEEP_RESULTS; the model's cache cannot be saved: recurrent blocks, positions in more than one
 * dimension), IO, MEMORY. */
HW_API hw_err hw_trace_save_as(const hw_trace *trace, const char *path, const hw_save_params *params, hw_error *err);
/* The bytes of that file, *out [*n_bytes] (nullable); hw_free(*out). Errors: as hw_trace_save_as(), without IO. */
HW_API hw_err hw_trace_to_bytes(char **out, size_t *n_bytes, const hw_trace *trace, const hw_save_params *params,
                                hw_error *err);
/* Maximum over rows of the mass that rounding moves, sum over k of |a' - a|, if rows are saved in this precision, or
 * that was moved by the file they were read from. No row is rounded twice. Rows are stochastic, so the rows of a
 * composed S_l change by at most (l + 1) times this (residual 0.5), and those of attention by this. */
HW_API double hw_trace_rounding(const hw_trace *trace, hw_precision precision);

/* A state is a trace with the model's cache (hw_save_params.model). Opens both: returns the trace, for use as
 * hw_run_params.prefix, and loads the cache into the model. Errors: IO, FORMAT (damaged; the model's cache may then be
 * empty), UNSUPPORTED (made by another model, another engine version, with another cache type, or before caches had a
 * checksum), MEMORY, ENGINE. */
HW_API hw_err hw_state_open(hw_trace **out, hw_model *model, const char *path, hw_error *err);
/* The same for the bytes of such a file. Errors: as hw_state_open(), without IO. */
HW_API hw_err hw_state_open_bytes(hw_trace **out, hw_model *model, const void *bytes, size_t n_bytes, hw_error *err);
/* Opens a saved trace. Errors: ARGUMENT (no file named), IO, FORMAT (what is wrong, where), UNSUPPORTED (a later
 * version), MEMORY. */
HW_API hw_err hw_trace_open(hw_trace **out, const char *path, hw_error *err);
/* The same for the bytes of such a file, which are read before it returns. Errors: as hw_trace_open(), without IO. */
HW_API hw_err hw_trace_open_bytes(hw_trace **out, const void *bytes, size_t n_bytes, hw_error *err);
HW_API void hw_trace_free(hw_trace *trace);
HW_API const hw_run *hw_trace_run(const hw_trace *trace);
HW_API hw_row_retention hw_trace_rows(const hw_trace *trace); /* which rows it keeps */
HW_API bool hw_trace_has(const hw_trace *trace, hw_signal signal);
/* Row q of layer l (index into hw_model_info.layers), heads fused: [*n] weights of columns 0..*n-1 (*n = q+1 if causal,
 * else T). NULL and 0 if the trace does not keep the row, or its run did not compute it. */
HW_API const float *hw_trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n);

/* ------------------------------------------------------------------ segments: words, sentences, passages */

typedef struct hw_segments hw_segments;
typedef enum hw_side { HW_SIDE_PROMPT, HW_SIDE_COMPLETION } hw_side;

/* A named byte range of a text. Frozen. */
typedef struct hw_span {
    const char *name; /* "" or NULL: none */
    size_t begin, end;
} hw_span;

/* [*n] the messages of a run with a chat template, in prompt order: role (as name) and byte range. */
HW_API const hw_span *hw_run_messages(const hw_run *run, size_t *n);

/* One row of the segmenter table. */
typedef struct hw_segmenter_info {
    const char *name; /* "token", "word", "line", "sentence", "paragraph" */
    const char *summary;
} hw_segmenter_info;
HW_API size_t hw_segmenter_count(void);
HW_API const hw_segmenter_info *hw_segmenter_at(size_t i);

/* Splits the prompt (or the completion) of a run with a segmenter given by name, or with an ICU regular expression
 * written /RE/ whose matches end segments. A token belongs as a whole to the segment of its first byte that is not a
 * space (so a word's tokens stay together); special and template tokens belong to no segment. Errors: ARGUMENT (unknown
 * name: lists them; an invalid expression: where), UNSUPPORTED (text of more than 2 GiB), MEMORY. */
HW_API hw_err hw_segments_new(hw_segments **out, const hw_run *run, hw_side side, const char *by, hw_error *err);
/* Spans given by the caller, which must be ascending, must not overlap and must lie inside the text; tokens outside all
 * spans belong to no segment. Errors: ARGUMENT (the first span that is not as required), UNSUPPORTED (text of more than
 * 2 GiB), MEMORY. */
HW_API hw_err hw_segments_from_spans(hw_segments **out, const hw_run *run, hw_side side, const hw_span *spans, size_t n,
                                     hw_error *err);
/* The same from JSON text [n_bytes]: [{"name": "A", "begin": 0, "end": 120}, ...], offsets in characters (code points).
 * Errors: FORMAT (not such a list), otherwise as above. */
HW_API hw_err hw_segments_from_json(hw_segments **out, const hw_run *run, hw_side side, const char *json,
                                    size_t n_bytes, hw_error *err);
HW_API void hw_segments_free(hw_segments *segments);
HW_API size_t hw_segments_count(const hw_segments *segments);
HW_API const hw_span *hw_segments_at(const hw_segments *segments, size_t i); /* byte range in its side's text */
/* [*n] segment of each token of its side (prompt: m, completion: n), -1: none. For hw_method_params.groups. */
HW_API const int32_t *hw_segments_groups(const hw_segments *segments, size_t *n);

/* Segments as columns that cover the whole side: each token is in exactly one. Tokens of no segment (BOS, chat
 * template, text between spans) form one more column, the last; it is called "(outside the spans)" if segments have
 * names. */
typedef struct hw_partition hw_partition;

/* Keeps no reference to the segments. Free with hw_partition_free(). Errors: MEMORY. */
HW_API hw_err hw_segments_partition(hw_partition **out, const hw_segments *segments, hw_error *err);
HW_API void hw_partition_free(hw_partition *partition);
HW_API size_t hw_partition_count(const hw_partition *partition); /* number of columns */
/* Uses these columns: sets groups, n_groups and group_names, which point into the partition. */
HW_API void hw_partition_columns(const hw_partition *partition, hw_method_params *params);

/* ------------------------------------------------------------------ methods */

/* Traits of a method: the settings that apply to it, always or with certain other settings (columns and groups apply to
 * all), and the kind of its numbers. */
enum {
    HW_USES_FUSE = 1,          /* how heads were fused */
    HW_USES_RESIDUAL = 2,      /* residual */
    HW_USES_DIRECTION = 4,     /* direction: the method composes layers */
    HW_USES_MEASURE = 8,       /* measure */
    HW_USES_SEED = 16,         /* seed */
    HW_USES_MODEL = 32,        /* model: the method runs it again, without parts of the prompt */
    HW_GIVES_SHARES = 64,      /* each row, with its outside mass, sums to 1 (signed for projection); else nats */
    HW_USES_DISCARD = 128,     /* discard */
    HW_USES_REMOVE_SINK = 256, /* remove_sink */
    HW_USES_AGGREGATE = 512,   /* aggregate */
    HW_USES_AGAINST = 1024,    /* hw_run_params.against */
    HW_USES_ROW = 2048,        /* row; without it always the predictor's, or none */
    HW_GIVES_LAYERS = 4096,    /* numbers of each layer; else one for all */
    HW_USES_THROUGH = 8192,    /* through: it attributes to tokens of the completion */
};

/* One row of the method table. */
typedef struct hw_method_info {
    const char *name;
    const char *summary; /* one line */
    const char *needs;   /* data that it reads from the trace */
    const char *cost;
    const char *reference;   /* paper and section */
    const char *limitations; /* what it does not show */
    uint32_t traits;         /* HW_USES_* and HW_GIVES_*, or-ed */
    hw_row_retention rows;   /* rows that hw_explain() needs in the trace */
} hw_method_info;

HW_API size_t hw_method_count(void);
HW_API const hw_method_info *hw_method_at(size_t i);
HW_API const hw_method_info *hw_method_find(const char *name); /* NULL: unknown name */
/* "" if the model provides what the method needs, else the reason. Borrowed from `model`. */
HW_API const char *hw_method_problem(const hw_method_info *method, const hw_model_info *model);

struct hw_method_params {
    size_t size;
    hw_row_convention row;  /* predictor: row m-1+i, which chose token i; own: row m+i */
    hw_direction direction; /* input: from the embeddings up to layer l; output: from the top down to l */
    hw_columns columns;     /* prompt: [:m]; all: also completion columns */
    double residual;        /* weight of the residual stream in a row, 0 <= r <= 1; default 0.5 */
    hw_measure measure;     /* for contribution */
    uint64_t seed;          /* for random and ablation */
    hw_model *model;        /* for methods that run the model again (leave-one-out, ablation); else NULL */
    size_t n_ablations;     /* random masks of ablation; default 64 */
    const int32_t *groups;  /* [columns] group of each column token, 0..n_groups-1 (-1: none); NULL: each token is a
                               column. M then has n_groups columns, exactly the sums over groups. */
    size_t n_groups;
    hw_progress_fn progress;
    hw_stop_fn stop;
    void *ctx;
    bool residual_measured; /* weights the residual by 1 - HW_SIGNAL_RESIDUAL, as measured for each row and layer,
                               instead of `residual` */
    double discard;         /* this share of the allowed weights of each row, the lowest, counts as 0; 0 <= discard <
                               1 */
    bool remove_sink;       /* token 0 counts as 0 in every row but its own */
    hw_aggregate aggregate; /* for contribution. mean: each layer separately; rollout: layers composed, S_l = C_l ...
                               C_0, which needs the every-row signals (HW_SIGNAL_ALL_*). Norms have no residual part,
                               so it is added as in rollout; negative projections count as 0, and rows are scaled to
                               1 */
    const char *const *group_names; /* [n_groups] UTF-8 names of groups; "" or NULL: their text. Does not affect
                                       numbers */
    bool through; /* follows contributions of completion tokens back to the prompt: see hw_through. For
                               columns `prompt` and methods that attribute to the completion (HW_USES_THROUGH) */
};

HW_API void hw_method_params_init(hw_method_params *params, size_t size);
static inline hw_method_params hw_method_params_default(void) {
    hw_method_params params;
    hw_method_params_init(&params, sizeof params);
    return params;
}

/* ------------------------------------------------------------------ tables of settings
 * One row for each field of hw_method_params and of hw_run_params that a user sets. Command line, HTTP API, result
 * files, the page and the documentation use them. `params` below is the struct of the setting's table. */

typedef enum hw_setting_type {
    HW_SETTING_FLAG,
    HW_SETTING_NUMBER,
    HW_SETTING_WHOLE,
    HW_SETTING_WORD,
    HW_SETTING_TEXT /* borrowed; default NULL: none */
} hw_setting_type;
/* Whether a result's heading names the setting: only if it is not the default, whenever the method uses it, or
 * always. */
typedef enum hw_shown { HW_SHOWN_WHERE_SET, HW_SHOWN_WHERE_USED, HW_SHOWN_ALWAYS } hw_shown;

/* One row of the table. */
typedef struct hw_setting_info {
    const char *name;        /* the key in JSON: "remove_sink" */
    const char *option;      /* on command lines: "remove-sink"; NULL: set by an option with a wider meaning (seed) */
    const char *option_word; /* for a flag: set by this word as value of `option` ("residual=measured"); else NULL */
    const char *label;       /* label in forms: "Remove sink"; NULL: not in forms */
    const char *help;        /* one sentence, no full stop */
    const char *before, *after; /* text around the value in headings, without the value for a flag: "lowest ", "
                                   discarded"; NULL: not in headings */
    hw_setting_type type;
    hw_shown shown;
    uint32_t uses;            /* HW_USES_ trait of the methods that it applies to; 0: all */
    double min, max;          /* range of numbers; for text its length in bytes, max 0: no limit */
    bool below_max;           /* excludes `max` itself */
    const char *const *words; /* for HW_SETTING_WORD: [] names by value, NULL at the end */
    double default_value;     /* for a word its index */
    bool json_text;           /* result files store it as a string, because JSON numbers may not hold 64 bits */
    bool optional;            /* absent from result files of earlier versions: they use its default */
    bool sparse;              /* written to result files only if it is not the default */
    bool transient;           /* not written to result files */
} hw_setting_info;

/* The methods' settings: hw_method_params. */
HW_API size_t hw_setting_count(void);
HW_API const hw_setting_info *hw_setting_at(size_t i);
HW_API const hw_setting_info *hw_setting_find(const char *name); /* NULL: unknown name */
/* Options of a run: hw_run_params. */
HW_API size_t hw_run_option_count(void);
HW_API const hw_setting_info *hw_run_option_at(size_t i);
HW_API const hw_setting_info *hw_run_option_find(const char *name); /* NULL: unknown name */
/* The value as a number; for a word its index, for text whether it is set. Whole numbers above 2^53 are rounded:
 * hw_setting_text() is exact. */
HW_API double hw_setting_value(const void *params, const hw_setting_info *setting);
/* For all types except text. Errors: ARGUMENT, "must be a number from 0 to 1" (a value outside the row's range);
 * UNSUPPORTED (a field that the params, made with an earlier header, do not have). */
HW_API hw_err hw_setting_set(void *params, const hw_setting_info *setting, double value, hw_error *err);
/* Writes "0.5", "true", "own" to out [capacity], and parses it, with errors as above. Return out. */
HW_API char *hw_setting_text(char *out, size_t capacity, const void *params, const hw_setting_info *setting);
HW_API hw_err hw_setting_read(void *params, const hw_setting_info *setting, const char *text, hw_error *err);
/* Parses a method setting in the form of a command line: `option` and its value, NULL for flags; option words are
 * accepted. Errors: as hw_setting_read(), also ARGUMENT for an unknown option. */
HW_API hw_err hw_setting_read_option(hw_method_params *params, const char *option, const char *text, hw_error *err);
/* Writes "a number from 0 to 1", "one of input, output" to out [capacity]. Returns out. */
HW_API char *hw_setting_accepts(char *out, size_t capacity, const hw_setting_info *setting);

/* Signals (1u << hw_signal, or-ed) that a trace must hold for a method with these settings; 0 for an unknown method. */
HW_API uint32_t hw_method_signals(const char *method, const hw_method_params *params);
/* The method's traits that are active with these settings: for contribution, direction and residual apply only if
 * layers are composed. */
HW_API uint32_t hw_method_active_traits(const hw_method_info *method, const hw_method_params *params);

/* ------------------------------------------------------------------ attributions */

typedef struct hw_attribution hw_attribution;

/* Diagnostics of every result. Means over the rows of M; `_mean` over layers, `_last` at full depth. */
typedef struct hw_diagnostics {
    double first_mean, first_last;       /* mass on token 0 (with groups: on its group) */
    double outside_mean, outside_last;   /* mass on columns that M does not show */
    double position_mean, position_last; /* Spearman correlation of value and column position in the text; NaN for
                                            fewer than 2 columns */
} hw_diagnostics;

/* Explains a trace. Errors: ARGUMENT (unknown method: lists them; an option out of range), UNSUPPORTED (the trace lacks
 * data that the method needs), ENGINE (a method that runs the model again), MEMORY, CANCELLED. */
HW_API hw_err hw_explain(hw_attribution **out, const hw_trace *trace, const char *method,
                         const hw_method_params *params, hw_error *err);
HW_API void hw_attribution_free(hw_attribution *attribution);
/* The same with columns summed by group [columns]: equals the method seeded with the groups. names [n_groups] or NULL:
 * as hw_method_params.group_names. Errors: ARGUMENT (no groups, columns that are groups already), MEMORY. */
HW_API hw_err hw_attribution_group(hw_attribution **out, const hw_attribution *a, const int32_t *groups,
                                   const char *const *names, size_t n_groups, hw_error *err);

HW_API const hw_run *hw_attribution_run(const hw_attribution *a);
HW_API const char *hw_attribution_method(const hw_attribution *a);
/* The settings used (callbacks are cleared). */
HW_API void hw_attribution_params_copy(hw_method_params *out, size_t size, const hw_attribution *a);
static inline hw_method_params hw_attribution_params(const hw_attribution *a) {
    hw_method_params params;
    hw_attribution_params_copy(&params, sizeof params, a);
    return params;
}
HW_API size_t hw_attribution_n_passes(const hw_attribution *a); /* forward passes that it needed besides the run's
                                                                    own */
HW_API const hw_diagnostics *hw_attribution_diagnostics(const hw_attribution *a);
HW_API size_t hw_attribution_n_rows(const hw_attribution *a);    /* n */
HW_API size_t hw_attribution_n_columns(const hw_attribution *a); /* m, or T with HW_COLUMNS_ALL, or n_groups */
HW_API size_t hw_attribution_n_layers(const hw_attribution *a);  /* L; 1 if the result has no layers */
/* [L] the model's layer indices; -1: mean of all */
HW_API const int32_t *hw_attribution_layers(const hw_attribution *a);
HW_API const float *hw_attribution_values(const hw_attribution *a);  /* M [n, m, L] */
HW_API const float *hw_attribution_outside(const hw_attribution *a); /* [n, L] mass on columns that M does not show */

/* ------------------------------------------------------------------ explainers: methods for a run */

/* Data that a trace keeps besides what results need. Attention rows of a long prompt are large: L x T^2 / 2 floats. */
typedef enum hw_keep {
    HW_KEEP_RESULTS, /* nothing: methods consume streamed prompt rows if they can, and signals are summed by segment
                        as they are computed. A generated last token is not decoded if no method reads its own row.
                        Such a trace can be explained by this explainer only, and cannot be saved if signals are sums
                        or that row is missing */
    HW_KEEP_METHODS, /* the data that hw_explain() needs for these methods, for any columns */
    HW_KEEP_ROWS,    /* the same, and every attention row */
    HW_KEEP_ALL, /* every row, and the signals of every method that the model can give, with these settings, with the
                    defaults and with the residual measured */
} hw_keep;

typedef struct hw_explainer_params {
    size_t size;
    hw_keep keep;
    /* Called during capture: `rows` of method i, which the callee frees, explain the tokens that can be explained now
     * and have not been before (hw_attribution_first_token()). Called after the first token, every `interval` tokens
     * and at the end. Not called for methods that need the whole run, nor for columns `all`: these have results only.
     * After an error of a method it is not called for it again; hw_explainer_result() returns the error. NULL: no
     * calls. */
    void (*on_rows)(void *ctx, size_t i, hw_attribution *rows);
    size_t interval; /* completion tokens whose signals are computed together; 0: 64 if on_rows is set, else as many as
                        fit. Fewer cost more: the weights of each layer are read again for each batch */
    void *ctx;       /* passed to on_rows */
} hw_explainer_params;
HW_API void hw_explainer_params_init(hw_explainer_params *params, size_t size);
static inline hw_explainer_params hw_explainer_params_default(void) {
    hw_explainer_params params;
    hw_explainer_params_init(&params, sizeof params);
    return params;
}

/* Methods, their settings, and the split of the prompt. Make it first, pass it to one run after another
 * (hw_run_params.explainer), and get the results of the last run from it. Errors: ARGUMENT (unknown `keep`), MEMORY. */
HW_API hw_err hw_explainer_new(hw_explainer **out, const hw_explainer_params *params, hw_error *err);
HW_API void hw_explainer_free(hw_explainer *explainer);
/* Adds a method; the first has index 0. Pointers in `params` must outlive the explainer. Errors: ARGUMENT (as
 * hw_explain()), MEMORY. */
HW_API hw_err hw_explainer_add(hw_explainer *explainer, const char *method, const hw_method_params *params,
                               hw_error *err);
/* Makes segments of the prompt the columns: split by a segmenter as in hw_segments_new(), or spans as in
 * hw_segments_from_json() (errors about them begin with `name`, if it is not NULL). `whole`: tokens of no segment form
 * one more column (hw_segments_partition()); else they are in no column. Replaces groups in the methods' settings. A
 * prompt that cannot be split this way fails the run. Errors: MEMORY. */
HW_API hw_err hw_explainer_split(hw_explainer *explainer, const char *by, bool whole, hw_error *err);
HW_API hw_err hw_explainer_split_spans(hw_explainer *explainer, const char *json, size_t n_bytes, const char *name,
                                       bool whole, hw_error *err);
/* Makes segments of the prompt the columns of method i alone, for the current run: called in hw_run_params.on_prompt.
 * `segments` must outlive the run. Errors: ARGUMENT (not in a run, rows were explained already, another prompt, columns
 * all, groups in the method's settings). */
HW_API hw_err hw_explainer_group(hw_explainer *explainer, size_t i, const hw_segments *segments, hw_error *err);
/* The segments of the last run's prompt, or of the last trace explained; NULL if it is not split. */
HW_API const hw_segments *hw_explainer_segments(const hw_explainer *explainer);
/* The result of method i for the whole completion. `trace`: the trace of the last run, or any other, whose prompt is
 * then split. Errors: as hw_explain() and hw_segments_from_json(). */
HW_API hw_err hw_explainer_result(hw_attribution **out, hw_explainer *explainer, size_t i, const hw_trace *trace,
                                  hw_error *err);

/* Where a token's logit, above the mean logit or what else it is compared with (hw_run_against), came from, as method
 * `logit` adds it up. In nats. Frozen. */
typedef struct hw_balance {
    double prompt;     /* attention to prompt tokens */
    double completion; /* attention to completion tokens, its own included */
    double bias;       /* attention biases and sinks, which belong to no token */
    double mlp;        /* MLPs, and blocks without attention */
    double embedding;  /* the embedding of the token before */
    double logit;      /* the logit so compared, as the model gave it: the sum of the five */
} hw_balance;
/* logit minus the sum of the five parts. For quantised weights the engine rounds its output product, by up to
 * HW_BALANCE_LIMIT times the sum of the parts' sizes; a larger rest means that the parts are not the sources of the
 * logit. Measured over 368 tokens of two quantised models: at most 0.010, and 0.056 for contrasts with the second
 * token, whose parts are small; for 51 tokens in F32 2e-6. */
#define HW_BALANCE_LIMIT 0.06
HW_API double hw_balance_rest(const hw_balance *balance);
HW_API bool hw_balance_closes(const hw_balance *balance);
/* [n] one per row; NULL for other methods. */
HW_API const hw_balance *hw_attribution_balance(const hw_attribution *a);
/* row i explains token first_token + i of the run */
HW_API size_t hw_attribution_first_token(const hw_attribution *a);

/* Sources of a token after following the completion tokens that it came from, each by its own row, until everything is
 * in the prompt or in the model itself: R_t = p_t + sum_{k<t} g_t[k] W_k, for the positive parts of each row divided by
 * their sum (after Walker & Ewetz, arXiv 2512.15663). The model keeps its part o_t of the explained token. In W_k, a
 * token on the way, it counts as what that token's position had gathered in each eighth layer, by method `contribution`
 * (HW_SIGNAL_PROJECTION), or, where that is not known, as the token's other parts: W_k = R_k / (1 - o_k). M then has
 * shares, whatever the method's own unit: the mean over layers is R, and with the outside mass and the model's share a
 * row sums to 1. Where a logit is compared with another token's (hw_run_params.against: second, or a token), the
 * explained token's parts of the completion and the model count by their size, whichever of the two they raised, and a
 * column of the prompt that raised the other counts no more than what came from it through the completion. The model's
 * part of a row is, for method logit, MLPs and biases; for methods in shares the mass of biases and sinks. The
 * embedding of the row's own token belongs to that token. Frozen. */
typedef struct hw_through {
    double prompt, model;               /* total shares: they sum to 1 */
    double prompt_direct, model_direct; /* direct shares among these; the rest came through the completion */
    double raised; /* sum by which the parts are divided: for logit in nats. 0: no part is positive, everything
                      counts as the model's */
    bool gathered; /* it is known what the position had gathered when it chose the token */
} hw_through;
/* [n] one per row; NULL if contributions were not followed. */
HW_API const hw_through *hw_attribution_through_rows(const hw_attribution *a);
/* g: the share of row i that came directly from completion token k, before following; 0 for k from the row's own token
 * on. */
HW_API double hw_attribution_hop(const hw_attribution *a, size_t i, size_t k);
/* Follows a finished result that has a column for each completion token (columns `all`, no groups), without what
 * positions had gathered: for methods other than logit equals hw_method_params.through. Errors: ARGUMENT (other
 * columns, a method without such columns, values that are not finite), UNSUPPORTED (no completion), MEMORY. */
HW_API hw_err hw_attribution_through(hw_attribution **out, const hw_attribution *a, hw_error *err);

/* Appends rows whose first token follows the last one of `a`, as on_rows passes them: the same run, method, settings
 * and columns. Diagnostics stay those of the earlier rows. Errors: ARGUMENT (other rows), MEMORY (`a` is unchanged). */
HW_API hw_err hw_attribution_append(hw_attribution *a, const hw_attribution *rows, hw_error *err);

/* Selects layers, counted from 1: `5` or `3-12`, the model's first block being 1. Writes the half-open range [*begin,
 * *end) of indices into M's layers; the whole range if the method has one number for all layers. Error ARGUMENT
 * (not of this form, layers beyond the model's, a result that holds only the mean). */
HW_API hw_err hw_attribution_select_layers(size_t *begin, size_t *end, const hw_attribution *a, const char *select,
                                           hw_error *err);

/* ------------------------------------------------------------------ memory and time estimate of a run */

struct hw_estimate {
    size_t n_prompt, n_tokens, n_columns; /* m; T with the maximum completion; columns of M */
    uint64_t program, weights;            /* bytes: libraries, tokenizer, threads; the model's file */
    uint64_t cache, buffers;              /* keys and values; the engine's graph, as far as it is known */
    uint64_t rows, signals;               /* of the trace */
    uint64_t waiting;                     /* target rows waiting to be explained */
    uint64_t methods;                     /* M, and the cached matrices of methods that compose layers */
    uint64_t state;                       /* the earlier trace that the run continues; the copy of the cache while a
                                             state is saved */
    uint64_t total;                       /* maximum resident memory of these parts */
    double seconds;                       /* approximate, after loading: the model's arithmetic at documented rates */
};
/* Tokenizes the prompt and decodes nothing; the explainer drops its previous run. hw_run_params.on_estimate gets the
 * same for a starting run. Errors: as hw_run_tokenize() and hw_segments_from_json(). */
HW_API hw_err hw_run_estimate(hw_estimate *out, size_t size, hw_model *model, const hw_run_params *params,
                              hw_error *err);

/* ------------------------------------------------------------------ faithfulness: is an explanation right? */

typedef struct hw_check hw_check;

typedef struct hw_check_params {
    size_t size;
    size_t row_begin, row_end; /* completion tokens whose joint log probability is tested; 0,0: all */
    size_t n_ablations;        /* random masks of the LDS; default 64 */
    uint64_t seed;
    hw_progress_fn progress; /* HW_STAGE_EXPLAIN, forward passes done of planned */
    hw_stop_fn stop;
    void *ctx;
} hw_check_params;

/* Figures of one method. Log probabilities in nats; NaN if a figure does not exist (fewer than k segments). */
typedef struct hw_check_row {
    const char *method;
    double drop[3];           /* drop of log p(completion) without the best 1, 3, 5 segments; higher is better */
    double comprehensiveness; /* mean drop without the best 1, 5, 10, 20, 50 % of the segments (ERASER); higher is
                                 better */
    double sufficiency;       /* mean drop with only those; lower is better */
    double lds;               /* Spearman correlation of summed scores and logit p over random masks; higher is
                                 better */
    size_t n_passes;          /* forward passes that the method itself needed besides the run's own */
} hw_check_row;

HW_API void hw_check_params_init(hw_check_params *params, size_t size);
static inline hw_check_params hw_check_params_default(void) {
    hw_check_params params;
    hw_check_params_init(&params, sizeof params);
    return params;
}
/* What is judged: attributions of one run whose columns are `segments`. Frozen. */
typedef struct hw_check_subject {
    const hw_segments *segments;
    const hw_attribution *const *list; /* [n] */
    size_t n;
} hw_check_subject;
/* Tests attributions of one run whose columns are `segments` by running the model without segments, all on the same
 * masks, together with random, uniform, attention and leave-one-out. Errors: ARGUMENT (fewer than 2 segments),
 * UNSUPPORTED (a model that cannot run the tokens again), ENGINE, MEMORY, CANCELLED. */
HW_API hw_err hw_check_new(hw_check **out, hw_model *model, const hw_trace *trace, const hw_check_subject *subject,
                           const hw_check_params *params, hw_error *err);
HW_API void hw_check_free(hw_check *check);
HW_API size_t hw_check_count(const hw_check *check);
/* the given methods first, then the baselines */
HW_API const hw_check_row *hw_check_at(const hw_check *check, size_t i);
HW_API double hw_check_base(const hw_check *check);     /* log p(completion | whole prompt) */
HW_API size_t hw_check_n_passes(const hw_check *check); /* forward passes of the whole check */
HW_API size_t hw_check_n_masks(const hw_check *check);  /* random masks of the LDS */
/* Random mask i, for testing other scores on the same masks: which segments it keeps [segments] (borrowed), and the
 * logit of the completion's probability without the others, log(p / (1 - p)). */
HW_API const bool *hw_check_mask(const hw_check *check, size_t i, double *logit);
/* One line in plain words on the first method: where its first choice lies between the mean over all segments and the
 * segment whose absence costs most (nothing can be judged if that costs less than log 2), and its LDS compared with the
 * mean over 300 draws of random scores on the same masks (hw_check_row of "random" is one draw). If leaving out the
 * prompt's last segment, which the completion continues, costs most, the line says so, and everything except the LDS
 * refers to the other segments: the method's first choice among them, their mean, and the best of them, named by its
 * index. */
HW_API const char *hw_check_verdict(const hw_check *check);

/* Segments of a prompt, and which of them are left out. Frozen. */
typedef struct hw_omission {
    const hw_segments *segments;
    const bool *without; /* [hw_segments_count()] */
    hw_stop_fn stop;     /* during generation; may be NULL */
    void *ctx;           /* for stop */
} hw_omission;
/* Generates the completion again, greedily and with at most as many tokens, without some segments of the prompt:
 * without [hw_segments_count()] selects them. With a fixed completion, as in hw_check, a reasoned answer still follows
 * from its own reasoning; here the model also writes that reasoning again. *out [*n_bytes] has a terminator appended;
 * hw_free(*out). Errors: ARGUMENT (segments of another run, nothing left), UNSUPPORTED (tokens without ids), ENGINE,
 * MEMORY, CANCELLED. */
HW_API hw_err hw_run_rewrite(char **out, size_t *n_bytes, hw_model *model, const hw_run *run, hw_omission omission,
                             hw_error *err);

/* ------------------------------------------------------------------ citations: which passage supports which sentence
 *
 * Let v[i,p] be the value of token i of the answer for passage p: the sum over the passage's tokens, and over layers
 * (methods in nats) or their mean (methods in shares); if contributions were followed (hw_through) the share times the
 * contribution that raised the token. A part of the answer has the mean of v over its tokens. */

typedef struct hw_citation hw_citation;

/* A passage is marked for a part of the answer if its peak there reaches `min_peak`. The definition of the peak depends
 * on the kind of the method's numbers: one row of the table of rules each. */
typedef struct hw_citation_rule {
    const char *name;    /* "share", "ratio", "fall", "weight" */
    const char *methods; /* the methods that it applies to, in words */
    const char *shares;  /* definition of hw_citation_link.share */
    const char *peak;    /* definition of the peak */
    double min_peak;     /* default, measured: docs/research/faithfulness.md */
    double max_peak;     /* upper bound of peaks; 0: none */
    bool through;        /* by default hw_method_params.through is set for citations */
} hw_citation_rule;
HW_API size_t hw_citation_rule_count(void);
HW_API const hw_citation_rule *hw_citation_rule_at(size_t i);
/* The rule for a method's results; NULL: unknown method. */
HW_API const hw_citation_rule *hw_citation_rule_of(const char *method);

typedef struct hw_citation_params {
    size_t size;
    double min_peak; /* minimum peak of a marked passage, > 0; 0: the rule's default */
} hw_citation_params;
HW_API void hw_citation_params_init(hw_citation_params *params, size_t size);
static inline hw_citation_params hw_citation_params_default(void) {
    hw_citation_params params;
    hw_citation_params_init(&params, sizeof params);
    return params;
}

/* One part of the answer and one passage. */
typedef struct hw_citation_link {
    double score;      /* mean of v over the part's tokens, signed, in the method's unit */
    double share;      /* the positive part of score, divided by the sum of all positive scores of this part:
                          passages, rest, answer and model */
    double peak;       /* as defined by the rule; never negative */
    size_t peak_token; /* completion token of the peak (rules fall and weight: the token with the largest part of it) */
    bool marked;       /* cited: peak >= min_peak. For the whole answer: in any of its parts */
} hw_citation_link;

/* What a part took from sources other than the passages; shares as hw_citation_link.share: together with those of the
 * passages they sum to 1 (or all are 0). Methods without a balance do not separate these: all is in `rest`. For methods
 * that leave passages out they are unknown: 0. */
typedef struct hw_citation_elsewhere {
    double rest;    /* the prompt outside the passages */
    double answer;  /* the answer so far */
    double model;   /* MLPs, the last token itself, biases */
    double through; /* share of all this and of the passages that came through the answer's own words, if they were
                       followed (hw_through): `answer` is 0 then */
} hw_citation_elsewhere;

/* Cites passages (segments of the prompt) for each part of the answer (segments of the completion). Columns of `a` are
 * prompt tokens, or these passages (hw_method_params.groups). Completion tokens in no part, and those that a growing
 * run has not explained yet, are ignored. NaN counts as
 * 0, infinity as a million. Errors: ARGUMENT (segments of another number of tokens, other groups, columns beyond the
 * prompt, `min_peak` below 0 or above the rule's `max_peak`), MEMORY. Keeps no reference to its arguments. */
HW_API hw_err hw_citation_new(hw_citation **out, const hw_attribution *a, const hw_segments *passages,
                              const hw_segments *answer, const hw_citation_params *params, hw_error *err);
HW_API void hw_citation_free(hw_citation *c);
HW_API size_t hw_citation_n_parts(const hw_citation *c); /* of the answer */
HW_API size_t hw_citation_n_passages(const hw_citation *c);
/* `part` from 0; hw_citation_n_parts() is the whole answer: the mean over all tokens that belong to a part. */
HW_API void hw_citation_link_copy(hw_citation_link *out, size_t size, const hw_citation *c, size_t part,
                                  size_t passage);
HW_API void hw_citation_elsewhere_copy(hw_citation_elsewhere *out, size_t size, const hw_citation *c, size_t part);
static inline hw_citation_link hw_citation_at(const hw_citation *c, size_t part, size_t passage) {
    hw_citation_link link;
    hw_citation_link_copy(&link, sizeof link, c, part, passage);
    return link;
}
static inline hw_citation_elsewhere hw_citation_from_elsewhere(const hw_citation *c, size_t part) {
    hw_citation_elsewhere elsewhere;
    hw_citation_elsewhere_copy(&elsewhere, sizeof elsewhere, c, part);
    return elsewhere;
}
/* Share of a part that came directly from part `from` of the answer (also from itself: its earlier tokens), before
 * following: hw_citation_elsewhere.through by parts. 0 if contributions were not followed. */
HW_API double hw_citation_hop(const hw_citation *c, size_t part, size_t from);
/* Share of a passage among the main passages of a part: of those with at least HW_MAIN_SHARE times the highest share;
 * the others count as 0. What these have is spread thinly: each little, and mostly noise of the method. Sums to 1 over
 * the passages, or all are 0. */
#define HW_MAIN_SHARE 0.2
HW_API double hw_citation_main_share(const hw_citation *c, size_t part, size_t passage);
/* [hw_citation_n_passages] passages: marked ones first, then the others, each by descending share of the whole answer,
 * ties in prompt order. The number of a marked passage, [1] and up, is its index here plus 1. *n_marked (nullable):
 * number of marked passages. */
HW_API const size_t *hw_citation_order(const hw_citation *c, size_t *n_marked);
HW_API const hw_citation_rule *hw_citation_rule_used(const hw_citation *c);
HW_API double hw_citation_min_peak(const hw_citation *c); /* minimum peak used */

/* Measures the passages that a citation ranks first: the model reads the answer again without each of them. */
typedef struct hw_confirmation hw_confirmation;

typedef struct hw_confirm_params {
    size_t size;
    size_t n_passages;       /* number of passages of hw_citation_order(), 1 to 32; default 3. One pass each, and one of
                          the whole prompt */
    hw_progress_fn progress; /* HW_STAGE_EXPLAIN, passes done of planned */
    hw_stop_fn stop;
    void *ctx;
} hw_confirm_params;
HW_API void hw_confirm_params_init(hw_confirm_params *params, size_t size);
static inline hw_confirm_params hw_confirm_params_default(void) {
    hw_confirm_params params;
    hw_confirm_params_init(&params, sizeof params);
    return params;
}

/* A citation, and the segments that it was made of. Frozen. */
typedef struct hw_cited {
    const hw_citation *citation;
    const hw_segments *passages, *answer;
} hw_cited;
/* Measures the first passages: the cost of leaving each out, in nats. Two passages whose absence costs less than log 2
 * each are also left out together; if both together cost more, each gets half of it, and they are reported as
 * stand-ins. The other passages are scaled by the ratio of cost and share of the measured ones, and get at most as much
 * as a measured one with the same share. Uses the trace's own model. Errors: ARGUMENT (segments that are not the cited
 * ones), UNSUPPORTED (tokens without ids), ENGINE, MEMORY, CANCELLED. Keeps no reference to its arguments. */
HW_API hw_err hw_confirmation_new(hw_confirmation **out, hw_model *model, const hw_trace *trace, const hw_cited *cited,
                                  const hw_confirm_params *params, hw_error *err);
HW_API void hw_confirmation_free(hw_confirmation *c);
/* Drop of the log probability of a part (hw_citation_n_parts(): of the whole answer), measured or scaled. */
HW_API double hw_confirmation_drop(const hw_confirmation *c, size_t part, size_t passage);
HW_API bool hw_confirmation_measured(const hw_confirmation *c, size_t passage);
/* The passage with the same information; false if none was found. */
HW_API bool hw_confirmation_stand_in(const hw_confirmation *c, size_t passage, size_t *other);
HW_API size_t hw_confirmation_n_passes(const hw_confirmation *c);
/* Marks the measured passages by what was measured: a part cites one if it costs the part HW_CONFIRMED_FALL nats or
 * more, together with its stand-in if it has one. The other marks stay, and the order is that of the marks. `confirmed`
 * must be of this citation. */
#define HW_CONFIRMED_FALL 2.0 /* the part is 7 times less likely */
HW_API void hw_citation_confirm(hw_citation *citation, const hw_confirmation *confirmed);

/* ------------------------------------------------------------------ results on disk */

/* One row of the format table. */
typedef struct hw_format_info {
    const char *name;      /* "json" */
    const char *extension; /* ".json" */
    const char *summary;
    bool many; /* one file can hold several methods */
} hw_format_info;

HW_API size_t hw_format_count(void);
HW_API const hw_format_info *hw_format_at(size_t i);
HW_API const hw_format_info *hw_format_of(const char *path); /* by extension; NULL: unknown */

/* Saves attributions of one run in the format of the path's extension; an existing file is replaced only by a complete
 * new one. If the format holds one method and several are given, each gets its own file, NAME.METHOD.EXT. `full`: the
 * JSON has the whole M, not only means. Errors: ARGUMENT (unknown extension, values that the format cannot hold,
 * attributions of different runs), UNSUPPORTED (a run whose description takes more than
 * 64 MiB), IO, MEMORY. */
HW_API hw_err hw_result_save(const hw_attribution *const *list, size_t n, const char *path, bool full, hw_error *err);

/* The bytes of such a file, *out [*n_bytes] (nullable), in a format given by name; JSON has the whole M. hw_free(*out).
 * Errors: ARGUMENT (unknown format, one that holds one method; as above), UNSUPPORTED, MEMORY. */
HW_API hw_err hw_result_to_bytes(char **out, size_t *n_bytes, const hw_attribution *const *list, size_t n,
                                 const char *format, hw_error *err);

typedef struct hw_result hw_result; /* content of a result file: one or more attributions of one run */
/* Opens a .safetensors or .json result. A .json without the whole M has one layer, the mean. Errors: ARGUMENT
 * (another extension), IO, FORMAT (what is wrong, where), UNSUPPORTED (a later version), MEMORY. */
HW_API hw_err hw_result_open(hw_result **out, const char *path, hw_error *err);
/* The same for the bytes of such a file, whose format is seen from them. Errors: FORMAT, UNSUPPORTED, MEMORY. */
HW_API hw_err hw_result_open_bytes(hw_result **out, const void *bytes, size_t n_bytes, hw_error *err);
HW_API void hw_result_free(hw_result *result);
HW_API size_t hw_result_count(const hw_result *result);
HW_API const hw_attribution *hw_result_at(const hw_result *result, size_t i);

typedef enum hw_file_kind { HW_FILE_UNKNOWN, HW_FILE_TRACE, HW_FILE_RESULT, HW_FILE_ATTENTION } hw_file_kind;
/* Detects the kind of a file from its content. Errors: IO, FORMAT, UNSUPPORTED (JSON of more than 1 GiB), MEMORY. */
HW_API hw_err hw_file_probe(hw_file_kind *out, const char *path, hw_error *err);

/* ------------------------------------------------------------------ documents: the data drawn by the page, as JSON
 * text
 * docs/reference/formats.md, "Document". Text is UTF-8 with a terminator appended; *n_bytes (nullable) is its length;
 * hw_free(*out). Errors: ARGUMENT (an infinite value), MEMORY. */

/* A run, its segments and filtered tokens, and attributions [n] of it (n may be 0). `passages`: segments of the prompt
 * named by the caller, or NULL. Errors: ARGUMENT (an infinite value, attributions of different runs), UNSUPPORTED (text
 * of more than 2 GiB), MEMORY. */
HW_API hw_err hw_document_json(char **out, const hw_run *run, const hw_segments *passages,
                               const hw_attribution *const *list, size_t n, hw_error *err);
/* An entry of its `attributions`; of `run.tokens`, token i; `run.model`, where `model` is the library's own struct, not
 * a copy. Errors: ARGUMENT (an infinite value), MEMORY. */
HW_API hw_err hw_attribution_json(char **out, size_t *n_bytes, const hw_attribution *a, hw_error *err);
HW_API hw_err hw_token_json(char **out, size_t *n_bytes, const hw_run *run, size_t i, hw_error *err);
HW_API hw_err hw_model_json(char **out, size_t *n_bytes, const hw_model_info *model, hw_error *err);

/* ------------------------------------------------------------------ views */

/* One row of the filter table: which prompt tokens a view hides. */
typedef struct hw_filter_info {
    const char *name;
    const char *summary;
} hw_filter_info;

HW_API size_t hw_filter_count(void);
HW_API const hw_filter_info *hw_filter_at(size_t i);
/* Checks the syntax of a list of filters (hw_view_params.hide). Errors: ARGUMENT (says what is accepted), MEMORY. */
HW_API hw_err hw_filter_check(const char *list, hw_error *err);

typedef struct hw_view hw_view;

typedef struct hw_view_params {
    size_t size;
    size_t row_begin, row_end;     /* rows of M to average, half-open; 0,0: all */
    size_t layer_begin, layer_end; /* indices into M's layers, half-open; 0,0: all */
    const char *hide;              /* filters, separated by commas: a name of the table (stopwords:de), "TEXT" in
                                      quotes for tokens with this text, /REGEX/ for tokens that match; "" or NULL:
                                      none */
    const char *keep;              /* the same syntax: tokens that are never hidden */
    bool normalise;                /* divide by the mass on all columns, so that they sum to 1 */
    bool lift;                     /* divide by the value of method `uniform` with the same rows, columns and
                                      settings: 1 is what the position alone explains. For shares only */
} hw_view_params;

HW_API void hw_view_params_init(hw_view_params *params, size_t size);
static inline hw_view_params hw_view_params_default(void) {
    hw_view_params params;
    hw_view_params_init(&params, sizeof params);
    return params;
}
/* Selects, averages and filters; never changes M. A lift divides means by means: scores by uniform's scores, each cell
 * of the profile by uniform's; 0 where uniform has 0. Errors: ARGUMENT (which value, what is accepted; lifting or
 * normalising nats, or both at once), UNSUPPORTED (a lift of a result file that lacks the measured residual),
 * MEMORY. */
HW_API hw_err hw_view_new(hw_view **out, const hw_attribution *a, const hw_view_params *params, hw_error *err);
HW_API void hw_view_free(hw_view *view);
HW_API size_t hw_view_n_columns(const hw_view *view);
HW_API size_t hw_view_n_layers(const hw_view *view);      /* of the selected range */
HW_API const float *hw_view_scores(const hw_view *view);  /* [m] mean over selected rows and layers, including hidden
                                                             columns */
HW_API const float *hw_view_profile(const hw_view *view); /* [m, layers] mean over selected rows */
HW_API bool hw_view_is_hidden(const hw_view *view, size_t column);
HW_API double hw_view_hidden_mass(const hw_view *view);  /* sum of hidden scores, before a lift */
HW_API double hw_view_outside_mass(const hw_view *view); /* mean mass on columns that M does not show */
/* The visible columns by descending score, ties by index: writes at most `n` to `out`, returns the number written. */
HW_API size_t hw_view_top(const hw_view *view, size_t *out, size_t n);

/* ------------------------------------------------------------------ traces built of another engine's rows
 *
 * For an engine that libheadwater does not run: pass its tokens and its attention weights as they are computed, and get
 * an ordinary trace. Methods that read attention alone (rollout, attention, flow ...) explain it; it is saved, opened
 * and drawn as any other. (Of a file: hw_trace_import().) */

typedef struct hw_trace_builder hw_trace_builder;

typedef struct hw_trace_builder_params {
    size_t size;
    size_t n_layers, n_heads; /* L and H of the attention weights */
    size_t n_prompt;          /* m >= 1: the first tokens are the prompt, the others the completion */
    size_t max_tokens;        /* T is at most this. m itself: there is no completion, and every row is explained */
    hw_fuse fuse;             /* how heads are fused to one row */
    bool sinks;               /* learned sinks: rows may sum to less than 1 */
    const char *model;        /* a name for it; NULL: none */
    bool bidirectional;       /* rows have weights on later tokens (an encoder reads the prompt): T is max_tokens */
} hw_trace_builder_params;
HW_API void hw_trace_builder_params_init(hw_trace_builder_params *params, size_t size);
static inline hw_trace_builder_params hw_trace_builder_params_default(void) {
    hw_trace_builder_params params;
    hw_trace_builder_params_init(&params, sizeof params);
    return params;
}

/* Allocates rows for max_tokens. Errors: ARGUMENT (a number outside its range), MEMORY. */
HW_API hw_err hw_trace_builder_new(hw_trace_builder **out, const hw_trace_builder_params *params, hw_error *err);
HW_API void hw_trace_builder_free(hw_trace_builder *builder);
/* Appends a token: exact bytes [n_bytes], its id (-1: none), and its log probability (NaN: unknown). The prompt is the
 * joined bytes of its tokens. Errors: ARGUMENT (more than max_tokens, a log probability above 0), MEMORY. */
HW_API hw_err hw_trace_builder_token(hw_trace_builder *builder, const char *bytes, size_t n_bytes, int32_t id,
                                     float logprob, hw_error *err);
/* Appends the rows of the next tokens: weights [L, H, n_rows, n_keys], copied. Columns are tokens from 0 on; there are
 * at least as many as the last row has (bidirectional: max_tokens), and those after a row's own are 0. One step of a
 * generation: n_rows 1. Rows and tokens may be appended in any order. After an error the builder is as it was before.
 * Errors: ARGUMENT (shape, a weight on a later column), ENGINE (NaN, a negative weight, a sum that is not 1: layer,
 * head, row), MEMORY. */
HW_API hw_err hw_trace_builder_rows(hw_trace_builder *builder, const float *rows, size_t n_rows, size_t n_keys,
                                    hw_error *err);
/* Makes the trace; the builder can then only be freed. The row of a completion's last token may be missing: methods
 * that explain by the token's own row refuse it then, and it cannot be saved. Errors: ARGUMENT (no completion, although
 * max_tokens is more than m; missing rows), MEMORY. */
HW_API hw_err hw_trace_builder_finish(hw_trace **out, hw_trace_builder *builder, hw_error *err);

#ifdef __cplusplus
}
#endif
#endif /* HEADWATER_H */
