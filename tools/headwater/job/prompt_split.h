/* prompt_split.h - the segments of the prompt selected by --by or --spans. */
#ifndef HW_JOB_PROMPT_SPLIT_H
#define HW_JOB_PROMPT_SPLIT_H

#include "cli/input.h"
#include "cli/options.h"

/* How to split: `by`, or the spans in `json`. */
typedef struct prompt_split {
    const char *by;
    const char *spans; /* the file; NULL: none */
    input json; /* malloc'd if --spans is given */
} prompt_split;

/* Reads the options before any work is done; `standard` is the default (NULL: no split). STATUS_DONE or the exit
 * status. Free with prompt_split_free() in either case. */
int prompt_split_read(prompt_split *c, const options *o, const char *command, const char *default_value);
void prompt_split_free(prompt_split *c);

/* Whether it says how. */
bool prompt_split_is_given(const prompt_split *c);
/* Cuts the prompt of a run. */
hw_err prompt_split_segments(hw_segments **out, const prompt_split *c, const hw_run *run, hw_error *err);
/* Makes the segments the columns of an explainer: see hw_explainer_split(). */
hw_err prompt_split_apply(hw_explainer *explainer, const prompt_split *c, bool whole, hw_error *err);

/* Prints which segments contain no token. */
void prompt_split_remark(const hw_segments *segments);

/* STATUS_DONE, or the exit status if the value of `option` is not a segmenter. */
int prompt_split_check(const char *command, const char *option, const char *by);

#endif
