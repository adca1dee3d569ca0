/*
 * attribution_view.h - the terminal view of an attribution: the prompt shaded, the strongest tokens, and what to keep in mind.
 *
 * attribution_view.c puts it together; shaded_prompt.c draws the prompt, top_tokens.c the list and cautions.c the last lines.
 */
#ifndef HW_TERMINAL_ATTRIBUTION_VIEW_H
#define HW_TERMINAL_ATTRIBUTION_VIEW_H

#include "picture/selection.h"

/* Draws one attribution by the options --token, --answer-by, --layers, --hide, --normalise, --lift and --top. */
hw_err show_attribution(const terminal *t, const hw_attribution *a, const options *o, hw_error *err);

/* The completion's text, and a line about the run. */
void show_completion(const terminal *t, const hw_run *run);
void show_run(const terminal *t, const hw_run *run);
void show_title(const terminal *t, const char *title);

/* "rollout · completion token 3: ·sunny", and the settings that changed the numbers; no line ends. `mean`: of several
 * tokens the mean is shown. */
void show_heading(const picture *p, bool mean);
void show_settings(const picture *p);

/* shaded_prompt.c; false: no memory */
bool shade_print(const picture *p);
/* top_tokens.c; false: no memory */
bool toplist_print(const picture *p, size_t n);
/* cautions.c */
void diagnose_print(const picture *p, const options *o);

#endif
