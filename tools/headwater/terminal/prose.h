/* prose.h - prints sentences and shares. */
#ifndef HW_TERMINAL_PROSE_H
#define HW_TERMINAL_PROSE_H

#include "cli/terminal.h"

typedef struct percent {
    char text[16];
} percent;

/* "44 %"; never 0 % for a share above 0, nor 100 % for a share below 1. */
percent text_percent(double share);

/* Prints text in lines that fit the terminal and have a readable length; each line resets its style. */
void prose_print(const terminal *t, const char *text, void (*style)(const terminal *t));

#endif
