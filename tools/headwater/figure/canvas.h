/*
 * canvas.h - a figure as a list of what is on it: rectangles, lines, texts, fields of cells, passages.
 *
 * Layouts append to a page and never draw; page_draw() draws it in order, whatever the file's format. So tests can ask
 * where each thing stands. Lengths are points (1/72 inch), y grows downwards.
 *
 * Text is laid out by pango: every script, and emoji where a font has them. It is always text, never markup. The first
 * allocation that fails is remembered in `failed`; what is appended after it is dropped.
 */
#ifndef HW_FIGURE_CANVAS_H
#define HW_FIGURE_CANVAS_H

#include "figure/color.h"

#include <pango/pangocairo.h>

typedef enum item_kind { ITEM_RECT, ITEM_LINE, ITEM_TEXT, ITEM_CELLS, ITEM_PASSAGE } item_kind;

typedef struct extent {
    double width, height;
    double above, below; /* from its middle line up and down to where it has ink, at most a half of its height */
} extent;

/* A text, and how it is written. */
typedef struct writing {
    const char *text; /* UTF-8 without control characters */
    double size;
    bool bold;
    rgb color;
    double angle;  /* degrees, clockwise, around the point where it is anchored */
    double ax, ay; /* the part of its box that stands on that point: 0,0 its upper left corner, 1,1 its lower right */
    double wrap;   /* lines are at most so wide; 0: one line */
} writing;

typedef struct item {
    item_kind kind;
    double x, y;          /* upper left corner; of a text its anchor; of a line one end */
    double width, height; /* of a line: to its other end; of a text: before it is turned */
    rgb color;
    double thick;    /* of a line */
    writing text;    /* its text is owned */
    unsigned *cells; /* [ny, nx] owned, 0xffRRGGBB, 0: none */
    size_t nx, ny;
    PangoLayout *passage; /* owned */
} item;

typedef struct page {
    double width, height; /* grow with what is appended; at least what the layouts ask for */
    rgb paper;
    item *items; /* [n] */
    size_t n, room;
    char *name; /* malloc'd: what the figure is, for readers that show a file's title; NULL: nothing yet */
    PangoContext *context;
    bool failed;
} page;

/* `families`: font families, the first that is installed wins. False: no memory, or no font at all. Free either way. */
bool page_new(page *p, const char *families, rgb paper);
void page_free(page *p);

/* The first name that is given is the page's. */
void page_name(page *p, const char *name);

/* Makes the page at least so large. */
void page_grow(page *p, double width, double height);

void page_rect(page *p, double x, double y, double width, double height, rgb color);
void page_line(page *p, double x1, double y1, double x2, double y2, double thick, rgb color);
/* Its size before it is turned. */
extent page_measure(const page *p, const writing *w);
/* Keeps a copy of the text; gives its size and grows the page where it would reach beyond. */
extent page_write(page *p, double x, double y, writing w);
/* A field of [ny, nx] coloured cells, the first row at the top. Takes `cells`, malloc'd. */
void page_cells(page *p, double x, double y, double width, double height, unsigned *cells, size_t nx, size_t ny);
/* A laid-out text, its upper left corner at x, y. Takes the reference. */
void page_passage(page *p, double x, double y, PangoLayout *layout, rgb color);
/* For passages; NULL without memory. The caller unrefs it or gives it to page_passage(). */
PangoLayout *page_layout(const page *p, double size, bool bold);

/* The four corners of a text's box as it stands, x and y in turn. */
void page_corners(const item *text, double corners[8]);

/* `pixelled`: drawn to pixels, edges of cells are sharp. */
void page_draw(const page *p, cairo_t *cr, bool pixelled);

#endif
