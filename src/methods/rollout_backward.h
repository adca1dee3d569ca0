/*
 * rollout_backward.h - rollout from the top down: one vector for each target row and each layer that it starts from.
 *
 *     v <- v Â_l          v starts as row q of some Â_l
 *
 * A vector costs T^2 / 2 multiplications per layer whatever the number of columns, so for few rows this is cheaper than
 * whole matrices (rollout_forward.h). All vectors pass through a layer in one product.
 */
#ifndef HW_METHODS_ROLLOUT_BACKWARD_H
#define HW_METHODS_ROLLOUT_BACKWARD_H

#include "data/attribution.h"
#include "math/block_triangular.h"
#include "methods/layer_matrix.h"

typedef struct hw__rollout_backward {
    hw__block_layout shape; /* [T, T] of a layer */
    float *layer;           /* Â_l, a level */
    float *v, *next;        /* [n_rows, T] */
    size_t n_rows;
} hw__rollout_backward;

hw_err hw__rollout_backward_new(hw__rollout_backward *c, size_t n_rows, size_t n_tokens, bool causal, hw_error *err);
void hw__rollout_backward_free(hw__rollout_backward *c);

/* Vectors first .. begin - 1 start as rows of Â_l, those of the rows of M over and over; begin .. n_rows - 1 are pushed
 * through it; those before `first` have not started. */
void hw__rollout_backward_push(hw__rollout_backward *c, const hw_attribution *a, const hw__layer_matrix *matrix,
                               size_t l, size_t first, size_t begin);

#endif
