/* html_report.h - the page with runs inside: one file that shows them anywhere, without a server or a network. */
#ifndef HW_EXPORT_HTML_REPORT_H
#define HW_EXPORT_HTML_REPORT_H

#include "export/text_buffer.h"

/* Whether a path's ending asks for a report. */
bool report_is_path(const char *path);
/* Adds the page with the runs [n], each JSON text as hw_document_json() makes it; `model` is theirs, NULL: none is at
 * hand. */
void report_add(buffer *to, const char *const *runs, size_t n, const hw_model_info *model);

/* Runs gathered for one report, each as text. */
typedef struct report {
    char **runs; /* [n] owned */
    size_t n;
    const char *name; /* borrowed: what the next run is called; NULL: as its prompt begins */
} report;

/* Adds attributions [n] of one run. The error says why not. */
hw_err report_gather(report *r, const hw_attribution *const *list, size_t n, hw_error *err);
/* Writes the page with what was gathered; `model` as above. */
hw_err report_write(const report *r, const char *path, const hw_model_info *model, hw_error *err);
void report_free(report *r);

/* Saves attributions [n] of one run as a report; the error says why it could not be. */
hw_err report_save(const hw_attribution *const *list, size_t n, const char *path, hw_error *err);

#endif
