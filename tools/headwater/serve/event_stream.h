/*
 * event_stream.h - what a job tells its client while it works: server-sent events in a bounded buffer.
 *
 * The dispatcher writes, the client's own thread reads. A client that does not read fast enough, or is gone, ends the
 * stream, and with it the job: nobody waits for it.
 */
#ifndef HW_SERVE_EVENT_STREAM_H
#define HW_SERVE_EVENT_STREAM_H

#include "export/text_buffer.h"

#include <pthread.h>

typedef struct events {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    buffer waiting; /* from `at` on not yet read */
    size_t at;
    bool wanted; /* false: the client waits for one answer, and events are dropped */
    bool ended;  /* all is said */
    bool gone;   /* the client does not read any more */
} events;

bool events_init(events *e, bool wanted);
void events_clear(events *e);

/* By the dispatcher. One event, `json` its data; waits a few seconds for a slow client. */
void events_send(events *e, const char *name, const char *json);
void events_end(events *e);
/* Whether the client is gone. */
bool events_gone(events *e);

/* By the reader. Copies up to `room` bytes, waiting at most `wait_ms`. 0: none came; -1: none will come. */
long events_read(events *e, char *to, size_t room, int wait_ms);
void events_leave(events *e);

#endif
