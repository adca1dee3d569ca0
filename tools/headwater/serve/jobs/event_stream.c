/* event_stream.c - a buffer with a mutex; the limit applies to what the client has not read. */
#include "serve/jobs/event_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_WAITING = 32 << 20, PATIENCE_MS = 5000 };

bool events_init(events *e, bool wanted) {
    *e = (events){.wanted = wanted};
    if (pthread_mutex_init(&e->mutex, NULL) != 0) return false;
    pthread_condattr_t attr;
    bool ok = pthread_condattr_init(&attr) == 0 && pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&e->changed, &attr) == 0;
    if (!ok) pthread_mutex_destroy(&e->mutex);
    return ok;
}

void events_clear(events *e) {
    for (size_t i = 0; i < N_PAST; i++) buffer_free(&e->past[i]);
    if (e->writer.free) e->writer.free(e->writer.ctx);
    buffer_free(&e->waiting);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->mutex);
}

static struct timespec in_ms(int ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static size_t unread(const events *e) { return e->waiting.n - e->at; }

static const struct {
    const char *name;
    size_t place; /* in `past` */
    bool newest;  /* replaces the one before */
} kept[] = {{"queued", 0, true},   {"prefill", 1, true}, {"prompt", 2, false},
            {"started", 2, false}, {"token", 2, false},  {"cited", 3, true}};

static void put_event(buffer *out, const char *name, const char *json) {
    const char *const parts[] = {"event: ", name, "\ndata: ", json, "\n\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) buffer_text(out, parts[i]);
}

/* A past that is too long, or has no memory, is given up: later clients then get the new events only. */
static void remember(events *e, const char *name, const char *json) {
    for (size_t i = 0; e->recalls && i < sizeof kept / sizeof *kept; i++) {
        if (strcmp(kept[i].name, name) != 0) continue;
        buffer *past = &e->past[kept[i].place];
        if (kept[i].newest) buffer_free(past);
        put_event(past, name, json);
        e->recalls = !past->failed && past->n < MAX_WAITING;
    }
    for (size_t i = 0; !e->recalls && i < N_PAST; i++) buffer_free(&e->past[i]);
}

static void offer(events *watcher, const char *name, const char *json) {
    pthread_mutex_lock(&watcher->mutex);
    if (unread(watcher) >= MAX_WAITING) watcher->gone = true;
    if (!watcher->gone) put_event(&watcher->waiting, name, json);
    if (watcher->waiting.failed) watcher->gone = true;
    pthread_cond_broadcast(&watcher->changed);
    pthread_mutex_unlock(&watcher->mutex);
}

void events_send(events *e, const char *name, const char *json) {
    struct timespec until = in_ms(PATIENCE_MS);
    pthread_mutex_lock(&e->mutex);
    while (e->wanted && !e->gone && unread(e) >= MAX_WAITING)
        if (pthread_cond_timedwait(&e->changed, &e->mutex, &until) == ETIMEDOUT) e->gone = true;
    if (e->wanted && !e->gone && !e->ended) {
        if (e->writer.write)
            e->writer.write(e->writer.ctx, &e->waiting, name, json);
        else
            put_event(&e->waiting, name, json);
        if (e->waiting.failed) e->gone = true; /* no memory for this client */
        pthread_cond_broadcast(&e->changed);
    }
    remember(e, name, json);
    for (events *w = e->watchers; w; w = w->next) offer(w, name, json);
    pthread_mutex_unlock(&e->mutex);
}

void events_end(events *e) {
    pthread_mutex_lock(&e->mutex);
    e->ended = true;
    pthread_cond_broadcast(&e->changed);
    for (events *w = e->watchers; w; w = w->next) events_end(w);
    pthread_mutex_unlock(&e->mutex);
}

bool events_gone(events *e) {
    pthread_mutex_lock(&e->mutex);
    bool gone = e->gone;
    pthread_mutex_unlock(&e->mutex);
    return gone;
}

/* Frees the buffer as soon as everything in it was read. */
static long take(events *e, char *to, size_t capacity) {
    size_t n = unread(e) < capacity ? unread(e) : capacity;
    memcpy(to, e->waiting.bytes + e->at, n);
    e->at += n;
    if (unread(e) == 0) {
        buffer_free(&e->waiting);
        e->at = 0;
    } else if (e->at >= MAX_WAITING) {
        memmove(e->waiting.bytes, e->waiting.bytes + e->at, unread(e));
        e->waiting.n -= e->at;
        e->at = 0;
    }
    pthread_cond_broadcast(&e->changed);
    return (long)n;
}

/* Waits until something can be read or the stream has ended; call with the mutex held. */
static void wait_to_read(events *e, int wait_ms) {
    struct timespec until = in_ms(wait_ms);
    while (unread(e) == 0 && !e->ended && !e->gone)
        if (pthread_cond_timedwait(&e->changed, &e->mutex, &until) != 0) break;
}

int events_wait(events *e, int wait_ms) {
    pthread_mutex_lock(&e->mutex);
    wait_to_read(e, wait_ms);
    int state = e->gone ? -1 : unread(e) > 0 ? 1 : e->ended ? -1 : 0;
    pthread_mutex_unlock(&e->mutex);
    return state;
}

long events_read(events *e, char *to, size_t capacity, int wait_ms) {
    long n = 0;
    pthread_mutex_lock(&e->mutex);
    wait_to_read(e, wait_ms);
    if (unread(e) > 0 && !e->gone) {
        n = take(e, to, capacity);
    } else if (e->ended || e->gone) {
        n = -1;
    }
    pthread_mutex_unlock(&e->mutex);
    return n;
}

void events_leave(events *e) {
    pthread_mutex_lock(&e->mutex);
    e->gone = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
}

events *events_watch(events *e) {
    events *w = malloc(sizeof *w);
    if (!w || !events_init(w, true)) {
        free(w);
        return NULL;
    }
    pthread_mutex_lock(&e->mutex);
    for (size_t i = 0; i < N_PAST; i++)
        if (e->past[i].n) buffer_add(&w->waiting, e->past[i].bytes, e->past[i].n);
    w->gone = w->waiting.failed;
    w->ended = e->ended;
    w->next = e->watchers;
    e->watchers = w;
    pthread_mutex_unlock(&e->mutex);
    return w;
}

void events_unwatch(events *e, events *watcher) {
    pthread_mutex_lock(&e->mutex);
    events **at = &e->watchers;
    while (*at != watcher) at = &(*at)->next;
    *at = watcher->next;
    pthread_mutex_unlock(&e->mutex);
    events_clear(watcher);
    free(watcher);
}
