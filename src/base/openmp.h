/* openmp.h - OpenMP's functions; without OpenMP, those that are used here, for one thread. */
#ifndef HW_BASE_OPENMP_H
#define HW_BASE_OPENMP_H

#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_max_threads(void) { return 1; }
static inline int omp_get_thread_num(void) { return 0; }
static inline void omp_set_num_threads(int n) { (void)n; }
#endif

#endif
