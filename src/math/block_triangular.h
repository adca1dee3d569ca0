/*
 * block_triangular.h - matrices whose rows reach no further than later rows do: R of one layer, and Â_l itself.
 *
 * In a causal model row q of R has nothing in columns that no token up to q belongs to. So rows are stored in blocks of
 * HW__LEVEL_ROWS, each as wide as its last row reaches: about half of [T, C]. Products leave out what is not stored, and
 * at the diagonal most of what is stored and zero.
 */
#ifndef HW_MATH_BLOCK_TRIANGULAR_H
#define HW_MATH_BLOCK_TRIANGULAR_H

#include "base/error.h"
#include "math/blas.h"

enum { HW__LEVEL_ROWS = 256 };

/* What the matrices of one rollout have in common. */
typedef struct hw__shape {
    size_t n_rows, n_columns; /* T, C */
    size_t *reach;            /* [T] row q is zero from this column on; rises */
    size_t *begin;            /* [n_blocks + 1] where a block begins, in floats */
} hw__shape;

/* Takes over `reach` (malloc'd) on success. Products can follow: it starts BLAS. */
hw_err hw__shape_new(hw__shape *out, size_t *reach, size_t n_rows, size_t n_columns, hw_error *err);
void hw__shape_free(hw__shape *shape);
/* Floats of one level. */
size_t hw__shape_size(const hw__shape *shape);
/* Multiplications of [T, T] lower-triangular weights with a level (all of [T, T] where rows see later ones). */
double hw__shape_work(const hw__shape *shape, bool causal);

/* A level of zeros; free(). NULL where there is no memory. */
float *hw__level_new(const hw__shape *shape);
/* Row q: hw__shape.reach[q] floats at `cells`, more than that are zero; the next row of its block is `stride` on. */
hw__part hw__level_row(const hw__shape *shape, float *level, size_t q);

/* c [n, ...] = w [n, depth] times the first `depth` rows of a level, columns [begin, end) of it alone. Columns beyond the reach
 * of row depth - 1 are left as they are. */
void hw__level_multiply(hw__part c, hw__part w, size_t n, size_t depth, const hw__shape *shape, float *level,
                        size_t begin, size_t end);
/* All columns, which the machine's threads share. */
void hw__level_multiply_shared(hw__part c, hw__part w, size_t n, size_t depth, const hw__shape *shape, float *level);

#endif
