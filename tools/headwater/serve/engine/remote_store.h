/*
 * remote_store.h - the store of runs in the engine process: each call is a frame to the server, which has the store.
 *
 * All calls refer to the run of the task in progress. They return false with *err set, like the store's own functions.
 */
#ifndef HW_SERVE_ENGINE_REMOTE_STORE_H
#define HW_SERVE_ENGINE_REMOTE_STORE_H

#include "serve/engine/worker.h"

/* Makes a row for the task's request; returns its id, or 0 with *err set. */
int64_t remote_store_begin(worker *w, hw_error *err);
/* `document` is JSON text; the trace, if any, is TRACE_FILE in the folder. */
bool remote_store_finish(worker *w, const hw_run *run, const char *document, bool traced, hw_error *err);
bool remote_store_has(worker *w, hw_error *err);
/* Appends the run's JSON. */
bool remote_store_get(worker *w, buffer *out, hw_error *err);
/* The request of the run, malloc'd text. */
char *remote_store_request(worker *w, hw_error *err);
/* Writes the run's trace to the file with this name in the folder. */
bool remote_store_trace(worker *w, const char *name, hw_error *err);
/* Adds attributions (a list, or NULL), and sets members of the run ("check", "citation"; an object, or NULL). */
bool remote_store_amend(worker *w, const json_t *attributions, const json_t *members, hw_error *err);

#endif
