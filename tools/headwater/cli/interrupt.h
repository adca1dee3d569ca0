/* interrupt.h - Ctrl-C: the first asks the work to stop, the second ends the program at once. */
#ifndef HW_CLI_INTERRUPT_H
#define HW_CLI_INTERRUPT_H

#include <stdbool.h>

void interrupt_catch(void);
/* The same for the signal that asks a program to end. */
void interrupt_catch_terminate(void);
bool interrupt_seen(void);
/* The same as an hw_stop_fn. */
bool interrupt_stop(void *ctx);

#endif
