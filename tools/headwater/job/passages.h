/*
 * passages.h - retrieved passages: a JSON list of {"name", "text"}, made into a prompt or found in one.
 *
 *     NAME: TEXT
 *                         a blank line after each passage; a passage without a name is only its text
 *     NAME: TEXT
 *
 *     Question: QUESTION
 *     Answer:             not with a chat template, which marks the beginning of the answer itself
 */
#ifndef HW_JOB_PASSAGES_H
#define HW_JOB_PASSAGES_H

#include "cli/input.h"

#include "headwater.h"

#include <jansson.h>

typedef struct passages {
    json_t *json;   /* the list; owns the names */
    hw_span *spans; /* [n] position of each passage in a prompt, once known; in prompt order */
    size_t n;
} passages;

/* Reads and checks the list. Errors: IO, FORMAT, MEMORY. Free with passages_free() in either case. */
hw_err passages_read(passages *p, const char *path, hw_error *err);
void passages_free(passages *p);

/* Builds the prompt of the template above, malloc'd, and the spans in it: name and text. Error MEMORY. */
hw_err passages_build(input *prompt, passages *p, const char *question, bool chat, hw_error *err);

/* Finds each passage in the run's prompt, as "NAME: TEXT" or else as its text, byte for byte, in any order; passages
 * must not overlap. Errors: FORMAT (one is not in the prompt, or only where another one is), MEMORY. */
hw_err passages_find(passages *p, const hw_run *run, hw_error *err);

#endif
