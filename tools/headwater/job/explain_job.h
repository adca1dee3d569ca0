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
    const char *command;
    terminal t;
    progress bar;
    hw_model *model;       /* owned; NULL if no model runs. Some methods run it again */
    const int32_t *groups; /* borrowed: segment of each prompt token; NULL: each token is a segment */
    size_t n_groups;
    hw_partition *partition;            /* owned: the array of `groups` after job_partition() */
    char *method_text;                  /* the list, split into names */
    const char *methods[MOST_METHODS];  /* [n_methods] */
    hw_attribution *made[MOST_METHODS]; /* [n_made] owned */
    size_t n_methods, n_made;
    struct report *report; /* borrowed: collects what -o would save; NULL: saved directly */
    bool passing;          /* prompt rows need not be kept: only this job's methods read the trace */
    bool feeds;            /* with `passing`: methods that can consume streamed prompt rows do so */
    const cut *by;         /* borrowed: with `feeds`, how to split the prompt before the model runs; NULL: not split */
    hw_segments *segments; /* owned: the prompt's segments */
    hw_live *live[MOST_METHODS]; /* owned: methods that consume streamed prompt rows; NULL for the others */
    hw_method_params sums;       /* once the prompt is split: the columns by which signals are summed as they arrive */
    bool hush;                   /* tokens are not printed as they arrive */
    bool lost;                   /* a method failed, others succeeded */
    bool through;                /* contributions are followed through the answer's own tokens, as set by --through */
    bool one_method;             /* of the default methods, only the first that is supported and to which the given
                                    settings apply */
} job;

/* STATUS_DONE, or the exit status. Free with job_free() in either case. */
int job_prepare(job *j, const options *o, const char *command);
void job_free(job *j);

/* Makes segments of the prompt the columns of the explanation; borrowed: they must outlive the job's work. Tokens of no
 * segment are in no column. */
void job_group(job *j, const hw_segments *segments);
/* The same with names and one more column for tokens of no segment (BOS, chat template, text between spans), if there
 * are any: then the columns cover the whole prompt. Prints a remark on spans without tokens. Errors: MEMORY. */
hw_err job_partition(job *j, const hw_segments *segments, hw_error *err);

/* Splits the prompt of a run, and makes the segments the job's columns: alone, or (`whole`) with the tokens of no
 * segment. The segments must outlive the job's work. STATUS_DONE or the exit status. */
int job_cut(hw_segments **out, const cut *c, bool whole, job *j, const hw_run *run);

/* Settings of the methods: they determine what the trace must hold, and are used to run them. */
hw_method_params job_params(const job *j);
uint32_t job_signals(job *j);

/* Attention rows that the trace must keep for the methods, after job_signals(). */
hw_rows job_rows(const job *j);
/* Called with the prompt of a starting run: splits it as set by `by`, and makes `live`. */
hw_err job_begin(job *j, const hw_run *run, hw_error *err);

/* Runs every method on the trace. `stoppable`: Ctrl-C ends it. If there are several, those that fail are reported and
 * removed from `methods` and `made`. */
int job_explain(job *j, const hw_trace *trace, bool stoppable);
/* The exit status if everything but such methods succeeded. */
int job_status(const job *j, int status);
/* Saves and shows [n] attributions: first the files, so that a failing view loses nothing. */
int job_finish(job *j, const hw_attribution *const *list, size_t n);
/* The same for the results of job_explain(). */
int job_finish_made(job *j);

/* Prints the library's error and returns its exit status. */
int job_fail(job *j, const hw_error *err);

#endif
