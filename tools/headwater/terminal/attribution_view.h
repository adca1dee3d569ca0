/*
 * attribution_view.h - the terminal view of an attribution: the prompt shaded, the strongest tokens, and what to keep in mind.
 *
 * attribution_view.c puts it together from view_parts.h.
 */
#ifndef HW_TERMINAL_ATTRIBUTION_VIEW_H
#define HW_TERMINAL_ATTRIBUTION_VIEW_H

#include "picture/selection.h"

/* What of an attribution is shown, and how. */
typedef struct view_params {
    selection_params select;
    const char *answer_by; /* a segmenter of the completion: a list for each of its parts; NULL: one view of the selected tokens */
    size_t n_top;          /* rows of the list of the strongest tokens */
} view_params;

/* Draws one attribution. */
hw_err show_attribution(const terminal *t, const hw_attribution *a, const view_params *view, hw_error *err);

/* The completion's text, and a line about the run. */
void show_completion(const terminal *t, const hw_run *run);
void show_run(const terminal *t, const hw_run *run);
void show_title(const terminal *t, const char *title);

/* "rollout · completion token 3: ·sunny", and the settings that changed the numbers; no line ends. `mean`: of several
 * tokens the mean is shown. */
void show_heading(const picture *p, bool mean);
void show_settings(const picture *p);

#endif
