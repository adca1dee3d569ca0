/*
 * attribution_view.h - the terminal view of an attribution: the shaded prompt, the strongest tokens, and cautions.
 *
 * attribution_view.c combines the parts declared in view_parts.h.
 *
 * The folder headwater/terminal/: text views of attributions and citations. Parameters are plain structs, not command-
 * line options.
 */
#ifndef HW_TERMINAL_ATTRIBUTION_VIEW_H
#define HW_TERMINAL_ATTRIBUTION_VIEW_H

#include "cli/safe_text.h"
#include "picture/selection.h"

/* Content and form of the view. */
typedef struct view_params {
    selection_params select;
    const char *answer_by; /* a segmenter for the completion: one list per part; NULL: one view of the selected
                              tokens */
    size_t n_top;          /* rows of the list of the strongest tokens */
} view_params;

/* Prints one attribution. */
hw_err show_attribution(const terminal *t, const hw_attribution *a, const view_params *view, hw_error *err);

/* Prints a token of the completion; thinking sections are pale. */
void show_token(const terminal *t, stream *text, const hw_token *token);
/* Prints the completion's text and a line about the run. */
void show_completion(const terminal *t, const hw_run *run);
void show_run(const terminal *t, const hw_run *run);
void show_title(const terminal *t, const char *title);

/* Prints "rollout · completion token 3: ·sunny" and the settings that changed the numbers, without a line end. `mean`:
 * the mean of several tokens is shown. */
void show_heading(const picture *p, bool mean);
void show_settings(const picture *p);

#endif
