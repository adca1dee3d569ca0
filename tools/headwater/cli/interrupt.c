/* interrupt.c - Ctrl-C: the first one stops the work, the second ends the program at once. */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void note(int number) {
    (void)number;
    seen = 1;
}

static void catch_once(int number) {
    /* The first signal restores the default handler, so the second one ends the program. */
    struct sigaction action = {.sa_handler = note, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void interrupt_catch(void) { catch_once(SIGINT); }
void interrupt_catch_terminate(void) { catch_once(SIGTERM); }

bool interrupt_seen(void) { return seen != 0; }

bool interrupt_stop(void *ctx) {
    (void)ctx;
    return interrupt_seen();
}
