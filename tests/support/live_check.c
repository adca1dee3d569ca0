/* live_check.c - see live_check.h. */
#include "support/live_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_METHODS = 4, MOST_PARTS = 256 };

typedef struct watch {
    size_t n_methods;
    hw_live *live[MOST_METHODS];
    hw_attribution *parts[MOST_METHODS][MOST_PARTS];
    size_t n_parts[MOST_METHODS], n_tokens[MOST_PARTS]; /* parts of each method; completion tokens at each call */
    size_t n_calls;
} watch;

static void take_rows(void *ctx, const hw_trace *trace) {
    watch *w = ctx;
    hw_error err;
    assert_in_range(w->n_calls, 0, MOST_PARTS - 1);
    w->n_tokens[w->n_calls++] = hw_run_n_completion(hw_trace_run(trace));
    for (size_t i = 0; i < w->n_methods; i++) {
        hw_attribution *part = NULL;
        if (hw_live_next(&part, w->live[i], trace, &err) != HW_OK) fail_msg("%s", err.msg);
        if (part) w->parts[i][w->n_parts[i]++] = part;
    }
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

void check_live(hw_model *model, hw_run_params run, const char *const *methods, size_t n,
                const hw_method_params *params, size_t n_parts, double bound) {
    hw_error err;
    hw_trace *trace;
    watch w = {.n_methods = n};
    for (size_t i = 0; i < n; i++) {
        run.signals |= hw_method_signals(methods[i], params);
        if (hw_live_new(&w.live[i], methods[i], params, &err) != HW_OK) fail_msg("%s", err.msg);
    }
    run.on_rows = take_rows;
    run.ctx = &w;
    if (hw_trace_capture(&trace, model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(w.n_tokens[0], 0); /* after the prompt */
    for (size_t i = 0; i < n; i++) {
        hw_attribution *whole;
        if (hw_explain(&whole, trace, methods[i], params, &err) != HW_OK) fail_msg("%s", err.msg);
        size_t next = 0;
        for (size_t part = 0; part < w.n_parts[i]; part++) {
            assert_int_equal(hw_attribution_first_token(w.parts[i][part]), hw_attribution_first_token(whole) + next);
            compare_rows(w.parts[i][part], whole, next, bound);
            next += hw_attribution_n_rows(w.parts[i][part]);
            hw_attribution_free(w.parts[i][part]);
        }
        assert_int_equal(next, hw_attribution_n_rows(whole));
        assert_in_range(w.n_parts[i], n_parts, MOST_PARTS);
        hw_attribution_free(whole);
        hw_live_free(w.live[i]);
    }
    hw_trace_free(trace);
}

void check_same_as_unwatched(hw_model *model, hw_run_params run, const char *method, double bound) {
    hw_error err;
    hw_trace *trace[2];
    hw_attribution *a[2];
    watch w = {.n_methods = 0};
    run.signals = hw_method_signals(method, NULL);
    for (int i = 0; i < 2; i++) {
        run.on_rows = i ? take_rows : NULL;
        run.ctx = &w;
        if (hw_trace_capture(&trace[i], model, &run, &err) != HW_OK) fail_msg("%s", err.msg);
        if (hw_explain(&a[i], trace[i], method, NULL, &err) != HW_OK) fail_msg("%s", err.msg);
    }
    assert_int_equal(hw_attribution_n_rows(a[0]), hw_attribution_n_rows(a[1]));
    compare_rows(a[1], a[0], 0, bound);
    for (int i = 0; i < 2; i++) {
        hw_attribution_free(a[i]);
        hw_trace_free(trace[i]);
    }
}
