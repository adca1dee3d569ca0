/* attribution_fill.c - the rows, columns and layers of M for given settings, and writing numbers into M. */
#include "methods/method.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

size_t hw__query_row(const hw_attribution *a, size_t i) {
    size_t token = a->first_token + i;
    bool predictor = a->params.row == HW_ROW_PREDICTOR && hw_run_n_completion(a->run) > 0;
    return predictor ? token - 1 : token;
}

ptrdiff_t hw__column(const hw_method_params *p, const hw_run *run, size_t t) {
    if (t >= hw__n_shown(p, run)) return -1;
    return p->groups ? p->groups[t] : (ptrdiff_t)t;
}

size_t hw__n_columns(const hw_method_params *p, const hw_run *run) {
    return p->groups ? p->n_groups : hw__n_shown(p, run);
}

void hw__method_put(hw_attribution *a, size_t i, size_t l, const double *of, size_t n, double *sum) {
    double outside = 0;
    memset(sum, 0, a->n_columns * sizeof *sum);
    for (size_t t = 0; t < n; t++) {
        ptrdiff_t column = hw__column(&a->params, a->run, t);
        if (column >= 0)
            sum[column] += of[t];
        else
            outside += of[t];
    }
    float *to = a->values + i * a->n_columns * a->n_layers + l;
    for (size_t k = 0; k < a->n_columns; k++) to[k * a->n_layers] = (float)sum[k];
    a->outside[i * a->n_layers + l] = (float)outside;
}

void hw__method_put_layers(hw_attribution *a, size_t i, const float *const *rows, size_t n) {
    enum { COLUMNS = 16 }; /* floats of a cache line */
    float *to = a->values + i * a->n_columns * a->n_layers;
    for (size_t first = 0; first < n; first += COLUMNS) {
        size_t end = n - first < COLUMNS ? n : first + COLUMNS;
        for (size_t l = 0; l < a->n_layers; l++)
            for (size_t k = first; k < end; k++) to[k * a->n_layers + l] = rows[l][k];
    }
}

/* ------------------------------------------------------------------ selecting layers */

/* Index of the first layer whose label (block + 1) is at least `label`. */
static size_t layer_from(const hw_attribution *a, long label) {
    size_t l = 0;
    while (l < a->n_layers && a->layers[l] + 1 < label) l++;
    return l;
}

hw_err hw_attribution_select_layers(size_t *begin, size_t *end, const hw_attribution *a, const char *select,
                                    hw_error *err) {
    if (!a || !select) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an attribution and a selection are needed");
    long first, last;
    char rest;
    int fields = sscanf(select, "%5ld-%5ld%c", &first, &last, &rest);
    if (fields == 1 && sscanf(select, "%5ld%c", &first, &rest) == 1) {
        last = first;
    } else if (fields != 2) {
        return hw__fail(err, HW_ERR_ARGUMENT, "layers \"%s\": one layer (5) or a range (3-12) is accepted", select);
    }
    if (!(hw_method_find(a->method)->traits & HW_GIVES_LAYERS)) {
        *begin = 0;
        *end = a->n_layers;
        return HW_OK;
    }
    if (a->layers[0] < 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "layers %s requested: this result holds only the mean over layers",
                        select);
    long top = a->layers[a->n_layers - 1] + 1;
    if (first < 1 || last > top)
        return hw__fail(err, HW_ERR_ARGUMENT, "layers %s requested, the model has 1-%ld", select, top);
    if (first > last) return hw__fail(err, HW_ERR_ARGUMENT, "layers %s: the first must not be above the last", select);
    size_t from = layer_from(a, first), to = layer_from(a, last + 1);
    if (from == to) return hw__fail(err, HW_ERR_ARGUMENT, "layers %s have no attention in this model", select);
    *begin = from;
    *end = to;
    return HW_OK;
}
