/*
 * attribution_append.c - joins the rows of a growing run: values, outside mass, balances and hops of rows that follow.
 *
 * An error leaves the earlier rows as they were: arrays may have become larger, but n_rows counts the old rows.
 */
#include "data/attribution.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* Rows [n] of `bytes` each, and rows that follow [n_more]. */
typedef struct rows_to_join {
    size_t n, n_more;
} rows_to_join;

/* Moves `to` into a larger array with `from` appended; NULL when memory runs out: `to` is unchanged. */
static void *joined(void *to, const void *from, rows_to_join rows, size_t bytes) {
    char *larger = hw__realloc(to, rows.n + rows.n_more, bytes);
    if (larger) memcpy(larger + rows.n * bytes, from, rows.n_more * bytes);
    return larger;
}

static bool join_values(hw_attribution *a, const hw_attribution *rows, rows_to_join both) {
    float *values = joined(a->values, rows->values, both, a->n_columns * a->n_layers * sizeof *values);
    if (values) a->values = values;
    float *outside = values ? joined(a->outside, rows->outside, both, a->n_layers * sizeof *outside) : NULL;
    if (outside) a->outside = outside;
    return outside;
}

static bool join_balance(hw_attribution *a, const hw_attribution *rows, rows_to_join both) {
    if (!a->balance) return true;
    hw_balance *balance = joined(a->balance, rows->balance, both, sizeof *balance);
    if (balance) a->balance = balance;
    return balance;
}

/* hops [n, n_hops]: later rows have more earlier tokens. */
static bool join_hops(hw_attribution *a, const hw_attribution *rows, rows_to_join both) {
    size_t cells, width = rows->n_hops;
    if (!a->through) return true;
    hw_through *through = joined(a->through, rows->through, both, sizeof *through);
    if (through) a->through = through;
    bool fits = through && hw__mul(&cells, both.n + both.n_more, width);
    float *hops = fits ? hw__alloc(cells, sizeof *hops) : NULL;
    if (!hops) return false;
    for (size_t i = 0; i < both.n; i++) memcpy(hops + i * width, a->hops + i * a->n_hops, a->n_hops * sizeof *hops);
    memcpy(hops + both.n * width, rows->hops, both.n_more * width * sizeof *hops);
    free(a->hops);
    a->hops = hops;
    a->n_hops = width;
    return true;
}

static hw_err check(const hw_attribution *a, const hw_attribution *rows, hw_error *err) {
    if (!a || !rows) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an attribution and its next rows are needed");
    bool same = a->run == rows->run && strcmp(a->method, rows->method) == 0 && a->n_columns == rows->n_columns &&
                a->n_layers == rows->n_layers && !a->balance == !rows->balance && !a->through == !rows->through &&
                a->n_hops <= rows->n_hops;
    if (!same) return hw__fail(err, HW_ERR_ARGUMENT, "rows of another run, method or settings cannot be appended");
    if (rows->first_token == a->first_token + a->n_rows) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT, "rows from token %zu on: token %zu is next", rows->first_token,
                    a->first_token + a->n_rows);
}

hw_err hw_attribution_append(hw_attribution *a, const hw_attribution *rows, hw_error *err) {
    hw_err rc = check(a, rows, err);
    if (rc != HW_OK) return rc;
    const rows_to_join both = {a->n_rows, rows->n_rows};
    bool ok = join_values(a, rows, both) && join_balance(a, rows, both) && join_hops(a, rows, both);
    if (!ok) return hw__fail_memory(err, "rows of a growing run", both.n + both.n_more, a->n_columns * a->n_layers);
    a->n_rows += rows->n_rows;
    return HW_OK;
}
