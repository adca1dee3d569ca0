/*
 * figure.h - draws attributions as figures in files; lists the available kinds, themes, maps and formats.
 *
 *     figure_params --> style;  attributions --layout of the kind--> page --page_draw--> .png .svg .pdf
 */
#ifndef HW_FIGURE_FIGURE_H
#define HW_FIGURE_FIGURE_H

#include "picture/selection.h"

/* Content and appearance. Strings are borrowed. */
typedef struct figure_params {
    selection_params select;
    const char *kind, *theme; /* rows of the tables below */
    const char *map;          /* NULL: viridis for shares, the theme's map otherwise */
    const char *font;         /* families; NULL: the theme's */
    const char *title;        /* NULL: generated from the content; "": no heading */
    double width;             /* page width in points; 0: as needed */
    double scale;             /* pixels per point of .png */
    size_t n_top;             /* number of strongest tokens in a profile; with `limited` in every figure */
    bool limited;
} figure_params;

/* Rows of tables for --help and error messages. */
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

/* Whether the path's extension is a figure format. */
bool figure_is_named(const char *path);

/* Checks that kind, theme and map exist: STATUS_DONE, or the exit status after printing the reason. */
int figure_check(const figure_params *params, const char *command);

/* Draws attributions of one run, one below the other, into one file; an existing file is replaced only by a complete
 * new one. Errors: ARGUMENT (too large, with a hint how to make it smaller), IO, MEMORY. */
hw_err figure_save(const hw_attribution *const *list, size_t n, const char *path, const figure_params *params,
                   hw_error *err);

#endif
