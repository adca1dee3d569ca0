/*
 * background.h - work that a thread of its own does while the caller does something else.
 */
#ifndef HW_BASE_BACKGROUND_H
#define HW_BASE_BACKGROUND_H

#include <pthread.h>
#include <stdbool.h>

/* Does not move from start to wait. */
typedef struct hw__background {
    void (*work)(void *ctx);
    void *ctx;
    pthread_t thread;
    bool runs; /* the thread has not been waited for */
} hw__background;

/* Begins work(ctx) on a thread that takes no signals; does it before it returns where no thread can be had. */
void hw__background_start(hw__background *b, void (*work)(void *ctx), void *ctx);
/* Returns when the work is done; at once where none was begun. */
void hw__background_wait(hw__background *b);

#endif
