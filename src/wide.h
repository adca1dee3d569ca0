/*
 * wide.h - loops over floats for whatever registers the processor has.
 *
 * HW__WIDE compiles a function once more for AVX2 and for AVX-512, and the loader takes the widest that the processor
 * runs. All give the same bits: C11 mode contracts no multiplication with an addition, and sums are written as
 * HW__LANES sums side by side, in an order that no register width changes. Other processors and compilers take the plain
 * function, whose loops their baseline vectorises (NEON is part of AArch64's).
 */
#ifndef HW_WIDE_H
#define HW_WIDE_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HW__WIDE /* the choice is made by the loader, before a sanitizer is ready */
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
#define HW__WIDE __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#else
#define HW__WIDE
#endif

enum { HW__LANES = 16 };

/* The sum of lanes [HW__LANES], in a fixed order. */
static inline double hw__lanes_sum(const double *lanes) {
    double sum = 0;
    for (size_t i = 0; i < HW__LANES; i++) sum += lanes[i];
    return sum;
}

#endif
