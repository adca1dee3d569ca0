/* theme.h - how figures look: a table of papers, inks and habits. */
#ifndef HW_FIGURE_THEME_H
#define HW_FIGURE_THEME_H

#include "figure/color.h"

/* One row of the theme table. Colours are 0xRRGGBB. */
typedef struct theme {
    const char *name, *summary;
    bool dark;
    bool note;                              /* sizes, spaces and the order of layers as in the note's figures */
    unsigned paper, plot, grid, ink, quiet; /* quiet: of remarks and of what is not shaded */
    unsigned above, below;                  /* bars */
    const char *font;                       /* families, the first that is installed wins */
    const char *map;                        /* for shares */
    double size;                            /* of axis labels, in points */
} theme;

size_t themes_count(void);
const theme *themes_at(size_t i);
const theme *themes_find(const char *name); /* NULL if there is none */

#endif
