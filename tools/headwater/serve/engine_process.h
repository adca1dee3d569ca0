/*
 * engine_process.h - the process that the model lives in, as the server sees it: started, watched, ended.
 *
 * It is this program again (`headwater engine-process`, worker.c) with the options of `serve`, at the other end of a socket pair. What ends
 * it, a signal, an assertion of the engine's or the system's lack of memory, ends nothing else. It ends with the server, however
 * that ends. One thread uses an engine_process at a time.
 */
#ifndef HW_SERVE_ENGINE_PROCESS_H
#define HW_SERVE_ENGINE_PROCESS_H

#include "serve/engine_channel.h"

#include <sys/types.h>

typedef struct engine_process {
    char *const *words; /* [n_words] the command line of `serve`, its name first; borrowed */
    int n_words;
    pid_t pid; /* 0: none runs */
    channel channel;
    hw_model_info model; /* as it said when it was first ready; stays while processes come and go */
    char *model_owner;   /* what the strings of `model` point into; NULL before */
    char last_line[256]; /* what the engine said at its end; "" for nothing */
} engine_process;

/* While a model loads. */
typedef struct engine_waiting {
    hw_progress_fn progress; /* NULL: nobody looks */
    hw_stop_fn stop;
    void *ctx;
} engine_waiting;

/* Starts it and waits until its model is there. False with the reason: the model did not open, it is another one than before, or
 * `stop` said so. */
bool engine_process_start(engine_process *e, const engine_waiting *waiting, hw_error *err);
/* Whether it is there; one that ended by itself is seen here, and *why [n] then says how it ended. */
bool engine_process_lives(engine_process *e, char *why, size_t n);
/* Buries one whose channel has ended (killed where it does not end by itself), and says how: "signal 11 (Segmentation fault)". */
void engine_process_bury(engine_process *e, char *why, size_t n);
void engine_process_kill(engine_process *e); /* its channel then ends */
/* Asks it to end, and kills it after a moment. False: it did not exit as it should. By the thread that started it, before that one
 * ends: the kernel kills it with that thread. */
bool engine_process_end(engine_process *e);
void engine_process_clear(engine_process *e); /* ends it where it still runs, and frees the model's description */

#endif
