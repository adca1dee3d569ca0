/* kinds.h - the layout functions of the kinds of figures, rows of figure.c's table. Each appends one attribution to a
 * page. */
#ifndef HW_FIGURE_KINDS_H
#define HW_FIGURE_KINDS_H

#include "figure/canvas.h"
#include "figure/chart.h"
#include "figure/frame.h"

/* Failed allocations of the page are recorded in page->failed. */
typedef hw_err layout_fn(page *p, const picture *from, const style *s, hw_error *err);
layout_fn bars_layout, heatmap_layout, map_layout, text_layout, profile_layout;

#endif
