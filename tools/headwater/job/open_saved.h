/* open_saved.h - what explain saved, or attention from elsewhere, as attributions: a FILE of `view` and `plot`. */
#ifndef HW_JOB_OPEN_SAVED_H
#define HW_JOB_OPEN_SAVED_H

#include "job/explain_job.h"
#include "job/prompt_split.h"

typedef struct saved {
    const char *path;
    hw_file_kind kind;
} saved;

/* Finds what a FILE argument is, and refuses options that do not go with it. STATUS_DONE or the status to exit with. */
int saved_find(saved *out, const char *path, const options *o, const char *command);

/* What is done with the attributions [n], which are there until it returns. */
typedef int (*saved_use)(job *j, const hw_attribution *const *list, size_t n);
/* Opens the file, explains where it is a trace or attention, by segments where `by` cuts, and hands over what came out.
 * `open`: called with the run as soon as it is known; may be NULL. */
int saved_open(job *j, const saved *from, const cut *by, void (*open)(const job *j, const hw_run *run), saved_use use);

#endif
