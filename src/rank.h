/* rank.h - rank correlation. Pure functions over arrays. */
#ifndef HW_RANK_H
#define HW_RANK_H

#include <stddef.h>

/* Spearman's rank correlation of values [n] with their index 0..n-1, ties at their average rank. NaN for n < 2, for
 * values that are all equal, or when there is no memory. */
double hw__spearman_index(const double *values, size_t n);

#endif
