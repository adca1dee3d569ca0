/* axis.c - places labels: horizontal if they fit, else turned by 30 degrees, else vertical, else only some of them. */
#include "figure/axis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Between horizontal neighbours, and between turned lines. */
static const double LEVEL_GAP = 6, TURNED_GAP = 2.5;

double axis_step(double range, double length) {
    double max = length / 40, min = length / 22 < 4 ? length / 22 : 4; /* Plotly's numbers, except for short axes */
    max = (max < min ? min : max > 9 ? 9 : max) + (length < 100 ? 0 : 1);
    double raw_step = range / max;
    if (!(raw_step > 1e-300) || !isfinite(raw_step)) return 1;
    double power = pow(10, floor(log10(raw_step))), digit = raw_step / power;
    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

size_t axis_whole_step(size_t range, double length) {
    double step = axis_step((double)range, length);
    return step < 1 ? 1 : (size_t)(step + 0.5);
}

number axis_number(double value, int digits_shown) {
    number n;
    char digits[24];
    snprintf(digits, sizeof digits, "%.*g", digits_shown, value == 0 ? 0.0 : value); /* avoids -0 */
    snprintf(n.text, sizeof n.text, "%s%s", *digits == '-' ? "−" : "", digits + (*digits == '-'));
    return n;
}

/* ------------------------------------------------------------------ labels */

static double middle(const label_line *l, size_t i) { return l->first + (double)i * l->pitch; }

static bool fits_level(const label_line *l) {
    for (size_t i = 0; i < l->n; i++) {
        double half = l->widths[i] / 2;
        if (middle(l, i) - half < l->begin || middle(l, i) + half > l->end) return false;
        if (i > 0 && half + l->widths[i - 1] / 2 + LEVEL_GAP > l->pitch) return false;
    }
    return true;
}

typedef struct candidate {
    double weight;
    size_t i;
} candidate;

static int by_weight(const void *a, const void *b) {
    const candidate *p = a, *q = b;
    if (p->weight != q->weight) return p->weight < q->weight ? 1 : -1;
    return p->i < q->i ? -1 : p->i > q->i;
}

bool axis_thin(bool *shown, const double *weights, size_t n, double pitch, double line) {
    candidate *order = malloc((n + 1) * sizeof *order);
    if (!order) return false;
    size_t min_distance = pitch > 0 && line / pitch < (double)n ? (size_t)ceil(line / pitch - 1e-9) : n;
    for (size_t i = 0; i < n; i++) order[i] = (candidate){isnan(weights[i]) ? -INFINITY : weights[i], i};
    qsort(order, n, sizeof *order, by_weight);
    for (size_t i = 0; i < n; i++) shown[i] = false;
    for (size_t c = 0; c < n; c++) {
        size_t i = order[c].i, from = i + 1 > min_distance ? i + 1 - min_distance : 0,
               to = i + min_distance < n ? i + min_distance : n;
        bool taken = false;
        for (size_t k = from; k < to && !taken; k++) taken = shown[k];
        shown[i] = !taken;
    }
    free(order);
    return true;
}

bool axis_place(double *angle, bool *shown, const label_line *l) {
    double line = l->line + TURNED_GAP;
    *angle = fits_level(l) ? 0 : l->pitch / 2 >= line ? 30 : 90; /* sin 30 degrees is 1/2 */
    if (*angle == 90) return axis_thin(shown, l->weights, l->n, l->pitch, line);
    for (size_t i = 0; i < l->n; i++) shown[i] = true;
    return true;
}
