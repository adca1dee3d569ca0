/* command_table.c - the commands, in the order of --help. */
#include "command_table.h"

#include <string.h>

extern const command command_explain, command_cite, command_check, command_eval, command_view, command_info,
    command_methods, command_serve, command_plot, command_worker, command_models, command_engine_process;

static const command *const commands[] = {&command_explain, &command_cite,    &command_check, &command_eval,
                                          &command_serve,   &command_view,    &command_plot,  &command_info,
                                          &command_models,  &command_methods, &command_worker};

size_t commands_count(void) { return sizeof commands / sizeof *commands; }
const command *commands_at(size_t i) { return commands[i]; }

const command *commands_find(const char *name) {
    if (strcmp(command_engine_process.name, name) == 0) return &command_engine_process; /* not listed in the help */
    for (size_t i = 0; i < commands_count(); i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}
