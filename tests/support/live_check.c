/* live_check.c - see live_check.h. */
#include "support/live_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_METHODS = 4, MAX_PARTS = 256 };

typedef struct watch {
    hw_attribution *parts[MAX_METHODS][MAX_PARTS];
    size_t n_parts[MAX_METHODS];
} watch;

static void take_rows(void *ctx, size_t i, hw_attribution *rows) {
    watch *w = ctx;
    assert_in_range(i, 0, MAX_METHODS - 1);
    assert_in_range(w->n_parts[i], 0, MAX_PARTS - 1);
    w->parts[i][w->n_parts[i]++] = rows;
}

static hw_explainer *showing(watch *w, size_t interval) {
    hw_explainer_params params = hw_explainer_params_default();
    hw_explainer *x;
    params.keep = HW_KEEP_ROWS;
    params.interval = interval;
    params.on_rows = w ? take_rows : NULL;
    params.ctx = w;
    assert_int_equal(hw_explainer_new(&x, &params, NULL), HW_OK);
    return x;
}

static void compare_rows(const hw_attribution *part, const hw_attribution *whole, size_t first, double bound) {
    size_t cells = hw_attribution_n_columns(whole) * hw_attribution_n_layers(whole);
    size_t n_layers = hw_attribution_n_layers(whole), n = hw_attribution_n_rows(part);
    assert_int_equal(hw_attribution_n_columns(part), hw_attribution_n_columns(whole));
    assert_int_equal(hw_attribution_n_layers(part), n_layers);
    for (size_t i = 0; i < n * cells; i++)
        assert_close(hw_attribution_values(part)[i], hw_attribution_values(whole)[first * cells + i], bound);
    for (size_t i = 0; i < n * n_layers; i++)
        assert_close(hw_attribution_outside(part)[i], hw_attribution_outside(whole)[first * n_layers + i], bound);
    for (size_t i = 0; hw_attribution_balance(whole) && i < n; i++)
        assert_close(hw_attribution_balance(part)[i].prompt, hw_attribution_balance(whole)[first + i].prompt, bound);
}

/* The parts joined are the whole, and parts out of order are refused. */
static void check_joined(hw_attribution **parts, size_t n, const hw_attribution *whole, double bound) {
    hw_error err;
    for (size_t part = 1; part < n; part++) {
        hw_err rc = part + 1 < n ? hw_attribution_append(parts[0], parts[n - 1], &err) : HW_OK;
        if (part + 1 < n) assert_error(&err, rc, HW_ERR_ARGUMENT, "next");
        if (hw_attribution_append(parts[0], parts[part], &err) != HW_OK) fail_msg("%s", err.msg);
    }
    compare_rows(parts[0], whole, 0, bound);
    assert_int_equal(hw_attribution_n_rows(parts[0]), hw_attribution_n_rows(whole));
    const hw_through *followed = hw_attribution_through_rows(parts[0]), *want = hw_attribution_through_rows(whole);
    for (size_t i = 0; followed && i < hw_attribution_n_rows(whole); i++) {
        assert_close(followed[i].model, want[i].model, bound);
        for (size_t k = 0; k < i; k++)
            assert_close(hw_attribution_hop(parts[0], i, k), hw_attribution_hop(whole, i, k), bound);
    }
}

/* The parts of method i against the whole, and its result. */
static void check_method(watch *w, hw_explainer *x, size_t i, const hw_trace *trace, const hw_method_params *params,
                         const live_check *c) {
    hw_error err;
    hw_attribution *whole, *result;
    if (hw_explain(&whole, trace, c->methods[i], params, &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw_explainer_result(&result, x, i, trace, &err) != HW_OK) fail_msg("%s", err.msg);
    compare_rows(result, whole, 0, 0);
    size_t next = 0;
    for (size_t part = 0; part < w->n_parts[i]; part++) {
        assert_int_equal(hw_attribution_first_token(w->parts[i][part]), hw_attribution_first_token(whole) + next);
        compare_rows(w->parts[i][part], whole, next, c->bound);
        next += hw_attribution_n_rows(w->parts[i][part]);
    }
    check_joined(w->parts[i], w->n_parts[i], whole, c->bound);
    for (size_t part = 0; part < w->n_parts[i]; part++) hw_attribution_free(w->parts[i][part]);
    assert_int_equal(next, hw_attribution_n_rows(whole));
    assert_in_range(w->n_parts[i], c->n_parts, MAX_PARTS);
    hw_attribution_free(result);
    hw_attribution_free(whole);
}

void check_live(hw_model *model, hw_run_params run, const hw_method_params *params, live_check c) {
    hw_error err;
    hw_trace *trace;
    watch w = {.n_parts = {0}};
    run.explainer = showing(&w, c.interval);
    for (size_t i = 0; i < c.n; i++)
        if (hw_explainer_add(run.explainer, c.methods[i], params, &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw_trace_capture(&trace, model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
    for (size_t i = 0; i < c.n; i++) check_method(&w, run.explainer, i, trace, params, &c);
    hw_explainer_free(run.explainer);
    hw_trace_free(trace);
}

void check_same_as_unwatched(hw_model *model, hw_run_params run, const char *method, double bound) {
    hw_error err;
    hw_trace *trace[2];
    hw_attribution *a[2];
    watch w = {.n_parts = {0}};
    for (int i = 0; i < 2; i++) {
        run.explainer = showing(i ? &w : NULL, 0);
        assert_int_equal(hw_explainer_add(run.explainer, method, NULL, NULL), HW_OK);
        if (hw_trace_capture(&trace[i], model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
        if (hw_explain(&a[i], trace[i], method, NULL, &err) != HW_OK) fail_msg("%s", err.msg);
        hw_explainer_free(run.explainer);
    }
    assert_int_equal(hw_attribution_n_rows(a[0]), hw_attribution_n_rows(a[1]));
    compare_rows(a[1], a[0], 0, bound);
    for (size_t i = 0; i < w.n_parts[0]; i++) hw_attribution_free(w.parts[0][i]);
    for (int i = 0; i < 2; i++) {
        hw_attribution_free(a[i]);
        hw_trace_free(trace[i]);
    }
}
