/*
 * results_file.h - results of `eval`: JSON lines, one item per line, appended as each finishes, so that an interrupted
 * run can be continued. Tables are made from these lines only.
 */
#ifndef HW_EVAL_RESULTS_FILE_H
#define HW_EVAL_RESULTS_FILE_H

#include "eval/dataset.h"

#include <stdio.h>
#include <sys/types.h>

typedef struct eval_log {
    const char *path; /* NULL: lines are kept in memory only */
    FILE *file;
    json_t *lines;  /* array of objects, each with "id", "index" and "settings" */
    json_t *ids;    /* object: ids of the `lines` with a result ... */
    json_t *failed; /* ... and ids of the lines with an error */
} eval_log;

/* Opens or creates the file at `path` (nullable) for a run of `set` with `settings`. An incomplete last line, left by a
 * killed run, is removed. Errors: IO, ARGUMENT, MEMORY: the file cannot be written, another run is writing it, or
 * its lines are of other settings or items. Close in either case. */
hw_err eval_log_open(eval_log *out, const char *path, const eval_set *set, const json_t *settings, hw_error *err);
void eval_log_close(eval_log *log);
bool eval_log_has(const eval_log *log, const char *id);
/* Appends one result or error and takes the reference to it. It replaces an earlier failure of its item. */
hw_err eval_log_add(eval_log *log, json_t *line, hw_error *err);

/* Adds the lines of a finished file to `lines`. Lines that are not results are reported and skipped; failures of items
 * that were measured again are skipped. */
hw_err eval_log_read(json_t *lines, const char *path, hw_error *err);

/* ------------------------------------------------------------------ one line after the other */

typedef struct eval_line {
    json_t *json; /* borrowed while the function runs */
    off_t at;     /* offset of its text [n] in the file */
    size_t n;     /* bytes, with the newline */
} eval_line;
typedef hw_err (*eval_line_fn)(void *user, const eval_line *line, hw_error *err);

/* Content of a file apart from results. */
typedef struct eval_rest {
    size_t n_others; /* lines that are not results, each reported */
    off_t whole;     /* end of the last complete line: what follows was left by a killed run */
    bool torn;
} eval_rest;

/* Calls `fn` with every result in `file`. */
hw_err eval_log_scan(eval_rest *out, FILE *file, const char *path, eval_line_fn fn, void *user, hw_error *err);
/* False if another run is writing the file. The lock ends when the file is closed. */
bool eval_log_lock_shared(FILE *file);

/* Whether two settings are equal. Models are compared without the sample of the weights if one line was written before
 * samples existed. */
bool eval_setting_same(const json_t *a, const json_t *b);
bool eval_settings_same(const json_t *a, const json_t *b);
/* Returns `b` if only `b` has a sample of the weights, else `a`: the settings that following lines are compared
 * with. */
json_t *eval_settings_fuller(json_t *a, json_t *b);
/* Describes how `now` differs from `old`, as in `seed 4, not 0`. */
void eval_settings_differ(char *out, size_t capacity, const json_t *now, const json_t *old);
/* False if the item has changed in the data set since the line was written: another text or another index. */
bool eval_line_is_of(const json_t *line, const eval_item *item);

#endif
