/* output_files.c - the files that a command will write, checked before any work is done. */
#include "job/output_files.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/strlist.h"
#include "cli/message.h"
#include "job/figure_module.h"
#include "job/view_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a command can write: results and the report, and figures. */
typedef struct accepted_files {
    size_t n_results; /* formats of results, and the report; 0: none */
    const figure_functions *figures;
} accepted_files;

static const char *ending_at(size_t i, const void *ctx) {
    const accepted_files *a = ctx;
    if (i >= a->n_results) return a->figures->word(FIGURE_ENDINGS, i - a->n_results).name;
    return i + 1 < a->n_results ? hw_format_at(i)->extension : ".html";
}

static bool is_result(const char *path) { return hw_format_of(path) || report_is_path(path); }

/* Whether a path that was accepted is of a figure. */
static bool is_figure(const char *path) { return !is_result(path); }

static hw_err check_ending(const char *path, bool results, hw_error *err) {
    char endings[200];
    if (results && is_result(path)) return HW_OK;
    accepted_files a = {results ? hw_format_count() + 1 : 0, figure_module(err)};
    if (!a.figures) return hw__fail_in(err, err->code, "-o \"%s\"", path);
    if (a.figures->is_named(path)) return HW_OK;
    size_t n = a.n_results;
    while (ending_at(n, &a)) n++;
    return usage_error(err, "-o \"%s\": unknown file extension; accepted: %s", path,
                       hw__join_names_by(endings, sizeof endings, (hw__names){ending_at, &a, n}, " ", " "));
}

/* A new file is made beside the old one and renamed, so the folder must be writable. */
static hw_err check_folder(const char *path, hw_error *err) {
    struct stat info;
    bool there = stat(path, &info) == 0;
    if (there && S_ISDIR(info.st_mode)) return hw__fail(err, HW_ERR_IO, "%s is a folder: name a file", path);
    if (there && !S_ISREG(info.st_mode))
        return hw__fail(err, HW_ERR_IO, "cannot write %s: it is not a regular file", path);
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    if (n >= sizeof folder) return hw__fail(err, HW_ERR_IO, "%s: the name is too long", path);
    memcpy(folder, path, n);
    folder[n] = 0;
    if (access(n ? folder : ".", W_OK | X_OK) == 0) return HW_OK;
    return hw__fail(err, HW_ERR_IO, "cannot write %s: folder %s: %s", path, n ? folder : ".", strerror(errno));
}

static bool is_same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    if (strcmp(a, b) == 0) return true;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

hw_err output_check_path(const char *path, const char *const *others, size_t n, hw_error *err) {
    for (size_t i = 0; i < n; i++)
        if (others[i] && is_same_file(path, others[i]))
            return usage_error(err, "%s would be written and is also named for something else", path);
    return check_folder(path, err);
}

/* Rejects options that apply only to figures if there is no figure. */
static hw_err check_figures(const options *o, hw_error *err) {
    figure_params params = figure_of_options(o);
    for (size_t i = 0; i < o->output.n; i++) {
        if (!is_figure(o->output.at[i])) continue;
        const figure_functions *figures = figure_module(err);
        if (!figures) return err->code;
        return figures->check(&params, err) == HW_OK ? HW_OK : usage_error_in(err, NULL);
    }
    for (size_t i = 0; i < options_count(); i++)
        if (o->given[i] && options_row(i)->group == GROUP_FIGURE)
            return usage_error(err, "--%s has no effect: no -o names a figure (.png, .svg or .pdf)",
                               options_row(i)->name);
    return HW_OK;
}

hw_err output_check(const options *o, const char *const *inputs, size_t n, output_kind kind, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < o->output.n && rc == HW_OK; i++) {
        const char *path = o->output.at[i];
        rc = check_ending(path, kind == OUTPUT_ANY, err);
        if (rc == HW_OK) rc = output_check_path(path, inputs, n, err);
        if (rc == HW_OK) rc = output_check_path(path, o->output.at, i, err);
    }
    return rc == HW_OK ? check_figures(o, err) : rc;
}

hw_err output_check_json(const options *o, const char *what, const char *const *inputs, size_t n, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < o->output.n && rc == HW_OK; i++) {
        const char *path = o->output.at[i];
        if (!hw__has_extension(path, ".json")) return usage_error(err, "-o \"%s\": %s saved as .json", path, what);
        rc = output_check_path(path, inputs, n, err);
        if (rc == HW_OK) rc = output_check_path(path, o->output.at, i, err);
    }
    return rc;
}

static hw_err save(const options *o, report_run run, const char *path, hw_error *err) {
    figure_params params = figure_of_options(o);
    if (is_figure(path)) {
        const figure_functions *figures = figure_module(err);
        return figures ? figures->save(run.list, run.n, path, &params, err) : HW_ERR_UNSUPPORTED;
    }
    return report_is_path(path) ? report_save(run, path, err) : hw_result_save(run.list, run.n, path, o->full, err);
}

bool output_has_report(const options *o) {
    for (size_t i = 0; i < o->output.n; i++)
        if (report_is_path(o->output.at[i])) return true;
    return false;
}

hw_err output_save(const options *o, report_run run) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < o->output.n; i++) { /* a failure does not prevent the others from being saved */
        hw_error err;
        if (save(o, run, o->output.at[i], &err) != HW_OK) rc = error_report(&err);
    }
    return rc;
}
