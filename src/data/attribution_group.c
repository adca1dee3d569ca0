/*
 * attribution_group.c - sums the columns of a finished M by group.
 *
 * Methods are linear in the columns, so the result equals that of a method seeded with the groups. Seeding takes less
 * memory; summing also works on results whose trace is gone.
 */
#include "base/error.h"
#include "data/attribution.h"

#include <stdlib.h>
#include <string.h>

/* Writes M[i, :, l] and outside[i, l] of `to` from those of `from`; `sum` [groups] is scratch. */
static void sum_columns(hw_attribution *to, const hw_attribution *from, size_t i, size_t l, double *sum) {
    double outside = from->outside[i * from->n_layers + l];
    memset(sum, 0, to->n_columns * sizeof *sum);
    for (size_t k = 0; k < from->n_columns; k++) {
        double value = from->values[(i * from->n_columns + k) * from->n_layers + l];
        if (to->groups[k] >= 0)
            sum[to->groups[k]] += value;
        else
            outside += value;
    }
    for (size_t g = 0; g < to->n_columns; g++) to->values[(i * to->n_columns + g) * to->n_layers + l] = (float)sum[g];
    to->outside[i * to->n_layers + l] = (float)outside;
}

static hw_err copy_balance(hw_attribution *to, const hw_attribution *from, hw_error *err) {
    if (!from->balance) return HW_OK;
    to->balance = hw__alloc(from->n_rows, sizeof *to->balance);
    if (!to->balance) return hw__fail_memory(err, "a balance", from->n_rows, sizeof *to->balance);
    memcpy(to->balance, from->balance, from->n_rows * sizeof *to->balance);
    return HW_OK;
}

/* Hops refer to completion tokens, so groups do not change them. */
static hw_err copy_through(hw_attribution *to, const hw_attribution *from, hw_error *err) {
    if (!from->through) return HW_OK;
    size_t cells = from->n_rows * from->n_hops; /* cannot overflow: `from` has as many cells */
    to->through = hw__alloc(from->n_rows, sizeof *to->through);
    to->hops = hw__alloc(cells, sizeof *to->hops);
    if (!to->through || !to->hops) return hw__fail_memory(err, "hops through the answer", cells, sizeof *to->hops);
    memcpy(to->through, from->through, from->n_rows * sizeof *to->through);
    memcpy(to->hops, from->hops, cells * sizeof *to->hops);
    to->n_hops = from->n_hops;
    return HW_OK;
}

static hw_err fill(hw_attribution *to, const hw_attribution *from, hw_error *err) {
    double *sum = hw__alloc(to->n_columns, sizeof *sum);
    if (!sum) return hw__fail_memory(err, "groups", to->n_columns, sizeof *sum);
    for (size_t i = 0; i < from->n_rows; i++)
        for (size_t l = 0; l < from->n_layers; l++) sum_columns(to, from, i, l, sum);
    free(sum);
    memcpy(to->layers, from->layers, from->n_layers * sizeof *to->layers);
    hw_err rc = copy_balance(to, from, err);
    if (rc == HW_OK) rc = copy_through(to, from, err);
    if (rc == HW_OK && from->measured) rc = hw__attribution_set_measured(to, from->measured, from->run->n_tokens, err);
    return rc == HW_OK ? hw__attribution_diagnose(to, err) : rc;
}

hw_err hw_attribution_group(hw_attribution **out, const hw_attribution *a, const int32_t *groups,
                            const char *const *names, size_t n_groups, hw_error *err) {
    if (!a || !groups) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an attribution and groups are needed");
    if (!groups)
        return hw__fail(err, HW_ERR_ARGUMENT, "no groups given: each of the %zu columns needs one", a->n_columns);
    if (a->groups)
        return hw__fail(err, HW_ERR_ARGUMENT, "the columns are groups already: only single tokens can be grouped");
    hw_method_params params = a->params;
    params.groups = groups;
    params.group_names = names;
    params.n_groups = n_groups;
    hw_attribution *grouped;
    hw_err rc = hw__attribution_new(&grouped, a->run, a->method, &params, a->n_layers, err);
    if (rc != HW_OK) return rc;
    if ((rc = fill(grouped, a, err)) != HW_OK) {
        hw_attribution_free(grouped);
        return rc;
    }
    *out = grouped;
    return HW_OK;
}
