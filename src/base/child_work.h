/*
 * child_work.h - runs work that may hang, overflow the stack or use all memory in a child process with its own limits.
 *
 * For third-party code that runs untrusted programs, such as chat templates. Only the bytes that the work returns come
 * back.
 */
#ifndef HW_BASE_CHILD_WORK_H
#define HW_BASE_CHILD_WORK_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hw__child_limits {
    const char *what; /* messages begin with it */
    unsigned seconds; /* processor time */
    size_t memory;    /* bytes beyond what the process already has */
    size_t output;    /* maximum number of bytes returned */
    hw_stop_fn stop;  /* nullable: called by the waiting parent; true ends the child */
    void *stop_ctx;
} hw__child_limits;

/* Sets *bytes (malloc'd) and *n. Runs in a fork of the calling thread only, so it must not wait for other threads. */
typedef hw_err (*hw__child_fn)(char **bytes, size_t *n, void *ctx, hw_error *err);

/* Returns the bytes of `work` with a terminator appended, or its error. Messages of this function begin with
 * limits->what. Errors: UNSUPPORTED (a limit was exceeded, or the child crashed), CANCELLED, MEMORY. */
hw_err hw__child_work(char **bytes, size_t *n, const hw__child_limits *limits, hw__child_fn work, void *ctx,
                      hw_error *err);

#ifdef __cplusplus
}
#endif

#endif
