/*
 * worker.h - the one thread that owns the model: takes tasks, does them, keeps the newest trace at hand.
 *
 * The kinds of work are functions that a task points to: explain_task.c runs the model, stored_run_tasks.c goes back to a saved run.
 */
#ifndef HW_SERVE_WORKER_H
#define HW_SERVE_WORKER_H

#include "serve/job_queue.h"
#include "serve/run_store.h"

/* What one run may take. */
typedef struct worker_limits {
    int64_t n_threads; /* of explanations; 0: one a core */
    uint64_t memory;   /* bytes, as hw_run_params.memory; 0: no limit */
} worker_limits;

/* What a worker works with; all of it borrowed until worker_join(). */
typedef struct worker_setup {
    hw_model *model;
    store *store;
    queue *queue;
    void (*finish_lost)(worker *w, const lost_run *lost); /* explain_lost(); NULL: such runs stay as they are */
    worker_limits limits;
} worker_setup;

struct worker {
    pthread_t thread;
    hw_model *model; /* borrowed; used by this thread alone */
    const hw_model_info *info;
    store *store;
    queue *queue;
    void (*finish_lost)(worker *w, const lost_run *lost);
    char folder[64]; /* for trace files on their way */
    hw_trace *trace; /* the newest one, of run `trace_run`; NULL: none */
    int64_t trace_run;
    worker_limits limits;
};

/* False with the fault filled when the thread cannot start. */
bool worker_start(worker *w, const worker_setup *setup, fault *f);
/* Waits for its end, which queue_close() brings. */
void worker_join(worker *w);

/* By the worker's own thread. The trace of a run, kept until another takes its place. */
const hw_trace *worker_trace(worker *w, int64_t run, fault *f);
void worker_keep(worker *w, hw_trace *trace, int64_t run); /* takes it over */
/* Path of a file in the worker's folder. */
void worker_path(const worker *w, const char *name, char *out, size_t room);

/* Methods to run where a request names none; those that it names must be possible. */
bool worker_methods(const worker *w, choice *c, fault *f);

#endif
