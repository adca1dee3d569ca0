/*
 * rollout.h - attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928): composes the matrices Â_l of layer_matrix.h.
 *
 *     R_0 = G;   R_l[q,:] = Σ_k Â_l[q,k] R_{l-1}[k,:]               G [T, C]: column group of each token
 *
 * Works on a trace, so results do not depend on how the prompt was split into batches.
 */
#ifndef HW_METHODS_ROLLOUT_H
#define HW_METHODS_ROLLOUT_H

#include "data/attribution.h"
#include "methods/layer_matrix.h"

/* Fills M and outside of `a`, which has the trace's layers, in the direction set by `p`. */
hw_err hw__rollout_compose(hw_attribution *a, const hw__layer_matrix *matrix, const hw_method_params *p, hw_error *err);

/* Direction input: composes the lowest `split` layers from the embeddings up and the others from the target rows down;
 * the result is the same for every split. HW__ROLLOUT_BEST: the split with the fewest multiplications. */
#define HW__ROLLOUT_BEST SIZE_MAX
hw_err hw__rollout_input(hw_attribution *a, const hw__layer_matrix *matrix, const hw_method_params *p, size_t split,
                         hw_error *err);

/* The same for a range of rows of a trace that grows; *state, NULL at first, keeps what later rows need: as in
 * hw__method. */
hw_err hw__rollout_incremental(void **state, hw_attribution *a, const hw__layer_matrix *matrix,
                               const hw_method_params *p, hw_error *err);
/* Consumes streamed rows of one layer, as in hw__method. */
hw_err hw__rollout_consume(void **state, const hw__layer_matrix *matrix, const hw_method_params *p, hw__layer_rows rows,
                           hw_error *err);
size_t hw__rollout_incremental_bytes(const hw__layer_matrix *matrix, const hw_method_params *p);
void hw__rollout_incremental_free(void *state);

#endif
