/* cmd_view.c - `headwater view`: the terminal view of a saved trace, a saved result, or exported attention. */
#include "command.h"
#include "message.h"
#include "output.h"
#include "saved.h"
#include "show.h"

static const char command_name[] = "view";

static void show_opened(const job *j, const hw_run *run) {
    show_completion(&j->t, run);
    show_run(&j->t, run);
}

static int run(const options *o) {
    saved from;
    int status = saved_find(&from, o, command_name);
    if (status == STATUS_DONE) status = output_check(o, command_name, &from.path, 1, OUTPUT_ANY);
    if (status != STATUS_DONE) return status;
    job j;
    status = job_prepare(&j, o, command_name);
    if (status == STATUS_DONE) status = saved_open(&j, &from, &(cut){0}, show_opened, job_finish);
    job_free(&j);
    return status;
}

static const char *const usage[] = {"FILE [options]", NULL};
static const example examples[] = {
    {"a saved result, only for the last token", "headwater view result.safetensors --token -1"},
    {"a saved trace as a table", "headwater view run.trace.safetensors --layers 20-30 -o run.csv"},
    {NULL, NULL},
};

const command command_view = {
    .name = command_name,
    .bit = IN_VIEW,
    .summary = "show a saved trace or result",
    .usage = usage,
    .about = "Shows what explain saved: a result as it is, a trace explained anew. With -o it is saved again in "
             "another format, which always holds all rows and layers, whatever the view shows; or drawn, as plot does.",
    .examples = examples,
    .lists = LIST_METHODS | LIST_FILTERS | LIST_FORMATS | LIST_FIGURES | LIST_PRESETS,
    .run = run,
};
