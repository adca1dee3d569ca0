/*
 * bars.c - kind `bars`: the mean over the layers, one bar per token; segments have long texts and become lines of a
 * list.
 *
 * A bar beyond the scale is drawn to the end of the scale and broken; the remarks name it with its value.
 */
#include "figure/kinds.h"

#include "figure/axis.h"

#include <math.h>
#include <stdio.h>

enum { MAX_LINES = 200 }; /* lines of a list */
static const double PLOT_HEIGHT = 230, NOTE_TOP = 100, NOTE_BOTTOM = 80, NOTE_MIN_HEIGHT = 200;
static const double LINE = 20, LINE_BAR = 12;
static const double NUMBER_GAP = 4;
static const double HEADROOM = 20.0 / 19; /* the axis ends slightly above the largest value, as in Plotly */

static rgb bar_color(const frame *f, double value) { return rgb_hex(value < 0 ? f->theme->below : f->theme->above); }

/* Two slanted gaps show that the bar continues. */
static void break_bar(frame *f, double x, double y, double width, bool upright) {
    for (int i = 0; i < 2; i++) {
        double at = 6.0 + 5 * i;
        if (upright) {
            page_line(f->page, (stroke){x - 1, y + at + 2, x + width + 1, y + at - 2}, 1.5, frame_plot(f));
        } else {
            page_line(f->page, (stroke){x - at - 2, y + width + 1, x - at + 2, y - 1}, 1.5, frame_plot(f));
        }
    }
}

/* Writes the value of a broken bar above its end (below 0: at its beginning). Omitted if the number to its left, which
 * ends at *taken, would overlap; the remarks state it too. */
static void write_beyond(frame *f, double x, double y, double value, double *taken) {
    number n = axis_number(value, 3);
    writing w = frame_label(f, n.text);
    double half = frame_measure(f, n.text).width / 2;
    w.ax = 0.5;
    w.ay = 1;
    x = fmax(fmin(x, f->x + f->width - half), f->x + half);
    if (x - half < *taken) return;
    *taken = x + half + NUMBER_GAP;
    page_write(f->page, x, y - 1, w);
}

static void fill_columns(frame *f, double from, double to) {
    const chart *c = f->chart;
    double pitch = f->width / (double)c->nx, width = pitch < 3 ? pitch : 0.8 * pitch, unit = f->height / (to - from);
    double zero = f->y + to * unit, taken = f->x;
    for (size_t x = 0; x < c->nx; x++) {
        double v = chart_value(c, 0, x), left = f->x + ((double)x + 0.5) * pitch - width / 2;
        double top = zero - (v > 0 ? v : 0) * unit, height = fabs(v) * unit;
        if (height > 0 && f->theme->note) /* in the note's figures bars have a thin pale outline */
            page_rect(f->page, left - 0.25, top - 0.25, width + 0.5, height + 0.25, rgb_hex(0xe5ecf6));
        if (height > 0) page_rect(f->page, left, top, width, height, bar_color(f, v));
        if (!chart_is_beyond(c, 0, x)) continue;
        break_bar(f, left, v < 0 ? zero + height - 17 : top, width, true);
        write_beyond(f, left + width / 2, top, c->values[x], &taken);
    }
    if (!f->theme->note) page_line(f->page, (stroke){f->x, zero, f->x + f->width, zero}, 1, frame_quiet(f));
}

static void lay_out_columns(page *p, const chart *c) {
    frame f = frame_begin(p, c, NOTE_TOP);
    if (frame_is_empty(&f)) return;
    bool note = f.theme->note;
    double from = c->min * HEADROOM, to = c->max * HEADROOM;
    char unit[40];
    snprintf(unit, sizeof unit, "%s%s", chart_unit(c), hw_view_n_layers(c->p->view) > 1 ? ", mean over layers" : "");
    const char *title = note ? NULL : unit;
    if (!(to > from)) to = from + c->scale;
    f.height = PLOT_HEIGHT;
    frame_inset(&f, note ? 0 : frame_scale_width(&f, from, to, title), note ? NOTE_LEFT - EDGE : 0);
    frame_widen(&f);
    footing labels;
    if (footing_new(&labels, &f)) {
        if (note) f.height = fmax(f.top + NOTE_HEIGHT - fmax(NOTE_BOTTOM, labels.depth + 8) - f.y, NOTE_MIN_HEIGHT);
        page_rect(p, f.x, f.y, f.width, f.height, frame_plot(&f));
        frame_scale(&f, from, to, title);
        fill_columns(&f, from, to);
        frame_end(&f, frame_columns(&f, &labels, NULL));
    } else {
        p->failed = true;
    }
    footing_free(&labels);
}

/* ------------------------------------------------------------------ a list */

static double widest_label(const frame *f) {
    double max = 0;
    for (size_t x = 0; x < f->chart->nx; x++) max = fmax(max, frame_measure(f, f->chart->x[x].label).width);
    return max;
}

static void write_line(frame *f, size_t x, double zero, double unit) {
    const chart *c = f->chart;
    double v = chart_value(c, 0, x), middle = f->y + ((double)x + 0.5) * LINE, end = zero + v * unit;
    writing name = frame_label(f, c->x[x].label), value = frame_label(f, "");
    name.ax = 1;
    name.ay = value.ay = 0.5;
    page_write(f->page, f->x - 8, middle, name);
    page_rect(f->page, fmin(zero, end), middle - LINE_BAR / 2, fabs(v) * unit, LINE_BAR, bar_color(f, v));
    if (chart_is_beyond(c, 0, x)) break_bar(f, end, middle - LINE_BAR / 2, LINE_BAR, false);
    number n = axis_number(c->values[x], 3);
    value.text = n.text;
    value.color = frame_quiet(f);
    page_write(f->page, fmax(zero, end) + 5, middle, value);
}

static void lay_out_list(page *p, const chart *c) {
    frame f = frame_begin(p, c, NOTE_TOP);
    if (frame_is_empty(&f)) return;
    double range = c->max - c->min > 0 ? c->max - c->min : c->scale;
    frame_inset(&f, widest_label(&f) + 8, 60);
    f.width = fmax(f.width, 200);
    f.height = LINE * (double)c->nx;
    double unit = f.width / range, zero = f.x - c->min * unit;
    for (size_t x = 0; x < c->nx; x++) write_line(&f, x, zero, unit);
    page_line(p, (stroke){zero, f.y, zero, f.y + f.height}, 1, frame_quiet(&f));
    frame_end(&f, f.y + f.height);
}

hw_err bars_layout(page *p, const picture *from, const style *s, hw_error *err) {
    chart c;
    hw_err rc = chart_new(&c, from, s, ROWS_MEAN, s->limited ? s->n_top : 0, err);
    if (rc != HW_OK) return rc;
    if (picture_is_grouped(from) && c.nx <= MAX_LINES) {
        lay_out_list(p, &c);
    } else {
        lay_out_columns(p, &c);
    }
    chart_free(&c);
    return HW_OK;
}
