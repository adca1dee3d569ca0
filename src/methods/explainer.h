/*
 * explainer.h - internals of hw_explainer: methods with their settings, and the results of each for its run.
 *
 * capture.c reads from it which rows and signals to keep, and passes rows to it; memory_estimate.c estimates its
 * memory.
 */
#ifndef HW_METHODS_EXPLAINER_H
#define HW_METHODS_EXPLAINER_H

#include "methods/method.h"
#include "methods/through.h"

/* One method and the state of its explanation. */
typedef struct hw__explanation {
    const hw__method *method;
    hw_method_params params;   /* if the prompt is split, with these columns from hw__explainer_begin() on */
    bool regrouped;            /* columns are those of hw_explainer_group(), until the next run */
    bool has_streamed;         /* it has consumed streamed prompt rows */
    bool failed;               /* it failed: on_rows is not called for it again */
    size_t next;               /* completion index of the first unexplained token */
    void *state;               /* state of the method */
    hw__through_state through; /* finished rows that later rows are followed to */
} hw__explanation;

struct hw_explainer {
    hw_explainer_params params;
    hw__explanation *list; /* [n] */
    size_t n;
    char *by;    /* the segmenter; NULL: none */
    char *spans; /* [n_spans] JSON, instead of `by`; NULL: none */
    size_t n_spans;
    char *spans_name;      /* prefix of errors about them; NULL: none */
    bool whole;            /* tokens of no segment form a column, too */
    hw_run *run;           /* the run whose prompt is split; owned reference, NULL: none yet */
    hw_segments *segments; /* NULL: not split */
    hw_partition *partition;
};

/* Called with the tokens of a run's prompt: splits the prompt, and drops the previous run. */
hw_err hw__explainer_begin(hw_explainer *x, const hw_run *run, hw_error *err);

/* Before anything is decoded, with the fewest tokens that the completion may have: the first method's error if no
 * method can explain the run. */
hw_err hw__explainer_check(const hw_explainer *x, const hw_run *run, size_t n_completion, hw_error *err);

/* Rows and signals that a trace keeps for the explainer. NULL: every row and no signal. */
hw_row_retention hw__explainer_rows(const hw_explainer *x);
uint32_t hw__explainer_signals(const hw_explainer *x, const hw_model_info *model);
/* Whether a result reads the last token's own row; NULL: true, since anything may be explained later. */
bool hw__explainer_reads_last(const hw_explainer *x);
/* Whether nothing but following through the completion reads contributions. */
bool hw__explainer_gathers_only(const hw_explainer *x);
/* The settings whose groups target-row signals are summed by; NULL: signals are kept by token. */
const hw_method_params *hw__explainer_sums(const hw_explainer *x);

/* Whether prompt rows are streamed to it; and consumes streamed rows. */
bool hw__explainer_can_consume(const hw_explainer *x);
hw_err hw__explainer_consume(hw_explainer *x, const hw_trace *trace, hw__layer_rows rows, hw_error *err);

/* Whether signals are computed before the batch is full; whether they are due after this many chosen tokens; and
 * explains and passes on the rows that can be explained now. */
bool hw__explainer_pauses(const hw_explainer *x);
bool hw__explainer_is_due(const hw_explainer *x, size_t n_chosen);
void hw__explainer_show(hw_explainer *x, const hw_trace *trace);

#endif
