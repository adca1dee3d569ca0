/* plot.c - `headwater plot`: a figure of a saved trace, a saved result, or exported attention. */
#include "cli/command.h"
#include "cli/message.h"
#include "job/open_saved.h"
#include "job/output_files.h"

static const char command_name[] = "plot";

static hw_err draw(job *j, const hw_attribution *const *list, size_t n, hw_error *err) {
    (void)err;
    return output_save(j->o, (report_run){list, n, NULL});
}

static hw_err plot(const options *o, const saved_file *from, const prompt_split *by, hw_error *err) {
    job j;
    hw_err rc = job_prepare(&j, o, err);
    if (rc == HW_OK) rc = saved_file_open(&j, from, by, &(saved_file_use){NULL, draw}, err);
    rc = job_result(&j, rc);
    job_free(&j);
    return rc;
}

static hw_err run(const options *o, hw_error *err) {
    if (o->arguments.n != 1) return usage_error(err, "name one file; %zu were given", o->arguments.n);
    saved_file from;
    hw_err rc = saved_file_find(&from, o->arguments.at[0], o, err);
    if (rc == HW_OK && o->output.n == 0) rc = usage_error(err, "nothing to draw into: give -o FILE.png, .svg or .pdf");
    if (rc == HW_OK && (o->by || o->spans) && o->settings.columns == HW_COLUMNS_ALL)
        rc = usage_error(err, "--by and --spans split the prompt: they cannot be combined with --columns all");
    if (rc == HW_OK) rc = output_check(o, &from.path, 1, OUTPUT_FIGURES, err);
    if (rc != HW_OK) return rc;
    prompt_split by;
    rc = prompt_split_read(&by, o, NULL, err);
    if (rc == HW_OK) rc = plot(o, &from, &by, err);
    prompt_split_free(&by);
    return rc;
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
    .about = "Draws files saved by explain: results as they are, traces explained again. Several methods are drawn one "
             "below the other. explain and view draw the same figures with -o.",
    .examples = examples,
    .lists = LIST_METHODS | LIST_FILTERS | LIST_FIGURES | LIST_PRESETS,
    .run = run,
};
