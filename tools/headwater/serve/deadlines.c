/* deadlines.c - a table of sockets, and a thread that checks it once a second. */
#include "serve/deadlines.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

typedef struct entry {
    int fd;        /* -1: free */
    time_t before; /* 0: no limit */
} entry;

struct deadlines {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    pthread_t thread;
    bool ends;
    entry entries[MAX_CONNECTIONS];
};

static time_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static int socket_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static void set(deadlines *d, struct MHD_Connection *connection, time_t before) {
    int fd = socket_of(connection);
    pthread_mutex_lock(&d->mutex);
    for (size_t i = 0; i < MAX_CONNECTIONS && fd >= 0; i++)
        if (d->entries[i].fd == fd) d->entries[i].before = before;
    pthread_mutex_unlock(&d->mutex);
}

void deadlines_request_read(deadlines *d, struct MHD_Connection *connection) { set(d, connection, 0); }
void deadlines_request_done(deadlines *d, struct MHD_Connection *connection) {
    set(d, connection, now() + REQUEST_SECONDS);
}

/* A closed connection is removed before the number of its socket can be reused. */
void deadlines_on_connection(void *ctx, struct MHD_Connection *connection, void **slot,
                             enum MHD_ConnectionNotificationCode code) {
    deadlines *d = ctx;
    entry *mine = *slot;
    pthread_mutex_lock(&d->mutex);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED && mine) {
        *mine = (entry){.fd = -1};
    } else if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        for (size_t i = 0; i < MAX_CONNECTIONS && !mine; i++)
            if (d->entries[i].fd < 0) mine = &d->entries[i];
        if (mine) *mine = (entry){socket_of(connection), now() + REQUEST_SECONDS};
        *slot = mine;
    }
    pthread_mutex_unlock(&d->mutex);
}

static void close_late(deadlines *d) {
    time_t at = now();
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        entry *e = &d->entries[i];
        if (e->fd < 0 || !e->before || at < e->before) continue;
        shutdown(e->fd, SHUT_RDWR); /* its thread sees the end of input and closes it */
        e->before = 0;
    }
}

static void *work(void *ctx) {
    deadlines *d = ctx;
    pthread_mutex_lock(&d->mutex);
    while (!d->ends) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        if (pthread_cond_timedwait(&d->ended, &d->mutex, &until) == ETIMEDOUT) close_late(d);
    }
    pthread_mutex_unlock(&d->mutex);
    return NULL;
}

deadlines *deadlines_new(void) {
    deadlines *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) d->entries[i].fd = -1;
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->ended, NULL);
    if (pthread_create(&d->thread, NULL, work, d) == 0) return d;
    pthread_cond_destroy(&d->ended);
    pthread_mutex_destroy(&d->mutex);
    free(d);
    return NULL;
}

void deadlines_free(deadlines *d) {
    if (!d) return;
    pthread_mutex_lock(&d->mutex);
    d->ends = true;
    pthread_cond_signal(&d->ended);
    pthread_mutex_unlock(&d->mutex);
    pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->ended);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}
