/*
 * explain_job.h - one explanation from start to end, for the commands that make or show one.
 *
 *     job_prepare (checks all that can be checked before work) -> a trace or a result -> job_explain -> job_finish
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
    hw_model *model;       /* owned; NULL where no model runs. Some methods run it again */
    const int32_t *groups; /* borrowed: segment of each prompt token; NULL: each token its own */
    size_t n_groups;
    hw_partition *partition;            /* owned: what `groups` points to after job_partition() */
    char *method_text;                  /* the list, cut into names */
    const char *methods[MOST_METHODS];  /* [n_methods] */
    hw_attribution *made[MOST_METHODS]; /* [n_made] owned */
    size_t n_methods, n_made;
    struct report *report; /* borrowed: gathers what -o would save; NULL: it is saved at once */
    bool passing;          /* prompt rows need not be kept: nothing reads the trace but this job's methods */
    bool feeds;            /* with `passing`: methods that can take prompt rows in as they pass do so */
    const cut *by;         /* borrowed: with `feeds`, how to cut the prompt before the model runs; NULL: not at all */
    hw_segments *segments; /* owned: the prompt, cut so */
    hw_live *live[MOST_METHODS]; /* owned: methods that take in prompt rows as they pass; NULL for the others */
    hw_method_params sums;       /* the columns that signals are summed by as they come, once the prompt is cut */
    bool hush;                   /* tokens are not printed as they come */
    bool lost;                   /* a method could not be given; the others were */
    bool through;                /* the answer's own tokens are followed back, as --through says */
    bool one_method;             /* of those of the default, only the first that can be given and heeds what is set */
} job;

/* STATUS_DONE, or the status to exit with. Free with job_free() either way. */
int job_prepare(job *j, const options *o, const char *command);
void job_free(job *j);

/* Makes segments of the prompt the columns of what is explained; borrowed: they must outlive the job's work. Tokens of no
 * segment are in no column. */
void job_group(job *j, const hw_segments *segments);
/* The same with names and one more column, where there are tokens of no segment (BOS, chat template, text between spans):
 * then the columns are the whole prompt. Remarks on spans that hold no token. Errors: MEMORY. */
hw_err job_partition(job *j, const hw_segments *segments, hw_error *err);

/* Cuts the prompt of a run, and makes the segments the job's columns: alone, or (`whole`) with what is in none. The segments must
 * outlive its work. STATUS_DONE or the status to exit with. */
int job_cut(hw_segments **out, const cut *c, bool whole, job *j, const hw_run *run);

/* What the methods are to do, for the trace to hold what they need and for running them. */
hw_method_params job_params(const job *j);
uint32_t job_signals(job *j);

/* Attention rows that the trace must keep for them, after job_signals(). */
hw_rows job_rows(const job *j);
/* With the prompt of a run that begins: cuts it as `by` says, and makes `live`. */
hw_err job_begin(job *j, const hw_run *run, hw_error *err);

/* Runs every method on the trace. `stoppable`: Ctrl-C ends it. Of several, those that cannot be given are named and
 * left out of `methods` and `made`. */
int job_explain(job *j, const hw_trace *trace, bool stoppable);
/* The status to exit with where all went well but for such methods. */
int job_status(const job *j, int status);
/* Saves and shows [n] attributions: first the files, so that a view that fails loses nothing. */
int job_finish(job *j, const hw_attribution *const *list, size_t n);
/* The same for what job_explain() made. */
int job_finish_made(job *j);

/* Prints the library's error and gives the status for it. */
int job_fail(job *j, const hw_error *err);

#endif
