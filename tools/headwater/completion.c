/* completion.c - candidates for the last word of a command line, from the tables of commands, options and names. */
#include "completion.h"

#include "command_table.h"
#include "job/figure_module.h"
#include "models/model_source.h"

#include <ctype.h>
#include <string.h>

/* The word in progress: candidates that do not begin with `typed` are left out. */
typedef struct cursor {
    FILE *out;
    const char
        *before; /* [n_before] what precedes the candidate in the word: "--method=", "--method=logit,", "logit," */
    size_t n_before;
    const char *typed;
} cursor;

enum { MAX_MEANING = 70 };

static void offer(const cursor *c, const char *word, const char *meaning) {
    if (strncmp(word, c->typed, strlen(c->typed)) != 0) return;
    size_t n = strcspn(meaning, ";[("); /* the first clause is enough beside a list of candidates */
    while (n > MAX_MEANING || (n > 0 && n < strlen(meaning) && meaning[n] != ' ' && !strchr(";[(", meaning[n]))) n--;
    while (n > 0 && strchr(" :,", meaning[n - 1])) n--;
    fprintf(c->out, "%.*s%s\t%.*s\n", (int)c->n_before, c->before, word, (int)n, meaning);
}

/* Moves the cursor behind the last `separator` of the word. */
static void pass(cursor *c, char separator) {
    const char *last = strrchr(c->typed, separator);
    if (!last) return;
    c->n_before = (size_t)(last + 1 - c->before);
    c->typed = last + 1;
}

/* ------------------------------------------------------------------ tables */

static void offer_commands(const cursor *c) {
    for (size_t i = 0; i < commands_count(); i++) offer(c, commands_at(i)->name, commands_at(i)->summary);
}

static void offer_methods(const cursor *c) {
    for (size_t i = 0; i < hw_method_count(); i++) offer(c, hw_method_at(i)->name, hw_method_at(i)->summary);
}

static void offer_filters(const cursor *c) {
    for (size_t i = 0; i < hw_filter_count(); i++) offer(c, hw_filter_at(i)->name, hw_filter_at(i)->summary);
}

static void offer_segmenters(const cursor *c) {
    for (size_t i = 0; i < hw_segmenter_count(); i++) offer(c, hw_segmenter_at(i)->name, hw_segmenter_at(i)->summary);
}

static void offer_presets(const cursor *c) {
    for (size_t i = 0; i < presets_count(); i++) offer(c, presets_at(i)->name, presets_at(i)->summary);
}

static void offer_figures(const cursor *c, figure_table table) {
    hw_error err;
    const figure_functions *figures = figure_module(&err);
    figure_word row;
    for (size_t i = 0; figures && (row = figures->word(table, i)).name; i++) offer(c, row.name, row.summary);
}

static void offer_kinds(const cursor *c) { offer_figures(c, FIGURE_KINDS); }
static void offer_themes(const cursor *c) { offer_figures(c, FIGURE_THEMES); }
static void offer_maps(const cursor *c) { offer_figures(c, FIGURE_MAPS); }

/* Names of models that other programs have stored; none with a control character, which would end its line. */
static void offer_models(const cursor *c) {
    const model_source *from;
    for (size_t i = 0; (from = model_source_at(i)) != NULL; i++) {
        model_list list = model_source_list(from);
        for (size_t k = 0; k < list.n; k++) {
            char name[600];
            bool plain = true;
            snprintf(name, sizeof name, "%s:%s:%s", from->prefix, list.at[k].repo, list.at[k].tag);
            for (const char *at = name; *at; at++) plain = plain && !iscntrl((unsigned char)*at);
            if (plain && !*list.at[k].problem) offer(c, name, from->title);
        }
        model_list_free(&list);
    }
}

static const struct {
    void (*offer)(const cursor *c);
    bool is_list; /* several may be given, separated by commas */
} tables[] = {[NAMES_OF_METHODS] = {offer_methods, true},
              [NAMES_OF_FILTERS] = {offer_filters, true},
              [NAMES_OF_SEGMENTERS] = {offer_segmenters, false},
              [NAMES_OF_PRESETS] = {offer_presets, false},
              [NAMES_OF_KINDS] = {offer_kinds, false},
              [NAMES_OF_THEMES] = {offer_themes, false},
              [NAMES_OF_MAPS] = {offer_maps, false},
              [NAMES_OF_MODELS] = {offer_models, false}};

/* ------------------------------------------------------------------ options */

/* The words of a row's metavar that are values themselves: "auto|always|never", "0..1|measured", but not "TEXT". */
static void offer_words(const cursor *c, const char *metavar) {
    while (*metavar) {
        char word[64];
        size_t n = strcspn(metavar, "|");
        bool is_value = n < sizeof word;
        for (size_t i = 0; i < n; i++)
            is_value = is_value &&
                       (islower((unsigned char)metavar[i]) || metavar[i] == '-' || isdigit((unsigned char)metavar[i]));
        if (is_value) {
            snprintf(word, sizeof word, "%.*s", (int)n, metavar);
            offer(c, word, "");
        }
        metavar += n + (metavar[n] == '|');
    }
}

static void offer_value(cursor *c, const option_row *row) {
    if (!row->metavar) return;
    bool is_file = strncmp(row->metavar, "FILE", 4) == 0 || strcmp(row->metavar, "PATH") == 0;
    fputs(is_file ? "files\n" : "words\n", c->out);
    if (!row->names) {
        offer_words(c, row->metavar);
        return;
    }
    if (tables[row->names].is_list) pass(c, ',');
    tables[row->names].offer(c);
}

static void offer_options(const cursor *c, unsigned bit) {
    fputs("words\n", c->out);
    for (size_t i = 0; i < options_count(); i++) {
        const option_row *row = options_row(i);
        char name[64];
        snprintf(name, sizeof name, "--%s", row->name);
        if (row->commands & bit) offer(c, name, row->help);
    }
}

/* ------------------------------------------------------------------ the command line */

static const struct {
    const char *word, *meaning;
    bool of_command; /* a command's name follows */
} program_words[] = {{"help", "print the help of a command", true},
                     {"manual", "print a manual page", true},
                     {"--help", "print the help", false},
                     {"--version", "print the version", false}};
enum { N_PROGRAM_WORDS = sizeof program_words / sizeof *program_words };

static void complete_first(const cursor *c) {
    fputs("words\n", c->out);
    offer_commands(c);
    for (size_t i = 0; i < N_PROGRAM_WORDS; i++) offer(c, program_words[i].word, program_words[i].meaning);
}

static void complete_command(cursor *c, const command *of, int n, char **words) {
    const option_row *waiting = NULL;
    bool ended = false; /* "--" ends the options */
    for (int i = 1; i < n - 1; i++) {
        ended = ended || (!waiting && strcmp(words[i], "--") == 0);
        waiting = waiting || ended ? NULL : options_waiting(words[i], of->bit);
    }
    const char *equals = strncmp(c->typed, "--", 2) == 0 ? strchr(c->typed, '=') : NULL;
    const option_row *named = equals ? options_named(c->typed + 2, (size_t)(equals - c->typed) - 2, of->bit) : NULL;
    if (waiting) {
        offer_value(c, waiting);
    } else if (!ended && named) {
        c->n_before = (size_t)(equals + 1 - c->before);
        c->typed = equals + 1;
        offer_value(c, named);
    } else if (!ended && *c->typed == '-') {
        offer_options(c, of->bit);
    } else {
        fputs("files\n", c->out);
    }
}

void completion_print(FILE *out, int n, char **words) {
    if (n < 1) return;
    cursor c = {.out = out, .before = words[n - 1], .typed = words[n - 1]};
    const command *of = n > 1 ? commands_find(words[0]) : NULL;
    if (n == 1) {
        complete_first(&c);
    } else if (of) {
        complete_command(&c, of, n, words);
    } else {
        fputs("words\n", out);
        for (size_t i = 0; n == 2 && i < N_PROGRAM_WORDS; i++)
            if (program_words[i].of_command && strcmp(program_words[i].word, words[0]) == 0) offer_commands(&c);
    }
}
