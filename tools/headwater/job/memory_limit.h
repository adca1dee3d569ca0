/* memory_limit.h - compares the memory estimate of a run with --memory, and prints a remark if it is large. */
#ifndef HW_JOB_MEMORY_LIMIT_H
#define HW_JOB_MEMORY_LIMIT_H

#include "job/explain_job.h"

/* STATUS_DONE, or the exit status if the run would take more than --memory: the message names changes that would
 * fit. */
int memory_check(job *j, const hw_run_params *run);

#endif
