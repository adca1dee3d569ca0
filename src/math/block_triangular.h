/*
 * block_triangular.h - block lower-triangular matrices: R of one layer, and the layer transition matrix Â_l itself.
 *
 * In a causal model row q of R is zero in columns to which no token up to q belongs. So rows are stored in blocks of
 * HW__BLOCK_ROWS, each as wide as its last row: about half of [T, C]. Products skip what is not stored, and at the
 * diagonal most of what is stored but zero.
 */
#ifndef HW_MATH_BLOCK_TRIANGULAR_H
#define HW_MATH_BLOCK_TRIANGULAR_H

#include "base/error.h"
#include "math/blas.h"

enum { HW__BLOCK_ROWS = 256 };

/* The layout that all matrices of one rollout share. */
typedef struct hw__block_layout {
    size_t n_rows, n_columns; /* T, C */
    size_t *row_width;        /* [T] row q is zero from this column on; ascending */
    size_t *begin;            /* [n_blocks + 1] offset of each block, in floats */
} hw__block_layout;

/* Takes over `row_width` (malloc'd) on success. Starts BLAS, so that products can follow. */
hw_err hw__block_layout_new(hw__block_layout *out, size_t *row_width, size_t n_rows, size_t n_columns, hw_error *err);
void hw__block_layout_free(hw__block_layout *shape);
/* Floats of one matrix. */
size_t hw__block_layout_size(const hw__block_layout *shape);
/* Multiplications of the product of lower-triangular [T, T] weights (all of [T, T] if not causal) with a matrix. */
double hw__block_layout_work(const hw__block_layout *shape, bool causal);

/* A zeroed matrix; free with free(). NULL when memory runs out. */
float *hw__blocks_new(const hw__block_layout *shape);
/* Row q: hw__block_layout.row_width[q] floats at `cells`, the remaining ones are zero; the next row of its block is
 * `stride` floats further. */
hw__part hw__block_row(const hw__block_layout *shape, float *level, size_t q);

/* c [n, ...] = w [n, depth] times the first `depth` rows of a matrix. Columns beyond the width of row depth - 1 are
 * left unchanged. */
void hw__blocks_multiply(hw__part c, hw__part w, size_t n, size_t depth, const hw__block_layout *shape, float *level);
/* The same, columns shared between the machine's threads. */
void hw__blocks_multiply_shared(hw__part c, hw__part w, size_t n, size_t depth, const hw__block_layout *shape,
                                float *level);

#endif
