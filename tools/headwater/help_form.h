/* help_form.h - a page of help as a walk over the tables, and its two forms: text for --help (help.c), roff for manual
 * pages (manual.c). */
#ifndef HW_HELP_FORM_H
#define HW_HELP_FORM_H

#include "cli/command.h"

#include <stdio.h>

typedef struct help_form {
    void (*part)(FILE *out, const char *title);    /* a part of the page begins */
    void (*section)(FILE *out, const char *title); /* a section of the part of options begins */
    void (*option)(FILE *out, const option_row *row, const char *meaning);
    void (*entry)(FILE *out, const char *term, const char *meaning);
    void (*example)(FILE *out, const char *what, const char *line); /* `what` may be NULL */
} help_form;

/* A command's page after usage and description: options, lists of the library's tables, examples, exit statuses. */
void help_tables(FILE *out, const help_form *form, const command *c);
/* Every command with its summary. */
void help_commands(FILE *out, const help_form *form);

#endif
