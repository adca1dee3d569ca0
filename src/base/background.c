/* background.c - see background.h. */
#include "base/background.h"

#include <signal.h>

static void *run(void *argument) {
    hw__background *b = argument;
    b->work(b->ctx);
    return NULL;
}

void hw__background_start(hw__background *b, void (*work)(void *ctx), void *ctx) {
    sigset_t all, before;
    b->work = work;
    b->ctx = ctx;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
    b->runs = pthread_create(&b->thread, NULL, run, b) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!b->runs) work(ctx);
}

void hw__background_wait(hw__background *b) {
    if (b->runs) pthread_join(b->thread, NULL);
    b->runs = false;
}
