/* prose.h - sentences and shares for a reader. */
#ifndef HW_TERMINAL_PROSE_H
#define HW_TERMINAL_PROSE_H

#include "cli/terminal.h"

typedef struct percent {
    char text[16];
} percent;

/* "44 %"; never 0 % for what is there, nor 100 % for what is not all. */
percent text_percent(double share);

/* Prose in lines that fit the terminal and are not too long to read; each ends its own style. */
void prose_print(const terminal *t, const char *text, void (*style)(const terminal *t));

#endif
