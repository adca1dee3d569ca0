/* splitmix64.h - seeded random numbers, the same on every machine: SplitMix64 (Steele et al. 2014). */
#ifndef HW_BASE_SPLITMIX64_H
#define HW_BASE_SPLITMIX64_H

#include <stdint.h>

/* The next number of the sequence with this `state`; a seed is an initial state. */
uint64_t hw__random_bits(uint64_t *state);
/* The same as a double in [0, 1). */
double hw__random_next(uint64_t *state);

#endif
