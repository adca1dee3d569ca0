/*
 * live_check.h - explains a run both ways: a few rows at a time while it grows, and as a whole when it is done.
 */
#ifndef HW_SUPPORT_LIVE_CHECK_H
#define HW_SUPPORT_LIVE_CHECK_H

#include "support/fixture.h"

/* How a run is explained while it grows. */
typedef struct live_check {
    const char *const *methods; /* [n] */
    size_t n, interval;         /* completion tokens between two calls */
    size_t n_parts;             /* calls that show rows of a method, at least */
    double bound;
} live_check;

/* Captures a run of `model` with an explainer of the methods, and fails the test unless the rows that it shows, put
 * together, are those of hw_explain() within the bound, each token once and in order, and its results are those. */
void check_live(hw_model *model, hw_run_params run, const hw_method_params *params, live_check c);

/* Captures the run twice, once with rows shown as they come, and fails the test unless hw_explain() gives the same of
 * both. */
void check_same_as_unwatched(hw_model *model, hw_run_params run, const char *method, double bound);

#endif
