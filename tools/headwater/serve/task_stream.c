/* task_stream.c - see task_stream.h. */
#include "serve/task_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LOOK_MS = 200, SILENT_LOOKS = 50, EVENT_BLOCK = 32 << 10 };

/* Whether the client has closed the connection. */
static bool is_closed(int fd) {
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static int socket_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

typedef struct stream {
    task *task;      /* a counted reference; NULL: the server's news */
    events *watched; /* what `source` is a watcher of; NULL: `source` is the task's own client */
    events *source;
    int fd, silent;
} stream;

static void leave(const stream *s) {
    if (s->watched)
        events_leave(s->source);
    else
        queue_leave(s->task->queue, s->task);
}

/* A content reader for libmicrohttpd. Sends a comment from time to time to show that the server is alive. */
static ssize_t read_events(void *ctx, uint64_t position, char *to, size_t capacity) {
    static const char comment[] = ":\n\n";
    stream *s = ctx;
    (void)position;
    for (;;) {
        long n = events_read(s->source, to, capacity, LOOK_MS);
        if (n > 0) {
            s->silent = 0;
            return n;
        }
        if (n < 0) return events_gone(s->source) ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
        if (is_closed(s->fd)) {
            leave(s);
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
        if (++s->silent < SILENT_LOOKS || capacity < sizeof comment) continue;
        s->silent = 0;
        memcpy(to, comment, sizeof comment - 1);
        return sizeof comment - 1;
    }
}

static void free_stream(void *ctx) {
    stream *s = ctx;
    leave(s); /* has no effect if the task has ended */
    if (s->watched) events_unwatch(s->watched, s->source);
    task_release(s->task);
    free(s);
}

/* Takes ownership of what `begun` refers to. */
static answer stream_new(call *c, stream begun) {
    stream *s = begun.source ? malloc(sizeof *s) : NULL;
    answer a = {200, NULL};
    if (s) {
        *s = begun;
        s->fd = socket_of(c->connection);
        a.response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, EVENT_BLOCK, read_events, s, free_stream);
    }
    if (!a.response) {
        if (begun.source) leave(&begun);
        if (begun.source && begun.watched) events_unwatch(begun.watched, begun.source);
        task_release(begun.task);
        free(s);
        return a;
    }
    MHD_add_response_header(a.response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    return a;
}

answer stream_events(call *c, task *t) { return stream_new(c, (stream){.task = t, .source = &t->events}); }

answer stream_watched(call *c, task *t) {
    return stream_new(c, (stream){.task = t, .watched = &t->events, .source = events_watch(&t->events)});
}

answer stream_news(call *c) {
    events *news = &c->server->news;
    return stream_new(c, (stream){.watched = news, .source = events_watch(news)});
}

bool wait_for_task(call *c, task *t) {
    int fd = socket_of(c->connection);
    char none[1];
    while (events_read(&t->events, none, sizeof none, LOOK_MS) >= 0)
        if (is_closed(fd)) queue_leave(t->queue, t);
    return !events_gone(&t->events);
}

int wait_for_events(call *c, task *t) {
    int fd = socket_of(c->connection), state;
    while ((state = events_wait(&t->events, LOOK_MS)) == 0)
        if (is_closed(fd)) queue_leave(t->queue, t);
    return state > 0 ? 1 : events_gone(&t->events) ? -1 : 0;
}
