/* reference.h - is the M that a variant gave right? Computed apart from the library's methods. */
#ifndef HW_BENCH_REFERENCE_H
#define HW_BENCH_REFERENCE_H

#include "headwater.h"

/* Compares an explanation of `trace`'s run with a reference; its columns may be groups. Methods that have none pass.
 * `trace` holds every row of the run and the method's signals by token; NULL: what needs them passes. Errors: ENGINE
 * (which number, what it should be), MEMORY. */
hw_err bench_reference_check(const hw_attribution *a, const hw_trace *trace, hw_error *err);

#endif
