/* routes.c - the table, its search, and the routes that are answered at once. */
#include "serve/routes.h"

#include "export/embedded_page.h"
#include "export/method_tables.h"
#include "serve/job_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ handlers */

static answer handle_page(call *c) {
    (void)c;
    return answer_bytes(200, (void *)page_html, page_html_size, MHD_RESPMEM_PERSISTENT, "text/html; charset=utf-8");
}

static void add_model(buffer *to, const hw_model_info *model) {
    char *text;
    if (hw_model_json(&text, NULL, model, NULL) != HW_OK) {
        to->failed = true;
        return;
    }
    buffer_text(to, text);
    free(text);
}

static answer handle_status(call *c) {
    buffer text = {.n = 0};
    buffer_printf(&text, "{\"version\":\"%s\",\"model\":", hw_version());
    add_model(&text, c->server->model);
    buffer_printf(&text, ",\"queue\":%zu,\"store\":%s}", queue_size(c->server->queue),
                  c->server->keeps ? "true" : "false");
    return answer_json(200, &text);
}

static answer handle_models(call *c) {
    buffer text = {.n = 0};
    buffer_text(&text, "{\"models\":[");
    add_model(&text, c->server->model);
    if (!text.failed) text.n--; /* its brace */
    buffer_text(&text, ",\"loaded\":true}]}");
    return answer_json(200, &text);
}

static answer handle_methods(call *c) {
    buffer text = {.n = 0};
    tables_add(&text, c->server->model);
    return answer_json(200, &text);
}

/* The buffer where all went well, else the fault. */
static answer answer_either(bool ok, buffer *text, const fault *f) {
    if (ok) return answer_json(200, text);
    buffer_free(text);
    return answer_fault(f);
}

static answer handle_runs(call *c) {
    fault f;
    buffer text = {.n = 0};
    bool ok = store_list(c->server->store, &text, &f);
    return answer_either(ok, &text, &f);
}

static answer handle_run(call *c) {
    fault f;
    buffer text = {.n = 0};
    bool ok = store_get(c->server->store, c->id, &text, &f);
    return answer_either(ok, &text, &f);
}

static answer handle_rename(call *c) {
    fault f;
    span_of_text name;
    buffer text = {.n = 0};
    bool ok = request_name(&name, c->body, &f) && store_rename(c->server->store, c->id, name, &f);
    if (ok) {
        buffer_printf(&text, "{\"id\":%lld,\"name\":", (long long)c->id);
        buffer_string(&text, name.bytes, name.n);
        buffer_text(&text, "}");
    }
    return answer_either(ok, &text, &f);
}

static answer handle_delete(call *c) {
    fault f;
    buffer text = {.n = 0};
    bool ok = store_delete(c->server->store, c->id, &f);
    buffer_printf(&text, "{\"id\":%lld}", (long long)c->id);
    return answer_either(ok, &text, &f);
}

/* ------------------------------------------------------------------ the table */

static const route routes[] = {
    {"GET", "/", handle_page, false, "the page"},
    {"GET", "/api/status", handle_status, false, "version, model, and how many jobs wait"},
    {"GET", "/api/models", handle_models, false, "the models that are loaded"},
    {"GET", "/api/methods", handle_methods, false, "methods, filters, segmenters, measures, formats"},
    {"POST", "/api/explain", handle_explain, true, "run the model on a prompt and explain the completion"},
    {"POST", "/api/jobs/{id}/stop", handle_stop, false, "end a job; tokens so far are explained and saved"},
    {"GET", "/api/runs", handle_runs, false, "the saved runs, newest first"},
    {"GET", "/api/runs/{id}", handle_run, false, "a saved run, whole"},
    {"PATCH", "/api/runs/{id}", handle_rename, true, "name a run"},
    {"DELETE", "/api/runs/{id}", handle_delete, false, "delete a run"},
    {"POST", "/api/runs/{id}/explain", handle_again, true, "explain a saved run by other methods"},
    {"POST", "/api/runs/{id}/retry", handle_retry, false, "make a run again that failed, from the tokens that it had"},
    {"POST", "/api/runs/{id}/check", handle_check, true,
     "test an explanation by running the model without what it names"},
    {"GET", "/api/runs/{id}/export", handle_export, false, "a run as a file"},
};

const route *routes_at(size_t i) { return i < sizeof routes / sizeof *routes ? &routes[i] : NULL; }

static bool matches(const char *pattern, const char *path, int64_t *id) {
    for (*id = 0; *pattern; pattern++) {
        if (*pattern == '{') {
            pattern = strchr(pattern, '}');
            if (!read_id(&path, id)) return false;
        } else if (*pattern != *path++) {
            return false;
        }
    }
    return *path == 0;
}

const route *routes_find(const char *method, const char *path, int64_t *id, char *allowed, size_t room) {
    size_t at = 0;
    allowed[0] = 0;
    if (strcmp(method, "HEAD") == 0) method = "GET";
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!matches(routes[i].path, path, id)) continue;
        if (strcmp(routes[i].method, method) == 0) return &routes[i];
        if (at < room) at += (size_t)snprintf(allowed + at, room - at, "%s%s", at ? ", " : "", routes[i].method);
    }
    return NULL;
}
