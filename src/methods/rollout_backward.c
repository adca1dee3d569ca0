/* rollout_backward.c - see rollout_backward.h. */
#include "methods/rollout_backward.h"

#include "methods/method.h"

#include <stdlib.h>
#include <string.h>

static hw_err shape_of_layer(hw__block_layout *out, size_t n_tokens, bool causal, hw_error *err) {
    size_t *row_width = hw__alloc(n_tokens, sizeof *row_width);
    if (!row_width) return hw__fail_memory(err, "rollout", n_tokens, sizeof *row_width);
    for (size_t t = 0; t < n_tokens; t++) row_width[t] = causal ? t + 1 : n_tokens;
    hw_err rc = hw__block_layout_new(out, row_width, n_tokens, n_tokens, err);
    if (rc != HW_OK) free(row_width);
    return rc;
}

hw_err hw__rollout_backward_new(hw__rollout_backward *c, size_t n_rows, size_t n_tokens, bool causal, hw_error *err) {
    *c = (hw__rollout_backward){.n_rows = n_rows};
    hw_err rc = shape_of_layer(&c->shape, n_tokens, causal, err);
    if (rc != HW_OK) return rc;
    c->layer = hw__blocks_new(&c->shape);
    c->v = hw__alloc(n_rows, n_tokens * sizeof *c->v);
    c->next = hw__alloc(n_rows, n_tokens * sizeof *c->next);
    if (c->layer && c->v && c->next) return HW_OK;
    hw__rollout_backward_free(c);
    return hw__fail_memory(err, "rollout", 2 * n_rows + n_tokens / 2, n_tokens * sizeof(float));
}

void hw__rollout_backward_free(hw__rollout_backward *c) {
    hw__block_layout_free(&c->shape);
    free(c->layer);
    free(c->v);
    free(c->next);
}

/* Cells that a row does not have stay zero. */
static void read_layer(hw__rollout_backward *c, const hw__layer_matrix *matrix, size_t l) {
#pragma omp parallel for schedule(dynamic, HW__BLOCK_ROWS)
    for (size_t q = 0; q < c->shape.n_rows; q++)
        hw__layer_matrix_row(hw__block_row(&c->shape, c->layer, q).cells, matrix, l, q);
}

void hw__rollout_backward_push(hw__rollout_backward *c, const hw_attribution *a, const hw__layer_matrix *matrix,
                               size_t l, size_t first, size_t begin) {
    size_t n = c->shape.n_rows;
    read_layer(c, matrix, l);
    for (size_t r = first; r < begin; r++) {
        size_t q = hw__query_row(a, r % a->n_rows), row_width = c->shape.row_width[q];
        float *to = c->next + r * n;
        memcpy(to, hw__block_row(&c->shape, c->layer, q).cells, row_width * sizeof *to);
        memset(to + row_width, 0, (n - row_width) * sizeof *to);
    }
    if (begin < c->n_rows)
        hw__blocks_multiply_shared((hw__part){c->next + begin * n, n}, (hw__part){c->v + begin * n, n},
                                   c->n_rows - begin, n, &c->shape, c->layer);
    float *done = c->next;
    c->next = c->v;
    c->v = done;
}
