/*
 * figure.h - attributions as figures in files: what kinds, looks and formats there are, and drawing one.
 *
 *     figure_params --> a style;  attributions --kind's layout--> page --page_draw--> .png .svg .pdf
 */
#ifndef HW_FIGURE_FIGURE_H
#define HW_FIGURE_FIGURE_H

#include "picture/selection.h"

/* What is drawn, and how it looks. Text is borrowed. */
typedef struct figure_params {
    selection_params select;
    const char *kind, *theme; /* rows of the tables below */
    const char *map;          /* NULL: viridis for shares, the theme's for the rest */
    const char *font;         /* families; NULL: the theme's */
    const char *title;        /* NULL: what is shown; "": no heading */
    double width;             /* of the page in points; 0: what the contents need */
    double scale;             /* pixels a point of .png */
    size_t n_top;             /* how many of the strongest tokens a profile has; with `limited` every figure */
    bool limited;
} figure_params;

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

/* Whether kind, theme and map exist: STATUS_DONE, or the status to exit with, the reason printed. */
int figure_check(const figure_params *params, const char *command);

/* Draws attributions of one run, one below the other, into one file; one already there is replaced only by a whole new
 * one. Errors: ARGUMENT (too large: what would make it smaller), IO, MEMORY. */
hw_err figure_save(const hw_attribution *const *list, size_t n, const char *path, const figure_params *params,
                   hw_error *err);

#endif
