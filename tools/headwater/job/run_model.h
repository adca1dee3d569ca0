/* run_model.h - runs the prompt given by the options on the model given by the options. */
#ifndef HW_JOB_RUN_MODEL_H
#define HW_JOB_RUN_MODEL_H

#include "cli/input.h"
#include "job/explain_job.h"

/* Number of prompts given by -p, -f and -; -1 after printing the reason for any other argument. */
int capture_prompts(const options *o, const char *command);

/* STATUS_DONE and the model's path, or the exit status: all checks possible before the model loads. */
int capture_check(const options *o, const char *command, const char **model);

/* Reads the prompt, opens the model (job.model) and runs it; prints the completion as it is generated. Ctrl-C during
 * generation keeps the tokens generated so far. STATUS_DONE or the exit status. */
int capture_run(job *j, const char *model, hw_trace **trace);
/* The same for a given prompt. */
int capture_text(job *j, const char *model, const input *prompt, hw_trace **trace);

#endif
