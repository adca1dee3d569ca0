/*
 * text_remarks.h - what a reader of a run must know of the bytes of its texts. Called by prompt.c and capture.c; a remark is one
 * sentence, kept in the run.
 */
#ifndef HW_CAPTURE_TEXT_REMARKS_H
#define HW_CAPTURE_TEXT_REMARKS_H

#include "data/run.h"

/* Remarks on a byte order mark, bytes that are not UTF-8, NUL and CRLF in the text `what` ("prompt"), each with its first place. */
hw_err hw__remark_text(hw_run *run, const char *what, const char *bytes, size_t n, hw_error *err);

/* Remarks on the text of a control token that was read as letters: at->name [at->begin, at->end). */
hw_err hw__remark_control(hw_run *run, const char *what, hw_span at, hw_error *err);

/* Remarks where the run's completion, its tokens' bytes, is not the given one [n]. */
hw_err hw__remark_changed(hw_run *run, const char *given, size_t n, hw_error *err);

#endif
