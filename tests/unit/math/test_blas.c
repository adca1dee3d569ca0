/* test_blas.c - products are right, and by kernels that are not older than the processor. */
#include "math/blas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_products_of_small_integers_are_exact(void **state) {
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

static void test_kernels_are_not_older_than_the_processor(void **state) {
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
        cmocka_unit_test(test_products_of_small_integers_are_exact),
        cmocka_unit_test(test_kernels_are_not_older_than_the_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
