/*
 * show.h - the terminal view of an attribution: the prompt shaded, the strongest tokens, and what to keep in mind.
 *
 * show.c puts it together; shade.c draws the prompt, toplist.c the list and diagnose.c the last lines.
 */
#ifndef HEADWATER_SHOW_H
#define HEADWATER_SHOW_H

#include "picture.h"

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

/* shade.c; false: no memory */
bool shade_print(const picture *p);
/* toplist.c; false: no memory */
bool toplist_print(const picture *p, size_t n);
/* diagnose.c */
void diagnose_print(const picture *p, const options *o);

#endif
