/* lasso.c - cyclic coordinate descent on standardised columns with a maintained residual (Friedman et al. 2010). */
#include "math/lasso.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_SWEEPS = 10000 };
static const double TOLERANCE = 1e-10;

static double mean_of(const double *v, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += v[i];
    return n ? sum / (double)n : 0;
}

/* Writes column j of x as z [n] with mean 0 and standard deviation 1; returns its original deviation, 0 for a constant
 * column. */
static double standardise(double *z, const bool *x, size_t n, size_t k, size_t j) {
    for (size_t i = 0; i < n; i++) z[i] = x[i * k + j];
    double mean = mean_of(z, n), sd = sqrt(mean * (1 - mean)); /* of a vector of zeros and ones */
    for (size_t i = 0; i < n && sd > 0; i++) z[i] = (z[i] - mean) / sd;
    return sd;
}

/* Standardised columns, and what is not predicted yet. */
typedef struct problem {
    const double *z, *sd; /* [k, n], [k] */
    double *rest;         /* [n] y minus the prediction of w */
    size_t n, k;
    double alpha;
} problem;

/* One pass over all columns; returns the largest step. */
static double sweep(double *w, const problem *p) {
    double largest = 0;
    for (size_t j = 0; j < p->k; j++) {
        const double *column = p->z + j * p->n;
        double rho = 0;
        if (p->sd[j] == 0) continue;
        for (size_t i = 0; i < p->n; i++) rho += column[i] * p->rest[i];
        double best = rho / (double)p->n + w[j], size = fabs(best) - p->alpha; /* soft threshold */
        double next = size > 0 ? copysign(size, best) : 0, step = next - w[j];
        if (step == 0) continue;
        for (size_t i = 0; i < p->n; i++) p->rest[i] -= step * column[i];
        w[j] = next;
        if (fabs(step) > largest) largest = fabs(step);
    }
    return largest;
}

bool hw__lasso(double *w, const bool *x, const double *y, size_t n, size_t k, double alpha) {
    size_t cells;
    double *z = hw__mul(&cells, n, k) ? hw__alloc(cells, sizeof *z) : NULL;
    double *sd = hw__alloc(k, sizeof *sd), *rest = hw__alloc(n, sizeof *rest);
    bool ok = z && sd && rest;
    if (ok) {
        double mean = mean_of(y, n), square = 0;
        for (size_t i = 0; i < n; i++) rest[i] = y[i] - mean;
        for (size_t i = 0; i < n; i++) square += rest[i] * rest[i];
        for (size_t j = 0; j < k; j++) sd[j] = standardise(z + j * n, x, n, k, j);
        for (size_t j = 0; j < k; j++) w[j] = 0;
        double enough = TOLERANCE * sqrt(square / (double)(n ? n : 1));
        const problem p = {z, sd, rest, n, k, alpha};
        for (int i = 0; i < MAX_SWEEPS && sweep(w, &p) > enough;) i++;
        for (size_t j = 0; j < k; j++) w[j] = sd[j] > 0 ? w[j] / sd[j] : 0;
    }
    free(z);
    free(sd);
    free(rest);
    return ok;
}
