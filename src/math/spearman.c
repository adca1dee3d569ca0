/* spearman.c - sorts once, gives ties their average rank, then computes Pearson's correlation of the ranks. */
#include "math/spearman.h"

#include "base/error.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct item {
    uint64_t key; /* ascending with the value */
    size_t index;
} item;

/* Maps the bits of a double that is not NaN to an integer of the same order; 0 and -0 are equal. */
static uint64_t key_of(double value) {
    double one_zero = value + 0.0;
    uint64_t bits, sign = (uint64_t)1 << 63;
    memcpy(&bits, &one_zero, sizeof bits);
    return bits & sign ? ~bits : bits | sign;
}

/* Radix sort of items [n] by key, stable, one byte at a time from the lowest; `other` [n] is scratch. */
static void sort(item *items, item *other, size_t n) {
    enum { DIGITS = sizeof(uint64_t), VALUES = 256 };
    item *from = items, *to = other;
    for (int digit = 0; digit < DIGITS; digit++) {
        size_t place[VALUES] = {0}, before = 0;
        for (size_t i = 0; i < n; i++) place[from[i].key >> 8 * digit & 255]++;
        if (place[from[0].key >> 8 * digit & 255] == n) continue; /* all items have the same byte */
        for (int v = 0; v < VALUES; v++) {
            size_t count = place[v];
            place[v] = before;
            before += count;
        }
        for (size_t i = 0; i < n; i++) to[place[from[i].key >> 8 * digit & 255]++] = from[i];
        item *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != items) memcpy(items, from, n * sizeof *items);
}

/* Average ranks of sorted items [n], written to rank[index]. */
static void rank_sorted(double *rank, const item *items, size_t n) {
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && items[j].key == items[i].key;) j++;
        for (size_t t = i; t < j; t++) rank[items[t].index] = ((double)i + (double)(j - 1)) / 2;
    }
}

static bool has_nan(const double *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (isnan(values[i])) return true;
    return false;
}

/* Ranks of values [n], none of them NaN; malloc'd, NULL when memory runs out. */
static double *ranks_of(const double *values, size_t n) {
    item *items = hw__alloc(2 * n, sizeof *items);
    double *rank = hw__alloc(n, sizeof *rank);
    if (items && rank) {
        for (size_t i = 0; i < n; i++) items[i] = (item){key_of(values[i]), i};
        sort(items, items + n, n);
        rank_sorted(rank, items, n);
    } else {
        free(rank);
        rank = NULL;
    }
    free(items);
    return rank;
}

/* Pearson's correlation of ranks [n]; `x` NULL: the index. The mean of ranks is known. */
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

bool hw__spearman(double *out, const double *a, const double *b, size_t n) {
    double *x = NULL, *y = NULL;
    bool ranked = n >= 2 && !has_nan(a, n) && !has_nan(b, n);
    bool ok = !ranked || ((x = ranks_of(a, n)) && (y = ranks_of(b, n)));
    if (ok) *out = ranked ? correlate(x, y, n) : NAN;
    free(x);
    free(y);
    return ok;
}

bool hw__spearman_index(double *out, const double *values, size_t n) {
    bool ranked = n >= 2 && !has_nan(values, n);
    double *rank = ranked ? ranks_of(values, n) : NULL;
    if (ranked && !rank) return false;
    *out = ranked ? correlate(NULL, rank, n) : NAN;
    free(rank);
    return true;
}
