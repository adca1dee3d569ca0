/* test_mean_output.c - the mean output row is the same bits whether it was made ahead, by one thread or by many. */
#include "engine/llama/file/mean_output.h"
#include "support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const models[] = {"SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"};

static hw__gguf *open_file(const char *name) {
    char path[256];
    hw__gguf *file = NULL;
    hw_error err = {0};
    snprintf(path, sizeof path, "%s/%s", getenv("HEADWATER_TEST_MODELS"), name);
    if (hw__gguf_open(&file, path, &err) != HW_OK) fail_msg("%s", err.msg);
    return file;
}

static float *take(hw__mean_output *begun, const hw__gguf *file, const hw__gguf_matrix *of, size_t n_threads) {
    float *mean = NULL;
    hw_error err = {0};
    if (hw__mean_output_take(&mean, begun, file, of, n_threads, &err) != HW_OK) fail_msg("%s", err.msg);
    return mean;
}

/* Sums in double, row by row. */
static double off_by(const float *mean, const hw__gguf *file, const hw__gguf_matrix *of) {
    float *row = malloc(of->width * sizeof *row);
    double *sum = calloc(of->width, sizeof *sum), worst = 0;
    assert_non_null(row);
    assert_non_null(sum);
    for (size_t r = 0; r < of->n_rows; r++) {
        assert_int_equal(hw__gguf_rows(file, row, (hw__gguf_part){of->name, r, 1, of->width}, NULL), HW_OK);
        for (size_t d = 0; d < of->width; d++) sum[d] += row[d];
    }
    for (size_t d = 0; d < of->width; d++) {
        double by = sum[d] / (double)of->n_rows - mean[d];
        if (by < 0) by = -by;
        if (by > worst) worst = by;
    }
    free(row);
    free(sum);
    return worst;
}

static void made_ahead_or_when_asked_for(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        hw__gguf *file = open_file(models[i]);
        hw__gguf_matrix of;
        assert_true(hw__gguf_output(file, &of));
        hw__mean_output *begun = hw__mean_output_begin(file);
        assert_non_null(begun);
        float *ahead = take(begun, file, &of, 2), *alone = take(NULL, file, &of, 1), *shared = take(NULL, file, &of, 3);
        assert_memory_equal(ahead, alone, of.width * sizeof *ahead);
        assert_memory_equal(ahead, shared, of.width * sizeof *ahead);
        assert_true(off_by(ahead, file, &of) < 1e-7); /* rounded to float once; means are about 1e-2 */
        float *again = take(begun, file, &of, 2);     /* what was made ahead is given away once */
        assert_memory_equal(ahead, again, of.width * sizeof *ahead);
        free(ahead);
        free(alone);
        free(shared);
        free(again);
        hw__mean_output_free(begun);
        hw__gguf_close(file);
    }
}

/* Where the graph multiplies by another tensor than the file's names suggest. */
static void another_tensor_is_not_mistaken_for_it(void **state) {
    (void)state;
    hw__gguf *file = open_file(models[0]);
    hw__gguf_matrix of;
    assert_true(hw__gguf_output(file, &of));
    hw__mean_output *begun = hw__mean_output_begin(file);
    hw__gguf_matrix other = {"blk.0.attn_q.weight", of.width, of.width}, fewer = of;
    fewer.n_rows -= 1;
    float *mean = take(begun, file, &other, 2);
    assert_true(off_by(mean, file, &other) < 1e-7);
    free(mean);
    mean = take(begun, file, &fewer, 2);
    assert_true(off_by(mean, file, &fewer) < 1e-7);
    free(mean);
    hw__mean_output_free(begun);
    begun = hw__mean_output_begin(file);
    hw__mean_output_free(begun); /* in the middle of its work */
    hw__gguf_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_ahead_or_when_asked_for),
        cmocka_unit_test(another_tensor_is_not_mistaken_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
