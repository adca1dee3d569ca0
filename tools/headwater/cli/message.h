/* message.h - errors and remarks on standard error, and the program's exit statuses. */
#ifndef HW_CLI_MESSAGE_H
#define HW_CLI_MESSAGE_H

#include "headwater.h"

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_INTERRUPTED = 130 };

/* One line on standard error, made safe for a terminal, after "headwater: ". */
void message(const char *fmt, ...) HW_PRINTF(1, 2);
/* The same, and the status to exit with. */
int fail(const char *fmt, ...) HW_PRINTF(1, 2);
/* For a command line that cannot be right: also points to the command's help (`command` may be NULL). */
int misuse(const char *command, const char *fmt, ...) HW_PRINTF(2, 3);

#endif
