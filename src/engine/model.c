/* model.c - the public face of an engine: open, describe, close. */
#include "engine/engine.h"

#include <stdlib.h>

hw_model_params hw_model_params_default(void) { return (hw_model_params){.size = sizeof(hw_model_params)}; }

hw_err hw_model_open(hw_model **out, const char *path, const hw_model_params *params, hw_error *err) {
    if (!path || !*path) return hw__fail(err, HW_ERR_ARGUMENT, "no model file named");
    hw_model *model = hw__alloc(1, sizeof *model);
    if (!model) return hw__fail_memory(err, "a model", 1, sizeof *model);
    model->params = params ? *params : hw_model_params_default();
    hw_err rc = hw__engine_llama_open(&model->engine, path, &model->params, err);
    if (rc != HW_OK) {
        free(model);
        return rc;
    }
    *out = model;
    return HW_OK;
}

void hw_model_close(hw_model *model) {
    if (!model) return;
    model->engine->ops->close(model->engine);
    free(model);
}

const hw_model_info *hw_model_describe(const hw_model *model) { return model->engine->ops->describe(model->engine); }
