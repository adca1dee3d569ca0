/*
 * chart.h - the content of a figure of one attribution: labelled columns and rows, a number for each pair, the scale.
 *
 * Made from a picture (the selection) before layout. Columns are the shown tokens or segments, in prompt order; if
 * there are more than fit on a page, neighbours share a place and the strongest is shown.
 */
#ifndef HW_FIGURE_CHART_H
#define HW_FIGURE_CHART_H

#include "picture/selection.h"

#include "figure/color.h"
#include "figure/theme.h"

/* Appearance, and how much is drawn. */
typedef struct style {
    const theme *theme;
    const map *map;    /* NULL: the theme's map for shares, a diverging map for signed values */
    const char *font;  /* families */
    const char *title; /* NULL: generated from the content; "": none */
    double width;      /* page width in points, 0: as needed */
    size_t n_top;      /* as in figure_params */
    bool limited;
} style;

/* A column or a row. */
typedef struct mark {
    char label[sizeof(label) + 32]; /* UTF-8 */
    double weight;                  /* strength of its values: if not all labels fit, the strongest are shown */
    size_t column;                  /* column of M; the strongest of those that share a place */
} mark;

/* What the rows are: one row with the mean over the layers; the layers; the completion tokens. ROWS_TEXT is the mean
 * with a place for every column, however many there are. */
typedef enum chart_rows { ROWS_MEAN, ROWS_TEXT, ROWS_LAYERS, ROWS_TOKENS } chart_rows;

typedef struct chart {
    const picture *p;
    const style *style;
    char *heading, *remarks; /* malloc'd, UTF-8 */
    mark *x;                 /* [nx] */
    mark *y;                 /* [ny]; ROWS_MEAN and ROWS_TEXT have one row without label */
    size_t nx, ny;
    float *values;           /* [ny, nx]; the mean, the layers from the first up, or the completion tokens in order */
    size_t share_x, share_y; /* number of columns and rows that share a place */
    double scale;            /* > 0: the largest absolute value, without structural columns */
    double min, max;         /* extremes of the values within the scale; min <= 0 <= max */
    bool is_signed;          /* negative values are drawn */
} chart;

/* `only`: maximum number of columns, the strongest; 0: all. Errors: MEMORY, and those of selecting rows. Free with
 * chart_free(). The picture and the style must outlive the chart. */
hw_err chart_new(chart *c, const picture *p, const style *s, chart_rows rows, size_t only, hw_error *err);
void chart_free(chart *c);

/* A value limited to the scale; 0 for NaN. */
double chart_value(const chart *c, size_t y, size_t x);
bool chart_is_beyond(const chart *c, size_t y, size_t x);
/* Whether a value above 0 (`sign` 1) or below it (-1) is beyond the scale. */
bool chart_has_beyond(const chart *c, int sign);
shader chart_shader(const chart *c);
/* "share", "nats", "times uniform" */
const char *chart_unit(const chart *c);

#endif
