/* capture.c - the rows of decodes to a trace, and the steps of a run between its tokens and its trace. */
#include "capture/capture.h"

#include "capture/head_fusion.h"
#include "capture/memory_estimate.h"
#include "capture/top_tokens.h"
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

bool hw__capture_is_hybrid(const hw__capture *c) {
    const hw_model_info *model = &c->trace->run->model;
    return model->n_layers > 0 && model->n_sources > model->n_layers && !model->values_problem[0];
}

static hw_err capture_stream(void *ctx, size_t source, const hw__stream *stream, hw_error *err) {
    hw__capture *c = ctx;
    if (hw__capture_is_hybrid(c)) note_added(c, source, stream);
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
    bool shares = !streams && capture->trace && (unread || hw__capture_is_hybrid(capture));
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

/* ------------------------------------------------------------------ steps of a run */

hw_err hw__session_choose(hw__session *s, int32_t id, size_t row, hw_error *err) {
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

hw_err hw__session_show(hw__session *s, hw_error *err) {
    if (!s->trace || !hw__explainer_pauses(s->params->explainer)) return HW_OK;
    hw_err rc = hw__signal_batch_flush(&s->capture.pending, s->engine, SIZE_MAX, err);
    if (rc == HW_OK) hw__explainer_show(s->params->explainer, s->trace);
    return rc;
}

size_t hw__session_single_from(hw__session *s) {
    const hw__sink sink = s->trace && s->engine->n_mixing ? hw__capture_sink(&s->capture) : (hw__sink){0};
    return sink.stream ? sink.stream_from : SIZE_MAX;
}

/* Passes the estimate of the run to the caller, and compares it with the limit. */
static hw_err check_memory(const hw__session *s, hw_error *err) {
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
static hw_err begin_explainer(hw__session *s, hw_error *err) {
    hw_explainer *x = s->params->explainer;
    hw_err rc = x ? hw__explainer_begin(x, s->run, err) : HW_OK;
    s->rows = hw__explainer_rows(x);
    s->signals = hw__explainer_signals(x, &s->run->model);
    if (rc == HW_OK && s->params->against && !(s->signals & 1u << HW_SIGNAL_LOGIT))
        return hw__fail(err, HW_ERR_ARGUMENT, "against contrasts logits, and no method of the explainer reads them");
    return rc;
}

hw_err hw__session_start(hw__session *s, size_t total, hw_error *err) {
    hw_explainer *x = s->params->explainer;
    hw_err rc = begin_explainer(s, err);
    if (rc == HW_OK) rc = hw__explainer_check(x, s->run, s->given.n ? s->given.n : 1, err);
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
    s->trace->gathered_only = hw__explainer_gathers_only(x);
    if (sums) rc = hw__trace_group_signals(s->trace, sums->groups, sums->n_groups, err);
    /* the explainer can consume it even for a short prompt */
    if (rc == HW_OK) rc = hw__explainer_consume(x, s->trace, (hw__layer_rows){0}, err);
    if (rc == HW_OK) rc = hw__signal_batch_new(&s->capture.pending, s->trace, s->signals, s->engine, total, err);
    if (rc == HW_OK) rc = hw__signal_batch_compare(&s->capture.pending, hw__against_others(&s->against), err);
    if (rc == HW_OK) hw__trace_prefault(s->trace);
    return rc;
}

hw_err hw__session_finish(hw__session *s, hw_error *err) {
    hw_err rc = hw__signal_batch_flush(&s->capture.pending, s->engine, SIZE_MAX, err);
    const double *added = s->capture.added;
    s->trace->growing = false;
    if (added[0] + added[1] > 0) s->run->recurrent_share = added[1] / (added[0] + added[1]);
    if (rc == HW_OK) rc = hw__unread_remark(&s->capture.unread, s->run, err);
    if (rc == HW_OK) hw__explainer_show(s->params->explainer, s->trace);
    return rc;
}

hw__run_options hw__session_options(const hw_model *model, const hw_run_params *params) {
    hw__run_options options = {.run = *params,
                               .f32_cache = model->params.f32_cache,
                               .n_ubatch = (int32_t)model->engine->ops->chunk(model->engine)};
    options.run.chat = params->chat || params->n_messages;
    if (params->against && strcmp(params->against, "mean") == 0) options.run.against = NULL;
    return options;
}

bool hw__session_reads_last(const hw__session *s) {
    return !s->trace || hw__capture_is_hybrid(&s->capture) || hw__explainer_reads_last(s->params->explainer);
}

void hw__session_clear(hw__session *s, bool failed) {
    hw__signal_batch_free(&s->capture.pending);
    hw__unread_free(&s->capture.unread);
    free(s->prompt.ids);
    free(s->given.ids);
    if (!failed) return;
    if (s->trace) {
        hw_trace_free(s->trace);
    } else {
        hw__run_release(s->run);
    }
}
