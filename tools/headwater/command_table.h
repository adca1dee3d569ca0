/* command_table.h - the table of commands: a new one is a file of commands/ and a row in command_table.c. */
#ifndef HW_COMMAND_TABLE_H
#define HW_COMMAND_TABLE_H

#include "cli/command.h"

size_t commands_count(void);
const command *commands_at(size_t i);
const command *commands_find(const char *name); /* NULL: unknown command */

#endif
