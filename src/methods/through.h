/*
 * through.h - follows a method's rows through the completion back to the prompt.
 *
 * Row t of a method gives the sources of token t: prompt columns p_t, earlier completion columns g_t, and the model
 * itself, o_t, which is no column. Each completion token that t came from has its own row, so
 *
 *     R_t = p_t + sum_{k<t} g_t[k] W_k      O_t = o_t      W_k = p_k + o_k p'_k + sum_{j<k} (g_k[j] + o_k g'_k[j]) W_j
 *
 * R 1 + O = W 1 = 1. This is the token graph of Walker & Ewetz, arXiv 2512.15663, but for the model's part: only the
 * explained token keeps it. A token on the way passes it on to p' and g', what the MLPs of its position had before
 * them: the shares of what that position had gathered (method `contribution` for `logit`, each eighth layer). Where
 * these are not known the part is divided as the row's own tokens are, W_k = R_k / (1 - o_k). If the model kept its
 * part at every hop, each would pass on less than half, and the first words of a reasoning would vanish
 * (docs/research/faithfulness.md). A token that came from no token counts as the model's. The parts of a row are its
 * positive ones, divided by their sum. A column counts by its sum over layers: if that is positive the layers keep
 * their own numbers, with signs, so that layers stay separate and add up to R.
 *
 * Where a logit is compared with another token's (hw_run_params.against), what raised either decided between the two:
 * the explained token's parts of the completion and the model count by their size. A column of the prompt that raised
 * the other token counts no more than what came from it through the completion: a candidate that the answer weighed
 * counts, and one that stands in the prompt alone does not. On the way only what raised the token counts.
 */
#ifndef HW_METHODS_THROUGH_H
#define HW_METHODS_THROUGH_H

#include "data/attribution.h"

/* Shares of earlier completion tokens in rows begin .. end - 1. */
typedef struct hw__hops {
    const float *shares; /* [end - begin, stride]; row t has t numbers */
    size_t stride, begin, end;
} hw__hops;

/*
 * Computes rows of W by forward substitution: W [end, cells] holds finished rows before `begin` and the parts p from
 * there on, which become W. Accumulates in double in a fixed order: the same bits for any split into ranges and any
 * number of threads.
 */
void hw__through_solve(float *W, size_t cells, const hw__hops *hops);
/* R [end - begin, cells]: adds to each row of parts what its hops refer to in W [end, cells]. */
void hw__through_apply(float *R, const float *W, size_t cells, const hw__hops *hops);

/* Finished rows of a growing run that later rows are followed to. Zero-initialised. */
typedef struct hw__through_state {
    size_t n; /* rows */
    size_t capacity;
    float *values;  /* [n, C, L] W */
    float *outside; /* [n, L] */
    double *model;  /* [n] what W lacks to 1: from tokens that came from no token */
} hw__through_state;
void hw__through_state_clear(hw__through_state *state);

/* The settings with which a method runs for hw__through_rows(): columns of prompt and completion, one column per
 * completion token. groups: malloc'd and owned by the caller, NULL if p has none. */
hw_err hw__through_inner(hw_method_params *out, int32_t **groups, const hw_method_params *p, const hw_run *run,
                         hw_error *err);

/* Rows made with those settings. */
typedef struct hw__through_rows_of {
    const hw_attribution *inner;
    const hw_attribution *gathered; /* the same rows and columns of a method in shares, as it chose the tokens; NULL:
                                       not known */
} hw__through_rows_of;

/*
 * Follows them. `p` are the settings of *out. `state` (NULL: empty) holds the rows before those; these are appended to
 * it. Errors: ARGUMENT (a value that is not finite, a row that refers to a later token, rows of other shapes),
 * UNSUPPORTED (no completion), MEMORY.
 */
hw_err hw__through_rows(hw_attribution **out, const hw__through_rows_of *rows, const hw_method_params *p,
                        hw__through_state *state, hw_error *err);

#endif
