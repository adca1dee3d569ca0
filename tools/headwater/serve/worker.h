/*
 * worker.h - what the tasks of the engine process share: the model, the channel to the server, the newest trace.
 *
 * engine_main.c owns it; tasks.h are the kinds of work. The process's main
 * thread does one task at a time; a second thread reads the channel, so that a stop arrives while the first one works. What ends
 * this process ends nothing but the task in progress (engine_process.h).
 */
#ifndef HW_SERVE_WORKER_H
#define HW_SERVE_WORKER_H

#include "serve/engine_channel.h"
#include "serve/task_kind.h"

#include <stdatomic.h>

/* What one run may take. */
typedef struct worker_limits {
    int64_t n_threads; /* of explanations; 0: one a core */
    uint64_t memory;   /* bytes, as hw_run_params.memory; 0: no limit */
} worker_limits;

/* A task as it came. */
typedef struct engine_task {
    task_kind kind;
    json_t *json; /* owned: what the requests below point into */
    explain_request explain;
    choice again;
    check_request check;
    int64_t id, run;     /* of the job; of again, check and export, and of explain a run to be made again, else 0 */
    const char *format;  /* of export: a row's name */
    const char *method;  /* of export: "" for all */
    int64_t attribution; /* of export: place of one in the document; -1: all that `method` picks */
    bool wants_events;
    frame_type done_type; /* FRAME_DONE, or where the result lies */
    buffer result;
    hw_error error;
} engine_task;

typedef struct worker {
    channel channel;
    hw_model *model;
    const hw_model_info *info;
    char folder[128]; /* for files on their way; the server made it */
    hw_trace *trace;  /* the newest one, of run `trace_run`; NULL: none */
    int64_t trace_run;
    worker_limits limits;
    atomic_int stop; /* STOP_, of the task in progress */

    /* What the reading thread hands to the other one. */
    pthread_t reader;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    buffer task, answer;
    bool has_task, has_answer, refused, ended;
} worker;

/* Starts the reading thread. False: it cannot be. */
bool worker_start(worker *w, int fd);
void worker_join(worker *w); /* after the last task, when worker_task() said so */
/* The next task's JSON; false: there will be none. */
bool worker_task(worker *w, buffer *task);
/* Waits for the answer to a call; true: it is a refusal. */
bool worker_answer(worker *w, buffer *answer);
bool worker_is_stopped(const worker *w);   /* the client wants no more of the task, or the program ends */
bool worker_is_abandoned(const worker *w); /* not even what a stopped one still does */
/* One event for the task's client, if it wants some; what is sent is taken over. False: there was no memory for it. */
bool worker_send_event(worker *w, const engine_task *t, const char *name, buffer *json);
bool worker_send_json(worker *w, const engine_task *t, const char *name, json_t *json);

/* The newest trace, kept until another takes its place. */
void worker_keep(worker *w, hw_trace *trace, int64_t run); /* takes it over */
/* Path of a file in the folder. */
void worker_path(const worker *w, const char *name, char *out, size_t room);

/* Methods to run where a request names none; those that it names must be possible. */
bool worker_methods(const worker *w, choice *c, hw_error *err);

#endif
