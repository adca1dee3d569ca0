/* memory.h - what a run would take, against --memory; and a remark where it is much. */
#ifndef HEADWATER_MEMORY_H
#define HEADWATER_MEMORY_H

#include "job.h"

/* STATUS_DONE, or the status to exit with where the run would take more than --memory: the message names what would fit. */
int memory_check(job *j, const hw_run_params *run);

#endif
