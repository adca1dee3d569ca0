/* block_triangular.c - see block_triangular.h. */
#include "math/block_triangular.h"

#include <stdlib.h>

/* Columns per product at the diagonal: few, so that little of the zero part is multiplied. */
enum { STEP = 32 };

static size_t n_blocks(const hw__block_layout *s) { return (s->n_rows + HW__BLOCK_ROWS - 1) / HW__BLOCK_ROWS; }

/* One past the last row of the block that begins at row `first`. */
static size_t block_end(const hw__block_layout *s, size_t first) {
    return s->n_rows - first < HW__BLOCK_ROWS ? s->n_rows : first + HW__BLOCK_ROWS;
}

hw_err hw__block_layout_new(hw__block_layout *out, size_t *row_width, size_t n_rows, size_t n_columns, hw_error *err) {
    hw__block_layout s = {.n_rows = n_rows, .n_columns = n_columns, .row_width = row_width};
    hw_err rc = hw__blas_start(err);
    if (rc != HW_OK) return rc;
    s.begin = hw__alloc(n_blocks(&s) + 1, sizeof *s.begin);
    if (!s.begin) return hw__fail_memory(err, "rollout", n_blocks(&s) + 1, sizeof *s.begin);
    for (size_t b = 0; b < n_blocks(&s); b++) {
        size_t first = b * HW__BLOCK_ROWS, end = block_end(&s, first), cells;
        if (!hw__mul(&cells, end - first, row_width[end - 1]) || !hw__add(&s.begin[b + 1], s.begin[b], cells)) {
            free(s.begin);
            return hw__fail_memory(err, "rollout", n_rows, n_columns * sizeof(float));
        }
    }
    *out = s;
    return HW_OK;
}

void hw__block_layout_free(hw__block_layout *shape) {
    free(shape->row_width);
    free(shape->begin);
}

size_t hw__block_layout_size(const hw__block_layout *shape) { return shape->begin[n_blocks(shape)]; }

double hw__block_layout_work(const hw__block_layout *shape, bool causal) {
    double below = 0, work = 0;
    for (size_t q = 0; q < shape->n_rows; q++) work += below += (double)shape->row_width[q];
    return causal ? work : (double)shape->n_rows * below;
}

float *hw__blocks_new(const hw__block_layout *shape) { return hw__alloc(hw__block_layout_size(shape), sizeof(float)); }

hw__part hw__block_row(const hw__block_layout *shape, float *level, size_t q) {
    size_t b = q / HW__BLOCK_ROWS, first = b * HW__BLOCK_ROWS, width = shape->row_width[block_end(shape, first) - 1];
    return (hw__part){level + shape->begin[b] + (q - first) * width, width};
}

static hw__part moved(hw__part p, size_t row, size_t column) {
    return (hw__part){p.cells + row * p.stride + column, p.stride};
}

static size_t limit(size_t v, size_t low, size_t high) { return v < low ? low : v > high ? high : v; }

/* c [n, ...] = w [n, depth] times the first rows of a matrix, columns [begin, end) only. */
typedef struct product {
    hw__part c, w;
    size_t n, depth, begin, end;
    const hw__block_layout *s;
} product;

/* Rows [k0, k1) of a block: first the columns that all of them have, then the rest in steps, each from the first row
 * that has the column. */
static void multiply_block(const product *p, hw__part rows, size_t k0, size_t k1, bool adds) {
    const size_t *row_width = p->s->row_width;
    size_t left = limit(row_width[k0], p->begin, p->end), right = limit(row_width[k1 - 1], p->begin, p->end);
    if (right - left <= STEP) left = right;
    hw__matmul_part(moved(p->c, 0, p->begin), moved(p->w, 0, k0), moved(rows, 0, p->begin),
                    (hw__matmul_size){p->n, k1 - k0, left - p->begin}, adds);
    for (size_t c0 = left, k = k0; c0 < right; c0 += STEP) {
        while (row_width[k] <= c0) k++;
        hw__matmul_part(moved(p->c, 0, c0), moved(p->w, 0, k), moved(rows, k - k0, c0),
                        (hw__matmul_size){p->n, k1 - k, limit(c0 + STEP, c0, right) - c0}, adds);
    }
}

/* Starts at the last block, which is the widest: it sets every column, the others add to it. */
static void multiply_columns(const product *p, float *level) {
    size_t last = (p->depth - 1) / HW__BLOCK_ROWS;
    for (size_t b = last + 1; b-- > 0;) {
        size_t k0 = b * HW__BLOCK_ROWS, k1 = limit(p->depth, k0, k0 + HW__BLOCK_ROWS);
        if (p->s->row_width[k1 - 1] <= p->begin) return;
        multiply_block(p, hw__block_row(p->s, level, k0), k0, k1, b < last);
    }
}

void hw__blocks_multiply(hw__part c, hw__part w, size_t n, size_t depth, const hw__block_layout *shape, float *level) {
    multiply_columns(&(product){.c = c, .w = w, .n = n, .depth = depth, .end = shape->n_columns, .s = shape}, level);
}

void hw__blocks_multiply_shared(hw__part c, hw__part w, size_t n, size_t depth, const hw__block_layout *shape,
                                float *level) {
    size_t width = shape->row_width[depth - 1];
    /* Many columns per iteration, since each copies w again; few enough that all threads have work. */
    size_t step = width >= 2048 ? 512 : width >= 512 ? 256 : 128;
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t begin = 0; begin < width; begin += step)
        multiply_columns(&(product){c, w, n, depth, begin, limit(begin + step, begin, width), shape}, level);
}
