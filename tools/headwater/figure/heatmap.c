/*
 * heatmap.c - kinds `heatmap` (layers against tokens) and `map` (completion tokens against prompt tokens): coloured
 * cells.
 *
 * Layer 1 is at the bottom; the note's figures draw it there too but name it L.
 */
#include "figure/kinds.h"

#include <math.h>
#include <stdlib.h>

static const double NOTE_TOP = 60, NOTE_BOTTOM = 37, NOTE_MIN_HEIGHT = 200;
static const double MARK = 6; /* size of the mark of a cell beyond the scale */
static const double LAYER = 11, MIN_HEIGHT = 180, MAX_LAYERS_HEIGHT = 560, MAX_HEIGHT = 1200;

/* The differences between the two kinds. */
typedef struct grid {
    chart_rows rows;
    bool rising;
    const char *rows_title;
} grid;

static double height_of(const frame *f, const grid *g) {
    double rows = (double)f->chart->ny;
    if (g->rows == ROWS_LAYERS) return fmin(fmax(rows * LAYER, MIN_HEIGHT), MAX_LAYERS_HEIGHT);
    return fmin(rows * ceil(frame_measure(f, "Ag").height * 1.3), MAX_HEIGHT);
}

/* A stroke across the upper right corner of a cell whose value is beyond the scale. */
static void mark_cell(frame *f, size_t x, size_t place, rgb color) {
    double width = f->width / (double)f->chart->nx, height = f->height / (double)f->chart->ny;
    double side = fmin(fmin(width, height) * 0.6, MARK), right = f->x + (double)(x + 1) * width,
           top = f->y + (double)place * height;
    page_line(f->page, (stroke){right - side, top, right, top + side}, fmax(side / 5, 0.4), color);
}

static bool fill(frame *f, const grid *g) {
    const chart *c = f->chart;
    shader colors = chart_shader(c);
    unsigned *cells = malloc((c->nx * c->ny + 1) * sizeof *cells);
    if (!cells) return false;
    for (size_t y = 0; y < c->ny; y++) {
        size_t place = g->rising ? c->ny - 1 - y : y;
        for (size_t x = 0; x < c->nx; x++) {
            bool known = !isnan(c->values[y * c->nx + x]);
            cells[place * c->nx + x] = known ? rgb_pixel(shader_color(&colors, chart_value(c, y, x))) : 0;
        }
    }
    page_rect(f->page, f->x, f->y, f->width, f->height, frame_grid(f)); /* visible at cells without a value */
    page_cells(f->page, (area){f->x, f->y, f->width, f->height}, cells, c->nx, c->ny);
    for (size_t i = 0; i < c->nx * c->ny; i++) {
        size_t y = i / c->nx, x = i % c->nx;
        rgb color = shader_color(&colors, chart_value(c, y, x));
        if (chart_is_beyond(c, y, x)) mark_cell(f, x, g->rising ? c->ny - 1 - y : y, rgb_readable(color));
    }
    return true;
}

static bool draw(frame *f, const grid *g) {
    bool note = f->theme->note;
    double rows = frame_rows_width(f, true);
    frame_inset(f, note ? fmax(rows + 8 - NOTE_LEFT, 0) : rows, frame_bar_width(f));
    if (note) f->width /= 1.02; /* a gap of 2 percent precedes the colour bar */
    frame_widen(f);
    footing labels;
    bool ok = footing_new(&labels, f);
    if (ok) {
        if (note) f->height = fmax(f->top + NOTE_HEIGHT - labels.depth - NOTE_BOTTOM - f->y, NOTE_MIN_HEIGHT);
        ok = fill(f, g);
        frame_rows(f, g->rising, g->rows_title);
        double end = frame_columns(f, &labels, note ? "input tokens" : NULL);
        frame_bar(f);
        frame_end(f, end);
    }
    footing_free(&labels);
    return ok;
}

static hw_err lay_out(page *p, const picture *from, const style *s, const grid *g, hw_error *err) {
    chart c;
    hw_err rc = chart_new(&c, from, s, g->rows, s->limited ? s->n_top : 0, err);
    if (rc != HW_OK) return rc;
    frame f = frame_begin(p, &c, NOTE_TOP);
    f.height = f.theme->note ? NOTE_HEIGHT - NOTE_TOP - 80 : height_of(&f, g);
    if (!frame_is_empty(&f) && !draw(&f, g)) p->failed = true;
    chart_free(&c);
    return HW_OK;
}

hw_err heatmap_layout(page *p, const picture *from, const style *s, hw_error *err) {
    static const grid layers = {ROWS_LAYERS, true, "layers"};
    return lay_out(p, from, s, &layers, err);
}

hw_err map_layout(page *p, const picture *from, const style *s, hw_error *err) {
    static const grid tokens = {ROWS_TOKENS, false, "completion tokens"};
    return lay_out(p, from, s, &tokens, err);
}
