/* memory_limit.h - what a run would take, against --memory; and a remark where it is much. */
#ifndef HW_JOB_MEMORY_LIMIT_H
#define HW_JOB_MEMORY_LIMIT_H

#include "job/explain_job.h"

/* STATUS_DONE, or the status to exit with where the run would take more than --memory: the message names what would fit. */
int memory_check(job *j, const hw_run_params *run);

#endif
