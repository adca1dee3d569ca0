/*
 * explain_job.h - one explanation from start to end, for the commands that make or show one.
 *
 *     job_prepare (all checks that need no work) -> a trace or a result -> job_explain -> job_finish
 */
#ifndef HW_JOB_EXPLAIN_JOB_H
#define HW_JOB_EXPLAIN_JOB_H

#include "cli/options.h"
#include "cli/progress.h"
#include "export/method_tables.h"
#include "job/prompt_split.h"

typedef struct job {
    const options *o;
    terminal t;
    progress bar;
    hw_model *model;           /* owned; NULL if no model runs. Some methods run it again */
    hw_explainer *explainer;   /* owned: the methods and their columns; NULL: job_explain() makes it */
    hw_keep keep;              /* what a captured trace keeps; job_prepare() sets every row, for any columns */
    const prompt_split *split; /* borrowed: how to split the prompt into columns; NULL: each token is a column */
    bool whole;                /* tokens of no segment are one more column */
    bool stoppable;            /* Ctrl-C stops the methods */
    const int32_t *groups;     /* borrowed: segment of each prompt token, set by job_group(); NULL: none */
    size_t n_groups;
    char *method_text;                 /* the list, split into names */
    const char *methods[MAX_METHODS];  /* [n_methods] */
    hw_attribution *made[MAX_METHODS]; /* [n_made] owned */
    size_t n_methods, n_made;
    json_t *citations;     /* owned: of a report; NULL: no report, or not possible */
    struct report *report; /* borrowed: collects what -o would save; NULL: saved directly */
    bool no_token_output;  /* tokens are not printed as they arrive */
    bool lost;             /* a method failed, others succeeded */
    bool through;          /* contributions are followed through the answer's own tokens, as set by --through */
    bool one_method;       /* of the default methods, only the first that is supported and to which the given settings
                              apply */
} job;

/* Errors: ERR_USAGE, MEMORY. Free with job_free() in either case. */
hw_err job_prepare(job *j, const options *o, hw_error *err);
void job_free(job *j);

/* Makes segments of the prompt of a captured run the columns of the explanation; borrowed: they must outlive the job's
 * work. Tokens of no segment are in no column. */
void job_group(job *j, const hw_segments *segments);

/* Settings of the methods. */
hw_method_params job_params(const job *j);
/* Removes methods that the model does not support: named ones are reported, and the last one stays. */
void job_choose_methods(job *j);
/* An explainer of methods [n] with the job's settings, whose columns are split by `split` (NULL: tokens, or the
 * segments of job_group()). Errors: as hw_explainer_add(). */
hw_err job_explainer(hw_explainer **out, job *j, const char *const *methods, size_t n, const prompt_split *split,
                     hw_error *err);

/* Makes the result of every method. `stoppable`: Ctrl-C ends it. If there are several, those that fail are reported and
 * removed from `methods` and `made`. */
hw_err job_explain(job *j, const hw_trace *trace, bool stoppable, hw_error *err);
/* `rc`, or ERR_REPORTED if everything but such methods succeeded. */
hw_err job_result(const job *j, hw_err rc);
/* Saves and shows [n] attributions: first the files, so that a failing view loses nothing. */
hw_err job_finish(job *j, const hw_attribution *const *list, size_t n, hw_error *err);
/* The same for the results of job_explain(). */
hw_err job_finish_made(job *j, hw_error *err);
#endif
