/* input.h - a prompt or another input from a file or standard input. */
#ifndef HW_CLI_INPUT_H
#define HW_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct input {
    char *bytes; /* [n] malloc'd; exactly what the file holds, without a byte order mark at its start */
    size_t n;
} input;

/* Opens a file to read; NULL with errno. A named pipe that nobody writes to is an error, ETIMEDOUT, and no endless wait; a pipe of
 * the shell, as <(command), is read like a file. */
FILE *input_open(const char *path);
/* Why input_open() has just failed, by errno. */
const char *input_open_reason(void);

/* Reads `path`, "-" being standard input. False, with the reason printed after `what` it is, when it cannot be read or is
 * too large. */
bool input_read(input *in, const char *what, const char *path);

#endif
