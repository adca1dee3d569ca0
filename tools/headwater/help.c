/* help.c - prints --help from the tables of commands, options, methods, filters and formats. */
#include "help.h"

#include "command_table.h"
#include "job/figure_module.h"

#include <string.h>

enum { PAGE_WIDTH = 96, TERM_WIDTH = 28, TERM_INDENT = 2 };

/* Writes text wrapped to the page width, lines after the first indented; `at` is the column at which it starts. */
static void put_wrapped(FILE *out, const char *text, int at, int indent) {
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (at > indent && at + 1 + n > PAGE_WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            putc(' ', out);
            at++;
        }
        fwrite(text, 1, (size_t)n, out);
        at += n;
        text += n;
        text += strspn(text, " ");
    }
    putc('\n', out);
}

/* A term and its meaning, in two columns. */
static void put_entry(FILE *out, const char *term, const char *meaning) {
    int n = fprintf(out, "%*s%s", TERM_INDENT, "", term);
    if (n + 2 > TERM_WIDTH) {
        putc('\n', out);
        n = 0;
    }
    fprintf(out, "%*s", TERM_WIDTH - n, "");
    put_wrapped(out, meaning, TERM_WIDTH, TERM_WIDTH);
}

/* " (also --predict, $LLAMA_ARG_N_PREDICT)" */
static void add_spellings(char *meaning, size_t capacity, const option_row *row) {
    size_t n = strlen(meaning);
    const char *between = " (also ";
    for (const char *const *also = row->also; *also && n < capacity; also++, between = ", ")
        n += (size_t)snprintf(meaning + n, capacity - n, "%s%s", between, *also);
    if (row->variable && n < capacity)
        n += (size_t)snprintf(meaning + n, capacity - n, "%s$%s", between, row->variable);
    if ((row->variable || row->also[0]) && n < capacity) snprintf(meaning + n, capacity - n, ")");
}

static void put_option(FILE *out, const option_row *row) {
    char term[80], meaning[600];
    int n = row->letter ? snprintf(term, sizeof term, "-%c, ", row->letter) : snprintf(term, sizeof term, "    ");
    snprintf(term + n, sizeof term - (size_t)n, "--%s%s%s", row->name, row->metavar ? " " : "",
             row->metavar ? row->metavar : "");
    snprintf(meaning, sizeof meaning, "%s%s%s%s", row->help, row->default_value ? " [" : "",
             row->default_value ? row->default_value : "", row->default_value ? "]" : "");
    add_spellings(meaning, sizeof meaning, row);
    put_entry(out, term, meaning);
}

static void put_options(FILE *out, unsigned bit) {
    for (int group = 0; group <= GROUP_TERMINAL; group++) {
        bool titled = false;
        for (size_t i = 0; i < options_count(); i++) {
            const option_row *row = options_row(i);
            if ((int)row->group != group || !(row->commands & bit)) continue;
            if (!titled) fprintf(out, "\n%s\n", options_group_title(row->group));
            titled = true;
            put_option(out, row);
        }
    }
}

static void put_methods(FILE *out) {
    fputs("\nMethods (--method)\n", out);
    for (size_t i = 0; i < hw_method_count(); i++) put_entry(out, hw_method_at(i)->name, hw_method_at(i)->summary);
}

static void put_filters(FILE *out) {
    fputs("\nFilters (--hide)\n", out);
    for (size_t i = 0; i < hw_filter_count(); i++) put_entry(out, hw_filter_at(i)->name, hw_filter_at(i)->summary);
}

static void put_formats(FILE *out) {
    fputs("\nFormats (-o)\n", out);
    for (size_t i = 0; i < hw_format_count(); i++) put_entry(out, hw_format_at(i)->extension, hw_format_at(i)->summary);
    put_entry(out, ".html", "a page to explore the result in a browser, in one file; any number of methods");
}

static void put_presets(FILE *out) {
    fputs("\nPresets (--preset)\n", out);
    for (size_t i = 0; i < presets_count(); i++) {
        char meaning[400];
        size_t n = (size_t)snprintf(meaning, sizeof meaning, "%s:", presets_at(i)->summary);
        for (const preset_value *v = presets_at(i)->values; v->option && n < sizeof meaning; v++)
            n += (size_t)snprintf(meaning + n, sizeof meaning - n, " --%s %s", v->option, v->value);
        put_entry(out, presets_at(i)->name, meaning);
    }
}

static void put_rules(FILE *out) {
    fputs("\nPeaks (a passage is marked from a minimum peak on; --min-peak)\n", out);
    for (size_t i = 0; i < hw_citation_rule_count(); i++) {
        const hw_citation_rule *rule = hw_citation_rule_at(i);
        char meaning[600];
        snprintf(meaning, sizeof meaning, "for %s. Shares are of %s. Peak: %s; default minimum %g", rule->methods,
                 rule->shares, rule->peak, rule->min_peak);
        put_entry(out, rule->name, meaning);
    }
}

static void put_figures(FILE *out) {
    static const char *const titles[] = {[FIGURE_ENDINGS] = "Figures (-o)",
                                         [FIGURE_KINDS] = "Kinds of figures (--kind)",
                                         [FIGURE_THEMES] = "Themes (--theme)",
                                         [FIGURE_MAPS] = "Colours (--map)"};
    hw_error err;
    const figure_functions *figures = figure_module(&err);
    if (!figures) fprintf(out, "\nFigures\n  %s\n", err.msg);
    for (size_t t = 0; figures && t < sizeof titles / sizeof *titles; t++) {
        figure_word row;
        fprintf(out, "\n%s\n", titles[t]);
        for (size_t i = 0; (row = figures->word((figure_table)t, i)).name; i++) put_entry(out, row.name, row.summary);
    }
}

static const struct {
    unsigned bit;
    void (*put)(FILE *out);
} lists[] = {{LIST_METHODS, put_methods}, {LIST_FILTERS, put_filters}, {LIST_FORMATS, put_formats},
             {LIST_FIGURES, put_figures}, {LIST_PRESETS, put_presets}, {LIST_RULES, put_rules}};

static void put_exit_statuses(FILE *out) {
    fputs("\nExit status\n", out);
    put_entry(out, "0", "done");
    put_entry(out, "1", "failed");
    put_entry(out, "2", "invalid command line");
    put_entry(out, "130", "interrupted by Ctrl-C");
}

void help_command(FILE *out, const command *c) {
    fputs("Usage\n", out);
    for (const char *const *u = c->usage; *u; u++) fprintf(out, "  headwater %s%s%s\n", c->name, **u ? " " : "", *u);
    putc('\n', out);
    put_wrapped(out, c->about, 0, 0);
    put_options(out, c->bit);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (c->lists & lists[i].bit) lists[i].put(out);
    if (c->examples->line) fputs("\nExamples\n", out);
    for (const example *e = c->examples; e->line; e++) fprintf(out, "  # %s\n  %s\n", e->what, e->line);
    put_exit_statuses(out);
}

void help_program(FILE *out) {
    fputs("Headwater attributes every token that a language model generates to the tokens of its prompt.\n"
          "\nUsage\n"
          "  headwater COMMAND [options]\n"
          "  headwater help COMMAND\n"
          "  headwater --version\n"
          "\nCommands\n",
          out);
    for (size_t i = 0; i < commands_count(); i++) put_entry(out, commands_at(i)->name, commands_at(i)->summary);
    fputs("\nExample\n", out);
    fprintf(out, "  headwater %s\n", "explain -m model.gguf -p \"My name is Abdul, I am from\"");
}
