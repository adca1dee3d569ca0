/*
 * explainer.h - the inside of hw_explainer: methods with their settings, and what each has of the run that it was given to.
 *
 * capture.c reads from it which rows and signals to keep, and feeds it; memory_estimate.c counts what it would take.
 */
#ifndef HW_METHODS_EXPLAINER_H
#define HW_METHODS_EXPLAINER_H

#include "methods/method.h"
#include "methods/through.h"

/* One method, and its result as far as it is there. */
typedef struct hw__explanation {
    const hw__method *method;
    hw_method_params params;   /* where the prompt is split, with these columns from hw__explainer_begin() on */
    bool fed;                  /* it has seen prompt rows pass */
    bool failed;               /* no more rows of it are shown */
    size_t next;               /* completion index of the first token that was not explained */
    void *state;               /* of the method */
    hw__through_state through; /* rows that later ones are followed to */
} hw__explanation;

struct hw_explainer {
    hw_explainer_params params;
    hw__explanation *list; /* [n] */
    size_t n;
    char *by;              /* the segmenter; NULL: none */
    char *spans;           /* [n_spans] JSON, given in place of `by`; NULL: none */
    size_t n_spans;
    char *spans_name;      /* before errors about them; NULL: nothing */
    bool whole;            /* tokens of no segment have a column, too */
    hw_run *run;           /* whose prompt is split; a reference of its own, NULL: none yet */
    hw_segments *segments; /* NULL: not split */
    hw_partition *partition;
};

/* With the prompt's tokens of a run: splits it, and forgets the run before. */
hw_err hw__explainer_begin(hw_explainer *x, const hw_run *run, hw_error *err);

/* What a trace keeps for it. NULL: every row and no signal. */
hw_rows hw__explainer_rows(const hw_explainer *x);
uint32_t hw__explainer_signals(const hw_explainer *x, const hw_model_info *model);
/* The settings whose groups signals of the rows of interest are summed by as they come; NULL: they are kept by token. */
const hw_method_params *hw__explainer_sums(const hw_explainer *x);

/* Whether prompt rows are fed to it; and feeds rows begin .. end - 1 of layer l, which pass by. */
bool hw__explainer_feeds(const hw_explainer *x);
hw_err hw__explainer_feed(hw_explainer *x, const hw_trace *trace, size_t l, size_t begin, size_t end, hw_error *err);

/* Whether rows are shown as they come; whether some are due after so many chosen tokens; and shows those that can be explained
 * by now. */
bool hw__explainer_shows(const hw_explainer *x);
bool hw__explainer_is_due(const hw_explainer *x, size_t n_chosen);
void hw__explainer_show(hw_explainer *x, const hw_trace *trace);

#endif
