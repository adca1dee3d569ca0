/*
 * test_head_fusion.c - heads to one row, against plain sums in double; rows that are not a softmax are named, with any
 * number of threads.
 */
#include "base/splitmix64.h"
#include "capture/head_fusion.h"
#include "support/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEADS = 7, ROWS = 300, GAP = 3, WIDTH = ROWS + GAP };

static float attn[HEADS][ROWS][WIDTH]; /* softmax rows over q + 1 columns, then NaN */
static float fused[ROWS][ROWS];
static float *out[ROWS];
static size_t n[ROWS];
static hw__heads heads;

static int fill(void **state) {
    (void)state;
    uint64_t dice = 5;
    for (size_t h = 0; h < HEADS; h++)
        for (size_t q = 0; q < ROWS; q++) {
            double sum = 0;
            for (size_t k = 0; k < WIDTH; k++) attn[h][q][k] = k <= q ? (float)hw__random_next(&dice) : NAN;
            for (size_t k = 0; k <= q; k++) sum += attn[h][q][k];
            for (size_t k = 0; k <= q; k++) attn[h][q][k] = (float)(attn[h][q][k] / sum);
        }
    for (size_t q = 0; q < ROWS; q++) {
        out[q] = fused[q];
        n[q] = q + 1;
    }
    heads = (hw__heads){.attn = &attn[0][0][0],
                        .n_heads = HEADS,
                        .n_rows = ROWS,
                        .n_keys = ROWS,
                        .head_stride = ROWS * WIDTH,
                        .row_stride = WIDTH};
    return 0;
}

static void assert_mean(size_t first, size_t count) {
    for (size_t q = first; q < first + count; q++)
        for (size_t k = 0; k <= q; k++) {
            double sum = 0;
            for (size_t h = 0; h < HEADS; h++) sum += attn[h][q][k];
            /* seven additions and a division in float */
            assert_true(fabs(out[q - first][k] - sum / HEADS) <= 5e-7 * sum / HEADS);
        }
}

static void rows_are_means_over_heads_in_any_number_of_threads(void **state) {
    (void)state;
    static float once[ROWS][ROWS];
    for (size_t threads = 0; threads < 4; threads++) {
        memset(fused, 0, sizeof fused);
        assert_int_equal(hw__fuse_rows(&(hw__fused_rows){out, n, 0, ROWS}, &heads,
                                       (hw__fusion){HW_FUSE_MEAN, false, 0, threads}, NULL),
                         HW_OK);
        assert_mean(0, ROWS);
        if (threads == 0) memcpy(once, fused, sizeof once);
        assert_memory_equal(once, fused, sizeof once);
    }
}

static void a_range_of_rows_is_fused_alone(void **state) {
    (void)state;
    memset(fused, 0, sizeof fused);
    assert_int_equal(
        hw__fuse_rows(&(hw__fused_rows){out, n + 40, 40, 5}, &heads, (hw__fusion){HW_FUSE_MEAN, false, 0, 1}, NULL),
        HW_OK);
    assert_mean(40, 5);
    assert_true(fused[5][0] == 0);
}

static float extreme(size_t q, size_t k, bool max) {
    float best = attn[0][q][k];
    for (size_t h = 1; h < HEADS; h++)
        if (max ? attn[h][q][k] > best : attn[h][q][k] < best) best = attn[h][q][k];
    return best;
}

static void extremes_are_scaled_to_one(void **state) {
    (void)state;
    for (hw_fuse fuse = HW_FUSE_MAX; fuse <= HW_FUSE_MIN; fuse++) {
        assert_int_equal(
            hw__fuse_rows(&(hw__fused_rows){out, n, 0, ROWS}, &heads, (hw__fusion){fuse, false, 0, 2}, NULL), HW_OK);
        for (size_t q = 0; q < ROWS; q += 17) {
            double sum = 0;
            for (size_t k = 0; k <= q; k++) sum += extreme(q, k, fuse == HW_FUSE_MAX);
            for (size_t k = 0; k <= q; k++)
                assert_true(fabs(fused[q][k] - extreme(q, k, fuse == HW_FUSE_MAX) / sum) <= 1e-7);
        }
    }
}

/* Spoils one weight, expects that row to be named, and mends it. */
static void expect_refused(size_t h, size_t q, size_t k, float weight, bool sinks, const char *what) {
    float kept = attn[h][q][k];
    attn[h][q][k] = weight;
    attn[HEADS - 1][ROWS - 1][0] += 1; /* a later row is wrong too: the first is named */
    for (size_t threads = 1; threads < 4; threads++) {
        hw_error err;
        assert_error(&err,
                     hw__fuse_rows(&(hw__fused_rows){out, n, 0, ROWS}, &heads,
                                   (hw__fusion){HW_FUSE_MEAN, sinks, 9, threads}, &err),
                     HW_ERR_ENGINE, what);
    }
    attn[h][q][k] = kept;
    attn[HEADS - 1][ROWS - 1][0] -= 1;
}

static void rows_that_are_no_softmax_are_named(void **state) {
    (void)state;
    expect_refused(3, 150, 149, 0.5f, false, "layer 9, head 3, row 150 sums to 1.4");
    expect_refused(3, 150, 149, NAN, false, "layer 9, head 3, row 150 sums to");
    expect_refused(0, 18, 18, -1e-6f, false, "layer 9, head 0, row 18");
    expect_refused(0, 18, 2, -1e-6f, true, "with negative weights");
    expect_refused(6, 0, 0, 0.5f, false, "head 6, row 0 sums to 0.5");
    expect_refused(6, 0, 0, 1.5f, true, "head 6, row 0 sums to 1.5");
    float kept = attn[6][0][0];
    attn[6][0][0] = 0.5f; /* a learned sink took the rest */
    assert_int_equal(
        hw__fuse_rows(&(hw__fused_rows){out, n, 0, ROWS}, &heads, (hw__fusion){HW_FUSE_MEAN, true, 9, 2}, NULL), HW_OK);
    attn[6][0][0] = kept;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_means_over_heads_in_any_number_of_threads),
        cmocka_unit_test(a_range_of_rows_is_fused_alone),
        cmocka_unit_test(extremes_are_scaled_to_one),
        cmocka_unit_test(rows_that_are_no_softmax_are_named),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
