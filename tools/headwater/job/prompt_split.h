/* prompt_split.h - the segments of the prompt selected by --by or --spans. */
#ifndef HW_JOB_PROMPT_SPLIT_H
#define HW_JOB_PROMPT_SPLIT_H

#include "cli/input.h"
#include "cli/options.h"

/* How to split: `by`, or the spans in `json`. */
typedef struct cut {
    const char *by;
    const char *spans; /* the file; NULL: none */
    input json; /* malloc'd if --spans is given */
} cut;

/* Reads the options before any work is done; `standard` is the default (NULL: no split). STATUS_DONE or the exit
 * status. Free with cut_free() in either case. */
int cut_read(cut *c, const options *o, const char *command, const char *standard);
void cut_free(cut *c);

/* Whether it says how. */
bool cut_is_given(const cut *c);
/* Cuts the prompt of a run. */
hw_err cut_segments(hw_segments **out, const cut *c, const hw_run *run, hw_error *err);
/* Makes the segments the columns of an explainer: see hw_explainer_split(). */
hw_err cut_split(hw_explainer *explainer, const cut *c, bool whole, hw_error *err);

/* Prints which segments contain no token. */
void cut_remark(const hw_segments *segments);

/* STATUS_DONE, or the exit status if the value of `option` is not a segmenter. */
int cut_check(const char *command, const char *option, const char *by);

#endif
