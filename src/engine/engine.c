/* engine.c - what every engine has in common: a model described and closed. Opening one is llama/llama.c. */
#include "engine/engine.h"

#include <stdlib.h>

hw_model_params hw_model_params_default(void) { return (hw_model_params){.size = sizeof(hw_model_params)}; }

void hw_model_close(hw_model *model) {
    if (!model) return;
    model->engine->ops->close(model->engine);
    free(model);
}

const hw_model_info *hw_model_describe(const hw_model *model) { return model->engine->ops->describe(model->engine); }
