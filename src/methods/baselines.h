/* baselines.h - what a lift divides by. */
#ifndef HW_METHODS_BASELINES_H
#define HW_METHODS_BASELINES_H

#include "data/attribution.h"

/* What method `uniform` gives for the rows, columns and settings of `a`, in every layer of the model. A setting that
 * `a`'s method does not heed stays at its default. Errors: UNSUPPORTED (a measured residual that `a` does not hold). */
hw_err hw__uniform_beside(hw_attribution **out, const hw_attribution *a, hw_error *err);

#endif
