/* interrupt.h - Ctrl-C: the first one stops the work, the second ends the program at once. */
#ifndef HW_CLI_INTERRUPT_H
#define HW_CLI_INTERRUPT_H

#include <stdbool.h>

void interrupt_catch(void);
/* The same for SIGTERM. */
void interrupt_catch_terminate(void);
bool interrupt_seen(void);
/* interrupt_seen() as an hw_stop_fn. */
bool interrupt_stop(void *ctx);

#endif
