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

/* Rows of tables, for --help and error messages. */
typedef enum figure_table { FIGURE_ENDINGS, FIGURE_KINDS, FIGURE_THEMES, FIGURE_MAPS } figure_table;
typedef struct figure_word {
    const char *name, *summary; /* NULL behind the last row */
} figure_word;

/* What the rest of the program uses of this folder, which is a module: libheadwater-figure.so, linked with Cairo and
 * Pango, and opened at the first figure (job/figure_module.h). */
typedef struct figure_functions {
    figure_word (*word)(figure_table table, size_t i);
    /* Whether the path's extension is a figure format. */
    bool (*is_named)(const char *path);
    /* Checks that kind, theme and map exist. Errors: ARGUMENT. */
    hw_err (*check)(const figure_params *params, hw_error *err);
    /* Draws attributions of one run, one below the other, into one file; an existing file is replaced only by a
     * complete new one. Errors: ARGUMENT (too large, with a hint how to make it smaller), IO, MEMORY. */
    hw_err (*save)(const hw_attribution *const *list, size_t n, const char *path, const figure_params *params,
                   hw_error *err);
} figure_functions;

/* The module's export. */
#define FIGURE_MODULE    "libheadwater-figure.so"
#define FIGURE_FUNCTIONS "headwater_figure"
extern const figure_functions headwater_figure;

#endif
