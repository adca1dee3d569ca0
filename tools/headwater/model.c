/* model.c - the model that the options name, opened as they say. */
#include "model.h"

#include "interrupt.h"
#include "message.h"

#include <stdlib.h>

const char *model_path(const options *o, const char *command) {
    const char *named = getenv("HEADWATER_MODEL");
    if (o->model) return o->model;
    if (named && *named) return named;
    misuse(command, "no model: give -m MODEL, or set HEADWATER_MODEL");
    return NULL;
}

static void print_log(void *ctx, hw_log_level level, const char *line) {
    (void)ctx;
    (void)level;
    message("%s", line);
}

hw_model_params model_params(const options *o) {
    hw_model_params params = hw_model_params_default();
    params.n_threads = (int32_t)o->threads;
    params.n_gpu_layers = (int32_t)o->gpu_layers;
    params.n_ctx = (int32_t)o->ctx;
    params.n_ubatch = (int32_t)o->ubatch;
    params.f32_cache = o->f32_cache;
    return params;
}

hw_err model_open(hw_model **out, const options *o, const char *path, progress *bar, hw_error *err) {
    hw_model_params params = model_params(o);
    params.progress = progress_show;
    params.stop = interrupt_stop;
    params.ctx = bar;
    if (o->verbose) hw_log_set(print_log, NULL);
    hw_err rc = hw_model_open(out, path, &params, err);
    progress_erase(bar);
    return rc;
}
