/* fold.c - see fold.h. */
#include "fold.h"

#include "method.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#include <stdlib.h>
#include <string.h>

/* Rows folded by one product: enough for BLAS to run at full speed, few enough that little of the upper triangle of weights
 * is multiplied in vain. Blocks of a level are whole multiples. */
enum { ROWS = 64 };

#ifndef _OPENMP
static int omp_get_max_threads(void) { return 1; }
static int omp_get_thread_num(void) { return 0; }
#endif

/* In a causal model row k sees no token after k, so no column first reached by a later one. */
static void fill_reach(size_t *reach, const hw_run *run, const hw_method_params *p, size_t n_rows, size_t n_columns) {
    size_t most = 1;
    for (size_t t = 0; t < n_rows; t++) {
        size_t column = (size_t)(hw__column(p, run, t) + 1);
        if (column + 1 > most) most = column + 1;
        reach[t] = run->causal ? most : n_columns;
    }
}

hw_err hw__fold_new(hw__fold *f, const hw_run *run, const hw_method_params *p, size_t n_rows, hw_error *err) {
    size_t n_columns = hw__n_columns(p, run) + 1, n_threads = (size_t)omp_get_max_threads();
    size_t *reach = hw__alloc(n_rows, sizeof *reach);
    if (!reach) return hw__fail_memory(err, "rollout", n_rows, sizeof *reach);
    fill_reach(reach, run, p, n_rows, n_columns);
    *f = (hw__fold){.causal = run->causal, .n_threads = n_threads};
    hw_err rc = hw__shape_new(&f->shape, reach, n_rows, n_columns, err);
    if (rc != HW_OK) {
        free(reach);
        return rc;
    }
    f->weights = hw__alloc(n_threads * ROWS, n_rows * sizeof *f->weights);
    if (f->weights) return HW_OK;
    hw__fold_free(f);
    return hw__fail_memory(err, "rollout", n_threads * ROWS, n_rows * sizeof(float));
}

void hw__fold_free(hw__fold *f) {
    hw__shape_free(&f->shape);
    free(f->weights);
}

void hw__fold_start(const hw__fold *f, float *zero, const hw_run *run, const hw_method_params *p) {
    for (size_t t = 0; t < f->shape.n_rows; t++) hw__level_row(&f->shape, zero, t).cells[hw__column(p, run, t) + 1] = 1;
}

/* Rows q0.. of Â_l, `depth` columns each. */
static hw__part read_weights(float *w, const hw__mixing *mixing, size_t l, size_t q0, size_t n, size_t depth) {
    for (size_t i = 0; i < n; i++) {
        float *row = w + i * depth;
        size_t n_keys = hw__mixing_row(row, mixing, l, q0 + i);
        memset(row + n_keys, 0, (depth - n_keys) * sizeof *row);
    }
    return (hw__part){w, depth};
}

static size_t depth_of(const hw__fold *f, size_t end) { return f->causal ? end : f->shape.n_rows; }

/* Where the block of rows ends that begins at `q0`. */
static size_t block_end(size_t q0, size_t end) {
    size_t whole = (q0 / ROWS + 1) * ROWS;
    return whole < end ? whole : end;
}

/* Few rows, one block: the threads share the columns. */
static void fold_few(const hw__fold *f, float *next, float *prev, const hw__mixing *mixing, size_t l, size_t begin,
                     size_t end) {
    size_t depth = depth_of(f, end);
    hw__part w = read_weights(f->weights, mixing, l, begin, end - begin, depth);
    hw__level_multiply_shared(hw__level_row(&f->shape, next, begin), w, end - begin, depth, &f->shape, prev);
}

static void fold_block(const hw__fold *f, float *next, float *prev, const hw__mixing *mixing, size_t l, size_t begin,
                       size_t end) {
    size_t depth = depth_of(f, end);
    float *room = f->weights + (size_t)omp_get_thread_num() * ROWS * f->shape.n_rows;
    hw__part w = read_weights(room, mixing, l, begin, end - begin, depth);
    hw__level_multiply(hw__level_row(&f->shape, next, begin), w, end - begin, depth, &f->shape, prev, 0,
                       f->shape.n_columns);
}

void hw__fold_rows(const hw__fold *f, float *next, float *prev, const hw__mixing *mixing, size_t l, size_t begin,
                   size_t end) {
    if (begin >= end) return;
    size_t first = begin / ROWS, last = (end - 1) / ROWS;
    if (first == last) {
        fold_few(f, next, prev, mixing, l, begin, end);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)f->n_threads)
    for (size_t i = 0; i <= last - first; i++) { /* the longest first */
        size_t q0 = (last - i) * ROWS < begin ? begin : (last - i) * ROWS;
        fold_block(f, next, prev, mixing, l, q0, block_end(q0, end));
    }
}

void hw__fold_put(hw_attribution *a, size_t i, const hw__part *rows) {
    enum { COLUMNS = 16 }; /* of a cache line */
    size_t L = a->n_layers;
    float *to = a->values + i * a->n_columns * L;
    for (size_t l = 0; l < L; l++) a->outside[i * L + l] = rows[l].cells[0];
    for (size_t first = 0; first < a->n_columns; first += COLUMNS)
        for (size_t l = 0; l < L; l++) {
            size_t width = rows[l].stride - 1, end = first + COLUMNS < width ? first + COLUMNS : width;
            for (size_t k = first; k < end && k < a->n_columns; k++) to[k * L + l] = rows[l].cells[1 + k];
        }
}
