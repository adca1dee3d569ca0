/*
 * command_table.h - the table of commands: a new one is a file of commands/ and a row in command_table.c.
 *
 * The folder headwater/: the program: main.c finds a command, help.c prints the tables. What it does is in the folders,
 * which the order of layers in docs/design/design.md lists.
 */
#ifndef HW_COMMAND_TABLE_H
#define HW_COMMAND_TABLE_H

#include "cli/command.h"

size_t commands_count(void);
const command *commands_at(size_t i);
const command *commands_find(const char *name); /* NULL: unknown command */

#endif
