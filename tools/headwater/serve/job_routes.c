/*
 * job_routes.c - routes that need the engine: the client's thread puts a task into the queue and then either streams
 * its events or waits for its result.
 */
#include "serve/job_routes.h"

#include "base/json.h"
#include "base/strlist.h"
#include "base/utf8.h"
#include "export/html_report.h"
#include "export/method_tables.h"
#include "serve/task_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Answers with the task's events or its result. Takes ownership of the reference. */
static answer answer_task(call *c, task *t) {
    hw_error err;
    if (!queue_add(c->server->queue, t, &err)) {
        task_release(t);
        return answer_error(&err);
    }
    if (t->events.wanted) return stream_events(c, t);
    answer a = {0, NULL};
    bool ended = wait_for_task(c, t); /* if not, the dispatcher still owns the task */
    if (ended && t->failed) a = answer_error(&t->error);
    if (ended && !t->failed) {
        a = answer_text(200, &t->result);
        t->result = (buffer){.n = 0}; /* the response owns it */
    }
    task_release(t);
    return a;
}

static const char *query(const call *c, const char *key) {
    return MHD_lookup_connection_value(c->connection, MHD_GET_ARGUMENT_KIND, key);
}

/* Makes a task of the request's body and takes ownership of the body; NULL with *err set. */
static task *new_task(call *c, task_kind kind, hw_error *err) {
    task *t = task_new(kind, c->body, call_wants_events(c));
    c->body = NULL;
    if (!t)
        error_set(err, HW_ERR_MEMORY, "no memory for a job");
    else
        t->run = c->id;
    return t;
}

/* ------------------------------------------------------------------ handlers */

/* ?detached=true: the run goes on when its client disconnects. */
static bool read_detached(bool *detached, const call *c, hw_error *err) {
    const char *text = query(c, "detached");
    *detached = text && strcmp(text, "true") == 0;
    return !text || *detached || strcmp(text, "false") == 0 ||
           error_set(err, HW_ERR_ARGUMENT, "\"detached\" is \"%.60s\": must be true or false", text);
}

/* Makes a run of the request that is the call's body. `continues`: it replaces the finished run c->id. */
static answer make_run(call *c, bool continues) {
    hw_error err;
    explain_request r;
    bool detached;
    if (!read_detached(&detached, c, &err) || !request_explain(&r, c->body, &err)) return answer_error(&err);
    task *t = new_task(c, TASK_EXPLAIN, &err);
    if (!t) return answer_error(&err);
    t->explain = r;
    t->wrap = "run";
    t->detached = t->events.recalls = detached;
    t->continues = continues;
    return answer_task(c, t);
}

answer handle_explain(call *c) { return make_run(c, false); }

/* Makes a run of a request that comes from a stored one. */
static answer make_run_of(call *c, json_t *(*read_request)(call *c, hw_error *err), bool continues) {
    hw_error err;
    json_t *request = read_request(c, &err);
    if (!request) return answer_error(&err);
    json_decref(c->body);
    c->body = request;
    return make_run(c, continues);
}

/* The request of a failed run; its completion so far is explained, so nothing is generated again. */
static json_t *retry_request(call *c, hw_error *err) {
    failed_run failed;
    if (!store_failed_run(c->server->store, c->id, &failed, err)) return NULL;
    json_t *request = request_parse(failed.request, strlen(failed.request), err);
    /* No completion yet, or part of a character: then it is generated again. */
    bool goes_on = failed.n_completion && hw__utf8_valid(failed.completion, failed.n_completion);
    if (request && goes_on && !json_object_get(request, "completion")) {
        request = hw__json_set(request, "completion", json_stringn(failed.completion, failed.n_completion));
        json_object_del(json_object_get(request, "options"), "n_generate"); /* fails if the key is not there */
        if (!request) error_set(err, HW_ERR_MEMORY, "no memory for run %lld", (long long)c->id);
    }
    failed_run_free(&failed);
    return request;
}

answer handle_retry(call *c) { return make_run_of(c, retry_request, false); }

/* Whether a run can be continued: it is of the model that is loaded, and the model has not ended its answer. */
static bool may_continue(const call *c, const json_t *run, hw_error *err) {
    const char *sha = json_string_value(json_object_get(json_object_get(run, "model"), "metadata_sha256")),
               *stop = json_string_value(json_object_get(run, "stop"));
    if (!sha || strcmp(sha, c->server->model->metadata_sha256) != 0)
        return error_set(err, HW_ERR_ARGUMENT, "run %lld is of another model than the one that is loaded",
                         (long long)c->id);
    return (stop && strcmp(stop, "end") != 0) ||
           error_set(err, HW_ERR_ARGUMENT, "run %lld was ended by the model: nothing follows", (long long)c->id);
}

/* The completion's ids; NULL with *err set. */
static json_t *completion_ids(const call *c, hw_error *err) {
    buffer text = {.n = 0};
    bool no_memory;
    if (!store_get(c->server->store, c->id, &text, err)) return NULL;
    json_t *document = text.failed ? NULL : hw__json_read(text.bytes, text.n, JSON_ALLOW_NUL, &no_memory, NULL);
    json_t *run = json_object_get(document, "run"), *tokens = json_object_get(run, "tokens"), *ids = json_array();
    buffer_free(&text);
    bool ok = run && ids ? may_continue(c, run, err) : error_set(err, HW_ERR_MEMORY, "no memory for the run");
    size_t m = (size_t)json_integer_value(json_object_get(run, "n_prompt"));
    for (size_t i = m; ok && i < json_array_size(tokens); i++)
        ids = hw__json_append(ids, json_incref(json_object_get(json_array_get(tokens, i), "id")));
    json_decref(document);
    if (ok && json_array_size(ids)) return ids;
    if (ok) error_set(err, HW_ERR_ARGUMENT, "run %lld has no completion", (long long)c->id);
    json_decref(ids);
    return NULL;
}

/* The run's request, with the tokens so far as its beginning. */
static json_t *continued_request(call *c, hw_error *err) {
    int64_t n_generate;
    if (!request_continue(&n_generate, c->body, err)) return NULL;
    json_t *ids = completion_ids(c, err);
    char *text = ids ? store_request(c->server->store, c->id, err) : NULL;
    json_t *request = text ? request_parse(text, strlen(text), err) : NULL;
    free(text);
    if (!request) {
        json_decref(ids);
        return NULL;
    }
    json_object_del(request, "completion"); /* fails if the key is not there */
    request = hw__json_set(request, "begun", ids);
    if (request && !json_object_get(request, "options")) request = hw__json_set(request, "options", json_object());
    json_t *options = json_object_get(request, "options");
    bool ok = request && (!n_generate || json_object_set_new(options, "n_generate", json_integer(n_generate)) == 0);
    if (ok) return request;
    json_decref(request);
    error_set(err, HW_ERR_MEMORY, "no memory for run %lld", (long long)c->id);
    return NULL;
}

answer handle_continue(call *c) { return make_run_of(c, continued_request, true); }

static answer answer_no_job(int64_t id) {
    hw_error err;
    error_set(&err, ERR_NOT_FOUND, "there is no job %lld: it has ended, or never was", (long long)id);
    return answer_error(&err);
}

answer handle_stop(call *c) {
    if (!queue_stop(c->server->queue, c->id)) return answer_no_job(c->id);
    return answer_json(200, json_pack("{s:I}", "job", (json_int_t)c->id));
}

answer handle_job_events(call *c) {
    task *t = queue_find(c->server->queue, c->id);
    return t ? stream_watched(c, t) : answer_no_job(c->id);
}

answer handle_reexplain(call *c) {
    hw_error err;
    choice wanted;
    if (!request_reexplain(&wanted, c->body, &err)) return answer_error(&err);
    task *t = new_task(c, TASK_REEXPLAIN, &err);
    if (!t) return answer_error(&err);
    return answer_task(c, t);
}

answer handle_check(call *c) {
    hw_error err;
    check_request r;
    if (!request_check(&r, c->body, &err)) return answer_error(&err);
    task *t = new_task(c, TASK_CHECK, &err);
    if (!t) return answer_error(&err);
    return answer_task(c, t);
}

answer handle_cite(call *c) {
    hw_error err;
    cite_request r;
    if (!request_cite(&r, c->body, &err)) return answer_error(&err);
    task *t = new_task(c, TASK_CITE, &err);
    if (!t) return answer_error(&err);
    return answer_task(c, t);
}

/* ------------------------------------------------------------------ export */

static const char *format_name(size_t i, const void *ctx) {
    (void)ctx;
    return tables_format(i)->name;
}

/* NULL with *err set. */
static const export_format *find_format(const char *name, hw_error *err) {
    char list[120];
    size_t n = 0;
    for (const export_format *format; (format = tables_format(n)) != NULL; n++)
        if (name && strcmp(format->name, name) == 0) return format;
    error_set(err, HW_ERR_ARGUMENT, "\"format\" must be one of %s",
              hw__join_names(list, sizeof list, (hw__names){format_name, NULL, n}));
    return NULL;
}

static answer attach(answer a, const export_format *format, int64_t id) {
    char value[80];
    if (!a.response) return a;
    snprintf(value, sizeof value, "attachment; filename=\"headwater-%lld%s\"", (long long)id, format->extension);
    MHD_add_response_header(a.response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, value);
    MHD_del_response_header(a.response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(a.response, MHD_HTTP_HEADER_CONTENT_TYPE, format->type);
    return a;
}

/* Reads ?with=ID: another run for the same report; 0 if absent. */
static bool read_with(int64_t *id, const call *c, const export_format *format, hw_error *err) {
    const char *text = query(c, "with");
    *id = 0;
    if (!text) return true;
    if (strcmp(format->name, "html") != 0)
        return error_set(err, HW_ERR_ARGUMENT, "\"with\" goes with format html only: other files hold one run");
    if (!read_id(&text, id) || *text) return error_set(err, HW_ERR_ARGUMENT, "\"with\" must be the id of a run");
    return *id != c->id || error_set(err, HW_ERR_ARGUMENT, "\"with\" is %lld: must be another run", (long long)*id);
}

/* Documents do not need the engine: a report is the page with one or two documents in it. */
static answer export_report(call *c, const export_format *format, int64_t with) {
    hw_error err;
    buffer run = {.n = 0}, other = {.n = 0}, page = {.n = 0};
    bool ok =
        store_get(c->server->store, c->id, &run, &err) && (!with || store_get(c->server->store, with, &other, &err));
    if (ok && !run.failed && !other.failed) {
        const char *runs[] = {run.bytes, other.bytes};
        report_add(&page, runs, with ? 2 : 1, c->server->model);
    }
    buffer_free(&run);
    buffer_free(&other);
    return ok ? attach(answer_text(200, &page), format, c->id) : answer_error(&err);
}

/* Reads the index of one of the run's explanations; -1 if absent. */
static bool read_attribution(int64_t *index, const call *c, hw_error *err) {
    const char *text = query(c, "attribution");
    size_t n = text ? strspn(text, "0123456789") : 0;
    *index = text ? strtoll(text, NULL, 10) : -1;
    return !text || (n > 0 && n <= 9 && !text[n]) ||
           error_set(err, HW_ERR_ARGUMENT, "\"attribution\" must be the place of an explanation in the run, from 0");
}

answer handle_export(call *c) {
    hw_error err;
    int64_t with, attribution;
    const char *method = query(c, "method");
    const export_format *format = find_format(query(c, "format"), &err);
    if (!format) return answer_error(&err);
    if (method && !hw_method_find(method)) {
        error_set(&err, HW_ERR_ARGUMENT, "\"method\" is \"%.60s\": unknown name", method);
        return answer_error(&err);
    }
    if (!read_with(&with, c, format, &err) || !read_attribution(&attribution, c, &err)) return answer_error(&err);
    if (strcmp(format->name, "html") == 0) return export_report(c, format, with);
    task *t = task_new(TASK_EXPORT, NULL, false);
    if (!t) {
        error_set(&err, HW_ERR_MEMORY, "no memory for a job");
        return answer_error(&err);
    }
    t->run = c->id;
    t->format = format->name;
    t->attribution = attribution;
    snprintf(t->method, sizeof t->method, "%s", method ? method : "");
    answer a = answer_task(c, t);
    return a.status == 200 ? attach(a, format, c->id) : a;
}
