/* attribution.c - allocation, diagnostics and getters of M. */
#include "data/attribution.h"

#include "base/error.h"
#include "base/sized.h"
#include "math/spearman.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hw_err hw__groups_check(const hw_method_params *p, const hw_run *run, hw_error *err) {
    size_t columns = hw__n_shown(p, run);
    if (p->groups && p->n_groups == 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "0 groups of columns: at least 1 is needed");
    for (size_t k = 0; p->groups && k < columns; k++)
        if (p->groups[k] < -1 || (p->groups[k] >= 0 && (size_t)p->groups[k] >= p->n_groups))
            return hw__fail(err, HW_ERR_ARGUMENT, "group %d of column %zu: -1..%zu are accepted", p->groups[k], k,
                            p->n_groups - 1);
    return HW_OK;
}

/* Computes the rows and columns that `params` select from the run. */
static hw_err set_shape(hw_attribution *a, const hw_method_params *p, hw_error *err) {
    const hw_run *run = a->run;
    if (run->n_prompt == 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "the run has no prompt tokens: there is nothing to trace back to");
    size_t n = hw_run_n_completion(run), columns = hw__n_shown(p, run);
    a->n_rows = n > 0 ? n : run->n_tokens; /* without a known completion: every row */
    a->first_token = n > 0 ? run->n_prompt : 0;
    a->n_columns = p->groups ? p->n_groups : columns;
    return hw__groups_check(p, run, err);
}

static void take_rows(hw_attribution *a, size_t begin, size_t end) {
    if (end > a->n_rows) end = a->n_rows;
    a->first_token += begin;
    a->n_rows = end - begin;
}

static const char *name_of(const hw_method_params *p, size_t group) {
    return p->group_names[group] ? p->group_names[group] : "";
}

/* One allocation: the pointers, then the bytes. */
static hw_err copy_names(hw_attribution *a, const hw_method_params *p, hw_error *err) {
    size_t bytes = 0, pointers;
    bool fits = hw__mul(&pointers, p->n_groups, sizeof *a->names);
    for (size_t g = 0; g < p->n_groups && fits; g++) fits = hw__add(&bytes, bytes, strlen(name_of(p, g)) + 1);
    fits = fits && hw__add(&bytes, bytes, pointers);
    a->names = fits ? hw__alloc(bytes, 1) : NULL;
    if (!a->names) return hw__fail_memory(err, "names of groups", p->n_groups, sizeof *a->names);
    char *at = (char *)(a->names + p->n_groups);
    for (size_t g = 0; g < p->n_groups; g++) {
        size_t n = strlen(name_of(p, g)) + 1;
        a->names[g] = memcpy(at, name_of(p, g), n);
        at += n;
    }
    a->params.group_names = a->names;
    return HW_OK;
}

static hw_err copy_params(hw_attribution *a, const hw_method_params *p, hw_error *err) {
    a->params = *p;
    a->params.size = sizeof a->params;
    a->params.progress = NULL;
    a->params.stop = NULL;
    a->params.ctx = NULL;
    a->params.model = NULL; /* the model may be closed before the attribution is freed */
    a->params.group_names = NULL;
    if (!p->groups) return HW_OK;
    size_t n = hw__n_shown(p, a->run);
    a->groups = hw__alloc(n, sizeof *a->groups);
    if (!a->groups) return hw__fail_memory(err, "column groups", n, sizeof *a->groups);
    memcpy(a->groups, p->groups, n * sizeof *a->groups);
    a->params.groups = a->groups;
    return p->group_names ? copy_names(a, p, err) : HW_OK;
}

static hw_err allocate(hw_attribution *a, hw_error *err) {
    size_t rows_layers, total;
    if (!hw__mul(&rows_layers, a->n_rows, a->n_layers) || !hw__mul(&total, rows_layers, a->n_columns))
        return hw__fail(err, HW_ERR_MEMORY, "M of %zu x %zu x %zu is too large", a->n_rows, a->n_columns, a->n_layers);
    a->values = hw__alloc(total, sizeof *a->values);
    a->outside = hw__alloc(rows_layers, sizeof *a->outside);
    a->layers = hw__alloc(a->n_layers, sizeof *a->layers);
    if (!a->values || !a->outside || !a->layers)
        return hw__fail_memory(err, "the attribution", total, sizeof *a->values);
    const hw_model_info *model = &a->run->model;
    bool attention = a->n_layers == (size_t)model->n_layers, all = a->n_layers == (size_t)model->n_sources;
    for (size_t l = 0; l < a->n_layers; l++)
        a->layers[l] = attention ? model->layers[l] : all ? model->sources[l].block : -1;
    return HW_OK;
}

hw_err hw__attribution_new(hw_attribution **out, const hw_run *run, const char *method, const hw_method_params *params,
                           size_t n_layers, hw_error *err) {
    return hw__attribution_new_rows(out, run, (hw__attribution_part){method, n_layers, 0, SIZE_MAX}, params, err);
}

hw_err hw__attribution_new_rows(hw_attribution **out, const hw_run *run, hw__attribution_part part,
                                const hw_method_params *params, hw_error *err) {
    hw_attribution *a = hw__alloc(1, sizeof *a);
    if (!a) return hw__fail_memory(err, "an attribution", 1, sizeof *a);
    a->run = hw__run_retain(run);
    a->method = part.method;
    a->n_layers = part.n_layers;
    hw_err rc = set_shape(a, params, err);
    if (rc == HW_OK) take_rows(a, part.begin, part.end);
    if (rc == HW_OK) rc = copy_params(a, params, err);
    if (rc == HW_OK) rc = allocate(a, err);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    *out = a;
    return HW_OK;
}

void hw_attribution_free(hw_attribution *a) {
    if (!a) return;
    free(a->values);
    free(a->outside);
    free(a->balance);
    free(a->through);
    free(a->hops);
    free(a->measured);
    free(a->layers);
    free(a->groups);
    free(a->names);
    hw__run_release(a->run);
    free(a);
}

hw_err hw__attribution_set_measured(hw_attribution *a, const float *measured, size_t stride, hw_error *err) {
    size_t n_layers = (size_t)a->run->model.n_layers, n = a->run->n_tokens;
    a->measured = hw__alloc(n_layers, n * sizeof *a->measured);
    if (!a->measured) return hw__fail_memory(err, "the measured residual", n_layers, n * sizeof *a->measured);
    for (size_t l = 0; l < n_layers; l++) memcpy(a->measured + l * n, measured + l * stride, n * sizeof *measured);
    return HW_OK;
}

/* ------------------------------------------------------------------ diagnostics */

/* Value of column k in row i, averaged over layers l0..l1-1. */
static double layer_mean(const hw_attribution *a, size_t i, size_t k, size_t l0, size_t l1) {
    const float *cell = a->values + (i * a->n_columns + k) * a->n_layers;
    double sum = 0;
    for (size_t l = l0; l < l1; l++) sum += cell[l];
    return sum / (double)(l1 - l0);
}

/* Diagnostics of one row, or their mean over rows. */
typedef struct summary {
    double first, outside, position; /* position is NaN if the correlation is undefined */
} summary;

/* order [n_columns] <- the columns in the order in which they begin in the text; columns without a token come last.
 * seen [n_columns], all false, is scratch. */
static void order_columns(size_t *order, bool *seen, const hw_attribution *a) {
    size_t n = 0, tokens = hw__n_shown(&a->params, a->run);
    if (!a->groups) {
        for (size_t k = 0; k < a->n_columns; k++) order[k] = k;
        return;
    }
    for (size_t t = 0; t < tokens; t++) {
        if (a->groups[t] < 0 || seen[a->groups[t]]) continue;
        seen[a->groups[t]] = true;
        order[n++] = (size_t)a->groups[t];
    }
    for (size_t k = 0; k < a->n_columns; k++)
        if (!seen[k]) order[n++] = k;
}

/* Layers l0..l1-1 to average over, and the columns in `order`; `column` [n_columns] is scratch. */
typedef struct averaged {
    size_t l0, l1;
    const size_t *order;
    double *column;
} averaged;

/* Fills *out for row i; false when memory runs out. */
static bool summarise_row(summary *out, const hw_attribution *a, size_t i, averaged over) {
    size_t l0 = over.l0, l1 = over.l1;
    const size_t *order = over.order;
    double *column = over.column;
    int32_t first = a->groups ? a->groups[0] : 0;
    double outside = 0;
    for (size_t k = 0; k < a->n_columns; k++) column[k] = layer_mean(a, i, order[k], l0, l1);
    for (size_t l = l0; l < l1; l++) outside += a->outside[i * a->n_layers + l];
    out->first = first >= 0 ? layer_mean(a, i, (size_t)first, l0, l1) : 0;
    out->outside = outside / (double)(l1 - l0);
    return hw__spearman_index(&out->position, column, a->n_columns);
}

static summary mean_summary(const summary *rows, size_t n) {
    summary mean = {0};
    size_t ranked = 0;
    for (size_t i = 0; i < n; i++) {
        mean.first += rows[i].first;
        mean.outside += rows[i].outside;
        if (isnan(rows[i].position)) continue;
        mean.position += rows[i].position;
        ranked++;
    }
    return (summary){.first = mean.first / (double)n,
                     .outside = mean.outside / (double)n,
                     .position = ranked ? mean.position / (double)ranked : NAN};
}

hw_err hw__attribution_diagnose(hw_attribution *a, hw_error *err) {
    /* `input` composes from the first layer up, so the last layer has the full depth; `output` composes from the top
     * down: the first. */
    size_t full = a->params.direction == HW_DIRECTION_OUTPUT ? 0 : a->n_layers - 1;
    summary *mean = hw__alloc(a->n_rows, sizeof *mean), *last = hw__alloc(a->n_rows, sizeof *last);
    size_t *order = hw__alloc(a->n_columns, sizeof *order);
    bool *seen = hw__alloc(a->n_columns, sizeof *seen);
    bool no_memory = !mean || !last || !order || !seen;
    if (!no_memory) order_columns(order, seen, a);
    free(seen);
    long n = no_memory ? 0 : (long)a->n_rows;
#pragma omp parallel if (hw__worth_threads(a)) reduction(|| : no_memory)
    {
        double *column = hw__alloc(a->n_columns, sizeof *column);
        no_memory = no_memory || !column;
#pragma omp for schedule(dynamic, 1)
        for (long i = 0; i < n; i++) {
            if (!column) continue;
            if (!summarise_row(&mean[i], a, (size_t)i, (averaged){0, a->n_layers, order, column}) ||
                !summarise_row(&last[i], a, (size_t)i, (averaged){full, full + 1, order, column}))
                no_memory = true;
        }
        free(column);
    }
    if (!no_memory) {
        summary over_layers = mean_summary(mean, a->n_rows), deep = mean_summary(last, a->n_rows);
        /* only the mean over layers is a share: no layer holds the full depth */
        if (a->params.through) deep = over_layers;
        a->diagnostics = (hw_diagnostics){
            .first_mean = over_layers.first,
            .first_last = deep.first,
            .outside_mean = over_layers.outside,
            .outside_last = deep.outside,
            .position_mean = over_layers.position,
            .position_last = deep.position,
        };
    }
    free(mean);
    free(last);
    free(order);
    return no_memory ? hw__fail_memory(err, "diagnostics", a->n_columns, sizeof(double)) : HW_OK;
}

/* ------------------------------------------------------------------ balances */

double hw_balance_rest(const hw_balance *b) {
    return b->logit - (b->prompt + b->completion + b->bias + b->mlp + b->embedding);
}

bool hw_balance_closes(const hw_balance *b) {
    double sizes = fabs(b->prompt) + fabs(b->completion) + fabs(b->bias) + fabs(b->mlp) + fabs(b->embedding);
    return fabs(hw_balance_rest(b)) <= HW_BALANCE_LIMIT * sizes; /* false for NaN */
}

/* ------------------------------------------------------------------ reading */

const hw_run *hw_attribution_run(const hw_attribution *a) { return a->run; }
const char *hw_attribution_method(const hw_attribution *a) { return a->method; }
void hw_attribution_params_copy(hw_method_params *out, size_t size, const hw_attribution *a) {
    hw__params_fill(out, size, &a->params, sizeof a->params);
}
const hw_diagnostics *hw_attribution_diagnostics(const hw_attribution *a) { return &a->diagnostics; }
size_t hw_attribution_n_rows(const hw_attribution *a) { return a->n_rows; }
size_t hw_attribution_n_columns(const hw_attribution *a) { return a->n_columns; }
size_t hw_attribution_n_layers(const hw_attribution *a) { return a->n_layers; }
const int32_t *hw_attribution_layers(const hw_attribution *a) { return a->layers; }
const float *hw_attribution_values(const hw_attribution *a) { return a->values; }
const float *hw_attribution_outside(const hw_attribution *a) { return a->outside; }
const hw_balance *hw_attribution_balance(const hw_attribution *a) { return a->balance; }
size_t hw_attribution_first_token(const hw_attribution *a) { return a->first_token; }
