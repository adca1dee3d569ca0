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

double hw__spearman_index(const double *values, size_t n) {
    if (n < 2) return NAN;
    item *items = hw__alloc(n, sizeof *items);
    double *rank = hw__alloc(n, sizeof *rank), rho = NAN;
    if (!items || !rank) goto out;
    for (size_t i = 0; i < n; i++) items[i] = (item){values[i], i};
    qsort(items, n, sizeof *items, by_value);
    rank_sorted(rank, items, n);
    double centre = (double)(n - 1) / 2, xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)i - centre, y = rank[i] - centre;
        xy += x * y;
        xx += x * x;
        yy += y * y;
    }
    if (yy > 0) rho = xy / sqrt(xx * yy);
out:
    free(items);
    free(rank);
    return rho;
}
