/* theme.h - the table of themes: colours, fonts and layout style of figures. */
#ifndef HW_FIGURE_THEME_H
#define HW_FIGURE_THEME_H

#include "figure/color.h"

/* One row of the theme table. Colours are 0xRRGGBB. */
typedef struct theme {
    const char *name, *summary;
    bool dark;
    bool note;                              /* sizes, distances and the order of layers as in the note's figures */
    unsigned paper, plot, grid, ink, quiet; /* quiet: for remarks and for text that is not shaded */
    unsigned above, below;                  /* bars */
    const char *font;                       /* font families, the first installed one is used */
    const char *map;                        /* for shares */
    double size;                            /* of axis labels, in points */
} theme;

size_t themes_count(void);
const theme *themes_at(size_t i);
const theme *themes_find(const char *name); /* NULL: unknown name */

#endif
