/* rollout_forward.c - see rollout_forward.h. */
#include "methods/rollout_forward.h"

#include "base/parallel_for.h"
#include "methods/method.h"

#include <stdlib.h>
#include <string.h>

/* Rows per product: enough for BLAS to run at full speed, few enough that little of the upper triangle of weights is
 * multiplied and that all threads have work. Independent of the number of threads, since BLAS rounds depending on the
 * shape of a product. Blocks of a matrix are whole multiples of it. Fewer than MIN_SHARED_ROWS rows are one
 * product shared by all threads. */
enum { ROWS = 64, MIN_SHARED_ROWS = 128 };

/* In a causal model row k does not attend to tokens after k, so it is zero in columns whose first token is later. */
static void fill_row_widths(size_t *row_width, const hw_run *run, const hw_method_params *p, size_t n_rows,
                            size_t n_columns) {
    size_t max = 1;
    for (size_t t = 0; t < n_rows; t++) {
        size_t column = (size_t)(hw__column(p, run, t) + 1);
        if (column + 1 > max) max = column + 1;
        row_width[t] = run->causal ? max : n_columns;
    }
}

/* Rows of the weights buffer: a block for each thread, or few rows for all. */
static size_t weight_rows(size_t n_threads) {
    return n_threads * ROWS > MIN_SHARED_ROWS ? n_threads * ROWS : MIN_SHARED_ROWS;
}

hw_err hw__rollout_forward_new(hw__rollout_forward *f, const hw_run *run, const hw_method_params *p, size_t n_rows,
                               hw_error *err) {
    size_t n_columns = hw__n_columns(p, run) + 1, n_threads = (size_t)omp_get_max_threads();
    size_t *row_width = hw__alloc(n_rows, sizeof *row_width);
    if (!row_width) return hw__fail_memory(err, "rollout", n_rows, sizeof *row_width);
    fill_row_widths(row_width, run, p, n_rows, n_columns);
    *f = (hw__rollout_forward){.causal = run->causal, .n_threads = n_threads};
    hw_err rc = hw__block_layout_new(&f->shape, row_width, n_rows, n_columns, err);
    if (rc != HW_OK) {
        free(row_width);
        return rc;
    }
    size_t rows = weight_rows(n_threads);
    f->weights = hw__alloc(rows, n_rows * sizeof *f->weights);
    f->few_rows = hw__alloc(MIN_SHARED_ROWS, n_columns * sizeof *f->few_rows);
    if (f->weights && f->few_rows) return HW_OK;
    hw__rollout_forward_free(f);
    return hw__fail_memory(err, "rollout", rows, (n_rows + n_columns) * sizeof(float));
}

double hw__rollout_forward_bytes(size_t n_rows, size_t n_columns) {
    double weights = (double)weight_rows((size_t)omp_get_max_threads()) * (double)n_rows;
    return (weights + MIN_SHARED_ROWS * (double)n_columns) * sizeof(float);
}

void hw__rollout_forward_free(hw__rollout_forward *f) {
    hw__block_layout_free(&f->shape);
    free(f->weights);
    free(f->few_rows);
}

void hw__rollout_forward_start(const hw__rollout_forward *f, float *zero, const hw_run *run,
                               const hw_method_params *p) {
    for (size_t t = 0; t < f->shape.n_rows; t++) hw__block_row(&f->shape, zero, t).cells[hw__column(p, run, t) + 1] = 1;
}

/* Rows q0.. of Â_l, `depth` columns each. */
static hw__part read_weights(float *w, const hw__layer_matrix *matrix, size_t l, size_t q0, size_t n, size_t depth) {
    for (size_t i = 0; i < n; i++) {
        float *row = w + i * depth;
        size_t n_keys = hw__layer_matrix_row(row, matrix, l, q0 + i);
        memset(row + n_keys, 0, (depth - n_keys) * sizeof *row);
    }
    return (hw__part){w, depth};
}

static size_t depth_of(const hw__rollout_forward *f, size_t end) { return f->causal ? end : f->shape.n_rows; }

/* Fewer rows than blocks for all threads, as a completion's are: they share the columns. The rows may lie in two blocks
 * of the level, so they are put there afterwards. */
static void multiply_few(const hw__rollout_forward *f, float *next, float *prev, const hw__layer_matrix *matrix,
                         hw__layer_rows rows) {
    size_t begin = rows.begin, end = rows.end, depth = depth_of(f, end), n_columns = f->shape.n_columns,
           width = f->shape.row_width[depth - 1];
    hw__part w = read_weights(f->weights, matrix, rows.layer, begin, end - begin, depth);
    hw__blocks_multiply_shared((hw__part){f->few_rows, n_columns}, w, end - begin, depth, &f->shape, prev);
    for (size_t q = begin; q < end; q++) {
        hw__part row = hw__block_row(&f->shape, next, q);
        memcpy(row.cells, f->few_rows + (q - begin) * n_columns,
               (row.stride < width ? row.stride : width) * sizeof *row.cells);
    }
}

static void fold_block(const hw__rollout_forward *f, float *next, float *prev, const hw__layer_matrix *matrix,
                       hw__layer_rows rows) {
    size_t depth = depth_of(f, rows.end), n = rows.end - rows.begin;
    float *scratch = f->weights + (size_t)omp_get_thread_num() * ROWS * f->shape.n_rows;
    hw__part w = read_weights(scratch, matrix, rows.layer, rows.begin, n, depth);
    hw__blocks_multiply(hw__block_row(&f->shape, next, rows.begin), w, n, depth, &f->shape, prev);
}

void hw__rollout_forward_rows(const hw__rollout_forward *f, float *next, float *prev, const hw__layer_matrix *matrix,
                              hw__layer_rows rows) {
    size_t begin = rows.begin, end = rows.end;
    if (begin >= end) return;
    size_t first = begin / ROWS, last = (end - 1) / ROWS;
    if (end - begin < MIN_SHARED_ROWS) {
        multiply_few(f, next, prev, matrix, rows);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)f->n_threads)
    for (size_t i = 0; i <= last - first; i++) { /* the longest rows first */
        size_t q0 = (last - i) * ROWS, q1 = q0 + ROWS;
        fold_block(f, next, prev, matrix, (hw__layer_rows){rows.layer, q0 < begin ? begin : q0, q1 < end ? q1 : end});
    }
}
