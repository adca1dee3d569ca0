/*
 * child_work.h - work that may hang, overflow the stack or take all memory, in a child of this process with limits of its own.
 *
 * For code of others that is given programs of others, as chat templates are. Only what the work returns as bytes comes back.
 */
#ifndef HW_BASE_CHILD_WORK_H
#define HW_BASE_CHILD_WORK_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hw__child_limits {
    unsigned seconds; /* of processor time */
    size_t memory;    /* bytes above what the process has */
    size_t output;    /* bytes returned */
} hw__child_limits;

/* Sets *bytes, malloc'd, and *n. Runs in a fork of this thread alone: it must not wait for other threads. */
typedef hw_err (*hw__child_fn)(char **bytes, size_t *n, void *ctx, hw_error *err);

/* What `work` returned, bytes with a terminator behind, or its error. `what` begins the messages of its own.
 * Errors: UNSUPPORTED (a limit was exceeded, or the child crashed), MEMORY, IO. */
hw_err hw__child_work(char **bytes, size_t *n, const char *what, const hw__child_limits *limits, hw__child_fn work,
                      void *ctx, hw_error *err);

#ifdef __cplusplus
}
#endif

#endif
