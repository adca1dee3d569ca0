/*
 * summary_table.h - result lines of `eval` as a table: methods x metrics, each cell a mean over items with a 95 %
 * bootstrap confidence interval.
 *
 * Evidence metrics count only items that were not answered wrong; the others count all items. A cell leaves out items
 * where its figure does not exist.
 */
#ifndef HW_EVAL_SUMMARY_TABLE_H
#define HW_EVAL_SUMMARY_TABLE_H

#include "eval/results_file.h"
#include "headwater.h"

/* One row of the table of metrics. */
typedef struct eval_metric {
    const char *key;   /* in result lines, CSV and JSON */
    const char *title; /* in text */
    const char *summary;
    bool of_evidence;
    bool whole; /* a count: no digits behind the point */
    int block;  /* text shows the metrics of a block side by side */
} eval_metric;

enum { EVAL_METRICS = 10, EVAL_BLOCKS = 2, EVAL_RESAMPLES = 2000 };
extern const eval_metric eval_metrics[EVAL_METRICS];

typedef struct eval_cell {
    size_t n;               /* items that count */
    double mean, low, high; /* NaN where n is 0; low and high: the 2.5 and 97.5 % points of the resampled means */
} eval_cell;

typedef struct eval_method {
    const char *label; /* borrowed from the lines */
    eval_cell cells[EVAL_METRICS];
} eval_method;

typedef struct eval_group {
    char *name;               /* owned; the tag's value, NULL when results are not grouped */
    size_t n_items, n_failed; /* items, and those that have no result */
    size_t n_judged, n_right; /* items with an answer to be right about, and the right ones */
    eval_method *methods;     /* [n_methods] in the order of the lines */
    size_t n_methods;
} eval_group;

typedef struct eval_table {
    const char *group_by; /* NULL: one group of all */
    eval_group *groups;   /* [n_groups] numbers by size, then texts */
    size_t n_groups;
} eval_table;

/* Makes the table of `lines`, which must outlive it. `group_by` (nullable): a tag, or "model". An item that is there
 * twice counts once. STATUS_DONE, or the status to exit with: no lines, unknown tag, or lines of different settings.
 * Free either way. */
int eval_table_new(eval_table *out, const json_t *lines, const char *group_by, uint64_t seed);
void eval_table_free(eval_table *table);

/* One row of the table of formats. */
typedef struct eval_format {
    const char *name;
    bool (*print)(FILE *out, const eval_table *table); /* false: not all of it, with the reason printed */
} eval_format;
const eval_format *eval_format_find(const char *name); /* NULL with the reason printed */

#endif
