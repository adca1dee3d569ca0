/*
 * tap.c - a run of the caller's own loop to a trace.
 *
 * The folder capture/foreign/: traces of runs that others drive: a loop over libllama (this file), another engine
 * (trace_builder.c), exported attention (trace_import.c).
 */
#include "headwater-llama.h"

#include "base/sized.h"
#include "capture/capture.h"
#include "capture/prompt.h"
#include "data/run_options.h"
#include "data/thinking.h"
#include "engine/follow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hw_tap {
    hw_model *model;
    hw__follower *follower;
    hw_run_params params; /* of the run */
    hw__session session;
    size_t max_tokens; /* of the run */
    bool running;
};

/* ------------------------------------------------------------------ decodes */

/* The batch's tokens that belong to the prompt must be the prompt's. */
static hw_err check_prompt(const hw__session *s, const hw__token_batch *batch, hw_error *err) {
    for (size_t i = 0; i < batch->n && batch->at + i < s->prompt.n; i++)
        if (batch->ids[i] != s->prompt.ids[batch->at + i])
            return hw__fail(err, HW_ERR_ARGUMENT, "token %d was decoded at position %zu, the prompt has %d there",
                            (int)batch->ids[i], batch->at + i, (int)s->prompt.ids[batch->at + i]);
    return HW_OK;
}

/* Whether the batch's rows fit into what is stored of them. */
static hw_err check_length(const hw_tap *tap, const hw__token_batch *batch, hw_error *err) {
    const hw__signal_batch *pending = &tap->session.capture.pending;
    size_t end = batch->at + batch->n, first = tap->session.prompt.n - 1;
    if (end > tap->max_tokens)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "%zu tokens were decoded: at most %zu of the prompt and %zu after it (n_generate)", end,
                        tap->session.prompt.n, tap->max_tokens - tap->session.prompt.n);
    if (!pending->wanted) return HW_OK;
    if (batch->at > first || pending->every) first = batch->at;
    if (end <= first || end - first <= pending->capacity) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "a batch has %zu rows to explain, at most %zu fit: decode them in smaller batches (n_ubatch)",
                    end - first, pending->capacity);
}

static hw_err check_single(hw__session *s, const hw__token_batch *batch, hw_error *err) {
    size_t from = hw__session_single_from(s);
    if (batch->n == 1 || batch->at + batch->n <= from) return HW_OK;
    return hw__fail(
        err, HW_ERR_ARGUMENT,
        "tokens from position %zu on must be decoded one by one: the stream of architecture %s is read only "
        "then",
        from, s->run->model.architecture);
}

/* Token `id` of the completion, chosen by row `row` of the last decode. */
static hw_err choose(hw__session *s, int32_t id, size_t row, hw_error *err) {
    if (!s->engine->ops->logits(s->engine, row))
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "the row that chose the token at position %zu has no logits: request them (llama_batch.logits)",
                        s->run->n_tokens);
    return hw__session_choose(s, id, row, err);
}

static hw_err before_decode(void *ctx, hw__sink *sink, const hw__token_batch *batch, hw_error *err) {
    hw_tap *tap = ctx;
    hw__session *s = &tap->session;
    size_t m = s->prompt.n;
    hw_err rc = check_prompt(s, batch, err);
    if (rc == HW_OK) rc = check_length(tap, batch, err);
    if (rc == HW_OK) rc = check_single(s, batch, err);
    if (rc != HW_OK) return rc;
    if (batch->at >= m) {
        rc = choose(s, batch->ids[0], s->last_row, err);
        if (rc == HW_OK && hw__explainer_is_due(s->params->explainer, batch->at - m + 1)) rc = hw__session_show(s, err);
    }
    if (rc == HW_OK) rc = hw__signal_batch_flush(&s->capture.pending, s->engine, batch->at + batch->n, err);
    if (rc == HW_OK) *sink = hw__capture_sink(&s->capture);
    return rc;
}

static hw_err after_decode(void *ctx, const hw__token_batch *batch, hw_error *err) {
    hw_tap *tap = ctx;
    hw__session *s = &tap->session;
    hw_err rc = hw__capture_stream(&s->capture, err);
    s->trace->n_rows = s->n_done = batch->at + batch->n;
    s->last_row = batch->n - 1;
    for (size_t i = 1; rc == HW_OK && i < batch->n; i++)
        if (batch->at + i >= s->prompt.n) rc = choose(s, batch->ids[i], i - 1, err);
    return rc;
}

/* ------------------------------------------------------------------ the prompt */

/* Settings of runs that have no meaning in a loop of the caller. */
static hw_err check_params(const hw_run_params *p, hw_error *err) {
    const char *set = p->completion    ? "completion"
                      : p->prefix      ? "prefix"
                      : p->saves_state ? "saves_state"
                      : p->progress    ? "progress"
                      : p->stop        ? "stop"
                                       : NULL;
    if (set) return hw__fail(err, HW_ERR_ARGUMENT, "hw_run_params.%s is set: it has no meaning in your own loop", set);
    hw_err rc = p->prompt || p->n_messages ? hw__prompt_check(p, err) : HW_OK;
    return rc == HW_OK ? hw__run_options_check(p, err) : rc;
}

/* The prompt's tokens without a text: it is their joined bytes. */
static hw_err add_tokens(hw__session *s, const int32_t *tokens, size_t n, hw_error *err) {
    size_t at = 0, capacity = 0;
    char *text = NULL;
    hw_err rc = HW_OK;
    for (size_t i = 0; rc == HW_OK && i < n; i++) {
        hw__piece piece;
        if ((rc = s->engine->ops->piece(s->engine, &piece, tokens[i], err)) != HW_OK) break;
        size_t length = piece.special ? 0 : piece.n_bytes;
        if (at + length > capacity) {
            char *larger = hw__realloc(text, 2 * (at + length), 1);
            if (!larger) {
                rc = hw__fail_memory(err, "the prompt", 2 * (at + length), 1);
                break;
            }
            text = larger;
            capacity = 2 * (at + length);
        }
        if (length) memcpy(text + at, piece.bytes, length);
        hw_token token = {.bytes = piece.bytes,
                          .n_bytes = piece.n_bytes,
                          .id = tokens[i],
                          .begin = at,
                          .end = at += length,
                          .role = piece.special ? HW_ROLE_SPECIAL : HW_ROLE_PROMPT,
                          .logprob = NAN};
        rc = hw__run_add_token(s->run, &token, err);
    }
    if (rc == HW_OK) rc = hw__run_set_prompt(s->run, text ? text : "", at, err);
    if (rc == HW_OK) rc = hw__thinking_roles(s->run, err);
    free(text);
    return rc;
}

static hw_err copy_ids(hw__tokens *out, const int32_t *tokens, size_t n, hw_error *err) {
    out->ids = hw__alloc(n, sizeof *out->ids);
    if (!out->ids) return hw__fail_memory(err, "the prompt's tokens", n, sizeof *out->ids);
    memcpy(out->ids, tokens, n * sizeof *tokens);
    out->n = n;
    return HW_OK;
}

/* The text's tokens must be the caller's. */
static hw_err compare(const hw__tokens *of_text, const int32_t *tokens, size_t n, hw_error *err) {
    size_t i = 0;
    while (i < n && i < of_text->n && tokens[i] == of_text->ids[i]) i++;
    if (i == n && i == of_text->n) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "the %zu tokens are not those of the text, which has %zu: they differ from position %zu on (give "
                    "the text as it was tokenized, with the same chat and special, or none)",
                    n, of_text->n, i);
}

static hw_err read_prompt(hw_tap *tap, const int32_t *tokens, size_t n, hw_error *err) {
    hw__session *s = &tap->session;
    bool text = tap->params.prompt || tap->params.n_messages;
    hw_err rc;
    if (text) {
        rc = hw__prompt_tokens(s->run, &s->prompt, s->engine, &tap->params, err);
        if (rc == HW_OK && tokens) rc = compare(&s->prompt, tokens, n, err);
    } else {
        rc = tokens && n ? copy_ids(&s->prompt, tokens, n, err) : HW_OK;
        if (rc == HW_OK && tokens) rc = add_tokens(s, tokens, n, err);
    }
    if (rc == HW_OK && s->prompt.n == 0) rc = hw__fail(err, HW_ERR_ARGUMENT, "the prompt has no tokens");
    if (rc == HW_OK && !hw__add(&tap->max_tokens, s->prompt.n, tap->params.n_generate))
        rc = hw__fail(err, HW_ERR_ARGUMENT, "n_generate: %zu tokens are too many", tap->params.n_generate);
    return rc;
}

/* ------------------------------------------------------------------ operations */

hw_err hw_tap_new(hw_tap **out, hw_model *model, hw_error *err) {
    if (!model) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model is needed");
    hw_tap *tap = hw__alloc(1, sizeof *tap);
    if (!tap) return hw__fail_memory(err, "a tap", 1, sizeof *tap);
    tap->model = model;
    const hw__follow_events events = {before_decode, after_decode, tap};
    hw_err rc = hw__follow_new(&tap->follower, model->engine, &events, err);
    if (rc == HW_OK) {
        *out = tap;
    } else {
        free(tap);
    }
    return rc;
}

/* Ends the run; run and trace are freed if it failed. */
static void end_run(hw_tap *tap, bool failed) {
    hw__follow_end(tap->follower);
    hw__session_clear(&tap->session, failed);
    tap->running = false;
}

void hw_tap_free(hw_tap *tap) {
    if (!tap) return;
    if (tap->running) end_run(tap, true);
    hw__follow_free(tap->follower);
    free(tap);
}

hw_err hw_tap_install(hw_tap *tap, struct llama_context_params *params, hw_error *err) {
    if (!tap || !params) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a tap and the context's params are needed");
    return hw__follow_install(tap->follower, params, err);
}

hw_err hw_tap_begin(hw_tap *tap, struct llama_context *ctx, const hw_run_params *run, const int32_t *tokens,
                    size_t n_tokens, hw_error *err) {
    if (!tap || !ctx) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a tap and a context are needed");
    if (tap->running) return hw__fail(err, HW_ERR_ARGUMENT, "this tap follows a run already: finish it first");
    tap->params = hw_run_params_default();
    hw_err rc = hw__params_read(&tap->params, sizeof tap->params, run, "hw_run_params", err);
    if (rc == HW_OK) rc = check_params(&tap->params, err);
    if (rc == HW_OK) rc = hw__follow_begin(tap->follower, ctx, err);
    if (rc != HW_OK) return rc;
    hw__session *s = &tap->session;
    *s = (hw__session){.engine = tap->model->engine, .params = &tap->params};
    hw__run_options options = hw__session_options(tap->model, &tap->params);
    rc = hw__run_new(&s->run, hw_model_describe(tap->model), &options, err);
    if (rc == HW_OK) rc = read_prompt(tap, tokens, n_tokens, err);
    if (rc == HW_OK) rc = hw__session_start(s, tap->max_tokens, err);
    if (rc != HW_OK) {
        end_run(tap, true);
        return rc;
    }
    tap->running = true;
    if (tap->params.on_prompt) tap->params.on_prompt(tap->params.ctx, s->run);
    return HW_OK;
}

hw_err hw_tap_error(const hw_tap *tap, hw_error *err) {
    if (!tap) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a tap is needed");
    return hw__follow_error(tap->follower, err);
}

/* The token that the last logits chose and that was not decoded. */
static hw_err add_last(hw_tap *tap, int32_t last, hw_error *err) {
    hw__session *s = &tap->session;
    if (hw__session_reads_last(s))
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "the row of the last token is kept or read, and it was not decoded: decode it, or keep "
                        "HW_KEEP_RESULTS of methods that read the predictor's rows");
    if (s->run->n_tokens == tap->max_tokens)
        return hw__fail(err, HW_ERR_ARGUMENT, "more than %zu tokens follow the prompt (n_generate)",
                        tap->params.n_generate);
    s->trace->lacks_last = true;
    return choose(s, last, s->last_row, err);
}

static hw_err check_decoded(const hw_tap *tap, hw_error *err) {
    size_t m = tap->session.prompt.n, n = hw__follow_count(tap->follower);
    if (n == 0)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "no decode was seen: the context was made without hw_tap_install(), its callback was replaced, "
                        "or nothing was decoded in it");
    if (n < m) return hw__fail(err, HW_ERR_ARGUMENT, "%zu of the prompt's %zu tokens were decoded", n, m);
    return HW_OK;
}

hw_err hw_tap_finish(hw_trace **out, hw_tap *tap, int32_t last, hw_error *err) {
    if (!tap || !tap->running) return hw__fail(err, HW_ERR_ARGUMENT, "no run is followed: hw_tap_begin() starts one");
    hw__session *s = &tap->session;
    hw_err rc = hw__follow_error(tap->follower, err);
    if (rc == HW_OK) rc = check_decoded(tap, err);
    if (rc == HW_OK && last != HW_TAP_NO_TOKEN) rc = add_last(tap, last, err);
    if (rc == HW_OK && s->run->n_tokens == s->run->n_prompt)
        rc = hw__fail(err, HW_ERR_UNSUPPORTED, "no token follows the prompt: there is nothing to explain");
    if (rc == HW_OK) rc = hw__follow_holds(tap->follower, err);
    s->run->stop = HW_STOP_GIVEN;
    if (rc == HW_OK) rc = hw__session_finish(s, err);
    if (rc == HW_OK) *out = s->trace;
    end_run(tap, rc != HW_OK);
    return rc;
}
