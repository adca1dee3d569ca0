/* command.h - the program's commands: what each is called, what its help says, what runs it. */
#ifndef HW_CLI_COMMAND_H
#define HW_CLI_COMMAND_H

#include "cli/options.h"

/* Tables of the library that a command's help ends with; bits. */
enum { LIST_METHODS = 1, LIST_FILTERS = 2, LIST_FORMATS = 4, LIST_PRESETS = 8, LIST_RULES = 16, LIST_FIGURES = 32 };

typedef struct example {
    const char *what, *line;
} example;

typedef struct command {
    const char *name;
    unsigned bit; /* IN_ of options.h */
    const char *summary;
    const char *const *usage; /* [] ends with NULL; without "headwater NAME" */
    const char *about;
    const example *examples; /* [] ends with an empty one */
    unsigned lists;          /* LIST_ bits */
    int (*run)(const options *o);
} command;

#endif
