/*
 * blas.c - the only file that calls BLAS. OpenBLAS is opened at the first product and not linked: opening it allocates
 * memory buffers, as does the first product of each thread, and it retries for ever if an allocation fails. So before
 * opening it this file checks that as much address space is free, and then makes as many of its buffers as threads can
 * use at once.
 */
#define _GNU_SOURCE /* RTLD_DEEPBIND, MAP_ANONYMOUS, setenv */
#include "math/blas.h"

#include "base/error.h"
#include "base/module.h"
#include "base/parallel_for.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Size of one buffer in OpenBLAS builds for all x86-64 processors, which have the largest; size of its code and
 * data. */
enum { MAX_THREADS = 256, LIBRARY_MB = 64, BUFFER_MB = 128 };

static struct {
    pthread_mutex_t lock;
    bool ready; /* the function pointers below are set */
    __typeof__(cblas_sgemm) *sgemm;
    __typeof__(cblas_sgemv) *sgemv;
    __typeof__(openblas_get_corename) *corename;
    void *(*buffer_take)(int which); /* nullable */
    void (*buffer_return)(void *buffer);
    void (*kernels_drop)(void); /* nullable: builds for a single processor type have neither */
    void (*kernels_choose)(void);
} blas = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t max_threads(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN), threads = omp_get_max_threads();
    long n = cores > threads ? cores : threads;
    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (size_t)n;
}

/* Whether the address space has space for `n` more buffers and the library; the pages are not touched. */
static bool has_address_space(size_t n) {
    const size_t mb = (size_t)1 << 20;
    void *blocks[2 * MAX_THREADS + 2];
    size_t n_had = 0;
    for (; n_had <= n; n_had++) {
        blocks[n_had] = mmap(NULL, (n_had ? BUFFER_MB : LIBRARY_MB) * mb, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (blocks[n_had] == MAP_FAILED) break;
    }
    for (size_t i = 0; i < n_had; i++) munmap(blocks[i], (i ? BUFFER_MB : LIBRARY_MB) * mb);
    return n_had > n;
}

/* OpenBLAS keeps a returned buffer for the next thread that needs one. */
static void make_buffers(size_t n) {
    void *taken[MAX_THREADS + 1];
    if (!blas.buffer_take || !blas.buffer_return) return;
    for (size_t i = 0; i < n; i++) taken[i] = blas.buffer_take(0);
    for (size_t i = 0; i < n; i++) blas.buffer_return(taken[i]);
}

/* The kernels that this processor can run, if they are faster than those for SSE; else NULL. */
static const char *fast_kernels(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return NULL;
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx512 ? "SkylakeX" : "Haswell";
#else
    return NULL;
#endif
}

/* On a processor newer than itself OpenBLAS falls back to its oldest kernels, at a quarter of the speed
 * (bench/products.c). An environment variable is the only way to select kernels by name, so it is set while OpenBLAS
 * reads it. A value set by the user is not changed. False when memory runs out: other kernels would round differently
 * without a warning. */
static bool choose_kernels(void) {
    static const char *const oldest[] = {"Prescott", "Core2", "Nehalem", "Opteron_SSE3", "Barcelona"};
    static const char variable[] = "OPENBLAS_CORETYPE";
    const char *wide = fast_kernels(), *chosen = blas.corename();
    if (!wide || !blas.kernels_drop || !blas.kernels_choose || getenv(variable)) return true;
    for (size_t i = 0; i < sizeof oldest / sizeof *oldest; i++) {
        if (strcmp(chosen, oldest[i]) != 0) continue;
        if (setenv(variable, wide, 1) != 0) return false;
        blas.kernels_drop();
        blas.kernels_choose();
        unsetenv(variable);
        return true;
    }
    return true;
}

static hw_err find_functions(void *library, hw_error *err) {
    *(void **)&blas.sgemm = dlsym(library, "cblas_sgemm");
    *(void **)&blas.sgemv = dlsym(library, "cblas_sgemv");
    *(void **)&blas.corename = dlsym(library, "openblas_get_corename");
    *(void **)&blas.buffer_take = dlsym(library, "blas_memory_alloc");
    *(void **)&blas.buffer_return = dlsym(library, "blas_memory_free");
    *(void **)&blas.kernels_drop = dlsym(library, "gotoblas_dynamic_quit");
    *(void **)&blas.kernels_choose = dlsym(library, "gotoblas_dynamic_init");
    if (blas.sgemm && blas.sgemv && blas.corename) return HW_OK;
    return hw__fail(err, HW_ERR_UNSUPPORTED, "%s lacks cblas_sgemm, cblas_sgemv or openblas_get_corename",
                    HEADWATER_BLAS_SONAME);
}

/* Its thousands of symbols are looked for in itself first, and not in each library of the process before. Sanitizers
 * must be first. */
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
enum { HOW_TO_OPEN = RTLD_LAZY | RTLD_LOCAL | RTLD_DEEPBIND };
#else
enum { HOW_TO_OPEN = RTLD_LAZY | RTLD_LOCAL };
#endif

static hw_err open_library(hw_error *err) {
    size_t n_threads = max_threads(), n_buffers = 2 * n_threads + 1;
    if (!has_address_space(n_buffers))
        return hw__fail(
            err, HW_ERR_MEMORY,
            "OpenBLAS takes up to %zu MB of address space for its buffers with %zu threads, which cannot be had: "
            "raise the limit (ulimit -v)",
            n_buffers * BUFFER_MB + LIBRARY_MB, n_threads);
    void *library = hw__open_beside(HEADWATER_BLAS_SONAME, (void *)hw__blas_start, HOW_TO_OPEN); /* a wheel's own */
    if (!library) library = dlopen(HEADWATER_BLAS_FILE, HOW_TO_OPEN);
    if (!library) library = dlopen(HEADWATER_BLAS_SONAME, HOW_TO_OPEN);
    if (!library) {
        const char *reason = dlerror();
        return hw__fail(err, HW_ERR_UNSUPPORTED, "OpenBLAS cannot be opened: %s",
                        reason ? reason : HEADWATER_BLAS_SONAME);
    }
    hw_err rc = find_functions(library, err); /* a library with missing functions stays open: it has threads and
                                                 handlers */
    if (rc != HW_OK) return rc;
    if (!choose_kernels()) return hw__fail(err, HW_ERR_MEMORY, "out of memory: the choice of OpenBLAS's kernels");
    make_buffers(n_threads + 1);
    return HW_OK;
}

hw_err hw__blas_start(hw_error *err) {
    pthread_mutex_lock(&blas.lock);
    hw_err rc = blas.ready ? HW_OK : open_library(err);
    blas.ready = rc == HW_OK;
    pthread_mutex_unlock(&blas.lock);
    return rc;
}

const char *hw_blas(void) {
    static _Thread_local char name[sizeof((hw_error *)NULL)->msg + 16];
    hw_error err;
    if (hw__blas_start(&err) == HW_OK)
        snprintf(name, sizeof name, "OpenBLAS %s", blas.corename());
    else
        snprintf(name, sizeof name, "none: %s", err.msg);
    return name;
}

void hw__matmul(float *c, const float *a, const float *b, size_t m, size_t k, size_t n) {
    blas.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b, (int)n, 0, c,
               (int)n);
}

void hw__matmul_part(hw__part c, hw__part a, hw__part b, hw__matmul_size size, bool adds) {
    size_t m = size.m, k = size.k, n = size.n;
    if (m == 0 || k == 0 || n == 0) return;
    if (m == 1) { /* a matrix product would first copy all of b */
        blas.sgemv(CblasRowMajor, CblasTrans, (int)k, (int)n, 1, b.cells, (int)b.stride, a.cells, 1, adds, c.cells, 1);
        return;
    }
    blas.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a.cells, (int)a.stride, b.cells,
               (int)b.stride, adds, c.cells, (int)c.stride);
}

void hw__matmul_bt(hw__part c, hw__part a, hw__part b, size_t m, size_t k, size_t n) {
    blas.sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a.cells, (int)a.stride, b.cells,
               (int)b.stride, 0, c.cells, (int)c.stride);
}
