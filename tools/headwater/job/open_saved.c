/* open_saved.c - opens a saved trace, a saved result or exported attention, and explains it. */
#include "job/open_saved.h"

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "job/trace_state_files.h"

hw_err saved_file_find(saved_file *out, const char *path, const options *o, hw_error *err) {
    out->path = path;
    hw_err rc = hw_file_probe(&out->kind, out->path, err);
    if (rc != HW_OK) return rc;
    if (out->kind == HW_FILE_UNKNOWN)
        return hw__fail(err, HW_ERR_FORMAT,
                        "%s is not a trace, result or attention file, as explain saves with --trace or -o", out->path);
    source from = out->kind == HW_FILE_RESULT ? FROM_RESULT : out->kind == HW_FILE_TRACE ? FROM_TRACE : FROM_ATTENTION;
    return options_fit(o, from, err);
}

static hw_err use_made(job *j, const saved_file_use *use, hw_error *err) {
    const hw_attribution *list[MAX_METHODS];
    for (size_t i = 0; i < j->n_made; i++) list[i] = j->made[i];
    return use->on_results(j, list, j->n_made, err);
}

static hw_err open_trace(hw_trace **out, const job *j, const saved_file *from, hw_error *err) {
    return from->kind == HW_FILE_TRACE ? hw_trace_open(out, from->path, err)
                                       : hw_trace_import(out, from->path, j->o->run.fuse, err);
}

static hw_err use_trace(job *j, const saved_file *from, const prompt_split *by, const saved_file_use *use,
                        hw_error *err) {
    hw_trace *trace;
    hw_err rc = open_trace(&trace, j, from, err);
    if (rc != HW_OK) return rc;
    interrupt_catch();
    if (use->on_run) use->on_run(j, hw_trace_run(trace));
    trace_state_show_rounding(j, trace);
    j->split = prompt_split_is_given(by) ? by : NULL;
    j->whole = true;
    rc = job_explain(j, trace, true, err);
    if (rc == HW_OK) rc = use_made(j, use, err);
    hw_trace_free(trace);
    return rc;
}

/* Sums a finished attribution's columns by segment. */
static hw_err group(job *j, const prompt_split *by, const hw_attribution *a, hw_error *err) {
    const hw_method_params params = hw_attribution_params(a);
    if (params.groups || params.columns == HW_COLUMNS_ALL)
        return usage_error(err, "--by and --spans split the prompt: the result's columns are %s",
                           params.groups ? "segments already" : "the completion's too");
    hw_segments *segments = NULL;
    hw_partition *partition = NULL;
    hw_err rc = prompt_split_segments(&segments, by, hw_attribution_run(a), err);
    if (rc == HW_OK && !j->o->quiet) prompt_split_remark(segments);
    if (rc == HW_OK) rc = hw_segments_partition(&partition, segments, err);
    if (rc == HW_OK) {
        hw_method_params columns = hw_method_params_default();
        hw_partition_columns(partition, &columns);
        rc = hw_attribution_group(&j->made[j->n_made], a, columns.groups, columns.group_names, columns.n_groups, err);
    }
    if (rc == HW_OK) j->n_made++;
    hw_partition_free(partition);
    hw_segments_free(segments);
    return rc;
}

/* Makes an attribution of the job from a result, followed through its completion, grouped, or both. */
static hw_err remake(job *j, const prompt_split *by, const hw_attribution *a, hw_error *err) {
    hw_attribution *followed = NULL;
    hw_err rc = j->o->settings.through ? hw_attribution_through(&followed, a, err) : HW_OK;
    if (rc != HW_OK) return rc;
    if (!prompt_split_is_given(by)) {
        j->made[j->n_made++] = followed;
        return HW_OK;
    }
    rc = group(j, by, followed ? followed : a, err);
    hw_attribution_free(followed);
    return rc;
}

static hw_err use_result(job *j, const hw_result *result, const prompt_split *by, const saved_file_use *use,
                         hw_error *err) {
    const hw_attribution *list[MAX_METHODS];
    size_t n = hw_result_count(result);
    if (n == 0 || n > MAX_METHODS)
        return hw__fail(err, HW_ERR_FORMAT, "the file holds %zu results; 1 to %d can be shown", n, MAX_METHODS);
    hw_err rc = HW_OK;
    bool remade = prompt_split_is_given(by) || j->o->settings.through;
    for (size_t i = 0; i < n && rc == HW_OK; i++) {
        list[i] = hw_result_at(result, i);
        if (remade) rc = remake(j, by, list[i], err);
    }
    if (rc != HW_OK) return rc;
    if (use->on_run) use->on_run(j, hw_attribution_run(list[0]));
    return remade ? use_made(j, use, err) : use->on_results(j, list, n, err);
}

hw_err saved_file_open(job *j, const saved_file *from, const prompt_split *by, const saved_file_use *use,
                       hw_error *err) {
    if (from->kind != HW_FILE_RESULT) return use_trace(j, from, by, use, err);
    hw_result *result;
    hw_err rc = hw_result_open(&result, from->path, err);
    if (rc != HW_OK) return rc;
    rc = use_result(j, result, by, use, err);
    hw_result_free(result);
    return rc;
}
