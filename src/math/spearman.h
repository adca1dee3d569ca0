/* spearman.h - rank correlation. Pure functions over arrays. */
#ifndef HW_MATH_SPEARMAN_H
#define HW_MATH_SPEARMAN_H

#include <stddef.h>

/* Spearman's rank correlation of a [n] and b [n], ties at their average rank. NaN for n < 2, where one of them is all
 * equal or has a NaN, or when there is no memory. */
double hw__spearman(const double *a, const double *b, size_t n);
/* The same of values [n] and their index 0..n-1. */
double hw__spearman_index(const double *values, size_t n);

#endif
