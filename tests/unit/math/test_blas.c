/* OpenBLAS is opened at the first product, and short memory is an error there and never an endless loop. */
#include "math/blas.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* their shadow takes more address space than any limit leaves */
#else
enum { SANITIZED = 0 };
#endif

static void limit_address_space(rlim_t mb) {
    struct rlimit limit = {mb << 20, mb << 20};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(90);
}

/* In a process of its own: nothing here has opened OpenBLAS yet. */
static void short_memory_is_an_error(void **state) {
    (void)state;
    if (SANITIZED) skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hw_error err;
        alarm(20); /* OpenBLAS itself would try for ever */
        limit_address_space(300);
        if (hw__blas_start(&err) != HW_ERR_MEMORY || !strstr(err.msg, "OpenBLAS takes up to")) _exit(91);
        if (!strstr(hw_blas(), "none: OpenBLAS takes up to")) _exit(92);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void products_after_it_started(void **state) {
    (void)state;
    hw_error err;
    const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, 0, 0, 1, 1, 1}; /* [2, 3] and [3, 2] */
    float c[4];
    assert_int_equal(hw__blas_start(&err), HW_OK);
    assert_int_equal(hw__blas_start(&err), HW_OK);
    hw__matmul(c, a, b, 2, 3, 2);
    const float expected[] = {4, 5, 10, 11};
    assert_memory_equal(c, expected, sizeof c);
    assert_non_null(strstr(hw_blas(), "OpenBLAS "));
}

/* As many buffers as threads use at once are there from the start, so that products go on where no more memory is. */
static void products_need_no_more_memory(void **state) {
    (void)state;
    if (SANITIZED) skip();
    enum { N = 256 };
    hw_error err;
    assert_int_equal(hw__blas_start(&err), HW_OK);
    float *a = calloc(N * N, sizeof *a), *c = calloc(N * N, sizeof *c);
    assert_non_null(a);
    assert_non_null(c);
    hw__matmul(c, a, a, N, N, N); /* OpenMP's threads are there now */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20);
        limit_address_space(1);
        hw__matmul_part((hw__part){c, N}, (hw__part){a, N}, (hw__part){a, N}, (hw__matmul_size){2, 2, 2}, false);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    free(a);
    free(c);
}

static void products_of_small_integers_are_exact(void **state) {
    (void)state;
    enum { M = 37, K = 65, N = 130 };
    static float a[M * K], b[K * N], bt[N * K], c[M * N], ct[M * N];
    for (size_t i = 0; i < M * K; i++) a[i] = (float)(i % 11) - 5;
    for (size_t k = 0; k < K; k++)
        for (size_t n = 0; n < N; n++) b[k * N + n] = bt[n * K + k] = (float)((k * 7 + n * 3) % 13) - 6;
    hw_error err;
    if (hw__blas_start(&err) != HW_OK) fail_msg("%s", err.msg);
    hw__matmul(c, a, b, M, K, N);
    hw__matmul_bt((hw__part){ct, N}, (hw__part){a, K}, (hw__part){bt, K}, M, K, N);
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < N; n++) {
            float sum = 0;
            for (size_t k = 0; k < K; k++) sum += a[m * K + k] * b[k * N + n];
            if (c[m * N + n] != sum || ct[m * N + n] != sum) fail_msg("cell %zu, %zu", m, n);
        }
}

static void kernels_are_not_older_than_the_processor(void **state) {
    (void)state;
#if defined(__x86_64__)
    if (getenv("OPENBLAS_CORETYPE") || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) skip();
    static const char *const oldest[] = {"Prescott", "Core2", "Nehalem", "Opteron_SSE3", "Barcelona"};
    for (size_t i = 0; i < sizeof oldest / sizeof *oldest; i++)
        if (strstr(hw_blas(), oldest[i])) fail_msg("this processor has AVX2, and products are by %s", hw_blas());
    assert_null(getenv("OPENBLAS_CORETYPE")); /* as the caller left it */
#else
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_memory_is_an_error),
        cmocka_unit_test(products_after_it_started),
        cmocka_unit_test(products_of_small_integers_are_exact),
        cmocka_unit_test(kernels_are_not_older_than_the_processor),
        cmocka_unit_test(products_need_no_more_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
