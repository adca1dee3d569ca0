/*
 * top_tokens.c - the strongest tokens, one per line: index: token, value, bar, and profile over the layers.
 *
 * A profile is scaled to its own peak: the bar shows the amount, the profile the layers. What does not fit the terminal
 * is left out from the right.
 */
#include "cli/safe_text.h"
#include "terminal/view_parts.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LABEL = 24, MAX_BAR = 24, MIN_BAR = 6, MAX_CELLS = 32, VALUE_WIDTH = 8, GAP = 2 };

/* Column widths of the parts of a line; 0: left out. */
typedef struct layout {
    int index, label, bar;
    size_t cells; /* cells of the profile */
} layout;

static int digits(size_t v) {
    int n = 1;
    while (v /= 10) n++;
    return n;
}

static int clamp_max(int v, int max) { return v < max ? v : max; }

static const char *noun(const picture *p) { return picture_is_grouped(p) ? "segment" : "token"; }

static layout make_layout(const picture *p, const size_t *top, size_t n) {
    layout fit = {.index = 1};
    for (size_t i = 0; i < n; i++)
        if (digits(top[i]) > fit.index) fit.index = digits(top[i]);
    int fixed = GAP + fit.index + 2 + GAP + VALUE_WIDTH, left = p->t->width - 1 - fixed;
    int limit = clamp_max(clamp_max(MAX_LABEL, p->t->width / 3), left > 1 ? left : 1);
    fit.label = clamp_max((int)strlen(noun(p)), limit);
    for (size_t i = 0; i < n; i++) {
        int width = picture_label(p, top[i], limit).width;
        if (width > fit.label) fit.label = width;
    }
    left -= fit.label + GAP;
    size_t layers = hw_view_n_layers(p->view), share = (layers + MAX_CELLS - 1) / MAX_CELLS;
    fit.cells = layers > 1 ? (layers + share - 1) / share : 0;
    if (left - (int)fit.cells - GAP < MIN_BAR) fit.cells = 0;
    fit.bar = clamp_max(left - (fit.cells ? (int)fit.cells + GAP : 0), MAX_BAR);
    if (fit.bar < MIN_BAR) fit.bar = 0;
    return fit;
}

/* Adjacent layers averaged into cells, first layer at the left. */
static void print_profile(const picture *p, size_t column, size_t cells) {
    size_t layers = hw_view_n_layers(p->view), share = (layers + cells - 1) / cells;
    const float *profile = hw_view_profile(p->view) + column * layers;
    double means[MAX_CELLS] = {0}, peak = 0;
    for (size_t c = 0; c < cells; c++) {
        size_t end = (c + 1) * share < layers ? (c + 1) * share : layers;
        for (size_t l = c * share; l < end; l++) means[c] += profile[l] / (double)(end - c * share);
        double size = means[c] < 0 ? -means[c] : means[c];
        if (size > peak) peak = size;
    }
    for (size_t c = 0; c < cells; c++) fputs(terminal_block(peak > 0 ? means[c] / peak : 0), p->t->out);
}

static void print_header(const picture *p, const layout *fit) {
    FILE *out = p->t->out;
    terminal_dim(p->t);
    fprintf(out, "%*s%*s: %-*.*s%*s%*s", GAP, "", fit->index, "#", fit->label, fit->label, noun(p), GAP, "",
            VALUE_WIDTH, "value");
    if (fit->cells) {
        const int32_t *layers = hw_attribution_layers(p->a);
        fprintf(out, "%*s%*slayers %d to %d", GAP, "", fit->bar + GAP, "", layers[p->layer_begin] + 1,
                layers[p->layer_end - 1] + 1);
    }
    terminal_plain(p->t);
    putc('\n', out);
}

static void print_entry(const picture *p, const layout *fit, size_t column) {
    FILE *out = p->t->out;
    label name = picture_label(p, column, fit->label);
    double value = hw_view_scores(p->view)[column];
    fprintf(out, "%*s%*zu: %s%*s", GAP, "", fit->index, column, name.utf8, fit->label - name.width + GAP, "");
    fprintf(out, "%*.*f", VALUE_WIDTH, p->scale < 1e-2 ? 6 : 4, value);
    int drawn = 0;
    if (fit->bar) {
        fprintf(out, "%*s", GAP, "");
        drawn = terminal_bar(out, value / p->scale, fit->bar);
    }
    if (fit->cells) {
        fprintf(out, "%*s", fit->bar - drawn + GAP, "");
        print_profile(p, column, fit->cells);
    }
    putc('\n', out);
}

bool toplist_print(const picture *p, size_t n) {
    size_t columns = hw_view_n_columns(p->view);
    if (n > columns) n = columns;
    if (!n) return true;
    size_t *top = calloc(n, sizeof *top);
    if (!top) return false;
    n = hw_view_top(p->view, top, n);
    layout fit = make_layout(p, top, n);
    if (n) print_header(p, &fit);
    for (size_t i = 0; i < n; i++) print_entry(p, &fit, top[i]);
    if (!n) fputs("  every token is hidden by the filter\n", p->t->out);
    free(top);
    return true;
}
