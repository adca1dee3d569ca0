/* trace_state_files.h - files that a run writes for later ones: its trace (--trace) and its state (--state); opens a
 * state. */
#ifndef HW_JOB_TRACE_STATE_FILES_H
#define HW_JOB_TRACE_STATE_FILES_H

#include "job/explain_job.h"

/* Checks the files before the model loads. `inputs` [n]: files that must not be overwritten; NULLs are skipped. --trace
 * is an output only if the run comes from another source. Errors: ERR_USAGE, IO, FORMAT. */
hw_err trace_state_check(const options *o, source from, const char *const *inputs, size_t n, hw_error *err);

/* Opens the file of --state if it exists and fits job.model: *prefix, else NULL. */
hw_err trace_state_open(job *j, hw_trace **prefix, hw_error *err);

/* Saves the trace, and the state if the file is new or supplied less than half of this prompt. Call right after the
 * run: the model must still hold its tokens. A file that
 * cannot be saved is reported: ERR_REPORTED. */
hw_err trace_state_save(job *j, source from, const hw_trace *trace);

/* Prints how much mass rounding moved in the rows of a trace from a file, if any. */
void trace_state_show_rounding(const job *j, const hw_trace *trace);

#endif
