/* completion.h - what may follow on a command line, for the completion functions of shells (tools/completion/). */
#ifndef HW_COMPLETION_H
#define HW_COMPLETION_H

#include <stdio.h>

/*
 * Words of a command line after the program's name [n]; the last one, which may be empty, is to be completed. Prints
 * a line "files" if file names may stand there, else "words", and then a line for each candidate: the whole word, a
 * tab, and what it means (may be empty).
 */
void completion_print(FILE *out, int n, char **words);

#endif
