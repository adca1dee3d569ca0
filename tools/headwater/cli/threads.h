/* threads.h - number of threads for explanations and products of the calling thread; the engine has its own setting. */
#ifndef HW_CLI_THREADS_H
#define HW_CLI_THREADS_H

#include <stdint.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* 0: one per core. */
static inline void threads_limit(int64_t n) {
#ifdef _OPENMP
    if (n > 0) omp_set_num_threads((int)n);
#else
    (void)n;
#endif
}

#endif
