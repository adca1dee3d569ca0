/*
 * dispatcher.h - the thread that takes tasks from the queue, has the engine process do them, and does for it what concerns the store.
 *
 * It also watches the process: one that ended is buried at once and started again, so that the next task finds a model. The task that
 * was in progress fails with what is known of the end; its run stays in the store with the tokens so far, marked as failed, and is
 * made again only when somebody asks for that.
 */
#ifndef HW_SERVE_DISPATCHER_H
#define HW_SERVE_DISPATCHER_H

#include "cli/temporary_folder.h"
#include "serve/engine_process.h"
#include "serve/job_queue.h"
#include "serve/run_store.h"

typedef struct dispatcher {
    pthread_t thread;
    engine_process *engine; /* borrowed, started; used by this thread alone from now on */
    store *store;
    queue *queue;
    char folder[96]; /* for files on their way */
    temporary owned; /* it */
    bool quiet;      /* no remark when the process ends */
} dispatcher;

/* False with *err filled when the thread cannot start. */
bool dispatcher_start(dispatcher *d, hw_error *err);
/* Waits for its end, which queue_close() brings; the engine process has then ended, too. */
void dispatcher_join(dispatcher *d);

#endif
