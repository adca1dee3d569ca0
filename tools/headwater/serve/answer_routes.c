/*
 * answer_routes.c - a request of another API: read, queued, and answered whole or as a stream.
 *
 * A stream begins when the model begins to read the prompt: until then an error is an answer with a status.
 */
#include "serve/answer_routes.h"

#include "base/json.h"
#include "serve/task_stream.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static answer refuse(const call *c, const hw_error *err) { return answer_error_in(c->dialect, err); }

static void free_request(void *request) { chat_call_free(request); }

/* A task for the request, which it owns; NULL with *err set. */
static task *new_task(chat_call *request, hw_error *err) {
    json_t *body = request->request;
    request->request = NULL;
    task *t = task_new(TASK_ANSWER, body, request->stream);
    if (!t) {
        chat_call_free(request);
        error_set(err, HW_ERR_MEMORY, "no memory for a job");
        return NULL;
    }
    t->events.writer = (event_writer){.write = chat_call_write, .free = free_request, .ctx = request};
    return t;
}

/* The task's result as the API has it; NULL: no memory. */
static json_t *whole_answer(const task *t) {
    const chat_call *request = t->events.writer.ctx;
    bool no_memory;
    json_t *result = hw__json_read(t->result.bytes, t->result.n, JSON_ALLOW_NUL, &no_memory, NULL);
    json_t *out = result ? request->dialect->whole(request, result) : NULL;
    json_decref(result);
    return out;
}

/* Takes ownership of the reference. */
static answer answer_at_end(call *c, task *t) {
    answer a = {0, NULL};
    bool ended = wait_for_task(c, t); /* if not, the dispatcher still owns the task */
    if (ended) a = t->failed ? refuse(c, &t->error) : answer_json(200, whole_answer(t));
    task_release(t);
    return a;
}

/* Takes ownership of the reference. */
static answer answer_as_stream(call *c, task *t) {
    answer a = {0, NULL};
    int state = wait_for_events(c, t);
    if (state > 0) return stream_events(c, t);
    if (state == 0) a = refuse(c, &t->error);
    task_release(t);
    return a;
}

answer handle_answer(call *c) {
    hw_error err;
    chat_call *request = chat_call_new(c->dialect, c->body, c->server->model, c->server->model_id, &err);
    task *t = request ? new_task(request, &err) : NULL;
    if (!t) return refuse(c, &err);
    if (!queue_add(c->server->queue, t, &err)) {
        task_release(t);
        return refuse(c, &err);
    }
    return t->events.wanted ? answer_as_stream(c, t) : answer_at_end(c, t);
}

static json_t *model_entry(const server *s) {
    char created[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
    const char *id = s->model_id, *name = *s->model->name ? s->model->name : id;
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "id", id, "object", "model", "type", "model",
                     "display_name", name, "created", (json_int_t)now, "created_at", created, "owned_by", "headwater");
}

answer handle_model_list(call *c) {
    const char *id = c->server->model_id;
    return answer_json(200, json_pack("{s:s, s:[o], s:b, s:s, s:s}", "object", "list", "data", model_entry(c->server),
                                      "has_more", 0, "first_id", id, "last_id", id));
}

answer handle_model(call *c) {
    const char *asked = c->path + strlen("/v1/models/"), *id = c->server->model_id;
    if (strcmp(asked, id) == 0 || strcmp(asked, "headwater") == 0) return answer_json(200, model_entry(c->server));
    hw_error err;
    error_set(&err, ERR_NO_MODEL, "the model \"%.100s\" is not loaded: this server has \"%s\"", asked, id);
    return answer_error_in(c->dialect, &err);
}
