/*
 * attribution_json.h - how an attribution was made, as JSON: method, settings, diagnostics, layers, first token and,
 * for method `logit`, the balance. M itself is stored in the file's own form.
 *
 * The folder formats/: files: traces, states, results, documents, one file for each format, and values as JSON.
 */
#ifndef HW_FORMATS_ATTRIBUTION_JSON_H
#define HW_FORMATS_ATTRIBUTION_JSON_H

#include "base/json.h"
#include "data/attribution.h"

/* Flags for writing: 17 digits read back to the same double. */
#define HW__ATTRIBUTION_JSON_FLAGS JSON_COMPACT

/* A new tree; release with json_decref(). Errors: MEMORY. */
hw_err hw__attribution_to_json(json_t **out, const hw_attribution *a, hw_error *err);

/* Makes an attribution of `run` with M and outside zeroed, to be filled. `shape` [n, m, L] is that of the file's
 * numbers and must match the run and the settings. With `mean` only one layer is allocated. Errors: FORMAT, MEMORY. */
hw_err hw__attribution_from_json(hw_attribution **out, const json_t *json, const hw_run *run, const size_t shape[3],
                                 bool mean, hw_error *err);

/* hw_balance rows: in traces one per signal row, in results of method `logit` one per row of M.
 *
 * A list of `n` objects; NULL when memory runs out. Written with 17 digits it reads back exactly. */
json_t *hw__balance_to_json(const hw_balance *rows, size_t n);
/* rows [n] from a list that must have `n` entries. Errors: FORMAT. */
hw_err hw__balance_from_json(hw_balance *rows, const json_t *list, size_t n, hw_error *err);

#endif
