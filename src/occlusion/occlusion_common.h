/* occlusion_common.h - what methods that run the model again have in common. */
#ifndef HW_OCCLUSION_OCCLUSION_COMMON_H
#define HW_OCCLUSION_OCCLUSION_COMMON_H

#include "occlusion/keep_masks.h"
#include "methods/method.h"

/* Opens passes over the attribution's run and masks over its columns; both to be freed, masks first. It sets the
 * settings that have no meaning here to what happens (row: predictor). Errors: ARGUMENT (no model given, or another
 * than the run's; completion columns asked for; too many columns), UNSUPPORTED (an import), MEMORY. */
hw_err hw__rerun_method_begin(hw__rerun **rerun, hw__masks **masks, hw_attribution *a, const hw_method_params *p,
                              hw_error *err);

#endif
