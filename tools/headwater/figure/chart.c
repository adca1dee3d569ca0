/* chart.c - turns a picture into labelled columns and rows with values and a scale, and composes the text above the
 * figure. */
#include "figure/chart.h"

#include "base/error.h"
#include "cli/safe_text.h"
#include "terminal/attribution_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Maximum number of places on a page; widths of labels in terminal columns. */
enum { MAX_PLACES = 1400, TOKEN_WIDTH = 24, SEGMENT_WIDTH = 64, PLACE_WIDTH = 28 };
/* Negative values smaller than this part of the scale do not make a chart signed. */
static const double FAINT = 1.0 / 24;

static hw_err no_memory(hw_error *err) { return hw__fail(err, HW_ERR_MEMORY, "no memory to draw the figure"); }

static double size_of(double v) { return v < 0 ? -v : v; }

static bool is_stronger(double a, double b) { return isfinite(a) && (!isfinite(b) || size_of(a) > size_of(b)); }

/* ------------------------------------------------------------------ columns */

static int by_index(const void *a, const void *b) {
    const size_t *p = a, *q = b;
    return *p < *q ? -1 : *p > *q;
}

/* Lists the shown columns of M in order: only the `only` strongest. Writes [*n]; the capacity is that of all
 * columns. */
static void list_columns(size_t *out, size_t *n, const picture *p, size_t only) {
    size_t all = hw_view_n_columns(p->view);
    *n = 0;
    if (only && only < all) {
        *n = hw_view_top(p->view, out, only);
        qsort(out, *n, sizeof *out, by_index);
        return;
    }
    for (size_t k = 0; k < all; k++)
        if (!hw_view_is_hidden(p->view, k)) out[(*n)++] = k;
}

static size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }

/* Among columns at the same place, chooses the one with the largest mean. */
static void choose_columns(chart *c, const size_t *columns, size_t n) {
    const float *scores = hw_view_scores(c->p->view);
    for (size_t i = 0; i < n; i++) {
        mark *place = &c->x[i / c->share_x];
        if (i % c->share_x == 0 || is_stronger(scores[columns[i]], scores[place->column])) place->column = columns[i];
        place->weight = isfinite(scores[place->column]) ? size_of(scores[place->column]) : 0;
    }
}

/* ------------------------------------------------------------------ values */

/* Row `y`, whose value in column k is from[k * stride]: columns that share a place are merged. */
static void fold_row(chart *c, size_t y, const float *from, size_t stride, const size_t *columns, size_t n) {
    float *row = c->values + y / c->share_y * c->nx;
    mark *name = &c->y[y / c->share_y];
    for (size_t i = 0; i < n; i++) {
        float v = from[columns[i] * stride], *place = &row[i / c->share_x];
        if (is_stronger(v, *place)) *place = v;
        bool counts = isfinite(v) && !picture_is_structural(c->p, columns[i]);
        if (!counts || size_of(v) <= name->weight) continue;
        name->weight = size_of(v);
        name->column = y;
    }
}

static hw_err fold_token(chart *c, size_t y, const size_t *columns, size_t n, hw_error *err) {
    hw_view_params params = hw_view_params_default();
    params.row_begin = c->p->row_begin + y;
    params.row_end = params.row_begin + 1;
    params.layer_begin = c->p->layer_begin;
    params.layer_end = c->p->layer_end;
    params.normalise = c->p->select.normalise;
    hw_view *view;
    hw_err rc = hw_view_new(&view, c->p->a, &params, err);
    if (rc != HW_OK) return rc;
    fold_row(c, y, hw_view_scores(view), 1, columns, n);
    hw_view_free(view);
    return HW_OK;
}

static hw_err fold(chart *c, chart_rows rows, size_t n_rows, const size_t *columns, size_t n, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t y = 0; y < n_rows && rc == HW_OK; y++) {
        if (rows == ROWS_TOKENS) {
            rc = fold_token(c, y, columns, n, err);
        } else if (rows == ROWS_LAYERS) {
            fold_row(c, y, hw_view_profile(c->p->view) + y, n_rows, columns, n);
        } else {
            fold_row(c, y, hw_view_scores(c->p->view), 1, columns, n);
        }
    }
    return rc;
}

static void choose_scale(chart *c) {
    double max = 0, structural = 0, min = 0;
    for (size_t x = 0; x < c->nx; x++) {
        bool aside = picture_is_structural(c->p, c->x[x].column) && !c->style->theme->note;
        for (size_t y = 0; y < c->ny; y++) {
            double v = c->values[y * c->nx + x];
            if (!isfinite(v)) continue;
            double *of = aside ? &structural : &max;
            if (size_of(v) > *of) *of = size_of(v);
            if (v < min) min = v;
        }
    }
    c->scale = max > 0 ? max : structural > 0 ? structural : 1;
    c->is_signed = !(picture_traits(c->p) & HW_GIVES_SHARES) || -min >= c->scale * FAINT;
    for (size_t y = 0; y < c->ny; y++) {
        for (size_t x = 0; x < c->nx; x++) {
            double v = chart_value(c, y, x);
            if (v < c->min) c->min = v;
            if (v > c->max) c->max = v;
        }
    }
}

double chart_value(const chart *c, size_t y, size_t x) {
    double v = c->values[y * c->nx + x];
    if (isnan(v)) return 0;
    return v > c->scale ? c->scale : v < -c->scale ? -c->scale : v;
}

bool chart_is_beyond(const chart *c, size_t y, size_t x) {
    return size_of(c->values[y * c->nx + x]) > c->scale * (1 + 1e-6);
}

shader chart_shader(const chart *c) {
    const char *name = c->is_signed ? "shade" : c->style->theme->map;
    return (shader){.map = c->style->map ? c->style->map : maps_find(name),
                    .dark = c->style->theme->dark,
                    .is_signed = c->is_signed,
                    .scale = c->scale};
}

bool chart_has_beyond(const chart *c, int sign) {
    bool has = false;
    for (size_t i = 0; i < c->nx * c->ny && !has; i++)
        has = (double)c->values[i] * sign > 0 && chart_is_beyond(c, i / c->nx, i % c->nx);
    return has;
}

const char *chart_unit(const chart *c) {
    if (c->p->select.lift) return "times uniform";
    return picture_traits(c->p) & HW_GIVES_SHARES ? "share" : "nats";
}

/* ------------------------------------------------------------------ labels */

/* A label is isolated from its number, so that right-to-left text does not reorder the number. */
#define ISOLATED      "\xE2\x81\xA8%s\xE2\x81\xA9"
#define LABEL(m, ...) snprintf((m)->label, sizeof(m)->label, __VA_ARGS__)

/* In the note's theme leading spaces of a token are shown as spaces, not as dots. */
static void bare_spaces(label *name, hw_token t) {
    static const char dot[] = "·";
    char *at = name->utf8;
    for (size_t i = 0; i < t.n_bytes && t.bytes[i] == ' ' && strncmp(at, dot, sizeof dot - 1) == 0; i++) {
        *at++ = ' ';
        memmove(at, at + sizeof dot - 2, strlen(at + sizeof dot - 2) + 1);
    }
}

/* Removes the marks for spaces and line ends around a segment. */
static void trim(label *name) {
    static const char *const marks[] = {"·", "⏎"};
    for (size_t i = 0; i < 4; i++) { /* a line end may have spaces before and after it */
        const char *sign = marks[i % 2];
        size_t width = strlen(sign), n = strlen(name->utf8), front = 0;
        while (strncmp(name->utf8 + front, sign, width) == 0) front += width;
        while (n >= front + width && strcmp(name->utf8 + n - width, sign) == 0) name->utf8[n -= width] = 0;
        memmove(name->utf8, name->utf8 + front, n - front + 1);
    }
}

static void label_column(chart *c, mark *m, int width) {
    label name = picture_label(c->p, m->column, width);
    if (picture_is_grouped(c->p)) trim(&name);
    if (c->style->theme->note && !picture_is_grouped(c->p)) bare_spaces(&name, hw_run_token(c->p->run, m->column));
    LABEL(m, "%zu: " ISOLATED, m->column, name.utf8);
}

static void label_row(chart *c, mark *m, chart_rows rows) {
    const picture *p = c->p;
    if (rows == ROWS_LAYERS) {
        size_t layer = p->layer_begin + m->column;
        int32_t index = hw_attribution_layers(p->a)[layer];
        size_t all = hw_attribution_n_layers(p->a), shown = c->style->theme->note ? all - layer : (size_t)index + 1;
        if (index < 0) {
            LABEL(m, "mean");
        } else {
            LABEL(m, "%zu", shown);
        }
    } else if (rows == ROWS_TOKENS) {
        size_t token = hw_attribution_first_token(p->a) + p->row_begin + m->column;
        label name = picture_token(p->run, token, TOKEN_WIDTH);
        LABEL(m, "%zu: " ISOLATED, token - picture_first_selectable(p->run), name.utf8);
    }
}

static void label_all(chart *c, chart_rows rows) {
    int width = TOKEN_WIDTH;
    if (picture_is_grouped(c->p)) width = rows == ROWS_MEAN ? SEGMENT_WIDTH : PLACE_WIDTH;
    for (size_t x = 0; x < c->nx; x++) label_column(c, &c->x[x], width);
    for (size_t y = 0; y < c->ny; y++) {
        if (rows == ROWS_LAYERS || c->y[y].weight == 0) c->y[y].column = y * c->share_y;
        label_row(c, &c->y[y], rows);
    }
}

/* ------------------------------------------------------------------ words above the figure */

/* The value in column x that is farthest beyond the scale; 0 if none is. */
static double farthest(const chart *c, size_t x) {
    double max = 0;
    for (size_t y = 0; y < c->ny; y++)
        if (chart_is_beyond(c, y, x) && is_stronger(c->values[y * c->nx + x], max)) max = c->values[y * c->nx + x];
    return max;
}

static void append_beyond(const chart *c, FILE *out) {
    enum { MAX_NAMED = 8 };
    size_t n = 0;
    for (size_t x = 0; x < c->nx; x++) {
        double max = farthest(c, x);
        if (max == 0 || ++n > MAX_NAMED) continue;
        fprintf(out, "%s%s (%s%.3g)", n == 1 ? "\nBeyond the scale: " : ", ", c->x[x].label, c->ny > 1 ? "up to " : "",
                max);
    }
    if (n > MAX_NAMED) fprintf(out, " and %zu more", n - MAX_NAMED);
    if (n) putc('.', out);
}

static void append_left_out(const chart *c, FILE *out, size_t n) {
    size_t all = hw_view_n_columns(c->p->view);
    const char *noun = picture_is_grouped(c->p) ? "segments" : "tokens";
    double hidden = hw_view_hidden_mass(c->p->view);
    if (c->p->select.hide && *c->p->select.hide) {
        fputs("\nHidden by ", out);
        text_puts(out, c->p->select.hide);
        fprintf(out, ": %.3g %s.", hidden, picture_traits(c->p) & HW_GIVES_SHARES ? "of the mass" : "nats");
    }
    if (c->style->limited && n < all) fprintf(out, "\nThe %zu strongest of %zu %s.", n, all, noun);
    if (c->share_x > 1)
        fprintf(out, "\n%zu neighbouring %s share a place, which shows the strongest.", c->share_x, noun);
    if (c->share_y > 1) fprintf(out, "\n%zu completion tokens share a row.", c->share_y);
}

static void append_model(const chart *c, FILE *out) {
    const hw_model_info *model = hw_run_model(c->p->run);
    if (!*model->name) return;
    fputs("; ", out);
    text_puts(out, model->name);
    if (*model->quantisation) fputs(", ", out);
    text_puts(out, model->quantisation);
}

/* Composes the text that the terminal view prints too, into memory. */
static bool compose_text(chart *c, chart_rows rows, size_t n_columns) {
    size_t bytes[2];
    char *texts[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        terminal plain = {.out = open_memstream(&texts[i], &bytes[i]), .depth = DEPTH_NONE, .width = 120};
        picture p = *c->p;
        p.t = &plain;
        if (!plain.out) break;
        if (i == 0 && c->style->title && *c->style->title) {
            text_puts(plain.out, c->style->title);
        } else if (i == 0) {
            show_heading(&p, rows != ROWS_TOKENS);
        } else {
            show_settings(&p);
            fprintf(plain.out, "; unit: %s", chart_unit(c));
            append_model(c, plain.out);
            append_left_out(c, plain.out, n_columns);
            append_beyond(c, plain.out);
        }
        if (fclose(plain.out) != 0) break;
    }
    c->heading = texts[0];
    c->remarks = texts[1];
    return texts[0] && texts[1];
}

/* ------------------------------------------------------------------ the chart */

static bool allocate(chart *c, chart_rows rows, size_t n_columns, size_t n_rows) {
    c->share_x = n_columns > MAX_PLACES && rows != ROWS_TEXT ? divide_up(n_columns, MAX_PLACES) : 1;
    c->share_y = n_rows > MAX_PLACES ? divide_up(n_rows, MAX_PLACES) : 1;
    c->nx = divide_up(n_columns, c->share_x);
    c->ny = divide_up(n_rows, c->share_y);
    c->x = calloc(c->nx + 1, sizeof *c->x);
    c->y = calloc(c->ny + 1, sizeof *c->y);
    c->values = malloc((c->nx * c->ny + 1) * sizeof *c->values);
    if (!c->x || !c->y || !c->values) return false;
    for (size_t i = 0; i < c->nx * c->ny; i++) c->values[i] = NAN;
    return true;
}

hw_err chart_new(chart *c, const picture *p, const style *s, chart_rows rows, size_t only, hw_error *err) {
    *c = (chart){.p = p, .style = s};
    size_t n, n_rows = 1; /* ROWS_MEAN, ROWS_TEXT */
    if (rows == ROWS_LAYERS) n_rows = hw_view_n_layers(p->view);
    if (rows == ROWS_TOKENS) n_rows = p->row_end - p->row_begin;
    size_t *columns = malloc((hw_view_n_columns(p->view) + 1) * sizeof *columns);
    if (!columns) return no_memory(err);
    list_columns(columns, &n, p, only);
    hw_err rc = allocate(c, rows, n, n_rows) ? HW_OK : no_memory(err);
    if (rc == HW_OK) {
        choose_columns(c, columns, n);
        rc = fold(c, rows, n_rows, columns, n, err);
    }
    free(columns);
    if (rc == HW_OK) {
        choose_scale(c);
        label_all(c, rows);
        if (!compose_text(c, rows, n)) rc = no_memory(err);
    }
    if (rc != HW_OK) chart_free(c);
    return rc;
}

void chart_free(chart *c) {
    free(c->x);
    free(c->y);
    free(c->values);
    free(c->heading);
    free(c->remarks);
    *c = (chart){0};
}
