/* cmd_view.c - `headwater view`: the terminal view of a saved trace, a saved result, or exported attention. */
#include "command.h"
#include "interrupt.h"
#include "job.h"
#include "message.h"
#include "output.h"
#include "show.h"

#include <string.h>

static const char command_name[] = "view";

static int view_trace(job *j, hw_file_kind kind, const char *path) {
    hw_trace *trace;
    hw_error err;
    hw_err rc = kind == HW_FILE_TRACE ? hw_trace_open(&trace, path, &err)
                                      : hw_trace_import(&trace, path, j->o->fuse, &err);
    if (rc != HW_OK) return job_fail(j, &err);
    interrupt_catch();
    show_completion(&j->t, hw_trace_run(trace));
    show_run(&j->t, hw_trace_run(trace));
    int status = job_explain(j, trace, true);
    if (status == STATUS_DONE) status = job_finish_made(j);
    hw_trace_free(trace);
    return status;
}

static int view_result(job *j, const char *path) {
    hw_result *result;
    hw_error err;
    if (hw_result_open(&result, path, &err) != HW_OK) return job_fail(j, &err);
    const hw_attribution *list[MOST_METHODS];
    size_t n = hw_result_count(result);
    int status;
    if (n == 0 || n > MOST_METHODS) {
        status = fail("%s holds %zu results; 1 to %d can be shown", path, n, MOST_METHODS);
    } else {
        for (size_t i = 0; i < n; i++) list[i] = hw_result_at(result, i);
        show_completion(&j->t, hw_attribution_run(list[0]));
        show_run(&j->t, hw_attribution_run(list[0]));
        status = job_finish(j, list, n);
    }
    hw_result_free(result);
    return status;
}

static int view_file(const options *o, hw_file_kind kind, const char *path) {
    job j;
    int status = job_prepare(&j, o, command_name);
    if (status == STATUS_DONE)
        status = kind == HW_FILE_RESULT ? view_result(&j, path) : view_trace(&j, kind, path);
    job_free(&j);
    return status;
}

static int run(const options *o) {
    if (o->arguments.n != 1) return misuse(command_name, "name one file; %zu were given", o->arguments.n);
    const char *path = o->arguments.at[0];
    hw_file_kind kind;
    hw_error err;
    if (hw_file_probe(&kind, path, &err) != HW_OK) return fail("%s", err.msg);
    if (kind == HW_FILE_UNKNOWN)
        return fail("%s is no trace, result or attention file; view shows what explain saved with --trace or -o", path);
    source from = kind == HW_FILE_RESULT ? FROM_RESULT : kind == HW_FILE_TRACE ? FROM_TRACE : FROM_ATTENTION;
    if (!options_fit(o, command_name, from)) return STATUS_USAGE;
    int status = output_check(o, command_name, &path, 1);
    return status == STATUS_DONE ? view_file(o, kind, path) : status;
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
             "another format, which always holds all rows and layers, whatever the view shows.",
    .examples = examples,
    .lists = LIST_METHODS | LIST_FILTERS | LIST_FORMATS | LIST_PRESETS,
    .run = run,
};
