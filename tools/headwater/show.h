/*
 * show.h - the terminal view of an attribution: the prompt shaded, the strongest tokens, and what to keep in mind.
 *
 * show.c puts it together; shade.c draws the prompt, toplist.c the list and diagnose.c the last lines.
 */
#ifndef HEADWATER_SHOW_H
#define HEADWATER_SHOW_H

#include "options.h"
#include "terminal.h"
#include "text.h"

/* One attribution with what was selected of it. */
typedef struct picture {
    const terminal *t;
    const hw_attribution *a;
    const hw_run *run;
    hw_view *view;
    size_t row_begin, row_end;     /* of M */
    size_t layer_begin, layer_end; /* of M */
    double scale;  /* the value that is drawn at full strength */
    bool negative; /* a value below 0 is drawn */
    bool lift;     /* values are multiples of what uniform attention gives, not shares */
} picture;

/* Draws one attribution by the options --token, --answer-by, --layers, --hide, --normalise, --lift and --top. */
hw_err show_attribution(const terminal *t, const hw_attribution *a, const options *o, hw_error *err);

/* The completion's text, and a line about the run. */
void show_completion(const terminal *t, const hw_run *run);
void show_run(const terminal *t, const hw_run *run);
void show_title(const terminal *t, const char *title);

/* Column of M that shows run token `token`; false where none does. */
bool picture_column(const picture *p, size_t token, size_t *column);
/* How many of the run's tokens M has columns for. */
size_t picture_n_tokens(const picture *p);

/* What logits were contrasted with, where they were: a token's label, or that it is another in each selected row. */
label picture_versus(const picture *p, int width);

/* What is particular to the method with its settings: hw_method_heeds(). */
unsigned picture_traits(const picture *p);

/* shade.c; false: no memory */
bool shade_print(const picture *p);
/* toplist.c; false: no memory */
bool toplist_print(const picture *p, size_t n);
/* diagnose.c */
void diagnose_print(const picture *p, const options *o);

#endif
