/*
 * frame.h - what stands around a chart: heading, axes, grid lines, colour bar.
 *
 * A layout begins a frame (heading, room for the plot), places the column labels, settles the plot's size, fills it and
 * writes what is around it. Lengths are points.
 */
#ifndef HW_FIGURE_FRAME_H
#define HW_FIGURE_FRAME_H

#include "figure/axis.h"
#include "figure/chart.h"
#include "figure/canvas.h"

/* Space at the edges of a page, and the size of the note's figures. */
#define EDGE        20.0
#define NOTE_WIDTH  700.0
#define NOTE_HEIGHT 450.0
#define NOTE_LEFT   80.0

typedef struct frame {
    page *page;
    const chart *chart;
    const theme *theme;
    double top;                 /* where the heading begins */
    double x, y, width, height; /* the plot; until it is settled the room for it, without a height */
} frame;

/* The heading, below what is on the page. `note_top`: in the note's theme the plot begins so far down. */
frame frame_begin(page *p, const chart *c, double note_top);
/* Where nothing is left to show: says so, and the chart is done. */
bool frame_is_empty(frame *f);
/* Takes room left of the plot and right of it. */
void frame_inset(frame *f, double left, double right);
/* Makes the plot wider where that lets every column have its label, unless the page's width was asked for. */
void frame_widen(frame *f);
/* A number at an end of the scale: "≥ 0.08", "≤ −0.08" where values go on beyond it. */
number frame_end_number(const frame *f, double value);
/* Ends a chart that reaches down to y. */
void frame_end(frame *f, double y);

rgb frame_ink(const frame *f);
rgb frame_quiet(const frame *f);
rgb frame_grid(const frame *f);
rgb frame_plot(const frame *f);
/* A label of an axis; the extents of one. */
writing frame_label(const frame *f, const char *text);
extent frame_measure(const frame *f, const char *text);

/* How the columns' labels stand. */
typedef struct footing {
    bool *shown;         /* [nx] malloc'd */
    double angle, depth; /* degrees; what they take below the plot */
} footing;
/* For the plot's width as it is. False: no memory. Free either way. */
bool footing_new(footing *out, const frame *f);
void footing_free(footing *t);
/* Writes them under the plot, with a title where there is one. Gives the y where all that ends. */
double frame_columns(frame *f, const footing *t, const char *title);

/* The rows' labels and their title, left of the plot, row 0 at the bottom where `rising`; the width that they need. */
double frame_rows_width(const frame *f, bool titled);
void frame_rows(frame *f, bool rising, const char *title);

/* Values from `from` to `to` left of the plot, rising, with grid lines; the width that they need. */
double frame_scale_width(const frame *f, double from, double to, const char *title);
void frame_scale(frame *f, double from, double to, const char *title);

/* The colours and their numbers right of the plot; the width that they need. */
double frame_bar_width(const frame *f);
void frame_bar(frame *f);
/* The colours alone, from the least value to the most: upwards, or to the right where it is wider than high. */
void frame_ramp(frame *f, const shader *s, double x, double y, double width, double height);

#endif
