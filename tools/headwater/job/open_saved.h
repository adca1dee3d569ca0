/* open_saved.h - attributions of a FILE of `view` and `plot`: what explain saved, or exported attention. */
#ifndef HW_JOB_OPEN_SAVED_H
#define HW_JOB_OPEN_SAVED_H

#include "job/explain_job.h"
#include "job/prompt_split.h"

typedef struct saved_file {
    const char *path;
    hw_file_kind kind;
} saved_file;

/* Detects what a FILE argument is, and rejects options that do not apply to it. STATUS_DONE or the exit status. */
int saved_file_find(saved_file *out, const char *path, const options *o, const char *command);

/* Processes attributions [n], which are valid until it returns. */
typedef int (*saved_file_use)(job *j, const hw_attribution *const *list, size_t n);
/* Opens the file, explains a trace or attention (by segments if `by` splits the prompt), and passes the attributions
 * on. `open`: called with the run as soon as it is known; may be NULL. */
int saved_file_open(job *j, const saved_file *from, const prompt_split *by,
                    void (*open)(const job *j, const hw_run *run), saved_file_use use);

#endif
