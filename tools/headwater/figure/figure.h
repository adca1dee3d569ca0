/*
 * figure.h - attributions as figures in files: what kinds, looks and formats there are, and drawing one.
 *
 *     options --figure_check--> a style;  attributions --kind's layout--> page --page_draw--> .png .svg .pdf
 */
#ifndef HW_FIGURE_FIGURE_H
#define HW_FIGURE_FIGURE_H

#include "cli/options.h"

/* Rows of tables that --help and errors list. */
typedef struct figure_word {
    const char *name, *summary;
} figure_word;

size_t figure_kinds_count(void);
figure_word figure_kinds_at(size_t i);
size_t figure_themes_count(void);
figure_word figure_themes_at(size_t i);
size_t figure_maps_count(void);
figure_word figure_maps_at(size_t i);
size_t figure_endings_count(void);
figure_word figure_endings_at(size_t i);

/* The path's ending names a format of figures. */
bool figure_is_named(const char *path);

/* Whether the options name a kind, a theme and a map that exist: STATUS_DONE, or the status to exit with, the reason
 * printed. */
int figure_check(const options *o, const char *command);

/* Draws attributions of one run, one below the other, into one file; one already there is replaced only by a whole new
 * one. Errors: ARGUMENT (too large: what would make it smaller), IO, MEMORY. */
hw_err figure_save(const hw_attribution *const *list, size_t n, const char *path, const options *o, hw_error *err);

#endif
