/* worker.c - a thread that reads the channel, so that stops arrive while a task runs; and functions shared by all
 * tasks. */
#include "serve/engine/worker.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ what is read */

static void take_bytes(buffer *to, const frame *in) {
    buffer_free(to);
    buffer_add(to, in->bytes, in->n);
}

static void take_frame(worker *w, const frame *in) {
    if (in->type == FRAME_STOP && in->n == sizeof(int)) {
        int stop;
        memcpy(&stop, in->bytes, sizeof stop);
        atomic_store(&w->stop, stop);
        return;
    }
    pthread_mutex_lock(&w->mutex);
    if (in->type == FRAME_TASK) {
        take_bytes(&w->task, in);
        atomic_store(&w->stop, STOP_NONE);
        w->has_task = true;
    } else if (in->type == FRAME_ANSWER || in->type == FRAME_REFUSAL) {
        take_bytes(&w->answer, in);
        w->refused = in->type == FRAME_REFUSAL;
        w->has_answer = true;
    } else if (in->type == FRAME_END) {
        atomic_store(&w->stop, STOP_NOW);
        w->ended = true;
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

/* Runs until the server ends the process or has itself ended: then the results are of no use. */
static void *read_channel(void *ctx) {
    worker *w = ctx;
    frame in;
    while (!w->ended && channel_read(&w->channel, &in, -1) > 0) take_frame(w, &in);
    if (!w->ended) _exit(EXIT_FAILURE);
    return NULL;
}

bool worker_start(worker *w, int fd) {
    return pthread_mutex_init(&w->mutex, NULL) == 0 && pthread_cond_init(&w->changed, NULL) == 0 &&
           channel_open(&w->channel, fd) && pthread_create(&w->reader, NULL, read_channel, w) == 0;
}

void worker_join(worker *w) { pthread_join(w->reader, NULL); }

bool worker_answer(worker *w, buffer *answer) {
    pthread_mutex_lock(&w->mutex);
    while (!w->has_answer) pthread_cond_wait(&w->changed, &w->mutex);
    *answer = w->answer;
    w->answer = (buffer){.n = 0};
    w->has_answer = false;
    bool refused = w->refused;
    pthread_mutex_unlock(&w->mutex);
    return refused;
}

bool worker_task(worker *w, buffer *task) {
    pthread_mutex_lock(&w->mutex);
    while (!w->has_task && !w->ended) pthread_cond_wait(&w->changed, &w->mutex);
    *task = w->task;
    w->task = (buffer){.n = 0};
    bool there = w->has_task && !w->ended;
    w->has_task = false;
    pthread_mutex_unlock(&w->mutex);
    if (!there) buffer_free(task);
    return there;
}

bool worker_is_stopped(const worker *w) { return atomic_load(&w->stop) >= STOP_SOON; }
bool worker_is_abandoned(const worker *w) { return atomic_load(&w->stop) >= STOP_NOW; }

/* ------------------------------------------------------------------ for all kinds of work */

bool worker_send_event(worker *w, const engine_task *t, const char *name, buffer *json) {
    span_of_text parts[] = {{name, strlen(name) + 1}, {json->bytes, json->n + 1}};
    bool ok = !json->failed;
    if (ok && t->wants_events) channel_send(&w->channel, FRAME_EVENT, parts, 2);
    buffer_free(json);
    return ok;
}

bool worker_send_token(worker *w, const engine_task *t, const hw_token *token, buffer *json) {
    uint32_t n = (uint32_t)token->n_bytes;
    span_of_text parts[] = {{(const char *)&n, sizeof n}, {token->bytes, n}, {json->bytes, json->n + 1}};
    bool ok = !json->failed;
    if (ok) channel_send(&w->channel, FRAME_TOKEN, parts, t->wants_events ? 3 : 2);
    buffer_free(json);
    return ok;
}

bool worker_send_json(worker *w, const engine_task *t, const char *name, json_t *json) {
    buffer text = {.n = 0};
    buffer_json(&text, json);
    return worker_send_event(w, t, name, &text);
}

void worker_path(const worker *w, const char *name, char *out, size_t capacity) {
    snprintf(out, capacity, "%s/%s", w->folder, name);
}

void worker_keep(worker *w, hw_trace *trace, int64_t run) {
    hw_trace_free(w->trace);
    w->trace = trace;
    w->trace_run = run;
}

hw_run_params worker_run_params(const worker *w, const hw_run_params *asked, const conversation *chat) {
    hw_run_params p = *asked;
    p.messages = chat->messages;
    p.n_messages = chat->n_messages;
    p.prefix = w->trace;
    p.memory = w->limits.memory;
    return p;
}

bool worker_leave_out(engine_task *t, const char *method, const char *reason) {
    if (!t->left_out) t->left_out = json_array();
    json_t *one = json_pack("{s:s, s:o}", "method", method, "reason", hw__json_replaced(reason, strlen(reason)));
    return json_array_append_new(t->left_out, one) == 0 ||
           error_set(&t->error, HW_ERR_MEMORY, "no memory for the methods that are left out");
}

static bool keep_supported(const worker *w, engine_task *t, choice *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const char *method = c->methods[i], *problem = hw_method_problem(hw_method_find(method), w->info);
        if (!*problem)
            c->methods[n++] = method;
        else if (n == 0 && i + 1 == c->n)
            return error_set(&t->error, HW_ERR_UNSUPPORTED, "method %s: %.600s", method, problem);
        else if (!worker_leave_out(t, method, problem))
            return false;
    }
    c->n = n;
    return true;
}

bool worker_methods(const worker *w, engine_task *t, choice *c) {
    static const char *const default_value[] = {"rollout", "logit"};
    if (c->n > 0) return keep_supported(w, t, c);
    for (size_t i = 0; i < sizeof default_value / sizeof *default_value; i++) {
        const hw_method_info *method = hw_method_find(default_value[i]);
        if (!*hw_method_problem(method, w->info)) c->methods[c->n++] = method->name;
    }
    return c->n > 0 ||
           error_set(&t->error, HW_ERR_UNSUPPORTED, "no method can explain this model: %.600s", w->info->problem);
}
