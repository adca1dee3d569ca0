/*
 * run_store.h - runs kept in an SQLite file, or in memory where nothing is to stay.
 *
 * A run has a row from the moment it starts: its request, and each token as it comes, so that after a crash all of that
 * is still there. It is then marked as failed, with the reason, and made again only when somebody asks. A finished one has its document, JSON text as hw_document_json() makes it, and
 * its trace unless that is too large. One file belongs to one server. Any thread may call.
 */
#ifndef HW_SERVE_RUN_STORE_H
#define HW_SERVE_RUN_STORE_H

#include "export/text_buffer.h"
#include "serve/request.h"

typedef struct store store;

/* Largest trace that is kept, in a file and in memory. */
enum { STORE_FILE_TRACE_MIB = 512, STORE_MEMORY_TRACE_MIB = 32, STORE_MEMORY_RUNS = 50 };

/* Opens or makes the file; `path` NULL: in memory, where the oldest runs go when there are more than STORE_MEMORY_RUNS.
 */
bool store_open(store **out, const char *path, hw_error *err);
void store_close(store *s);
/* $XDG_DATA_HOME/headwater/runs.sqlite, its folders made; malloc'd. NULL with the reason printed. */
char *store_default_path(void);

/* ------------------------------------------------------------------ a run in the making */

/* A new row; `request` is the JSON text to run it again. Gives its id, 0 with *err filled. */
int64_t store_begin(store *s, const explain_request *r, const char *request, const hw_model_info *model, hw_error *err);
/* Keeps the completion so far [n]. */
void store_progress(store *s, int64_t id, const char *completion, size_t n);

/* What a finished run is saved with. */
typedef struct finished {
    int64_t n_prompt, n_completion; /* tokens */
    span_of_text completion;
    const char *document;   /* JSON text */
    const char *trace_path; /* a trace file to keep; NULL: none */
} finished;
bool store_finish(store *s, int64_t id, const finished *what, hw_error *err);
/* Forgets a run that came to nothing. */
void store_drop(store *s, int64_t id);

/* Marks an unfinished run as failed. Those that the end of a server left unfinished are marked when the store is opened. */
void store_fail(store *s, int64_t id, const char *reason);
/* What a failed run was made from: its request, and the tokens that were there. Refused for one that did not fail. */
typedef struct failed_run {
    char *request, *completion; /* malloc'd */
    size_t n_completion;
} failed_run;
bool store_failed_run(store *s, int64_t id, failed_run *out, hw_error *err);
void failed_run_free(failed_run *r);
/* It is in the making again; refused as above. */
bool store_retry(store *s, int64_t id, hw_error *err);

/* ------------------------------------------------------------------ finished runs */

/* {"runs": [...]}, newest first; NULL with *err filled. */
json_t *store_list(store *s, hw_error *err);
/* Adds the RUN of the HTTP API: the document with id, name and time. */
bool store_get(store *s, int64_t id, buffer *out, hw_error *err);
bool store_rename(store *s, int64_t id, span_of_text name, hw_error *err);
bool store_delete(store *s, int64_t id, hw_error *err);
/* Adds attributions (a list, one of the same method and settings replaces the old) and a check (may be NULL). */
bool store_amend(store *s, int64_t id, const json_t *attributions, json_t *check, hw_error *err);
/* Whether there is such a run, finished or not. */
bool store_has(store *s, int64_t id, hw_error *err);
/* The request that made it, malloc'd text. */
char *store_request(store *s, int64_t id, hw_error *err);
/* Writes its trace to a file. */
bool store_trace(store *s, int64_t id, const char *path, hw_error *err);

#endif
