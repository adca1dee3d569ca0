/*
 * baselines.h - the divisor of a lift.
 *
 * The folder methods/: a trace to M: the tables of methods and of their settings, one file for each method or what
 * several share, and explainers, which give results while a run grows.
 */
#ifndef HW_METHODS_BASELINES_H
#define HW_METHODS_BASELINES_H

#include "data/attribution.h"

/* The result of method `uniform` for the rows, columns and settings of `a`, in every layer of the model. A setting that
 * does not apply to `a`'s method has its default. Errors: UNSUPPORTED (a measured residual that `a` does not hold). */
hw_err hw__uniform_beside(hw_attribution **out, const hw_attribution *a, hw_error *err);

#endif
