/*
 * axis.h - numbers and labels along an axis: which numbers to show, and how to place labels without overlap.
 *
 * Lengths are points (1/72 inch).
 *
 * The folder headwater/figure/: figures as .png, .svg and .pdf: layouts append to a canvas, image_file.c draws it.
 * Parameters are plain structs.
 */
#ifndef HW_FIGURE_AXIS_H
#define HW_FIGURE_AXIS_H

#include <stdbool.h>
#include <stddef.h>

/* A round step (1, 2 or 5 times a power of ten) that gives about one number per 40 points, as Plotly chooses it. */
double axis_step(double range, double length);
/* The same for whole numbers: at least 1. */
size_t axis_whole_step(size_t range, double length);

typedef struct number {
    char text[32];
} number;
number axis_number(double value, int digits); /* at most `digits` significant digits, with a typographic minus sign */

/* Equally spaced labels along an axis. */
typedef struct label_line {
    size_t n;
    double first, pitch;   /* centre of the first label, distance between neighbours */
    double line;           /* height of a line of text, across its direction */
    const double *widths;  /* [n] widths of the labels */
    const double *weights; /* [n] if not all labels fit, the heaviest are shown; ties: the first */
    double begin, end;     /* limits for horizontal labels */
} label_line;

/* Chooses the angle of the labels (0, 30 or 90 degrees, clockwise) and which labels are shown, [n]. False when memory
 * runs out. */
bool axis_place(double *angle, bool *shown, const label_line *l);

/* Chooses which labels are shown if places are `pitch` apart and each label needs `line`: the heaviest first. False
 * when memory runs out. */
bool axis_thin(bool *shown, const double *weights, size_t n, double pitch, double line);

#endif
