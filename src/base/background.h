/*
 * background.h - runs work on a thread while the caller does something else.
 */
#ifndef HW_BASE_BACKGROUND_H
#define HW_BASE_BACKGROUND_H

#include <pthread.h>
#include <stdbool.h>

/* Must not be moved between start and wait. */
typedef struct hw__background {
    void (*work)(void *ctx);
    void *ctx;
    pthread_t thread;
    bool runs; /* the thread has not been joined */
} hw__background;

/* Starts work(ctx) on a thread that receives no signals; runs it directly if no thread can be created. */
void hw__background_start(hw__background *b, void (*work)(void *ctx), void *ctx);
/* Waits for the end of the work; returns at once if none was started. */
void hw__background_wait(hw__background *b);

#endif
