/* engine_process.c - `headwater engine-process`: started by `headwater serve` with its own options. */
#include "cli/command.h"
#include "cli/message.h"
#include "job/open_model.h"
#include "serve/engine/engine_main.h"

static const char command_name[] = "engine-process";

static void on_opened(void *ctx) { model_remark_layers(ctx); }

static hw_err run(const options *o, hw_error *err) {
    const char *path;
    hw_err rc = model_path(&path, o, err);
    if (rc != HW_OK) return rc;
    engine_setup setup = {.path = path,
                          .params = model_params(o),
                          .limits = {.n_threads = o->threads, .memory = o->run.memory},
                          .verbose = o->verbose,
                          .on_opened = on_opened,
                          .ctx = (void *)o};
    return engine_main(&setup, err);
}

static const char *const usage[] = {"[options of serve]", NULL};
static const example examples[] = {{NULL, NULL}};

const command command_engine_process = {
    .name = command_name,
    .bit = IN_SERVE,
    .summary = "the process that `headwater serve` keeps its model in",
    .usage = usage,
    .about = "Started by `headwater serve`; not for direct use.",
    .examples = examples,
    .run = run,
};
