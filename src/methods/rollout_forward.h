/*
 * rollout_forward.h - rollout from the embeddings up: rows after one layer from those before it.
 *
 *     R_l[q,:] = Σ_k Â_l[q,k] R_{l-1}[k,:]            R_0 = G [T, C]: the column of each token
 *
 * Column 0 of R is the mass on tokens that no column of M shows (`outside`); M's columns follow. Cells and BLAS sums
 * are float: R is a matrix of shares, so no term of a sum is negative and errors stay relative, a few 2^-24 per layer.
 */
#ifndef HW_METHODS_ROLLOUT_FORWARD_H
#define HW_METHODS_ROLLOUT_FORWARD_H

#include "math/block_triangular.h"
#include "methods/layer_matrix.h"

typedef struct hw__rollout_forward {
    hw__block_layout shape; /* [T, 1 + columns of M] */
    bool causal;
    size_t n_threads;
    float *weights;  /* [rows at once, T]: one buffer per thread, or one for few rows */
    float *few_rows; /* [few, C] results of few rows */
} hw__rollout_forward;

/* For the first `n_rows` tokens of a run that may grow to that length. */
hw_err hw__rollout_forward_new(hw__rollout_forward *f, const hw_run *run, const hw_method_params *p, size_t n_rows,
                               hw_error *err);
void hw__rollout_forward_free(hw__rollout_forward *f);
/* Memory needed besides the matrices, for this many columns. */
double hw__rollout_forward_bytes(size_t n_rows, size_t n_columns);

/* Writes R_0 into a zeroed matrix. */
void hw__rollout_forward_start(const hw__rollout_forward *f, float *zero, const hw_run *run, const hw_method_params *p);
/* Rows of the matrix after their layer; the one before the layer must have them and all rows before. Threads share the
 * rows; the result does not depend on their number. */
void hw__rollout_forward_rows(const hw__rollout_forward *f, float *next, float *prev, const hw__layer_matrix *matrix,
                              hw__layer_rows rows);

#endif
