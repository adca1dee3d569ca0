/*
 * merge.h - merges the result files of shards, in the order of their data set.
 *
 * Lines are copied unchanged and only one is in memory at a time, so a merge can be larger than memory.
 */
#ifndef HW_EVAL_MERGE_H
#define HW_EVAL_MERGE_H

#include "eval/dataset.h"

#include <stdio.h>

/* Position of an item's result; n 0: no result. */
typedef struct eval_place {
    size_t part;
    off_t at;
    size_t n;    /* bytes */
    bool failed; /* the line is an error: a result of the same item in another file replaces it */
} eval_place;

typedef struct eval_merge {
    const eval_set *set;
    const char *const *paths; /* [n_parts] */
    FILE **parts;             /* [n_parts] */
    size_t n_parts, n_open;
    eval_place *places; /* [set->n] */
    json_t *settings;   /* of the first result (of the first with a sample of the weights), which all others must
                           equal ... */
    size_t first;       /* ... and the index of its file */
    size_t n_twice;     /* results of items that already had one */
    size_t n_lost;      /* lines that are not results, incomplete ones included */
} eval_merge;

/* Reads the files. Errors: IO, ARGUMENT, MEMORY: a file that cannot be read or is being written by a run, results of
 * other settings, or of items that `set` does not have. `paths` must outlive it. Close in either case. */
hw_err eval_merge_open(eval_merge *out, const eval_set *set, const char *const *paths, size_t n, hw_error *err);
void eval_merge_close(eval_merge *m);

/* Number of items without a line, and of items whose line is an error. */
size_t eval_merge_n_missing(const eval_merge *m);
size_t eval_merge_n_failed(const eval_merge *m);
/* Reports duplicate, missing and failed items: their number, and the first of them by name. */
void eval_merge_report(const eval_merge *m);
/* Writes `path` atomically. */
hw_err eval_merge_save(eval_merge *m, const char *path, hw_error *err);

#endif
