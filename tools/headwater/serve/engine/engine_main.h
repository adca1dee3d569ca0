/*
 * engine_main.h - the main function of the engine process: opens the model and runs tasks until the server ends it.
 */
#ifndef HW_SERVE_ENGINE_ENGINE_MAIN_H
#define HW_SERVE_ENGINE_ENGINE_MAIN_H

#include "serve/engine/worker.h"

/* Settings from the command line. */
typedef struct engine_setup {
    const char *path; /* path of the model */
    hw_model_params params;
    worker_limits limits;
    bool verbose;                 /* the engine's log goes to standard error */
    void (*on_opened)(void *ctx); /* called when the model is open; may be NULL */
    void *ctx;
} engine_setup;

/* Errors: IO (not started by `headwater serve`), MEMORY, ERR_REPORTED (the server reports that the model could not be
 * opened). */
hw_err engine_main(const engine_setup *setup, hw_error *err);

#endif
