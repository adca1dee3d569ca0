/*
 * capture.c - runs an engine over prompt and completion and keeps fused rows, tokens and probabilities.
 *
 *     prompt tokens -> decode in chunks -> [choose or take a token -> decode it] x n -> trace
 *
 * The last completion token is decoded too, because row convention `own` explains it by its own row; a generated one is
 * not if nothing reads that row.
 */
#include "capture/capture.h"

#include "base/sized.h"

#include "capture/conversation.h"
#include "capture/head_fusion.h"
#include "capture/logit_contrast.h"
#include "capture/memory_estimate.h"
#include "capture/prefix_reuse.h"
#include "capture/prompt.h"
#include "capture/text_remarks.h"
#include "capture/top_tokens.h"
#include "data/run_options.h"
#include "data/thinking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ rows and streams of a decode */

/* The first row that is kept or streamed to the explainer; and that, or the first row whose heads are kept for
 * signals. */
static size_t rows_from(const hw__capture *c) {
    return hw__explainer_can_consume(c->explainer) ? 0 : c->trace->rows_from;
}

static size_t shown_from(const hw__capture *c) {
    size_t rows = rows_from(c), waiting = c->pending.every ? 0 : c->trace->run->n_prompt - 1;
    return c->pending.wanted && waiting < rows ? waiting : rows;
}

hw_err hw__capture_stream(hw__capture *c, hw_error *err) {
    size_t begin = c->held_from, end = c->held_end;
    c->held_from = c->held_end = 0;
    return begin < end ? hw__explainer_consume(c->explainer, c->trace, (hw__layer_rows){c->held_layer, begin, end}, err)
                       : HW_OK;
}

/* The prompt's last row is a target row: it is kept, and explained when it has chosen its token. */
static void hold(hw__capture *c, size_t layer, const hw__heads *heads) {
    size_t last = c->trace->run->n_prompt - 1, end = heads->q0 + heads->n_rows;
    c->held_layer = layer;
    c->held_from = heads->q0;
    c->held_end = end < last ? end : last;
}

/* The first row of a chunk that is kept or streamed; heads->n_rows if there is none. */
static size_t first_taken(const hw__capture *c, const hw__heads *heads) {
    size_t from = rows_from(c), first = from > heads->q0 ? from - heads->q0 : 0;
    return first < heads->n_rows ? first : heads->n_rows;
}

/* Destination of these rows of a chunk in the trace, and their numbers of columns. */
static hw_err place_rows(float **rows, size_t *n, const hw__capture *c, size_t layer, const hw__heads *heads,
                         hw_error *err) {
    size_t first = first_taken(c, heads);
    for (size_t q = first; q < heads->n_rows; q++) {
        size_t *n_columns = &n[q - first];
        rows[q - first] = hw__trace_row(c->trace, layer, heads->q0 + q, n_columns);
        if (*n_columns > heads->n_keys)
            return hw__fail(err, HW_ERR_ENGINE, "row %zu of layer %zu has %zu columns, %zu are needed", heads->q0 + q,
                            layer, heads->n_keys, *n_columns);
    }
    return HW_OK;
}

static hw_err fuse_rows(const hw__capture *c, size_t layer, const hw__heads *heads, hw_error *err) {
    size_t first = first_taken(c, heads);
    if (first == heads->n_rows) return HW_OK;
    float **rows = hw__alloc(heads->n_rows, sizeof *rows);
    size_t *n = hw__alloc(heads->n_rows, sizeof *n);
    hw__fused_rows taken = {rows, n, first, heads->n_rows - first};
    hw__fusion how = {c->trace->run->options.run.fuse, c->sinks, layer, c->n_threads};
    hw_err rc = rows && n ? HW_OK : hw__fail_memory(err, "rows of a chunk", heads->n_rows, sizeof *rows + sizeof *n);
    if (rc == HW_OK) rc = place_rows(rows, n, c, layer, heads, err);
    if (rc == HW_OK) rc = hw__fuse_rows(&taken, heads, how, err);
    free(rows);
    free(n);
    return rc;
}

static hw_err capture_rows(void *ctx, size_t layer, const hw__heads *heads, hw_error *err) {
    hw__capture *c = ctx;
    if (heads->q0 + heads->n_rows > c->trace->capacity || layer >= c->trace->n_layers)
        return hw__fail(err, HW_ERR_ENGINE,
                        "rows up to %zu of layer %zu: the trace has capacity for %zu tokens, %zu layers",
                        heads->q0 + heads->n_rows, layer, c->trace->capacity, c->trace->n_layers);
    /* A device delivers a layer's rows in two parts, means and heads, and the signals of the first part exist only
     * after the second: rows that continue those held are not a new layer. */
    bool continued = c->held_from < c->held_end && c->held_layer == layer && c->held_end == heads->q0;
    bool fed = hw__explainer_can_consume(c->explainer) && !continued;
    hw_err rc = fed ? hw__capture_stream(c, err) : HW_OK; /* of the layer below: its stream is complete now */
    if (rc == HW_OK && fed) rc = hw__trace_stream(c->trace, layer, heads->q0, heads->q0 + heads->n_rows, err);
    if (rc == HW_OK) rc = fuse_rows(c, layer, heads, err);
    if (rc == HW_OK && fed) hold(c, layer, heads);
    return rc == HW_OK ? hw__signal_batch_heads(&c->pending, layer, heads, err) : rc;
}

/* Adds up what attention and what recurrent layers added to target rows. */
static void note_added(hw__capture *c, size_t source, const hw__stream *stream) {
    const hw_run *run = c->trace->run;
    size_t D = (size_t)run->model.n_embd;
    bool recurrent = run->model.sources[source].layer < 0;
    for (size_t i = 0; i < stream->n_rows; i++) {
        const float *added = stream->added + i * D;
        double squares = 0;
        for (size_t d = 0; d < D; d++) squares += (double)added[d] * added[d];
        if (stream->q0 + i + 1 >= run->n_prompt) c->added[recurrent] += sqrt(squares);
    }
}

/* Whether some layers that move information between tokens have no attention weights, and can be read. */
static bool is_hybrid(const hw__capture *c) {
    const hw_model_info *model = &c->trace->run->model;
    return model->n_layers > 0 && model->n_sources > model->n_layers && !model->values_problem[0];
}

static hw_err capture_stream(void *ctx, size_t source, const hw__stream *stream, hw_error *err) {
    hw__capture *c = ctx;
    if (is_hybrid(c)) note_added(c, source, stream);
    hw_err rc = hw__unread_stream(&c->unread, source, stream, err);
    return rc == HW_OK && c->pending.wanted ? hw__signal_batch_stream(&c->pending, source, stream, err) : rc;
}

static hw_err capture_final(void *ctx, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    hw__capture *c = ctx;
    hw__unread_final(&c->unread, rows, n_rows, q0);
    return c->pending.wanted ? hw__signal_batch_final(&c->pending, rows, n_rows, q0, err) : HW_OK;
}

static hw_err capture_origin(void *ctx, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    hw__capture *c = ctx;
    hw_err rc = hw__unread_origin(&c->unread, rows, n_rows, q0, err);
    return rc == HW_OK && c->pending.wanted ? hw__signal_batch_origin(&c->pending, rows, n_rows, q0, err) : rc;
}

static hw_err capture_mixing(void *ctx, const float *row, size_t q, hw_error *err) {
    return hw__signal_batch_mixing(&((hw__capture *)ctx)->pending, row, q, err);
}

hw__sink hw__capture_sink(hw__capture *capture) {
    bool streams = capture->pending.wanted != 0;
    bool unread = capture->trace && capture->unread.unread && !capture->trace->run->model.values_problem[0];
    bool shares = !streams && capture->trace && (unread || is_hybrid(capture));
    bool means = capture->trace && capture->trace->run->options.run.fuse == HW_FUSE_MEAN;
    return (hw__sink){.rows = capture_rows,
                      .values = hw__signal_batch_reads_values(&capture->pending),
                      .stream = streams || shares ? capture_stream : NULL,
                      .final = streams || unread ? capture_final : NULL,
                      .origin = streams || unread ? capture_origin : NULL,
                      .mixing = streams ? capture_mixing : NULL,
                      .rows_from = shown_from(capture),
                      .stream_from =
                          shares ? capture->trace->run->n_prompt - 1 : hw__signal_batch_from(&capture->pending),
                      .heads_from = !means    ? 0
                                    : streams ? capture->pending.first
                                              : SIZE_MAX,
                      .ctx = capture};
}

/* ------------------------------------------------------------------ one run */

typedef struct session {
    hw__engine *engine;
    const hw_run_params *params;
    hw_run *run;
    hw_trace *trace; /* NULL: nothing is captured */
    hw__capture capture;
    hw__tokens prompt, given; /* ids; `given` only when the completion is */
    hw__against against;
    hw_row_retention rows; /* that the trace keeps */
    uint32_t signals;
    size_t n_done;      /* tokens decoded */
    size_t last_row;    /* row of the last decode that predicts the next token */
    bool interruptible; /* whether a stop may interrupt a decode, which loses the run */
} session;

static void progress(const session *s, hw_stage stage, size_t done, size_t total) {
    if (s->params->progress) s->params->progress(s->params->ctx, stage, done, total);
}

static hw_err decode(session *s, const int32_t *ids, size_t n, size_t first_logit, hw_error *err) {
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

/* Appends completion token `id`, chosen by row `row` of the last decode. */
static hw_err add_completion(session *s, int32_t id, size_t row, hw_error *err) {
    hw__piece piece;
    hw_err rc = s->engine->ops->piece(s->engine, &piece, id, err);
    if (rc != HW_OK) return rc;
    hw_token token = {
        .bytes = piece.bytes, .n_bytes = piece.n_bytes, .id = id, .role = HW_ROLE_COMPLETION, .logprob = NAN};
    hw__top_tokens best;
    if (s->trace) rc = hw__top_tokens_read(&best, &token, s->engine, row, err);
    double *logit;
    hw__contrast *contrast =
        rc == HW_OK ? hw__signal_batch_contrast(&s->capture.pending, s->run->n_tokens - 1, &logit) : NULL;
    if (contrast) rc = hw__against_take(contrast, &s->against, &token, s->engine, row, err);
    if (contrast && rc == HW_OK) *logit = hw__contrasted_logit(s->engine, row, id, contrast);
    if (rc == HW_OK) rc = hw__run_add_token(s->run, &token, err);
    if (rc == HW_OK) rc = hw__thinking_role_added(s->run, err);
    if (rc != HW_OK) return rc;
    if (s->params->on_token) s->params->on_token(s->params->ctx, s->run, s->run->n_tokens - 1);
    return HW_OK;
}

/* Passes the rows that can be explained to the explainer; batched rows, each of which has chosen its token, become
 * signals first. */
static hw_err show_rows(session *s, hw_error *err) {
    if (!s->trace || !hw__explainer_pauses(s->params->explainer)) return HW_OK;
    hw_err rc = hw__signal_batch_flush(&s->capture.pending, s->engine, SIZE_MAX, err);
    if (rc == HW_OK) hw__explainer_show(s->params->explainer, s->trace);
    return rc;
}

/* The first row that must be decoded alone, because the engine shows its stream only then. */
static size_t single_from(session *s) {
    const hw__sink sink = s->trace && s->engine->n_mixing ? hw__capture_sink(&s->capture) : (hw__sink){0};
    return sink.stream ? sink.stream_from : SIZE_MAX;
}

/* The number of tokens of the next decode, at most `max`. */
static size_t next_chunk(session *s, size_t max) {
    size_t from = single_from(s);
    if (s->n_done >= from) return 1;
    return max < from - s->n_done ? max : from - s->n_done;
}

static hw_err prefill(session *s, hw_error *err) {
    size_t m = s->prompt.n, chunk = s->engine->ops->chunk(s->engine), from = single_from(s);
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

/* Teacher forcing: the completion is decoded in chunks, and each row predicts the next token. */
static hw_err force_completion(session *s, hw_error *err) {
    size_t n = s->given.n, chunk = s->engine->ops->chunk(s->engine);
    if (chunk > HW__MAX_LOGITS) chunk = HW__MAX_LOGITS;
    if (s->capture.pending.wanted && chunk > s->capture.pending.capacity) chunk = s->capture.pending.capacity;
    hw_err rc = add_completion(s, s->given.ids[0], s->last_row, err);
    for (size_t i = 0; rc == HW_OK && i < n;) {
        size_t take = next_chunk(s, n - i < chunk ? n - i : chunk);
        rc = decode(s, s->given.ids + i, take, 0, err);
        for (size_t row = 0; rc == HW_OK && row < take && i + row + 1 < n; row++)
            rc = add_completion(s, s->given.ids[i + row + 1], row, err);
        i += take;
        progress(s, HW_STAGE_DECODE, i, n);
        if (rc == HW_OK && i < n) rc = show_rows(s, err);
    }
    s->run->stop = HW_STOP_GIVEN;
    if (rc == HW_OK) rc = hw__remark_changed(s->run, s->params->completion, s->params->completion_bytes, err);
    return rc;
}

static bool must_stop(const session *s) { return s->params->stop && s->params->stop(s->params->ctx); }

/* During generation a stop takes effect after the current token, so that every kept token has its rows. */
static bool stop_decode(void *ctx) {
    const session *s = ctx;
    return s->interruptible && must_stop(s);
}

static hw_err generate(session *s, hw_error *err) {
    const hw_run_params *p = s->params;
    hw__sampling sampling = {.temperature = p->temperature, .top_p = p->top_p, .top_k = p->top_k, .seed = p->seed};
    /* The last token's row chooses nothing. A recurrent model's share is over all rows. */
    bool reads_last = !s->trace || is_hybrid(&s->capture) || hw__explainer_reads_last(p->explainer);
    s->run->stop = HW_STOP_LENGTH;
    for (size_t i = 0; i < p->n_generate; i++) {
        int32_t id;
        hw__piece piece;
        hw_err rc = s->engine->ops->sample(s->engine, &id, s->last_row, i, &sampling, err);
        if (rc == HW_OK) rc = s->engine->ops->piece(s->engine, &piece, id, err);
        if (rc != HW_OK) return rc;
        if (piece.end) {
            s->run->stop = HW_STOP_END;
            return HW_OK;
        }
        if ((rc = add_completion(s, id, s->last_row, err)) != HW_OK) return rc;
        if (hw__explainer_is_due(p->explainer, i + 1) && (rc = show_rows(s, err)) != HW_OK) return rc;
        if (!reads_last && i + 1 == p->n_generate) {
            s->trace->lacks_last = true;
        } else if ((rc = decode(s, &id, 1, 0, err)) != HW_OK) {
            return rc;
        }
        progress(s, HW_STAGE_DECODE, i + 1, p->n_generate);
        if (must_stop(s)) {
            s->run->stop = HW_STOP_CANCELLED;
            return HW_OK;
        }
    }
    return HW_OK;
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
static hw_err read_tokens(session *s, size_t n_ctx, hw_error *err) {
    const hw_run_params *p = s->params;
    hw_err rc = hw__prompt_tokens(s->run, &s->prompt, s->engine, p, err);
    if (rc != HW_OK) return rc;
    if (s->prompt.n == 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "the prompt of %zu bytes has no tokens", s->run->prompt_bytes);
    if (p->completion) rc = hw__completion_tokens(&s->given, s->run, s->engine, p, err);
    if (rc != HW_OK) return rc;
    if (p->completion && s->given.n == 0) return hw__fail(err, HW_ERR_ARGUMENT, "the given completion has no tokens");
    size_t n = p->completion ? s->given.n : p->n_generate, total;
    if (!hw__add(&total, s->prompt.n, n) || total > n_ctx)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "the prompt's %zu tokens and %zu of completion are %zu more than the context of %zu (shorten the prompt or "
            "the completion, or raise the context if it was lowered)",
            s->prompt.n, n, s->prompt.n + n - n_ctx, n_ctx);
    return HW_OK;
}

/* Passes the estimate of the run to the caller, and compares it with the limit. */
static hw_err check_memory(const session *s, hw_error *err) {
    const hw_run_params *p = s->params;
    const hw__run_tokens tokens = {s->run, &s->prompt, &s->given};
    hw_estimate e;
    if (!p->memory && !p->on_estimate) return HW_OK;
    hw_err rc = hw__estimate(&e, s->engine, &tokens, p, err);
    if (rc == HW_OK && p->on_estimate) rc = p->on_estimate(p->ctx, &e, err);
    bool streams = p->explainer && p->explainer->params.keep == HW_KEEP_RESULTS;
    uint64_t total = e.total - (streams ? 0 : e.methods);
    if (rc != HW_OK || !p->memory || total <= p->memory) return rc;
    return hw__fail(
        err, HW_ERR_ARGUMENT,
        "a run over %zu tokens would take %.1f MiB, the limit is %.1f MiB: a shorter prompt would take less",
        e.n_tokens, (double)total / 1048576, (double)p->memory / 1048576);
}

/* Splits the prompt, and determines what the trace must hold. */
static hw_err begin_explainer(session *s, hw_error *err) {
    hw_explainer *x = s->params->explainer;
    hw_err rc = x ? hw__explainer_begin(x, s->run, err) : HW_OK;
    s->rows = hw__explainer_rows(x);
    s->signals = hw__explainer_signals(x, &s->run->model);
    if (rc == HW_OK && s->params->against && !(s->signals & 1u << HW_SIGNAL_LOGIT))
        return hw__fail(err, HW_ERR_ARGUMENT, "against contrasts logits, and no method of the explainer reads them");
    return rc;
}

/* Allocates what the decodes will fill. */
static hw_err start_capture(session *s, size_t total, hw_error *err) {
    hw_explainer *x = s->params->explainer;
    hw_err rc = begin_explainer(s, err);
    if (rc == HW_OK) rc = hw__against_read(&s->against, s->params->against, s->engine, err);
    if (rc == HW_OK) rc = check_memory(s, err);
    if (rc == HW_OK) rc = hw__trace_new_kept(&s->trace, s->run, s->rows, total, err);
    if (rc != HW_OK) return rc;
    s->trace->growing = true;
    s->capture = (hw__capture){
        .trace = s->trace, .sinks = s->run->model.has_sinks, .n_threads = s->engine->n_threads, .explainer = x};
    s->capture.unread = (hw__unread_share){.unread = s->engine->unread,
                                           .n_sources = s->trace->n_sources,
                                           .n_embd = (size_t)s->run->model.n_embd,
                                           .first = s->run->n_prompt - 1};
    const hw_method_params *sums = hw__explainer_sums(x);
    if (sums) rc = hw__trace_group_signals(s->trace, sums->groups, sums->n_groups, err);
    /* the explainer can consume it even for a short prompt */
    if (rc == HW_OK) rc = hw__explainer_consume(x, s->trace, (hw__layer_rows){0}, err);
    if (rc == HW_OK) rc = hw__signal_batch_new(&s->capture.pending, s->trace, s->signals, s->engine, total, err);
    if (rc == HW_OK) rc = hw__signal_batch_compare(&s->capture.pending, hw__against_others(&s->against), err);
    if (rc == HW_OK) hw__trace_prefault(s->trace);
    return rc;
}

static hw_err finish_capture(session *s, hw_error *err) {
    hw_err rc = hw__signal_batch_flush(&s->capture.pending, s->engine, SIZE_MAX, err);
    const double *added = s->capture.added;
    s->trace->growing = false;
    if (added[0] + added[1] > 0) s->run->recurrent_share = added[1] / (added[0] + added[1]);
    if (rc == HW_OK) rc = hw__unread_remark(&s->capture.unread, s->run, err);
    if (rc == HW_OK) hw__explainer_show(s->params->explainer, s->trace);
    return rc;
}

/* Starts the engine's sequence with the prefix for which an earlier trace has rows, as far as the engine still holds
 * it. */
static hw_err start_sequence(session *s, size_t total, hw_error *err) {
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

static hw_err run_session(session *s, bool captures, size_t n_ctx, hw_error *err) {
    hw_err rc = read_tokens(s, n_ctx, err);
    if (rc != HW_OK) return rc;
    size_t total = s->prompt.n + (s->params->completion ? s->given.n : s->params->n_generate);
    if (captures && (rc = start_capture(s, total, err)) != HW_OK) return rc;
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
    return rc == HW_OK && captures ? finish_capture(s, err) : rc;
}

/* Performs the run that `params` describe; s->run and, for captures, s->trace belong to the caller on success. */
static hw_err run_whole(session *s, bool captures, size_t n_ctx, const hw__run_options *options, hw_error *err) {
    hw_err rc = hw__run_new(&s->run, s->engine->ops->describe(s->engine), options, err);
    if (rc != HW_OK) return rc;
    rc = run_session(s, captures, n_ctx, err);
    hw__signal_batch_free(&s->capture.pending);
    hw__unread_free(&s->capture.unread);
    free(s->prompt.ids);
    free(s->given.ids);
    if (rc == HW_OK) return HW_OK;
    if (s->trace) {
        hw_trace_free(s->trace);
    } else {
        hw__run_release(s->run);
    }
    return rc;
}

/* The params of an entry point: the caller's over the defaults, checked. */
static hw_err read_params(hw_run_params *own, const hw_model *model, const hw_run_params *params, hw_error *err) {
    if (!model || !params) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model and params with a prompt are needed");
    *own = hw_run_params_default();
    hw_err rc = hw__params_read(own, sizeof *own, params, "hw_run_params", err);
    return rc == HW_OK ? check_params(own, err) : rc;
}

static hw__run_options options_of(const hw_model *model, const hw_run_params *params) {
    hw__run_options options = {.run = *params,
                               .f32_cache = model->params.f32_cache,
                               .n_ubatch = (int32_t)model->engine->ops->chunk(model->engine)};
    options.run.chat = params->chat || params->n_messages;
    if (params->against && strcmp(params->against, "mean") == 0) options.run.against = NULL;
    return options;
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
    session s = {.engine = model->engine, .params = &p};
    hw__run_options options = options_of(model, &p);
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
    session s = {.engine = model->engine, .params = &p};
    hw__run_options options = options_of(model, &p);
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
    hw__run_options options = options_of(model, &p);
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
