/*
 * job_queue.h - jobs waiting for the one engine process, first come first served, and never more than a few.
 *
 * A task belongs to its client's thread and to the queue together: each releases it. The client learns its position,
 * and may stop it; a task that a client gave up is taken out.
 */
#ifndef HW_SERVE_JOB_QUEUE_H
#define HW_SERVE_JOB_QUEUE_H

#include "serve/event_stream.h"
#include "serve/request.h"
#include "serve/task_kind.h"

#include <stdatomic.h>

enum { MOST_TASKS_WAITING = 16 };

typedef struct queue queue;

typedef struct task {
    atomic_int refs;
    int64_t id; /* given by queue_add() */
    queue *queue;
    task_kind kind;
    json_t *body;            /* owned: what the request below points into; NULL: none */
    explain_request explain; /* of explain */
    int64_t run;             /* of again, check and export; of explain a failed run to be made again, else 0 */
    const char *format; /* of export: a row's name, static */
    char method[64];    /* of export: "" for all */
    int64_t attribution; /* of export: which of the run's, from 0; -1: any */
    atomic_int stops;   /* how often it was told to stop */
    events events;
    const char *wrap; /* the event `done` is {wrap: result}; NULL: result as it is */
    buffer result;    /* readable when events have ended, and it did not fail */
    hw_error error;
    bool failed;
} task;

/* {"code", "message"}, as answers and events have it; NULL: no memory. */
json_t *error_json(const hw_error *err);

/* One reference, the caller's; `body` is taken over. NULL (and the body released) when there is no memory. */
task *task_new(task_kind kind, json_t *body, bool wants_events);
void task_release(task *t);
/* Whether the client wants no more of it: it stopped it or is gone, or the program ends. */
bool task_is_stopped(task *t);
/* The same for work that a stopped run still needs: only when told twice, or the program ends. */
bool task_is_abandoned(task *t);
/* Ends it, with an event. By whoever has it: the dispatcher, or the queue for one that never began. */
void task_end(task *t, bool done);

queue *queue_new(void);
void queue_free(queue *q);
/* False with *err filled when too many wait. */
bool queue_add(queue *q, task *t, hw_error *err);
/* The next one, waited for at most `wait_ms`: it runs until queue_done(); its reference is the caller's. NULL: none came. */
task *queue_take(queue *q, int wait_ms);
void queue_done(queue *q);
/* False: there is no such job. */
bool queue_stop(queue *q, int64_t id);
/* A client that left: a task that waits is taken out, one that runs finds out by itself. */
void queue_leave(queue *q, task *t);
size_t queue_size(queue *q); /* waiting and running */
/* Ends what waits and what runs; nothing is taken from now on. */
void queue_close(queue *q);
bool queue_is_closed(queue *q);

#endif
