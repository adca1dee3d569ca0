/* job_queue.c - a short array with a mutex. */
#include "serve/jobs/job_queue.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    task *waiting[MAX_TASKS_WAITING]; /* [n] oldest first */
    size_t n;
    task *running; /* borrowed from the dispatcher */
    int64_t last_id;
    atomic_bool closed;
};

/* ------------------------------------------------------------------ tasks */

task *task_new(task_kind kind, json_t *body, bool wants_events) {
    task *t = calloc(1, sizeof *t);
    if (!t || !events_init(&t->events, wants_events)) {
        free(t);
        json_decref(body);
        return NULL;
    }
    atomic_init(&t->refs, 1);
    atomic_init(&t->stops, 0);
    atomic_init(&t->making, 0);
    t->kind = kind;
    t->body = body;
    return t;
}

void task_release(task *t) {
    if (!t || atomic_fetch_sub(&t->refs, 1) > 1) return;
    json_decref(t->body);
    buffer_free(&t->result);
    events_clear(&t->events);
    free(t);
}

bool task_is_stopped(task *t) {
    bool left = !t->detached && events_gone(&t->events);
    return atomic_load(&t->stops) > 0 || left || queue_is_closed(t->queue);
}

bool task_is_abandoned(task *t) {
    bool unwanted = t->kind == TASK_ANSWER && events_gone(&t->events); /* nothing of it is stored */
    return unwanted || atomic_load(&t->stops) > 1 || queue_is_closed(t->queue);
}

json_t *error_json(const hw_error *err) {
    return json_pack("{s:s, s:o}", "code", error_kind_of(err->code)->name, "message",
                     hw__json_replaced(err->msg, strlen(err->msg)));
}

/* Sends the event and frees its data; false when memory runs out. */
static bool send(task *t, const char *name, buffer *json) {
    bool ok = !json->failed;
    if (ok) events_send(&t->events, name, json->bytes);
    buffer_free(json);
    return ok;
}

static bool send_json(task *t, const char *name, json_t *json) {
    buffer text = {.n = 0};
    buffer_json(&text, json);
    return send(t, name, &text);
}

static bool send_done(task *t) {
    buffer text = {.n = 0};
    if (t->wrap)
        buffer_splice(&text, json_object(), t->wrap, t->result.bytes, t->result.n);
    else
        buffer_add(&text, t->result.bytes, t->result.n);
    return send(t, "done", &text);
}

void task_end(task *t, bool done) {
    if (done && (t->result.failed || (t->events.wanted && !send_done(t))))
        done = error_set(&t->error, HW_ERR_MEMORY, "no memory for the answer");
    t->failed = !done;
    if (t->events.wanted && !done) send_json(t, "error", error_json(&t->error));
    events_end(&t->events);
}

/* ------------------------------------------------------------------ the queue */

queue *queue_new(void) {
    queue *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&q->closed, false);
    return q;
}

void queue_free(queue *q) {
    if (!q) return;
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

/* Sends the number of tasks ahead: 0 means running. Call with the mutex held. */
static void send_position(task *t, size_t position) {
    send_json(t, "queued", json_pack("{s:I, s:I}", "job", (json_int_t)t->id, "position", (json_int_t)position));
}

static void send_positions(queue *q) {
    for (size_t i = 0; i < q->n; i++) send_position(q->waiting[i], i + (q->running != NULL));
}

bool queue_add(queue *q, task *t, hw_error *err) {
    bool ok = true;
    pthread_mutex_lock(&q->mutex);
    if (atomic_load(&q->closed)) {
        ok = error_set(err, ERR_CLOSING, "the server is stopping");
    } else if (q->n == MAX_TASKS_WAITING) {
        ok = error_set(err, ERR_BUSY, "%d jobs are waiting already: try again later", MAX_TASKS_WAITING);
    } else {
        atomic_fetch_add(&t->refs, 1);
        t->queue = q;
        t->id = ++q->last_id;
        q->waiting[q->n++] = t;
        send_position(t, q->n - 1 + (q->running != NULL));
        pthread_cond_signal(&q->changed);
    }
    pthread_mutex_unlock(&q->mutex);
    return ok;
}

/* Removes entry `i`; the caller gets its reference. */
static task *take_out(queue *q, size_t i) {
    task *t = q->waiting[i];
    memmove(&q->waiting[i], &q->waiting[i + 1], (--q->n - i) * sizeof *q->waiting);
    return t;
}

static struct timespec moment_in(int ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + (int64_t)ms * 1000000;
    return (struct timespec){.tv_sec = t.tv_sec + (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

task *queue_take(queue *q, int wait_ms) {
    task *t = NULL;
    struct timespec until = moment_in(wait_ms);
    pthread_mutex_lock(&q->mutex);
    while (q->n == 0 && !atomic_load(&q->closed))
        if (pthread_cond_timedwait(&q->changed, &q->mutex, &until) != 0) break;
    if (q->n > 0 && !atomic_load(&q->closed)) {
        t = q->running = take_out(q, 0);
        send_position(t, 0);
        send_positions(q);
    }
    pthread_mutex_unlock(&q->mutex);
    return t;
}

void queue_done(queue *q) {
    pthread_mutex_lock(&q->mutex);
    q->running = NULL;
    pthread_mutex_unlock(&q->mutex);
}

/* Ends a task that has not started. */
static void end_waiting(task *t, int code, const char *message) {
    error_set(&t->error, code, "%s", message);
    task_end(t, false);
    task_release(t);
}

task *queue_find(queue *q, int64_t id) {
    task *found = NULL;
    pthread_mutex_lock(&q->mutex);
    if (q->running && q->running->id == id) found = q->running;
    for (size_t i = 0; i < q->n && !found; i++)
        if (q->waiting[i]->id == id) found = q->waiting[i];
    if (found) atomic_fetch_add(&found->refs, 1);
    pthread_mutex_unlock(&q->mutex);
    return found;
}

int64_t queue_job_of(queue *q, int64_t run) {
    pthread_mutex_lock(&q->mutex);
    int64_t job = q->running && atomic_load(&q->running->making) == run ? q->running->id : 0;
    pthread_mutex_unlock(&q->mutex);
    return job;
}

bool queue_stop(queue *q, int64_t id) {
    task *out = NULL;
    bool found = false;
    pthread_mutex_lock(&q->mutex);
    if (q->running && q->running->id == id) {
        atomic_fetch_add(&q->running->stops, 1);
        found = true;
    }
    for (size_t i = 0; i < q->n && !out; i++)
        if (q->waiting[i]->id == id) out = take_out(q, i);
    if (out) send_positions(q);
    pthread_mutex_unlock(&q->mutex);
    if (out) end_waiting(out, HW_ERR_CANCELLED, "stopped before it began");
    return found || out;
}

void queue_leave(queue *q, task *t) {
    task *out = NULL;
    events_leave(&t->events);
    if (t->detached) return;
    pthread_mutex_lock(&q->mutex);
    for (size_t i = 0; i < q->n && !out; i++)
        if (q->waiting[i] == t) out = take_out(q, i);
    if (out) send_positions(q);
    pthread_mutex_unlock(&q->mutex);
    if (out) end_waiting(out, HW_ERR_CANCELLED, "its client left");
}

size_t queue_size(queue *q) {
    pthread_mutex_lock(&q->mutex);
    size_t n = q->n + (q->running != NULL);
    pthread_mutex_unlock(&q->mutex);
    return n;
}

void queue_close(queue *q) {
    task *out[MAX_TASKS_WAITING];
    pthread_mutex_lock(&q->mutex);
    atomic_store(&q->closed, true);
    size_t n = q->n;
    memcpy(out, q->waiting, n * sizeof *out);
    q->n = 0;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->mutex);
    for (size_t i = 0; i < n; i++) end_waiting(out[i], ERR_CLOSING, "the server is stopping");
}

bool queue_is_closed(queue *q) { return atomic_load(&q->closed); }
