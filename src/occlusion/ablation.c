/*
 * ablation.c - method `ablation` (ContextCite, Cohen-Wang et al. 2024, arXiv 2409.00729): a regression on random masks.
 *
 * Random keep-masks v_1..v_N over the segments, each segment kept with probability 1/2, one pass per mask. Then for
 * every completion token i a LASSO (alpha 0.01 on standardised masks) from v to the logit of its probability,
 *
 *     logit p(y_i | x_v, y_<i) = b_i + Σ_k M[i,k,0] v_k         logit p = log p - log(1 - p)
 *
 * so M is the change in logits from keeping the segment. ContextCite fits the probability of the whole sequence; one
 * fit per token gives rows like those of other methods, and both are equal for a single token.
 */
#include "math/lasso.h"
#include "occlusion/keep_masks.h"

#include <stdlib.h>

static const double ALPHA = 0.01;
enum { MIN_ABLATIONS = 2, MAX_ABLATIONS = 100000 };

/* The design matrix: indices of the drawn masks [n], and the arrays of one fit. */
typedef struct design {
    hw__masks *masks;
    size_t n, n_segments;
    size_t *drawn; /* [n] index of each mask */
    bool *x;       /* [n, n_segments] */
    double *y;     /* [n] */
    double *w;     /* [n_segments] */
} design;

static hw_err draw(design *d, uint64_t seed, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < d->n && rc == HW_OK; i++) {
        rc = hw__masks_add_random(d->masks, &d->drawn[i], &seed, err);
        if (rc != HW_OK) break;
        const bool *keep = hw__masks_keep(d->masks, d->drawn[i]);
        for (size_t k = 0; k < d->n_segments; k++) d->x[i * d->n_segments + k] = keep[k];
    }
    return rc;
}

static hw_err fit(hw_attribution *a, design *d, const hw_method_params *p, hw_error *err) {
    hw_err rc = hw__masks_score(d->masks, p->progress, p->ctx, err);
    for (size_t i = 0; i < a->n_rows && rc == HW_OK; i++) {
        for (size_t v = 0; v < d->n; v++) d->y[v] = hw__logit(hw__masks_logprob(d->masks, d->drawn[v])[i]);
        if (!hw__lasso(d->w, d->x, d->y, d->n, d->n_segments, ALPHA))
            return hw__fail_memory(err, "the regression", d->n, d->n_segments);
        for (size_t k = 0; k < d->n_segments; k++) a->values[i * d->n_segments + k] = (float)d->w[k];
    }
    return rc;
}

static hw_err run_design(hw_attribution *a, hw__masks *masks, const hw_method_params *p, hw_error *err) {
    if (hw__masks_n_movable(masks) < 2)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "ablation of the only segment: %zu of %zu can be left out, and at least 2 are needed to tell them apart "
            "(cut the prompt into smaller segments)",
            hw__masks_n_movable(masks), a->n_columns);
    design d = {.masks = masks, .n = p->n_ablations, .n_segments = a->n_columns};
    d.drawn = hw__alloc(d.n, sizeof *d.drawn);
    d.x = hw__alloc(d.n, d.n_segments * sizeof *d.x);
    d.y = hw__alloc(d.n, sizeof *d.y);
    d.w = hw__alloc(d.n_segments, sizeof *d.w);
    hw_err rc = d.drawn && d.x && d.y && d.w
                    ? HW_OK
                    : hw__fail_memory(err, "the regression", d.n, d.n_segments + 2 * sizeof *d.y);
    if (rc == HW_OK) rc = draw(&d, p->seed, err);
    if (rc == HW_OK) rc = fit(a, &d, p, err);
    free(d.drawn);
    free(d.x);
    free(d.y);
    free(d.w);
    return rc;
}

static hw_err run(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err) {
    (void)trace;
    hw__masked_pass *masked_pass = NULL;
    hw__masks *masks = NULL;
    if (p->n_ablations < MIN_ABLATIONS || p->n_ablations > MAX_ABLATIONS)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu ablations: %d to %d are accepted", p->n_ablations, MIN_ABLATIONS,
                        MAX_ABLATIONS);
    hw_err rc = hw__masked_pass_method_begin(&masked_pass, &masks, a, p, err);
    if (rc == HW_OK) rc = run_design(a, masks, p, err);
    hw__masks_free(masks);
    hw__masked_pass_free(masked_pass);
    return rc;
}

static size_t passes(const hw_method_params *p, size_t n_columns) {
    (void)n_columns;
    return p->n_ablations;
}

const hw__method hw__method_ablation = {
    .info =
        {
            .name = "ablation",
            .summary = "sparse regression of the token's logit on which segments of the prompt are kept, over random "
                       "halves of it",
            .needs = "the model itself, to run again on random halves of the prompt",
            .cost = "64 forward passes, or as many as asked for (fronts that passes share run once)",
            .reference = "Cohen-Wang et al. 2024, ContextCite, arXiv 2409.00729, section 3",
            .limitations = "segments that act only together; weak ones, which the regression sets to 0",
            .traits = HW_USES_MODEL | HW_USES_SEED,
            .rows = HW_ROWS_NONE,
        },
    .passes = passes,
    .run = run,
};
