/*
 * engine_process.h - the process that holds the model, on the server's side: start, watch, end.
 *
 * It is this program again (`headwater engine-process`, worker.c) with the options of `serve`, connected by a socket
 * pair. A signal, an assertion of the engine or lack of memory ends only that process. It always ends with the server.
 * One thread uses an engine_process at a time.
 */
#ifndef HW_SERVE_JOBS_ENGINE_PROCESS_H
#define HW_SERVE_JOBS_ENGINE_PROCESS_H

#include "serve/protocol/engine_channel.h"

#include <sys/types.h>

typedef struct engine_process {
    char *const *words; /* [n_words] the command line of `serve`, starting with the command's name; borrowed */
    int n_words;
    pid_t pid; /* 0: not running */
    channel channel;
    hw_model_info model; /* as reported at the first start; kept when the process is restarted */
    char *model_owner;   /* owner of the strings of `model`; NULL before the first start */
    char last_line[256]; /* last log line of the engine; "" if there is none */
} engine_process;

/* Callbacks while a model loads. */
typedef struct engine_waiting {
    hw_progress_fn progress; /* NULL: no progress */
    hw_stop_fn stop;
    void *ctx;
} engine_waiting;

/* Starts the process and waits until its model is open. False with the reason: the model did not open, it is not the
 * same as before, or `stop` returned true. */
bool engine_process_start(engine_process *e, const engine_waiting *waiting, hw_error *err);
/* Whether the process is alive; if it has ended, *why [n] says how. */
bool engine_process_is_alive(engine_process *e, char *why, size_t n);
/* Reaps a process whose channel has ended (kills it if it does not end by itself), and says how it ended: "signal 11
 * (Segmentation fault)". */
void engine_process_reap(engine_process *e, char *why, size_t n);
void engine_process_kill(engine_process *e); /* its channel then ends */
/* Ends the process, by force after a moment. False: it did not exit cleanly. Call from the thread that started it,
 * before that thread ends: the kernel kills the process with that thread. */
bool engine_process_end(engine_process *e);
void engine_process_clear(engine_process *e); /* ends the process if it runs, and frees the model's description */

#endif
