/* trace_state_files.h - what a run leaves for the next one: its trace (--trace) and its state (--state), and a state opened again. */
#ifndef HW_JOB_TRACE_STATE_FILES_H
#define HW_JOB_TRACE_STATE_FILES_H

#include "job/explain_job.h"

/* Before the model loads: STATUS_DONE, or the status to exit with. `inputs` [n]: files that neither may overwrite; NULLs are
 * passed over. --trace is looked at where the run comes from somewhere else. */
int keep_check(const options *o, const char *command, source from, const char *const *inputs, size_t n);

/* Opens what --state names, where it is there and fits job.model: *prefix, else NULL. */
int keep_open(job *j, hw_trace **prefix);

/* Saves the trace, and the state where the file is new or gave less than half of this prompt. Right after the run: the
 * model must hold its tokens. */
int keep_save(job *j, source from, const hw_trace *trace);

/* Says how far rounding moved the rows of a trace from a file, if it did. */
void keep_show_rounding(const job *j, const hw_trace *trace);

#endif
