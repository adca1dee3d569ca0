/* canvas.c - collects the items of a page, measures text, draws. */
#include "figure/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Vector files store fields with more cells than this as one picture, which keeps files small and viewers fast. */
enum { MAX_CELL_SHAPES = 12000 };
/* Cells of vector files overlap by this much, because viewers blend edges that only touch and the paper would show. */
static const double SEAM = 0.3;

/* ------------------------------------------------------------------ the list */

/* Glyphs are not hinted to a pixel grid, so that text has the same width in every format and at every scale. */
static void set_options(PangoContext *context, const char *families) {
    cairo_font_options_t *smooth = cairo_font_options_create();
    cairo_font_options_set_antialias(smooth, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(smooth, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(smooth, CAIRO_HINT_METRICS_OFF);
    pango_cairo_context_set_font_options(context, smooth);
    cairo_font_options_destroy(smooth);
    PangoFontDescription *font = pango_font_description_new();
    pango_font_description_set_family(font, families);
    pango_context_set_font_description(context, font);
    pango_font_description_free(font);
    pango_context_set_round_glyph_positions(context, FALSE);
    pango_context_set_base_dir(context, PANGO_DIRECTION_LTR);
}

/* Without any font pango draws a box for each character. */
static bool has_font(PangoContext *context) {
    PangoLayout *layout = pango_layout_new(context);
    pango_layout_set_text(layout, "A1", -1);
    bool has = pango_layout_get_unknown_glyphs_count(layout) == 0;
    g_object_unref(layout);
    return has;
}

bool page_new(page *p, const char *families, rgb paper) {
    *p = (page){.paper = paper};
    p->context = pango_font_map_create_context(pango_cairo_font_map_get_default());
    set_options(p->context, families);
    return has_font(p->context);
}

static void item_free(item *i) {
    free((char *)i->text.text);
    free(i->cells);
    if (i->passage) g_object_unref(i->passage);
}

void page_free(page *p) {
    for (size_t i = 0; i < p->n; i++) item_free(&p->items[i]);
    free(p->items);
    free(p->name);
    if (p->context) g_object_unref(p->context);
}

void page_name(page *p, const char *name) {
    if (p->name) return;
    p->name = strdup(name);
    if (!p->name) p->failed = true;
}

void page_grow(page *p, double width, double height) {
    if (width > p->width) p->width = width;
    if (height > p->height) p->height = height;
}

/* Takes ownership of the item's memory, also when the list cannot grow. */
static void append(page *p, item i) {
    if (!p->failed && p->n == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 256;
        item *resized = realloc(p->items, capacity * sizeof *resized);
        if (resized) {
            p->items = resized;
            p->capacity = capacity;
        } else {
            p->failed = true;
        }
    }
    if (p->failed) {
        item_free(&i);
    } else {
        p->items[p->n++] = i;
    }
}

void page_rect(page *p, double x, double y, double width, double height, rgb color) {
    append(p, (item){.kind = ITEM_RECT, .x = x, .y = y, .width = width, .height = height, .color = color});
}

void page_line(page *p, stroke s, double thickness, rgb color) {
    append(p, (item){.kind = ITEM_LINE,
                     .x = s.x1,
                     .y = s.y1,
                     .width = s.x2 - s.x1,
                     .height = s.y2 - s.y1,
                     .thickness = thickness,
                     .color = color});
}

void page_cells(page *p, area a, unsigned *cells, size_t nx, size_t ny) {
    append(p, (item){.kind = ITEM_CELLS,
                     .x = a.x,
                     .y = a.y,
                     .width = a.width,
                     .height = a.height,
                     .cells = cells,
                     .nx = nx,
                     .ny = ny});
}

void page_passage(page *p, double x, double y, PangoLayout *layout, rgb color) {
    int width, height;
    pango_layout_get_size(layout, &width, &height);
    append(p, (item){.kind = ITEM_PASSAGE,
                     .x = x,
                     .y = y,
                     .width = (double)width / PANGO_SCALE,
                     .height = (double)height / PANGO_SCALE,
                     .color = color,
                     .passage = layout});
}

/* ------------------------------------------------------------------ text */

PangoLayout *page_layout(const page *p, double size, bool bold) {
    PangoLayout *layout = pango_layout_new(p->context);
    PangoFontDescription *font = pango_font_description_copy(pango_context_get_font_description(p->context));
    pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
    if (bold) pango_font_description_set_weight(font, PANGO_WEIGHT_BOLD);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    return layout;
}

static PangoLayout *lay_out(const page *p, const writing *w) {
    PangoLayout *layout = page_layout(p, w->size, w->bold);
    pango_layout_set_auto_dir(layout, FALSE);
    if (w->wrap > 0) {
        pango_layout_set_width(layout, (int)(w->wrap * PANGO_SCALE));
        pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    } else {
        pango_layout_set_single_paragraph_mode(layout, TRUE);
    }
    pango_layout_set_text(layout, w->text, -1);
    return layout;
}

extent page_measure(const page *p, const writing *w) {
    PangoLayout *layout = lay_out(p, w);
    PangoRectangle ink, box;
    pango_layout_get_extents(layout, &ink, &box);
    g_object_unref(layout);
    double half = (double)box.height / PANGO_SCALE / 2, top = (double)ink.y / PANGO_SCALE,
           bottom = top + (double)ink.height / PANGO_SCALE;
    return (extent){(double)box.width / PANGO_SCALE, 2 * half, fmin(half - top, half), fmin(bottom - half, half)};
}

static double radians(double degrees) { return degrees * acos(-1) / 180; }

void page_corners(const item *text, double corners[8]) {
    const writing *w = &text->text;
    double turn = radians(w->angle), c = cos(turn), s = sin(turn);
    for (int i = 0; i < 4; i++) {
        double dx = ((i == 1 || i == 2) - w->ax) * text->width, dy = ((i >= 2) - w->ay) * text->height;
        corners[2 * i] = text->x + dx * c - dy * s;
        corners[2 * i + 1] = text->y + dx * s + dy * c;
    }
}

extent page_write(page *p, double x, double y, writing w) {
    static const double MARGIN = 6;
    extent size = page_measure(p, &w);
    size_t bytes = strlen(w.text) + 1;
    char *copy = malloc(bytes);
    if (!copy) {
        p->failed = true;
        return size;
    }
    w.text = memcpy(copy, w.text, bytes);
    item i = {
        .kind = ITEM_TEXT, .x = x, .y = y, .width = size.width, .height = size.height, .color = w.color, .text = w};
    double corners[8];
    page_corners(&i, corners);
    for (int k = 0; k < 4; k++) page_grow(p, ceil(corners[2 * k] + MARGIN), ceil(corners[2 * k + 1] + MARGIN));
    append(p, i);
    return size;
}

/* ------------------------------------------------------------------ drawing */

typedef struct canvas {
    cairo_t *cr;
    const page *page;
    bool pixelled;
} canvas;

static void set_color(const canvas *c, rgb color) { cairo_set_source_rgb(c->cr, color.r, color.g, color.b); }

static void draw_rect(const canvas *c, const item *i) {
    set_color(c, i->color);
    cairo_rectangle(c->cr, i->x, i->y, i->width, i->height);
    cairo_fill(c->cr);
}

static void draw_line(const canvas *c, const item *i) {
    set_color(c, i->color);
    cairo_set_line_width(c->cr, i->thickness);
    cairo_move_to(c->cr, i->x, i->y);
    cairo_line_to(c->cr, i->x + i->width, i->y + i->height);
    cairo_stroke(c->cr);
}

/* Stacked combining marks could reach other labels: what exceeds the line is clipped. */
static void clip_line(const canvas *c, const item *i, PangoLayout *layout) {
    static const double SLACK = 1;
    PangoRectangle ink;
    pango_layout_get_extents(layout, &ink, NULL);
    if (ink.y >= -SLACK * PANGO_SCALE && ink.y + ink.height <= (i->height + SLACK) * PANGO_SCALE) return;
    cairo_rectangle(c->cr, -i->height, 0, i->width + 2 * i->height, i->height);
    cairo_clip(c->cr);
}

/* How far a line with glyphs of another font is moved vertically, so that its baseline equals that of the labels beside
 * it; the result stays within the line's box. */
static double baseline_shift(const canvas *c, const item *i, PangoLayout *layout) {
    PangoRectangle ink;
    PangoLayout *plain = page_layout(c->page, i->text.size, i->text.bold);
    int height;
    pango_layout_set_text(plain, "A", -1);
    pango_layout_get_size(plain, NULL, &height);
    pango_layout_get_extents(layout, &ink, NULL);
    double at = pango_layout_get_baseline(layout) - i->text.ay * i->height * PANGO_SCALE,
           wanted = pango_layout_get_baseline(plain) - i->text.ay * height;
    g_object_unref(plain);
    return i->text.wrap > 0 ? 0 : fmax(wanted - at, fmin(-ink.y, 0)) / PANGO_SCALE;
}

static void draw_text(const canvas *c, const item *i) {
    PangoLayout *layout = lay_out(c->page, &i->text);
    cairo_save(c->cr);
    cairo_translate(c->cr, i->x, i->y);
    cairo_rotate(c->cr, radians(i->text.angle));
    cairo_translate(c->cr, -i->text.ax * i->width, -i->text.ay * i->height);
    clip_line(c, i, layout);
    set_color(c, i->color);
    cairo_move_to(c->cr, 0, baseline_shift(c, i, layout));
    pango_cairo_show_layout(c->cr, layout);
    cairo_restore(c->cr);
    g_object_unref(layout);
}

static void draw_passage(const canvas *c, const item *i) {
    cairo_save(c->cr);
    cairo_rectangle(c->cr, 0, i->y - 2, c->page->width, i->height + 4); /* keeps stacked marks off the content above */
    cairo_clip(c->cr);
    set_color(c, i->color);
    cairo_move_to(c->cr, i->x, i->y);
    pango_cairo_show_layout(c->cr, i->passage);
    cairo_restore(c->cr);
}

static void draw_cell_shapes(const canvas *c, const item *i) {
    double w = i->width / (double)i->nx, h = i->height / (double)i->ny;
    for (size_t y = 0; y < i->ny; y++) {
        for (size_t x = 0; x < i->nx; x++) {
            unsigned pixel = i->cells[y * i->nx + x];
            if (!pixel) continue;
            set_color(c, rgb_hex(pixel & 0xffffff));
            cairo_rectangle(c->cr, i->x + (double)x * w, i->y + (double)y * h, w + (x + 1 < i->nx ? SEAM : 0),
                            h + (y + 1 < i->ny ? SEAM : 0));
            cairo_fill(c->cr);
        }
    }
}

/* [ny * enlarged, nx * enlarged] pixels; NULL when memory runs out. */
static cairo_surface_t *make_picture(const item *i, size_t enlarged) {
    size_t nx = i->nx * enlarged, ny = i->ny * enlarged;
    cairo_surface_t *picture = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, (int)nx, (int)ny);
    unsigned char *pixels = cairo_image_surface_get_data(picture);
    if (!pixels) {
        cairo_surface_destroy(picture);
        return NULL;
    }
    size_t stride = (size_t)cairo_image_surface_get_stride(picture);
    for (size_t y = 0; y < ny; y++) {
        const unsigned *row = i->cells + y / enlarged * i->nx;
        for (size_t x = 0; x < nx; x++) memcpy(pixels + y * stride + 4 * x, row + x / enlarged, sizeof *row);
    }
    cairo_surface_mark_dirty(picture);
    return picture;
}

/* Viewers of vector files blend pixels that they enlarge, so each cell becomes several pixels. */
static size_t enlargement(const canvas *c, const item *i) {
    enum { MAX_ENLARGEMENT = 8, MAX_PIXELS = 4096 };
    size_t longer = i->nx > i->ny ? i->nx : i->ny, fits = MAX_PIXELS / longer;
    return c->pixelled || fits < 1 ? 1 : fits < MAX_ENLARGEMENT ? fits : MAX_ENLARGEMENT;
}

static void draw_cell_picture(const canvas *c, const item *i) {
    size_t enlarged = enlargement(c, i);
    cairo_surface_t *picture = make_picture(i, enlarged);
    if (!picture) return;
    cairo_save(c->cr);
    cairo_translate(c->cr, i->x, i->y);
    cairo_scale(c->cr, i->width / (double)(i->nx * enlarged), i->height / (double)(i->ny * enlarged));
    cairo_set_source_surface(c->cr, picture, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(c->cr), CAIRO_FILTER_NEAREST);
    cairo_paint(c->cr);
    cairo_restore(c->cr);
    cairo_surface_destroy(picture);
}

static void draw_cells(const canvas *c, const item *i) {
    if (!c->pixelled && i->nx * i->ny <= MAX_CELL_SHAPES) {
        draw_cell_shapes(c, i);
    } else {
        draw_cell_picture(c, i);
    }
}

void page_draw(const page *p, cairo_t *cr, bool pixelled) {
    static void (*const draw[])(const canvas *c, const item *i) = {[ITEM_RECT] = draw_rect,
                                                                   [ITEM_LINE] = draw_line,
                                                                   [ITEM_TEXT] = draw_text,
                                                                   [ITEM_CELLS] = draw_cells,
                                                                   [ITEM_PASSAGE] = draw_passage};
    canvas c = {cr, p, pixelled};
    set_color(&c, p->paper);
    cairo_paint(cr);
    for (size_t i = 0; i < p->n; i++) draw[p->items[i].kind](&c, &p->items[i]);
}
