/*
 * text_remarks.h - remarks on the bytes of a run's texts. Called by prompt.c and capture.c; a remark is one sentence,
 * kept in the run.
 */
#ifndef HW_CAPTURE_TEXT_REMARKS_H
#define HW_CAPTURE_TEXT_REMARKS_H

#include "data/run.h"

/* Adds remarks on a byte order mark, bytes that are not UTF-8, NUL and CRLF in the text `what` ("prompt"), each with
 * its first position. */
hw_err hw__remark_text(hw_run *run, const char *what, const char *bytes, size_t n, hw_error *err);

/* Adds a remark on the text of a control token that was tokenized as plain text: at->name [at->begin, at->end). */
hw_err hw__remark_control(hw_run *run, const char *what, hw_span at, hw_error *err);

/* Adds a remark if the run's completion, the bytes of its tokens, differs from the given one [n]. */
hw_err hw__remark_changed(hw_run *run, const char *given, size_t n, hw_error *err);

#endif
