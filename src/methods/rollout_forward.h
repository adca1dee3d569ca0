/*
 * rollout_forward.h - rollout from the embeddings up: rows of one level from those of the level below it.
 *
 *     R_l[q,:] = Σ_k Â_l[q,k] R_{l-1}[k,:]            R_0 = G [T, C]: the column of each token
 *
 * Column 0 of a level is the mass on tokens that no column of M shows (`outside`); M's columns follow. Cells are float; sums
 * of BLAS are too: R is a matrix of shares, so that no term of a sum is negative and errors stay relative, a few
 * 2^-24 a layer.
 */
#ifndef HW_METHODS_ROLLOUT_FORWARD_H
#define HW_METHODS_ROLLOUT_FORWARD_H

#include "math/block_triangular.h"
#include "methods/layer_matrix.h"

typedef struct hw__fold {
    hw__shape shape; /* [T, 1 + columns of M] */
    bool causal;
    size_t n_threads;
    float *weights; /* [rows at once, T]: each thread's, or all threads' few */
    float *few;     /* [few, C] where those meet */
} hw__fold;

/* For the first `n_rows` tokens of a run that may still grow to that many. */
hw_err hw__fold_new(hw__fold *f, const hw_run *run, const hw_method_params *p, size_t n_rows, hw_error *err);
void hw__fold_free(hw__fold *f);
/* Memory that this takes beside levels, for as many columns of a level. */
double hw__fold_bytes(size_t n_rows, size_t n_columns);

/* R_0 into a level of zeros. */
void hw__fold_start(const hw__fold *f, float *zero, const hw_run *run, const hw_method_params *p);
/* Rows [begin, end) of the level above layer l; the level below has them and all before. The threads share the rows; what comes
 * out does not depend on how many they are. */
void hw__fold_rows(const hw__fold *f, float *next, float *prev, const hw__mixing *mixing, size_t l, size_t begin,
                   size_t end);

#endif
