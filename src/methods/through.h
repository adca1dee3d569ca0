/*
 * through.h - a method's rows followed through the completion back to the prompt.
 *
 * Row t of a method says what token t came from: prompt columns p_t, earlier completion columns g_t, and what is no column,
 * the model itself, o_t. Each completion token that t came from has a row of its own, so
 *
 *     R_t = p_t + sum_{k<t} g_t[k] R_k      O_t = o_t + sum_{k<t} g_t[k] O_k      R_t 1 + O_t = 1
 *
 * The token graph of Walker & Ewetz, arXiv 2512.15663, with the model as an absorbing state. The parts of a row are its positive
 * ones, divided by their sum. A column counts by its sum over layers: where that is positive the layers keep their own
 * numbers, signs too, so that layers stay apart and add up to R.
 */
#ifndef HW_METHODS_THROUGH_H
#define HW_METHODS_THROUGH_H

#include "data/attribution.h"

/*
 * R rows begin .. end - 1, by forward substitution: R [end, cells] holds finished rows before `begin` and the parts p from there
 * on, which become R. hops [end - begin, stride]: g of these rows, of which row t has t numbers. Accumulates in double in
 * a fixed order: the same bits for any split into ranges and any number of threads.
 */
void hw__through_solve(float *R, size_t cells, const float *hops, size_t stride, size_t begin, size_t end);

/* Finished rows that later ones are followed to, of a run that grows. Zeroed at first. */
typedef struct hw__through_state {
    size_t n; /* rows */
    size_t capacity;
    float *values;    /* [n, C, L] */
    float *outside;   /* [n, L] */
    double *model;    /* [n] */
} hw__through_state;
void hw__through_state_clear(hw__through_state *state);

/* The settings that a method runs with for hw__through_rows(): columns of prompt and completion, each completion token its
 * own. groups: malloc'd and owned by the caller, NULL where p has none. */
hw_err hw__through_inner(hw_method_params *out, int32_t **groups, const hw_method_params *p, const hw_run *run,
                         hw_error *err);

/*
 * Follows `inner`, made with those settings. `p` are the settings of *out. The rows before those of `inner` are in `state`
 * (NULL: there are none), which then has these too. Errors: ARGUMENT (a value that is not finite, a row that draws on a
 * later token), UNSUPPORTED (no completion), MEMORY.
 */
hw_err hw__through_rows(hw_attribution **out, const hw_attribution *inner, const hw_method_params *p,
                        hw__through_state *state, hw_error *err);

#endif
