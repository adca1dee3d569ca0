/*
 * chart.h - what a figure shows of one attribution: labelled columns and rows, a number for each pair, the scale.
 *
 * Made from a picture (what is selected), before anything is laid out. Columns are shown tokens or segments, in
 * the order of the prompt; where there are more than a page has room for, neighbours share one and the strongest is
 * shown.
 */
#ifndef HW_FIGURE_CHART_H
#define HW_FIGURE_CHART_H

#include "picture/selection.h"

#include "figure/color.h"
#include "figure/theme.h"

/* How it looks, and how much of it is drawn. */
typedef struct style {
    const theme *theme;
    const map *map;    /* NULL: the theme's for shares, one with a middle for values with a sign */
    const char *font;  /* families */
    const char *title; /* NULL: says what is shown; "": none */
    double width;      /* of the page in points, 0: what the contents need */
    size_t n_top;      /* as in figure_params */
    bool limited;
} style;

/* A column or a row. */
typedef struct mark {
    char label[sizeof(label) + 32]; /* UTF-8 */
    double weight;                  /* how strong its values are: where labels do not fit, the strongest keep theirs */
    size_t column;                  /* of M; of several that share a place the strongest */
} mark;

/* What the rows are: one with the mean over the layers, the layers, the completion tokens; ROWS_TEXT is the mean with
 * every column in a place of its own, however many there are. */
typedef enum chart_rows { ROWS_MEAN, ROWS_TEXT, ROWS_LAYERS, ROWS_TOKENS } chart_rows;

typedef struct chart {
    const picture *p;
    const style *style;
    char *heading, *remarks; /* malloc'd, UTF-8 */
    mark *x;                 /* [nx] */
    mark *y;                 /* [ny]; of ROWS_MEAN and ROWS_TEXT one without label */
    size_t nx, ny;
    float *values;           /* [ny, nx]; the mean, the layers from the first up, or the completion tokens in order */
    size_t share_x, share_y; /* columns, rows that share a place */
    double scale;            /* > 0: the largest size of a value, structural columns aside */
    double least, most;      /* of values, not beyond the scale; least <= 0 <= most */
    bool is_signed;          /* values below 0 are drawn */
} chart;

/* `only`: at most so many columns, the strongest, 0: all. Errors: MEMORY, and what selecting rows gives. Free with
 * chart_free(). The picture and the style must outlive it. */
hw_err chart_new(chart *c, const picture *p, const style *s, chart_rows rows, size_t only, hw_error *err);
void chart_free(chart *c);

/* One value kept to the scale; 0 for NaN. */
double chart_value(const chart *c, size_t y, size_t x);
bool chart_is_beyond(const chart *c, size_t y, size_t x);
/* Whether a value above 0 (`sign` 1) or below it (-1) is beyond the scale. */
bool chart_has_beyond(const chart *c, int sign);
shader chart_shader(const chart *c);
/* "share", "nats", "times uniform" */
const char *chart_unit(const chart *c);

#endif
