/* rank.c - sort once, give ties their average rank, then Pearson of the ranks. */
#include "rank.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>

typedef struct item {
    double value;
    size_t index;
} item;

static int by_value(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Average ranks of sorted items [n], written to rank[index]. */
static void rank_sorted(double *rank, const item *items, size_t n) {
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && items[j].value == items[i].value;) j++;
        for (size_t t = i; t < j; t++) rank[items[t].index] = ((double)i + (double)(j - 1)) / 2;
    }
}

/* Ranks of values [n], malloc'd; NULL for a NaN among them or no memory. */
static double *ranks_of(const double *values, size_t n) {
    item *items = hw__alloc(n, sizeof *items);
    double *rank = hw__alloc(n, sizeof *rank);
    bool ordered = items && rank;
    for (size_t i = 0; ordered && i < n; i++) {
        items[i] = (item){values[i], i};
        ordered = !isnan(values[i]);
    }
    if (ordered) {
        qsort(items, n, sizeof *items, by_value);
        rank_sorted(rank, items, n);
    } else {
        free(rank);
        rank = NULL;
    }
    free(items);
    return rank;
}

/* Pearson's correlation of ranks [n]; `x` NULL: the index. Their mean is known. */
static double correlate(const double *x, const double *y, size_t n) {
    double centre = (double)(n - 1) / 2, xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        double dx = (x ? x[i] : (double)i) - centre, dy = y[i] - centre;
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

double hw__spearman(const double *a, const double *b, size_t n) {
    if (n < 2) return NAN;
    double *x = ranks_of(a, n), *y = ranks_of(b, n);
    double rho = x && y ? correlate(x, y, n) : NAN;
    free(x);
    free(y);
    return rho;
}

double hw__spearman_index(const double *values, size_t n) {
    if (n < 2) return NAN;
    double *rank = ranks_of(values, n);
    double rho = rank ? correlate(NULL, rank, n) : NAN;
    free(rank);
    return rho;
}
