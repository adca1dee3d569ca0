/* engine_main.h - the engine process, from its start to its exit status: it opens the model and does tasks until the server ends it. */
#ifndef HW_SERVE_ENGINE_MAIN_H
#define HW_SERVE_ENGINE_MAIN_H

#include "serve/worker.h"

/* What the command line says of it. */
typedef struct engine_setup {
    const char *path; /* of the model */
    hw_model_params params;
    worker_limits limits;
    bool verbose;                 /* the engine's log goes to standard error */
    void (*on_opened)(void *ctx); /* when the model is open; NULL: nothing */
    void *ctx;
} engine_setup;

int engine_main(const engine_setup *setup);

#endif
