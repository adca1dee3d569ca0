/* report.h - the page with runs inside: one file that shows them anywhere, without a server or a network. */
#ifndef HEADWATER_REPORT_H
#define HEADWATER_REPORT_H

#include "buffer.h"

/* Whether a path's ending asks for a report. */
bool report_is_path(const char *path);
/* Adds the page with the runs [n], each JSON text as hw_document_json() makes it; `model` is theirs, NULL: none is at
 * hand. */
void report_add(buffer *to, const char *const *runs, size_t n, const hw_model_info *model);
/* Saves attributions [n] of one run as a report; the error says why it could not be. */
hw_err report_save(const hw_attribution *const *list, size_t n, const char *path, hw_error *err);

#endif
