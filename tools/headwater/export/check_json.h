/*
 * check_json.h - a check as JSON.
 *
 * The folder headwater/export/: what is written to disk, into a page or into an answer: checks, citations, reports and
 * the library's tables as JSON.
 */
#ifndef HW_EXPORT_CHECK_JSON_H
#define HW_EXPORT_CHECK_JSON_H

#include "headwater.h"

#include "export/rewrite.h"

#include <jansson.h>

/* Input and result of a check. */
typedef struct check_facts {
    const hw_check *check;
    const hw_run *run;
    const hw_segments *segments;
    const char *by;            /* NULL: spans were given */
    size_t row_begin, row_end; /* completion tokens */
    size_t n_ablations;
    uint64_t seed;
    const rewritten_list *again; /* NULL: no completion was rewritten */
} check_facts;

/* A new tree, NULL when memory runs out; release with json_decref(). */
json_t *check_document(const check_facts *facts);
/* Saves it to `path` atomically. Errors: IO, MEMORY. */
hw_err check_save(const check_facts *facts, const char *path, hw_error *err);

#endif
