/* command.h - a command of the program: its name, help text and function. */
#ifndef HW_CLI_COMMAND_H
#define HW_CLI_COMMAND_H

#include "cli/options.h"

/* Library tables listed at the end of a command's help; bits. */
enum { LIST_METHODS = 1, LIST_FILTERS = 2, LIST_FORMATS = 4, LIST_PRESETS = 8, LIST_RULES = 16, LIST_FIGURES = 32 };

typedef struct example {
    const char *what, *line;
} example;

typedef struct command {
    const char *name;
    unsigned bit; /* IN_ of options.h */
    const char *summary;
    const char *const *usage; /* [] the last entry is NULL; without "headwater NAME" */
    const char *about;
    const example *examples; /* [] the last entry is empty */
    unsigned lists;          /* LIST_ bits */
    hw_err (*run)(const options *o, hw_error *err);
} command;

#endif
