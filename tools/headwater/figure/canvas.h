/*
 * canvas.h - a figure as a list of items: rectangles, lines, texts, fields of cells, passages.
 *
 * Layouts append to a page and never draw; page_draw() draws it in order, for every file format. So tests can check the
 * position of each item. Lengths are points (1/72 inch), y grows downwards.
 *
 * Pango lays out text: every script, and emoji if a font has them. Text is never interpreted as markup. The first
 * failed allocation is remembered in `failed`; items appended after it are dropped.
 */
#ifndef HW_FIGURE_CANVAS_H
#define HW_FIGURE_CANVAS_H

#include "figure/color.h"

#include <pango/pangocairo.h>

typedef enum item_kind { ITEM_RECT, ITEM_LINE, ITEM_TEXT, ITEM_CELLS, ITEM_PASSAGE } item_kind;

typedef struct extent {
    double width, height;
    double above, below; /* ink extent above and below the middle line, at most half of the height */
} extent;

/* A text and its style. */
typedef struct writing {
    const char *text; /* UTF-8 without control characters */
    double size;
    bool bold;
    rgb color;
    double angle;  /* degrees, clockwise, around the anchor point */
    double ax, ay; /* the point of the text's box at the anchor: 0,0 its upper left corner, 1,1 its lower right */
    double wrap;   /* maximum line width; 0: one line */
} writing;

typedef struct item {
    item_kind kind;
    double x, y;          /* upper left corner; for a text its anchor, for a line one end */
    double width, height; /* for a line: vector to its other end; for a text: before rotation */
    rgb color;
    double thickness; /* thickness of a line */
    writing text;     /* its text is owned */
    unsigned *cells;  /* [ny, nx] owned, 0xffRRGGBB, 0: none */
    size_t nx, ny;
    PangoLayout *passage; /* owned */
} item;

typedef struct page {
    double width, height; /* grow with the items; at least what the layouts request */
    rgb paper;
    item *items; /* [n] */
    size_t n, capacity;
    char *name; /* malloc'd title of the figure, for readers that show a file's title; NULL: not set */
    PangoContext *context;
    bool failed;
} page;

/* `families`: font families, the first installed one is used. False when memory runs out or no font is installed. Free
 * in either case. */
bool page_new(page *p, const char *families, rgb paper);
void page_free(page *p);

/* Sets the page's name; later names are ignored. */
void page_name(page *p, const char *name);

/* Enlarges the page to at least this size. */
void page_grow(page *p, double width, double height);

void page_rect(page *p, double x, double y, double width, double height, rgb color);
typedef struct stroke {
    double x1, y1, x2, y2;
} stroke;
void page_line(page *p, stroke s, double thickness, rgb color);
/* Size of the text before rotation. */
extent page_measure(const page *p, const writing *w);
/* Appends a copy of the text; returns its size and enlarges the page if necessary. */
extent page_write(page *p, double x, double y, writing w);
typedef struct area {
    double x, y, width, height;
} area;
/* Appends a field of [ny, nx] coloured cells, the first row at the top. Takes ownership of `cells` (malloc'd). */
void page_cells(page *p, area a, unsigned *cells, size_t nx, size_t ny);
/* Appends a laid-out text with its upper left corner at x, y. Takes the reference. */
void page_passage(page *p, double x, double y, PangoLayout *layout, rgb color);
/* A layout for passages; NULL when memory runs out. The caller unrefs it or passes it to page_passage(). */
PangoLayout *page_layout(const page *p, double size, bool bold);

/* The four corners of a text's rotated box, x and y alternating. */
void page_corners(const item *text, double corners[8]);

/* `pixelled`: the target has pixels, so edges of cells are sharp. */
void page_draw(const page *p, cairo_t *cr, bool pixelled);

#endif
