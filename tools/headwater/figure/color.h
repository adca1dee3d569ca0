/*
 * color.h - colours, and maps from values to colours.
 *
 * A map is a few published colours at equal steps; colours between them are interpolated in OKLab (Ottosson 2020),
 * where equal steps look equal, or linearly in sRGB if the map is defined that way.
 */
#ifndef HW_FIGURE_COLOR_H
#define HW_FIGURE_COLOR_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rgb {
    double r, g, b; /* sRGB, 0 to 1 */
} rgb;

rgb rgb_hex(unsigned hex);              /* 0xRRGGBB */
rgb rgb_mix(rgb a, rgb b, double part); /* interpolates in OKLab; part 0 is a, 1 is b */
double rgb_lightness(rgb c);            /* L of OKLab, 0 black to 1 white */
rgb rgb_readable(rgb background);       /* black or white, whichever has more contrast */
unsigned rgb_pixel(rgb c);              /* 0xffRRGGBB */

enum { MAX_STOPS = 12 };

/* One row of the map table. */
typedef struct map {
    const char *name, *summary;
    bool diverging;            /* value 0 is in the middle; else at the beginning */
    bool straight;             /* interpolated in sRGB */
    unsigned light[MAX_STOPS]; /* [n] from the lowest value to the highest */
    unsigned dark[MAX_STOPS];  /* [n] the same for dark paper; all 0: same as light */
    size_t n;
} map;

size_t maps_count(void);
const map *maps_at(size_t i);
const map *maps_find(const char *name); /* NULL: unknown name */

/* Maps values to colours in one chart. */
typedef struct shader {
    const map *map;
    bool dark;      /* the paper is dark */
    bool is_signed; /* values range from -scale to scale; else from 0 */
    double scale;   /* > 0; values beyond it get the colour of the end */
} shader;
rgb shader_color(const shader *s, double value);

#endif
