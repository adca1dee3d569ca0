/*
 * selection.h - one attribution with what is selected of it: rows, layers, a filter, and the scale that it is drawn to.
 *
 * The terminal view (attribution_view.h) and the figures (figure/figure.h) both draw a picture.
 */
#ifndef HW_PICTURE_SELECTION_H
#define HW_PICTURE_SELECTION_H

#include "cli/safe_text.h"
#include "cli/terminal.h"

#include "headwater.h"

/* What is selected. Text is borrowed; NULL: all of it, and nothing hidden or kept. */
typedef struct selection_params {
    const char *token;       /* completion tokens, as hw_run_select() reads them */
    const char *layers;      /* as hw_attribution_select_layers() reads them */
    const char *hide, *keep; /* filters: hw_view_params */
    bool normalise, lift;
} selection_params;

typedef struct picture {
    const terminal *t;
    const hw_attribution *a;
    const hw_run *run;
    selection_params select;
    hw_view *view;
    size_t row_begin, row_end;     /* of M */
    size_t layer_begin, layer_end; /* of M */
    double scale;                  /* the value that is drawn at full strength */
    bool negative;                 /* a value below 0 is drawn */
} picture;

/* Free with picture_free(). */
hw_err picture_new(picture *p, const terminal *t, const hw_attribution *a, const selection_params *select,
                   hw_error *err);
/* The view and the scale of rows [row_begin, row_end) of a picture whose other fields are set; its view is a new one. */
hw_err picture_fill(picture *p, hw_error *err);
void picture_free(picture *p);

/* Column of M that shows run token `token`; false where none does. */
bool picture_column(const picture *p, size_t token, size_t *column);
/* How many of the run's tokens M has columns for. */
size_t picture_n_tokens(const picture *p);
/* Token 0, or a position that a selected row is the row of, or a segment without text of the user's: they never set the scale. */
bool picture_is_structural(const picture *p, size_t column);
bool picture_is_grouped(const picture *p); /* columns are segments */
/* A column's name, or its tokens joined, at most `width` terminal columns; without grouping it is one token. */
label picture_label(const picture *p, size_t column, int width);
/* The same of token i of a run: characters that are cut over several tokens are whole in the first. */
label picture_token(const hw_run *run, size_t i, int width);

/* What logits were contrasted with, where they were: a token's label, or that it is another in each selected row. */
label picture_versus(const picture *p, int width);

/* What is particular to the method with its settings: hw_method_heeds(). */
unsigned picture_traits(const picture *p);

/* Index of the first token that can be selected: the completion's, or all where there is none. */
size_t picture_first_selectable(const hw_run *run);

#endif
