/*
 * explainer.c - methods with their settings for a run: which rows and signals the run keeps, and what is explained
 * during capture.
 *
 * A method whose rows do not depend on later tokens explains a range of rows like all rows; rollout keeps its composed
 * matrices. The rows in the trace limit the range. Prompt rows that the trace does not keep are passed to rollout by
 * capture.c as they are computed.
 */
#include "methods/explainer.h"

#include "base/error.h"
#include "base/sized.h"
#include "text/segments.h"

#include <stdlib.h>
#include <string.h>

/* Tokens between two calls of on_rows: equals the rows of a decode of a given completion. */
enum { DEFAULT_INTERVAL = 64 };

void hw_explainer_params_init(hw_explainer_params *params, size_t size) {
    const hw_explainer_params defaults = {.size = sizeof defaults};
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

hw_err hw_explainer_new(hw_explainer **out, const hw_explainer_params *params, hw_error *err) {
    hw_explainer made = {.params = hw_explainer_params_default()};
    hw_err rc = hw__params_read(&made.params, sizeof made.params, params, "hw_explainer_params", err);
    if (rc != HW_OK) return rc;
    if ((unsigned)made.params.keep > HW_KEEP_ALL)
        return hw__fail(err, HW_ERR_ARGUMENT, "keep %d: results, methods, rows or all", (int)made.params.keep);
    hw_explainer *x = hw__alloc(1, sizeof *x);
    if (!x) return hw__fail_memory(err, "an explainer", 1, sizeof *x);
    *x = made;
    *out = x;
    return HW_OK;
}

hw_err hw_explainer_add(hw_explainer *x, const char *method, const hw_method_params *params, hw_error *err) {
    if (!x || !method) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an explainer and the name of a method are needed");
    hw__explanation made = {.params = hw_method_params_default()};
    hw_err rc = hw__params_read(&made.params, sizeof made.params, params, "hw_method_params", err);
    if (rc == HW_OK) rc = hw__method_check(&made.method, method, &made.params, err);
    if (rc != HW_OK) return rc;
    hw__explanation *grown = realloc(x->list, (x->n + 1) * sizeof *grown);
    if (!grown) return hw__fail_memory(err, "an explainer's methods", x->n + 1, sizeof *grown);
    x->list = grown;
    x->list[x->n++] = made;
    return HW_OK;
}

/* ------------------------------------------------------------------ the split */

/* Drops the run and the results of it. */
static void forget_run(hw_explainer *x) {
    for (size_t i = 0; i < x->n; i++) {
        hw__explanation *e = &x->list[i];
        if (e->method->incremental_free) e->method->incremental_free(e->state);
        hw__through_state_clear(&e->through);
        if (e->regrouped) e->params.groups = NULL;
        *e = (hw__explanation){.method = e->method, .params = e->params};
    }
    hw_partition_free(x->partition);
    hw_segments_free(x->segments);
    hw_run_free(x->run);
    x->partition = NULL;
    x->segments = NULL;
    x->run = NULL;
}

static void free_split(hw_explainer *x) {
    free(x->by);
    free(x->spans);
    free(x->spans_name);
    x->by = x->spans = x->spans_name = NULL;
}

void hw_explainer_free(hw_explainer *x) {
    if (!x) return;
    forget_run(x);
    free_split(x);
    free(x->list);
    free(x);
}

hw_err hw_explainer_split(hw_explainer *x, const char *by, bool whole, hw_error *err) {
    if (!x || !by) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an explainer and the name of a segmenter are needed");
    char *copy = hw__strndup(by, strlen(by));
    if (!copy) return hw__fail_memory(err, "a segmenter's name", strlen(by), 1);
    free_split(x);
    x->by = copy;
    x->whole = whole;
    return HW_OK;
}

hw_err hw_explainer_split_spans(hw_explainer *x, const char *json, size_t n_bytes, const char *name, bool whole,
                                hw_error *err) {
    if (!x || !json) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an explainer and spans are needed");
    char *copy = hw__strndup(json, n_bytes), *name_copy = name ? hw__strndup(name, strlen(name)) : NULL;
    if (!copy || (name && !name_copy)) {
        free(copy);
        free(name_copy);
        return hw__fail_memory(err, "spans", n_bytes, 1);
    }
    free_split(x);
    x->spans = copy;
    x->n_spans = n_bytes;
    x->spans_name = name_copy;
    x->whole = whole;
    return HW_OK;
}

static hw_err split_prompt(hw_explainer *x, const hw_run *run, hw_error *err) {
    if (x->by) return hw_segments_new(&x->segments, run, HW_SIDE_PROMPT, x->by, err);
    hw_err rc = hw_segments_from_json(&x->segments, run, HW_SIDE_PROMPT, x->spans, x->n_spans, err);
    return rc == HW_OK || !x->spans_name ? rc : hw__fail_in(err, rc, "%s", x->spans_name);
}

/* Makes the segments the columns of a method. */
static hw_err set_columns(hw__explanation *e, const hw_explainer *x, hw_error *err) {
    if (e->params.columns != HW_COLUMNS_PROMPT)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "columns all: segments of the prompt cannot be combined with columns of the completion");
    if (x->partition) {
        hw_partition_columns(x->partition, &e->params);
    } else {
        e->params.groups = hw_segments_groups(x->segments, NULL);
        e->params.n_groups = hw_segments_count(x->segments);
        e->params.group_names = NULL;
    }
    return HW_OK;
}

hw_err hw__explainer_begin(hw_explainer *x, const hw_run *run, hw_error *err) {
    forget_run(x);
    hw_err rc = HW_OK;
    bool splits = x->by || x->spans;
    if (splits) rc = split_prompt(x, run, err);
    if (splits && rc == HW_OK && x->whole) rc = hw_segments_partition(&x->partition, x->segments, err);
    for (size_t i = 0; i < x->n && rc == HW_OK; i++) {
        if (splits) rc = set_columns(&x->list[i], x, err);
        if (rc == HW_OK) rc = hw__groups_check(&x->list[i].params, run, err);
    }
    if (rc == HW_OK) x->run = hw__run_retain(run);
    return rc;
}

hw_err hw__explainer_check(const hw_explainer *x, const hw_run *run, size_t n_completion, hw_error *err) {
    hw_err first = HW_OK;
    for (size_t i = 0; x && i < x->n; i++) {
        const hw__explanation *e = &x->list[i];
        hw_err rc = hw__method_check_run(run, n_completion, e->method, &e->params, i ? NULL : err);
        if (rc == HW_OK) return HW_OK; /* those that cannot are left out later */
        if (i == 0) first = rc;
    }
    return first;
}

static hw_err check_group(const hw_explainer *x, size_t i, const hw_segments *segments, hw_error *err) {
    if (!x || !segments || i >= x->n || !x->run)
        return hw__fail(err, HW_ERR_ARGUMENT, "method %zu: an explainer with it, a run and segments are needed", i);
    const hw__explanation *e = &x->list[i];
    if (e->next || e->has_streamed)
        return hw__fail(err, HW_ERR_ARGUMENT, "method %zu has explained rows: choose its columns in on_prompt", i);
    if (segments->n_tokens != x->run->n_prompt)
        return hw__fail(err, HW_ERR_ARGUMENT, "segments of %zu tokens, the prompt has %zu", segments->n_tokens,
                        x->run->n_prompt);
    if (e->params.groups && !x->segments)
        return hw__fail(err, HW_ERR_ARGUMENT, "method %zu has groups in its settings", i);
    return HW_OK;
}

hw_err hw_explainer_group(hw_explainer *x, size_t i, const hw_segments *segments, hw_error *err) {
    hw_err rc = check_group(x, i, segments, err);
    if (rc != HW_OK) return rc;
    hw__explanation *e = &x->list[i];
    if (e->params.columns != HW_COLUMNS_PROMPT)
        return hw__fail(err, HW_ERR_ARGUMENT, "columns all: method %zu has columns of the completion, too", i);
    e->params.groups = hw_segments_groups(segments, NULL);
    e->params.n_groups = hw_segments_count(segments);
    e->params.group_names = NULL;
    e->regrouped = true;
    return HW_OK;
}

const hw_segments *hw_explainer_segments(const hw_explainer *x) { return x ? x->segments : NULL; }

/* ------------------------------------------------------------------ what a trace keeps */

/* Whether a method consumes streamed prompt rows: these are kept for the prompt's columns only. */
static bool consumes_streamed(const hw_explainer *x, const hw__explanation *e) {
    return x->params.keep == HW_KEEP_RESULTS && e->params.columns == HW_COLUMNS_PROMPT && !e->params.through &&
           e->method->can_consume && e->method->can_consume(&e->params);
}

/* Rows that the trace keeps for the method. */
static hw_row_retention rows_of(const hw_explainer *x, const hw__explanation *e) {
    return consumes_streamed(x, e) ? HW_ROWS_TARGET : e->method->info.rows;
}

hw_row_retention hw__explainer_rows(const hw_explainer *x) {
    if (!x || x->params.keep >= HW_KEEP_ROWS) return HW_ROWS_ALL;
    hw_row_retention rows = HW_ROWS_NONE;
    for (size_t i = 0; i < x->n; i++)
        if (rows_of(x, &x->list[i]) < rows) rows = rows_of(x, &x->list[i]);
    return rows;
}

/* Signals of every method that the model supports, with these settings. */
static uint32_t signals_of_all(const hw_model_info *model, const hw_method_params *p) {
    uint32_t signals = 0;
    for (size_t i = 0; i < hw__n_methods; i++)
        if (!*hw_method_problem(&hw__methods[i]->info, model))
            signals |= hw_method_signals(hw__methods[i]->info.name, p);
    return signals;
}

uint32_t hw__explainer_signals(const hw_explainer *x, const hw_model_info *model) {
    uint32_t signals = 0;
    bool all = x && x->params.keep == HW_KEEP_ALL;
    for (size_t i = 0; x && i < x->n; i++) {
        const hw__explanation *e = &x->list[i];
        signals |= hw__method_captures(e->method, &e->params);
        if (all) signals |= signals_of_all(model, &e->params);
    }
    if (!all) return signals;
    hw_method_params usual = hw_method_params_default();
    usual.residual_measured = !*model->values_problem;
    return signals | signals_of_all(model, &usual);
}

bool hw__explainer_gathers_only(const hw_explainer *x) {
    if (!x || x->params.keep != HW_KEEP_RESULTS) return false;
    for (size_t i = 0; i < x->n; i++) {
        const hw__explanation *e = &x->list[i];
        if (e->method->signals && e->method->signals(&e->params) & 1u << HW_SIGNAL_PROJECTION) return false;
    }
    return true;
}

bool hw__explainer_reads_last(const hw_explainer *x) {
    if (!x || x->params.keep != HW_KEEP_RESULTS) return true;
    for (size_t i = 0; i < x->n; i++)
        if (hw__method_reads_last(x->list[i].method, &x->list[i].params)) return true;
    return false;
}

const hw_method_params *hw__explainer_sums(const hw_explainer *x) {
    if (!x || x->n == 0 || x->params.keep != HW_KEEP_RESULTS) return NULL;
    const hw_method_params *first = &x->list[0].params;
    for (size_t i = 0; i < x->n; i++) {
        const hw_method_params *p = &x->list[i].params;
        if (!p->groups || p->groups != first->groups || p->columns != HW_COLUMNS_PROMPT || p->through) return NULL;
    }
    return first;
}

bool hw__explainer_can_consume(const hw_explainer *x) {
    for (size_t i = 0; x && i < x->n; i++)
        if (consumes_streamed(x, &x->list[i])) return true;
    return false;
}

hw_err hw__explainer_consume(hw_explainer *x, const hw_trace *trace, hw__layer_rows rows, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; x && i < x->n && rc == HW_OK; i++) {
        hw__explanation *e = &x->list[i];
        if (!consumes_streamed(x, e)) continue;
        e->has_streamed = true;
        rc = e->method->consume(&e->state, trace, &e->params, rows, err);
    }
    return rc;
}

/* ------------------------------------------------------------------ rows as they come */

/* Maximum memory that a method may keep during a growing run; if it needs more, rows are explained at the end of the
 * run. */
static const size_t MAX_BYTES = (size_t)512 << 20;

/* Whether a growing run must end first: composed rows are kept for the prompt's columns only and `through` needs those
 * of the completion too; or the method would keep too much. */
static bool waits(const hw__explanation *e, const hw_trace *trace) {
    bool composed = e->method->incremental && hw_method_active_traits(&e->method->info, &e->params) & HW_USES_DIRECTION;
    if (e->params.through && composed) return trace->growing;
    return trace->growing && !e->has_streamed && e->method->incremental &&
           e->method->incremental_bytes(trace, &e->params) > MAX_BYTES;
}

/* Number of completion tokens whose rows are complete, including signals that the method needs. */
static size_t ready(const hw__explanation *e, const hw_trace *trace) {
    size_t n = hw_run_n_completion(trace->run), rows = trace->n_rows;
    if (!trace->growing) return n;
    if (waits(e, trace)) return 0;
    if (e->method->signals && e->method->signals(&e->params)) {
        size_t explained = trace->run->n_prompt - 1 + trace->signals.n_done;
        rows = explained < rows ? explained : rows;
    }
    size_t before = trace->run->n_prompt - (e->params.row == HW_ROW_PREDICTOR); /* rows before that of token 0 */
    size_t there = rows > before ? rows - before : 0;
    return there < n ? there : n;
}

/* Makes rows e->next .. end - 1 with `p`. */
static hw_err make_rows(hw_attribution **out, hw__explanation *e, const hw_trace *trace, const hw_method_params *p,
                        size_t end, hw_error *err) {
    const hw__method *method = e->method;
    hw_attribution *a;
    hw__attribution_part part = {method->info.name, hw__method_layers(method, p, &trace->run->model), e->next, end};
    hw_err rc = hw__attribution_new_rows(&a, trace->run, part, p, err);
    if (rc != HW_OK) return rc;
    bool keeps = method->incremental && !e->params.through;
    rc = keeps ? method->incremental(&e->state, a, trace, p, err) : method->run(a, trace, p, err);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    *out = a;
    return HW_OK;
}

/* The same, followed through the completion. */
static hw_err follow_rows(hw_attribution **out, hw__explanation *e, const hw_trace *trace, size_t end, hw_error *err) {
    hw_method_params direct;
    int32_t *groups;
    hw_attribution *inner = NULL, *gathered = NULL;
    hw_err rc = hw__through_inner(&direct, &groups, &e->params, trace->run, err);
    if (rc == HW_OK) rc = make_rows(&inner, e, trace, &direct, end, err);
    if (rc == HW_OK) rc = hw__method_gathered(&gathered, inner, trace, err);
    if (rc == HW_OK) rc = hw__through_rows(out, &(hw__through_rows_of){inner, gathered}, &e->params, &e->through, err);
    hw_attribution_free(gathered);
    hw_attribution_free(inner);
    free(groups);
    return rc;
}

/* Explains the tokens that can be explained now and have not been before; *out is NULL if there are none. */
static hw_err explain_next(hw_attribution **out, hw__explanation *e, const hw_trace *trace, hw_error *err) {
    size_t end = ready(e, trace);
    hw_row_retention needed = e->has_streamed ? HW_ROWS_TARGET : e->method->info.rows;
    hw_err rc = hw__method_check_signals(trace, e->method, &e->params, err);
    if (rc == HW_OK) rc = hw__method_check_rows(trace, e->method, &e->params, needed, err);
    if (rc != HW_OK) return rc;
    *out = NULL;
    if (end <= e->next) return HW_OK;
    hw_attribution *a = NULL;
    rc = e->params.through ? follow_rows(&a, e, trace, end, err) : make_rows(&a, e, trace, &e->params, end, err);
    if (rc == HW_OK) rc = hw__method_finish(a, trace, err);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    e->next = end;
    *out = a;
    return HW_OK;
}

bool hw__explainer_pauses(const hw_explainer *x) { return x && (x->params.on_rows || x->params.interval); }

bool hw__explainer_is_due(const hw_explainer *x, size_t n_chosen) {
    if (!hw__explainer_pauses(x)) return false;
    return n_chosen == 1 || n_chosen % (x->params.interval ? x->params.interval : DEFAULT_INTERVAL) == 0;
}

void hw__explainer_show(hw_explainer *x, const hw_trace *trace) {
    for (size_t i = 0; x && x->params.on_rows && i < x->n; i++) {
        hw__explanation *e = &x->list[i];
        hw_attribution *rows = NULL;
        bool grows = (e->method->by_row || e->method->incremental) && e->params.columns == HW_COLUMNS_PROMPT;
        if (!grows || e->failed) continue;
        e->failed = explain_next(&rows, e, trace, NULL) != HW_OK;
        if (rows) x->params.on_rows(x->params.ctx, i, rows);
    }
}

hw_err hw_explainer_result(hw_attribution **out, hw_explainer *x, size_t i, const hw_trace *trace, hw_error *err) {
    if (!x || !trace) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an explainer and a trace are needed");
    if (i >= x->n) return hw__fail(err, HW_ERR_ARGUMENT, "method %zu: the explainer has %zu", i, x->n);
    hw__explanation *e = &x->list[i];
    hw_err rc = trace->run == x->run ? HW_OK : hw__explainer_begin(x, trace->run, err);
    if (rc != HW_OK) return rc;
    if (!e->has_streamed) return hw_explain(out, trace, e->method->info.name, &e->params, err);
    e->next = 0; /* the composed matrices include the rows that were passed to on_rows */
    return explain_next(out, e, trace, err);
}
