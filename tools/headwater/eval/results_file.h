/*
 * results_file.h - results of `eval`: JSON lines, one item a line, appended as it finishes, so that a run that was stopped
 * goes on where it ended. Tables are made from these lines alone.
 */
#ifndef HW_EVAL_RESULTS_FILE_H
#define HW_EVAL_RESULTS_FILE_H

#include "eval/dataset.h"

#include <stdio.h>
#include <sys/types.h>

typedef struct eval_log {
    const char *path; /* NULL: the lines are kept in memory only */
    FILE *file;
    json_t *lines;  /* array of objects, each with "id", "index" and "settings" */
    json_t *ids;    /* object: the ids of `lines` that hold a result ... */
    json_t *failed; /* ... and of those that say why there is none */
} eval_log;

/* Opens or makes the file at `path` (nullable) for a run of `set` with `settings`. A last line without its end was torn
 * when a run was killed: it is dropped. STATUS_DONE, or the status to exit with: the file cannot be written, another run
 * writes it, or its lines were made with other settings or of other items. Close either way. */
int eval_log_open(eval_log *out, const char *path, const eval_set *set, const json_t *settings);
void eval_log_close(eval_log *log);
bool eval_log_has(const eval_log *log, const char *id);
/* Appends one result, or why there is none, and takes the reference to it. It replaces an earlier failure of its item. */
int eval_log_add(eval_log *log, json_t *line);

/* Adds the lines of a finished file to `lines`; those that are no results are reported and left out, and so are failures of
 * items that were tried again. */
int eval_log_read(json_t *lines, const char *path);

/* ------------------------------------------------------------------ one line after the other */

typedef struct eval_line {
    json_t *json; /* borrowed while the function runs */
    off_t at;     /* where its text [n] begins in the file */
    size_t n;     /* bytes, its newline counted */
} eval_line;
typedef int (*eval_line_fn)(void *user, const eval_line *line); /* STATUS_DONE, or the status to exit with */

/* What a file holds beside results. */
typedef struct eval_rest {
    size_t n_others; /* lines that are no results, each reported */
    off_t whole;     /* where the last whole line ends: what follows was torn when a run was killed */
    bool torn;
} eval_rest;

/* Shows every result in `file` to `fn`. */
int eval_log_scan(eval_rest *out, FILE *file, const char *path, eval_line_fn fn, void *user);
/* False when another run writes the file. The lock ends when the file is closed. */
bool eval_log_lock_shared(FILE *file);

/* Whether two values of settings are one. Models of which one line has no sample of the weights, because it was made before
 * there were samples, are compared by the rest. */
bool eval_setting_same(const json_t *a, const json_t *b);
bool eval_settings_same(const json_t *a, const json_t *b);
/* `b` where it alone has a sample of the weights, else `a`: what lines that follow are compared with. */
json_t *eval_settings_fuller(json_t *a, json_t *b);
/* How `now` differs from `old`, as in `seed 4, not 0`. */
void eval_settings_differ(char *out, size_t room, const json_t *now, const json_t *old);
/* False when a result is of what the item was before its data set changed: another text or another place. */
bool eval_line_is_of(const json_t *line, const eval_item *item);

#endif
