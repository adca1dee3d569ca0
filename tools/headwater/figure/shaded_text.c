/*
 * shaded_text.c - kind `text`: the prompt as text, each token on a background that shows its value, then the
 * completion.
 *
 * The tokens are joined before they are read as characters, since a character may be spread over several tokens: it
 * gets the strongest value of them. Pango breaks lines and orders right-to-left text; backgrounds are drawn at the
 * positions of a token's characters, line by line.
 */
#include "figure/kinds.h"

#include "cli/safe_text.h"
#include "picture/token_text.h"

#include "figure/axis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20 };
static const double SIZE = 12.5, SPACING = 1.25, NOTE_TOP = 60, LEGEND_WIDTH = 160, LEGEND_HEIGHT = 10;
/* Values below this part of the scale are not shaded. */
static const double FAINT = 1.0 / 40;

/* Adjacent characters with the same appearance. */
typedef struct stretch {
    size_t begin, end; /* bytes of the displayed text */
    double value;      /* 0: not shaded; marked if beyond the scale */
    bool quiet;        /* belongs to a special, template or hidden token */
} stretch;

typedef struct passage {
    GString *text;      /* as displayed */
    stretch *stretches; /* [n] */
    size_t n, capacity;
} passage;

static double size_of(double v) { return v < 0 ? -v : v; }

/* ------------------------------------------------------------------ characters */

static bool add_stretch(passage *t, stretch s) {
    if (s.begin == s.end) return true;
    stretch *last = t->n ? &t->stretches[t->n - 1] : NULL;
    if (last && last->value == s.value && last->quiet == s.quiet && last->end == s.begin) {
        last->end = s.end;
        return true;
    }
    if (t->n == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 256;
        stretch *resized = realloc(t->stretches, capacity * sizeof *resized);
        if (!resized) return false;
        t->stretches = resized;
        t->capacity = capacity;
    }
    t->stretches[t->n++] = s;
    return true;
}

/* Sets a token's appearance: its value; 0 if it is hidden, faint, or in no column. */
static void look_up(const chart *c, size_t token, stretch *s) {
    hw_role role = hw_run_token(c->p->run, token).role;
    size_t column;
    bool shown = picture_column(c->p, token, &column) && !hw_view_is_hidden(c->p->view, column);
    double v = shown ? hw_view_scores(c->p->view)[column] : 0;
    if (isnan(v) || size_of(v) < c->scale * FAINT) v = 0;
    if (size_of(v) > size_of(s->value)) s->value = v;
    s->quiet = s->quiet || !shown || role == HW_ROLE_SPECIAL || role == HW_ROLE_TEMPLATE;
}

/* A shaded line end is shown as a symbol before the line break. */
static void show_glyph(GString *text, const glyph *g, bool shaded) {
    if (g->kind != GLYPH_NEWLINE || shaded) g_string_append_len(text, g->utf8, (gssize)g->n_bytes);
}

static bool read_prompt(passage *t, const chart *c, const token_text *from) {
    bool ok = true;
    for (size_t at = 0, token = 0; ok && at < from->n;) {
        while (token < from->n_tokens && from->end[token] <= at) token++;
        glyph g = text_glyph(from->bytes + at, from->n - at);
        stretch s = {.begin = t->text->len};
        for (size_t i = token; i < from->n_tokens && from->begin[i] < at + g.n_source; i++) look_up(c, i, &s);
        show_glyph(t->text, &g, s.value != 0);
        s.end = t->text->len;
        ok = add_stretch(t, s);
        if (g.kind == GLYPH_NEWLINE) g_string_append_c(t->text, '\n');
        at += g.n_source;
    }
    return ok;
}

/* Reads the completion; the explained part is emphasised, the rest is pale. */
static bool read_completion(passage *t, const picture *p) {
    size_t n, m = hw_run_n_prompt(p->run);
    const char *bytes = hw_run_completion(p->run, &n);
    size_t first = hw_attribution_first_token(p->a) + p->row_begin, last = first + (p->row_end - p->row_begin) - 1;
    size_t begin = first >= m ? hw_run_token(p->run, first).begin : 0,
           end = first >= m ? hw_run_token(p->run, last).end : 0;
    bool ok = true;
    size_t at = 0;
    while (at < n && bytes[at] == ' ') at++; /* spaces before the first word */
    while (ok && at < n) {
        glyph g = text_glyph(bytes + at, n - at);
        bool chosen = at + g.n_source > begin && at < end;
        stretch s = {.begin = t->text->len, .quiet = !chosen};
        show_glyph(t->text, &g, false);
        s.end = t->text->len;
        ok = add_stretch(t, s);
        if (g.kind == GLYPH_NEWLINE) g_string_append_c(t->text, '\n');
        at += g.n_source;
    }
    return ok;
}

/* ------------------------------------------------------------------ lines */

static void add_color(PangoAttrList *list, const stretch *s, rgb c) {
    PangoAttribute *a =
        pango_attr_foreground_new((guint16)(c.r * 65535), (guint16)(c.g * 65535), (guint16)(c.b * 65535));
    a->start_index = (guint)s->begin;
    a->end_index = (guint)s->end;
    pango_attr_list_insert(list, a);
}

/* Double underline for values beyond the scale. */
static void add_mark(PangoAttrList *list, const stretch *s) {
    PangoAttribute *a = pango_attr_underline_new(PANGO_UNDERLINE_DOUBLE);
    a->start_index = (guint)s->begin;
    a->end_index = (guint)s->end;
    pango_attr_list_insert(list, a);
}

static PangoLayout *lay_out(frame *f, const passage *t, const shader *colors) {
    PangoLayout *layout = page_layout(f->page, SIZE, false);
    PangoAttrList *list = pango_attr_list_new();
    for (size_t i = 0; i < t->n; i++) {
        const stretch *s = &t->stretches[i];
        if (s->value != 0) {
            add_color(list, s, rgb_readable(shader_color(colors, s->value)));
            if (size_of(s->value) > colors->scale * (1 + 1e-6)) add_mark(list, s);
        } else if (s->quiet) {
            add_color(list, s, frame_quiet(f));
        }
    }
    pango_layout_set_attributes(layout, list);
    pango_attr_list_unref(list);
    pango_layout_set_width(layout, (int)(f->width * PANGO_SCALE));
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    pango_layout_set_line_spacing(layout, (float)SPACING);
    pango_layout_set_text(layout, t->text->str, (int)t->text->len);
    return layout;
}

/* Draws the backgrounds of one stretch on one line: several if the line has both text directions. */
static void shade(frame *f, PangoLayoutLine *line, double top, double height, const stretch *s, rgb color) {
    /* at the ends of the line pango would extend the range to the margin */
    int *ranges, n, start = line->start_index, end = start + line->length;
    int from_byte = (int)s->begin > start ? (int)s->begin : start, to_byte = (int)s->end < end ? (int)s->end : end;
    pango_layout_line_get_x_ranges(line, from_byte, to_byte, &ranges, &n);
    for (int i = 0; i < n; i++) {
        double from = (double)ranges[2 * i] / PANGO_SCALE, to = fmin((double)ranges[2 * i + 1] / PANGO_SCALE, f->width);
        if (to > from) page_rect(f->page, f->x + from, top, to - from, height, color);
    }
    g_free(ranges);
}

static void shade_lines(frame *f, PangoLayout *layout, const passage *t, const shader *colors) {
    PangoLayoutIter *at = pango_layout_get_iter(layout);
    double height = frame_measure(f, "Ag").height / f->theme->size * SIZE;
    size_t next = 0;
    do {
        PangoLayoutLine *line = pango_layout_iter_get_line_readonly(at);
        size_t begin = (size_t)line->start_index, end = begin + (size_t)line->length;
        double base = (double)pango_layout_iter_get_baseline(at) / PANGO_SCALE, top = f->y + base - height * 0.78;
        while (next < t->n && t->stretches[next].end <= begin) next++;
        for (size_t i = next; i < t->n && t->stretches[i].begin < end; i++)
            if (t->stretches[i].value != 0)
                shade(f, line, top, height, &t->stretches[i], shader_color(colors, t->stretches[i].value));
    } while (pango_layout_iter_next_line(at));
    pango_layout_iter_free(at);
}

/* Returns the y at which the text ends. */
static double write_passage(frame *f, const passage *t, const shader *colors) {
    PangoLayout *layout = lay_out(f, t, colors);
    int height;
    pango_layout_get_size(layout, NULL, &height);
    shade_lines(f, layout, t, colors);
    page_passage(f->page, f->x, f->y, layout, frame_ink(f));
    f->y += (double)height / PANGO_SCALE;
    return f->y;
}

/* ------------------------------------------------------------------ the figure */

static void write_legend(frame *f, const shader *colors) {
    double min = colors->is_signed ? -colors->scale : 0, range = colors->scale - min;
    f->y += 14;
    frame_ramp(f, colors, f->x, f->y, LEGEND_WIDTH, LEGEND_HEIGHT);
    f->y += LEGEND_HEIGHT + 2;
    for (double v = min; v <= colors->scale * 1.01; v += colors->scale) {
        number n = frame_end_number(f, v);
        writing w = frame_label(f, n.text);
        w.ax = (v - min) / range;
        page_write(f->page, f->x + LEGEND_WIDTH * w.ax, f->y, w);
    }
    writing unit = frame_label(f, chart_unit(f->chart));
    unit.color = frame_quiet(f);
    unit.ay = 1;
    page_write(f->page, f->x + LEGEND_WIDTH + 8, f->y, unit);
    f->y += frame_measure(f, "0").height;
}

static void passage_free(passage *t) {
    if (t->text) g_string_free(t->text, TRUE);
    free(t->stretches);
}

static bool write_prompt(frame *f, const token_text *text, const shader *colors) {
    passage t = {.text = g_string_new(NULL)};
    bool ok = read_prompt(&t, f->chart, text);
    if (ok) write_passage(f, &t, colors);
    passage_free(&t);
    return ok;
}

static bool write_completion(frame *f, const shader *colors) {
    passage t = {.text = g_string_new(NULL)};
    bool ok = read_completion(&t, f->chart->p);
    if (ok && t.n) {
        writing title = frame_label(f, "Completion");
        title.color = frame_quiet(f);
        f->y += 12;
        f->y += page_write(f->page, f->x, f->y, title).height + 2;
        write_passage(f, &t, colors);
    }
    passage_free(&t);
    return ok;
}

static hw_err draw(page *p, const chart *c, hw_error *err) {
    token_text text;
    bool ok = token_text_new(&text, c->p->run, picture_n_tokens(c->p)), fits = ok && text.n <= MAX_BYTES;
    if (fits) {
        frame f = frame_begin(p, c, NOTE_TOP);
        shader colors = chart_shader(c);
        if (!c->style->map) colors.map = maps_find("shade");
        ok = write_prompt(&f, &text, &colors) && write_completion(&f, &colors);
        write_legend(&f, &colors);
        frame_end(&f, f.y);
    } else if (ok) {
        *err = (hw_error){.code = HW_ERR_ARGUMENT};
        snprintf(err->msg, sizeof err->msg,
                 "kind text: the prompt has %zu bytes, at most %d are drawn; draw it as bars, by "
                 "segments (--by paragraph)",
                 text.n, MAX_BYTES);
    }
    if (ok || fits) token_text_free(&text);
    if (!ok) p->failed = true;
    return ok && !fits ? HW_ERR_ARGUMENT : HW_OK;
}

hw_err text_layout(page *p, const picture *from, const style *s, hw_error *err) {
    chart c;
    hw_err rc = chart_new(&c, from, s, ROWS_TEXT, 0, err);
    if (rc != HW_OK) return rc;
    rc = draw(p, &c, err);
    chart_free(&c);
    return rc;
}
