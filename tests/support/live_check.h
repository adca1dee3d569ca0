/*
 * live_check.h - explains a run both ways: a few rows at a time while it grows, and as a whole when it is done.
 */
#ifndef HW_SUPPORT_LIVE_CHECK_H
#define HW_SUPPORT_LIVE_CHECK_H

#include "support/fixture.h"

/* Captures a run of `model` with a hw_live of each method [n], and fails the test unless its rows, put together, are those of
 * hw_explain() within `bound` and came while the run grew: at least `n_parts` times, each token once, in order. */
void check_live(hw_model *model, hw_run_params run, const char *const *methods, size_t n,
                const hw_method_params *params, size_t n_parts, double bound);

/* Captures the run twice, once watched by on_rows, and fails the test unless hw_explain() gives the same of both. */
void check_same_as_unwatched(hw_model *model, hw_run_params run, const char *method, double bound);

#endif
