/* explain_job.c - one explanation from start to end: methods, files, view. */
#include "job/explain_job.h"

#include "base/error.h"
#include "cli/error_kinds.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/names.h"
#include "export/html_report.h"
#include "export/run_citations.h"
#include "job/output_files.h"
#include "job/prompt_split.h"
#include "job/unused_settings.h"
#include "job/view_options.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ methods */

static hw_err refuse_method(const char *name, hw_error *err) {
    char why[UNKNOWN_CAPACITY];
    return usage_error(err, "--method \"%s\": %s", name, hw__unknown_name(why, sizeof why, name, method_names()));
}

static hw_err add_method(job *j, const char *name, hw_error *err) {
    if (!hw_method_find(name)) return refuse_method(name, err);
    for (size_t i = 0; i < j->n_methods; i++)
        if (strcmp(j->methods[i], name) == 0) return usage_error(err, "--method names %s twice", name);
    if (j->n_methods == MAX_METHODS) return usage_error(err, "--method takes at most %d methods", MAX_METHODS);
    j->methods[j->n_methods++] = name;
    return HW_OK;
}

static hw_err read_methods(job *j, hw_error *err) {
    j->method_text = hw__strndup(j->o->method, strlen(j->o->method));
    if (!j->method_text) return hw__fail(err, HW_ERR_MEMORY, "no memory for the list of methods");
    hw_err rc = HW_OK;
    for (char *name = j->method_text, *next; name && rc == HW_OK; name = next) {
        next = strchr(name, ',');
        if (next) *next++ = 0;
        rc = add_method(j, name, err);
    }
    return rc;
}

/* Called before any work is done. */
static hw_err check_filters(const char *option, const char *list, hw_error *err) {
    return hw_filter_check(list, err) == HW_OK ? HW_OK : usage_error_in(err, option);
}

static bool gives_shares(const job *j, const char *method) {
    hw_method_params params = job_params(j);
    return hw_method_active_traits(hw_method_find(method), &params) & HW_GIVES_SHARES;
}

/* The given option that applies to shares only; NULL: none was given. */
static const char *of_shares(const options *o) { return o->lift ? "--lift" : o->normalise ? "--normalise" : NULL; }

static hw_err check_shares(const job *j, hw_error *err) {
    const char *option = of_shares(j->o);
    if (j->o->settings.through && j->o->settings.columns == HW_COLUMNS_ALL)
        return usage_error(err, "--through ends in columns of the prompt: it cannot be combined with --columns all");
    if (j->o->lift && j->o->normalise)
        return usage_error(err, "--lift cannot be combined with --normalise: a lift is not a share of a whole");
    for (size_t i = 0; i < j->n_methods && option; i++)
        if (GIVEN(j->o, method) && !gives_shares(j, j->methods[i]))
            return usage_error(err, "%s divides shares, and %s gives nats", option, j->methods[i]);
    return HW_OK;
}

static hw_err check_answer(const job *j, hw_error *err) {
    if (!j->o->answer_by) return HW_OK;
    if (j->o->token) return usage_error(err, "--token and --answer-by both say which tokens to show: give one of them");
    return prompt_split_check("--answer-by", j->o->answer_by, err);
}

/* ------------------------------------------------------------------ the job */

static settings_use use_of(const job *j) {
    return (settings_use){.o = j->o, .params = job_params(j), .methods = j->methods, .n_methods = j->n_methods};
}

hw_err job_prepare(job *j, const options *o, hw_error *err) {
    *j = (job){.o = o, .t = terminal_detect(o->color), .keep = HW_KEEP_ROWS};
    j->bar = progress_new(!o->quiet && !o->verbose);
    hw_err rc = read_methods(j, err);
    if (rc == HW_OK) rc = check_answer(j, err);
    if (rc == HW_OK) rc = check_filters("--hide", o->hide, err);
    if (rc == HW_OK) rc = check_filters("--keep", o->keep, err);
    settings_use use = use_of(j);
    if (rc == HW_OK) rc = unused_settings_check(&use, err);
    return rc == HW_OK ? check_shares(j, err) : rc;
}

/* A command that has run its model exits without closing it: the kernel frees the memory at once, libllama piece by
 * piece. */
static hw_model *left_open;

void job_free(job *j) {
    for (size_t i = 0; i < j->n_made; i++) hw_attribution_free(j->made[i]);
    json_decref(j->citations);
    hw_explainer_free(j->explainer);
    left_open = j->model;
    free(j->method_text);
    progress_erase(&j->bar);
}

void job_group(job *j, const hw_segments *segments) {
    size_t n_tokens;
    j->groups = hw_segments_groups(segments, &n_tokens);
    j->n_groups = hw_segments_count(segments);
    hw_explainer_free(j->explainer); /* it has other columns */
    j->explainer = NULL;
}

hw_method_params job_params(const job *j) {
    const options *o = j->o;
    hw_method_params params = o->settings;
    params.seed = o->run.seed;
    params.model = j->model;
    params.n_ablations = (size_t)o->ablations;
    params.groups = j->groups;
    params.n_groups = j->n_groups;
    params.through = j->o->settings.through || j->through;
    return params;
}

/* Removes method `i` from the list. */
static void drop_method(job *j, size_t i) {
    for (j->n_methods--; i < j->n_methods; i++) j->methods[i] = j->methods[i + 1];
}

/* Reports why a method, which is not the only one, failed. */
static void report_lost(job *j, const char *method, const char *why) {
    progress_erase(&j->bar);
    message("%s is left out: %s", method, why);
    j->lost = true;
}

/* Methods that were named explicitly but that the model does not support are removed with a message; the last one is
 * kept and fails. */
static void drop_unsupported(job *j) {
    for (size_t i = j->n_methods; j->model && GIVEN(j->o, method) && i-- > 0;) {
        const char *problem = hw_method_problem(hw_method_find(j->methods[i]), hw_model_describe(j->model));
        if (!*problem || j->n_methods == 1) continue;
        report_lost(j, j->methods[i], problem);
        drop_method(j, i);
    }
}

/* Whether this run or view supports a method. */
static bool is_possible(const job *j, const char *method, const hw_trace *trace) {
    settings_use use = use_of(j);
    hw_method_params params = job_params(j);
    uint32_t needed = hw_method_signals(method, &params);
    if (of_shares(j->o) && !gives_shares(j, method)) return false;
    if (j->one_method && !unused_settings_none(&use, method)) return false;
    for (int s = 0; trace && s < HW_N_SIGNALS; s++)
        if (needed & 1u << s && !hw_trace_has(trace, (hw_signal)s)) return false;
    return !j->model || !*hw_method_problem(hw_method_find(method), hw_model_describe(j->model));
}

/* Removes default methods that this run or view does not support. If none is supported, keeps one to report why: the
 * first if only one is wanted, else the last, which has the fewest requirements. */
static void keep_supported(job *j, const hw_trace *trace) {
    size_t n_possible = 0;
    for (size_t i = 0; i < j->n_methods; i++) n_possible += is_possible(j, j->methods[i], trace);
    size_t stays = j->one_method ? 0 : j->n_methods - 1;
    for (size_t i = j->n_methods; i-- > 0 && !GIVEN(j->o, method);)
        if (n_possible > 0 ? !is_possible(j, j->methods[i], trace) : i != stays) drop_method(j, i);
    if (j->one_method) j->n_methods = 1;
}

void job_choose_methods(job *j) {
    keep_supported(j, NULL);
    drop_unsupported(j);
}

/* ------------------------------------------------------------------ explaining */

static void show_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    progress_show(&((job *)ctx)->bar, stage, done, total);
}

static bool stop_explaining(void *ctx) { return ((const job *)ctx)->stoppable && interrupt_seen(); }

/* Whether a report will cite. */
static bool cites(const job *j) { return j->report || output_has_report(j->o); }

/* The method that citations are made by comes last, after the job's own: the trace keeps what it reads. */
static hw_err add_citing(hw_explainer *x, const job *j, hw_error *err) {
    hw_method_params settings;
    const char *method = citing_method(&settings, j->model ? hw_model_describe(j->model) : NULL);
    return method && cites(j) ? hw_explainer_add(x, method, &settings, err) : HW_OK;
}

hw_err job_explainer(hw_explainer **out, job *j, const char *const *methods, size_t n, const prompt_split *split,
                     hw_error *err) {
    hw_explainer_params keeping = hw_explainer_params_default();
    hw_method_params params = job_params(j);
    hw_explainer *made;
    keeping.keep = j->keep;
    params.progress = show_progress;
    params.stop = stop_explaining;
    params.ctx = j;
    hw_err rc = hw_explainer_new(&made, &keeping, err);
    if (rc != HW_OK) return rc;
    for (size_t i = 0; i < n && rc == HW_OK; i++) rc = hw_explainer_add(made, methods[i], &params, err);
    if (rc == HW_OK) rc = add_citing(made, j, err);
    if (rc == HW_OK && split) rc = prompt_split_apply(made, split, j->whole, err);
    if (rc != HW_OK) {
        hw_explainer_free(made);
        return rc;
    }
    *out = made;
    return HW_OK;
}

/* A trace without what the method reads gives a report without citations. */
static hw_err make_citations(job *j, const hw_trace *trace, hw_error *err) {
    hw_method_params calls = job_params(j);
    bool has_spans = j->split && !j->split->by;
    const hw_segments *passages = has_spans ? hw_explainer_segments(j->explainer) : NULL;
    hw_err rc = cites(j) ? run_citations(&j->citations, trace, passages, &calls, err) : HW_OK;
    return error_ends_run(rc) ? rc : HW_OK;
}

hw_err job_explain(job *j, const hw_trace *trace, bool stoppable, hw_error *err) {
    j->stoppable = stoppable;
    if (!j->explainer) {
        keep_supported(j, trace);
        hw_err rc = job_explainer(&j->explainer, j, j->methods, j->n_methods, j->split, err);
        if (rc != HW_OK) return rc;
    }
    for (size_t i = 0, n = j->n_methods; i < n; i++) {
        const char *method = j->methods[i];
        hw_err rc = hw_explainer_result(&j->made[j->n_made], j->explainer, i, trace, err);
        if (rc == HW_OK) {
            j->methods[j->n_made++] = method;
        } else if (j->n_methods > 1 && !error_ends_run(rc)) {
            report_lost(j, method, err->msg);
            j->n_methods--;
        } else {
            return rc;
        }
    }
    hw_err rc = make_citations(j, trace, err);
    if (rc != HW_OK) return rc;
    progress_erase(&j->bar);
    if (j->whole && j->split && !j->o->quiet) prompt_split_remark(hw_explainer_segments(j->explainer));
    return HW_OK;
}

hw_err job_result(const job *j, hw_err rc) { return rc == HW_OK && j->lost ? (hw_err)ERR_REPORTED : rc; }

hw_err job_finish(job *j, const hw_attribution *const *list, size_t n, hw_error *err) {
    report_run run = {list, n, j->citations};
    hw_err rc = j->report ? report_gather(j->report, run, err) : output_save(j->o, run);
    view_params view = view_of_options(j->o);
    for (size_t i = 0; i < n; i++) {
        putc('\n', j->t.out);
        hw_err shown = show_attribution(&j->t, list[i], &view, err);
        if (shown != HW_OK) return shown;
    }
    return rc;
}

hw_err job_finish_made(job *j, hw_error *err) {
    const hw_attribution *list[MAX_METHODS] = {0};
    for (size_t i = 0; i < j->n_made; i++) list[i] = j->made[i];
    return job_finish(j, list, j->n_made, err);
}
