/* manual.c - manual pages in roff, from the tables that --help prints. */
#include "manual.h"

#include "command_table.h"
#include "help_form.h"

#include <ctype.h>
#include <string.h>

/* What roff would read as its own, or print as a typographic character. */
static const struct {
    char letter;
    const char *written;
} escapes[] = {{'\\', "\\e"}, {'`', "\\(ga"}, {'\'', "\\(aq"}, {'"', "\\(dq"}, {'^', "\\(ha"}, {'~', "\\(ti"}};

static const char *escape_of(char letter) {
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (escapes[i].letter == letter) return escapes[i].written;
    return NULL;
}

/* Text of a line: hyphens of options are minus signs, which can be copied into a shell; those of words stay hyphens. */
static void put_text(FILE *out, const char *text) {
    bool option = false; /* within a word that is an option or a file name */
    if (*text == '.') fputs("\\&", out);
    for (const char *at = text; *at; at++) {
        const char *written = escape_of(*at);
        bool inside = at > text && isalnum((unsigned char)at[-1]);
        if (isspace((unsigned char)*at)) option = false;
        if (*at == '-' && !inside) option = true;
        if (*at == '-' && option)
            fputs("\\-", out);
        else if (written)
            fputs(written, out);
        else
            putc(*at, out);
    }
}

static void put_line(FILE *out, const char *text) {
    put_text(out, text);
    putc('\n', out);
}

static void put_upper(FILE *out, const char *text) {
    for (; *text; text++) putc(toupper((unsigned char)*text), out);
}

static void put_part(FILE *out, const char *title) {
    fputs(".SH ", out);
    put_upper(out, title);
    putc('\n', out);
}

static void put_section(FILE *out, const char *title) {
    fputs(".SS ", out);
    put_line(out, title);
}

static void put_option(FILE *out, const option_row *row, const char *meaning) {
    char name[64];
    fputs(".TP\n", out);
    if (row->letter) fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
    snprintf(name, sizeof name, "--%s", row->name);
    fputs("\\fB", out);
    put_text(out, name);
    fputs("\\fR", out);
    if (row->metavar) {
        fputs(" \\fI", out);
        put_text(out, row->metavar);
        fputs("\\fR", out);
    }
    putc('\n', out);
    put_line(out, meaning);
}

static void put_entry(FILE *out, const char *term, const char *meaning) {
    fputs(".TP\n\\fB", out);
    put_text(out, term);
    fputs("\\fR\n", out);
    put_line(out, meaning);
}

static void put_example(FILE *out, const char *what, const char *line) {
    if (what) {
        fputs(".TP\n", out);
        put_line(out, what);
    }
    fputs(".nf\n", out);
    put_line(out, line);
    fputs(".fi\n", out);
}

static const help_form roff = {put_part, put_section, put_option, put_entry, put_example};

static void put_heading(FILE *out, const char *name, const char *summary) {
    fputs(".TH \"HEADWATER", out);
    if (*name) putc('-', out);
    put_upper(out, name);
    fprintf(out, "\" 1 %s \"headwater %s\" \"Headwater\"\n", HEADWATER_DATE, hw_version());
    fprintf(out, ".nh\n.ad l\n.SH NAME\nheadwater%s%s \\- ", *name ? "\\-" : "", name);
    put_line(out, summary);
    put_part(out, "Synopsis");
}

static void put_usage(FILE *out, const char *name, const char *words) {
    fprintf(out, "\\fBheadwater%s%s\\fR ", *name ? " " : "", name);
    put_line(out, words);
}

void manual_command(FILE *out, const command *c) {
    put_heading(out, c->name, c->summary);
    for (const char *const *u = c->usage; *u; u++) {
        if (u > c->usage) fputs(".br\n", out);
        put_usage(out, c->name, *u);
    }
    put_part(out, "Description");
    put_line(out, c->about);
    help_tables(out, &roff, c);
    fputs(".SH SEE ALSO\n\\fBheadwater\\fR(1)\n", out);
}

void manual_program(FILE *out) {
    put_heading(out, "", "attribute generated tokens to the tokens of their prompt");
    put_usage(out, "", "COMMAND [options]");
    fputs(".br\n", out);
    put_usage(out, "help", "COMMAND");
    fputs(".br\n", out);
    put_usage(out, "manual", "[COMMAND]");
    fputs(".br\n", out);
    put_usage(out, "", "--version");
    put_part(out, "Description");
    put_line(out,
             "Headwater attributes every token that a language model generates to the tokens of its prompt. Models "
             "are GGUF files, which llama.cpp runs.");
    help_commands(out, &roff);
    fputs(".SH SEE ALSO\n", out);
    for (size_t i = 0; i < commands_count(); i++)
        fprintf(out, "\\fBheadwater\\-%s\\fR(1)%s\n", commands_at(i)->name, i + 1 < commands_count() ? "," : "");
}
