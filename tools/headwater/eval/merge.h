/*
 * merge.h - the result files of shards as one, in the order of their data set.
 *
 * Lines are copied as they are and only one is in memory at a time, so a merge can be larger than memory.
 */
#ifndef HW_EVAL_MERGE_H
#define HW_EVAL_MERGE_H

#include "eval/dataset.h"

#include <stdio.h>

/* Where the result of an item stands; n 0: nowhere. */
typedef struct eval_place {
    size_t part;
    off_t at;
    size_t n;    /* bytes */
    bool failed; /* it is an error: a result of the same item in another file is taken instead */
} eval_place;

typedef struct eval_merge {
    const eval_set *set;
    const char *const *paths; /* [n_parts] */
    FILE **parts;             /* [n_parts] */
    size_t n_parts, n_open;
    eval_place *places; /* [set->n] */
    json_t *settings;   /* of the first result (that has a sample of the weights), which all others must share ... */
    size_t first;       /* ... and the file it is in */
    size_t n_twice;     /* results of items that were there already */
    size_t n_lost;      /* lines that are no results, torn ones too */
} eval_merge;

/* Reads the files. STATUS_DONE, or the status to exit with: a file that cannot be read or that a run still writes,
 * results of other settings, or of items that `set` does not have. `paths` must outlive it. Close either way. */
int eval_merge_open(eval_merge *out, const eval_set *set, const char *const *paths, size_t n);
void eval_merge_close(eval_merge *m);

/* Items without a line, and items of which a line says why there is no result. */
size_t eval_merge_n_missing(const eval_merge *m);
size_t eval_merge_n_failed(const eval_merge *m);
/* Says what was there twice, what is missing and what failed: the number of items, and the first of them by name. */
void eval_merge_report(const eval_merge *m);
/* Writes `path`, whole or not at all. */
int eval_merge_save(eval_merge *m, const char *path);

#endif
