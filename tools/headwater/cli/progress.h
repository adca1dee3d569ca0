/* progress.h - a bar on standard error while a model loads, decodes the prompt, or a method runs. */
#ifndef HW_CLI_PROGRESS_H
#define HW_CLI_PROGRESS_H

#include "headwater.h"

typedef struct progress {
    bool shown; /* standard error is a terminal, and --quiet was not given */
    bool drawn; /* a bar is on the screen */
    hw_stage stage;
    double began, last; /* seconds, monotonic */
} progress;

progress progress_new(bool wanted);
/* An hw_progress_fn; `ctx` is a progress. */
void progress_show(void *ctx, hw_stage stage, size_t done, size_t total);
void progress_erase(progress *p);
/* The bar of a file that arrives, in bytes. */
void progress_bytes(progress *p, const char *file, uint64_t done, uint64_t total);

#endif
