/*
 * products.c - compares the float products of rollout, A [rows, T] R [T, columns], by OpenBLAS and by ggml.
 *
 *     P=build/deps/llama
 *     cc -O2 bench/products.c -o build/products -I$P/include -L$P/lib -lggml -lggml-base -lggml-cpu -lopenblas -fopenmp
 *     LD_LIBRARY_PATH=$P/lib build/products
 *
 * Both alternate, medians of 9, two threads: OpenBLAS as in src/math/block_triangular.c, one block of rows per thread;
 * ggml one product of all rows with its own threads. ggml needs R transposed, which is not timed.
 */
#include <cblas.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 256, BLOCK = 128, THREADS = 2, TURNS = 9 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void by_blas(const float *a, const float *r, float *out, int t) {
    openblas_set_num_threads(1);
#pragma omp parallel for schedule(dynamic, 1) num_threads(THREADS)
    for (int first = 0; first < ROWS; first += BLOCK)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, BLOCK, t, t, 1, a + (size_t)first * t, t, r, t, 0,
                    out + (size_t)first * t, t);
}

static int by_size(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static double median(double *of) {
    qsort(of, TURNS, sizeof *of, by_size);
    return of[TURNS / 2];
}

static void measure(int t) {
    size_t n = (size_t)t;
    struct ggml_init_params capacity = {.mem_size = (n * n + 3 * ROWS * n) * sizeof(float) + (64 << 20)};
    struct ggml_context *ctx = ggml_init(capacity);
    struct ggml_tensor *r = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, t, t);
    struct ggml_tensor *a = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, t, ROWS);
    struct ggml_cgraph *graph = ggml_new_graph(ctx);
    struct ggml_tensor *product = ggml_mul_mat(ctx, r, a); /* its columns are the rows of r, so r is R transposed */
    ggml_build_forward_expand(graph, product);
    float *plain = malloc(n * n * sizeof *plain), *out = malloc(ROWS * n * sizeof *out);
    if (!plain || !out) exit(1);
    for (size_t i = 0; i < n * n; i++) plain[i] = (float)rand() / (float)RAND_MAX;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) ((float *)r->data)[i * n + k] = plain[k * n + i];
    for (size_t i = 0; i < ROWS * n; i++) ((float *)a->data)[i] = (float)rand() / (float)RAND_MAX / (float)t;

    double blas[TURNS], ggml[TURNS], worst = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        double began = seconds();
        by_blas(a->data, plain, out, t);
        blas[turn] = seconds() - began;
        began = seconds();
        ggml_graph_compute_with_ctx(ctx, graph, THREADS);
        ggml[turn] = seconds() - began;
    }
    for (size_t i = 0; i < ROWS * n; i++) {
        double apart = (double)out[i] - (double)((float *)product->data)[i];
        if (apart * apart > worst) worst = apart * apart;
    }
    double flop = 2.0 * ROWS * (double)t * (double)t, b = median(blas), g = median(ggml);
    printf("T = %4d  OpenBLAS %6.1f GFLOP/s  ggml %6.1f GFLOP/s  ratio %.2f  (largest difference^2 %.1g)\n", t,
           flop / b / 1e9, flop / g / 1e9, g / b, worst);
    free(plain);
    free(out);
    ggml_free(ctx);
}

int main(void) {
    static const int sizes[] = {256, 1024, 4096};
    for (int i = 0; i < 3; i++) measure(sizes[i]);
    return 0;
}
