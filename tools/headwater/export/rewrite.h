/*
 * rewrite.h - completions generated again without the segments that a method ranks first: does the answer stand?
 *
 * With a fixed completion a reasoned answer still follows from the reasoning before it; here the model writes that
 * reasoning again, too.
 */
#ifndef HW_EXPORT_REWRITE_H
#define HW_EXPORT_REWRITE_H

#include "headwater.h"

enum { MAX_LEFT_OUT = 3, MAX_REWRITTEN = 64 };

typedef struct rewritten {
    size_t index;                 /* of the attribution in the subject's list */
    const char *method;           /* borrowed from the method table */
    size_t n_without;             /* number of segments that were left out */
    size_t without[MAX_LEFT_OUT]; /* [n_without] these, rising */
    bool stands;                  /* the new text contains the answer */
    char *text;                   /* [n_bytes] owned, a terminator appended */
    size_t n_bytes;
} rewritten;

typedef struct rewritten_list {
    rewritten at[MAX_REWRITTEN]; /* [n] */
    size_t n;
} rewritten_list;

/* What is tested: attributions of one run whose columns are `segments`. */
typedef struct rewrite_subject {
    hw_model *model;
    const hw_run *run;
    const hw_segments *segments;
    const hw_attribution *const *list; /* [n] */
    size_t n;
    size_t row_begin, row_end; /* completion tokens that are the answer */
    hw_stop_fn stop;           /* may be NULL */
    void *ctx;
} rewrite_subject;

/* Without the first segment and the first three of each attribution, if so many can be left out. Equal sets of segments
 * are run once. The list is to be freed on failure, too. Errors: as hw_run_rewrite(), and hw_view_new(). */
hw_err rewrite_all(rewritten_list *list, const rewrite_subject *of, hw_error *err);
void rewritten_list_free(rewritten_list *list);

#endif
