/*
 * eval_set.h - data sets for `eval`: JSON lines, one item a line, read and checked before any model loads.
 *
 *     {"id": "facts-001", "prompt": "...", "answer": "red box", "evidence": [[31, 58]], "tags": {"position": 3}}
 *
 *     id          names the item in results; "name" does too; without either it is "line-N"
 *     completion  the text to explain, else one is generated
 *     answer      the item is right when its completion begins with this (white space before it and case aside)
 *     token       completion tokens to explain, as explain's --token; else those of a right answer, else all
 *     evidence    [[begin, end], ...] where the answer stands in the prompt; code points, as all offsets here
 *     spans       [[begin, end], ...] or [{"name", "begin", "end"}, ...] what to judge as segments
 *     tags        {"name": text or number, ...} to group results by
 */
#ifndef HEADWATER_EVAL_SET_H
#define HEADWATER_EVAL_SET_H

#include "headwater.h"

#include <jansson.h>

typedef struct eval_item {
    json_t *json;                                     /* owned; the texts below are in it */
    char *id;                                         /* owned */
    const char *prompt, *completion, *answer, *token; /* all but the prompt may be NULL */
    size_t prompt_bytes, completion_bytes;
    hw_span *evidence; /* [n_evidence] owned; byte ranges of the prompt */
    size_t n_evidence;
    char *spans;        /* owned; as hw_segments_from_json() takes it, or NULL */
    const json_t *tags; /* an object or NULL */
    size_t index;       /* place in the data set, from 0; lines that are none count too */
} eval_item;

typedef struct eval_set {
    eval_item *at;   /* [n] */
    size_t n, n_bad; /* items; lines that are none, each reported with its number */
} eval_set;

/* Reads the first `limit` (0: all) lines. STATUS_DONE, or the status to exit with. Free either way. */
int eval_set_read(eval_set *out, const char *path, size_t limit);
void eval_set_free(eval_set *set);

#endif
