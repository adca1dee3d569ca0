/*
 * dispatcher.h - the thread that takes tasks from the queue, sends them to the engine process and answers its store
 * calls.
 *
 * It also watches the process: after its end it is reaped and started again, so that the next task finds a model. The
 * task in progress fails with the reason of the end; its run stays in the store with the tokens so far, marked as
 * failed, and is repeated only on request.
 *
 * The folder headwater/serve/jobs/: the server's side of a job: the queue, event streams, the store of runs, and the
 * engine process as its parent sees it.
 */
#ifndef HW_SERVE_JOBS_DISPATCHER_H
#define HW_SERVE_JOBS_DISPATCHER_H

#include "cli/temporary_folder.h"
#include "serve/jobs/engine_process.h"
#include "serve/jobs/job_queue.h"
#include "serve/jobs/metrics.h"
#include "serve/jobs/run_store.h"

typedef struct dispatcher {
    pthread_t thread;
    engine_process *engine; /* borrowed, started; from now on used by this thread only */
    store *store;
    queue *queue;
    metrics *metrics;
    char folder[96]; /* for files passed between the processes */
    temporary owned; /* owner of the folder */
    bool quiet;      /* no remark when the process ends */
} dispatcher;

/* False with *err set if the thread cannot start. */
bool dispatcher_start(dispatcher *d, hw_error *err);
/* Waits for the thread, which ends after queue_close(); the engine process has then ended, too. */
void dispatcher_join(dispatcher *d);

#endif
