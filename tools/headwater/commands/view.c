/* view.c - `headwater view`: prints saved traces, saved results and exported attention; several in one report. */
#include "cli/command.h"
#include "cli/message.h"
#include "job/output_files.h"
#include "job/open_saved.h"
#include "export/html_report.h"
#include "terminal/attribution_view.h"
#include "cli/safe_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char command_name[] = "view";

static void show_opened(const job *j, const hw_run *run) {
    show_completion(&j->t, run);
    show_run(&j->t, run);
}

/* Shows one file; with a report, its run is added to the report instead of saved. *lost: a method failed. */
static int view(const options *o, const saved_file *from, report *into, bool *lost) {
    job j;
    int status = job_prepare(&j, o, command_name);
    j.report = into;
    if (status == STATUS_DONE) status = saved_file_open(&j, from, &(prompt_split){0}, show_opened, job_finish);
    *lost = *lost || j.lost;
    job_free(&j);
    return status;
}

/* Name of a run in a report of several: the file's name without folder and extensions, [capacity] with the
 * terminator. */
static void name_after(char *name, size_t capacity, const char *path) {
    /* removed in this order: x.trace.safetensors */
    static const char *const endings[] = {".safetensors", ".json", ".trace"};
    const char *slash = strrchr(path, '/');
    snprintf(name, capacity, "%s", slash ? slash + 1 : path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(name), n_ending = strlen(endings[i]);
        if (n > n_ending && strcmp(name + n - n_ending, endings[i]) == 0) name[n - n_ending] = 0;
    }
}

static int write_reports(const options *o, const report *r) {
    int status = STATUS_DONE;
    for (size_t i = 0; i < o->output.n; i++) {
        hw_error err;
        if (report_write(r, o->output.at[i], NULL, &err) != HW_OK) status = fail_by(&err);
    }
    return status;
}

/* Shows files [n] one after the other, and writes all of them to each report. */
static int view_all(const options *o, const saved_file *from, size_t n, bool *lost) {
    report r = {.n = 0};
    int status = STATUS_DONE;
    for (size_t i = 0; i < n && status == STATUS_DONE; i++) {
        char name[256];
        name_after(name, sizeof name, from[i].path);
        r.name = name;
        fputs(i ? "\n==> " : "==> ", stdout);
        text_puts(stdout, name);
        fputs(" <==\n\n", stdout);
        status = view(o, &from[i], o->output.n ? &r : NULL, lost);
    }
    if (status == STATUS_DONE) status = write_reports(o, &r);
    report_free(&r);
    return status;
}

/* Checks files [n] and outputs as far as possible before opening any of them. */
static int find_all(saved_file *from, const options *o, size_t n) {
    int status = STATUS_DONE;
    for (size_t i = 0; i < n && status == STATUS_DONE; i++)
        status = saved_file_find(&from[i], o->arguments.at[i], o, command_name);
    if (status == STATUS_DONE) status = output_check(o, command_name, o->arguments.at, n, OUTPUT_ANY);
    for (size_t i = 0; i < o->output.n && status == STATUS_DONE && n > 1; i++)
        if (!report_is_path(o->output.at[i]))
            status = misuse(command_name, "-o \"%s\": only a report (.html) holds several files; %zu were given",
                            o->output.at[i], n);
    return status;
}

static int run(const options *o) {
    size_t n = o->arguments.n;
    if (n == 0) return misuse(command_name, "name a file");
    saved_file *from = calloc(n, sizeof *from);
    if (!from) return fail("no memory for %zu files", n);
    int status = find_all(from, o, n);
    bool lost = false;
    if (status == STATUS_DONE) status = n == 1 ? view(o, from, NULL, &lost) : view_all(o, from, n, &lost);
    free(from);
    return status == STATUS_DONE && lost ? STATUS_FAILED : status;
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
