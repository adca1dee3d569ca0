/* lasso.h - sparse linear regression on masks (Tibshirani 1996), by coordinate descent. A pure function over arrays. */
#ifndef HW_MATH_LASSO_H
#define HW_MATH_LASSO_H

#include <stdbool.h>
#include <stddef.h>

/* Weights w [k] that minimise
 *
 *     1/(2n) Σ_i (y_i - b - Σ_j z_ij w'_j)² + alpha Σ_j |w'_j|      w_j = w'_j / sd_j
 *
 * for y [n] and masks x [n, k], where z are the columns of x scaled to mean 0 and standard deviation 1, and w is in
 * units of y per segment kept. A constant column gets 0. Converged when a whole sweep changes no w' by more than 1e-10
 * of the standard deviation of y, or after 10,000 sweeps. False when memory runs out. */
bool hw__lasso(double *w, const bool *x, const double *y, size_t n, size_t k, double alpha);

#endif
