/*
 * headwater.h - traces every generated token back to its sources in the prompt.
 *
 * The one public header of libheadwater; C99 and C++. Data flows one way:
 *
 *     hw_model --hw_trace_capture--> hw_trace --hw_explain--> hw_attribution --hw_view_new--> hw_view
 *
 * A trace holds all that an explanation needs, so it can be saved, reopened without the model and
 * explained again by any method. An attribution is the tensor M; a view selects, filters and
 * averages it and never changes it.
 *
 * Letters: L layers with attention, H query heads, T tokens = m prompt + n completion, V vocabulary.
 * `q` is a query row, `k` a key column; both count from 0. Arrays are row-major, slowest index first.
 *
 * Conventions
 *   - Fallible functions return hw_err (0 or negative) and take a nullable hw_error last.
 *   - The out parameter comes first, is written only on success, and `**out` is the caller's to free.
 *   - Returned `const` pointers are borrowed: they live as long as the object they came from.
 *   - Params structs: start from the *_default() function, which fills `size`; fields are only appended.
 *   - Params with defaults may be NULL. Any other pointer that is NULL is error ARGUMENT, where a function can fail; only the
 *     out parameter itself must not be NULL.
 *   - open/close where a file or device is behind it, new/free for memory; both accept NULL.
 *   - The library never prints, exits, aborts on input, reads the environment or touches signals.
 *   - One object is used from one thread at a time; different objects from any threads.
 */
#ifndef HEADWATER_H
#define HEADWATER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HW_VERSION "0.1.0"

#if defined(__GNUC__)
#define HW_API __attribute__((visibility("default")))
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
    HW_ERR_ARGUMENT = -1,    /* a value outside what is accepted */
    HW_ERR_IO = -2,          /* a file that cannot be read or written */
    HW_ERR_FORMAT = -3,      /* bytes that are not what the format demands */
    HW_ERR_MEMORY = -4,      /* an allocation failed */
    HW_ERR_UNSUPPORTED = -5, /* the model, trace or build lacks what is asked */
    HW_ERR_ENGINE = -6,      /* the engine failed, or showed rows that cannot be right */
    HW_ERR_CANCELLED = -7    /* the caller's stop function said so */
} hw_err;

/* What went wrong, which value, and what is accepted. UTF-8, one line, always terminated. */
typedef struct hw_error {
    hw_err code;
    char msg[1024];
} hw_error;

HW_API const char *hw_version(void);           /* "0.1.0" */
HW_API const char *hw_err_name(hw_err code);   /* "HW_ERR_IO" */
/* "OpenBLAS SkylakeX": what multiplies matrices here, and for which processor; OPENBLAS_CORETYPE chooses another. It is opened
 * now or at the first product; where it cannot be: "none: " and why. */
HW_API const char *hw_blas(void);

/* FATAL: the engine ends the process after this line, as when a worker of the model is gone. */
typedef enum hw_log_level { HW_LOG_DEBUG, HW_LOG_INFO, HW_LOG_WARN, HW_LOG_ERROR, HW_LOG_FATAL } hw_log_level;
/* One line of the engine's log, without its newline. May come from any thread. */
typedef void (*hw_log_fn)(void *ctx, hw_log_level level, const char *line);
/* Where the engine's messages go; NULL (the default) drops them. Process-wide: set it before opening models. */
HW_API void hw_log_set(hw_log_fn log, void *ctx);

/* ------------------------------------------------------------------ enumerations
 * Every choice that a user can name is one of these; hw_*_name() gives the word and hw_*_parse()
 * reads it, listing the accepted words in its error. */

typedef enum hw_fuse { HW_FUSE_MEAN, HW_FUSE_MAX, HW_FUSE_MIN } hw_fuse;
typedef enum hw_row { HW_ROW_PREDICTOR, HW_ROW_OWN } hw_row;
typedef enum hw_direction { HW_DIRECTION_INPUT, HW_DIRECTION_OUTPUT } hw_direction;
typedef enum hw_columns { HW_COLUMNS_PROMPT, HW_COLUMNS_ALL } hw_columns;
typedef enum hw_measure { HW_MEASURE_PROJECTION, HW_MEASURE_NORM, HW_MEASURE_PROXIMITY1, HW_MEASURE_PROXIMITY2 } hw_measure;
typedef enum hw_aggregate { HW_AGGREGATE_MEAN, HW_AGGREGATE_ROLLOUT } hw_aggregate;
typedef enum hw_precision { HW_PRECISION_F32, HW_PRECISION_F16 } hw_precision;
typedef enum hw_role { HW_ROLE_PROMPT, HW_ROLE_COMPLETION, HW_ROLE_SPECIAL, HW_ROLE_TEMPLATE } hw_role;
/* Attention rows, of what a trace keeps or a method needs: of every token; those of interest, m-1 and up; none. */
typedef enum hw_rows { HW_ROWS_ALL, HW_ROWS_INTEREST, HW_ROWS_NONE } hw_rows;
typedef enum hw_stop { HW_STOP_LENGTH, HW_STOP_END, HW_STOP_GIVEN, HW_STOP_CANCELLED } hw_stop;
/* Whether a chat template has the model think before it answers: as the template does by itself, or as the caller says. */
typedef enum hw_thinking { HW_THINKING_DEFAULT, HW_THINKING_ON, HW_THINKING_OFF } hw_thinking;

HW_API const char *hw_fuse_name(hw_fuse v);
HW_API const char *hw_row_name(hw_row v);
HW_API const char *hw_direction_name(hw_direction v);
HW_API const char *hw_columns_name(hw_columns v);
HW_API const char *hw_measure_name(hw_measure v);
HW_API const char *hw_aggregate_name(hw_aggregate v);
HW_API const char *hw_precision_name(hw_precision v);
HW_API const char *hw_role_name(hw_role v);
HW_API const char *hw_stop_name(hw_stop v);
HW_API const char *hw_rows_name(hw_rows v);
HW_API const char *hw_thinking_name(hw_thinking v);
HW_API hw_err hw_fuse_parse(hw_fuse *out, const char *word, hw_error *err);
HW_API hw_err hw_row_parse(hw_row *out, const char *word, hw_error *err);
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

/* One layer that contributions are read of. */
typedef struct hw_source {
    int32_t block; /* the model's own index; a block may have attention and a recurrent layer side by side */
    int32_t layer; /* which of the attention layers 0 .. L-1 it is; -1: recurrent, without attention weights */
    hw_source_kind kind;
} hw_source;

/* What a model is and what it can show. Strings are UTF-8 and never NULL. */
typedef struct hw_model_info {
    const char *path;            /* as given to hw_model_open(); for an import the file's path */
    const char *engine;          /* "llama", "import" */
    const char *engine_version;  /* of the library behind it, "" if it has none */
    const char *architecture;    /* "llama", "gemma3" ... */
    const char *name;            /* the model's own name, "" if it has none */
    const char *quantisation;    /* "Q4_1" ... */
    const char *metadata_sha256; /* hex SHA-256 of the GGUF file's bytes before its tensor data */
    const char *sample_sha256;   /* of these and of each tensor's first, middle and last 4 KiB: which weights; "" if unknown */
    const char *device;          /* where attention rows live: "CPU", "CUDA0" ...; "RPC0 20, CPU 10": of so many layers */
    const char *problem;         /* "" or why this model cannot be explained, and what it lacks */
    const char *values_problem;  /* "" or why what attention carries cannot be read (contribution) */
    const char *readout_problem; /* "" or why logits cannot be traced to the stream (logit) */
    const char *recurrent_problem; /* "" or why recurrent layers cannot be read: they count as the model's own part then */
    const int32_t *layers;       /* [L] the model's own index of each layer with attention, ascending */
    const hw_source *sources;    /* [n_sources] layers of `contribution` and `logit`, ascending: attention, and recurrent ones */
    int32_t n_sources;
    int32_t n_layers;            /* L */
    int32_t n_blocks;            /* all blocks, those without attention too */
    int32_t n_heads;             /* H, query heads (of the first attention layer where they differ) */
    int32_t n_heads_kv;
    int32_t n_embd;              /* hidden size */
    int32_t n_vocab;             /* V; 0 where there is none */
    int32_t n_ctx_train;         /* tokens of context that it was trained with */
    int32_t n_swa;               /* sliding window in tokens, 0 = none */
    uint64_t n_params;
    uint64_t n_bytes;            /* weights */
    bool adds_bos;
    bool has_chat_template;
    bool has_sinks;              /* learned sinks: a row's weights sum to less than 1 */
    bool host_rows;              /* attention of every layer is read in place, without a copy from a device */
    double row_error;            /* largest |1 - row sum| seen by the probe */
    const char *adapters;        /* hw_model_params.loras, separated by ", "; "" for none. They are in sample_sha256 */
} hw_model_info;

/* How far from 1 a row of attention may sum: a softmax in F32 is off by 1e-6 at most, so more than this says that columns
 * were misread or are missing. */
#define HW_ROW_TOLERANCE 1e-3

typedef enum hw_stage { HW_STAGE_LOAD, HW_STAGE_PREFILL, HW_STAGE_DECODE, HW_STAGE_EXPLAIN } hw_stage;
/* Progress: `done` of `total` (permille for HW_STAGE_LOAD, tokens else). */
typedef void (*hw_progress_fn)(void *ctx, hw_stage stage, size_t done, size_t total);
/* Asked often from the thread at work, also deep inside a decode; true: stop soon. */
typedef bool (*hw_stop_fn)(void *ctx);

typedef struct hw_model_params {
    size_t size;
    int32_t n_threads;    /* 0: as many as the machine has cores */
    int32_t n_gpu_layers; /* blocks to offload; 0 none, negative all */
    int32_t n_ctx;        /* most tokens of one run; 0: what the model was trained with */
    int32_t n_ubatch;     /* prompt tokens per forward pass; 0: 512 */
    bool f32_cache;       /* keys and values as F32 instead of F16: exact comparisons, twice the cache */
    hw_progress_fn progress;
    hw_stop_fn stop;
    void *ctx; /* for progress and stop */
    const char *rpc_servers; /* "HOST:PORT,HOST:PORT": machines that run hw_worker_run(), whose devices take blocks too, before
                                this machine's; NULL: none. How many blocks go to devices is n_gpu_layers */
    const char *devices;     /* "RPC0,CUDA1": only these take blocks, in this order; NULL: all (see hw_device_list_new()) */
    const char *const *loras; /* [n_loras] low-rank adapters, GGUF files, each "FILE" or "FILE=SCALE"; NULL: none. One
                                 of another model is ARGUMENT */
    size_t n_loras;
} hw_model_params;

HW_API hw_model_params hw_model_params_default(void);
/* Loads a GGUF model and probes what it shows. A model that loads but cannot be explained is opened
 * too (see hw_model_info.problem). Errors: IO, FORMAT, MEMORY, ENGINE, CANCELLED. */
HW_API hw_err hw_model_open(hw_model **out, const char *path, const hw_model_params *params, hw_error *err);
HW_API void hw_model_close(hw_model *model);
HW_API const hw_model_info *hw_model_describe(const hw_model *model);
/* Renders a short conversation by a chat template: `source` as Jinja text, NULL for the model's own. What makes hw_run_params.chat
 * fail for every conversation fails here. Errors: UNSUPPORTED (the model has no template; it does not render, with the reason; the
 * build has no engine for templates), MEMORY. */
HW_API hw_err hw_model_check_chat(hw_model *model, const char *source, hw_error *err);

/* ------------------------------------------------------------------ devices
 * What a model's blocks can run on: this machine's CPU and GPUs, and those of other machines that serve theirs with
 * hw_worker_run(), by ggml's RPC protocol. That is neither authenticated nor encrypted: for networks whose every machine you
 * trust. When a worker dies while a model uses it ggml ends the process, after a line of level HW_LOG_FATAL. */

typedef struct hw_device {
    const char *name;        /* "CPU", "CUDA0", "RPC0" */
    const char *description; /* the chip; of RPC devices HOST:PORT */
    uint64_t n_bytes, n_bytes_free; /* memory; 0 where unknown */
    bool takes_blocks; /* n_gpu_layers and hw_model_params.devices mean such devices */
    bool host;         /* its memory is this process's: rows are read in place */
} hw_device;

typedef struct hw_device_list hw_device_list;

/* Looks for devices: those of `rpc_servers` (as in hw_model_params), then this machine's. While the list lives the servers
 * serve nobody else. Errors: ARGUMENT (what is no HOST:PORT), IO (a server that cannot be reached, or does not answer within
 * 5 s), UNSUPPORTED (its version), MEMORY. */
HW_API hw_err hw_device_list_new(hw_device_list **out, const char *rpc_servers, hw_error *err);
HW_API void hw_device_list_free(hw_device_list *list);
HW_API size_t hw_device_list_count(const hw_device_list *list);
HW_API const hw_device *hw_device_list_at(const hw_device_list *list, size_t i);

typedef struct hw_worker_params {
    size_t size;
    const char *host;    /* IPv4 address to listen on; NULL: "127.0.0.1", which only this machine reaches */
    uint16_t port;       /* 1..65535 */
    int32_t n_threads;   /* for what runs on the CPU; 0: as many as the machine has cores */
    const char *devices; /* "CUDA0,CUDA1" or "CPU": these are served; NULL: every GPU, or the CPU where there is none */
} hw_worker_params;

HW_API hw_worker_params hw_worker_params_default(void);
/* Serves this machine's devices to one client after the other, and returns only on failure: for a process of its own. ggml
 * prints what it does on standard output, and ends the process on requests that cannot be right. Errors: ARGUMENT, IO (the
 * address is taken, or not this machine's), UNSUPPORTED (a build without RPC), ENGINE. */
HW_API hw_err hw_worker_run(const hw_worker_params *params, hw_error *err);

/* ------------------------------------------------------------------ runs: which tokens, by which model */

typedef struct hw_run hw_run;

/* A candidate of the step that chose a token. */
typedef struct hw_alternative {
    const char *bytes; /* [n_bytes], no terminator; may be half a character */
    size_t n_bytes;
    int32_t id;
    float logprob; /* natural log of its probability under the model, before any sampling option */
} hw_alternative;

#define HW_N_ALTERNATIVES 5

typedef struct hw_token {
    const char *bytes; /* [n_bytes] exact bytes, no terminator; may be half a character or invalid UTF-8 */
    size_t n_bytes;
    size_t begin, end; /* byte range in the prompt (completion tokens: in the completion); empty where
                          a token stands for none of the text: BOS, template */
    int32_t id;        /* -1 where there is no vocabulary (imports) */
    hw_role role;
    float logprob;     /* as in hw_alternative; NaN where unknown (prompt tokens, imports) */
    int32_t n_alternatives; /* 0 .. HW_N_ALTERNATIVES, most probable first */
    const hw_alternative *alternatives;
} hw_token;

HW_API size_t hw_run_n_tokens(const hw_run *run);     /* T */
HW_API size_t hw_run_n_prompt(const hw_run *run);     /* m: every token before the completion, special and template too */
HW_API size_t hw_run_n_completion(const hw_run *run); /* n */
HW_API size_t hw_run_n_reused(const hw_run *run);     /* of those, tokens taken from hw_run_params.prefix; 0 of a run from a file */
HW_API hw_token hw_run_token(const hw_run *run, size_t i); /* 0 <= i < T; its pointers are borrowed */
/* How a token is shown, as UTF-8 with a terminator: a character that is cut over several tokens is whole in the first, and a dot
 * (U+02D9) in those that hold nothing else; bytes of no character are written as ‹E2›. Writes what fits whole into out [capacity];
 * returns the bytes of all, as snprintf() does. */
HW_API size_t hw_run_token_text(char *out, size_t capacity, const hw_run *run, size_t i);
/* The same for the first n tokens that are in `group` by groups [n], one after the other: a dot stands only where a character
 * begins in another group. */
HW_API size_t hw_run_group_text(char *out, size_t capacity, const hw_run *run, const int32_t *groups, size_t n, int32_t group);
HW_API const char *hw_run_prompt(const hw_run *run, size_t *n_bytes);     /* the caller's prompt, byte for byte */
HW_API const char *hw_run_completion(const hw_run *run, size_t *n_bytes); /* the completion tokens' bytes joined */
HW_API const hw_model_info *hw_run_model(const hw_run *run);
HW_API hw_fuse hw_run_fuse(const hw_run *run);
HW_API hw_stop hw_run_stop(const hw_run *run); /* why the completion ends where it ends */
HW_API bool hw_run_is_causal(const hw_run *run);
HW_API const char *hw_run_against(const hw_run *run); /* hw_run_params.against; "" for the mean */
/* What a reader of the run must know of its texts, one sentence each: the text of control tokens read as plain letters, bytes
 * that are not UTF-8, NUL, CRLF, a byte order mark, a completion that the tokenizer changed. */
HW_API size_t hw_run_n_remarks(const hw_run *run);
HW_API const char *hw_run_remark(const hw_run *run, size_t i);

/* Completion tokens named by `select`: an index (`3`, `-1` the last), a range `a:b` (b excluded), or
 * text (the first token that reads so, else the first tokens that contain it; `=7` is the text "7").
 * Writes the half-open range [*begin, *end) of completion indices. On an import without a prompt
 * length the indices are those of all tokens. Error ARGUMENT lists the tokens. */
HW_API hw_err hw_run_select(size_t *begin, size_t *end, const hw_run *run, const char *select, hw_error *err);

/* ------------------------------------------------------------------ traces */

typedef struct hw_trace hw_trace;

/* What a trace can hold beside attention: numbers that methods need and that only the running model shows. Where nothing
 * else is said they are [L, n + 1, T]: the rows of interest m-1 .. m+n-1 against columns 0 .. q. */
typedef enum hw_signal {
    HW_SIGNAL_PROJECTION, /* <T, y> / |y|^2, see contribution.h */
    HW_SIGNAL_NORM,       /* |T|, attention only, rows scaled to 1 */
    HW_SIGNAL_PROXIMITY1, /* |y|_1 - |y - T|_1, clipped at 0, rows scaled to 1 */
    HW_SIGNAL_PROXIMITY2, /* the same with p = 2 */
    HW_SIGNAL_LOGIT,      /* direct effect on the logit of the token that the row chose, above the mean logit or what else it is
                             compared with (hw_run_params.against) */
    HW_SIGNAL_RESIDUAL,   /* [L, T] |a| / (|a| + |x|): how much attention changed the stream */
    /* The first four of every row, [L, T(T+1)/2] packed as attention rows are: as much memory as those take, and at most
     * 4 GiB together. The last block shows the rows of interest only; the others are 0 there. */
    HW_SIGNAL_ALL_PROJECTION,
    HW_SIGNAL_ALL_NORM,
    HW_SIGNAL_ALL_PROXIMITY1,
    HW_SIGNAL_ALL_PROXIMITY2,
    HW_N_SIGNALS
} hw_signal;
HW_API const char *hw_signal_name(hw_signal v); /* "projection" ... */

/* One message of a conversation. */
typedef struct hw_message {
    const char *role;    /* "system", "user", "assistant", or another that the chat template knows */
    const char *content; /* [content_bytes]; any bytes */
    size_t content_bytes;
} hw_message;

typedef struct hw_explainer hw_explainer; /* below */
typedef struct hw_method_params hw_method_params;
typedef struct hw_estimate hw_estimate;

typedef struct hw_run_params {
    size_t size;
    const char *prompt; /* [prompt_bytes]; any bytes: invalid UTF-8 is kept, and remarked on (hw_run_remark()) */
    size_t prompt_bytes;
    const char *completion; /* [completion_bytes] explain this text, which goes on from the prompt: no tokenizer puts a space
                               between; NULL: generate */
    size_t completion_bytes;
    size_t n_generate;  /* at most this many tokens; default 32 */
    bool chat;          /* wrap the prompt, a message of the user, in the chat template */
    float temperature;  /* 0: greedy */
    int32_t top_k;      /* 0: all */
    float top_p;        /* 1: all */
    uint32_t seed;
    hw_fuse fuse;       /* how heads become one row */
    /* Called with each completion token, token i of the run, as soon as it is chosen; may be NULL. */
    void (*on_token)(void *ctx, const hw_run *run, size_t i);
    hw_progress_fn progress;
    hw_stop_fn stop; /* during generation: the trace ends with the tokens so far (HW_STOP_CANCELLED) */
    void *ctx;       /* for on_token, on_estimate, progress and stop */
    /* Where the explainer has methods that read logits: what each chosen token's logit is compared with. NULL or "mean": the mean
     * of all logits. "distribution": their mean by the model's own probabilities, which is the direction of the log probability;
     * the 256 likeliest other tokens count each, those left as the mean. "second": the likeliest other token of each step. Else
     * one token, named by its exact text (" Berlin"; "=second" for the text "second", "==" for "="). */
    const char *against;
    /* Methods that explain the run, borrowed: what the trace keeps is what they need, and what they are to keep. NULL: the trace
     * keeps every attention row and no signal. */
    hw_explainer *explainer;
    /* An earlier trace, borrowed until the run ends, or NULL. The front of the prompt that the two share, and that the model
     * still holds from its last run (or from hw_state_open()), is not decoded again: its rows are copied, so that the trace is
     * what it would be without. It has no effect where it is of another model or `fuse`, lacks prompt rows or a signal of every
     * row that are to be kept, or where methods of the explainer take in the rows as they pass; hw_run_n_reused() tells. Of
     * captures only. */
    const hw_trace *prefix;
    /* A capture that would take more bytes does not start: ARGUMENT. Counted is hw_estimate.total, less what methods take after the run.
     * 0: no limit. */
    uint64_t memory;
    /* Called once, when the prompt's tokens are there and none is decoded, with what the run would take. Anything but HW_OK ends
     * the run with that error; may be NULL. */
    hw_err (*on_estimate)(void *ctx, const hw_estimate *estimate, hw_error *err);
    bool saves_state; /* hw_trace_save_as() with a model follows: estimates count the copy of its cache */
    /* [n_messages] a whole conversation for the chat template, in place of `prompt`, which then is NULL. The run's prompt is their
     * contents, in the order in which the template writes them, a blank line between two: byte ranges and segments are of that
     * text. NULL: none. */
    const hw_message *messages;
    size_t n_messages;
    /* With `chat` or `messages`. The template as Jinja text, NULL: the model's own. It is rendered as llama.cpp's server does,
     * but for the date: a template that writes today's by strftime_now("FORMAT") gets 26 July 2024, so that a run can be
     * repeated. */
    const char *chat_template;
    hw_thinking thinking; /* ON and OFF: UNSUPPORTED where the template makes no difference between them */
    bool special;         /* text of control tokens in prompt, messages and completion is read as these tokens; else as letters */
} hw_run_params;

HW_API hw_run_params hw_run_params_default(void);
/* Runs the model once and keeps every layer's attention rows, or what the explainer needs.
 * Errors: ARGUMENT (empty prompt, prompt + n beyond the context, a bad option), UNSUPPORTED (see
 * hw_model_info.problem), ENGINE, MEMORY, CANCELLED (stopped before the first completion token). */
HW_API hw_err hw_trace_capture(hw_trace **out, hw_model *model, const hw_run_params *params, hw_error *err);
/* The prompt's tokens alone, with roles and byte ranges: nothing is decoded, there is no completion, and the prompt may be longer than
 * the context. Errors: ARGUMENT (as above), UNSUPPORTED (no chat template), MEMORY. */
HW_API hw_err hw_run_tokenize(hw_run **out, hw_model *model, const hw_run_params *params, hw_error *err);
HW_API void hw_run_free(hw_run *run);
/* Attention exported from anywhere: a safetensors file with `attention` [L,H,T,T] or [L,T,T] (F16,
 * BF16, F32, F64), metadata `m` and `tokens` where known. With `m` rows must be causal; without, every
 * row is explained against every column. Errors: IO, FORMAT (which value, where), MEMORY. */
HW_API hw_err hw_trace_import(hw_trace **out, const char *path, hw_fuse fuse, hw_error *err);
HW_API hw_err hw_trace_save(const hw_trace *trace, const char *path, hw_error *err);

typedef struct hw_save_params {
    size_t size;
    hw_precision precision; /* of attention rows: F32 keeps every bit; F16 takes half, see hw_trace_rounding(). Signals are F32 */
    hw_model *model;        /* the model that ran it, nothing else since: its cache is kept too, for hw_state_open(). NULL: none */
} hw_save_params;
HW_API hw_save_params hw_save_params_default(void);
/* The same with settings. Errors: IO, MEMORY; with a model ARGUMENT (it has decoded other tokens since), UNSUPPORTED (its
 * cache cannot be kept: recurrent blocks, positions in more than one dimension). */
HW_API hw_err hw_trace_save_as(const hw_trace *trace, const char *path, const hw_save_params *params, hw_error *err);
/* Most mass that keeping rows in this precision moves in any of them, or that the file moved which rows came from: the sum
 * over k of |a' - a|. No row moves twice. Rows are stochastic, so the rows of a composed S_l are moved by at most (l + 1) times this (a
 * residual of 0.5), and those of attention by this. */
HW_API double hw_trace_rounding(const hw_trace *trace, hw_precision precision);

/* A state is a trace with the model's cache beside it (hw_save_params.model). Opens one: the trace, to be given as
 * hw_run_params.prefix, and in the model its cache. UNSUPPORTED: it was made by another model, another version of its engine,
 * with another cache type, or before caches had a checksum. Errors: IO, FORMAT (damaged; the model may then hold nothing), MEMORY,
 * ENGINE. */
HW_API hw_err hw_state_open(hw_trace **out, hw_model *model, const char *path, hw_error *err);
HW_API hw_err hw_trace_open(hw_trace **out, const char *path, hw_error *err);
HW_API void hw_trace_free(hw_trace *trace);
HW_API const hw_run *hw_trace_run(const hw_trace *trace);
HW_API hw_rows hw_trace_rows(const hw_trace *trace); /* which it keeps */
HW_API bool hw_trace_has(const hw_trace *trace, hw_signal signal);
/* Row q of layer l (index into hw_model_info.layers), heads fused: [*n] weights of columns 0..*n-1
 * (*n = q+1 when causal, T otherwise). NULL and 0 where the trace does not keep it. */
HW_API const float *hw_trace_row(const hw_trace *trace, size_t l, size_t q, size_t *n);

/* ------------------------------------------------------------------ segments: words, sentences, passages */

typedef struct hw_segments hw_segments;
typedef enum hw_side { HW_SIDE_PROMPT, HW_SIDE_COMPLETION } hw_side;

/* A named byte range of a text. */
typedef struct hw_span {
    const char *name; /* "" or NULL for none */
    size_t begin, end;
} hw_span;

/* [*n] the messages of a run with a chat template, in the order of the prompt: role (as name) and byte range in it. */
HW_API const hw_span *hw_run_messages(const hw_run *run, size_t *n);

/* One row of the segmenter table. */
typedef struct hw_segmenter_info {
    const char *name; /* "token", "word", "line", "sentence", "paragraph" */
    const char *summary;
} hw_segmenter_info;
HW_API size_t hw_segmenter_count(void);
HW_API const hw_segmenter_info *hw_segmenter_at(size_t i);

/* Cuts the prompt (or the completion) of a run by a segmenter's name, or by an ICU regular expression written /RE/ whose
 * matches end segments. Tokens go whole into the segment that holds their first byte that is no space (a word's tokens stay together); special
 * and template tokens belong to none. Errors: ARGUMENT (unknown name: lists them; a bad expression: where). */
HW_API hw_err hw_segments_new(hw_segments **out, const hw_run *run, hw_side side, const char *by, hw_error *err);
/* The caller's spans, which must rise, not overlap and lie inside the text; tokens outside all spans belong to none. */
HW_API hw_err hw_segments_from_spans(hw_segments **out, const hw_run *run, hw_side side, const hw_span *spans, size_t n, hw_error *err);
/* The same from JSON text [n_bytes]: [{"name": "A", "begin": 0, "end": 120}, ...], offsets in characters (code points). */
HW_API hw_err hw_segments_from_json(hw_segments **out, const hw_run *run, hw_side side, const char *json, size_t n_bytes, hw_error *err);
HW_API void hw_segments_free(hw_segments *segments);
HW_API size_t hw_segments_count(const hw_segments *segments);
HW_API const hw_span *hw_segments_at(const hw_segments *segments, size_t i); /* byte range in its side's text */
/* [*n] segment of each token of its side (prompt: m, completion: n), -1 for none: hw_method_params.groups. */
HW_API const int32_t *hw_segments_groups(const hw_segments *segments, size_t *n);

/* Segments as columns that are the whole side: each token in exactly one. Tokens of no segment (BOS, chat template,
 * text between spans) are together in one more column, the last; it is called "(outside the spans)" where segments
 * have names. */
typedef struct hw_partition hw_partition;

/* Keeps nothing of the segments. Free with hw_partition_free(). Errors: MEMORY. */
HW_API hw_err hw_segments_partition(hw_partition **out, const hw_segments *segments, hw_error *err);
HW_API void hw_partition_free(hw_partition *partition);
HW_API size_t hw_partition_count(const hw_partition *partition); /* columns */
/* Makes these the columns: sets groups, n_groups and group_names, which point into the partition. */
HW_API void hw_partition_columns(const hw_partition *partition, hw_method_params *params);

/* ------------------------------------------------------------------ methods */

/* Settings that a method heeds, with some others or always, beside columns and groups; and what its numbers are. */
enum {
    HW_USES_FUSE = 1,       /* how heads were fused */
    HW_USES_RESIDUAL = 2,   /* residual */
    HW_USES_DIRECTION = 4,  /* direction: it composes layers */
    HW_USES_MEASURE = 8,    /* measure */
    HW_USES_SEED = 16,      /* seed */
    HW_USES_MODEL = 32,     /* model: it runs it again, without parts of the prompt */
    HW_GIVES_SHARES = 64,   /* a row with what is outside sums to 1 (signed for projection); else nats */
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
    const char *summary;   /* one line */
    const char *needs;     /* what it reads of the trace */
    const char *cost;
    const char *reference; /* paper and section */
    const char *blind;     /* what it does not show */
    uint32_t traits;       /* HW_USES_* and HW_GIVES_*, or-ed */
    hw_rows rows;          /* that hw_explain() needs in the trace */
} hw_method_info;

HW_API size_t hw_method_count(void);
HW_API const hw_method_info *hw_method_at(size_t i);
HW_API const hw_method_info *hw_method_find(const char *name); /* NULL if there is none */
/* "" if a model can give what the method needs, else why not. Borrowed from `model`. */
HW_API const char *hw_method_problem(const hw_method_info *method, const hw_model_info *model);

struct hw_method_params {
    size_t size;
    hw_row row;             /* predictor: the row m-1+i that chose token i; own: m+i */
    hw_direction direction; /* input: from the embeddings up to layer l; output: from the top down to l */
    hw_columns columns;     /* prompt: [:m]; all: completion columns too */
    double residual;        /* weight of the residual stream in a row, 0 <= r <= 1; default 0.5 */
    hw_measure measure;     /* of contribution */
    uint64_t seed;          /* of random and ablation */
    hw_model *model;        /* of methods that run it again (leave-one-out, ablation); else NULL */
    size_t n_ablations;     /* random masks of ablation; default 64 */
    const int32_t *groups;  /* [columns] group of each column token, 0..n_groups-1 (-1: none), or NULL: each
                               token its own. M then has n_groups columns, exactly the sums over groups. */
    size_t n_groups;
    hw_progress_fn progress;
    hw_stop_fn stop;
    void *ctx;
    bool residual_measured; /* not `residual` but what attention changed in the stream of each row and layer
                               (HW_SIGNAL_RESIDUAL) weighs the residual: 1 - that */
    double discard;         /* this share of the allowed weights of each row, the lowest, counts as 0; 0 <= discard < 1 */
    bool remove_sink;       /* token 0 counts as 0 in every row but its own */
    hw_aggregate aggregate; /* of contribution. mean: each layer by itself; rollout: layers composed, S_l = C_l ... C_0, which
                               needs the signals of every row (HW_SIGNAL_ALL_*). Norms have no residual part, so it is added
                               as in rollout; of projections the negative ones count as 0, and rows are scaled to 1 */
    const char *const *group_names; /* [n_groups] UTF-8, what groups are called; "" or NULL: by their text. No number heeds it */
    bool through;           /* what a token came from in the completion is followed back to the prompt: see hw_through. With
                               columns `prompt`; of methods that attribute to the completion (HW_USES_THROUGH) */
};

HW_API hw_method_params hw_method_params_default(void);

/* ------------------------------------------------------------------ settings, as tables
 * One row for each field of hw_method_params and of hw_run_params that a user sets. Command line, HTTP API, result files, the page
 * and the documentation go by them. `params` below is the struct that the setting's table is about. */

typedef enum hw_setting_type {
    HW_SETTING_FLAG,
    HW_SETTING_NUMBER,
    HW_SETTING_WHOLE,
    HW_SETTING_WORD,
    HW_SETTING_TEXT /* borrowed; its default is none, NULL */
} hw_setting_type;
/* Whether the setting is named beside a result: only where it is not the default, wherever the method uses it, always. */
typedef enum hw_shown { HW_SHOWN_WHERE_SET, HW_SHOWN_WHERE_USED, HW_SHOWN_ALWAYS } hw_shown;

/* One row of the table. */
typedef struct hw_setting_info {
    const char *name;        /* the key in JSON: "remove_sink" */
    const char *option;      /* on command lines: "remove-sink"; NULL: an option with a wider meaning sets it too (seed) */
    const char *option_word; /* of a flag: it is set by this word as the value of `option` ("residual=measured"); else NULL */
    const char *label;       /* for a form: "Remove sink"; NULL: forms leave it out */
    const char *help;        /* one sentence, no full stop */
    const char *before, *after; /* around the value in headings, around nothing for a flag: "lowest ", " discarded"; NULL: not shown */
    hw_setting_type type;
    hw_shown shown;
    uint32_t uses;           /* HW_USES_ trait of the methods that it applies to; 0: all */
    double min, max;         /* of numbers; of text its length in bytes, max 0: any */
    bool below_max;          /* `max` itself is not accepted */
    const char *const *words; /* of HW_SETTING_WORD: [] by value, ends with NULL */
    double default_value;    /* of a word its index */
    bool json_text;          /* result files hold it as a string, since JSON's numbers do not hold 64 bits everywhere */
    bool optional;           /* result files of earlier versions lack it: it has its default there */
    bool sparse;             /* result files hold it only where it is not the default */
    bool transient;          /* result files do not hold it */
} hw_setting_info;

/* The methods' settings: hw_method_params. */
HW_API size_t hw_setting_count(void);
HW_API const hw_setting_info *hw_setting_at(size_t i);
HW_API const hw_setting_info *hw_setting_find(const char *name); /* NULL if there is none */
/* A run's options: hw_run_params. */
HW_API size_t hw_run_option_count(void);
HW_API const hw_setting_info *hw_run_option_at(size_t i);
HW_API const hw_setting_info *hw_run_option_find(const char *name); /* NULL if there is none */
/* The value as a number; of a word its index, of text whether there is one. Whole numbers beyond 2^53 are rounded: hw_setting_text() has all digits. */
HW_API double hw_setting_value(const void *params, const hw_setting_info *setting);
/* Not of text. Error ARGUMENT, "must be a number from 0 to 1": a value that the row does not accept. */
HW_API hw_err hw_setting_set(void *params, const hw_setting_info *setting, double value, hw_error *err);
/* "0.5", "true", "own" into out [capacity]; and back, with errors as above. Return out. */
HW_API char *hw_setting_text(char *out, size_t capacity, const void *params, const hw_setting_info *setting);
HW_API hw_err hw_setting_read(void *params, const hw_setting_info *setting, const char *text, hw_error *err);
/* A method's setting as a command line writes it: `option` and its value, NULL for flags; option words are understood. */
HW_API hw_err hw_setting_read_option(hw_method_params *params, const char *option, const char *text, hw_error *err);
/* "a number from 0 to 1", "one of input, output" into out [capacity]. Returns out. */
HW_API char *hw_setting_accepts(char *out, size_t capacity, const hw_setting_info *setting);

/* Signals (1u << hw_signal, or-ed) that a trace must hold for a method with these settings; 0 for an unknown one. */
HW_API uint32_t hw_method_signals(const char *method, const hw_method_params *params);
/* The method's traits that are left with these settings: of contribution, direction and residual count only where layers are
 * composed. */
HW_API uint32_t hw_method_heeds(const hw_method_info *method, const hw_method_params *params);

/* ------------------------------------------------------------------ attributions */

typedef struct hw_attribution hw_attribution;

/* Read together with every result. Means over the rows of M; `_mean` over layers, `_last` at full depth. */
typedef struct hw_diagnostics {
    double first_mean, first_last;       /* mass on token 0 (with groups: on its group) */
    double outside_mean, outside_last;   /* mass on columns that M does not show */
    double position_mean, position_last; /* Spearman of value with where columns begin in the text; NaN for fewer than 2 */
} hw_diagnostics;

/* Explains a trace. Errors: ARGUMENT (unknown method: lists them; an option out of range),
 * UNSUPPORTED (the trace lacks what the method needs), MEMORY, CANCELLED. */
HW_API hw_err hw_explain(hw_attribution **out, const hw_trace *trace, const char *method,
                         const hw_method_params *params, hw_error *err);
HW_API void hw_attribution_free(hw_attribution *attribution);
/* The same with columns summed by group [columns]: what seeding the method with the groups gives. names [n_groups] or NULL:
 * as hw_method_params.group_names. */
HW_API hw_err hw_attribution_group(hw_attribution **out, const hw_attribution *a, const int32_t *groups, const char *const *names, size_t n_groups, hw_error *err);

HW_API const hw_run *hw_attribution_run(const hw_attribution *a);
HW_API const char *hw_attribution_method(const hw_attribution *a);
/* The settings it was made with (callbacks are cleared). */
HW_API const hw_method_params *hw_attribution_params(const hw_attribution *a);
HW_API size_t hw_attribution_n_passes(const hw_attribution *a);  /* forward passes that it needed beside the run's own */
HW_API const hw_diagnostics *hw_attribution_diagnostics(const hw_attribution *a);
HW_API size_t hw_attribution_n_rows(const hw_attribution *a);    /* n */
HW_API size_t hw_attribution_n_columns(const hw_attribution *a); /* m, or T with HW_COLUMNS_ALL, or n_groups */
HW_API size_t hw_attribution_n_layers(const hw_attribution *a);  /* L; 1 where a result has no layers */
HW_API const int32_t *hw_attribution_layers(const hw_attribution *a); /* [L] the model's layer indices; -1: mean of all */
HW_API const float *hw_attribution_values(const hw_attribution *a);   /* M [n, m, L] */
HW_API const float *hw_attribution_outside(const hw_attribution *a);  /* [n, L] mass on columns that M does not show */

/* ------------------------------------------------------------------ explainers: methods that are given to a run */

/* What a trace keeps beside what results need. Attention rows of a long prompt are large: L x T^2 / 2 floats. */
typedef enum hw_keep {
    HW_KEEP_RESULTS, /* nothing: methods take in prompt rows as they pass, where they can, and signals are summed by the segments as
                        they come. Such a trace is explained by this explainer alone, and cannot be saved where signals are sums */
    HW_KEEP_METHODS, /* what hw_explain() needs for these methods, whatever their columns */
    HW_KEEP_ROWS,    /* that, and every attention row */
    HW_KEEP_ALL,     /* every row, and the signals of every method that the model can give, with these settings, with the defaults and
                        with the residual measured */
} hw_keep;

typedef struct hw_explainer_params {
    size_t size;
    hw_keep keep;
    /* Called while the run is captured: `rows` of method i, the caller's to free, explain the tokens that can be explained by now
     * and were not before (hw_attribution_first_token()). After the first token, each `interval` tokens and at the end. Not of methods that
     * need the whole run, nor with columns `all`: of these there are only results. A method that fails is shown no more;
     * hw_explainer_result() says why. NULL: nothing is shown. */
    void (*on_rows)(void *ctx, size_t i, hw_attribution *rows);
    size_t interval; /* default 64. Fewer tokens at a time cost more: a layer's weights are read again for each lot */
    void *ctx;       /* for on_rows */
} hw_explainer_params;
HW_API hw_explainer_params hw_explainer_params_default(void);

/* Methods, how they are to explain, and how the prompt is split: made first, given to one run after another
 * (hw_run_params.explainer), and asked for the results of the last. */
HW_API hw_err hw_explainer_new(hw_explainer **out, const hw_explainer_params *params, hw_error *err);
HW_API void hw_explainer_free(hw_explainer *explainer);
/* One method more; the first is number 0. What `params` points to must outlive the explainer. Errors: ARGUMENT (as hw_explain()), MEMORY. */
HW_API hw_err hw_explainer_add(hw_explainer *explainer, const char *method, const hw_method_params *params, hw_error *err);
/* Columns are segments of the prompt: as hw_segments_new() cuts them, or spans as hw_segments_from_json() reads them (errors about
 * them begin with `name`; NULL: with nothing). `whole`: tokens of no segment are one more column (hw_segments_partition());
 * else they are in none. Replaces groups in the methods' settings. A prompt that cannot be split so fails the run. Errors: MEMORY. */
HW_API hw_err hw_explainer_split(hw_explainer *explainer, const char *by, bool whole, hw_error *err);
HW_API hw_err hw_explainer_split_spans(hw_explainer *explainer, const char *json, size_t n_bytes, const char *name, bool whole,
                                       hw_error *err);
/* The segments of the last run's prompt, or of the last trace that was explained; NULL where it is not split. */
HW_API const hw_segments *hw_explainer_segments(const hw_explainer *explainer);
/* What method i gives of the whole completion. `trace`: the one that it was given to, or any other, whose prompt is then split.
 * Errors: as hw_explain() and hw_segments_new(). */
HW_API hw_err hw_explainer_result(hw_attribution **out, hw_explainer *explainer, size_t i, const hw_trace *trace, hw_error *err);

/* Where a token's logit, above the mean logit or what else it is compared with (hw_run_against), came from, as method `logit`
 * adds it up. In nats. */
typedef struct hw_balance {
    double prompt;     /* attention to prompt tokens */
    double completion; /* attention to completion tokens, its own included */
    double bias;       /* attention biases and sinks, which belong to no token */
    double mlp;        /* MLPs, and blocks without attention */
    double embedding;  /* the embedding of the token before */
    double logit;      /* the logit so compared, as the model gave it: the sum of the five */
} hw_balance;
/* What the five leave of the logit. Where weights are quantised the engine rounds its output product, which is up to
 * HW_BALANCE_LIMIT of the five's sizes added up; a larger rest means that they are not where the logit came from.
 * Measured over 368 tokens of two quantised models: at most 0.010, and 0.056 of contrasts with the second token, whose
 * parts are small; of 51 tokens in F32 2e-6. */
#define HW_BALANCE_LIMIT 0.06
HW_API double hw_balance_rest(const hw_balance *balance);
HW_API bool hw_balance_closes(const hw_balance *balance);
/* [n] one per row; NULL for other methods. */
HW_API const hw_balance *hw_attribution_balance(const hw_attribution *a);
HW_API size_t hw_attribution_first_token(const hw_attribution *a);    /* row i explains token first_token + i of the run */

/* Where a token came from when the tokens of the completion that it came from are followed, each by its own row, until all
 * is in the prompt or in the model itself: R_t = p_t + sum_{k<t} g_t[k] R_k, of the positive parts of each row divided by their
 * sum (Walker & Ewetz, arXiv 2512.15663). M then has shares, whatever the method's own numbers are: the mean over layers
 * is R, and with what is outside and the model's share a row sums to 1. The model's part of a row is, of method logit, MLPs and
 * biases; of methods in shares what biases and sinks hold. The embedding of the row's own token belongs to that token. */
typedef struct hw_through {
    double prompt, model;               /* at the end: they sum to 1 */
    double prompt_direct, model_direct; /* of these, at once; the rest came through the completion */
    double raised; /* the sum that parts are divided by: of logit, nats. 0: no part is positive, all counts as the model's */
} hw_through;
/* [n] one per row; NULL where nothing was followed. */
HW_API const hw_through *hw_attribution_through_rows(const hw_attribution *a);
/* g: the share of row i that came, at once, from completion token k, before it is followed; 0 for k from the row's own token on. */
HW_API double hw_attribution_hop(const hw_attribution *a, size_t i, size_t k);
/* Follows a finished result that has a column for each token of the completion (columns `all`, no groups): what
 * hw_method_params.through gives. Errors: ARGUMENT (other columns, a method without such columns, values that are not finite),
 * UNSUPPORTED (no completion), MEMORY. */
HW_API hw_err hw_attribution_through(hw_attribution **out, const hw_attribution *a, hw_error *err);

/* Layers named by `select`, counted as people do: `5` or `3-12`, the model's first block being 1.
 * Writes the half-open range [*begin, *end) of indices into M's layers; the whole one where the method has one number for all
 * layers. */
HW_API hw_err hw_attribution_select_layers(size_t *begin, size_t *end, const hw_attribution *a, const char *select,
                                           hw_error *err);

/* ------------------------------------------------------------------ what a run would take */

struct hw_estimate {
    size_t n_prompt, n_tokens, n_columns; /* m; T where all that may be generated is; columns of M */
    uint64_t program, weights;            /* bytes: libraries, tokenizer, threads; of the model's file */
    uint64_t cache, buffers;              /* keys and values; the engine's graph, as far as it is known */
    uint64_t rows, signals;               /* of the trace */
    uint64_t waiting;                     /* rows of interest until they are explained */
    uint64_t methods;                     /* M, and the levels of R that composing layers takes */
    uint64_t state;                       /* the trace that it goes on from; the copy of the cache while a state is saved */
    uint64_t total;                       /* of these parts: all that would be resident at once, at most */
    double seconds;                       /* rough: the model's arithmetic at stated rates, after loading */
};
/* Reads the prompt's tokens, decodes nothing; its explainer forgets the run before. hw_run_params.on_estimate has the same of a
 * run that begins. Errors: as hw_trace_capture() of tokens and hw_segments_new(). */
HW_API hw_err hw_run_estimate(hw_estimate *out, hw_model *model, const hw_run_params *params, hw_error *err);

/* ------------------------------------------------------------------ faithfulness: is an explanation right? */

typedef struct hw_check hw_check;

typedef struct hw_check_params {
    size_t size;
    size_t row_begin, row_end; /* completion tokens whose joint log probability is judged; 0,0: all */
    size_t n_ablations;        /* random masks of the LDS; default 64 */
    uint64_t seed;
    hw_progress_fn progress; /* HW_STAGE_EXPLAIN, forward passes done of planned */
    hw_stop_fn stop;
    void *ctx;
} hw_check_params;

/* How one method did. Log probabilities in nats; NaN where a figure does not exist (fewer than k segments). */
typedef struct hw_check_row {
    const char *method;
    double drop[3];           /* fall of log p(completion) without the best 1, 3, 5 segments; higher is better */
    double comprehensiveness; /* mean fall without the best 1, 5, 10, 20, 50 % of the segments (ERASER); higher is better */
    double sufficiency;       /* mean fall with only those; lower is better */
    double lds;               /* Spearman of summed scores and logit p over random masks; higher is better */
    size_t n_passes;          /* forward passes that the method itself needed beside the run's own */
} hw_check_row;

HW_API hw_check_params hw_check_params_default(void);
/* Judges attributions of one run whose columns are `segments` by running the model without segments, all on the same masks,
 * beside random, uniform, attention and leave-one-out. Errors: ARGUMENT (fewer than 2 segments), UNSUPPORTED, ENGINE ... */
HW_API hw_err hw_check_new(hw_check **out, hw_model *model, const hw_trace *trace, const hw_segments *segments,
                           const hw_attribution *const *list, size_t n, const hw_check_params *params, hw_error *err);
HW_API void hw_check_free(hw_check *check);
HW_API size_t hw_check_count(const hw_check *check);
HW_API const hw_check_row *hw_check_at(const hw_check *check, size_t i); /* the given ones first, then the baselines */
HW_API double hw_check_base(const hw_check *check);                      /* log p(completion | whole prompt) */
HW_API size_t hw_check_n_passes(const hw_check *check);                  /* forward passes of the whole check */
HW_API size_t hw_check_n_cuts(const hw_check *check);                    /* random masks of the LDS */
/* Random mask i, to judge other scores on the same: which segments it kept [segments] (borrowed), and the logit of the completion's
 * probability without the others, log(p / (1 - p)). */
HW_API const bool *hw_check_cut(const hw_check *check, size_t i, double *logit);
/* One line in plain words on the first method: where its first choice lies between the mean over all segments and the
 * one whose absence costs most (where that one costs less than log 2 nothing can be judged); and its LDS beside what
 * random scores reach on the same masks, the mean over 300 draws (hw_check_row of "random" is one draw). Where leaving
 * out the prompt's last segment, which the completion goes on from, costs most, that is said, and all of this but the
 * LDS is of the other segments: of the method's first choice among them, their mean, and the best of them, named by its
 * index. */
HW_API const char *hw_check_verdict(const hw_check *check);

/* What the model writes, greedily and at most as many tokens as the run's completion has, when segments of the prompt are not
 * there: without [hw_segments_count()] names them. With the completion held fixed, as hw_check has it, a reasoned answer still
 * follows from reasoning that is there; this has the reasoning written again. *out [*n_bytes] with a terminator behind; free(*out).
 * Errors: ARGUMENT (segments of another run, nothing left), UNSUPPORTED (tokens without ids), ENGINE, MEMORY. */
HW_API hw_err hw_run_rewrite(char **out, size_t *n_bytes, hw_model *model, const hw_run *run, const hw_segments *segments,
                             const bool *without, hw_error *err);

/* ------------------------------------------------------------------ citations: which passage told which sentence
 *
 * Let v[i,p] be what a method gives token i of the answer from passage p: the sum over the passage's tokens, and over
 * layers (methods in nats) or their mean (methods in shares); where the answer was followed (hw_through) the share times what
 * raised the token. A part of the answer takes the mean of v over its tokens. */

typedef struct hw_citation hw_citation;

/* A mark goes by one number, the peak of a passage in a part of the answer, which must reach `least`. What is measured
 * depends on what the method's numbers are; one row of the table of rules each. */
typedef struct hw_citation_rule {
    const char *name;    /* "share", "ratio", "fall", "weight" */
    const char *methods; /* which it is for, in words */
    const char *shares;  /* what hw_citation_link.share is a share of */
    const char *peak;    /* what the peak is */
    double least;        /* default, measured: docs/research/faithfulness.md */
    double most;         /* no peak is above it; 0: no such bound */
} hw_citation_rule;
HW_API size_t hw_citation_rule_count(void);
HW_API const hw_citation_rule *hw_citation_rule_at(size_t i);
/* The rule that a method's results are cited by; NULL: no such method. */
HW_API const hw_citation_rule *hw_citation_rule_of(const char *method);

typedef struct hw_citation_params {
    size_t size;
    double least; /* peak from which on a passage is marked, > 0; 0: the rule's */
} hw_citation_params;
HW_API hw_citation_params hw_citation_params_default(void);

/* One part of the answer and one passage. */
typedef struct hw_citation_link {
    double score;      /* mean of v over the part's tokens, signed, in the method's unit */
    double share;      /* score, where above 0, of all that is above 0 in this part: passages, rest, answer and model */
    double peak;       /* what the rule measures; never below 0 */
    size_t peak_token; /* completion token that the peak is of (rules fall and weight: that has most of it) */
    bool marked;       /* cited: peak >= least. For the whole answer: in any of its parts */
} hw_citation_link;

/* What a part took from elsewhere; shares as hw_citation_link.share: with those of the passages they sum to 1 (or all are
 * 0). Methods without a balance do not tell these apart: all is in `rest`. Those that leave passages out know none: 0. */
typedef struct hw_citation_elsewhere {
    double rest;   /* the prompt outside the passages */
    double answer; /* the answer so far */
    double model;  /* no attention: MLPs, the last token itself, biases */
    double through; /* of all this and of the passages, what came through the answer's own words, where they were followed
                       (hw_through): then nothing is left in `answer` */
} hw_citation_elsewhere;

/* Cites passages (segments of the prompt) for each part of the answer (segments of the completion). Columns of `a` are
 * prompt tokens, or these passages (hw_method_params.groups). Completion tokens of no part count nowhere. NaN counts as
 * 0, infinity as a million. Errors: ARGUMENT (segments of another number of tokens, other groups, columns beyond the
 * prompt, `least` below 0 or above the rule's `most`), MEMORY. Keeps no reference to its arguments. */
HW_API hw_err hw_citation_new(hw_citation **out, const hw_attribution *a, const hw_segments *passages,
                              const hw_segments *answer, const hw_citation_params *params, hw_error *err);
HW_API void hw_citation_free(hw_citation *c);
HW_API size_t hw_citation_n_parts(const hw_citation *c);    /* of the answer */
HW_API size_t hw_citation_n_passages(const hw_citation *c);
/* `part` from 0; hw_citation_n_parts() is the whole answer: the mean over all tokens that belong to a part. */
HW_API hw_citation_link hw_citation_at(const hw_citation *c, size_t part, size_t passage);
HW_API hw_citation_elsewhere hw_citation_from_elsewhere(const hw_citation *c, size_t part);
/* Of a part, the share that came at once from part `from` of the answer (itself too: its earlier tokens), before that was
 * followed: hw_citation_elsewhere.through by parts. 0 where nothing was followed. */
HW_API double hw_citation_hop(const hw_citation *c, size_t part, size_t from);
/* [hw_citation_n_passages] passages: those with a mark first, then the others, each by falling share of the whole answer,
 * ties in the order of the prompt. A marked passage's number, [1] and up, is its place here plus 1. *n_marked
 * (nullable): how many have a mark. */
HW_API const size_t *hw_citation_order(const hw_citation *c, size_t *n_marked);
HW_API const hw_citation_rule *hw_citation_rule_used(const hw_citation *c);
HW_API double hw_citation_least(const hw_citation *c); /* peak that a mark needed */

/* What a few passes say: the model reads the answer again without each of the passages that a citation puts first. */
typedef struct hw_confirmation hw_confirmation;

typedef struct hw_confirm_params {
    size_t size;
    size_t n_passages; /* the first of hw_citation_order(), 1 to 32; default 3. One pass each, and one of the whole prompt */
    hw_progress_fn progress; /* HW_STAGE_EXPLAIN, passes done of planned */
    hw_stop_fn stop;
    void *ctx;
} hw_confirm_params;
HW_API hw_confirm_params hw_confirm_params_default(void);

/* Measures the first passages: what leaving each out costs, in nats. Two whose absence costs less than log 2 each are also left
 * out together; where both cost more, each gets half of it, and they stand in for each other. The other passages are scaled by
 * what the measured ones' shares are worth, and get no more than a measured one with as large a share. Of the trace's own model. Errors: ARGUMENT (segments that are not the cited
 * ones), UNSUPPORTED (tokens without ids), ENGINE, MEMORY, CANCELLED. Keeps no reference to its arguments. */
HW_API hw_err hw_confirmation_new(hw_confirmation **out, hw_model *model, const hw_trace *trace, const hw_citation *citation,
                                  const hw_segments *passages, const hw_segments *answer, const hw_confirm_params *params,
                                  hw_error *err);
HW_API void hw_confirmation_free(hw_confirmation *c);
/* Fall of the log probability of a part (hw_citation_n_parts(): of the whole answer), measured or scaled. */
HW_API double hw_confirmation_fall(const hw_confirmation *c, size_t part, size_t passage);
HW_API bool hw_confirmation_measured(const hw_confirmation *c, size_t passage);
/* The passage that tells the same; false where none was found. */
HW_API bool hw_confirmation_stand_in(const hw_confirmation *c, size_t passage, size_t *other);
HW_API size_t hw_confirmation_n_passes(const hw_confirmation *c);

/* ------------------------------------------------------------------ results on disk */

/* One row of the format table. */
typedef struct hw_format_info {
    const char *name;      /* "json" */
    const char *extension; /* ".json" */
    const char *summary;
    bool many;             /* one file holds several methods */
} hw_format_info;

HW_API size_t hw_format_count(void);
HW_API const hw_format_info *hw_format_at(size_t i);
HW_API const hw_format_info *hw_format_of(const char *path); /* by its ending; NULL: none */

/* Saves attributions of one run, in the format that the path's ending names; a file already there is
 * replaced only by a whole new one. Where the format holds one method and several are given, each goes
 * to its own file, NAME.METHOD.EXT. `full`: the JSON has the whole M, not only means. */
HW_API hw_err hw_result_save(const hw_attribution *const *list, size_t n, const char *path, bool full, hw_error *err);

typedef struct hw_result hw_result; /* what a result file holds: one or more attributions of one run */
/* Opens a .safetensors or .json result. A .json without the whole M opens with one layer, the mean. */
HW_API hw_err hw_result_open(hw_result **out, const char *path, hw_error *err);
HW_API void hw_result_free(hw_result *result);
HW_API size_t hw_result_count(const hw_result *result);
HW_API const hw_attribution *hw_result_at(const hw_result *result, size_t i);

typedef enum hw_file_kind { HW_FILE_UNKNOWN, HW_FILE_TRACE, HW_FILE_RESULT, HW_FILE_ATTENTION } hw_file_kind;
/* What a file holds, by its content. Errors: IO, FORMAT. */
HW_API hw_err hw_file_probe(hw_file_kind *out, const char *path, hw_error *err);

/* ------------------------------------------------------------------ documents: what a page draws, as JSON text
 * docs/reference/formats.md, "Document". Text is UTF-8 with a terminator behind; *n_bytes (nullable) is its length; free(*out).
 * Errors: ARGUMENT (an infinite value, attributions of different runs), MEMORY. */

/* A run, its segments and filtered tokens, and attributions [n] of it (n may be 0). `passages`: segments of the prompt that
 * the caller named, or NULL. */
HW_API hw_err hw_document_json(char **out, size_t *n_bytes, const hw_run *run, const hw_segments *passages,
                               const hw_attribution *const *list, size_t n, hw_error *err);
/* An entry of its `attributions`, `run.tokens` and `run.model`. */
HW_API hw_err hw_attribution_json(char **out, size_t *n_bytes, const hw_attribution *a, hw_error *err);
HW_API hw_err hw_token_json(char **out, size_t *n_bytes, const hw_token *token, hw_error *err);
HW_API hw_err hw_model_json(char **out, size_t *n_bytes, const hw_model_info *model, hw_error *err);

/* ------------------------------------------------------------------ views */

/* One row of the filter table: which prompt tokens a view hides. */
typedef struct hw_filter_info {
    const char *name;
    const char *summary;
} hw_filter_info;

HW_API size_t hw_filter_count(void);
HW_API const hw_filter_info *hw_filter_at(size_t i);
/* Whether a list of filters (hw_view_params.hide) can be read; the error says what is accepted. */
HW_API hw_err hw_filter_check(const char *list, hw_error *err);

typedef struct hw_view hw_view;

typedef struct hw_view_params {
    size_t size;
    size_t row_begin, row_end;     /* rows of M to average, half-open; 0,0: all */
    size_t layer_begin, layer_end; /* indices into M's layers, half-open; 0,0: all */
    const char *hide;              /* filters, separated by commas: a name of the table (stopwords:de), "TEXT" in quotes for
                                      tokens that read so, /REGEX/ for those that match; "" or NULL: none */
    const char *keep;              /* the same grammar: tokens never hidden */
    bool normalise;                /* divide by the mass on all columns, so that they sum to 1 */
    bool lift;                     /* divide by what method `uniform` gives in the same place, with the same rows, columns
                                      and settings: 1 is what the position alone explains. Of shares only */
} hw_view_params;

HW_API hw_view_params hw_view_params_default(void);
/* Selects, averages and filters; never changes M. A lift divides means by means: scores by uniform's scores, each cell of the
 * profile by uniform's; where uniform has nothing it is 0. Errors: ARGUMENT (which value, what is accepted; nats that are to be
 * lifted or normalised, or both), UNSUPPORTED (a lift of a result read from a file that lacks the measured residual). */
HW_API hw_err hw_view_new(hw_view **out, const hw_attribution *a, const hw_view_params *params, hw_error *err);
HW_API void hw_view_free(hw_view *view);
HW_API size_t hw_view_n_columns(const hw_view *view);
HW_API size_t hw_view_n_layers(const hw_view *view);      /* of the selected range */
HW_API const float *hw_view_scores(const hw_view *view);  /* [m] mean over selected rows and layers, hidden ones too */
HW_API const float *hw_view_profile(const hw_view *view); /* [m, layers] mean over selected rows */
HW_API bool hw_view_is_hidden(const hw_view *view, size_t column);
HW_API double hw_view_hidden_mass(const hw_view *view);   /* sum of hidden scores, before a lift */
HW_API double hw_view_outside_mass(const hw_view *view);  /* mean mass on columns that M does not show */
/* The shown columns by falling score, ties by index: writes at most `n` to `out`, returns how many. */
HW_API size_t hw_view_top(const hw_view *view, size_t *out, size_t n);

#ifdef __cplusplus
}
#endif
#endif /* HEADWATER_H */
