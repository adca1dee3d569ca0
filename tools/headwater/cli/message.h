/* message.h - errors and remarks on standard error, with the exit status that each means. */
#ifndef HW_CLI_MESSAGE_H
#define HW_CLI_MESSAGE_H

#include "cli/error_kinds.h"

/* Prints one line on standard error, sanitised for a terminal, after "headwater: ". */
void message(const char *fmt, ...) HW_PRINTF(1, 2);
/* The same; returns the exit status. */
int fail(const char *fmt, ...) HW_PRINTF(1, 2);
/* Prints an error; the status is that of its kind (error_kinds.h), and 1 for a value outside what is accepted, which
 * may be of a file: fail_value() is for those of the command line. */
int fail_by(const hw_error *err);
/* Prints the error of a value of the command line, after `what`: misuse where the value is outside what is accepted. */
int fail_value(const char *command, const char *what, const hw_error *err);
/* The same for a wrong command line: adds a pointer to the command's help (`command` may be NULL). */
int misuse(const char *command, const char *fmt, ...) HW_PRINTF(2, 3);

#endif
