/* block_triangular.c - see block_triangular.h. */
#include "math/block_triangular.h"

#include <stdlib.h>

/* Columns per product at the diagonal: few, so that little of the zero part is multiplied. */
enum { STEP = 32 };

static size_t n_blocks(const hw__shape *s) { return (s->n_rows + HW__LEVEL_ROWS - 1) / HW__LEVEL_ROWS; }

/* One past the last row of the block that begins at row `first`. */
static size_t block_end(const hw__shape *s, size_t first) {
    return s->n_rows - first < HW__LEVEL_ROWS ? s->n_rows : first + HW__LEVEL_ROWS;
}

hw_err hw__shape_new(hw__shape *out, size_t *reach, size_t n_rows, size_t n_columns, hw_error *err) {
    hw__shape s = {.n_rows = n_rows, .n_columns = n_columns, .reach = reach};
    hw_err rc = hw__blas_start(err);
    if (rc != HW_OK) return rc;
    s.begin = hw__alloc(n_blocks(&s) + 1, sizeof *s.begin);
    if (!s.begin) return hw__fail_memory(err, "rollout", n_blocks(&s) + 1, sizeof *s.begin);
    for (size_t b = 0; b < n_blocks(&s); b++) {
        size_t first = b * HW__LEVEL_ROWS, end = block_end(&s, first), cells;
        if (!hw__mul(&cells, end - first, reach[end - 1]) || !hw__add(&s.begin[b + 1], s.begin[b], cells)) {
            free(s.begin);
            return hw__fail_memory(err, "rollout", n_rows, n_columns * sizeof(float));
        }
    }
    *out = s;
    return HW_OK;
}

void hw__shape_free(hw__shape *shape) {
    free(shape->reach);
    free(shape->begin);
}

size_t hw__shape_size(const hw__shape *shape) { return shape->begin[n_blocks(shape)]; }

double hw__shape_work(const hw__shape *shape, bool causal) {
    double below = 0, work = 0;
    for (size_t q = 0; q < shape->n_rows; q++) work += below += (double)shape->reach[q];
    return causal ? work : (double)shape->n_rows * below;
}

float *hw__level_new(const hw__shape *shape) { return hw__alloc(hw__shape_size(shape), sizeof(float)); }

hw__part hw__level_row(const hw__shape *shape, float *level, size_t q) {
    size_t b = q / HW__LEVEL_ROWS, first = b * HW__LEVEL_ROWS, width = shape->reach[block_end(shape, first) - 1];
    return (hw__part){level + shape->begin[b] + (q - first) * width, width};
}

static hw__part moved(hw__part p, size_t row, size_t column) {
    return (hw__part){p.cells + row * p.stride + column, p.stride};
}

static size_t limit(size_t v, size_t low, size_t high) { return v < low ? low : v > high ? high : v; }

/* Rows [k0, k1) of a block: first the columns that all of them have, then the rest in steps, each from the first row
 * that has the column. */
static void multiply_block(hw__part c, hw__part w, size_t n, size_t k0, size_t k1, const hw__shape *s, hw__part rows,
                           size_t begin, size_t end, bool adds) {
    size_t left = limit(s->reach[k0], begin, end), right = limit(s->reach[k1 - 1], begin, end);
    if (right - left <= STEP) left = right;
    hw__matmul_part(moved(c, 0, begin), moved(w, 0, k0), moved(rows, 0, begin), n, k1 - k0, left - begin, adds);
    for (size_t c0 = left, k = k0; c0 < right; c0 += STEP) {
        while (s->reach[k] <= c0) k++;
        hw__matmul_part(moved(c, 0, c0), moved(w, 0, k), moved(rows, k - k0, c0), n, k1 - k,
                        limit(c0 + STEP, c0, right) - c0, adds);
    }
}

/* Starts at the last block, which is the widest: it sets every column, the others add to it. */
void hw__level_multiply(hw__part c, hw__part w, size_t n, size_t depth, const hw__shape *shape, float *level,
                        size_t begin, size_t end) {
    size_t last = (depth - 1) / HW__LEVEL_ROWS;
    for (size_t b = last + 1; b-- > 0;) {
        size_t k0 = b * HW__LEVEL_ROWS, k1 = limit(depth, k0, k0 + HW__LEVEL_ROWS);
        if (shape->reach[k1 - 1] <= begin) return;
        multiply_block(c, w, n, k0, k1, shape, hw__level_row(shape, level, k0), begin, end, b < last);
    }
}

/* Columns per thread iteration: many, since each iteration copies w again, and few enough that all threads have
 * work. */
static size_t turn(size_t width) { return width >= 2048 ? 512 : width >= 512 ? 256 : 128; }

void hw__level_multiply_shared(hw__part c, hw__part w, size_t n, size_t depth, const hw__shape *shape, float *level) {
    size_t width = shape->reach[depth - 1], step = turn(width);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t begin = 0; begin < width; begin += step)
        hw__level_multiply(c, w, n, depth, shape, level, begin, limit(begin + step, begin, width));
}
