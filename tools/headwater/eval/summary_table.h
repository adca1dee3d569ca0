/*
 * summary_table.h - result lines of `eval` as a table: methods x metrics, each cell a mean over items with a 95 %
 * bootstrap confidence interval.
 *
 * Evidence metrics skip items that were answered wrong; the others use all items. A cell skips items without the
 * figure.
 */
#ifndef HW_EVAL_SUMMARY_TABLE_H
#define HW_EVAL_SUMMARY_TABLE_H

#include "eval/results_file.h"
#include "headwater.h"

/* One row of the table of metrics. */
typedef struct eval_metric {
    const char *key;   /* key in result lines, CSV and JSON */
    const char *title; /* title in text */
    const char *summary;
    bool of_evidence;
    bool whole; /* a count: printed without decimals */
    int block;  /* text output prints the metrics of a block side by side */
} eval_metric;

enum { EVAL_METRICS = 13, EVAL_BLOCKS = 3, EVAL_RESAMPLES = 2000 };
extern const eval_metric eval_metrics[EVAL_METRICS];

typedef struct eval_cell {
    size_t n;               /* number of items */
    double mean, low, high; /* NaN if n is 0; low and high: the 2.5 and 97.5 % quantiles of the resampled means */
} eval_cell;

typedef struct eval_method {
    const char *label; /* borrowed from the lines */
    eval_cell cells[EVAL_METRICS];
} eval_method;

typedef struct eval_group {
    char *name;               /* owned; the tag's value, NULL if results are not grouped */
    size_t n_items, n_failed; /* items, and items without a result */
    size_t n_judged, n_right; /* items with a known answer, and items answered right */
    eval_method *methods;     /* [n_methods] in the order of the lines */
    size_t n_methods;
} eval_group;

typedef struct eval_table {
    const char *group_by; /* NULL: one group with all items */
    eval_group *groups;   /* [n_groups] numbers by size, then texts */
    size_t n_groups;
} eval_table;

/* Makes the table of `lines`, which must outlive it. `group_by` (nullable): a tag, or "model". Duplicate items count
 * once. Errors: ARGUMENT (no lines, unknown tag, or lines of different settings), MEMORY. Free in either case. */
hw_err eval_table_new(eval_table *out, const json_t *lines, const char *group_by, uint64_t seed, hw_error *err);
void eval_table_free(eval_table *table);

/* One row of the table of formats. */
typedef struct eval_format {
    const char *name;
    bool (*print)(FILE *out, const eval_table *table); /* false after printing the reason: the output is incomplete */
} eval_format;
const eval_format *eval_format_find(const char *name); /* NULL after printing the reason */

#endif
