/*
 * unsized.c - a library for LD_PRELOAD whose functions fill structs of the caller without looking at their size, as
 * functions that return structs by value do: shows that test_abi.py finds what they damage.
 */
#include "headwater.h"

#include <string.h>

#define UNSIZED(type)                                                                                                  \
    __attribute__((visibility("default"))) void type##_init(type *params, size_t size) {                               \
        const type defaults = {.size = size};                                                                          \
        memcpy(params, &defaults, sizeof defaults);                                                                    \
    }

UNSIZED(hw_worker_params)
UNSIZED(hw_check_params)
UNSIZED(hw_confirm_params)
