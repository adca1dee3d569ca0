/* routes.c - the table of routes, the lookup, and the routes that need no task. */
#include "serve/routes.h"

#include "base/json.h"
#include "base/strlist.h"
#include "export/embedded_page.h"
#include "export/method_tables.h"
#include "serve/answer_routes.h"
#include "serve/job_routes.h"
#include "serve/task_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ handlers */

static answer handle_page(call *c) {
    (void)c;
    return answer_bytes(200, (void *)page_html, page_html_size, MHD_RESPMEM_PERSISTENT, "text/html; charset=utf-8");
}

/* NULL when memory runs out. */
static json_t *model_json(const hw_model_info *model) {
    char *text;
    bool no_memory;
    if (hw_model_json(&text, NULL, model, NULL) != HW_OK) return NULL;
    json_t *json = hw__json_read(text, strlen(text), JSON_ALLOW_NUL, &no_memory, NULL);
    free(text);
    return json;
}

static answer handle_status(call *c) {
    return answer_json(200,
                       json_pack("{s:s, s:o, s:I, s:b}", "version", hw_version(), "model", model_json(c->server->model),
                                 "queue", (json_int_t)queue_size(c->server->queue), "store", c->server->keeps));
}

static answer handle_models(call *c) {
    json_t *model = hw__json_set(model_json(c->server->model), "loaded", json_true());
    return answer_json(200, json_pack("{s:[o]}", "models", model));
}

static answer handle_methods(call *c) { return answer_json(200, tables_json(c->server->model)); }

static answer handle_runs(call *c) {
    hw_error err;
    json_t *list = store_list(c->server->store, &err), *runs = json_object_get(list, "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        json_t *run = json_array_get(runs, i);
        int64_t job = queue_job_of(c->server->queue, json_integer_value(json_object_get(run, "id")));
        if (job && json_object_set_new(run, "job", json_integer((json_int_t)job)) != 0) {
            json_decref(list);
            error_set(&err, HW_ERR_MEMORY, "no memory for the list of runs");
            return answer_error(&err);
        }
    }
    return list ? answer_json(200, list) : answer_error(&err);
}

/* The request that a run was made by. */
static answer handle_request(call *c) {
    hw_error err;
    char *text = store_request(c->server->store, c->id, &err);
    if (!text) return answer_error(&err);
    return answer_bytes(200, text, strlen(text), MHD_RESPMEM_MUST_FREE, "application/json");
}

static answer handle_run(call *c) {
    hw_error err;
    buffer text = {.n = 0};
    if (store_get(c->server->store, c->id, &text, &err)) return answer_text(200, &text);
    buffer_free(&text);
    return answer_error(&err);
}

static answer handle_rename(call *c) {
    hw_error err;
    span_of_text name;
    if (!request_name(&name, c->body, &err) || !store_rename(c->server->store, c->id, name, &err))
        return answer_error(&err);
    return answer_json(200, json_pack("{s:I, s:s%}", "id", (json_int_t)c->id, "name", name.bytes, name.n));
}

static answer handle_delete(call *c) {
    hw_error err;
    if (!store_delete(c->server->store, c->id, &err)) return answer_error(&err);
    return answer_json(200, json_pack("{s:I}", "id", (json_int_t)c->id));
}

static answer handle_health(call *c) {
    bool ready = atomic_load(&c->server->metrics.engine_ready);
    return answer_json(ready ? 200 : 503, json_pack("{s:s}", "status", ready ? "ok" : "loading model"));
}

static answer handle_metrics(call *c) {
    buffer text = {.n = 0};
    metrics_write(&text, &c->server->metrics, queue_size(c->server->queue));
    if (text.failed) return answer_text(200, &text);
    return answer_bytes(200, text.bytes, text.n, MHD_RESPMEM_MUST_FREE, "text/plain; version=0.0.4; charset=utf-8");
}

/* ------------------------------------------------------------------ the table */

static const route routes[] = {
    {"GET", "/", handle_page, false, "the page"},
    {"GET", "/api/status", handle_status, false, "version, model, and how many jobs wait"},
    {"GET", "/api/models", handle_models, false, "the models that are loaded"},
    {"GET", "/api/methods", handle_methods, false, "methods, filters, segmenters, measures, formats"},
    {"POST", "/api/explain", handle_explain, true, "run the model on a prompt and explain the completion"},
    {"POST", "/api/jobs/{id}/stop", handle_stop, false, "end a job; tokens so far are explained and saved"},
    {"GET", "/api/jobs/{id}/events", handle_job_events, false, "what a job has sent so far, and then the rest"},
    {"GET", "/api/events", stream_news, false, "what changes in the list of runs, as it changes"},
    {"GET", "/api/runs", handle_runs, false, "the saved runs, newest first"},
    {"GET", "/api/runs/{id}", handle_run, false, "a saved run, whole"},
    {"GET", "/api/runs/{id}/request", handle_request, false, "the request that a run was made by"},
    {"PATCH", "/api/runs/{id}", handle_rename, true, "name a run"},
    {"DELETE", "/api/runs/{id}", handle_delete, false, "delete a run"},
    {"POST", "/api/runs/{id}/explain", handle_reexplain, true, "explain a saved run by other methods"},
    {"POST", "/api/runs/{id}/retry", handle_retry, false, "make a run again that failed, from the tokens that it had"},
    {"POST", "/api/runs/{id}/continue", handle_continue, true, "go on with the answer of a finished run"},
    {"POST", "/api/runs/{id}/check", handle_check, true,
     "test an explanation by running the model without what it names"},
    {"POST", "/api/runs/{id}/cite", handle_cite, true, "cite the passages that each sentence of the answer came from"},
    {"GET", "/health", handle_health, false, "whether the model is loaded"},
    {"GET", "/metrics", handle_metrics, false, "requests, jobs, tokens and time since the start, for Prometheus"},
    {"GET", "/v1/models", handle_model_list, false, "the loaded model, as OpenAI's and Anthropic's clients read it"},
    {"GET", "/v1/models/{model}", handle_model, false, "the loaded model, if it has this id"},
    {"POST", "/v1/chat/completions", handle_answer, true,
     "answer a conversation: OpenAI's API, with documents and citations"},
    {"POST", "/v1/completions", handle_answer, true, "continue a text: OpenAI's API, with documents and citations"},
    {"POST", "/v1/messages", handle_answer, true, "answer a conversation: Anthropic's API, with citations"},
    {"POST", "/v2/chat", handle_answer, true, "answer a conversation: Cohere's API, with documents and citations"},
    {"GET", "/api/runs/{id}/export", handle_export, false, "a run as a file"},
};

enum { N_ROUTES = sizeof routes / sizeof *routes };

const route *routes_at(size_t i) { return i < N_ROUTES ? &routes[i] : NULL; }

static bool matches(const char *pattern, const char *path, int64_t *id) {
    for (*id = 0; *pattern; pattern++) {
        if (*pattern == '{') {
            if (strcmp(pattern, "{model}") == 0) return *path != 0; /* a name may have any characters */
            pattern = strchr(pattern, '}');
            if (!read_id(&path, id)) return false;
        } else if (*pattern != *path++) {
            return false;
        }
    }
    return *path == 0;
}

/* The method of row i if its path matches. */
static const char *allowed_method(size_t i, const void *path) {
    int64_t id;
    return matches(routes[i].path, path, &id) ? routes[i].method : NULL;
}

const route *routes_find(const char *method, const char *path, int64_t *id, char *allowed, size_t capacity) {
    if (strcmp(method, "HEAD") == 0) method = "GET";
    for (size_t i = 0; i < N_ROUTES; i++)
        if (strcmp(routes[i].method, method) == 0 && matches(routes[i].path, path, id)) return &routes[i];
    hw__join_names(allowed, capacity, (hw__names){allowed_method, path, N_ROUTES});
    return NULL;
}
