/*
 * headwater-llama.h - traces runs of your own llama.cpp loop: your model, context, batches and sampler stay yours.
 *
 *     hw_llama_start()                        ggml's backends, unless you load them yourself
 *     llama_model_load_from_file()            your model
 *     hw_model_from_llama(), hw_tap_new()     proves that it can be read, as hw_model_open() does
 *     hw_tap_install(tap, &context_params)    sets the callback of your context, and what else it needs
 *     llama_init_from_model()                 your context
 *     hw_tap_begin(tap, context, ...)         the prompt's tokens
 *     llama_decode(), your sampler, ...       as always
 *     hw_tap_finish(&trace, tap, ...)         the trace, as hw_trace_capture() gives it
 *
 * Tokens, positions and rows with logits are read from the graphs that libllama computes, so batches may have any size
 * and may be split (n_ubatch). For the same batches all numbers are those of hw_trace_capture(), bit for bit.
 *
 * Rules
 *   - One sequence (id 0) in a context for one (n_seq_max 1), from position 0, decoded forwards. The cache must not be
 *     changed until the tap is finished, nor replaced by a state of other tokens (llama_state_set_data()). Anything
 *     else is refused: the decode goes on, and hw_tap_finish() returns the error, hw_tap_error() at any time.
 *   - Each row that chooses a token needs logits. Those of a batch must be its last rows.
 *   - Free the context first, then the tap, then the hw_model, then the llama_model.
 *   - Link libllama of the same version as libheadwater.
 *
 * Conventions are those of headwater.h. This header needs no header of llama.cpp.
 */
#ifndef HEADWATER_LLAMA_H
#define HEADWATER_LLAMA_H

#include "headwater.h"

#ifdef __cplusplus
extern "C" {
#endif

struct llama_model;
struct llama_context;
struct llama_context_params;

/* Loads ggml's backends from the folder of libllama, if there are none yet, and calls llama_backend_init(); once per
 * process. Does the same as ggml_backend_load_all() for a libllama whose backends are beside it, such as that of
 * Headwater's installation, and searches no other folder. */
HW_API void hw_llama_start(void);

/* Opens a model that the caller has loaded from `path` with libllama; it must outlive the hw_model. Weights are read
 * from the file as well, and compared with the model's: hw_model_info.values_problem names what differs. The hw_model
 * can do all that one of hw_model_open() can. Errors: ARGUMENT (a file of another model, settings that load a model),
 * and as hw_model_open(). */
HW_API hw_err hw_model_from_llama(hw_model **out, struct llama_model *model, const char *path,
                                  const hw_model_params *params, hw_error *err);

typedef struct hw_tap hw_tap;

/* A tap for contexts of this model, one run after another. Errors: UNSUPPORTED (see hw_model_info.problem; adapters;
 * an architecture whose graphs cannot be followed), MEMORY. */
HW_API hw_err hw_tap_new(hw_tap **out, hw_model *model, hw_error *err);
HW_API void hw_tap_free(hw_tap *tap);

/* Sets cb_eval, its user data, flash_attn_type (disabled) and swa_full (true); other settings are the caller's. Call it
 * last before llama_init_from_model(). Errors: ARGUMENT (another callback is set, several sequences, a context without
 * logits). */
HW_API hw_err hw_tap_install(hw_tap *tap, struct llama_context_params *params, hw_error *err);

/* Starts a run: the context's cache must be empty. `tokens` [n_tokens] is the prompt as it will be decoded; what is
 * decoded after it is the completion. Of `run` are used: prompt or messages, with chat, chat_template, thinking and
 * special: the text of these tokens, which must be its tokens; none: the joined bytes of the tokens. With such a text
 * `tokens` may be NULL: those of hw_run_tokenize(). n_generate: at most so many tokens follow (default 32). fuse,
 * against, explainer, memory, on_token, on_estimate, on_prompt, ctx: as in hw_trace_capture(). Others must not be set.
 * While a run is followed the model runs nothing else. Errors: ARGUMENT (a context of another model, for several
 * sequences, with a full cache; other tokens than those of the text), UNSUPPORTED, FORMAT (spans of the explainer),
 * ENGINE (the text cannot be tokenized), MEMORY. */
HW_API hw_err hw_tap_begin(hw_tap *tap, struct llama_context *ctx, const hw_run_params *run, const int32_t *tokens,
                           size_t n_tokens, hw_error *err);

/* The first error of the run, HW_OK if there is none: for a loop that wants to stop at once. Errors: as
 * hw_tap_finish(). */
HW_API hw_err hw_tap_error(const hw_tap *tap, hw_error *err);

enum { HW_TAP_NO_TOKEN = -1 };
/* Ends the run. `last`: a token that the last logits chose and that was not decoded, as the last one of most loops;
 * HW_TAP_NO_TOKEN: none. It can only be given if nothing reads its own row: the explainer keeps HW_KEEP_RESULTS and
 * all methods explain by the predictor's row. Errors: ARGUMENT (nothing was decoded: the callback is not in place;
 * flash attention is on; the cache was changed; other tokens than the prompt's; a row that chooses a token has no
 * logits; more tokens than n_generate; more than one sequence), UNSUPPORTED (an adapter or a control vector in the
 * context; no completion), IO and FORMAT (the model's file can no longer be read), ENGINE, MEMORY. */
HW_API hw_err hw_tap_finish(hw_trace **out, hw_tap *tap, int32_t last, hw_error *err);

#ifdef __cplusplus
}
#endif
#endif /* HEADWATER_LLAMA_H */
