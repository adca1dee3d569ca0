/* run_model.h - runs the prompt given by the options on the model given by the options. */
#ifndef HW_JOB_RUN_MODEL_H
#define HW_JOB_RUN_MODEL_H

#include "cli/input.h"
#include "job/explain_job.h"

/* Whether -p, -f, --messages or - gives a prompt. Error ERR_USAGE: several do, or there is another argument. */
hw_err capture_prompts(bool *given, const options *o, hw_error *err);

/* All checks that are possible before the model loads, and the model's path. Errors: ERR_USAGE; as model_path(). */
hw_err capture_check(const options *o, const char **model, hw_error *err);

/* Reads the prompt, opens the model (job.model) and runs it; prints the completion as it is generated. Ctrl-C during
 * generation keeps the tokens generated so far. Errors: of what it reads, opens and runs. */
hw_err capture_run(job *j, const char *model, hw_trace **trace, hw_error *err);
/* The same for a given prompt. */
hw_err capture_text(job *j, const char *model, const input *prompt, hw_trace **trace, hw_error *err);

#endif
