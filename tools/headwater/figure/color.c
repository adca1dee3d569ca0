/* color.c - the table of colour maps, and perceptual mixing of colours. */
#include "figure/color.h"

#include <math.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const map maps[] = {
    {.name = "viridis",
     .summary = "dark violet to yellow, readable with any colour vision and in grey (matplotlib); for shares",
     .light = {0x440154, 0x482878, 0x3e4a89, 0x31688e, 0x26828e, 0x1f9e89, 0x35b779, 0x6dcd59, 0xb4de2c, 0xfde725},
     .n = 10},
    {.name = "cividis",
     .summary = "dark blue to yellow, the same with and without red-green vision (Nuñez 2018)",
     .light = {0x00224e, 0x123570, 0x3b496c, 0x575d6d, 0x707173, 0x8a8678, 0xa59c74, 0xc3b369, 0xe1cc55, 0xfee838},
     .n = 10},
    {.name = "plasma",
     .summary = "dark blue to yellow over red, as in the note's figures (Plotly)",
     .straight = true,
     .light = {0x0d0887, 0x46039f, 0x7201a8, 0x9c179e, 0xbd3786, 0xd8576b, 0xed7953, 0xfb9f3a, 0xfdca26, 0xf0f921},
     .n = 10},
    {.name = "shade",
     .summary = "paper to orange, and to blue below 0; for text and for values with a sign",
     .diverging = true,
     .light = {0x08427a, 0x1c72bf, 0x65a4e3, 0xb0d1f4, 0xf7f6f4, 0xf9c9a4, 0xec9850, 0xcb6200, 0x7f3c00},
     .dark = {0xb5d8ff, 0x62b0fb, 0x3f7ab5, 0x2b4b6e, 0x1c1e22, 0x6a451f, 0xaa6a22, 0xf39c36, 0xffdcae},
     .n = 9},
};

size_t maps_count(void) { return COUNT(maps); }
const map *maps_at(size_t i) { return &maps[i]; }

const map *maps_find(const char *name) {
    for (size_t i = 0; i < COUNT(maps); i++)
        if (strcmp(maps[i].name, name) == 0) return &maps[i];
    return NULL;
}

/* ------------------------------------------------------------------ OKLab */

typedef struct oklab {
    double l, a, b;
} oklab;

static double to_linear(double v) { return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4); }

static double from_linear(double v) {
    double s = v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
    return s < 0 ? 0 : s > 1 ? 1 : s;
}

static oklab to_oklab(rgb c) {
    double r = to_linear(c.r), g = to_linear(c.g), b = to_linear(c.b);
    double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return (oklab){0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
                   1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
                   0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

static rgb from_oklab(oklab c) {
    double l = c.l + 0.3963377774 * c.a + 0.2158037573 * c.b;
    double m = c.l - 0.1055613458 * c.a - 0.0638541728 * c.b;
    double s = c.l - 0.0894841775 * c.a - 1.2914855480 * c.b;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    return (rgb){from_linear(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
                 from_linear(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
                 from_linear(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

/* ------------------------------------------------------------------ colours */

rgb rgb_hex(unsigned hex) { return (rgb){(hex >> 16 & 255) / 255.0, (hex >> 8 & 255) / 255.0, (hex & 255) / 255.0}; }

unsigned rgb_pixel(rgb c) {
    return 0xff000000u | (unsigned)lround(c.r * 255) << 16 | (unsigned)lround(c.g * 255) << 8 |
           (unsigned)lround(c.b * 255);
}

rgb rgb_mix(rgb a, rgb b, double part) {
    oklab from = to_oklab(a), to = to_oklab(b);
    return from_oklab(
        (oklab){from.l + part * (to.l - from.l), from.a + part * (to.a - from.a), from.b + part * (to.b - from.b)});
}

double rgb_lightness(rgb c) { return to_oklab(c).l; }

/* WCAG 2: black has more contrast than white above a relative luminance of 0.179. */
rgb rgb_readable(rgb background) {
    double luminance =
        0.2126 * to_linear(background.r) + 0.7152 * to_linear(background.g) + 0.0722 * to_linear(background.b);
    return rgb_hex(luminance > 0.179 ? 0x000000 : 0xffffff);
}

/* ------------------------------------------------------------------ values */

/* Colour at `part` of the way from the first stop to the last. */
static rgb map_color(const map *m, bool dark, double part) {
    const unsigned *stops = dark && m->dark[0] ? m->dark : m->light;
    double at = part * (double)(m->n - 1);
    size_t below = at < (double)(m->n - 1) ? (size_t)at : m->n - 2;
    rgb a = rgb_hex(stops[below]), b = rgb_hex(stops[below + 1]);
    double t = at - (double)below;
    if (!m->straight) return rgb_mix(a, b, t);
    return (rgb){a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b)};
}

rgb shader_color(const shader *s, double value) {
    double level = value / s->scale;
    level = level > 1 ? 1 : level < -1 ? -1 : level;
    bool centred = s->is_signed || s->map->diverging;
    if (!centred && level < 0) level = 0;
    return map_color(s->map, s->dark, centred ? (level + 1) / 2 : level);
}
