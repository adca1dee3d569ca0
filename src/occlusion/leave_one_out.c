/*
 * leave_one_out.c - method `leave-one-out`: the drop in log probability of each completion token without one segment of
 * the prompt.
 *
 *     M[i,k,0] = log p(y_i | x, y_<i) - log p(y_i | x without segment k, y_<i)      in nats
 *
 * Without groups every token is a segment. Segments that cannot be left out (special and template tokens only) get 0.
 */
#include "methods/method.h"
#include "occlusion/keep_masks.h"

#include <stdlib.h>

static hw_err fill(hw_attribution *a, hw__masks *masks, const hw_method_params *p, size_t *without, hw_error *err) {
    size_t whole;
    hw_err rc = hw__masks_add_without_each(masks, &whole, without, err);
    if (rc == HW_OK) rc = hw__masks_score(masks, p->progress, p->ctx, err);
    for (size_t k = 0; k < a->n_columns && rc == HW_OK; k++) {
        const double *all = hw__masks_logprob(masks, whole), *rest = hw__masks_logprob(masks, without[k]);
        for (size_t i = 0; i < a->n_rows; i++) a->values[i * a->n_columns + k] = (float)(all[i] - rest[i]);
    }
    return rc;
}

static hw_err run(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    (void)trace;
    hw__masked_pass *masked_pass = NULL;
    hw__masks *masks = NULL;
    size_t *without = hw__alloc(a->n_columns, sizeof *without);
    hw_err rc = without ? hw__masked_pass_method_begin(&masked_pass, &masks, a, p, err)
                        : hw__fail_memory(err, "leave-one-out", a->n_columns, 8);
    if (rc == HW_OK) rc = fill(a, masks, p, without, err);
    hw__masks_free(masks);
    hw__masked_pass_free(masked_pass);
    free(without);
    return rc;
}

static size_t passes(const hw_method_params *p, size_t n_columns) {
    (void)p;
    return n_columns;
}

const hw__method hw__method_leave_one_out = {
    .info =
        {
            .name = "leave-one-out",
            .summary = "fall of the completion's log probability when one segment of the prompt is left out, in nats",
            .needs = "the model itself, to run again without each segment",
            .cost = "one forward pass a segment (fronts that passes share run once)",
            .reference = "Zeiler & Fergus 2014, arXiv 1311.2901, occlusion; Li et al. 2016, arXiv 1612.08220",
            .limitations =
                "segments that stand in for each other: without one of them the other still tells the answer",
            .traits = HW_USES_MODEL,
            .rows = HW_ROWS_NONE,
        },
    .passes = passes,
    .run = run,
};
