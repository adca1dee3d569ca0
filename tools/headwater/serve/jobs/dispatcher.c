/*
 * dispatcher.c - runs one task at a time:
 *
 *     task -> engine; then until it ends: events to the client, answers to store calls, stops to the engine
 */
#include "serve/jobs/dispatcher.h"

#include "base/json.h"
#include "cli/clock.h"
#include "cli/message.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Intervals for checking whether a task was stopped, and whether the idle engine process is alive. */
enum { LOOK_MS = 50, IDLE_LOOK_MS = 200 };
/* Time that an abandoned task may continue when the server shuts down, and else. */
static const double CLOSING_S = 3, ABANDONED_S = 5;
/* How old a token may get before it is saved. */
static const double SAVE_S = 0.25;

/* A task in progress. */
typedef struct running {
    dispatcher *d;
    task *task;
    int64_t run;       /* for explain: id of its row while it is not finished; else 0 */
    bool keeps;        /* the row has a document, which stays if the run does not succeed */
    buffer completion; /* completion so far */
    size_t n_saved;    /* its bytes that are in the store, as of `saved_at`, clock_seconds() */
    double saved_at;
    bool unsaved;      /* the store refused them */
    int stop;          /* STOP_, as sent to the engine */
    double stopped_at; /* time at which STOP_NOW was sent, clock_seconds() */
    bool killed;       /* because it did not stop */
    bool ended, done;  /* the engine sent its last frame; and that is a result */
} running;

/* ------------------------------------------------------------------ files on their way */

static void folder_path(const dispatcher *d, const char *name, char *out, size_t capacity) {
    snprintf(out, capacity, "%s/%s", d->folder, name);
}

/* Removes files left by a process that has ended. */
static void empty_folder(const dispatcher *d) {
    DIR *folder = opendir(d->folder);
    char path[sizeof d->folder + sizeof((struct dirent *)0)->d_name];
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        folder_path(d, entry->d_name, path, sizeof path);
        if (entry->d_name[0] != '.' || entry->d_name[strspn(entry->d_name, ".")]) unlink(path);
    }
    closedir(folder);
}

/* File name in the folder from a frame; NULL if it would leave the folder. */
static const char *file_name(const frame *in) {
    if (in->n == 0 || in->bytes[in->n - 1] != 0 || in->n > 100 || strchr(in->bytes, '/') || in->bytes[0] == '.')
        return NULL;
    return in->bytes;
}

/* Reads a file into the result and removes it. */
static bool take_file(const dispatcher *d, task *t, const char *name) {
    struct stat info;
    char path[192], piece[1 << 16];
    if (!name) return error_set(&t->error, HW_ERR_IO, "the export has no name");
    folder_path(d, name, path, sizeof path);
    FILE *file = fopen(path, "rb");
    bool ok = file && fstat(fileno(file), &info) == 0;
    for (size_t n; ok && (n = fread(piece, 1, sizeof piece, file)) > 0;) buffer_add(&t->result, piece, n);
    ok = ok && !ferror(file);
    if (!ok) error_set(&t->error, HW_ERR_IO, "the export cannot be read back: %s", strerror(errno));
    if (file) fclose(file);
    unlink(path);
    return ok;
}

/* ------------------------------------------------------------------ calls of the store */

static void send_started(running *r) {
    char text[80];
    atomic_store(&r->task->making, r->run);
    snprintf(text, sizeof text, "{\"job\": %lld, \"run\": %lld}", (long long)r->task->id, (long long)r->run);
    events_send(&r->task->events, "started", text);
}

static bool call_begin(running *r, const frame *in, buffer *answer, hw_error *err) {
    (void)in;
    task *t = r->task;
    r->keeps = t->continues;
    if (t->run) {
        if (!t->continues && !store_retry(r->d->store, t->run, err)) return false;
        r->run = t->run;
    } else {
        char *request = hw__json_dump(t->body, JSON_COMPACT | JSON_REAL_PRECISION(17));
        if (!request) return error_set(err, HW_ERR_MEMORY, "no memory for the request");
        r->run = store_begin(r->d->store, &t->explain, request, &r->d->engine->model, err);
        free(request);
    }
    buffer_add(answer, &r->run, sizeof r->run);
    if (r->run) send_started(r);
    return r->run != 0;
}

static void count_tokens(dispatcher *d, int64_t n_prompt, int64_t n_completion) {
    atomic_fetch_add(&d->metrics->prompt_tokens, (unsigned long)n_prompt);
    atomic_fetch_add(&d->metrics->completion_tokens, (unsigned long)n_completion);
}

static bool call_finish(running *r, const frame *in, buffer *answer, hw_error *err) {
    (void)answer;
    finish_call head;
    char path[192];
    if (in->n < sizeof head) return error_set(err, HW_ERR_IO, "a run without its tokens");
    memcpy(&head, in->bytes, sizeof head);
    if (head.n_bytes > in->n - sizeof head || in->n == sizeof head + head.n_bytes || in->bytes[in->n - 1] != 0)
        return error_set(err, HW_ERR_IO, "a run without its document");
    const char *completion = in->bytes + sizeof head;
    folder_path(r->d, TRACE_FILE, path, sizeof path);
    finished what = {.n_prompt = head.n_prompt,
                     .n_completion = head.n_completion,
                     .completion = {completion, head.n_bytes},
                     .document = completion + head.n_bytes,
                     .trace_path = head.traced ? path : NULL};
    bool ok = store_finish(r->d->store, r->run, &what, err);
    count_tokens(r->d, head.n_prompt, head.n_completion);
    if (ok) r->task->run = r->run;
    if (ok) r->run = 0; /* the run is stored, whatever happens next */
    return ok;
}

static bool call_has(running *r, const frame *in, buffer *answer, hw_error *err) {
    (void)in;
    (void)answer;
    return store_has(r->d->store, r->task->run, err);
}

static bool call_get(running *r, const frame *in, buffer *answer, hw_error *err) {
    (void)in;
    return store_get(r->d->store, r->task->run, answer, err);
}

static bool call_request(running *r, const frame *in, buffer *answer, hw_error *err) {
    (void)in;
    char *text = store_request(r->d->store, r->task->run, err);
    buffer_text(answer, text ? text : "");
    free(text);
    return text != NULL;
}

static bool call_trace(running *r, const frame *in, buffer *answer, hw_error *err) {
    (void)answer;
    char path[192];
    const char *name = file_name(in);
    if (!name) return error_set(err, HW_ERR_IO, "the trace has no name");
    folder_path(r->d, name, path, sizeof path);
    return store_trace(r->d->store, r->task->run, path, err);
}

static bool call_amend(running *r, const frame *in, buffer *answer, hw_error *err) {
    (void)answer;
    bool no_memory;
    json_t *json = in->n ? hw__json_read(in->bytes, in->n - 1, JSON_ALLOW_NUL, &no_memory, NULL) : NULL;
    json_t *list = json_object_get(json, "attributions"), *members = json_object_get(json, "members");
    bool ok = json ? store_amend(r->d->store, r->task->run, json_is_array(list) ? list : NULL,
                                 json_is_object(members) ? members : NULL, err)
                   : error_set(err, HW_ERR_MEMORY, "no memory for the explanation");
    json_decref(json);
    return ok;
}

static const struct {
    frame_type type;
    bool (*call)(running *r, const frame *in, buffer *answer, hw_error *err);
} calls[] = {
    {FRAME_CALL_BEGIN, call_begin}, {FRAME_CALL_FINISH, call_finish},   {FRAME_CALL_HAS, call_has},
    {FRAME_CALL_GET, call_get},     {FRAME_CALL_REQUEST, call_request}, {FRAME_CALL_TRACE, call_trace},
    {FRAME_CALL_AMEND, call_amend},
};

/* False: the frame is not a store call. */
static bool answer_call(running *r, const frame *in) {
    channel *c = &r->d->engine->channel;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (calls[i].type != in->type) continue;
        buffer answer = {.n = 0};
        hw_error err = {.code = HW_ERR_IO};
        bool ok = calls[i].call(r, in, &answer, &err);
        if (ok && answer.failed) ok = error_set(&err, HW_ERR_MEMORY, "no memory for what the store gives");
        if (ok)
            channel_send_bytes(c, FRAME_ANSWER, answer.bytes, answer.n);
        else
            channel_send_bytes(c, FRAME_REFUSAL, &err, sizeof err);
        buffer_free(&answer);
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------ what the engine says */

static void send_event(task *t, const frame *in) {
    size_t n = in->n ? strnlen(in->bytes, in->n) : 0;
    if (n + 1 < in->n && in->bytes[in->n - 1] == 0) events_send(&t->events, in->bytes, in->bytes + n + 1);
}

/* Saves the completion so far; a failure is reported once a run, which goes on. */
static void save_progress(running *r) {
    hw_error err;
    if (!r->run || r->keeps || r->completion.failed || r->n_saved == r->completion.n) return;
    bool ok = store_progress(r->d->store, r->run, (span_of_text){r->completion.bytes, r->completion.n}, &err);
    if (!ok && !r->unsaved) message("run %lld: its tokens so far are not saved: %s", (long long)r->run, err.msg);
    r->unsaved = r->unsaved || !ok;
    r->n_saved = r->completion.n;
    r->saved_at = clock_seconds();
}

/* The client gets the token first. Each save costs more than the rest of the frame's way, so tokens are saved
 * together. */
static void take_token(running *r, const frame *in) {
    uint32_t n = 0;
    if (in->n >= sizeof n) memcpy(&n, in->bytes, sizeof n);
    if (in->n < sizeof n || n > in->n - sizeof n) return;
    size_t at = sizeof n + n;
    if (in->n > at + 1 && in->bytes[in->n - 1] == 0) events_send(&r->task->events, "token", in->bytes + at);
    buffer_add(&r->completion, in->bytes + sizeof n, n);
}

static void take_usage(running *r, const frame *in) {
    int64_t n[2];
    if (in->n != sizeof n) return;
    memcpy(n, in->bytes, sizeof n);
    count_tokens(r->d, n[0], n[1]);
}

static void end_with(running *r, bool done) {
    r->ended = true;
    r->done = done;
}

static void take_frame(running *r, const frame *in) {
    task *t = r->task;
    engine_process *e = r->d->engine;
    switch (in->type) {
    case FRAME_EVENT: send_event(t, in); break;
    case FRAME_TOKEN: take_token(r, in); break;
    case FRAME_USAGE: take_usage(r, in); break;
    case FRAME_DONE:
        buffer_add(&t->result, in->bytes, in->n);
        end_with(r, true);
        break;
    case FRAME_DONE_RUN: end_with(r, store_get(r->d->store, t->run, &t->result, &t->error)); break;
    case FRAME_DONE_FILE: end_with(r, take_file(r->d, t, file_name(in))); break;
    case FRAME_ERROR:
        if (in->n == sizeof t->error) memcpy(&t->error, in->bytes, sizeof t->error);
        end_with(r, false);
        break;
    case FRAME_FATAL: snprintf(e->last_line, sizeof e->last_line, "%.*s", (int)in->n, in->bytes); break;
    default: answer_call(r, in);
    }
}

/* Sends the engine the stop requested by the client or by the server's shutdown; kills an engine that goes on with what
 * nobody wants: the jobs behind it would wait for ever. */
static void pass_stop(running *r) {
    bool now = task_is_abandoned(r->task) || queue_is_closed(r->d->queue);
    int stop = now ? STOP_NOW : task_is_stopped(r->task) ? STOP_SOON : STOP_NONE;
    if (stop > r->stop) {
        channel_send_bytes(&r->d->engine->channel, FRAME_STOP, &stop, sizeof stop);
        r->stop = stop;
        r->stopped_at = clock_seconds();
    }
    double patience_s = queue_is_closed(r->d->queue) ? CLOSING_S : ABANDONED_S;
    if (r->killed || r->stop != STOP_NOW || clock_seconds() - r->stopped_at <= patience_s) return;
    r->killed = true;
    engine_process_kill(r->d->engine);
}

/* ------------------------------------------------------------------ a task */

/* The task as JSON for the engine, malloc'd; NULL when memory runs out. */
static char *task_text(const dispatcher *d, const task *t) {
    static const char *const none = "";
    json_t *json =
        json_pack("{s:i, s:I, s:I, s:s, s:s, s:I, s:b, s:s, s:O?}", "kind", (int)t->kind, "job", (json_int_t)t->id,
                  "run", (json_int_t)t->run, "format", t->format ? t->format : none, "method", t->method, "attribution",
                  (json_int_t)t->attribution, "events", t->events.wanted, "folder", d->folder, "body", t->body);
    char *text = json ? hw__json_dump(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    return text;
}

/* Handles the row of a run without result: deleted if its client gets the error, else kept with the reason. */
static void settle_run(running *r, const char *died) {
    store *s = r->d->store;
    hw_error err;
    if (!r->run || r->done || r->keeps) return;
    const char *reason = died                           ? died
                         : queue_is_closed(r->d->queue) ? "the server was stopped while this run was in progress"
                         : r->task->run                 ? r->task->error.msg
                                                        : NULL;
    if (reason) save_progress(r);
    if (reason ? store_fail(s, r->run, reason, &err) : store_drop(s, r->run, &err)) return;
    message("run %lld ended without a result, and cannot be marked so: %s", (long long)r->run, err.msg);
}

static bool is_closing(void *ctx) { return queue_is_closed(((dispatcher *)ctx)->queue); }

/* Starts a new process after one has ended. False with the reason. */
static bool restart(dispatcher *d, hw_error *err) {
    engine_waiting waiting = {.stop = is_closing, .ctx = d};
    empty_folder(d);
    atomic_store(&d->metrics->engine_ready, false);
    atomic_fetch_add(&d->metrics->engine_starts, 1);
    bool ready = engine_process_start(d->engine, &waiting, err);
    atomic_store(&d->metrics->engine_ready, ready);
    return ready;
}

/* The process ended during the task: reports that to its client before a new process is started. */
static void fail_task(running *r) {
    char why[400], text[500];
    bool unread = r->d->engine->channel.received.failed; /* it was ended because its frames can no longer be read */
    engine_process_reap(r->d->engine, why, sizeof why);
    if (unread) snprintf(why, sizeof why, "the server has no memory for what it sent");
    if (r->killed) snprintf(why, sizeof why, "it was ended because it did not stop within %.0f s", ABANDONED_S);
    error_set(&r->task->error, ERR_ENGINE_ENDED, "the engine's process ended during this job: %s", why);
    snprintf(text, sizeof text, "the engine's process ended: %s", why);
    settle_run(r, text);
    if (!r->d->quiet && !queue_is_closed(r->d->queue)) message("%s; it is started again", text);
}

/* False with the task's error set. */
static bool do_task(dispatcher *d, task *t) {
    running r = {.d = d, .task = t};
    char *text = task_text(d, t);
    if (!text) return error_set(&t->error, HW_ERR_MEMORY, "no memory for the job");
    bool lives = channel_send_bytes(&d->engine->channel, FRAME_TASK, text, strlen(text));
    free(text);
    while (lives && !r.ended) {
        frame in;
        int got = channel_read(&d->engine->channel, &in, LOOK_MS);
        lives = got >= 0;
        if (got > 0) take_frame(&r, &in);
        if (!r.ended && clock_seconds() - r.saved_at >= SAVE_S) save_progress(&r);
        if (!r.ended) pass_stop(&r);
    }
    if (lives) {
        settle_run(&r, NULL);
    } else {
        engine_process_kill(d->engine);
        fail_task(&r);
    }
    buffer_free(&r.completion);
    return r.ended && r.done;
}

/* ------------------------------------------------------------------ the thread */

/* Detects between tasks that the process has ended. */
static void watch_engine(dispatcher *d) {
    char why[400];
    if (!d->engine->pid || engine_process_is_alive(d->engine, why, sizeof why)) return;
    if (!d->quiet) message("the engine's process ended: %s; it is started again", why);
}

static void run_task(dispatcher *d, task *t) {
    watch_engine(d);
    bool there = d->engine->pid != 0 || restart(d, &t->error);
    double began = clock_seconds();
    bool done = there && do_task(d, t);
    atomic_fetch_add(&d->metrics->busy_ms, (unsigned long)((clock_seconds() - began) * 1000));
    atomic_fetch_add(done ? &d->metrics->jobs_done[t->kind] : &d->metrics->jobs_failed[t->kind], 1);
    if (!done && queue_is_closed(d->queue)) error_set(&t->error, ERR_CLOSING, "the server is stopping");
    queue_done(d->queue); /* before the client gets the result: from then on the job no longer exists */
    task_end(t, done);
    task_release(t);
}

static void *work(void *ctx) {
    dispatcher *d = ctx;
    hw_error ignored;
    bool may_start = true; /* after a failed start the next task tries again and reports the error to its client */
    while (!queue_is_closed(d->queue)) {
        task *t = queue_take(d->queue, IDLE_LOOK_MS);
        if (t) {
            run_task(d, t);
            may_start = true;
        }
        watch_engine(d);
        if (!d->engine->pid && may_start && !queue_is_closed(d->queue)) may_start = restart(d, &ignored);
    }
    if (!engine_process_end(d->engine)) message("the engine's process did not end as it should");
    return NULL;
}

bool dispatcher_start(dispatcher *d, hw_error *err) {
    if (!temporary_folder_make(&d->owned, d->folder, sizeof d->folder))
        return error_set(err, HW_ERR_IO, "cannot make a folder in %s: %s", temporary_folder(sizeof d->folder - 32),
                         strerror(errno));
    atomic_store(&d->metrics->engine_starts, 1);
    atomic_store(&d->metrics->engine_ready, true);
    if (pthread_create(&d->thread, NULL, work, d) == 0) return true;
    temporary_folder_remove(&d->owned, d->folder);
    return error_set(err, HW_ERR_IO, "cannot start the dispatcher's thread");
}

void dispatcher_join(dispatcher *d) {
    pthread_join(d->thread, NULL);
    temporary_folder_remove(&d->owned, d->folder);
}
