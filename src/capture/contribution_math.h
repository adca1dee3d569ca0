/*
 * contribution_math.h - splits what attention adds to the stream by source token. Pure functions over arrays.
 *
 * In one layer the attention of query row q adds, from column k, the vector (Kobayashi et al. 2020, arXiv 2004.10102;
 * ALTI: Ferrando et al. 2022, arXiv 2203.04212)
 *
 *     T[q,k] = Σ_h A[h,q,k] f[h,k]  (+ x[q] if k = q)        f[h,k] = gain s_q W_O[:,h] (g_q[h] v[h,k])
 *
 * where g_q is the gate of a row, if any, and y[q] = Σ_k T[q,k] (+ bias) the stream after the layer's attention. Four
 * measures reduce each vector to one number:
 *
 *     projection   <T, y> / |y|²                     signed; sums to 1 less the bias share
 *     norm         |T - residual|_2                  attention only; scaled to sum 1
 *     proximity    max(0, |y|_p - |y - T|_p)         p = 1, 2; scaled to sum 1
 *     logit        <T - residual, z>                 z: direction of the emitted token in the final stream
 *
 * Values in parts (hw__values.n_taps) give T[q,k] = Σ_i Σ_h A[h,q,k+i] f_i[h,k]: token k has a part of the next values.
 *
 * Projection and logit are dot products with one direction per row, so they need no vector per pair: the direction is
 * projected by W_O once, then multiplied with the values. The other measures need every vector, n D H multiplications
 * per row: W_O v of every head and column, D H d each, is computed once for all rows.
 */
#ifndef HW_CAPTURE_CONTRIBUTION_MATH_H
#define HW_CAPTURE_CONTRIBUTION_MATH_H

#include "engine/engine.h"

/* One layer's view of a query row. */
typedef struct hw__row {
    const float *heads;  /* [H, stride] softmax weights, columns 0..n_keys-1 */
    size_t stride;       /* floats from head to head */
    size_t n_keys;       /* q + 1 */
    const float *before; /* [D] x */
    const float *added;  /* [D] a */
    const float *mixed;  /* [D] o, for the post-norm's rms */
    const float *factor; /* [H d] factors of the heads' outputs before W_O; NULL: none */
} hw__row;

/* Scratch for one layer after another. Zero-initialised. */
typedef struct hw__contribution_scratch {
    float *direction; /* [n, D] filled by the caller */
    float *projected; /* [n, H d] */
    float *query;     /* [H_kv, n H/H_kv, d] */
    float *partial;   /* [n H/H_kv, taps, BLOCK] */
    float *gathered;  /* [columns at once, d] values of one KV head, for the vector measures */
    float *vectors;   /* [taps, H, columns at once, D] */
    double *stream;   /* [3, D] of one row */
    size_t n, n_embd, n_vectors, width, n_partial; /* what it was made for: directions, D, taps H, H d, floats of met */
} hw__contribution_scratch;
/* Enlarges the scratch for n directions (at least one) and these values, and starts BLAS. Rows with factors need one
 * direction for each product. */
hw_err hw__contribution_scratch_fit(hw__contribution_scratch *scratch, size_t n, size_t n_embd,
                                    const hw__values *values, hw_error *err);
void hw__contribution_scratch_free(hw__contribution_scratch *scratch);

/* A dot product of a row with a direction: out[k] = `with` times attention's part of <T[q,k], z>, for k below the row's
 * n_keys. Several products may share a direction, which is projected once, and several may share a row, whose heads are
 * read once. */
typedef struct hw__dot_product {
    const hw__row *row;
    size_t direction; /* index into scratch.direction */
    float scale;      /* overwritten */
    float *out;       /* [n_keys] */
} hw__dot_product;

/* Computes the n products of a layer, those of a row adjacent, with scratch.direction [n_directions, D], which is
 * overwritten. */
void hw__contribution_linear(hw__dot_product *dot_products, size_t n, size_t n_directions, const hw__values *values,
                             size_t n_embd, const hw__contribution_scratch *scratch);

/* Where norm and proximity p=1 and p=2 of a row go: each [n_keys] or NULL, scaled to sum to 1. */
typedef struct hw__lengths {
    const hw__row *row;
    float *norm, *proximity1, *proximity2;
} hw__lengths;

/* Computes the n rows of a layer. */
void hw__contribution_vectors(const hw__lengths *rows, size_t n, const hw__values *values, size_t n_embd,
                              const hw__contribution_scratch *scratch);

/* scale * (1/rms(o) after a post-norm): the factor s_q of a row. */
double hw__row_scale(const hw__row *row, const hw__values *values, size_t n_embd);

#endif
