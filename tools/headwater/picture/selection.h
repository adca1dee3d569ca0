/*
 * selection.h - one attribution with a selection of rows, layers and a filter, and the scale for drawing it.
 *
 * The terminal view (attribution_view.h) and the figures (figure/figure.h) both draw a picture.
 *
 * The folder headwater/picture/: the selection of an attribution that terminal views and figures draw.
 */
#ifndef HW_PICTURE_SELECTION_H
#define HW_PICTURE_SELECTION_H

#include "cli/safe_text.h"
#include "cli/terminal.h"

#include "headwater.h"

/* The selection. Strings are borrowed; NULL: everything, no filter. */
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
    bool negative;                 /* some drawn value is negative */
} picture;

/* Free with picture_free(). */
hw_err picture_new(picture *p, const terminal *t, const hw_attribution *a, const selection_params *select,
                   hw_error *err);
/* Computes the view and the scale of rows [row_begin, row_end) of a picture whose other fields are set; makes a new
 * view. */
hw_err picture_fill(picture *p, hw_error *err);
void picture_free(picture *p);

/* Column of M that contains run token `token`; false if there is none. */
bool picture_column(const picture *p, size_t token, size_t *column);
/* Number of run tokens for which M has columns. */
size_t picture_n_tokens(const picture *p);
/* Whether the column is token 0, or the position of a selected row, or a segment without user text: these do not set
 * the scale. */
bool picture_is_structural(const picture *p, size_t column);
bool picture_is_grouped(const picture *p); /* whether columns are segments */
/* A column's name, or its joined tokens, at most `width` terminal columns; without grouping one token. */
label picture_label(const picture *p, size_t column, int width);
/* The same for token i of a run: a character split over several tokens is shown in the first. */
label picture_token(const hw_run *run, size_t i, int width);

/* Whether logits are compared with a token's logit, not with the mean or the distribution. */
bool picture_against_token(const picture *p);
/* Share of all that raised tokens first .. end - 1 that came directly through thinking sections of the completion, of a
 * result that was followed; each token counts by what raised it. */
double picture_through_thinking(const hw_attribution *a, size_t first, size_t end);
/* What logits are compared with, where that is not the mean: a token's label, or a note that it differs between the
 * selected rows. */
label picture_against(const picture *p, int width);

/* Traits of the method that are active with these settings: hw_method_active_traits(). */
unsigned picture_traits(const picture *p);

/* Index of the first token that can be selected: of the completion, or of all tokens if there is none. */
size_t picture_first_selectable(const hw_run *run);

#endif
