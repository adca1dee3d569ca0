/* through_json.h - shares that were followed through the completion, as JSON. */
#ifndef HW_FORMATS_THROUGH_JSON_H
#define HW_FORMATS_THROUGH_JSON_H

#include "base/json.h"
#include "data/attribution.h"

/* A list with one object per row; "hops" has one number for each completion token before the row's own. NULL when
 * memory runs out. */
json_t *hw__through_to_json(const hw_attribution *a);

/* Reads member "through" of `json` into `a`, whose rows must be set. Errors: FORMAT, MEMORY. */
hw_err hw__through_from_json(hw_attribution *a, const json_t *json, hw_error *err);

#endif
