/* help.h - prints --help. */
#ifndef HW_HELP_H
#define HW_HELP_H

#include "cli/command.h"

#include <stdio.h>

void help_program(FILE *out);
void help_command(FILE *out, const command *c);

#endif
