/* engine.c - functions common to all engines: describing and closing a model. llama/llama.c opens one. */
#include "engine/engine.h"
#include "base/sized.h"

#include <stdlib.h>

void hw_model_params_init(hw_model_params *params, size_t size) {
    const hw_model_params defaults = {.size = sizeof defaults};
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

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
