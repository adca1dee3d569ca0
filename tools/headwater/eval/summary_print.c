/* summary_print.c - the table of `eval` as text, CSV or JSON. */
#include "base/json.h"
#include "cli/message.h"
#include "cli/safe_text.h"
#include "eval/summary_table.h"

#include <math.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { CELL_WIDTH = 21, MIN_LABEL = 6 };

/* ------------------------------------------------------------------ text */

static void put_heading(FILE *out, const eval_table *t, const eval_group *g) {
    if (g->name) {
        text_puts(out, t->group_by);
        putc(' ', out);
        text_puts(out, g->name);
        fputs(": ", out);
    }
    fprintf(out, "%zu item%s", g->n_items, g->n_items == 1 ? "" : "s");
    if (g->n_judged)
        fprintf(out, ", %zu of %zu answered right (%.0f %%)", g->n_right, g->n_judged,
                100 * (double)g->n_right / (double)g->n_judged);
    if (g->n_failed) fprintf(out, ", %zu failed", g->n_failed);
    putc('\n', out);
}

static bool has_block(const eval_group *g, int block) {
    for (size_t m = 0; m < g->n_methods; m++)
        for (size_t c = 0; c < EVAL_METRICS; c++)
            if (eval_metrics[c].block == block && g->methods[m].cells[c].n) return true;
    return false;
}

/* Avoids a minus sign before zeros. */
static double plain(double v) { return fabs(v) < 0.005 ? 0 : v; }

/* "0.95 [0.88, 1.00]": the mean and its interval. */
static void put_cell(FILE *out, const eval_metric *metric, const eval_cell *cell) {
    char text[64];
    if (cell->n == 0) {
        snprintf(text, sizeof text, "-");
    } else if (metric->whole) {
        snprintf(text, sizeof text, "%.0f", cell->mean);
    } else {
        snprintf(text, sizeof text, "%.2f [%.2f, %.2f]", plain(cell->mean), plain(cell->low), plain(cell->high));
    }
    fprintf(out, "%*s", CELL_WIDTH, text);
}

static void put_titles(FILE *out, int block, int width) {
    fprintf(out, "%-*s", width, "method");
    for (size_t c = 0; c < EVAL_METRICS; c++)
        if (eval_metrics[c].block == block) fprintf(out, "%*s", CELL_WIDTH, eval_metrics[c].title);
    putc('\n', out);
}

static void put_block(FILE *out, const eval_group *g, int block) {
    int width = MIN_LABEL;
    for (size_t m = 0; m < g->n_methods; m++)
        if ((int)strlen(g->methods[m].label) > width) width = (int)strlen(g->methods[m].label);
    put_titles(out, block, width);
    for (size_t m = 0; m < g->n_methods; m++) {
        text_puts(out, g->methods[m].label); /* from a file, so untrusted */
        fprintf(out, "%*s", width - (int)strlen(g->methods[m].label), "");
        for (size_t c = 0; c < EVAL_METRICS; c++)
            if (eval_metrics[c].block == block) put_cell(out, &eval_metrics[c], &g->methods[m].cells[c]);
        putc('\n', out);
    }
}

static bool print_text(FILE *out, const eval_table *t) {
    for (size_t i = 0; i < t->n_groups; i++) {
        const eval_group *g = &t->groups[i];
        if (i) putc('\n', out);
        put_heading(out, t, g);
        for (int block = 0; block < EVAL_BLOCKS; block++) {
            if (!has_block(g, block)) continue;
            putc('\n', out);
            put_block(out, g, block);
        }
    }
    return true;
}

/* ------------------------------------------------------------------ CSV, one line a cell */

static void put_quoted(FILE *out, const char *text) {
    putc('"', out);
    if (*text && strchr("=+-@\t\r", *text)) putc('\'', out); /* not a formula for spreadsheets */
    for (; *text; text++) {
        if (*text == '"') putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void put_number(FILE *out, double v) {
    if (!isnan(v)) fprintf(out, "%.9g", v);
}

static void put_csv_line(FILE *out, const eval_group *g, const eval_method *m, size_t c) {
    const eval_cell *cell = &m->cells[c];
    if (g->name) {
        put_quoted(out, g->name);
        putc(',', out);
    }
    put_quoted(out, m->label);
    fprintf(out, ",%s,%zu,", eval_metrics[c].key, cell->n);
    put_number(out, cell->mean);
    putc(',', out);
    put_number(out, cell->low);
    putc(',', out);
    put_number(out, cell->high);
    putc('\n', out);
}

static bool print_csv(FILE *out, const eval_table *t) {
    if (t->group_by) {
        put_quoted(out, t->group_by);
        putc(',', out);
    }
    fputs("method,metric,n,mean,low,high\n", out);
    for (size_t i = 0; i < t->n_groups; i++)
        for (size_t m = 0; m < t->groups[i].n_methods; m++)
            for (size_t c = 0; c < EVAL_METRICS; c++) put_csv_line(out, &t->groups[i], &t->groups[i].methods[m], c);
    return true;
}

/* ------------------------------------------------------------------ JSON */

static json_t *number(double v) { return isnan(v) ? json_null() : json_real(v); }

static json_t *method_json(const eval_method *m) {
    json_t *to = json_pack("{s:s}", "method", m->label);
    for (size_t c = 0; c < EVAL_METRICS; c++) {
        const eval_cell *cell = &m->cells[c];
        json_t *of = json_pack("{s:I, s:o, s:o, s:o}", "n", (json_int_t)cell->n, "mean", number(cell->mean), "low",
                               number(cell->low), "high", number(cell->high));
        to = hw__json_set(to, eval_metrics[c].key, of);
    }
    return to;
}

static json_t *group_json(const eval_group *g) {
    json_t *methods = json_array();
    for (size_t m = 0; m < g->n_methods; m++) methods = hw__json_append(methods, method_json(&g->methods[m]));
    return json_pack("{s:s?, s:I, s:I, s:I, s:I, s:o}", "group", g->name, "items", (json_int_t)g->n_items, "failed",
                     (json_int_t)g->n_failed, "judged", (json_int_t)g->n_judged, "right", (json_int_t)g->n_right,
                     "methods", methods);
}

static bool print_json(FILE *out, const eval_table *t) {
    json_t *groups = json_array();
    for (size_t i = 0; i < t->n_groups; i++) groups = hw__json_append(groups, group_json(&t->groups[i]));
    json_t *whole =
        json_pack("{s:s?, s:i, s:o}", "group_by", t->group_by, "resamples", EVAL_RESAMPLES, "groups", groups);
    bool ok = whole && json_dumpf(whole, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0;
    if (ok) putc('\n', out);
    json_decref(whole);
    return ok;
}

/* ------------------------------------------------------------------ formats */

static const eval_format formats[] = {{"text", print_text}, {"csv", print_csv}, {"json", print_json}};

const eval_format *eval_format_find(const char *name) {
    for (size_t i = 0; i < COUNT(formats); i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}
