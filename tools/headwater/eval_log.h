/*
 * eval_log.h - results of `eval`: JSON lines, one item a line, appended as it finishes, so that a run that was stopped
 * goes on where it ended. Tables are made from these lines alone.
 */
#ifndef HEADWATER_EVAL_LOG_H
#define HEADWATER_EVAL_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct eval_log {
    const char *path; /* NULL: the lines are kept in memory only */
    FILE *file;
    json_t *lines; /* array of objects, each with "id", "index" and "settings" */
    json_t *ids;   /* object: the ids of `lines` */
} eval_log;

/* Opens or makes the file at `path` (nullable) for a run with `settings`. A last line without its end was torn when a
 * run was killed: it is dropped. STATUS_DONE, or the status to exit with: the file cannot be written, another run
 * writes it, or its lines were made with other settings. Close either way. */
int eval_log_open(eval_log *out, const char *path, const json_t *settings);
void eval_log_close(eval_log *log);
bool eval_log_has(const eval_log *log, const char *id);
/* Appends one result and takes the reference to it. */
int eval_log_add(eval_log *log, json_t *line);

/* Adds the lines of a finished file to `lines`; those that are no results are reported and left out. */
int eval_log_read(json_t *lines, const char *path);

#endif
