/* open_saved.c - opens a saved trace, a saved result or exported attention, and explains it. */
#include "job/open_saved.h"

#include "cli/interrupt.h"
#include "job/trace_state_files.h"
#include "cli/message.h"

int saved_file_find(saved_file *out, const char *path, const options *o, const char *command) {
    hw_error err;
    out->path = path;
    if (hw_file_probe(&out->kind, out->path, &err) != HW_OK) return fail_by(&err);
    if (out->kind == HW_FILE_UNKNOWN)
        return fail("%s is not a trace, result or attention file; %s shows what explain saved with --trace or -o",
                    out->path, command);
    source from = out->kind == HW_FILE_RESULT ? FROM_RESULT : out->kind == HW_FILE_TRACE ? FROM_TRACE : FROM_ATTENTION;
    return options_fit(o, command, from) ? STATUS_DONE : STATUS_USAGE;
}

static int use_made(job *j, saved_file_use use) {
    const hw_attribution *list[MAX_METHODS];
    for (size_t i = 0; i < j->n_made; i++) list[i] = j->made[i];
    return use(j, list, j->n_made);
}

static int use_trace(job *j, const hw_trace *trace, const prompt_split *by, saved_file_use use) {
    j->split = prompt_split_is_given(by) ? by : NULL;
    j->whole = true;
    int status = job_explain(j, trace, true);
    return status == STATUS_DONE ? use_made(j, use) : status;
}

static int open_trace(job *j, const saved_file *from, const prompt_split *by, void (*open)(const job *, const hw_run *),
                      saved_file_use use) {
    hw_trace *trace;
    hw_error err;
    hw_err rc = from->kind == HW_FILE_TRACE ? hw_trace_open(&trace, from->path, &err)
                                            : hw_trace_import(&trace, from->path, j->o->run.fuse, &err);
    if (rc != HW_OK) return job_fail(j, &err);
    interrupt_catch();
    if (open) open(j, hw_trace_run(trace));
    trace_state_show_rounding(j, trace);
    int status = use_trace(j, trace, by, use);
    hw_trace_free(trace);
    return status;
}

/* Sums a finished attribution's columns by segment. */
static int group(job *j, const prompt_split *by, const hw_attribution *a) {
    const hw_method_params params = hw_attribution_params(a);
    if (params.groups || params.columns == HW_COLUMNS_ALL)
        return misuse(j->command, "--by and --spans cut the prompt: the result's columns are %s",
                      params.groups ? "segments already" : "the completion's too");
    hw_segments *segments = NULL;
    hw_partition *partition = NULL;
    hw_error err;
    hw_err rc = prompt_split_segments(&segments, by, hw_attribution_run(a), &err);
    if (rc == HW_OK && !j->o->quiet) prompt_split_remark(segments);
    if (rc == HW_OK) rc = hw_segments_partition(&partition, segments, &err);
    if (rc == HW_OK) {
        hw_method_params columns = hw_method_params_default();
        hw_partition_columns(partition, &columns);
        rc = hw_attribution_group(&j->made[j->n_made], a, columns.groups, columns.group_names, columns.n_groups, &err);
    }
    if (rc == HW_OK) j->n_made++;
    hw_partition_free(partition);
    hw_segments_free(segments);
    return rc == HW_OK ? STATUS_DONE : job_fail(j, &err);
}

/* Makes an attribution of the job from a result, followed through its completion, grouped, or both. */
static int remake(job *j, const prompt_split *by, const hw_attribution *a) {
    hw_attribution *followed = NULL;
    hw_error err;
    if (j->o->settings.through && hw_attribution_through(&followed, a, &err) != HW_OK) return job_fail(j, &err);
    if (!prompt_split_is_given(by)) {
        j->made[j->n_made++] = followed;
        return STATUS_DONE;
    }
    int status = group(j, by, followed ? followed : a);
    hw_attribution_free(followed);
    return status;
}

static int use_result(job *j, const hw_result *result, const char *path, const prompt_split *by,
                      void (*open)(const job *, const hw_run *), saved_file_use use) {
    const hw_attribution *list[MAX_METHODS];
    size_t n = hw_result_count(result);
    if (n == 0 || n > MAX_METHODS) return fail("%s holds %zu results; 1 to %d can be shown", path, n, MAX_METHODS);
    int status = STATUS_DONE;
    bool remade = prompt_split_is_given(by) || j->o->settings.through;
    for (size_t i = 0; i < n && status == STATUS_DONE; i++) {
        list[i] = hw_result_at(result, i);
        if (remade) status = remake(j, by, list[i]);
    }
    if (status != STATUS_DONE) return status;
    if (open) open(j, hw_attribution_run(list[0]));
    return remade ? use_made(j, use) : use(j, list, n);
}

int saved_file_open(job *j, const saved_file *from, const prompt_split *by,
                    void (*open)(const job *j, const hw_run *run), saved_file_use use) {
    if (from->kind != HW_FILE_RESULT) return open_trace(j, from, by, open, use);
    hw_result *result;
    hw_error err;
    if (hw_result_open(&result, from->path, &err) != HW_OK) return job_fail(j, &err);
    int status = use_result(j, result, from->path, by, open, use);
    hw_result_free(result);
    return status;
}
