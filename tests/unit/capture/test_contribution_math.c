/*
 * test_contribution_math.c - the measures against worked numbers (methods.md 6.10), a brute-force sum over heads and
 * columns written here, and identities that hold for any input.
 */
#include "support/fixture.h"

#include "capture/contribution_math.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One head of size 2, W_O = 1: what a column adds is its weight times its value. */
typedef struct tiny {
    float v[2 * 3], wo[4], heads[3], before[2], added[2];
} tiny;

static hw__values tiny_values(tiny *t, const float parts[3][2]) {
    static const float identity[4] = {1, 0, 0, 1};
    memcpy(t->wo, identity, sizeof identity);
    memset(t->added, 0, sizeof t->added);
    for (int k = 0; k < 3; k++) {
        t->heads[k] = 0.25f;
        for (int d = 0; d < 2; d++) {
            t->v[d * 3 + k] = parts[k][d] * 4;
            t->added[d] += parts[k][d];
        }
    }
    return (hw__values){
        .v = t->v, .wo = t->wo, .scale = 1, .n_heads = 1, .n_heads_kv = 1, .head_size = 2, .n_tokens = 3};
}

static hw__row tiny_row(const tiny *t) {
    return (hw__row){
        .heads = t->heads, .stride = 3, .n_keys = 3, .before = t->before, .added = t->added, .mixed = t->added};
}

static void proximity_of_the_worked_examples(void **state) {
    (void)state;
    static const struct {
        float before[2], parts[3][2];
        double shares[3]; /* the last is the residual's: column 2 is the query itself */
    } cases[] = {
        {{2, 1}, {{1, 1}, {-1, 0}, {0, 0}}, {.43613, 0, .56387}},
        {{1, 1}, {{1, 1}, {2, 2}, {0, 0}}, {.25, .5, .25}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tiny t;
        float got[3];
        hw__values values = tiny_values(&t, cases[c].parts);
        memcpy(t.before, cases[c].before, sizeof t.before);
        hw__row row = tiny_row(&t);
        hw__contribution_scratch capacity = {0};
        assert_int_equal(hw__contribution_scratch_fit(&capacity, 1, 2, &values, NULL), HW_OK);
        hw__contribution_vectors(&(hw__lengths){.row = &row, .proximity2 = got}, 1, &values, 2, &capacity);
        for (int k = 0; k < 3; k++) assert_close(got[k], cases[c].shares[k], 5e-6); /* five digits are given */
        hw__contribution_scratch_free(&capacity);
    }
}

/* ------------------------------------------------------------------ against brute force */

enum { D = 22, H = 4, KV = 2, SIZE = 3, T = 7, ROWS = 2 };

typedef struct block {
    float v[KV * SIZE * T], wo[D * H * SIZE], gain[D], heads[ROWS][H * T], before[ROWS][D], added[ROWS][D],
        mixed[ROWS][D];
} block;

static void fill(float *to, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) to[i] = (float)(2 * unit(mix(seed * 1000 + i)) - 1);
}

/* o of a row before gain and scale, from column k alone. */
static void part(double out[D], const block *b, int row, int k) {
    for (int d = 0; d < D; d++) {
        out[d] = 0;
        for (int h = 0; h < H; h++)
            for (int c = 0; c < SIZE; c++)
                out[d] += (double)b->heads[row][h * T + k] * b->wo[d * H * SIZE + h * SIZE + c] *
                          b->v[(h / (H / KV) * SIZE + c) * T + k];
    }
}

static void make_block(block *b, hw__values *values, hw__row rows[ROWS], bool post_norm) {
    fill(b->v, sizeof b->v / sizeof(float), 1);
    fill(b->wo, sizeof b->wo / sizeof(float), 2);
    fill(b->gain, D, 3);
    fill(b->heads[0], sizeof b->heads / sizeof(float), 4);
    fill(b->before[0], sizeof b->before / sizeof(float), 5);
    *values = (hw__values){.v = b->v,
                           .wo = b->wo,
                           .gain = post_norm ? b->gain : NULL,
                           .norm = post_norm ? HW__NORM_RMS : HW__NORM_NONE,
                           .eps = 1e-6f,
                           .scale = 0.5f,
                           .n_heads = H,
                           .n_heads_kv = KV,
                           .head_size = SIZE,
                           .n_tokens = T};
    for (int r = 0; r < ROWS; r++) {
        int n_keys = T - 1 + r;
        double sum[D] = {0}, one[D], squares = 0;
        for (int k = 0; k < n_keys; k++) {
            part(one, b, r, k);
            for (int d = 0; d < D; d++) sum[d] += one[d];
        }
        for (int d = 0; d < D; d++) squares += sum[d] * sum[d];
        double scale = values->scale * (post_norm ? 1 / sqrt(squares / D + values->eps) : 1);
        for (int d = 0; d < D; d++) {
            b->mixed[r][d] = (float)sum[d];
            b->added[r][d] = (float)(sum[d] * scale * (post_norm ? b->gain[d] : 1));
        }
        rows[r] = (hw__row){.heads = b->heads[r],
                            .stride = T,
                            .n_keys = (size_t)n_keys,
                            .before = b->before[r],
                            .added = b->added[r],
                            .mixed = b->mixed[r]};
    }
}

static void linear_is_the_sum_over_heads(void **state) {
    (void)state;
    static const float with[ROWS] = {1, 0.25f};
    for (int i = 0; i < 4; i++) {
        bool post_norm = i & 1, shared = i & 2;
        block b;
        hw__values values;
        hw__row rows[ROWS];
        make_block(&b, &values, rows, post_norm);
        float z[ROWS * D], got[ROWS][T];
        fill(z, ROWS * D, 6);
        for (int d = 0; shared && d < D; d++) z[D + d] = z[d] * with[1];
        hw__contribution_scratch capacity = {0};
        assert_int_equal(hw__contribution_scratch_fit(&capacity, ROWS, D, &values, NULL), HW_OK);
        memcpy(capacity.direction, z, sizeof z);
        hw__dot_product meetings[ROWS];
        for (size_t r = 0; r < ROWS; r++)
            meetings[r] = (hw__dot_product){&rows[r], shared ? 0 : r, shared ? with[r] : 1, got[r]};
        hw__contribution_linear(meetings, ROWS, shared ? 1 : ROWS, &values, D, &capacity);
        for (int r = 0; r < ROWS; r++) {
            double scale = hw__row_scale(&rows[r], &values, D), total = 0, whole = 0;
            for (size_t k = 0; k < rows[r].n_keys; k++) {
                double one[D], want = 0;
                part(one, &b, r, (int)k);
                for (int d = 0; d < D; d++) want += one[d] * scale * (post_norm ? b.gain[d] : 1) * z[r * D + d];
                assert_close(got[r][k], want, 2e-6); /* float sums of at most 36 terms below 1 */
                total += got[r][k];
            }
            for (int d = 0; d < D; d++) whole += (double)b.added[r][d] * z[r * D + d];
            assert_close(total, whole, 5e-6); /* no bias: the columns are all there is */
        }
        hw__contribution_scratch_free(&capacity);
    }
}

/* Values of three parts: part i of token k belongs to the value of token k + i. */
enum { TAPS = 3 };
static void tapped_part(double out[D], const block *b, const float *v, const hw__row *row, int k) {
    for (int d = 0; d < D; d++) {
        out[d] = 0;
        for (int i = 0; i < TAPS && k + i < (int)row->n_keys; i++)
            for (int h = 0; h < H; h++)
                for (int c = 0; c < SIZE; c++)
                    out[d] += (double)row->heads[h * T + k + i] * b->wo[d * H * SIZE + h * SIZE + c] *
                              v[((i * KV + h / (H / KV)) * SIZE + c) * T + k];
    }
}

static void parts_of_values_count_for_their_tokens(void **state) {
    (void)state;
    block b;
    hw__values values;
    hw__row rows[ROWS];
    float v[TAPS * KV * SIZE * T], z[ROWS * D], got[ROWS][T], norm[ROWS][T], factor[ROWS][H * SIZE];
    make_block(&b, &values, rows, false);
    fill(v, sizeof v / sizeof *v, 11);
    fill(z, ROWS * D, 12);
    fill(factor[0], sizeof factor / sizeof(float), 13);
    values.v = v;
    values.n_taps = TAPS;
    for (int gated = 0; gated < 2; gated++) {
        hw__contribution_scratch capacity = {0};
        assert_int_equal(hw__contribution_scratch_fit(&capacity, ROWS, D, &values, NULL), HW_OK);
        memcpy(capacity.direction, z, sizeof z);
        hw__dot_product products[ROWS];
        hw__lengths list[ROWS];
        for (size_t r = 0; r < ROWS; r++) {
            rows[r].factor = gated ? factor[r] : NULL;
            products[r] = (hw__dot_product){&rows[r], r, 1, got[r]};
            list[r] = (hw__lengths){&rows[r], norm[r], NULL, NULL};
        }
        hw__contribution_linear(products, ROWS, ROWS, &values, D, &capacity);
        hw__contribution_vectors(list, ROWS, &values, D, &capacity);
        for (int r = 0; r < ROWS; r++) {
            block scaled = b; /* a factor of a channel is one of the projection's column */
            double lengths[T], all = 0;
            for (int d = 0; gated && d < D; d++)
                for (int c = 0; c < H * SIZE; c++) scaled.wo[d * H * SIZE + c] *= factor[r][c];
            for (size_t k = 0; k < rows[r].n_keys; k++) {
                double one[D], want = 0, squares = 0;
                tapped_part(one, &scaled, v, &rows[r], (int)k);
                for (int d = 0; d < D; d++) {
                    want += one[d] * values.scale * z[r * D + d];
                    squares += one[d] * one[d] * values.scale * values.scale;
                }
                assert_close(got[r][k], want, 4e-6);
                lengths[k] = sqrt(squares);
                all += lengths[k];
            }
            for (size_t k = 0; k < rows[r].n_keys; k++) assert_close(norm[r][k], lengths[k] / all, 1e-6);
        }
        hw__contribution_scratch_free(&capacity);
    }
}

/* Columns before the first one that any row weights are not read, and give nothing. */
static void columns_without_weight_are_not_read(void **state) {
    (void)state;
    enum { FROM = T / 2 };
    block b;
    hw__values values;
    hw__row rows[ROWS];
    float z[ROWS * D], want[4][ROWS][T], got[4][ROWS][T];
    hw__recurrent layer = {.begin = FROM};
    make_block(&b, &values, rows, false);
    fill(z, ROWS * D, 12);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t h = 0; h < H; h++) memset(b.heads[r] + h * T, 0, FROM * sizeof(float));
    for (int unread = 0; unread < 2; unread++) {
        hw__contribution_scratch capacity = {0};
        float(*out)[ROWS][T] = unread ? got : want;
        assert_int_equal(hw__contribution_scratch_fit(&capacity, ROWS, D, &values, NULL), HW_OK);
        memcpy(capacity.direction, z, sizeof z);
        hw__dot_product products[ROWS];
        hw__lengths list[ROWS];
        for (size_t r = 0; r < ROWS; r++) {
            products[r] = (hw__dot_product){&rows[r], r, 1, out[0][r]};
            list[r] = (hw__lengths){&rows[r], out[1][r], out[2][r], out[3][r]};
        }
        values.recurrent = unread ? &layer : NULL;
        for (size_t c = 0; unread && c < KV * SIZE; c++)
            for (size_t k = 0; k < FROM; k++) values.v[c * T + k] = NAN;
        hw__contribution_linear(products, ROWS, ROWS, &values, D, &capacity);
        hw__contribution_vectors(list, ROWS, &values, D, &capacity);
        hw__contribution_scratch_free(&capacity);
    }
    for (size_t i = 0; i < 4; i++)
        for (size_t r = 0; r < ROWS; r++)
            for (size_t k = 0; k < rows[r].n_keys; k++) {
                assert_close(got[i][r][k], want[i][r][k], 1e-6);
                if (k < FROM) assert_true(got[i][r][k] == 0);
            }
}

static void vectors_are_measured_whole(void **state) {
    (void)state;
    block b;
    hw__values values;
    hw__row rows[ROWS];
    make_block(&b, &values, rows, true);
    hw__contribution_scratch capacity = {0};
    assert_int_equal(hw__contribution_scratch_fit(&capacity, 1, D, &values, NULL), HW_OK);
    float norm[ROWS][T], one[ROWS][T];
    hw__lengths list[ROWS];
    for (int r = 0; r < ROWS; r++) list[r] = (hw__lengths){&rows[r], norm[r], r ? one[r] : NULL, NULL};
    hw__contribution_vectors(list, ROWS, &values, D, &capacity);
    for (int r = 0; r < ROWS; r++) {
        double scale = hw__row_scale(&rows[r], &values, D), want[T], want_one[T], total = 0, total_one = 0, length = 0;
        int n_keys = (int)rows[r].n_keys;
        for (int d = 0; d < D; d++) length += fabs((double)b.before[r][d] + b.added[r][d]);
        for (int k = 0; k < n_keys; k++) {
            double p[D], squares = 0, rest = 0;
            part(p, &b, (size_t)r, k);
            for (int d = 0; d < D; d++) {
                double t = p[d] * scale * b.gain[d];
                squares += t * t;
                rest += fabs(b.added[r][d] - t + (k == n_keys - 1 ? 0 : b.before[r][d]));
            }
            total += want[k] = sqrt(squares);
            total_one += want_one[k] = fmax(0, length - rest);
        }
        for (int k = 0; k < n_keys; k++) {
            assert_close(norm[r][k], want[k] / total, 2e-6);
            if (r) assert_close(one[r][k], want_one[k] / total_one, 5e-6);
        }
    }
    hw__contribution_scratch_free(&capacity);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proximity_of_the_worked_examples),
        cmocka_unit_test(linear_is_the_sum_over_heads),
        cmocka_unit_test(parts_of_values_count_for_their_tokens),
        cmocka_unit_test(columns_without_weight_are_not_read),
        cmocka_unit_test(vectors_are_measured_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
