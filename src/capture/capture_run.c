/*
 * capture_run.c - runs an engine over prompt and completion and keeps fused rows, tokens and probabilities.
 *
 *     prompt tokens -> decode in chunks -> [choose or take a token -> decode it] x n -> trace
 *
 * The last completion token is decoded too, because row convention `own` explains it by its own row; a generated one is
 * not if nothing reads that row.
 */
#include "capture/capture.h"

#include "base/sized.h"

#include "capture/conversation.h"
#include "capture/prefix_reuse.h"
#include "capture/prompt.h"
#include "capture/text_remarks.h"
#include "data/run_options.h"

#include <stdlib.h>
#include <string.h>

static void progress(const hw__session *s, hw_stage stage, size_t done, size_t total) {
    if (s->params->progress) s->params->progress(s->params->ctx, stage, done, total);
}

static hw_err decode(hw__session *s, const int32_t *ids, size_t n, size_t first_logit, hw_error *err) {
    hw__sink sink = s->trace ? hw__capture_sink(&s->capture) : (hw__sink){0};
    hw_err rc = hw__signal_batch_flush(&s->capture.pending, s->engine, s->n_done + n, err);
    if (rc == HW_OK)
        rc = s->engine->ops->decode(s->engine, (hw__token_batch){ids, n, s->n_done, first_logit},
                                    s->trace ? &sink : NULL, err);
    if (rc == HW_OK) rc = hw__capture_stream(&s->capture, err);
    if (rc != HW_OK) return rc;
    s->n_done += n;
    if (s->trace) s->trace->n_rows = s->n_done;
    s->last_row = n - 1;
    return HW_OK;
}

/* The number of tokens of the next decode, at most `max`. */
static size_t next_chunk(hw__session *s, size_t max) {
    size_t from = hw__session_single_from(s);
    if (s->n_done >= from) return 1;
    return max < from - s->n_done ? max : from - s->n_done;
}

static hw_err prefill(hw__session *s, hw_error *err) {
    size_t m = s->prompt.n, chunk = s->engine->ops->chunk(s->engine), from = hw__session_single_from(s);
    if (s->capture.pending.every && chunk > s->capture.pending.capacity) chunk = s->capture.pending.capacity;
    while (s->n_done < m) {
        size_t n = next_chunk(s, m - s->n_done < chunk ? m - s->n_done : chunk);
        bool logits = s->n_done + n == m || s->n_done >= from;
        hw_err rc = decode(s, s->prompt.ids + s->n_done, n, logits ? n - 1 : n, err);
        if (rc != HW_OK) return rc;
        progress(s, HW_STAGE_PREFILL, s->n_done, m);
    }
    return HW_OK;
}

/* Teacher forcing: the given tokens are decoded in chunks, and each row predicts the next token. */
static hw_err force_tokens(hw__session *s, hw_error *err) {
    size_t n = s->given.n, chunk = s->engine->ops->chunk(s->engine);
    if (chunk > HW__MAX_LOGITS) chunk = HW__MAX_LOGITS;
    if (s->capture.pending.wanted && chunk > s->capture.pending.capacity) chunk = s->capture.pending.capacity;
    hw_err rc = hw__session_choose(s, s->given.ids[0], s->last_row, err);
    for (size_t i = 0; rc == HW_OK && i < n;) {
        size_t take = next_chunk(s, n - i < chunk ? n - i : chunk);
        rc = decode(s, s->given.ids + i, take, 0, err);
        for (size_t row = 0; rc == HW_OK && row < take && i + row + 1 < n; row++)
            rc = hw__session_choose(s, s->given.ids[i + row + 1], row, err);
        i += take;
        progress(s, HW_STAGE_DECODE, i, n);
        if (rc == HW_OK && i < n) rc = hw__session_show(s, err);
    }
    return rc;
}

static hw_err force_completion(hw__session *s, hw_error *err) {
    hw_err rc = force_tokens(s, err);
    s->run->stop = HW_STOP_GIVEN;
    if (rc == HW_OK) rc = hw__remark_changed(s->run, s->params->completion, s->params->completion_bytes, err);
    return rc;
}

static bool must_stop(const hw__session *s) { return s->params->stop && s->params->stop(s->params->ctx); }

/* During generation a stop takes effect after the current token, so that every kept token has its rows. */
static bool stop_decode(void *ctx) {
    const hw__session *s = ctx;
    return s->interruptible && must_stop(s);
}

/* Generates after the tokens that the completion begins with, if there are any. */
static hw_err generate(hw__session *s, hw_error *err) {
    const hw_run_params *p = s->params;
    size_t begun = s->given.n, end = begun + p->n_generate;
    hw__sampling sampling = {.temperature = p->temperature, .top_p = p->top_p, .top_k = p->top_k};
    sampling.seed = p->seed + (uint32_t)begun;
    bool reads_last = hw__session_reads_last(s);
    hw_err rc = begun ? force_tokens(s, err) : HW_OK;
    s->run->stop = HW_STOP_LENGTH;
    for (size_t i = begun; rc == HW_OK && i < end; i++) {
        int32_t id;
        hw__piece piece;
        rc = s->engine->ops->sample(s->engine, &id, s->last_row, i - begun, &sampling, err);
        if (rc == HW_OK) rc = s->engine->ops->piece(s->engine, &piece, id, err);
        if (rc != HW_OK) return rc;
        if (piece.end) {
            s->run->stop = HW_STOP_END;
            return HW_OK;
        }
        if ((rc = hw__session_choose(s, id, s->last_row, err)) != HW_OK) return rc;
        if (hw__explainer_is_due(p->explainer, i + 1) && (rc = hw__session_show(s, err)) != HW_OK) return rc;
        if (!reads_last && i + 1 == end) {
            s->trace->lacks_last = true;
        } else if ((rc = decode(s, &id, 1, 0, err)) != HW_OK) {
            return rc;
        }
        progress(s, HW_STAGE_DECODE, i + 1, end);
        if (must_stop(s)) {
            s->run->stop = HW_STOP_CANCELLED;
            return HW_OK;
        }
    }
    return rc;
}

static hw_err check_params(const hw_run_params *p, hw_error *err) {
    hw_err rc = hw__prompt_check(p, err);
    if (rc != HW_OK) return rc;
    if (p->completion && p->completion_bytes == 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "the given completion is empty: there is nothing to explain");
    if ((rc = hw__run_options_check(p, err)) != HW_OK) return rc;
    return HW_OK;
}

/* Tokenizes prompt and given completion, and checks that the longest possible run fits the context. */
static hw_err read_tokens(hw__session *s, size_t n_ctx, hw_error *err) {
    const hw_run_params *p = s->params;
    hw_err rc = hw__prompt_tokens(s->run, &s->prompt, s->engine, p, err);
    if (rc != HW_OK) return rc;
    if (s->prompt.n == 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "the prompt of %zu bytes has no tokens", s->run->prompt_bytes);
    rc = hw__completion_tokens(&s->given, s->run, s->engine, p, err);
    if (rc != HW_OK) return rc;
    if (p->completion && s->given.n == 0) return hw__fail(err, HW_ERR_ARGUMENT, "the given completion has no tokens");
    size_t n = hw__max_completion(p, s->given.n), total;
    if (!hw__add(&total, s->prompt.n, n) || total > n_ctx)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "the prompt's %zu tokens and %zu of completion are %zu more than the context of %zu (shorten the prompt or "
            "the completion, or raise the context if it was lowered)",
            s->prompt.n, n, s->prompt.n + n - n_ctx, n_ctx);
    return HW_OK;
}

/* Starts the engine's sequence with the prefix for which an earlier trace has rows, as far as the engine still holds
 * it. */
static hw_err start_sequence(hw__session *s, size_t total, hw_error *err) {
    const hw__engine_ops *ops = s->engine->ops;
    const hw_trace *prefix =
        s->trace && ops->resume && !hw__explainer_can_consume(s->capture.explainer) ? s->params->prefix : NULL;
    size_t n = hw__prefix_shared(prefix, s->run, s->rows, s->prompt.ids, s->prompt.n, s->signals);
    if (n == 0) return ops->begin(s->engine, total, stop_decode, s, err);
    hw_err rc = ops->resume(s->engine, &n, &(hw__sequence){s->prompt.ids, n, total, stop_decode, s}, err);
    if (rc == HW_OK && n % HW__PREFIX_GROUP) {
        n -= n % HW__PREFIX_GROUP;
        rc = ops->rewind(s->engine, n, err);
    }
    if (rc != HW_OK) return rc;
    hw__prefix_copy(s->trace, prefix, n, s->signals);
    hw__signal_batch_skip(&s->capture.pending, n);
    s->n_done = s->run->n_reused = n;
    return HW_OK;
}

static hw_err run_session(hw__session *s, bool captures, size_t n_ctx, hw_error *err) {
    hw_err rc = read_tokens(s, n_ctx, err);
    if (rc != HW_OK) return rc;
    size_t total = s->prompt.n + hw__max_completion(s->params, s->given.n);
    if (captures && (rc = hw__session_start(s, total, err)) != HW_OK) return rc;
    s->interruptible = true;
    if ((rc = start_sequence(s, total, err)) != HW_OK) return rc;
    if (s->params->on_prompt) s->params->on_prompt(s->params->ctx, s->run);
    if ((rc = prefill(s, err)) != HW_OK) return rc;
    s->interruptible = s->params->completion != NULL;
    rc = s->params->completion ? force_completion(s, err) : generate(s, err);
    if (rc == HW_OK && s->run->n_tokens == s->run->n_prompt)
        rc = hw__fail(err, HW_ERR_UNSUPPORTED,
                      "the model ended its completion before the first token: there is nothing to explain "
                      "(give a completion, or try the chat template)");
    return rc == HW_OK && captures ? hw__session_finish(s, err) : rc;
}

/* Performs the run that `params` describe; s->run and, for captures, s->trace belong to the caller on success. */
static hw_err run_whole(hw__session *s, bool captures, size_t n_ctx, const hw__run_options *options, hw_error *err) {
    hw_err rc = hw__run_new(&s->run, s->engine->ops->describe(s->engine), options, err);
    if (rc != HW_OK) return rc;
    rc = run_session(s, captures, n_ctx, err);
    hw__session_clear(s, rc != HW_OK);
    return rc;
}

/* The params of an entry point: the caller's over the defaults, checked. */
static hw_err read_params(hw_run_params *own, const hw_model *model, const hw_run_params *params, hw_error *err) {
    if (!model || !params) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model and params with a prompt are needed");
    *own = hw_run_params_default();
    hw_err rc = hw__params_read(own, sizeof *own, params, "hw_run_params", err);
    return rc == HW_OK ? check_params(own, err) : rc;
}

static size_t context_of(const hw_model *model) {
    return (size_t)(model->params.n_ctx > 0 ? model->params.n_ctx : hw_model_describe(model)->n_ctx_train);
}

hw_err hw_trace_capture(hw_trace **out, hw_model *model, const hw_run_params *params, hw_error *err) {
    hw_run_params p;
    hw_err rc = read_params(&p, model, params, err);
    if (rc != HW_OK) return rc;
    const hw_model_info *info = hw_model_describe(model);
    if (info->problem[0])
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s cannot be explained: %s", info->path, info->problem);
    hw__session s = {.engine = model->engine, .params = &p};
    hw__run_options options = hw__session_options(model, &p);
    rc = run_whole(&s, true, context_of(model), &options, err);
    if (rc == HW_OK) *out = s.trace;
    return rc;
}

hw_err hw__run_generate(hw_run **out, hw_model *model, const hw_run_params *params, hw_error *err) {
    hw_run_params p;
    hw_err rc = read_params(&p, model, params, err);
    if (rc != HW_OK) return rc;
    const hw_model_info *info = hw_model_describe(model);
    if (!model->engine->generates)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s cannot generate: %s", info->path, info->problem);
    hw__session s = {.engine = model->engine, .params = &p};
    hw__run_options options = hw__session_options(model, &p);
    rc = run_whole(&s, false, context_of(model), &options, err);
    if (rc == HW_OK) *out = s.run;
    return rc;
}

hw_err hw_run_tokenize(hw_run **out, hw_model *model, const hw_run_params *params, hw_error *err) {
    hw_run_params p;
    hw_err rc = read_params(&p, model, params, err);
    if (rc != HW_OK) return rc;
    hw_run *run;
    hw__tokens ids = {0};
    hw__run_options options = hw__session_options(model, &p);
    rc = hw__run_new(&run, hw_model_describe(model), &options, err);
    if (rc != HW_OK) return rc;
    rc = hw__prompt_tokens(run, &ids, model->engine, &p, err);
    free(ids.ids);
    if (rc == HW_OK) {
        *out = run;
    } else {
        hw__run_release(run);
    }
    return rc;
}

hw_err hw_model_check_chat(hw_model *model, const char *source, hw_error *err) {
    if (!model) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model is needed");
    const hw_message message = {.role = "user", .content = "Hello", .content_bytes = 5};
    const hw__chat chat = {.messages = &message, .n_messages = 1, .source = source};
    hw__conversation conversation;
    hw_err rc = hw__conversation_new(&conversation, model->engine, &chat, err);
    if (rc == HW_OK) hw__conversation_clear(&conversation);
    return rc;
}
