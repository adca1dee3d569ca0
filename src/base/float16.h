/*
 * float16.h - converts IEEE binary16 (F16) to float and back with integer arithmetic only: works on any machine without
 * special instructions. Inline, so that loops over arrays vectorise.
 */
#ifndef HW_BASE_FLOAT16_H
#define HW_BASE_FLOAT16_H

#include <stdint.h>
#include <string.h>

static inline uint32_t hw__bits_of_float(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline float hw__float_of_bits(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The nearest half, ties to even; infinity above 65519.99; NaN stays NaN. Below 2^-14 a half is a multiple of 2^-24,
 * which is also the last bit of a float between 1/2 and 1, so adding 1/2 does the rounding. */
static inline uint16_t hw__half_of_float(float v) {
    uint32_t bits = hw__bits_of_float(v), sign = bits >> 16 & 0x8000u, size = bits & 0x7FFFFFFFu;
    uint32_t normal = (size + 0xFFFu + (size >> 13 & 1)) >> 13;
    uint32_t small = hw__bits_of_float(hw__float_of_bits(size) + 0.5f) - 0x3F000000u;
    uint32_t half = size < 0x38800000u ? small : normal - (112u << 10);
    half = size >= 0x477FF000u ? 0x7C00u : half;
    half = size > 0x7F800000u ? 0x7E00u : half;
    return (uint16_t)(sign | half);
}

/* Exact. A subnormal half is the fraction in the last bits of a float between 1/2 and 1, minus 1/2. */
static inline float hw__float_of_half(uint16_t half) {
    uint32_t sign = (half & 0x8000u) << 16, size = half & 0x7FFFu;
    uint32_t small = hw__bits_of_float(hw__float_of_bits(0x3F000000u | size) - 0.5f);
    uint32_t normal = (size << 13) + (112u << 23);
    uint32_t bits = size < 0x400u ? small : normal;
    bits = size >= 0x7C00u ? size << 13 | 0x7F800000u : bits;
    return hw__float_of_bits(sign | bits);
}

#endif
