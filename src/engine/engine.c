/* engine.c - functions common to all engines: describing and closing a model. llama/llama.c opens one. */
#include "engine/engine.h"

#include <stdlib.h>

hw_model_params hw_model_params_default(void) { return (hw_model_params){.size = sizeof(hw_model_params)}; }

void hw_model_close(hw_model *model) {
    if (!model) return;
    model->engine->ops->close(model->engine);
    free(model);
}

const hw_model_info *hw_model_describe(const hw_model *model) { return model->engine->ops->describe(model->engine); }

const char *hw_source_kind_name(hw_source_kind kind) {
    static const char *const words[HW_N_SOURCE_KINDS] = {"attention", "delta net", "state space", "convolution"};
    return (unsigned)kind < HW_N_SOURCE_KINDS ? words[kind] : "?";
}
