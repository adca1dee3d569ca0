/* process_memory.h - memory of this process and of the machine, as reported by Linux. */
#ifndef HW_BENCH_PROCESS_MEMORY_H
#define HW_BENCH_PROCESS_MEMORY_H

#include <stdint.h>

uint64_t bench_memory_peak(void);      /* peak memory of this process in bytes; 0 if unknown */
uint64_t bench_memory_available(void); /* memory that the machine has left, in bytes; 0 if unknown */

#endif
