/*
 * run_json.h - a run as JSON, as every trace and result file contains it. docs/reference/formats.md has an example.
 * Exact: reading returns the same bytes, ranges and probabilities (row_error to nine digits).
 */
#ifndef HW_FORMATS_RUN_JSON_H
#define HW_FORMATS_RUN_JSON_H

#include "base/json.h"
#include "data/run.h"

/* Format names in the metadata of Headwater's files; all of them contain a run. */
#define HW__TRACE_FORMAT       "headwater-trace"
#define HW__RESULT_FORMAT      "headwater-result"      /* JSON */
#define HW__ATTRIBUTION_FORMAT "headwater-attribution" /* safetensors */

/* Flags for writing with jansson: nine digits read back to the same float. */
#define HW__RUN_JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(9))

/* A new tree; release with json_decref(). Errors: MEMORY. */
hw_err hw__run_to_json(json_t **out, const hw_run *run, hw_error *err);
/* Parts of a run; NULL when memory runs out. */
json_t *hw__model_to_json(const hw_model_info *model);
json_t *hw__token_to_json(const hw_token *token);
/* Checks everything. Unknown keys are ignored. Errors: FORMAT, MEMORY. */
hw_err hw__run_from_json(hw_run **out, const json_t *json, hw_error *err);

/* The same as text with a terminator, malloc'd, and back. */
hw_err hw__run_to_text(char **out, const hw_run *run, hw_error *err);
hw_err hw__run_from_text(hw_run **out, const char *text, hw_error *err);

#endif
