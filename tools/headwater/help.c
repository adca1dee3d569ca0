/* help.c - prints --help from the tables of commands, options, methods, filters and formats. */
#include "help.h"

#include "command_table.h"
#include "help_form.h"
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

/* ------------------------------------------------------------------ the walk over the tables */

static void walk_options(FILE *out, const help_form *form, unsigned bit) {
    for (int group = 0; group <= GROUP_TERMINAL; group++) {
        bool titled = false;
        for (size_t i = 0; i < options_count(); i++) {
            const option_row *row = options_row(i);
            char meaning[600];
            if ((int)row->group != group || !(row->commands & bit)) continue;
            if (!titled) form->section(out, options_group_title(row->group));
            titled = true;
            snprintf(meaning, sizeof meaning, "%s%s%s%s", row->help, row->default_value ? " [" : "",
                     row->default_value ? row->default_value : "", row->default_value ? "]" : "");
            add_spellings(meaning, sizeof meaning, row);
            form->option(out, row, meaning);
        }
    }
}

static void walk_methods(FILE *out, const help_form *form) {
    form->section(out, "Methods (--method)");
    for (size_t i = 0; i < hw_method_count(); i++) form->entry(out, hw_method_at(i)->name, hw_method_at(i)->summary);
}

static void walk_filters(FILE *out, const help_form *form) {
    form->section(out, "Filters (--hide)");
    for (size_t i = 0; i < hw_filter_count(); i++) form->entry(out, hw_filter_at(i)->name, hw_filter_at(i)->summary);
}

static void walk_formats(FILE *out, const help_form *form) {
    form->section(out, "Formats (-o)");
    for (size_t i = 0; i < hw_format_count(); i++)
        form->entry(out, hw_format_at(i)->extension, hw_format_at(i)->summary);
    form->entry(out, ".html", "a page to explore the result in a browser, in one file; any number of methods");
}

static void walk_presets(FILE *out, const help_form *form) {
    form->section(out, "Presets (--preset)");
    for (size_t i = 0; i < presets_count(); i++) {
        char meaning[400];
        size_t n = (size_t)snprintf(meaning, sizeof meaning, "%s:", presets_at(i)->summary);
        for (const preset_value *v = presets_at(i)->values; v->option && n < sizeof meaning; v++)
            n += (size_t)snprintf(meaning + n, sizeof meaning - n, " --%s %s", v->option, v->value);
        form->entry(out, presets_at(i)->name, meaning);
    }
}

static void walk_rules(FILE *out, const help_form *form) {
    form->section(out, "Peaks (a passage is marked from a minimum peak on; --min-peak)");
    for (size_t i = 0; i < hw_citation_rule_count(); i++) {
        const hw_citation_rule *rule = hw_citation_rule_at(i);
        char meaning[600];
        snprintf(meaning, sizeof meaning, "for %s. Shares are of %s. Peak: %s; default minimum %g", rule->methods,
                 rule->shares, rule->peak, rule->min_peak);
        form->entry(out, rule->name, meaning);
    }
}

static void walk_figures(FILE *out, const help_form *form) {
    static const char *const titles[] = {[FIGURE_ENDINGS] = "Figures (-o)",
                                         [FIGURE_KINDS] = "Kinds of figures (--kind)",
                                         [FIGURE_THEMES] = "Themes (--theme)",
                                         [FIGURE_MAPS] = "Colours (--map)"};
    hw_error err;
    const figure_functions *figures = figure_module(&err);
    if (!figures) {
        form->section(out, "Figures");
        form->entry(out, "none", err.msg);
    }
    for (size_t t = 0; figures && t < sizeof titles / sizeof *titles; t++) {
        figure_word row;
        form->section(out, titles[t]);
        for (size_t i = 0; (row = figures->word((figure_table)t, i)).name; i++) form->entry(out, row.name, row.summary);
    }
}

static const struct {
    unsigned bit;
    void (*walk)(FILE *out, const help_form *form);
} lists[] = {{LIST_METHODS, walk_methods}, {LIST_FILTERS, walk_filters}, {LIST_FORMATS, walk_formats},
             {LIST_FIGURES, walk_figures}, {LIST_PRESETS, walk_presets}, {LIST_RULES, walk_rules}};

static const struct {
    const char *status, *meaning;
} exit_statuses[] = {{"0", "done"}, {"1", "failed"}, {"2", "invalid command line"}, {"130", "interrupted by Ctrl-C"}};

void help_tables(FILE *out, const help_form *form, const command *c) {
    form->part(out, "Options");
    walk_options(out, form, c->bit);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (c->lists & lists[i].bit) lists[i].walk(out, form);
    if (c->examples->line) form->part(out, "Examples");
    for (const example *e = c->examples; e->line; e++) form->example(out, e->what, e->line);
    form->part(out, "Exit status");
    for (size_t i = 0; i < sizeof exit_statuses / sizeof *exit_statuses; i++)
        form->entry(out, exit_statuses[i].status, exit_statuses[i].meaning);
}

void help_commands(FILE *out, const help_form *form) {
    form->part(out, "Commands");
    for (size_t i = 0; i < commands_count(); i++) form->entry(out, commands_at(i)->name, commands_at(i)->summary);
    form->part(out, "Example");
    form->example(out, NULL, "headwater explain -m model.gguf -p \"My name is Abdul, I am from\"");
}

/* ------------------------------------------------------------------ as text */

static void put_title(FILE *out, const char *title) { fprintf(out, "\n%s\n", title); }

/* Sections of options have titles of their own. */
static void put_part(FILE *out, const char *title) {
    if (strcmp(title, "Options") != 0) put_title(out, title);
}

static void put_option(FILE *out, const option_row *row, const char *meaning) {
    char term[80];
    int n = row->letter ? snprintf(term, sizeof term, "-%c, ", row->letter) : snprintf(term, sizeof term, "    ");
    snprintf(term + n, sizeof term - (size_t)n, "--%s%s%s", row->name, row->metavar ? " " : "",
             row->metavar ? row->metavar : "");
    put_entry(out, term, meaning);
}

static void put_example(FILE *out, const char *what, const char *line) {
    if (what) fprintf(out, "  # %s\n", what);
    fprintf(out, "  %s\n", line);
}

static const help_form text = {put_part, put_title, put_option, put_entry, put_example};

void help_command(FILE *out, const command *c) {
    fputs("Usage\n", out);
    for (const char *const *u = c->usage; *u; u++) fprintf(out, "  headwater %s%s%s\n", c->name, **u ? " " : "", *u);
    putc('\n', out);
    put_wrapped(out, c->about, 0, 0);
    help_tables(out, &text, c);
}

void help_program(FILE *out) {
    fputs("Headwater attributes every token that a language model generates to the tokens of its prompt.\n"
          "\nUsage\n"
          "  headwater COMMAND [options]\n"
          "  headwater help COMMAND\n"
          "  headwater manual [COMMAND]\n"
          "  headwater --version\n",
          out);
    help_commands(out, &text);
}
