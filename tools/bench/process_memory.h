/* process_memory.h - memory of this process and of the machine, as Linux tells it. */
#ifndef HW_BENCH_PROCESS_MEMORY_H
#define HW_BENCH_PROCESS_MEMORY_H

#include <stdint.h>

uint64_t bench_memory_peak(void);      /* most bytes that this process held in memory; 0 where that is not told */
uint64_t bench_memory_available(void); /* bytes that the machine can still give; 0 where that is not told */

#endif
