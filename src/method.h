/*
 * method.h - one row of the method table, and what every method is given.
 *
 * A method is one file that fills M from a trace; adding one is that file and one row in method.c.
 */
#ifndef HW_METHOD_H
#define HW_METHOD_H

#include "attribution.h"
#include "trace.h"

typedef struct hw__method {
    hw_method_info info;
    bool layered; /* M has the trace's L layers; else 1 */
    /* Fills a->values and a->outside, which are zero. `p` is validated. */
    hw_err (*run)(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err);
} hw__method;

extern const hw__method hw__method_rollout;

/* Query row that explains row i of M: the row that chose the token (predictor) or the token's own. Where a run has no
 * completion, row i itself. */
size_t hw__query_row(const hw_attribution *a, size_t i);

/* Column of M that token `t` belongs to, -1 for none (shown as `outside`). */
ptrdiff_t hw__column_of(const hw_attribution *a, size_t t);

/* Reports layer `done` of `total`; HW_ERR_CANCELLED where the caller wants to stop. */
hw_err hw__method_progress(const hw_method_params *p, size_t done, size_t total, hw_error *err);

#endif
