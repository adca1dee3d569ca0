/*
 * attribution_json.h - how an attribution was made, as JSON: method, settings, diagnostics, layers, first token and, of
 * method `logit`, the balance. Not M: that is in the file's own form.
 */
#ifndef HW_FORMATS_ATTRIBUTION_JSON_H
#define HW_FORMATS_ATTRIBUTION_JSON_H

#include "data/attribution.h"
#include "base/json.h"

/* Flags for writing it: 17 digits read back to the same double. */
#define HW__ATTRIBUTION_JSON_FLAGS JSON_COMPACT

/* A new tree; release with json_decref(). Errors: MEMORY. */
hw_err hw__attribution_to_json(json_t **out, const hw_attribution *a, hw_error *err);

/* An attribution of `run` with M and outside zeroed, to be filled. `shape` [n, m, L] is what the file's numbers have
 * and must be what run and settings ask for. With `mean` only one layer is made. Errors: FORMAT, MEMORY. */
hw_err hw__attribution_from_json(hw_attribution **out, const json_t *json, const hw_run *run, const size_t shape[3],
                                 bool mean, hw_error *err);

#endif
