/* prompt_split.h - the segments of the prompt selected by --by or --spans. */
#ifndef HW_JOB_PROMPT_SPLIT_H
#define HW_JOB_PROMPT_SPLIT_H

#include "cli/input.h"
#include "cli/options.h"

/* How to split: `by`, or the spans in `json`. */
typedef struct prompt_split {
    const char *by;
    const char *spans; /* the file; NULL: none */
    input json;        /* malloc'd if --spans is given */
} prompt_split;

/* Reads the options before any work is done (default_value NULL: no split). Errors: ERR_USAGE; as input_read(). Free
 * with prompt_split_free() in either case. */
hw_err prompt_split_read(prompt_split *c, const options *o, const char *default_value, hw_error *err);
void prompt_split_free(prompt_split *c);

/* Whether it says how. */
bool prompt_split_is_given(const prompt_split *c);
/* Splits the prompt of a run. */
hw_err prompt_split_segments(hw_segments **out, const prompt_split *c, const hw_run *run, hw_error *err);
/* Makes the segments the columns of an explainer: see hw_explainer_split(). */
hw_err prompt_split_apply(hw_explainer *explainer, const prompt_split *c, bool whole, hw_error *err);

/* Prints which segments contain no token. */
void prompt_split_remark(const hw_segments *segments);

/* Error ERR_USAGE if the value of `option` is not a segmenter. */
hw_err prompt_split_check(const char *option, const char *by, hw_error *err);

#endif
