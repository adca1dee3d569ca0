/* run_model.h - the prompt that the options name, run by the model that they name. */
#ifndef HW_JOB_RUN_MODEL_H
#define HW_JOB_RUN_MODEL_H

#include "cli/input.h"
#include "job/explain_job.h"

/* How many prompts were named by -p, -f and -; -1 with the reason printed for an argument that is none. */
int capture_prompts(const options *o, const char *command);

/* STATUS_DONE and the model's path, or the status to exit with: what can be checked before the model loads. */
int capture_check(const options *o, const char *command, const char **model);

/* Reads the prompt, opens the model (job.model) and runs it; the completion is printed as it comes. Ctrl-C while
 * tokens are generated keeps those that are there. STATUS_DONE or the status to exit with. */
int capture_run(job *j, const char *model, hw_trace **trace);
/* The same of this prompt. */
int capture_text(job *j, const char *model, const input *prompt, hw_trace **trace);

#endif
