/* plot.c - `headwater plot`: a figure of a saved trace, a saved result, or exported attention. */
#include "cli/command.h"
#include "cli/message.h"
#include "job/output_files.h"
#include "job/open_saved.h"

static const char command_name[] = "plot";

static int draw(job *j, const hw_attribution *const *list, size_t n) {
    return output_save(j->o, (report_run){list, n, NULL}) ? STATUS_DONE : STATUS_FAILED;
}

static int plot(const options *o, const saved_file *from, const prompt_split *by) {
    job j;
    int status = job_prepare(&j, o, command_name);
    if (status == STATUS_DONE) status = job_status(&j, saved_file_open(&j, from, by, NULL, draw));
    job_free(&j);
    return status;
}

static int run(const options *o) {
    if (o->arguments.n != 1) return misuse(command_name, "name one file; %zu were given", o->arguments.n);
    saved_file from;
    int status = saved_file_find(&from, o->arguments.at[0], o, command_name);
    if (status == STATUS_DONE && o->output.n == 0)
        status = misuse(command_name, "nothing to draw into: give -o FILE.png, .svg or .pdf");
    if (status == STATUS_DONE && (o->by || o->spans) && o->settings.columns == HW_COLUMNS_ALL)
        status = misuse(command_name, "--by and --spans cut the prompt: they cannot be combined with --columns all");
    if (status == STATUS_DONE) status = output_check(o, command_name, &from.path, 1, OUTPUT_FIGURES);
    if (status != STATUS_DONE) return status;
    prompt_split by;
    status = prompt_split_read(&by, o, command_name, NULL);
    if (status == STATUS_DONE) status = plot(o, &from, &by);
    prompt_split_free(&by);
    return status;
}

static const char *const usage[] = {"FILE -o FIGURE [options]", NULL};
static const example examples[] = {
    {"bars for the token \"sunny\", without token 0",
     "headwater plot run.trace.safetensors --token sunny --hide first -o sunny.png"},
    {"layers against tokens, as in the note's figures",
     "headwater plot run.trace.safetensors --preset note --kind heatmap -o sunny.svg"},
    {"which sentences a long answer comes from, for a paper",
     "headwater plot run.trace.safetensors --by sentence --kind map -o answer.pdf"},
    {NULL, NULL},
};

const command command_plot = {
    .name = command_name,
    .bit = IN_PLOT,
    .summary = "draw a figure of a saved trace or result",
    .usage = usage,
    .about =
        "Draws files saved by explain: results as they are, traces explained again. Several methods are drawn one "
        "below the other. explain and view draw the same figures with -o.",
    .examples = examples,
    .lists = LIST_METHODS | LIST_FILTERS | LIST_FIGURES | LIST_PRESETS,
    .run = run,
};
