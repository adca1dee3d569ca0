/* view.c - `headwater view`: prints saved traces, saved results and exported attention; several in one report. */
#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/message.h"
#include "cli/safe_text.h"
#include "export/html_report.h"
#include "job/open_saved.h"
#include "job/output_files.h"
#include "terminal/attribution_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char command_name[] = "view";

static void show_opened(const job *j, const hw_run *run) {
    show_completion(&j->t, run);
    show_run(&j->t, run);
}

/* Shows one file; with a report, its run is added to the report instead of saved. *lost: a method failed. */
static hw_err view(const options *o, const saved_file *from, report *into, bool *lost, hw_error *err) {
    job j;
    hw_err rc = job_prepare(&j, o, err);
    j.report = into;
    if (rc == HW_OK)
        rc = saved_file_open(&j, from, &(prompt_split){0}, &(saved_file_use){show_opened, job_finish}, err);
    *lost = *lost || j.lost;
    job_free(&j);
    return rc;
}

/* Name of a run in a report of several: the file's name without folder and extensions, [capacity] with the
 * terminator. */
static void name_after(char *name, size_t capacity, const char *path) {
    /* removed in this order: x.trace.safetensors */
    static const char *const endings[] = {".safetensors", ".json", ".trace"};
    const char *slash = strrchr(path, '/');
    snprintf(name, capacity, "%s", slash ? slash + 1 : path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (hw__has_extension(name, endings[i])) name[strlen(name) - strlen(endings[i])] = 0;
}

static hw_err write_reports(const options *o, const report *r) {
    hw_error err;
    hw_err rc = HW_OK;
    for (size_t i = 0; i < o->output.n; i++) {
        if (report_write(r, o->output.at[i], NULL, &err) != HW_OK) rc = error_report(&err);
    }
    return rc;
}

/* Shows files [n] one after the other, and writes all of them to each report. */
static hw_err view_all(const options *o, const saved_file *from, size_t n, bool *lost, hw_error *err) {
    report r = {.n = 0};
    hw_err rc = HW_OK;
    for (size_t i = 0; i < n && rc == HW_OK; i++) {
        char name[256];
        name_after(name, sizeof name, from[i].path);
        r.name = name;
        fputs(i ? "\n==> " : "==> ", stdout);
        text_puts(stdout, name);
        fputs(" <==\n\n", stdout);
        rc = view(o, &from[i], o->output.n ? &r : NULL, lost, err);
    }
    if (rc == HW_OK) rc = write_reports(o, &r);
    report_free(&r);
    return rc;
}

/* Checks files [n] and outputs as far as possible before opening any of them. */
static hw_err find_all(saved_file *from, const options *o, size_t n, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < n && rc == HW_OK; i++) rc = saved_file_find(&from[i], o->arguments.at[i], o, err);
    if (rc == HW_OK) rc = output_check(o, o->arguments.at, n, OUTPUT_ANY, err);
    for (size_t i = 0; i < o->output.n && rc == HW_OK && n > 1; i++)
        if (!report_is_path(o->output.at[i]))
            rc = usage_error(err, "-o \"%s\": only a report (.html) holds several files; %zu were given",
                             o->output.at[i], n);
    return rc;
}

static hw_err run(const options *o, hw_error *err) {
    size_t n = o->arguments.n;
    if (n == 0) return usage_error(err, "name a file");
    saved_file *from = calloc(n, sizeof *from);
    if (!from) return hw__fail(err, HW_ERR_MEMORY, "no memory for %zu files", n);
    hw_err rc = find_all(from, o, n, err);
    bool lost = false;
    if (rc == HW_OK) rc = n == 1 ? view(o, from, NULL, &lost, err) : view_all(o, from, n, &lost, err);
    free(from);
    return rc == HW_OK && lost ? (hw_err)ERR_REPORTED : rc;
}

static const char *const usage[] = {"FILE... [options]", NULL};
static const example examples[] = {
    {"a saved result, only for the last token", "headwater view result.safetensors --token -1"},
    {"a saved trace as a table", "headwater view run.trace.safetensors --layers 20-30 -o run.csv"},
    {"two runs side by side, in one file for the browser",
     "headwater view putin.trace.safetensors abdul.trace.safetensors -o both.html"},
    {NULL, NULL},
};

const command command_view = {
    .name = command_name,
    .bit = IN_VIEW,
    .summary = "show a saved trace or result",
    .usage = usage,
    .about = "Shows files saved by explain: results as they are, traces explained again. With -o the file is saved "
             "in another format, always with all rows and layers, or drawn as by plot. Several files are shown one "
             "after the other; -o x.html combines them in one report.",
    .examples = examples,
    .lists = LIST_METHODS | LIST_FILTERS | LIST_FORMATS | LIST_FIGURES | LIST_PRESETS,
    .run = run,
};
