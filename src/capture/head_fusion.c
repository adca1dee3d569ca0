/* head_fusion.c - reads rows once, a block of columns of every head at a time, while they are in the processor's
 * cache. */
#include "capture/head_fusion.h"

#include "math/simd.h"

#include <stdio.h>

enum { BLOCK = 512, MAX_HEADS = 1024, WORTH_THREADS = 1 << 18 };

/* Sum and minimum of a head's row. */
typedef struct seen {
    double sum;
    float min;
} seen;

/* Adds row [n] to `out`; returns the row's sum, and in *min its minimum if that is lower. */
HW__SIMD static double add_block(float *restrict out, const float *restrict row, size_t n, float *min) {
    hw__lanes v, to, sums = {0}, low = {0};
    size_t k = 0;
    for (; k + HW__LANES <= n; k += HW__LANES) {
        HW__LOAD(v, row + k);
        HW__LOAD(to, out + k);
        to += v;
        memcpy(out + k, &to, sizeof to);
        sums += v;
        low = HW__CHOOSE(v < low, v, low);
    }
    double sum = hw__sum_lanes(&sums);
    for (size_t i = 0; i < HW__LANES; i++) *min = low[i] < *min ? low[i] : *min;
    for (; k < n; k++) {
        out[k] += row[k];
        sum += row[k];
        *min = row[k] < *min ? row[k] : *min;
    }
    return sum;
}

HW__SIMD static void take_block(float *restrict out, const float *restrict row, size_t n, bool max) {
    for (size_t k = 0; k < n; k++) out[k] = (max ? row[k] > out[k] : row[k] < out[k]) ? row[k] : out[k];
}

HW__SIMD static void divide(float *row, size_t n, float by) {
    for (size_t k = 0; k < n; k++) row[k] /= by;
}

static const float *row_of(const hw__heads *heads, size_t h, size_t q) {
    return heads->attn + h * heads->head_stride + q * heads->row_stride;
}

/* out [n] <- the sum over heads; of [H] <- sum and minimum of each head's row. */
static void sum_heads(float *out, const hw__heads *heads, size_t q, size_t n, seen *of) {
    memset(out, 0, n * sizeof *out);
    for (size_t h = 0; h < heads->n_heads; h++) of[h] = (seen){0};
    for (size_t k = 0; k < n; k += BLOCK) {
        size_t take = n - k < BLOCK ? n - k : BLOCK;
        for (size_t h = 0; h < heads->n_heads; h++) {
            float min = 0;
            double sum = add_block(out + k, row_of(heads, h, q) + k, take, &min);
            of[h].sum += sum;
            of[h].min = min < of[h].min ? min : of[h].min;
        }
    }
}

static void scale_to_one(float *row, size_t n, size_t own) {
    double sum = hw__sum(row, n);
    if (sum > 0) {
        for (size_t k = 0; k < n; k++) row[k] = (float)(row[k] / sum);
    } else {
        row[own] = 1;
    }
}

static void fuse(float *out, const hw__heads *heads, size_t q, size_t n, hw_fuse how, seen *of) {
    sum_heads(out, heads, q, n, of);
    if (how == HW_FUSE_MEAN) {
        divide(out, n, (float)heads->n_heads);
    } else {
        memcpy(out, row_of(heads, 0, q), n * sizeof *out);
        for (size_t h = 1; h < heads->n_heads; h++) take_block(out, row_of(heads, h, q), n, how == HW_FUSE_MAX);
        scale_to_one(out, n, heads->q0 + q);
    }
}

/* ------------------------------------------------------------------ many rows, checked */

/* The first head whose row is not a softmax, or n_heads. Written so that NaN fails. */
static size_t bad_head(const seen *of, size_t n_heads, bool sinks) {
    double low = sinks ? 0 : 1 - HW_ROW_TOLERANCE;
    size_t h = 0;
    while (h < n_heads && of[h].min >= 0 && of[h].sum >= low && of[h].sum <= 1 + HW_ROW_TOLERANCE) h++;
    return h;
}

/* Row i of those that were fused; `of` is what its heads were seen to be. */
static hw_err fail_row(const hw__heads *heads, const hw__fused_rows *rows, size_t i, const seen *of, hw__fusion how,
                       hw_error *err) {
    char which[40] = "mean of its heads";
    size_t h = bad_head(of, heads->n_heads, how.sinks);
    if (!heads->mean) snprintf(which, sizeof which, "head %zu", h);
    return hw__fail(err, HW_ERR_ENGINE,
                    "attention of layer %zu, %s, row %zu sums to %g over its %zu columns%s: it must be 1 within %g",
                    how.layer, which, heads->q0 + rows->first + i, of[h].sum, rows->n[i],
                    of[h].min < 0 ? ", with negative weights" : "", HW_ROW_TOLERANCE);
}

hw_err hw__fuse_rows(const hw__fused_rows *fused, const hw__heads *heads, hw__fusion how, hw_error *err) {
    size_t count = fused->count;
    if (heads->n_heads == 0 || heads->n_heads > MAX_HEADS)
        return hw__fail(err, HW_ERR_ENGINE, "layer %zu has %zu heads: 1..%d are handled", how.layer, heads->n_heads,
                        MAX_HEADS);
    size_t bad_row = count; /* the first one, so that the message does not depend on the threads */
    long rows = (long)count;
    bool many = count * heads->n_keys * heads->n_heads >= WORTH_THREADS;
    int threads = how.n_threads ? (int)how.n_threads : 1;
    (void)many, (void)threads; /* unused without OpenMP */
#pragma omp parallel for num_threads(threads) if (many) reduction(min : bad_row)
    for (long i = 0; i < rows; i++) {
        seen of[MAX_HEADS];
        fuse(fused->out[i], heads, fused->first + (size_t)i, fused->n[i], how.fuse, of);
        if (bad_head(of, heads->n_heads, how.sinks) < heads->n_heads && (size_t)i < bad_row) bad_row = (size_t)i;
    }
    if (bad_row == count) return HW_OK;
    seen of[MAX_HEADS];
    sum_heads(fused->out[bad_row], heads, fused->first + bad_row, fused->n[bad_row], of);
    return fail_row(heads, fused, bad_row, of, how, err);
}
