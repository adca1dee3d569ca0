/*
 * worker.h - state shared by the tasks of the engine process: the model, the channel to the server, the newest trace.
 *
 * Owned by engine_main.c; the kinds of work are in tasks.h. The process's main thread runs one task at a time; a second
 * thread reads the channel, so that a stop arrives while a task runs. A crash of this process affects only the task in
 * progress (engine_process.h).
 */
#ifndef HW_SERVE_ENGINE_WORKER_H
#define HW_SERVE_ENGINE_WORKER_H

#include "job/messages.h"
#include "serve/protocol/answer_request.h"
#include "serve/protocol/engine_channel.h"
#include "serve/protocol/task_kind.h"

#include <stdatomic.h>

/* Limits of one run. */
typedef struct worker_limits {
    int64_t n_threads; /* threads for explanations; 0: one per core */
    uint64_t memory;   /* bytes, see hw_run_params.memory; 0: no limit */
} worker_limits;

/* A received task. */
typedef struct engine_task {
    task_kind kind;
    json_t *json; /* owned: the JSON that the requests below point into */
    explain_request explain;
    choice again;
    check_request check;
    cite_request cite;
    answer_request answer;
    int64_t id, run;     /* of the job; the run for again, check, cite and export; for explain a run to repeat, or 0 */
    const char *format;  /* for export: name of a row */
    const char *method;  /* for export: "" for all */
    int64_t attribution; /* for export: index of one in the document; -1: all that `method` selects */
    bool wants_events;
    json_t *left_out;     /* owned: {"method", "reason"} of each named method that gave nothing; NULL: none */
    frame_type done_type; /* FRAME_DONE, or where the result is */
    buffer result;
    hw_error error;
} engine_task;

typedef struct worker {
    channel channel;
    hw_model *model;
    const hw_model_info *info;
    int64_t n_ctx;    /* maximum number of tokens of a run */
    char folder[128]; /* for files passed between the processes; made by the server */
    hw_trace *trace;  /* the newest trace, of run `trace_run`; NULL: none */
    int64_t trace_run;
    worker_limits limits;
    atomic_int stop; /* STOP_ of the task in progress */

    /* Passed from the reading thread to the main thread. */
    pthread_t reader;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    buffer task, answer;
    bool has_task, has_answer, refused, ended;
} worker;

/* Starts the reading thread. False if it cannot start. */
bool worker_start(worker *w, int fd);
void worker_join(worker *w); /* call after the last task, when worker_task() has returned false */
/* The next task's JSON; false: there are no more tasks. */
bool worker_task(worker *w, buffer *task);
/* Waits for the answer to a call; true: the call failed. */
bool worker_answer(worker *w, buffer *answer);
bool worker_is_stopped(const worker *w);   /* the task should stop: its client stopped it, or the program ends */
bool worker_is_abandoned(const worker *w); /* the work of a stopped run should stop too */
/* Sends an event to the task's client if it wants events; takes ownership of the text. False when memory runs out. */
bool worker_send_event(worker *w, const engine_task *t, const char *name, buffer *json);
/* Adds a completion token to the run in the store, and sends its event in the same frame; takes ownership of the
 * text. */
bool worker_send_token(worker *w, const engine_task *t, const hw_token *token, buffer *json);
bool worker_send_json(worker *w, const engine_task *t, const char *name, json_t *json);

/* The newest trace, kept until another one replaces it. */
void worker_keep(worker *w, hw_trace *trace, int64_t run); /* takes ownership */
/* Path of a file in the folder. */
void worker_path(const worker *w, const char *name, char *out, size_t capacity);

/* The run options of a request with its conversation, within the limits; the run reuses the newest trace. `chat` is
 * borrowed. */
hw_run_params worker_run_params(const worker *w, const hw_run_params *asked, const conversation *chat);

/* Adds to the methods that are left out. False with the task's error set when memory runs out. */
bool worker_leave_out(engine_task *t, const char *method, const char *reason);
/* Sets the methods of a request that names none. Methods that it names and the model does not support are left out; it
 * is an error if none remains. */
bool worker_methods(const worker *w, engine_task *t, choice *c);

#endif
