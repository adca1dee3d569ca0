/*
 * event_stream.h - events that a job sends its client while it runs: server-sent events in a bounded buffer.
 *
 * The dispatcher writes, the client's own thread reads. A client that reads too slowly or disconnects ends the stream,
 * and with it the job.
 */
#ifndef HW_SERVE_JOBS_EVENT_STREAM_H
#define HW_SERVE_JOBS_EVENT_STREAM_H

#include "export/text_buffer.h"

#include <pthread.h>

/* What is kept for clients that come later, in the order in which they get it: the newest `queued` and `prefill`, all
 * of `prompt`, `started` and `token`, the newest `cited`. */
enum { N_PAST = 4 };

/* Writes an event in the form of another API, or nothing; by default it is a server-sent event with its name. */
typedef struct event_writer {
    void (*write)(void *ctx, buffer *out, const char *name, const char *json); /* NULL: the default */
    void (*free)(void *ctx);
    void *ctx; /* owned by the stream */
} event_writer;

typedef struct events events;
struct events {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    buffer waiting; /* bytes from `at` on are not read yet */
    size_t at;
    event_writer writer; /* set before the first event */
    bool wanted;         /* false: the client waits for a single answer, and events are dropped */
    bool ended;          /* the last event was added */
    bool gone;           /* the client has stopped reading */
    bool recalls;        /* past events are kept; set before the first event */
    buffer past[N_PAST];
    events *watchers; /* further readers, linked by `next` */
    events *next;
};

bool events_init(events *e, bool wanted);
void events_clear(events *e);

/* Called by the dispatcher. Adds one event with data `json`; waits a few seconds for a slow client. */
void events_send(events *e, const char *name, const char *json);
void events_end(events *e);
/* Whether the client has stopped reading. */
bool events_gone(events *e);

/* Called by the client's thread. Copies up to `capacity` bytes, waiting at most `wait_ms`. 0: timeout; -1: the stream
 * has ended. */
long events_read(events *e, char *to, size_t capacity, int wait_ms);
/* Waits at most `wait_ms` until there is something to read (1) or the stream has ended without (-1). 0: timeout. */
int events_wait(events *e, int wait_ms);
void events_leave(events *e);

/* A further reader of the same events: first the kept ones, then each new one. It is read as above, delays nobody, and
 * is dropped when it reads too slowly. Release with events_unwatch() before `e`; NULL when memory runs out. */
events *events_watch(events *e);
void events_unwatch(events *e, events *watcher);

#endif
