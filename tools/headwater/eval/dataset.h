/*
 * dataset.h - data sets for `eval`: JSON lines, one item per line, read and checked before any model loads.
 *
 *     {"id": "facts-001", "prompt": "...", "answer": "red box", "evidence": [[31, 58]], "tags": {"position": 3}}
 *
 *     id          names the item in results; "name" does too; without either it is "line-N"
 *     completion  the text to explain; without it one is generated
 *     answer      the item is right if its completion begins with this (ignoring white space before it and case), or
 *                 with one of these, if it is a list
 *     after       the answer begins after the first occurrence of this text in the completion: the text before it is
 *                 reasoning, and only the answer's own tokens are explained
 *     token       completion tokens to explain, as for --token of explain; else those of a right answer, else all
 *     evidence    [[begin, end], ...] position of the answer in the prompt; in code points, like all offsets here
 *     spans       [[begin, end], ...] or [{"name", "begin", "end"}, ...] the segments to score
 *     tags        {"name": text or number, ...} to group results by
 *
 * The folder headwater/eval/: data sets: items, method lists, results in files, tables of figures.
 */
#ifndef HW_EVAL_DATASET_H
#define HW_EVAL_DATASET_H

#include "headwater.h"

#include <jansson.h>

/* Every K-th item from the I-th on: a shard of a set that is too large for one machine keeps only its own items in
 * memory. */
typedef struct eval_part {
    size_t shard, n_shards; /* shard counts from 0; n_shards 0: no items */
} eval_part;

typedef struct eval_item {
    char *id;                                        /* owned */
    char sha256[65];                                 /* of the item, independent of how its line is written */
    json_t *json;                                    /* owned; the texts below are in it */
    const char *prompt, *completion, *token, *after; /* all except the prompt may be NULL */
    const char **answers;                            /* [n_answers] owned, the texts are in `json`; any of them */
    size_t n_answers;                                /* 0: whether the item is right is unknown */
    size_t prompt_bytes, completion_bytes;
    hw_span *evidence; /* [n_evidence] owned; byte ranges of the prompt */
    size_t n_evidence;
    char *spans;        /* owned; input of hw_segments_from_json(), or NULL */
    const json_t *tags; /* an object or NULL */
    size_t index;       /* index in the data set, from 0; lines that are not items count too */
} eval_item;

typedef struct eval_set {
    const char *path; /* borrowed */
    eval_item *at;    /* [n] */
    size_t n, n_bad;  /* items; lines that are not items, each reported with its number */
    json_t *places;   /* object: id to index in `at` */
} eval_set;

bool eval_part_has(const eval_part *part, size_t index);

/* Reads lines up to the `limit`-th item (0: all). All are checked; items outside `part` keep only id, sha256 and index.
 * Errors: IO, FORMAT (no item), MEMORY. Free in either case. */
hw_err eval_set_read(eval_set *out, const char *path, size_t limit, const eval_part *part, hw_error *err);
void eval_set_free(eval_set *set);

/* NULL: unknown id */
const eval_item *eval_set_find(const eval_set *set, const char *id);

#endif
