/* message.h - remarks and errors on standard error. */
#ifndef HW_CLI_MESSAGE_H
#define HW_CLI_MESSAGE_H

#include "cli/error_kinds.h"

/* Prints one line on standard error, sanitised for a terminal, after "headwater: ". */
void message(const char *fmt, ...) HW_PRINTF(1, 2);
/* Ends a command with an error: prints it, for a wrong command line with a pointer to the help of `command` (NULL: of
 * the program), and returns the exit status of its kind (error_kinds.h). */
int error_exit(const char *command, const hw_error *err);
/* Prints an error after which the command goes on, and returns the code with which it is to end. */
hw_err error_report(const hw_error *err);

#endif
