/* frame.c - what surrounds a chart, in two styles: Headwater's own, and that of the original note's figures. */
#include "figure/frame.h"

#include "figure/axis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double STANDARD_WIDTH = 720, MAX_PLOT_WIDTH = 1400;
static const double HEADING_SIZE = 15, REMARK_SIZE = 10, TITLE_SIZE = 11;
static const double NOTE_HEADING_SIZE = 12, NOTE_REMARK_SIZE = 9, NOTE_TITLE_SIZE = 14;
/* Distances between the plot and the labels below and left of it, and between labels and an axis title. */
static const double BELOW = 4, LEFT = 6, TITLE_GAP = 8;
enum { RAMP_STEPS = 256, TICK_DIGITS = 6 };
/* A label turned by 30 degrees is anchored to its column at this part of its height. */
static const double MIN_BAR_HEIGHT = 96, TURNED_ANCHOR = 0.4;

rgb frame_ink(const frame *f) { return rgb_hex(f->theme->ink); }
rgb frame_quiet(const frame *f) { return rgb_hex(f->theme->quiet); }
rgb frame_grid(const frame *f) { return rgb_hex(f->theme->grid); }
rgb frame_plot(const frame *f) { return rgb_hex(f->theme->plot); }

writing frame_label(const frame *f, const char *text) {
    return (writing){.text = text, .size = f->theme->size, .color = frame_ink(f)};
}

extent frame_measure(const frame *f, const char *text) {
    writing w = frame_label(f, text);
    return page_measure(f->page, &w);
}

static writing title_of(const frame *f, const char *text) {
    bool note = f->theme->note;
    return (writing){
        .text = text, .size = note ? NOTE_TITLE_SIZE : TITLE_SIZE, .color = note ? frame_ink(f) : frame_quiet(f)};
}

/* ------------------------------------------------------------------ heading */

/* Returns the y at which the heading ends. */
static double write_heading(frame *f, double x, double y, double width) {
    const style *s = f->chart->style;
    bool note = f->theme->note;
    if (s->title && !*s->title) return y;
    writing heading = {.text = f->chart->heading, .bold = true, .color = frame_ink(f), .wrap = width};
    writing remarks = {.text = f->chart->remarks, .color = frame_quiet(f), .wrap = width};
    heading.size = note ? NOTE_HEADING_SIZE : HEADING_SIZE;
    remarks.size = note ? NOTE_REMARK_SIZE : REMARK_SIZE;
    y += page_write(f->page, x, y, heading).height + 2;
    return y + page_write(f->page, x, y, remarks).height + 2;
}

frame frame_begin(page *p, const chart *c, double note_top) {
    frame f = {.page = p, .chart = c, .theme = c->style->theme, .top = p->height};
    bool note = f.theme->note;
    double width = c->style->width > 0 ? c->style->width : note ? NOTE_WIDTH : STANDARD_WIDTH;
    page_name(p, c->heading);
    page_grow(p, width, f.top + 1);
    f.x = note ? NOTE_LEFT : EDGE;
    f.width = width - f.x - EDGE;
    double end = write_heading(&f, f.x, f.top + (note ? 8 : EDGE), f.width);
    f.y = note ? fmax(f.top + note_top, end + 6) : end + 18;
    return f;
}

bool frame_is_empty(frame *f) {
    if (f->chart->nx) return false;
    writing w = frame_label(f, "Every token is hidden by the filter.");
    frame_end(f, f->y + page_write(f->page, f->x, f->y, w).height);
    return true;
}

void frame_inset(frame *f, double left, double right) {
    f->x += left;
    f->width -= left + right;
    if (f->width < 40) f->width = 40; /* a narrow page with long labels: the page grows */
}

/* Height of the ink of all labels, laid over each other. */
static double line_height(const frame *f) {
    extent max = {0};
    for (size_t x = 0; x < f->chart->nx; x++) {
        extent size = frame_measure(f, f->chart->x[x].label);
        max.above = fmax(max.above, size.above);
        max.below = fmax(max.below, size.below);
    }
    return max.above + max.below;
}

void frame_widen(frame *f) {
    if (f->chart->style->width > 0) return;
    double wanted = (double)f->chart->nx * (line_height(f) + 3);
    f->width = fmax(f->width, fmin(wanted, MAX_PLOT_WIDTH));
}

void frame_end(frame *f, double y) {
    page_grow(f->page, ceil(f->x + f->width + EDGE),
              ceil(f->theme->note ? fmax(y + 6, f->top + NOTE_HEIGHT) : y + EDGE));
}

/* ------------------------------------------------------------------ columns */

static double radians(double degrees) { return degrees * acos(-1) / 180; }

/* Height of the shown labels below the plot. */
static double depth_of(const footing *t, const chart *c, const double *widths, double line) {
    double max = 0, s = sin(radians(t->angle)), k = cos(radians(t->angle));
    for (size_t x = 0; x < c->nx; x++)
        if (t->shown[x]) max = fmax(max, widths[x] * s + line * k);
    return max + BELOW + (t->angle == 90 ? 2 : t->angle == 30 ? TURNED_ANCHOR * line * (1 - k) : 0);
}

bool footing_new(footing *out, const frame *f) {
    const chart *c = f->chart;
    *out = (footing){.shown = calloc(c->nx + 1, sizeof *out->shown)};
    double *widths = calloc(2 * c->nx + 1, sizeof *widths), *weights = widths ? widths + c->nx : NULL, height = 0;
    bool ok = out->shown && widths;
    for (size_t x = 0; ok && x < c->nx; x++) {
        extent size = frame_measure(f, c->x[x].label);
        widths[x] = size.width;
        weights[x] = c->x[x].weight;
        height = fmax(height, size.height);
    }
    double pitch = f->width / (double)(c->nx ? c->nx : 1);
    label_line l = {.n = c->nx,
                    .first = f->x + pitch / 2,
                    .pitch = pitch,
                    .line = line_height(f),
                    .widths = widths,
                    .weights = weights,
                    .begin = 4,
                    .end = f->x + f->width + 60};
    if (ok) ok = axis_place(&out->angle, out->shown, &l);
    if (ok) out->depth = depth_of(out, c, widths, height);
    free(widths);
    return ok;
}

void footing_free(footing *t) { free(t->shown); }

static void write_column(frame *f, const footing *t, size_t x) {
    double pitch = f->width / (double)f->chart->nx, middle = f->x + ((double)x + 0.5) * pitch,
           y = f->y + f->height + BELOW;
    writing w = frame_label(f, f->chart->x[x].label);
    w.angle = t->angle;
    w.ax = t->angle == 0 ? 0.5 : 0;
    w.ay = t->angle == 90 ? 0.5 : t->angle == 30 ? TURNED_ANCHOR : 0;
    if (t->angle == 90) y += 2;
    if (t->angle == 30) y += TURNED_ANCHOR * frame_measure(f, w.text).height;
    if (pitch < f->theme->size)
        page_line(f->page, (stroke){middle, f->y + f->height, middle, y - 1}, 0.5, frame_quiet(f));
    page_write(f->page, middle, y, w);
}

double frame_columns(frame *f, const footing *t, const char *title) {
    bool note = f->theme->note;
    for (size_t x = 0; x < f->chart->nx; x++)
        if (t->shown[x]) write_column(f, t, x);
    double y = f->y + f->height + t->depth;
    if (!title) return y;
    writing w = title_of(f, title);
    w.ax = 0.5;
    double height = page_measure(f->page, &w).height;
    y = note ? fmax(y + TITLE_GAP, f->top + NOTE_HEIGHT - 17 - height / 2) : y + TITLE_GAP;
    page_write(f->page, f->x + f->width / 2, y, w);
    return y + height;
}

/* ------------------------------------------------------------------ rows */

/* Omitted if the plot is too low for it. */
static void write_title_left(frame *f, double x, const char *title) {
    writing w = title_of(f, title);
    if (page_measure(f->page, &w).width > f->height) return;
    w.angle = -90;
    w.ax = w.ay = 0.5;
    page_write(f->page, f->theme->note ? fmin(f->x - 43, x) : x, f->y + f->height / 2, w);
}

static double title_left_width(const frame *f, const char *title) {
    writing w = title_of(f, title ? title : "");
    return title ? page_measure(f->page, &w).height + TITLE_GAP : 0;
}

static double widest_row(const frame *f) {
    double max = 0;
    for (size_t y = 0; y < f->chart->ny; y++) max = fmax(max, frame_measure(f, f->chart->y[y].label).width);
    return max;
}

double frame_rows_width(const frame *f, bool titled) {
    return widest_row(f) + LEFT + (titled ? title_left_width(f, "title") : 0);
}

/* Chooses the layers whose numbers are shown: multiples of a round step, if layers are consecutive. */
static void choose_numbers(const frame *f, bool *shown) {
    const chart *c = f->chart;
    int first = atoi(c->y[0].label), last = atoi(c->y[c->ny - 1].label);
    bool whole = (size_t)abs(last - first) == c->ny - 1;
    size_t step = axis_whole_step(c->ny, f->height);
    for (size_t y = 0; y < c->ny; y++) shown[y] = (whole ? (size_t)atoi(c->y[y].label) : y) % step == 0;
}

static bool choose_rows(const frame *f, bool *shown) {
    const chart *c = f->chart;
    double *weights = malloc((c->ny + 1) * sizeof *weights), line = 0;
    if (!weights) return false;
    for (size_t y = 0; y < c->ny; y++) {
        weights[y] = c->y[y].weight;
        line = fmax(line, frame_measure(f, c->y[y].label).height);
    }
    bool ok = axis_thin(shown, weights, c->ny, f->height / (double)c->ny, line);
    free(weights);
    return ok;
}

static bool is_number(const char *text) { return text[strspn(text, "0123456789")] == 0; }

void frame_rows(frame *f, bool rising, const char *title) {
    const chart *c = f->chart;
    double pitch = f->height / (double)c->ny, widest = 0;
    bool *shown = calloc(c->ny + 1, sizeof *shown);
    if (!shown || (!is_number(c->y[0].label) && !choose_rows(f, shown))) {
        f->page->failed = true;
        free(shown);
        return;
    }
    if (is_number(c->y[0].label)) choose_numbers(f, shown);
    for (size_t y = 0; y < c->ny; y++) {
        if (!shown[y]) continue;
        writing w = frame_label(f, c->y[y].label);
        w.ax = 1;
        w.ay = 0.5;
        double place = rising ? (double)(c->ny - 1 - y) : (double)y;
        widest = fmax(widest,
                      page_write(f->page, f->x - (f->theme->note ? 2 : LEFT), f->y + (place + 0.5) * pitch, w).width);
    }
    free(shown);
    if (title) write_title_left(f, f->x - LEFT - widest - (title_left_width(f, title) + TITLE_GAP) / 2, title);
}

/* ------------------------------------------------------------------ values */

/* Position at which a thin line falls on whole pixels. */
static double crisp(double v) { return floor(v) + 0.5; }

static double widest_number(const frame *f, double from, double to, double step) {
    double max = 0;
    for (double i = ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++)
        max = fmax(max, frame_measure(f, axis_number(i * step, TICK_DIGITS).text).width);
    return max;
}

double frame_scale_width(const frame *f, double from, double to, const char *title) {
    return widest_number(f, from, to, axis_step(to - from, f->height)) + LEFT + title_left_width(f, title);
}

void frame_scale(frame *f, double from, double to, const char *title) {
    double step = axis_step(to - from, f->height);
    for (double i = ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) {
        double y = f->y + f->height * (to - i * step) / (to - from);
        number n = axis_number(i * step, TICK_DIGITS);
        writing w = frame_label(f, n.text);
        w.ax = 1;
        w.ay = 0.5;
        page_line(f->page, (stroke){f->x, crisp(y), f->x + f->width, crisp(y)}, 1, frame_grid(f));
        page_write(f->page, f->x - (f->theme->note ? 1 : LEFT), y, w);
    }
    double widest = widest_number(f, from, to, step);
    if (title) write_title_left(f, f->x - LEFT - widest - (title_left_width(f, title) + TITLE_GAP) / 2, title);
}

number frame_end_number(const frame *f, double value) {
    int sign = value < 0 ? -1 : 1;
    number n = axis_number(value, 3), out;
    bool has_beyond = fabs(value) >= f->chart->scale * (1 - 1e-6) && chart_has_beyond(f->chart, sign);
    snprintf(out.text, sizeof out.text, "%s%s", !has_beyond ? "" : sign < 0 ? "≤ " : "≥ ", n.text);
    return out;
}

/* ------------------------------------------------------------------ colour bar */

void frame_ramp(frame *f, const shader *s, double x, double y, double width, double height) {
    unsigned *cells = malloc(RAMP_STEPS * sizeof *cells);
    double min = s->is_signed ? -s->scale : 0;
    bool upright = height > width;
    if (!cells) {
        f->page->failed = true;
        return;
    }
    for (size_t i = 0; i < RAMP_STEPS; i++) {
        double value = min + (s->scale - min) * ((double)i + 0.5) / RAMP_STEPS;
        cells[upright ? RAMP_STEPS - 1 - i : i] = rgb_pixel(shader_color(s, value));
    }
    page_cells(f->page, (area){x, y, width, height}, cells, upright ? 1 : RAMP_STEPS, upright ? RAMP_STEPS : 1);
}

/* Left edge of the bar right of the plot, its width, and the width of the numbers beside it. */
typedef struct bar {
    double gap, width, inset, numbers, height;
} bar;

static double bar_min(const frame *f) { return f->chart->is_signed ? -f->chart->scale : 0; }

static bar bar_of(const frame *f) {
    double min = bar_min(f), max = f->chart->scale;
    bool note = f->theme->note;
    bar b = {.gap = note ? 10 + 0.02 * f->width : 16, .width = note ? 30 : 14, .inset = note ? 10 : 0};
    b.height = fmax(f->height - 2 * b.inset, MIN_BAR_HEIGHT);
    b.numbers = widest_number(f, min, max, axis_step(max - min, b.height)) + (note ? 8 : 6);
    for (int sign = -1; sign <= 1; sign += 2)
        if (chart_has_beyond(f->chart, sign))
            b.numbers = fmax(b.numbers, frame_measure(f, frame_end_number(f, sign * max).text).width + 6);
    return b;
}

double frame_bar_width(const frame *f) {
    bar b = bar_of(f);
    return (f->theme->note ? 10 + 10 - EDGE : b.gap) + b.width + b.numbers;
}

void frame_bar(frame *f) {
    bar b = bar_of(f);
    shader colors = chart_shader(f->chart);
    double min = bar_min(f), max = f->chart->scale, x = f->x + f->width + b.gap;
    double y = f->y + b.inset, height = b.height, step = axis_step(max - min, height);
    frame_ramp(f, &colors, x, y, b.width, height);
    double line = frame_measure(f, "0").height;
    for (double i = ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i++) {
        number n = axis_number(i * step, TICK_DIGITS);
        writing w = frame_label(f, n.text);
        double at = y + height * (max - i * step) / (max - min);
        bool is_taken = (at - y < line && chart_has_beyond(f->chart, 1)) ||
                        (y + height - at < line && chart_has_beyond(f->chart, -1));
        w.ay = 0.5;
        if (!is_taken) page_write(f->page, x + b.width + (f->theme->note ? 3 : 5), at, w);
    }
    for (int sign = -1; sign <= 1; sign += 2) {
        number n = frame_end_number(f, sign * max);
        writing w = frame_label(f, n.text);
        w.ay = 0.5;
        if (chart_has_beyond(f->chart, sign)) page_write(f->page, x + b.width + 5, sign < 0 ? y + height : y, w);
    }
    if (!f->theme->note)
        page_write(f->page, x, y - 4,
                   (writing){.text = chart_unit(f->chart), .size = REMARK_SIZE, .color = frame_quiet(f), .ay = 1});
}
