/* mean_output.c - see mean_output.h. */
#include "engine/llama/file/mean_output.h"

#include "base/background.h"
#include "base/parallel_for.h"
#include "math/simd.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The rows are summed in this many parts; a constant, so that the result does not depend on the threads. */
enum { PARTS = 32, ROWS = 64 };

typedef struct mean_sum {
    const hw__gguf *file;
    hw__gguf_matrix matrix;
    double *sums; /* [PARTS, width] */
    atomic_bool stopped;
} mean_sum;

struct hw__mean_output {
    mean_sum sum;
    hw__background thread;
    hw_err rc;
    float *mean; /* [width] */
};

static hw_err sum_part(void *ctx, size_t part, hw_error *err) {
    mean_sum *s = ctx;
    size_t width = s->matrix.width, first = part * s->matrix.n_rows / PARTS,
           end = (part + 1) * s->matrix.n_rows / PARTS;
    float *rows = hw__alloc(ROWS, width * sizeof *rows);
    hw_err rc = rows ? HW_OK : hw__fail_memory(err, "the mean output row", ROWS, width * sizeof *rows);
    while (rc == HW_OK && first < end && !atomic_load(&s->stopped)) {
        size_t n = end - first < ROWS ? end - first : ROWS;
        rc = hw__gguf_rows(s->file, rows, (hw__gguf_part){s->matrix.name, first, n, width}, err);
        for (size_t i = 0; rc == HW_OK && i < n; i++) hw__add_floats(s->sums + part * width, rows + i * width, width);
        first += n;
    }
    free(rows);
    return rc;
}

/* n_threads 0: the caller's threads are busy, so the parts are summed on this thread. */
static hw_err make_mean(float **out, mean_sum *s, size_t n_threads, hw_error *err) {
    size_t width = s->matrix.width;
    s->sums = hw__alloc(PARTS, width * sizeof *s->sums);
    float *mean = hw__alloc(width, sizeof *mean);
    hw_err rc = s->sums && mean ? HW_OK : hw__fail_memory(err, "the mean output row", PARTS, width * sizeof *s->sums);
    if (rc == HW_OK && n_threads) rc = hw__parallel_for(PARTS, n_threads, sum_part, s, err);
    for (size_t part = 0; rc == HW_OK && !n_threads && part < PARTS; part++) rc = sum_part(s, part, err);
    for (size_t d = 0; rc == HW_OK && d < width; d++) {
        double sum = 0;
        for (size_t part = 0; part < PARTS; part++) sum += s->sums[part * width + d];
        mean[d] = (float)(sum / (double)s->matrix.n_rows);
    }
    free(s->sums);
    s->sums = NULL;
    if (rc == HW_OK)
        *out = mean;
    else
        free(mean);
    return rc;
}

static void work(void *ctx) {
    hw__mean_output *m = ctx;
    m->rc = make_mean(&m->mean, &m->sum, 0, NULL);
}

hw__mean_output *hw__mean_output_begin(const hw__gguf *file) {
    hw__mean_output *m = hw__alloc(1, sizeof *m);
    if (!m) return NULL;
    m->sum.file = file;
    if (!hw__gguf_output(file, &m->sum.matrix)) {
        free(m);
        return NULL;
    }
    hw__background_start(&m->thread, work, m);
    return m;
}

void hw__mean_output_free(hw__mean_output *m) {
    if (!m) return;
    atomic_store(&m->sum.stopped, true);
    hw__background_wait(&m->thread);
    free(m->mean);
    free(m);
}

hw_err hw__mean_output_take(float **mean, hw__mean_output *begun, const hw__gguf *file, const hw__gguf_matrix *of,
                            size_t n_threads, hw_error *err) {
    const hw__gguf_matrix *summed = begun ? &begun->sum.matrix : NULL;
    if (begun && !strcmp(summed->name, of->name) && summed->n_rows == of->n_rows && summed->width == of->width) {
        hw__background_wait(&begun->thread);
        if (begun->rc == HW_OK && begun->mean) {
            *mean = begun->mean;
            begun->mean = NULL;
            return HW_OK;
        }
    }
    mean_sum sum = {.file = file, .matrix = *of};
    return make_mean(mean, &sum, n_threads ? n_threads : 1, err);
}
