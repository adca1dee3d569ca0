/*
 * shaded_prompt.c - the prompt as text, each token on a background that shows its value.
 *
 * Tokens are joined before they are read as characters, since a character may be spread over several tokens: it gets
 * the strongest value of them. Lines break at spaces, and anywhere in scripts without spaces. Without colours a line of
 * blocks under the text shows the values, readable in a log.
 */
#include "cli/safe_text.h"
#include "picture/token_text.h"
#include "terminal/view_parts.h"

#include <stdlib.h>
#include <string.h>

enum { INDENT = 2, BOUND = 3 }; /* columns left of the text, and unused columns of the terminal's width */

/* One character of the current line. */
typedef struct cell {
    glyph g;
    double level; /* relative to the scale; 0: not shaded; beyond 1 or -1 it is marked, since shading cannot be
                     stronger */
    bool dim;     /* belongs to a special or template token, or to a thinking section */
} cell;

typedef struct sheet {
    const terminal *t;
    cell *line; /* [n] */
    size_t n, capacity;
    size_t break_at; /* the line may break before this cell; 0: nowhere */
    int width, limit;
} sheet;

/* ------------------------------------------------------------------ lines */

static bool is_shaded(const cell *c) { return c->level != 0; }

static void print_colors(const sheet *page, const cell *c) {
    terminal_plain(page->t);
    if (is_shaded(c)) {
        terminal_shade(page->t, c->level);
        if (terminal_is_beyond(c->level)) terminal_underline(page->t);
    } else if (c->dim) {
        terminal_dim(page->t);
    }
}

static void print_marks(const sheet *page, size_t n) {
    FILE *out = page->t->out;
    while (n && !is_shaded(&page->line[n - 1])) n--;
    if (!n) return;
    fprintf(out, "%*s", INDENT, "");
    for (size_t i = 0; i < n; i++) {
        const cell *c = &page->line[i];
        const char *mark = !is_shaded(c) ? " " : terminal_is_beyond(c->level) ? "^" : terminal_block(c->level);
        for (int w = 0; w < c->g.width; w++) fputs(mark, out);
    }
    putc('\n', out);
}

/* Prints the first `n` cells as a line and moves the others to the front. */
static void print_line(sheet *page, size_t n) {
    FILE *out = page->t->out;
    if (n) fprintf(out, "%*s", INDENT, "");
    for (size_t i = 0; i < n; i++) {
        const cell *c = &page->line[i];
        bool changed = is_shaded(c) || c->dim;
        if (i) changed = c->level != c[-1].level || (!is_shaded(c) && c->dim != c[-1].dim);
        if (changed) print_colors(page, c);
        fwrite(c->g.utf8, 1, c->g.n_bytes, out);
    }
    if (n && (is_shaded(&page->line[n - 1]) || page->line[n - 1].dim)) terminal_plain(page->t);
    putc('\n', out);
    if (page->t->depth == DEPTH_NONE) print_marks(page, n);
    page->n -= n;
    memmove(page->line, page->line + n, page->n * sizeof *page->line);
    page->break_at = 0;
    page->width = 0;
    for (size_t i = 0; i < page->n; i++) page->width += page->line[i].g.width;
}

static bool append(sheet *page, const cell *c) {
    if (page->n == page->capacity) {
        size_t capacity = page->capacity ? page->capacity * 2 : 256;
        cell *resized = realloc(page->line, capacity * sizeof *resized);
        if (!resized) return false;
        page->line = resized;
        page->capacity = capacity;
    }
    page->line[page->n++] = *c;
    page->width += c->g.width;
    return true;
}

static bool put(sheet *page, const cell *c) {
    if (c->g.kind == GLYPH_NEWLINE) {
        bool ok = !is_shaded(c) || append(page, c); /* its symbol is shown only if it is shaded */
        print_line(page, page->n);
        return ok;
    }
    if (c->g.wide) page->break_at = page->n;
    if (c->g.width && page->width + c->g.width > page->limit) {
        if (c->g.kind == GLYPH_SPACE) { /* a space at the end of a full line is dropped */
            print_line(page, page->n);
            return true;
        }
        print_line(page, page->break_at ? page->break_at : page->n);
    }
    if (!append(page, c)) return false;
    if (c->g.kind != GLYPH_INK || c->g.wide) page->break_at = page->n;
    return true;
}

/* ------------------------------------------------------------------ values */

static double size_of(double level) { return level < 0 ? -level : level; }

/* Relative to the scale; 0 for tokens that are hidden, faint, or in no column. */
static double level_of(const picture *p, size_t token) {
    size_t column;
    if (!picture_column(p, token, &column) || hw_view_is_hidden(p->view, column)) return 0;
    double level = hw_view_scores(p->view)[column] / p->scale;
    return size_of(level) < p->t->faint ? 0 : level;
}

static bool is_dim(const picture *p, size_t token) {
    hw_role role = hw_run_token(p->run, token).role;
    return role == HW_ROLE_SPECIAL || role == HW_ROLE_TEMPLATE || role == HW_ROLE_THINKING;
}

/* The cell of the character at `at`; `token` is the first token that ends after it. */
static cell make_cell(const picture *p, const token_text *text, size_t at, size_t token) {
    cell c = {.g = text_glyph(text->bytes + at, text->n - at)};
    for (size_t i = token; i < text->n_tokens && text->begin[i] < at + c.g.n_source; i++) {
        double level = level_of(p, i);
        if (size_of(level) > size_of(c.level)) c.level = level;
        if (i == token) c.dim = is_dim(p, i);
    }
    return c;
}

bool shade_print(const picture *p) {
    token_text text;
    if (!token_text_new(&text, p->run, picture_n_tokens(p))) return false;
    sheet page = {.t = p->t, .limit = p->t->width - BOUND};
    bool ok = true;
    for (size_t at = 0, token = 0; ok && at < text.n;) {
        while (token < text.n_tokens && text.end[token] <= at) token++;
        cell c = make_cell(p, &text, at, token);
        ok = put(&page, &c);
        at += c.g.n_source;
    }
    if (ok && page.n) print_line(&page, page.n);
    free(page.line);
    token_text_free(&text);
    return ok;
}
