/* occlusion_common.c - what methods that run the model again have in common. */
#include "occlusion/occlusion_common.h"

hw_err hw__rerun_method_begin(hw__rerun **rerun, hw__masks **masks, hw_attribution *a, const hw_method_params *p,
                              hw_error *err) {
    if (!p->model)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "method %s runs the model again, and none was given: it needs the model that made the run, which a "
            "saved trace does not hold",
            a->method);
    if (p->columns != HW_COLUMNS_PROMPT)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "method %s leaves out parts of the prompt only: the completion's columns cannot be asked for",
                        a->method);
    a->params.row = HW_ROW_PREDICTOR; /* a probability is of the row that chose the token */
    hw_err rc = hw__rerun_new(rerun, p->model, a->run, p->stop, p->ctx, err);
    return rc == HW_OK ? hw__masks_new(masks, *rerun, a->groups, a->n_columns, err) : rc;
}
