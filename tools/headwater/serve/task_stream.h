/*
 * task_stream.h - the client's thread while its task waits and runs: it streams events or waits for the end.
 *
 * It checks the connection several times a second, so that a disconnect is detected even while nothing is sent.
 */
#ifndef HW_SERVE_TASK_STREAM_H
#define HW_SERVE_TASK_STREAM_H

#include "serve/answer.h"

/* An answer that sends the task's events; takes ownership of the reference. */
answer stream_events(call *c, task *t);
/* An answer that sends what a running or waiting task has sent so far, and then the rest; takes ownership of the
 * reference. */
answer stream_watched(call *c, task *t);
/* An answer that sends what changes in the list of runs, until the server ends or the client leaves. */
answer stream_news(call *c);
/* Waits until the task has ended; false: the client disconnected before. */
bool wait_for_task(call *c, task *t);
/* Waits until there are events to stream (1) or the task has ended without (0); -1: the client disconnected. */
int wait_for_events(call *c, task *t);

#endif
