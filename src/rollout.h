/*
 * rollout.h - attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928) as pure functions over arrays.
 *
 *     Â[q,:] = (r e_q + (1-r) A[q,:]) / (r + (1-r) Σ_k A[q,k])      r = weight of the residual stream
 *     R_0 = G;   R_l[q,:] = Σ_k Â_l[q,k] R_{l-1}[k,:]               G [T, C]: column group of each token
 *
 * R is kept and summed in double; only M is rounded to float. The fold works on a trace, so results do not depend on how a
 * prompt was split into batches.
 */
#ifndef HW_ROLLOUT_H
#define HW_ROLLOUT_H

#include <stddef.h>

/* Row q of Â into w [n] from attention weights attn [n], q < n. A row with no weight at all becomes e_q. */
void hw__rollout_weights(double *w, const float *attn, size_t n, size_t q, double residual);

#endif
