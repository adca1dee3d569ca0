/* spearman.h - rank correlation. Pure functions over arrays. */
#ifndef HW_MATH_SPEARMAN_H
#define HW_MATH_SPEARMAN_H

#include <stdbool.h>
#include <stddef.h>

/* *out <- Spearman's rank correlation of a [n] and b [n], ties at their average rank: NaN for n < 2 and if either is
 * constant or has a NaN. False, with nothing written, when memory runs out. */
bool hw__spearman(double *out, const double *a, const double *b, size_t n);
/* The same for values [n] and their index 0..n-1. */
bool hw__spearman_index(double *out, const double *values, size_t n);

#endif
