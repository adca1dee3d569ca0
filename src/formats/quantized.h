/*
 * quantized.h - the numbers of an attribution as JSON text for drawing: each row of a layer as bytes with its own
 * scale, deflated, in base64. A quarter of the size of floats; the error is at most half a step of 1/255 of the row's
 * largest value. docs/reference/formats.md describes how to read it.
 */
#ifndef HW_FORMATS_QUANTIZED_H
#define HW_FORMATS_QUANTIZED_H

#include "base/json.h"
#include "data/attribution.h"

/* {"matrix": ..., "mean": ...}; NaN is 0 in the matrix and NaN in the means. Release with json_decref(). Errors:
 * MEMORY, ARGUMENT (a value is infinite). */
hw_err hw__quantized_to_json(json_t **out, const hw_attribution *a, hw_error *err);

#endif
