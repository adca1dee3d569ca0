/* input.h - reads a prompt or another input from a file or standard input. */
#ifndef HW_CLI_INPUT_H
#define HW_CLI_INPUT_H

#include "headwater.h"

#include <stdio.h>

typedef struct input {
    char *bytes; /* [n] malloc'd; the exact content of the file, without a byte order mark at its start */
    size_t n;
} input;

/* Opens a file to read; NULL with errno. A named pipe without a writer gives the error ETIMEDOUT instead of waiting for
 * ever; one with a writer is read when that writes, and a pipe of the shell, such as <(command), like a file. */
FILE *input_open(const char *path);
/* Why input_open() has failed, from errno. */
const char *input_open_reason(void);

/* Reads `path`; "-" is standard input. Errors, which begin with `what`: IO (it cannot be read, or is too large),
 * MEMORY. */
hw_err input_read(input *in, const char *what, const char *path, hw_error *err);

#endif
