/* memory_limit.h - compares the memory estimate of a run with --memory, and prints a remark if it is large. */
#ifndef HW_JOB_MEMORY_LIMIT_H
#define HW_JOB_MEMORY_LIMIT_H

#include "job/explain_job.h"

/* Error MEMORY if the run would take more than --memory: the message names changes that would fit. */
hw_err memory_check(job *j, const hw_run_params *run, const hw_estimate *estimate, hw_error *err);

#endif
