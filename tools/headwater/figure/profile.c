/*
 * profile.c - kind `profile`: the layers from which the values of the strongest tokens come, one strip of layers per
 * token.
 *
 * All strips have the same scale, so that they can be compared; the number beside a strip is the token's mean over
 * layers.
 */
#include "figure/kinds.h"

#include "figure/axis.h"

#include <math.h>
#include <stdlib.h>

static const double STRIP = 30, STRIP_GAP = 12, NOTE_TOP = 60, VALUE_WIDTH = 64, MAX_LAYER = 24;

/* Order of the strips: the columns of the chart by descending mean. */
static size_t *order_of(const chart *c, size_t *n) {
    size_t *top = malloc((c->nx + 1) * sizeof *top), *order = malloc((c->nx + 1) * sizeof *order);
    *n = 0;
    if (top && order) {
        size_t found = hw_view_top(c->p->view, top, c->nx);
        for (size_t i = 0; i < found; i++)
            for (size_t x = 0; x < c->nx; x++)
                if (c->x[x].column == top[i]) order[(*n)++] = x;
    }
    free(top);
    if (top) return order;
    free(order);
    return NULL;
}

static double widest_label(const frame *f) {
    double max = 0;
    for (size_t x = 0; x < f->chart->nx; x++) max = fmax(max, frame_measure(f, f->chart->x[x].label).width);
    return max;
}

/* Draws the layers of column x as bars on a base line, from y on. */
static void draw_strip(frame *f, size_t x, double y) {
    const chart *c = f->chart;
    double pitch = f->width / (double)c->ny, range = c->max - c->min, width = pitch < 3 ? pitch : pitch - 1;
    double unit = range > 0 ? STRIP / range : 0, zero = y + c->max * unit;
    for (size_t l = 0; l < c->ny; l++) {
        double v = chart_value(c, l, x), left = f->x + ((double)l + 0.5) * pitch - width / 2;
        if (v != 0)
            page_rect(f->page, left, zero - (v > 0 ? v : 0) * unit, width, fabs(v) * unit,
                      rgb_hex(v < 0 ? f->theme->below : f->theme->above));
        if (chart_is_beyond(c, l, x))
            page_rect(f->page, left - 0.5, (v > 0 ? y + 4 : y + STRIP - 6), width + 1, 2, frame_plot(f));
    }
    page_line(f->page, (stroke){f->x, zero, f->x + f->width, zero}, 0.75, frame_quiet(f));
}

static void write_strip(frame *f, size_t x, double y) {
    const chart *c = f->chart;
    number n = axis_number(hw_view_scores(c->p->view)[c->x[x].column], 3);
    writing name = frame_label(f, c->x[x].label), value = frame_label(f, n.text);
    name.ax = 1;
    name.ay = value.ay = 0.5;
    value.color = frame_quiet(f);
    page_write(f->page, f->x - 10, y + STRIP / 2, name);
    page_write(f->page, f->x + f->width + 10, y + STRIP / 2, value);
    draw_strip(f, x, y);
}

/* Numbers of layers under the strips. */
static double write_layers(frame *f, double y) {
    const chart *c = f->chart;
    double pitch = f->width / (double)c->ny;
    size_t step = axis_whole_step(c->ny, f->width);
    for (size_t l = 0; l < c->ny; l++) {
        size_t index = (size_t)strtoul(c->y[l].label, NULL, 10);
        if (index % step) continue;
        writing w = frame_label(f, c->y[l].label);
        w.ax = 0.5;
        page_write(f->page, f->x + ((double)l + 0.5) * pitch, y + 2, w);
    }
    writing title = frame_label(f, "layers");
    title.color = frame_quiet(f);
    title.ax = 0.5;
    y += 2 + frame_measure(f, "0").height;
    return y + page_write(f->page, f->x + f->width / 2, y + 2, title).height;
}

hw_err profile_layout(page *p, const picture *from, const style *s, hw_error *err) {
    chart c;
    hw_err rc = chart_new(&c, from, s, ROWS_LAYERS, s->n_top ? s->n_top : 1, err);
    if (rc != HW_OK) return rc;
    frame f = frame_begin(p, &c, NOTE_TOP);
    if (frame_is_empty(&f)) return chart_free(&c), HW_OK;
    size_t n, *order = order_of(&c, &n);
    frame_inset(&f, widest_label(&f) + 10, VALUE_WIDTH);
    f.width = fmin(f.width, MAX_LAYER * (double)c.ny);
    f.height = (STRIP + STRIP_GAP) * (double)n;
    for (size_t i = 0; i < n; i++) write_strip(&f, order[i], f.y + (STRIP + STRIP_GAP) * (double)i);
    frame_end(&f, write_layers(&f, f.y + f.height - STRIP_GAP));
    if (!order) p->failed = true;
    free(order);
    chart_free(&c);
    return HW_OK;
}
