/*
 * passages.h - retrieved passages: a JSON list of {"name", "text"}, made into a prompt or found in one.
 *
 *     NAME: TEXT
 *                         a blank line after each passage; a passage without a name is its text alone
 *     NAME: TEXT
 *
 *     Question: QUESTION
 *     Answer:             not with a chat template, which says itself that the answer begins
 */
#ifndef HW_JOB_PASSAGES_H
#define HW_JOB_PASSAGES_H

#include "cli/input.h"

#include "headwater.h"

#include <jansson.h>

typedef struct passages {
    json_t *json;   /* the list; what names point into */
    hw_span *spans; /* [n] where each stands in a prompt, once it is known; in the order of the prompt */
    size_t n;
} passages;

/* Reads and checks the list. STATUS_DONE or the status to exit with, the reason printed. Free with passages_free() either way. */
int passages_read(passages *p, const char *path);
void passages_free(passages *p);

/* The prompt of the template above, malloc'd, and the spans in it: name and text. */
int passages_build(input *prompt, passages *p, const char *question, bool chat);

/* Finds each passage in the run's prompt, as "NAME: TEXT" or else as its text, byte for byte. The order of both may differ; no two may
 * overlap. */
int passages_find(passages *p, const hw_run *run);

#endif
