/*
 * run_store.h - stores runs in an SQLite file, or in memory.
 *
 * A run gets a row when it starts, with its request, and each token as it is generated, so that a crash loses none of
 * it. It is then marked as failed, with the reason, and repeated only on request. A finished run has its document, JSON
 * text from hw_document_json(), and its trace unless that is too large. One file belongs to one server. Any thread may
 * call.
 */
#ifndef HW_SERVE_JOBS_RUN_STORE_H
#define HW_SERVE_JOBS_RUN_STORE_H

#include "export/text_buffer.h"
#include "serve/protocol/request.h"

typedef struct store store;

/* Maximum size of a stored trace, in a file and in memory; maximum number of runs in memory. */
enum { STORE_FILE_TRACE_MIB = 512, STORE_MEMORY_TRACE_MIB = 32, STORE_MEMORY_RUNS = 50 };

/* Opens or creates the file; `path` NULL: in memory, where the oldest runs are removed when there are more than
 * STORE_MEMORY_RUNS. */
bool store_open(store **out, const char *path, hw_error *err);
void store_close(store *s);
/* Calls `on_change` with the id of each run that is added, removed or changed, but not for the tokens of one that is
 * being made. It must not call the store. */
void store_on_change(store *s, void (*on_change)(void *ctx, int64_t id), void *ctx);
/* $XDG_DATA_HOME/headwater/runs.sqlite, malloc'd; creates its folders. */
bool store_default_path(char **out, hw_error *err);

/* ------------------------------------------------------------------ a run in the making */

/* Adds a row; `request` is the JSON text for repeating the run. Returns its id, or 0 with *err set. */
int64_t store_begin(store *s, const explain_request *r, const char *request, const hw_model_info *model, hw_error *err);
/* Stores the completion so far. */
bool store_progress(store *s, int64_t id, span_of_text completion, hw_error *err);

/* Data of a finished run. */
typedef struct finished {
    int64_t n_prompt, n_completion; /* tokens */
    span_of_text completion;
    const char *document;   /* JSON text */
    const char *trace_path; /* a trace file to store; NULL: none */
} finished;
bool store_finish(store *s, int64_t id, const finished *what, hw_error *err);
/* Deletes a run without result. */
bool store_drop(store *s, int64_t id, hw_error *err);

/* Marks an unfinished run as failed. Runs left unfinished by the end of a server are marked when the store is
 * opened. */
bool store_fail(store *s, int64_t id, const char *reason, hw_error *err);
/* Data for repeating a failed run: its request, and the tokens so far. An error if the run did not fail. */
typedef struct failed_run {
    char *request, *completion; /* malloc'd */
    size_t n_completion;
} failed_run;
bool store_failed_run(store *s, int64_t id, failed_run *out, hw_error *err);
void failed_run_free(failed_run *r);
/* Marks a failed run as in progress again; an error as above. */
bool store_retry(store *s, int64_t id, hw_error *err);

/* ------------------------------------------------------------------ finished runs */

/* {"runs": [...]}, newest first; NULL with *err set. */
json_t *store_list(store *s, hw_error *err);
/* Appends the RUN of the HTTP API: the document with id, name and time. */
bool store_get(store *s, int64_t id, buffer *out, hw_error *err);
bool store_rename(store *s, int64_t id, span_of_text name, hw_error *err);
bool store_delete(store *s, int64_t id, hw_error *err);
/* Adds attributions (a list; one with the same method and settings replaces the old one), and sets
 * members of the document ("check", "citation"; an object). Both may be NULL. */
bool store_amend(store *s, int64_t id, const json_t *attributions, json_t *members, hw_error *err);
/* Whether the run exists, finished or not. */
bool store_has(store *s, int64_t id, hw_error *err);
/* The request of the run, malloc'd text. */
char *store_request(store *s, int64_t id, hw_error *err);
/* Writes the run's trace to a file. */
bool store_trace(store *s, int64_t id, const char *path, hw_error *err);

#endif
