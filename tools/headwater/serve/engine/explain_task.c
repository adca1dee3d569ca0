/*
 * explain_task.c - a new run: the model generates, each token is explained as soon as its rows arrive, and everything
 * is saved before the client gets `done`.
 *
 *     a row in the store -> capture (prompt, tokens, explained rows, citations of each finished sentence) -> whole
 *         explanations and citations -> document and trace into the store
 *
 * A run that is stopped, or whose client disconnects, keeps its tokens so far.
 */
#include "serve/engine/remote_store.h"
#include "serve/engine/tasks.h"

#include "base/json.h"
#include "cli/clock.h"
#include "export/run_citations.h"
#include "job/messages.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Completion tokens that are explained together: reading a layer's weights for each token alone costs as much as
 * generating it. */
enum { LIVE_ROWS = 4 };
static const double PROGRESS_S = 0.05;

typedef struct making {
    worker *w;
    engine_task *t;
    const explain_request *r;
    choice choice;
    int64_t id;
    hw_segments *passages;       /* segments of the prompt; NULL: none */
    hw_explainer *explainer;     /* the methods of `choice` */
    bool cites;                  /* citations are sent while the answer grows */
    hw_attribution *cited;       /* rows of citing_method() so far; NULL: none */
    hw_segments *cited_segments; /* their columns; NULL: the growing answer is not cited */
    const char *cited_by;        /* their segmenter */
    size_t n_cited;              /* parts of the answer whose citations were sent */
    int32_t *begun;              /* tokens that the completion begins with; NULL: none */
    bool failed;                 /* the run has failed: t->error has the reason */
    size_t n_tokens;
    double sent_at; /* when progress was last sent, clock_seconds() */
} making;

/* ------------------------------------------------------------------ events */

/* The run fails on lack of memory, because a client that counts tokens must get every one. */
static void fail_memory(making *m, const char *what) {
    if (!m->failed) error_set(&m->t->error, HW_ERR_MEMORY, "no memory for %s", what);
    m->failed = true;
}

/* Token i as a tree; NULL when memory runs out. */
static json_t *token_json(const hw_run *run, size_t i) {
    char *text;
    bool no_memory;
    if (hw_token_json(&text, NULL, run, i, NULL) != HW_OK) return NULL;
    json_t *json = hw__json_read(text, strlen(text), JSON_ALLOW_NUL, &no_memory, NULL);
    free(text);
    return json;
}

static void send(making *m, const char *name, json_t *data) {
    if (!worker_send_json(m->w, m->t, name, data)) fail_memory(m, "an event");
}

static void send_prompt(making *m, const hw_run *run) {
    if (!m->t->wants_events) return;
    json_t *tokens = json_array();
    for (size_t i = 0; i < hw_run_n_prompt(run); i++) tokens = hw__json_append(tokens, token_json(run, i));
    send(m, "prompt", json_pack("{s:o, s:I}", "tokens", tokens, "reused", (json_int_t)hw_run_n_reused(run)));
}

static hw_err spans_to_segments(hw_segments **out, const hw_run *run, const json_t *spans, hw_error *err) {
    char *text = hw__json_dump(spans, JSON_COMPACT);
    hw_err rc = text ? hw_segments_from_json(out, run, HW_SIDE_PROMPT, text, strlen(text), err)
                     : hw__fail(err, HW_ERR_MEMORY, "out of memory: the passages");
    free(text);
    return rc;
}

/* The columns of citing_method(), which comes after the request's methods. */
static hw_err split_for_citations(making *m, const hw_run *run, hw_error *err) {
    if (!m->cites) return HW_OK;
    hw_err rc = citing_segments(&m->cited_segments, &m->cited_by, run, err);
    if (rc != HW_OK || !m->cited_segments) return rc;
    return hw_explainer_group(m->explainer, m->choice.n, m->cited_segments, err);
}

/* Passages for the document. A prompt that cannot be split as requested is an error. */
static void on_prompt(void *ctx, const hw_run *run) {
    making *m = ctx;
    hw_error *err = &m->t->error;
    send_prompt(m, run);
    if (m->failed) return;
    bool ok = !m->r->spans || spans_to_segments(&m->passages, run, m->r->spans, err) == HW_OK;
    m->failed = !ok || split_for_citations(m, run, err) != HW_OK;
}

static void on_token(void *ctx, const hw_run *run, size_t i) {
    making *m = ctx;
    hw_token token = hw_run_token(run, i);
    buffer data = {.n = 0};
    char *text = NULL;
    bool ok = !m->t->wants_events || hw_token_json(&text, NULL, run, i, NULL) == HW_OK;
    if (ok && text)
        buffer_splice(&data, json_pack("{s:I}", "index", (json_int_t)m->n_tokens++), "token", text, strlen(text));
    if (!ok || !worker_send_token(m->w, m->t, &token, &data)) fail_memory(m, "an event");
    free(text);
}

static void on_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    making *m = ctx;
    double now = clock_seconds();
    if (stage != HW_STAGE_PREFILL || (done < total && now - m->sent_at < PROGRESS_S)) return;
    m->sent_at = now;
    send(m, "prefill",
         json_pack("{s:I, s:I, s:I}", "job", (json_int_t)m->t->id, "done", (json_int_t)done, "total",
                   (json_int_t)total));
}

/* Sends the citations of the answer so far when another of its sentences is complete. */
static void send_citations(making *m) {
    hw_error err;
    json_t *list;
    size_t n = n_finished_parts(m->cited);
    if (n <= m->n_cited) return;
    m->n_cited = n;
    if (growing_citations(&list, m->cited, &(prompt_segments){m->cited_by, m->cited_segments}, &err) != HW_OK)
        fail_memory(m, "citations");
    else
        send(m, "cited", json_pack("{s:I, s:o}", "finished", (json_int_t)n, "citations", list));
}

/* Takes ownership of the next rows of the method that citations are made by. */
static void cite_rows(making *m, hw_attribution *rows) {
    if (!m->cited) {
        m->cited = rows;
    } else {
        if (hw_attribution_append(m->cited, rows, NULL) != HW_OK) fail_memory(m, "citations");
        hw_attribution_free(rows);
    }
    if (!m->failed) send_citations(m);
}

static void on_rows(void *ctx, size_t i, hw_attribution *rows) {
    making *m = ctx;
    buffer data = {.n = 0};
    char *text;
    if (i == m->choice.n) { /* of citing_method() */
        cite_rows(m, rows);
        return;
    }
    hw_err rc = hw_attribution_json(&text, NULL, rows, NULL);
    hw_attribution_free(rows);
    if (rc != HW_OK) {
        fail_memory(m, "an explanation");
        return;
    }
    buffer_splice(&data, json_object(), "attribution", text, strlen(text));
    free(text);
    if (!worker_send_event(m->w, m->t, "explained", &data)) fail_memory(m, "an event");
}

/* ------------------------------------------------------------------ the run */

static bool is_stopped(void *ctx) {
    making *m = ctx;
    return m->failed || worker_is_stopped(m->w);
}

/* Whether methods that run the model again are no longer needed, because the run was stopped. */
static bool is_abandoned(void *ctx) {
    making *m = ctx;
    return worker_is_abandoned(m->w);
}

static hw_err split_by_passages(making *m, hw_error *err) {
    char *text = hw__json_dump(m->r->spans, JSON_COMPACT);
    hw_err rc = text ? hw_explainer_split_spans(m->explainer, text, strlen(text), NULL, true, err)
                     : hw__fail(err, HW_ERR_MEMORY, "out of memory: the passages");
    free(text);
    return rc;
}

/* Adds the method that citations of the growing answer are made by. */
static hw_err add_citing(making *m, hw_error *err) {
    hw_method_params settings;
    const char *method = citing_method(&settings, m->w->info);
    m->cites = method && m->t->wants_events;
    return m->cites ? hw_explainer_add(m->explainer, method, &settings, err) : HW_OK;
}

/* The trace keeps what every method reads, so that all of them can be tried on the saved run. */
static hw_err make_explainer(making *m, hw_error *err) {
    hw_explainer_params keeping = hw_explainer_params_default();
    hw_method_params p = m->choice.params;
    keeping.keep = HW_KEEP_ALL;
    keeping.on_rows = m->t->wants_events ? on_rows : NULL;
    keeping.interval = LIVE_ROWS;
    keeping.ctx = p.ctx = m;
    p.model = m->w->model;
    hw_err rc = hw_explainer_new(&m->explainer, &keeping, err);
    for (size_t i = 0; i < m->choice.n && rc == HW_OK; i++) {
        bool reruns = hw_method_find(m->choice.methods[i])->traits & HW_USES_MODEL;
        p.stop = reruns ? is_stopped : is_abandoned;
        rc = hw_explainer_add(m->explainer, m->choice.methods[i], &p, err);
    }
    if (rc == HW_OK) rc = add_citing(m, err);
    if (rc != HW_OK || !m->choice.by) return rc;
    return strcmp(m->choice.by, "passage") == 0 ? split_by_passages(m, err)
                                                : hw_explainer_split(m->explainer, m->choice.by, true, err);
}

/* With `chat` a conversation instead of the request's prompt. */
static hw_err capture_chat(making *m, const conversation *chat, hw_trace **trace, hw_error *err) {
    const explain_request *r = m->r;
    hw_run_params p = worker_run_params(m->w, &r->run, chat);
    p.prompt = r->prompt.bytes;
    p.prompt_bytes = r->prompt.n;
    p.completion = r->completion.bytes;
    p.completion_bytes = r->completion.n;
    p.begun = m->begun;
    p.n_begun = json_array_size(r->begun);
    p.explainer = m->explainer;
    p.on_prompt = on_prompt;
    p.on_token = on_token;
    p.progress = on_progress;
    p.stop = is_stopped;
    p.ctx = m;
    return hw_trace_capture(trace, m->w->model, &p, err);
}

static hw_err capture(making *m, hw_trace **trace, hw_error *err) {
    size_t n = json_array_size(m->r->begun);
    if (n && !(m->begun = calloc(n, sizeof *m->begun)))
        return hw__fail(err, HW_ERR_MEMORY, "out of memory: %zu tokens", n);
    for (size_t i = 0; i < n; i++) m->begun[i] = (int32_t)json_integer_value(json_array_get(m->r->begun, i));
    conversation chat = {.n_messages = 0};
    bool ok = !m->r->messages || messages_from_json(&chat, m->r->messages, err);
    hw_err rc = ok ? make_explainer(m, err) : err->code;
    if (rc == HW_OK) rc = capture_chat(m, &chat, trace, err);
    conversation_free(&chat);
    return rc;
}

/* ------------------------------------------------------------------ when it is whole */

/* *n <- the number of results; methods that fail are left out if at least one succeeds. False where none does, or where
 * memory runs out: that says nothing about the method. */
static bool explain_all(size_t *n, making *m, const hw_trace *trace, hw_attribution *made[MAX_METHODS]) {
    hw_error *err = &m->t->error;
    *n = 0;
    for (size_t i = 0; i < m->choice.n; i++) {
        hw_err rc = hw_explainer_result(&made[*n], m->explainer, i, trace, err);
        if (rc == HW_ERR_MEMORY) return false;
        if (rc == HW_OK)
            ++*n;
        else if (!worker_leave_out(m->t, m->choice.methods[i], err->msg))
            return false;
    }
    return *n > 0;
}

/* The document without citations where the method fails for this run. */
static bool document_of(char **out, making *m, const hw_trace *trace, hw_attribution *const *made, size_t n) {
    hw_error *err = &m->t->error;
    hw_method_params calls = {.stop = is_abandoned, .ctx = m};
    json_t *citations = NULL;
    if (hw_document_json(out, hw_trace_run(trace), m->passages, (const hw_attribution *const *)made, n, err) != HW_OK)
        return false;
    hw_err rc = run_citations(&citations, trace, m->passages, &calls, err);
    if (rc != HW_OK && error_ends_run(rc)) {
        free(*out);
        return false;
    }
    if (citations) *out = json_text_add(*out, "citations", citations);
    if (*out && m->t->left_out) *out = json_text_add(*out, "left_out", json_incref(m->t->left_out));
    return *out || error_set(err, HW_ERR_MEMORY, "no memory for the run's document");
}

static bool save(making *m, const hw_trace *trace, hw_attribution *const *made, size_t n) {
    char path[192], *document;
    hw_error *err = &m->t->error;
    const hw_run *run = hw_trace_run(trace);
    if (!document_of(&document, m, trace, made, n)) return false;
    worker_path(m->w, TRACE_FILE, path, sizeof path);
    bool traced = hw_trace_save(trace, path, NULL) == HW_OK;
    bool ok = remote_store_finish(m->w, run, document, traced, err);
    unlink(path);
    free(document);
    return ok;
}

/* Takes ownership of the trace. */
static bool finish(making *m, hw_trace *trace) {
    hw_attribution *made[MAX_METHODS] = {NULL};
    m->t->error = (hw_error){.code = HW_ERR_CANCELLED, .msg = "stopped"};
    size_t n;
    bool ok = explain_all(&n, m, trace, made) && save(m, trace, made, n);
    for (size_t i = 0; i < n; i++) hw_attribution_free(made[i]);
    if (!ok) {
        hw_trace_free(trace);
        return false;
    }
    worker_keep(m->w, trace, m->id);
    m->t->done_type = FRAME_DONE_RUN;
    return true;
}

/* ------------------------------------------------------------------ the whole */

/* Whether at least half of the new prompt is a common prefix with the newest trace, as for a second question about the
 * same text. */
static bool goes_on(const making *m) {
    size_t n, same = 0;
    const char *old = m->w->trace ? hw_run_prompt(hw_trace_run(m->w->trace), &n) : NULL;
    while (old && same < n && same < m->r->prompt.n && old[same] == m->r->prompt.bytes[same]) same++;
    return 2 * same >= m->r->prompt.n;
}

static bool make_run(making *m) {
    hw_trace *trace;
    hw_error err; /* separate from the task's error, which may hold the reason of a stop */
    if (!goes_on(m)) worker_keep(m->w, NULL, 0); /* frees memory for the new one */
    if (capture(m, &trace, &err) != HW_OK) {
        if (!m->failed) m->t->error = err;
        return false;
    }
    if (!m->failed) return finish(m, trace);
    hw_trace_free(trace);
    return false;
}

bool explain_work(worker *w, engine_task *t) {
    making m = {.w = w, .t = t, .r = &t->explain, .choice = t->explain.choice};
    if (!worker_methods(w, t, &m.choice)) return false;
    m.id = remote_store_begin(w, &t->error);
    bool ok = m.id != 0 && make_run(&m);
    hw_attribution_free(m.cited);
    hw_explainer_free(m.explainer);
    hw_segments_free(m.passages);
    hw_segments_free(m.cited_segments);
    free(m.begun);
    return ok;
}
