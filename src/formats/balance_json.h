/* balance_json.h - hw_balance rows as JSON, in traces (one a signal row) and in results of method `logit`. */
#ifndef HW_FORMATS_BALANCE_JSON_H
#define HW_FORMATS_BALANCE_JSON_H

#include "base/json.h"

/* A list of `n` objects; NULL when there is no memory. Written with 17 digits it reads back exactly. */
json_t *hw__balance_to_json(const hw_balance *rows, size_t n);
/* rows [n] from a list that must have `n` entries. Errors: FORMAT. */
hw_err hw__balance_from_json(hw_balance *rows, const json_t *list, size_t n, hw_error *err);

#endif
