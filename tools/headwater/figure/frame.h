/*
 * frame.h - what surrounds a chart: heading, axes, grid lines, colour bar.
 *
 * A layout begins a frame (heading, space for the plot), places the column labels, sets the plot's size, fills the plot
 * and writes what surrounds it. Lengths are points.
 */
#ifndef HW_FIGURE_FRAME_H
#define HW_FIGURE_FRAME_H

#include "figure/axis.h"
#include "figure/canvas.h"
#include "figure/chart.h"

/* Margin of a page, and sizes of the note's figures. */
#define EDGE        20.0
#define NOTE_WIDTH  700.0
#define NOTE_HEIGHT 450.0
#define NOTE_LEFT   80.0

typedef struct frame {
    page *page;
    const chart *chart;
    const theme *theme;
    double top;                 /* y at which the heading begins */
    double x, y, width, height; /* the plot; before its size is set the space for it, without a height */
} frame;

/* Writes the heading below the content of the page. `note_top`: y of the plot in the note's theme. */
frame frame_begin(page *p, const chart *c, double note_top);
/* If nothing is left to show, writes that and returns true: the chart is complete. */
bool frame_is_empty(frame *f);
/* Reserves space left and right of the plot. */
void frame_inset(frame *f, double left, double right);
/* Widens the plot so that every column can have its label, unless the page's width was set. */
void frame_widen(frame *f);
/* The number at an end of the scale: "≥ 0.08", "≤ −0.08" if values lie beyond it. */
number frame_end_number(const frame *f, double value);
/* Ends a chart whose lowest point is y. */
void frame_end(frame *f, double y);

rgb frame_ink(const frame *f);
rgb frame_quiet(const frame *f);
rgb frame_grid(const frame *f);
rgb frame_plot(const frame *f);
/* The style of an axis label; the extents of a label. */
writing frame_label(const frame *f, const char *text);
extent frame_measure(const frame *f, const char *text);

/* Placement of the column labels. */
typedef struct footing {
    bool *shown;         /* [nx] malloc'd */
    double angle, depth; /* degrees; height below the plot */
} footing;
/* Places the labels for the current width of the plot. False when memory runs out. Free in either case. */
bool footing_new(footing *out, const frame *f);
void footing_free(footing *t);
/* Writes the labels under the plot, with a title if there is one. Returns the y at which they end. */
double frame_columns(frame *f, const footing *t, const char *title);

/* The rows' labels and their title, left of the plot, row 0 at the bottom if `rising`; the width that they need. */
double frame_rows_width(const frame *f, bool titled);
void frame_rows(frame *f, bool rising, const char *title);

/* Values from `from` to `to` left of the plot, ascending, with grid lines; the width that they need. */
double frame_scale_width(const frame *f, double from, double to, const char *title);
void frame_scale(frame *f, double from, double to, const char *title);

/* The colour bar with its numbers right of the plot; the width that it needs. */
double frame_bar_width(const frame *f);
void frame_bar(frame *f);
/* The colours alone, from the minimum to the maximum: upwards, or to the right if it is wider than high. */
void frame_ramp(frame *f, const shader *s, double x, double y, double width, double height);

#endif
