/*
 * rollout.h - attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928) as pure functions over arrays.
 *
 *     Â[q,:] = (r e_q + (1-r) A[q,:]) / (r + (1-r) Σ_k A[q,k])      r = weight of the residual stream
 *     R_0 = G;   R_l[q,:] = Σ_k Â_l[q,k] R_{l-1}[k,:]               G [T, C]: column group of each token
 *
 * Storage is float, every sum is taken in double in rising k, so results repeat bit for bit and do not depend
 * on how a prompt was split into batches.
 */
#ifndef HW_ROLLOUT_H
#define HW_ROLLOUT_H

#include <stddef.h>

/* Row q of Â into w [n] from attention weights attn [n], q < n. A row with no weight at all becomes e_q. */
void hw__rollout_weights(double *w, const float *attn, size_t n, size_t q, double residual);

/* One row of a fold: out [C] = Σ_k w[k] prev[k,:], and the same of prev_outside [n], which is returned. Row k of prev
 * [n, C] is nonzero only in its first reach[k] columns (reach rises with k). `sum` [C] is scratch. */
double hw__rollout_fold(float *out, const double *w, size_t n, const float *prev, const double *prev_outside,
                        const size_t *reach, size_t n_columns, double *sum);

#endif
