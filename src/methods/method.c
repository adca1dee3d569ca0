/* method.c - finds a method by name, checks its settings, and explains a trace with it. */
#include "methods/method.h"

#include "base/error.h"
#include "base/sized.h"
#include "base/strlist.h"
#include "methods/settings.h"
#include "methods/through.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t hw_method_count(void) { return hw__n_methods; }
const hw_method_info *hw_method_at(size_t i) { return i < hw__n_methods ? &hw__methods[i]->info : NULL; }

const hw__method *hw__method_find(const char *name) {
    for (size_t i = 0; name && i < hw__n_methods; i++)
        if (strcmp(hw__methods[i]->info.name, name) == 0) return hw__methods[i];
    return NULL;
}

const hw_method_info *hw_method_find(const char *name) {
    const hw__method *method = hw__method_find(name);
    return method ? &method->info : NULL;
}

size_t hw_attribution_n_passes(const hw_attribution *a) {
    const hw__method *method = hw__method_find(a->method);
    return method && method->passes ? method->passes(&a->params, a->n_columns) : 0;
}

static const char *method_name(size_t i, const void *ctx) {
    (void)ctx;
    return hw__methods[i]->info.name;
}

static hw_err fail_unknown(const char *name, hw_error *err) {
    char why[700];
    hw__names names = {method_name, NULL, hw__n_methods};
    return hw__fail(err, HW_ERR_ARGUMENT, "method \"%.64s\": %s", name ? name : "",
                    hw__unknown_name(why, sizeof why, name, names));
}

uint32_t hw_method_active_traits(const hw_method_info *info, const hw_method_params *params) {
    const hw__method *method = info ? hw__method_find(info->name) : NULL;
    hw_method_params p = hw_method_params_default();
    if (!method || hw__params_read(&p, sizeof p, params, "hw_method_params", NULL) != HW_OK) return 0;
    return method->active_traits ? method->active_traits(&p) : info->traits;
}

uint32_t hw_method_signals(const char *name, const hw_method_params *params) {
    const hw__method *method = hw__method_find(name);
    hw_method_params p = hw_method_params_default();
    if (hw__params_read(&p, sizeof p, params, "hw_method_params", NULL) != HW_OK) return 0;
    return method && method->signals ? method->signals(&p) : 0;
}

static const char no_attention[] = "the model has no attention layers, whose weights this is made of";

const char *hw_method_problem(const hw_method_info *method, const hw_model_info *model) {
    if (model->problem[0]) return model->problem;
    if (model->n_layers == 0 && method->rows != HW_ROWS_NONE) return no_attention;
    uint32_t signals = hw_method_signals(method->name, NULL);
    if (signals && model->values_problem[0]) return model->values_problem;
    return signals & 1u << HW_SIGNAL_LOGIT ? model->readout_problem : "";
}

/* Signals that were summed by groups fit only columns with the same groups. */
static bool fits_groups(const hw_trace *trace, const hw_method_params *p) {
    const hw__signals *s = &trace->signals;
    if (!s->groups) return true;
    return !p->through && p->groups && p->columns == HW_COLUMNS_PROMPT && p->n_groups == s->n_groups &&
           memcmp(p->groups, s->groups, trace->run->n_prompt * sizeof *s->groups) == 0;
}

/* `hybrid`: with recurrent layers. */
static hw_err check_residual(uint32_t needed, bool hybrid, hw_error *err) {
    if (!hybrid || !(needed & 1u << HW_SIGNAL_ALL_NORM) || !(needed & 1u << HW_SIGNAL_RESIDUAL)) return HW_OK;
    return hw__fail(err, HW_ERR_UNSUPPORTED,
                    "a measured residual is of attention layers, and this model's recurrent ones are composed with "
                    "them: give the residual as a number");
}

static hw_err check_attention(const hw__method *method, hw_row_retention needed, size_t n_layers, hw_error *err) {
    if (needed == HW_ROWS_NONE || n_layers > 0) return HW_OK;
    return hw__fail(err, HW_ERR_UNSUPPORTED, "method %s: %s", method->info.name, no_attention);
}

hw_err hw__method_check_run(const hw_run *run, size_t n_completion, const hw__method *method, const hw_method_params *p,
                            hw_error *err) {
    uint32_t needed = method->signals ? method->signals(p) : 0;
    hw_err rc = check_attention(method, method->info.rows, (size_t)run->model.n_layers, err);
    if (rc == HW_OK) rc = check_residual(needed, run->model.n_sources > run->model.n_layers, err);
    return rc == HW_OK && method->check_size ? method->check_size(run, n_completion, p, err) : rc;
}

hw_err hw__method_check_signals(const hw_trace *trace, const hw__method *method, const hw_method_params *p,
                                hw_error *err) {
    uint32_t needed = method->signals ? method->signals(p) : 0;
    hw_err rc = check_residual(needed, trace->n_sources != trace->n_layers, err);
    if (rc != HW_OK) return rc;
    for (int i = 0; i < HW_N_SIGNALS; i++) {
        if (!(needed & 1u << i)) continue;
        if (!hw_trace_has(trace, (hw_signal)i))
            return hw__fail(err, HW_ERR_UNSUPPORTED,
                            "method %s needs the signal \"%s\", which this trace does not hold: run the model with "
                            "that method and setting asked for",
                            method->info.name, hw_signal_name((hw_signal)i));
        if (hw__signal_layout((hw_signal)i) == HW__LAYOUT_ROWS && !fits_groups(trace, p))
            return hw__fail(
                err, HW_ERR_UNSUPPORTED,
                "this trace keeps the signal \"%s\" summed by %zu groups of columns, and method %s is asked "
                "for others",
                hw_signal_name((hw_signal)i), trace->signals.n_groups, method->info.name);
    }
    return HW_OK;
}

bool hw__method_reads_last(const hw__method *method, const hw_method_params *p) {
    uint32_t active = hw_method_active_traits(&method->info, p);
    return (active & HW_USES_ROW && p->row == HW_ROW_OWN) || (active & HW_USES_RESIDUAL && p->residual_measured);
}

hw_err hw__method_check_rows(const hw_trace *trace, const hw__method *method, const hw_method_params *p,
                             hw_row_retention needed, hw_error *err) {
    static const char *const whose[] = {"attention rows of every token", "attention rows of the completion"};
    static const char *const kept[] = {"", "those of the completion", "none"};
    hw_err rc = check_attention(method, needed, trace->n_layers, err);
    if (rc != HW_OK) return rc;
    if (trace->lacks_last && hw__method_reads_last(method, p))
        return hw__fail(err, HW_ERR_UNSUPPORTED,
                        "method %s needs the last token's own row, which this run did not compute: run the model with "
                        "that method and setting asked for, or keep the rows \"methods\"",
                        method->info.name);
    if (trace->kept <= needed) return HW_OK;
    return hw__fail(err, HW_ERR_UNSUPPORTED,
                    "method %s needs %s, and this trace keeps %s: run the model again and keep the rows \"%s\", or let "
                    "the method see them while the model runs",
                    method->info.name, whose[needed], kept[trace->kept], hw_row_retention_name(needed));
}

/* Settings of what positions gather: predictor rows, one layer at a time. */
static hw_method_params gathering(const hw_method_params *p) {
    hw_method_params g = *p;
    g.row = HW_ROW_PREDICTOR;
    g.measure = HW_MEASURE_PROJECTION;
    g.aggregate = HW_AGGREGATE_MEAN;
    return g;
}

uint32_t hw__method_captures(const hw__method *method, const hw_method_params *p) {
    hw_method_params g = gathering(p);
    uint32_t signals = method->signals ? method->signals(p) : 0;
    return p->through && method->gathers ? signals | method->gathers->signals(&g) : signals;
}

/* Leaves the layers that are read. */
static void keep_gathered(hw_attribution *a) {
    size_t L = a->n_layers;
    for (size_t l = 0; l < L; l++) {
        if (hw__is_gathered(l, L)) continue;
        for (size_t c = 0; c < a->n_rows * a->n_columns; c++) a->values[c * L + l] = 0;
        for (size_t i = 0; i < a->n_rows; i++) a->outside[i * L + l] = 0;
    }
}

hw_err hw__method_gathered(hw_attribution **out, const hw_attribution *inner, const hw_trace *trace, hw_error *err) {
    const hw__method *method = hw__method_find(inner->method)->gathers;
    hw_method_params p = gathering(&inner->params);
    hw_attribution *a;
    *out = NULL;
    bool has = method && trace->gathered_only && trace->signals.values[HW_SIGNAL_PROJECTION];
    if (!method || (!has && hw__method_check_signals(trace, method, &p, NULL) != HW_OK)) return HW_OK;
    size_t begin = inner->first_token - inner->run->n_prompt;
    hw__attribution_part part = {method->info.name, inner->n_layers, begin, begin + inner->n_rows};
    hw_err rc = hw__attribution_new_rows(&a, trace->run, part, &p, err);
    if (rc == HW_OK && (rc = method->run(a, trace, &p, err)) != HW_OK) hw_attribution_free(a);
    if (rc != HW_OK) return rc;
    keep_gathered(a);
    *out = a;
    return HW_OK;
}

/* A method without columns of the completion cannot follow through it. */
static hw_err check_through(const hw__method *method, hw_method_params *p, hw_error *err) {
    p->through = p->through && method->info.traits & HW_USES_THROUGH;
    if (p->through && p->columns != HW_COLUMNS_PROMPT)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "columns all: what is followed through the completion ends in columns of the prompt");
    return HW_OK;
}

hw_err hw__method_check(const hw__method **out, const char *name, hw_method_params *p, hw_error *err) {
    const hw__method *method = hw__method_find(name);
    if (!method) return fail_unknown(name, err);
    hw_err rc = hw__settings_check(p, err);
    if (rc == HW_OK) rc = check_through(method, p, err);
    if (rc != HW_OK) return rc;
    if (!(hw_method_active_traits(&method->info, p) & HW_USES_DIRECTION))
        p->direction = HW_DIRECTION_INPUT; /* full depth is the last layer */
    *out = method;
    return HW_OK;
}

/* Explains with columns of the completion, which are then followed. */
static hw_err explain_through(hw_attribution **out, const hw_trace *trace, const hw__method *method,
                              const hw_method_params *p, hw_error *err) {
    hw_method_params direct;
    int32_t *groups;
    hw_attribution *inner = NULL, *gathered = NULL, *a = NULL;
    if (hw_run_n_completion(trace->run) == 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the run has no completion to follow back to the prompt");
    hw_err rc = hw__through_inner(&direct, &groups, p, trace->run, err);
    if (rc == HW_OK)
        rc = hw__attribution_new(&inner, trace->run, method->info.name, &direct,
                                 hw__method_layers(method, &direct, &trace->run->model), err);
    if (rc == HW_OK) rc = method->run(inner, trace, &direct, err);
    if (rc == HW_OK) rc = hw__method_gathered(&gathered, inner, trace, err);
    if (rc == HW_OK) rc = hw__through_rows(&a, &(hw__through_rows_of){inner, gathered}, p, NULL, err);
    if (rc == HW_OK) rc = hw__method_finish(a, trace, err);
    hw_attribution_free(gathered);
    hw_attribution_free(inner);
    free(groups);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    *out = a;
    return HW_OK;
}

hw_err hw_explain(hw_attribution **out, const hw_trace *trace, const char *name, const hw_method_params *params,
                  hw_error *err) {
    if (!trace || !name) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a trace and the name of a method are needed");
    const hw__method *method = NULL;
    hw_method_params p = hw_method_params_default();
    hw_err rc = hw__params_read(&p, sizeof p, params, "hw_method_params", err);
    if (rc == HW_OK) rc = hw__method_check(&method, name, &p, err);
    if (rc == HW_OK) rc = hw__method_check_signals(trace, method, &p, err);
    if (rc == HW_OK) rc = hw__method_check_rows(trace, method, &p, method->info.rows, err);
    if (rc != HW_OK) return rc;
    if (p.through) return explain_through(out, trace, method, &p, err);
    hw_attribution *a;
    rc = hw__attribution_new(&a, trace->run, method->info.name, &p, hw__method_layers(method, &p, &trace->run->model),
                             err);
    if (rc != HW_OK) return rc;
    rc = method->run(a, trace, &p, err);
    if (rc == HW_OK) rc = hw__method_finish(a, trace, err);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    *out = a;
    return HW_OK;
}

hw_err hw_attribution_through(hw_attribution **out, const hw_attribution *a, hw_error *err) {
    if (!a) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an attribution is needed");
    const hw_method_info *info = hw_method_find(a->method);
    if (a->params.through)
        return hw__fail(err, HW_ERR_ARGUMENT, "this result of method %s is followed through the answer already",
                        a->method);
    if (!(info->traits & HW_USES_THROUGH))
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "method %s does not attribute to the completion: nothing can be followed through it",
                        a->method);
    if (a->params.columns != HW_COLUMNS_ALL || a->groups)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "this result has no column for each token of the completion: explain with columns all, "
                        "without groups, or with through");
    hw_method_params p = a->params;
    p.columns = HW_COLUMNS_PROMPT;
    p.through = true;
    hw_attribution *followed;
    hw_err rc = hw__through_rows(&followed, &(hw__through_rows_of){.inner = a}, &p, NULL, err);
    if (rc != HW_OK) return rc;
    if ((rc = hw__attribution_diagnose(followed, err)) != HW_OK) {
        hw_attribution_free(followed);
        return rc;
    }
    *out = followed;
    return HW_OK;
}

hw_err hw__method_finish(hw_attribution *a, const hw_trace *trace, hw_error *err) {
    const float *measured = trace->signals.values[HW_SIGNAL_RESIDUAL];
    bool keeps = a->params.residual_measured &&
                 hw_method_active_traits(hw_method_find(a->method), &a->params) & HW_USES_RESIDUAL;
    hw_err rc = keeps ? hw__attribution_set_measured(a, measured, trace->signals.n_tokens, err) : HW_OK;
    return rc == HW_OK ? hw__attribution_diagnose(a, err) : rc;
}

size_t hw__method_layers(const hw__method *method, const hw_method_params *p, const hw_model_info *model) {
    if (!(method->info.traits & HW_GIVES_LAYERS)) return 1;
    /* Signals are of what a source adds; the measured residual is of attention. */
    bool of_sources = method->signals && method->signals(p) & ~(1u << HW_SIGNAL_RESIDUAL);
    return (size_t)(of_sources || model->n_layers == 0 ? model->n_sources : model->n_layers);
}

hw_err hw__method_progress(const hw_method_params *p, size_t done, size_t total, hw_error *err) {
    if (p->progress) p->progress(p->ctx, HW_STAGE_EXPLAIN, done, total);
    if (p->stop && p->stop(p->ctx)) return hw__fail(err, HW_ERR_CANCELLED, "stopped at layer %zu of %zu", done, total);
    return HW_OK;
}
