/* html_report.h - one HTML file with the page and runs in it, which needs no server and no network. */
#ifndef HW_EXPORT_HTML_REPORT_H
#define HW_EXPORT_HTML_REPORT_H

#include "export/text_buffer.h"

#include <jansson.h>

/* Whether the path's extension is that of a report. */
bool report_is_path(const char *path);
/* Appends the page with the runs [n], each JSON text from hw_document_json(); `model` is the model of the runs, NULL if
 * there is none. */
void report_add(buffer *to, const char *const *runs, size_t n, const hw_model_info *model);

/* Runs collected for one report, each as text. */
typedef struct report {
    char **runs; /* [n] owned */
    size_t n;
    const char *name; /* borrowed: name of the next run; NULL: the beginning of its prompt */
} report;

/* One run of a report. */
typedef struct report_run {
    const hw_attribution *const *list; /* [n] of one run */
    size_t n;
    json_t *citations; /* see run_citations(), borrowed; NULL: none */
} report_run;

/* Adds a run. */
hw_err report_gather(report *r, report_run run, hw_error *err);
/* Writes the page with the collected runs; `model` as above. */
hw_err report_write(const report *r, const char *path, const hw_model_info *model, hw_error *err);
void report_free(report *r);

/* Saves one run as a report. */
hw_err report_save(report_run run, const char *path, hw_error *err);

#endif
