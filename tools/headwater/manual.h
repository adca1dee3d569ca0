/* manual.h - manual pages, section 1, of the program and of its commands. */
#ifndef HW_MANUAL_H
#define HW_MANUAL_H

#include "cli/command.h"

#include <stdio.h>

void manual_program(FILE *out);
void manual_command(FILE *out, const command *c);

#endif
