/*
 * view.c - selects, averages and filters rows and layers; never changes M.
 *
 * The folder view/: M to scores, averaged and filtered. The one file of its folder.
 */
#include "base/error.h"
#include "base/sized.h"
#include "data/attribution.h"
#include "methods/baselines.h"
#include "text/filter.h"

#include <stdlib.h>
#include <string.h>

struct hw_view {
    size_t n_columns, n_layers;
    float *scores;  /* [m] */
    float *profile; /* [m, layers] */
    bool *hidden;   /* [m] */
    double hidden_mass, outside_mass;
};

void hw_view_params_init(hw_view_params *params, size_t size) {
    const hw_view_params defaults = {.size = sizeof defaults};
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

static hw_err check_range(size_t *begin, size_t *end, size_t n, const char *what, hw_error *err) {
    if (*begin == 0 && *end == 0) *end = n;
    if (*begin < *end && *end <= n) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT, "%s %zu:%zu: a range within 0:%zu that is not empty", what, *begin, *end, n);
}

static hw_view *view_new(size_t n_columns, size_t n_layers) {
    size_t cells;
    hw_view *v = hw__alloc(1, sizeof *v);
    if (!v || !hw__mul(&cells, n_columns, n_layers)) return free(v), NULL;
    *v = (hw_view){.n_columns = n_columns, .n_layers = n_layers};
    v->scores = hw__alloc(n_columns, sizeof *v->scores);
    v->profile = hw__alloc(cells, sizeof *v->profile);
    v->hidden = hw__alloc(n_columns, sizeof *v->hidden);
    if (v->scores && v->profile && v->hidden) return v;
    hw_view_free(v);
    return NULL;
}

void hw_view_free(hw_view *v) {
    if (!v) return;
    free(v->scores);
    free(v->profile);
    free(v->hidden);
    free(v);
}

/* Means over the selected rows (profile) and then layers (scores). */
static void average(hw_view *v, const hw_attribution *a, const hw_view_params *p) {
    double rows = (double)(p->row_end - p->row_begin), outside = 0;
    for (size_t k = 0; k < v->n_columns; k++) {
        double score = 0;
        for (size_t l = 0; l < v->n_layers; l++) {
            double sum = 0;
            for (size_t i = p->row_begin; i < p->row_end; i++)
                sum += a->values[(i * a->n_columns + k) * a->n_layers + p->layer_begin + l];
            v->profile[k * v->n_layers + l] = (float)(sum / rows);
            score += sum / rows;
        }
        v->scores[k] = (float)(score / (double)v->n_layers);
    }
    for (size_t i = p->row_begin; i < p->row_end; i++)
        for (size_t l = p->layer_begin; l < p->layer_end; l++) outside += a->outside[i * a->n_layers + l];
    v->outside_mass = outside / rows / (double)v->n_layers;
}

/* ------------------------------------------------------------------ lift */

/* Values in nats have both signs, so they are not parts of a sum. */
static hw_err check_shares(const hw_attribution *a, const hw_view_params *p, hw_error *err) {
    bool shares = hw_method_active_traits(hw_method_find(a->method), &a->params) & HW_GIVES_SHARES;
    if (p->lift && !shares)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "lift of method %s: it gives nats, and only shares are divided by what position explains",
                        a->method);
    if (p->normalise && !shares)
        return hw__fail(err, HW_ERR_ARGUMENT, "normalising method %s: it gives nats, and only shares can sum to 1",
                        a->method);
    if (p->normalise && p->lift)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "a lift is not a share of a whole: it cannot be combined with normalising");
    return HW_OK;
}

static float ratio(float value, float reference) { return reference > 0 ? (float)((double)value / reference) : 0; }

/* Divides by the means of `uniform` over the same rows and layers (over all layers if M has only one). */
static hw_err lift(hw_view *v, const hw_attribution *a, const hw_view_params *p, hw_error *err) {
    hw_attribution *uniform;
    hw_err rc = hw__uniform_beside(&uniform, a, err);
    if (rc != HW_OK) return rc;
    hw_view_params same = *p;
    if (a->n_layers != uniform->n_layers) {
        same.layer_begin = 0;
        same.layer_end = uniform->n_layers;
    }
    hw_view *reference = view_new(a->n_columns, same.layer_end - same.layer_begin);
    if (reference) {
        average(reference, uniform, &same);
        if (reference->n_layers != v->n_layers)
            memcpy(reference->profile, reference->scores, v->n_columns * sizeof *reference->scores);
        for (size_t k = 0; k < v->n_columns; k++) v->scores[k] = ratio(v->scores[k], reference->scores[k]);
        for (size_t c = 0; c < v->n_columns * v->n_layers; c++)
            v->profile[c] = ratio(v->profile[c], reference->profile[c]);
    }
    hw_attribution_free(uniform);
    hw_view_free(reference);
    return reference ? HW_OK : hw__fail_memory(err, "a lift", a->n_columns, same.layer_end * sizeof(float));
}

/* ------------------------------------------------------------------ hiding */

/* hidden [n]: the tokens that `hide` selects and `keep` does not. */
static hw_err hide_tokens(bool *hidden, size_t n, const hw_run *run, const hw_view_params *p, hw_error *err) {
    bool *kept = hw__alloc(n, sizeof *kept);
    if (!kept) return hw__fail_memory(err, "the filter", n, sizeof *kept);
    hw_err rc = hw__filter_tokens(hidden, n, run, p->hide, err);
    if (rc == HW_OK) rc = hw__filter_tokens(kept, n, run, p->keep, err);
    for (size_t t = 0; t < n; t++) hidden[t] = hidden[t] && !kept[t];
    free(kept);
    return rc;
}

/* A grouped column is hidden if all its tokens are. */
static hw_err hide(hw_view *v, const hw_attribution *a, const hw_view_params *p, hw_error *err) {
    size_t n = hw__n_shown(&a->params, a->run);
    bool *tokens = hw__alloc(n, sizeof *tokens);
    if (!tokens) return hw__fail_memory(err, "the filter", n, sizeof *tokens);
    hw_err rc = hide_tokens(tokens, n, a->run, p, err);
    if (rc == HW_OK && a->groups) {
        for (size_t t = 0; t < n; t++)
            if (a->groups[t] >= 0) v->hidden[a->groups[t]] = true;
        for (size_t t = 0; t < n; t++)
            if (a->groups[t] >= 0 && !tokens[t]) v->hidden[a->groups[t]] = false;
    } else if (rc == HW_OK) {
        memcpy(v->hidden, tokens, n * sizeof *tokens);
    }
    free(tokens);
    return rc;
}

/* Divides by the mass on all columns; if that is 0 the scores stay 0. */
static void normalise(hw_view *v) {
    double total = 0;
    for (size_t k = 0; k < v->n_columns; k++) total += v->scores[k];
    if (!(total > 0)) return;
    for (size_t k = 0; k < v->n_columns; k++) v->scores[k] = (float)(v->scores[k] / total);
    for (size_t c = 0; c < v->n_columns * v->n_layers; c++) v->profile[c] = (float)(v->profile[c] / total);
}

hw_err hw_view_new(hw_view **out, const hw_attribution *a, const hw_view_params *params, hw_error *err) {
    if (!a) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an attribution is needed");
    hw_view_params p = hw_view_params_default();
    hw_err rc = hw__params_read(&p, sizeof p, params, "hw_view_params", err);
    if (rc == HW_OK) rc = check_range(&p.row_begin, &p.row_end, a->n_rows, "rows", err);
    if (rc == HW_OK) rc = check_range(&p.layer_begin, &p.layer_end, a->n_layers, "layers", err);
    if (rc == HW_OK) rc = check_shares(a, &p, err);
    if (rc != HW_OK) return rc;
    hw_view *v = view_new(a->n_columns, p.layer_end - p.layer_begin);
    if (!v) return hw__fail_memory(err, "a view", a->n_columns, a->n_layers * sizeof(float));
    average(v, a, &p);
    rc = hide(v, a, &p, err);
    if (rc == HW_OK && p.normalise) normalise(v);
    for (size_t k = 0; k < v->n_columns; k++)
        if (v->hidden[k]) v->hidden_mass += v->scores[k];
    if (rc == HW_OK && p.lift) rc = lift(v, a, &p, err);
    if (rc != HW_OK) {
        hw_view_free(v);
        return rc;
    }
    *out = v;
    return HW_OK;
}

size_t hw_view_n_columns(const hw_view *v) { return v->n_columns; }
size_t hw_view_n_layers(const hw_view *v) { return v->n_layers; }
const float *hw_view_scores(const hw_view *v) { return v->scores; }
const float *hw_view_profile(const hw_view *v) { return v->profile; }
bool hw_view_is_hidden(const hw_view *v, size_t column) { return column < v->n_columns && v->hidden[column]; }
double hw_view_hidden_mass(const hw_view *v) { return v->hidden_mass; }
double hw_view_outside_mass(const hw_view *v) { return v->outside_mass; }

/* Whether column a comes before column b in the ranking. */
static bool before(const hw_view *v, size_t a, size_t b) {
    return v->scores[a] != v->scores[b] ? v->scores[a] > v->scores[b] : a < b;
}

size_t hw_view_top(const hw_view *v, size_t *out, size_t n) {
    size_t count = 0;
    for (size_t k = 0; k < v->n_columns; k++) {
        if (v->hidden[k] || n == 0 || (count == n && !before(v, k, out[n - 1]))) continue;
        size_t at = count < n ? count++ : n - 1;
        for (; at > 0 && before(v, k, out[at - 1]); at--) out[at] = out[at - 1];
        out[at] = k;
    }
    return count;
}
