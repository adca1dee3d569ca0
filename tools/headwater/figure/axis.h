/*
 * axis.h - numbers and labels along an axis: which numbers, and how labels stand so that none overlaps another.
 *
 * Lengths are points (1/72 inch).
 */
#ifndef HW_FIGURE_AXIS_H
#define HW_FIGURE_AXIS_H

#include <stdbool.h>
#include <stddef.h>

/* A round step (1, 2 or 5 times a power of ten) that gives about one number in 40 points, as Plotly chooses it. */
double axis_step(double range, double length);
/* The same for whole numbers: at least 1. */
size_t axis_whole_step(size_t range, double length);

typedef struct number {
    char text[32];
} number;
number axis_number(double value, int digits); /* so many significant digits at most, a real minus sign */

/* Labels at equal distances along an axis. */
typedef struct label_line {
    size_t n;
    double first, pitch;   /* middle of the first label's place, distance to the next */
    double line;           /* what a line of text needs across its direction */
    const double *widths;  /* [n] */
    const double *weights; /* [n] where not all fit, the heaviest stay; ties: the first */
    double begin, end;     /* where a level label may reach */
} label_line;

/* Chooses the degrees that labels are turned (0, 30 or 90, clockwise) and which are shown, [n]. False: no memory. */
bool axis_place(double *angle, bool *shown, const label_line *l);

/* Which labels stand where places are `pitch` apart and each needs `line`: the heaviest first. False: no memory. */
bool axis_thin(bool *shown, const double *weights, size_t n, double pitch, double line);

#endif
