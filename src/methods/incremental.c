/*
 * incremental.c - explains the rows of a trace while it is captured, each once.
 *
 * A method whose rows do not depend on later tokens explains a range of rows as it explains all of them; rollout keeps
 * what it composed so far. What the trace holds by now decides how far a range goes. Prompt rows that the trace does not keep
 * are fed to rollout by capture.c while they pass.
 */
#include "base/error.h"
#include "methods/method.h"
#include "methods/through.h"

#include <stdlib.h>

struct hw_live {
    const hw__method *method;
    hw_method_params params;
    bool fed;    /* it has seen prompt rows pass */
    size_t next; /* completion index of the first token that was not explained */
    void *state; /* of the method */
    hw__through_state through; /* rows that later ones are followed to */
};

hw_err hw_live_new(hw_live **out, const char *method, const hw_method_params *params, hw_error *err) {
    if (!method) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: the name of a method is needed");
    hw_method_params defaults = hw_method_params_default();
    hw_live made = {.params = params ? *params : defaults};
    hw_err rc = hw__method_check(&made.method, method, &made.params, err);
    if (rc != HW_OK) return rc;
    if (!made.method->by_row && !made.method->live)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "method %s needs the whole run: it cannot explain one that grows",
                        method);
    if (made.params.columns != HW_COLUMNS_PROMPT)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "columns all: a run that grows is explained by its prompt's columns only");
    hw_live *live = hw__alloc(1, sizeof *live);
    if (!live) return hw__fail_memory(err, "an explanation", 1, sizeof *live);
    *live = made;
    *out = live;
    return HW_OK;
}

void hw_live_free(hw_live *live) {
    if (!live) return;
    if (live->method->live_free) live->method->live_free(live->state);
    hw__through_state_clear(&live->through);
    free(live);
}

/* Columns of the completion are needed, and of what passes by only the prompt's are kept. */
bool hw__live_feeds(const hw_live *live) {
    return !live->params.through && live->method->feeds && live->method->feeds(&live->params);
}

hw_rows hw_live_rows(const hw_live *live) { return hw__live_feeds(live) ? HW_ROWS_INTEREST : live->method->info.rows; }

hw_err hw__live_feed(hw_live *live, const hw_trace *trace, size_t l, size_t begin, size_t end, hw_error *err) {
    hw_err rc = live->fed ? HW_OK : hw__groups_check(&live->params, trace->run, err);
    if (rc != HW_OK) return rc;
    live->fed = true;
    return live->method->feed(&live->state, trace, &live->params, l, begin, end, err);
}

/* Most memory that a method may keep of a run that grows; above it the rows are explained when the run is whole. */
static const size_t MOST_BYTES = (size_t)512 << 20;

/* Composed rows are kept for the columns that there were at first; those of a completion grow. */
static bool is_composed(const hw_live *live) {
    return live->method->live && hw_method_heeds(&live->method->info, &live->params) & HW_USES_DIRECTION;
}

static bool waits(const hw_live *live, const hw_trace *trace) {
    if (live->params.through && is_composed(live)) return trace->growing;
    return trace->growing && !live->fed && live->method->live &&
           live->method->live_bytes(trace, &live->params) > MOST_BYTES;
}

/* Completion tokens whose rows are there, signals too where the method needs them. */
static size_t ready(const hw_live *live, const hw_trace *trace) {
    size_t n = hw_run_n_completion(trace->run), rows = trace->n_rows;
    if (!trace->growing) return n;
    if (waits(live, trace)) return 0;
    if (live->method->signals && live->method->signals(&live->params)) {
        size_t explained = trace->run->n_prompt - 1 + trace->signals.n_done;
        rows = explained < rows ? explained : rows;
    }
    size_t before = trace->run->n_prompt - (live->params.row == HW_ROW_PREDICTOR); /* rows before that of token 0 */
    size_t there = rows > before ? rows - before : 0;
    return there < n ? there : n;
}

/* Rows live->next .. end - 1, made with `p`. */
static hw_err make_rows(hw_attribution **out, hw_live *live, const hw_trace *trace, const hw_method_params *p,
                        size_t end, hw_error *err) {
    const hw__method *method = live->method;
    hw_attribution *a;
    hw_err rc = hw__attribution_new_rows(&a, trace->run, method->info.name, p,
                                         hw__method_layers(method, trace->n_layers), live->next, end, err);
    if (rc != HW_OK) return rc;
    bool keeps = method->live && !live->params.through;
    rc = keeps ? method->live(&live->state, a, trace, p, err) : method->run(a, trace, p, err);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    *out = a;
    return HW_OK;
}

/* The same, followed through the completion. */
static hw_err follow_rows(hw_attribution **out, hw_live *live, const hw_trace *trace, size_t end, hw_error *err) {
    hw_method_params direct;
    int32_t *groups;
    hw_attribution *inner = NULL;
    hw_err rc = hw__through_inner(&direct, &groups, &live->params, trace->run, err);
    if (rc == HW_OK) rc = make_rows(&inner, live, trace, &direct, end, err);
    if (rc == HW_OK) rc = hw__through_rows(out, inner, &live->params, &live->through, err);
    hw_attribution_free(inner);
    free(groups);
    return rc;
}

hw_err hw_live_next(hw_attribution **out, hw_live *live, const hw_trace *trace, hw_error *err) {
    if (!live || !trace) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an explanation and a trace are needed");
    const hw__method *method = live->method;
    size_t end = ready(live, trace);
    hw_err rc = hw__method_check_signals(trace, method, &live->params, err);
    if (rc == HW_OK) rc = hw__method_check_rows(trace, method, live->fed ? hw_live_rows(live) : method->info.rows, err);
    if (rc != HW_OK) return rc;
    *out = NULL;
    if (end <= live->next) return HW_OK;
    hw_attribution *a = NULL;
    rc = live->params.through ? follow_rows(&a, live, trace, end, err)
                              : make_rows(&a, live, trace, &live->params, end, err);
    if (rc == HW_OK) rc = hw__method_finish(a, trace, err);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    live->next = end;
    *out = a;
    return HW_OK;
}
