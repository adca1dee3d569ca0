/*
 * job_queue.h - jobs that wait for the engine process, first come first served, with a maximum number.
 *
 * A task is shared by its client's thread and the queue: each releases it. The client gets its position, and may stop
 * it; a task whose client disconnects is removed.
 */
#ifndef HW_SERVE_JOBS_JOB_QUEUE_H
#define HW_SERVE_JOBS_JOB_QUEUE_H

#include "serve/jobs/event_stream.h"
#include "serve/protocol/request.h"
#include "serve/protocol/task_kind.h"

#include <stdatomic.h>

enum { MAX_TASKS_WAITING = 16 };

typedef struct queue queue;

typedef struct task {
    atomic_int refs;
    int64_t id; /* set by queue_add() */
    queue *queue;
    task_kind kind;
    json_t *body;            /* owned: the JSON that the request below points into; NULL: none */
    explain_request explain; /* for explain */
    int64_t run;             /* for again, check, cite and export; for explain the failed run to repeat, else 0 */
    const char *format;      /* for export: name of a row, static */
    char method[64];         /* for export: "" for all */
    int64_t attribution;     /* for export: index of one of the run's attributions; -1: any */
    bool detached;           /* it goes on when its client disconnects */
    bool continues;          /* for explain: `run` is a finished run, which is replaced by a longer one */
    atomic_llong making;     /* for explain: id of the run that is being made; 0: none yet */
    atomic_int stops;        /* number of stop requests */
    events events;
    const char *wrap; /* the event `done` is {wrap: result}; NULL: the result itself */
    buffer result;    /* valid after the last event, if the task succeeded */
    hw_error error;
    bool failed;
} task;

/* {"code", "message"}, as in answers and events; NULL when memory runs out. */
json_t *error_json(const hw_error *err);

/* Makes a task with one reference, the caller's; takes ownership of `body`. NULL (and the body released) when memory
 * runs out. */
task *task_new(task_kind kind, json_t *body, bool wants_events);
void task_release(task *t);
/* Whether the task should stop: its client stopped it or disconnected, or the program ends. */
bool task_is_stopped(task *t);
/* The same for work that a stopped run still needs: only after a second stop, or if the program ends; for an answer
 * also if its client disconnected. */
bool task_is_abandoned(task *t);
/* Ends the task with an event. Called by its current owner: the dispatcher, or the queue for a task that has not
 * started. */
void task_end(task *t, bool done);

queue *queue_new(void);
void queue_free(queue *q);
/* False with *err set if too many tasks are waiting. */
bool queue_add(queue *q, task *t, hw_error *err);
/* Takes the next task, waiting at most `wait_ms`: it runs until queue_done(); the caller gets its reference. NULL:
 * timeout. */
task *queue_take(queue *q, int wait_ms);
void queue_done(queue *q);
/* A counted reference to a task that waits or runs, release it; NULL: unknown job. */
task *queue_find(queue *q, int64_t id);
/* The job that makes a run; 0: none. */
int64_t queue_job_of(queue *q, int64_t run);
/* False: unknown job. */
bool queue_stop(queue *q, int64_t id);
/* Called when a client disconnects: removes a waiting task; a running one detects it itself. */
void queue_leave(queue *q, task *t);
size_t queue_size(queue *q); /* waiting and running tasks */
/* Ends waiting and running tasks; no task is taken from now on. */
void queue_close(queue *q);
bool queue_is_closed(queue *q);

#endif
