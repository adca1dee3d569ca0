/*
 * simd.h - loops over floats for the vector registers of the processor.
 *
 * HW__SIMD compiles a function additionally for AVX2 and for AVX-512, and the loader selects the widest that the
 * processor supports. All give the same bits: C11 mode does not contract multiplication and addition, and long sums are
 * written as HW__LANES parallel sums in an order that does not depend on the register width. The lanes are a vector
 * type of GCC and Clang, which compilers split into what is available (SSE2, NEON).
 */
#ifndef HW_MATH_SIMD_H
#define HW_MATH_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HW__SIMD /* the loader selects the function before a sanitizer is initialised */
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
#define HW__SIMD __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define HW__SIMD
#endif
#define HW__INLINE static inline __attribute__((always_inline))

enum { HW__LANES = 16 };
typedef float hw__lanes __attribute__((vector_size(HW__LANES * sizeof(float))));
typedef double hw__double_lanes __attribute__((vector_size(HW__LANES * sizeof(double))));
typedef int32_t hw__lane_bits __attribute__((vector_size(HW__LANES * sizeof(int32_t))));

/* x [HW__LANES], any alignment. */
#define HW__LOAD(to, x) memcpy(&(to), (x), sizeof(to))

/* Per lane: a if the comparison `mask` is true, else b. */
#define HW__CHOOSE(mask, a, b) ((hw__lanes)(((mask) & (hw__lane_bits)(a)) | (~(mask) & (hw__lane_bits)(b))))

/* Sum of x [n], in double. */
double hw__sum(const float *x, size_t n);

/* Sum of a b, both [n], in double. */
double hw__dot(const float *a, const float *b, size_t n);

/* sums [n] += x [n], in double. */
void hw__add_floats(double *restrict sums, const float *restrict x, size_t n);

/* to [n] <- the nearest F16 values of floats [n]. */
void hw__halves_of_floats(uint16_t *restrict to, const float *restrict from, size_t n);

/* to [n] <- F16 values [n], exact. */
void hw__floats_of_halves(float *restrict to, const uint16_t *restrict from, size_t n);

/* Sum of the lanes, in a fixed order. */
HW__INLINE double hw__sum_lanes(const hw__lanes *v) {
    double sum = 0;
    for (size_t i = 0; i < HW__LANES; i++) sum += (double)(*v)[i];
    return sum;
}

#endif
