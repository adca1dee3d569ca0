/* open_saved.h - attributions of a FILE of `view` and `plot`: what explain saved, or exported attention. */
#ifndef HW_JOB_OPEN_SAVED_H
#define HW_JOB_OPEN_SAVED_H

#include "job/explain_job.h"
#include "job/prompt_split.h"

typedef struct saved_file {
    const char *path;
    hw_file_kind kind;
} saved_file;

/* Detects what a FILE argument is, and rejects options that do not apply to it. Errors: as hw_file_probe(); FORMAT,
 * ERR_USAGE. */
hw_err saved_file_find(saved_file *out, const char *path, const options *o, hw_error *err);

/* What a command does with a file. */
typedef struct saved_file_use {
    void (*on_run)(const job *j, const hw_run *run); /* called as soon as the run is known; NULL: nothing */
    /* Processes attributions [n], which are valid until it returns. */
    hw_err (*on_results)(job *j, const hw_attribution *const *list, size_t n, hw_error *err);
} saved_file_use;
/* Opens the file, explains a trace or attention (by segments if `by` splits the prompt), and passes the attributions
 * on. Errors: of what it opens and explains, and of `use`. */
hw_err saved_file_open(job *j, const saved_file *from, const prompt_split *by, const saved_file_use *use,
                       hw_error *err);

#endif
