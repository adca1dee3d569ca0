/*
 * remote_store.h - the store of runs as the engine process sees it: each call is a frame to the server, which has the store.
 *
 * All are about the run of the task in progress. False with *err filled, as the store's own functions.
 */
#ifndef HW_SERVE_REMOTE_STORE_H
#define HW_SERVE_REMOTE_STORE_H

#include "serve/worker.h"

/* A row for the task's request; gives its id, 0 with *err filled. */
int64_t remote_store_begin(worker *w, hw_error *err);
/* One more token of the completion; nobody waits. */
void remote_store_add_token(worker *w, const char *bytes, size_t n);
/* `document` is JSON text; the trace lies in the folder as TRACE_FILE, or nowhere. */
bool remote_store_finish(worker *w, const hw_run *run, const char *document, bool traced, hw_error *err);
bool remote_store_has(worker *w, hw_error *err);
/* Adds the run's JSON. */
bool remote_store_get(worker *w, buffer *out, hw_error *err);
/* The request that made it, malloc'd text. */
char *remote_store_request(worker *w, hw_error *err);
/* Writes its trace to the file of this name in the folder. */
bool remote_store_trace(worker *w, const char *name, hw_error *err);
/* Adds attributions (a list, or NULL) and a check (may be NULL). */
bool remote_store_amend(worker *w, const json_t *attributions, json_t *check, hw_error *err);

#endif
