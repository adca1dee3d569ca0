/* prompt_split.h - the segments of the prompt that --by or --spans asks for. */
#ifndef HW_JOB_PROMPT_SPLIT_H
#define HW_JOB_PROMPT_SPLIT_H

#include "cli/input.h"
#include "cli/options.h"

/* How to cut: `by`, or the spans in `json`. */
typedef struct cut {
    const char *by;
    const char *spans; /* the file; NULL: none */
    input json; /* malloc'd where --spans is given */
} cut;

/* Reads what the options say, before any work is done; `standard` where they say nothing (NULL: do not cut). STATUS_DONE or
 * the status to exit with. Free with cut_free() either way. */
int cut_read(cut *c, const options *o, const char *command, const char *standard);
void cut_free(cut *c);

/* Cuts the prompt of a run. */
hw_err cut_segments(hw_segments **out, const cut *c, const hw_run *run, hw_error *err);

/* Prints which segments hold no token. */
void cut_remark(const hw_segments *segments);

/* STATUS_DONE, or the status to exit with where `option` names no way to cut a text. */
int cut_check(const char *command, const char *option, const char *by);

#endif
