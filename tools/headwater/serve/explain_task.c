/*
 * explain_task.c - a new run: the model generates, each token is explained as soon as its rows arrive, and everything
 * is saved before the client gets `done`.
 *
 *     a row in the store -> capture (tokens, explained rows) -> whole explanations -> document and trace into the store
 *
 * A run that is stopped, or whose client disconnects, keeps its tokens so far.
 */
#include "serve/remote_store.h"
#include "serve/tasks.h"

#include "cli/clock.h"
#include "base/json.h"
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
    hw_segments *passages, *cut; /* segments of the prompt; NULL: none */
    hw_partition *columns;       /* owner of the groups in params; NULL: each token is a column */
    hw_method_params params;
    hw_live *live[MOST_METHODS]; /* [choice.n] NULL: explained at the end only */
    bool began;                  /* the prompt is decoded */
    bool failed;                 /* the run has failed: t->error has the reason */
    size_t n_tokens;
    double told; /* when progress was last sent, clock_seconds() */
} making;

/* ------------------------------------------------------------------ events */

/* The run fails on lack of memory, because a client that counts tokens must get every one. */
static void fail_memory(making *m, const char *what) {
    if (!m->failed) error_set(&m->t->error, HW_ERR_MEMORY, "no memory for %s", what);
    m->failed = true;
}

/* A token as a tree; NULL when memory runs out. */
static json_t *token_json(const hw_token *token) {
    char *text;
    bool no_memory;
    if (hw_token_json(&text, NULL, token, NULL) != HW_OK) return NULL;
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
    for (size_t i = 0; i < hw_run_n_prompt(run); i++) {
        hw_token token = hw_run_token(run, i);
        tokens = hw__json_append(tokens, token_json(&token));
    }
    send(m, "prompt", json_pack("{s:o, s:I}", "tokens", tokens, "reused", (json_int_t)hw_run_n_reused(run)));
}

static void on_token(void *ctx, const hw_token *token) {
    making *m = ctx;
    buffer data = {.n = 0};
    char *text = NULL;
    bool ok = !m->t->wants_events || hw_token_json(&text, NULL, token, NULL) == HW_OK;
    if (ok && text)
        buffer_splice(&data, json_pack("{s:I}", "index", (json_int_t)m->n_tokens++), "token", text, strlen(text));
    if (!ok || !worker_send_token(m->w, m->t, token, &data)) fail_memory(m, "an event");
    free(text);
}

static void on_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    making *m = ctx;
    double now = clock_seconds();
    if (stage != HW_STAGE_PREFILL || (done < total && now - m->told < PROGRESS_S)) return;
    m->told = now;
    send(m, "prefill", json_pack("{s:I, s:I, s:I}", "job", (json_int_t)m->t->id, "done", (json_int_t)done, "total",
                                 (json_int_t)total));
}

static void send_explained(making *m, const hw_attribution *a) {
    buffer data = {.n = 0};
    char *text;
    if (hw_attribution_json(&text, NULL, a, NULL) != HW_OK) {
        fail_memory(m, "an explanation");
        return;
    }
    buffer_splice(&data, json_object(), "attribution", text, strlen(text));
    free(text);
    if (!worker_send_event(m->w, m->t, "explained", &data)) fail_memory(m, "an event");
}

/* ------------------------------------------------------------------ while it grows */

static hw_err spans_to_segments(hw_segments **out, const hw_run *run, const json_t *spans, hw_error *err) {
    char *text = hw__json_dump(spans, JSON_COMPACT);
    hw_err rc = text ? hw_segments_from_json(out, run, HW_SIDE_PROMPT, text, strlen(text), err)
                     : hw__fail(err, HW_ERR_MEMORY, "out of memory: the passages");
    free(text);
    return rc;
}

/* Makes passages, and the groups of the columns. A prompt that cannot be split as requested is an error: explaining by
 * tokens instead would answer another question. */
static hw_err cut_prompt(making *m, const hw_run *run, hw_error *err) {
    const hw_segments *by = NULL;
    const char *name = m->choice.by;
    hw_err rc = m->r->spans ? spans_to_segments(&m->passages, run, m->r->spans, err) : HW_OK;
    if (rc != HW_OK || !name) return rc;
    if (strcmp(name, "passage") == 0) {
        by = m->passages;
    } else {
        rc = hw_segments_new(&m->cut, run, HW_SIDE_PROMPT, name, err);
        by = m->cut;
    }
    if (rc == HW_OK && by) rc = hw_segments_partition(&m->columns, by, err);
    if (rc == HW_OK && by) hw_partition_columns(m->columns, &m->params);
    return rc;
}

/* Methods that cannot explain a growing run are run at the end. */
static void begin_live(making *m) {
    for (size_t i = 0; i < m->choice.n && m->t->wants_events; i++)
        if (hw_live_new(&m->live[i], m->choice.methods[i], &m->params, NULL) != HW_OK) m->live[i] = NULL;
}

/* Called when the prompt is decoded. */
static void begin(making *m, const hw_run *run) {
    m->began = true;
    send_prompt(m, run);
    if (!m->failed && cut_prompt(m, run, &m->t->error) != HW_OK) m->failed = true;
    if (!m->failed) begin_live(m);
}

static void on_rows(void *ctx, const hw_trace *trace) {
    making *m = ctx;
    if (!m->began) begin(m, hw_trace_run(trace));
    for (size_t i = 0; i < m->choice.n && !m->failed; i++) {
        hw_attribution *rows = NULL;
        if (!m->live[i]) continue;
        if (hw_live_next(&rows, m->live[i], trace, NULL) == HW_OK) {
            if (rows) send_explained(m, rows);
        } else {
            hw_live_free(m->live[i]);
            m->live[i] = NULL;
        }
        hw_attribution_free(rows);
    }
}

static bool is_stopped(void *ctx) {
    making *m = ctx;
    return m->failed || worker_is_stopped(m->w);
}

static uint32_t signals_of(const making *m, const hw_method_params *p) {
    uint32_t signals = 0;
    for (size_t i = 0; i < hw_method_count(); i++) {
        const hw_method_info *method = hw_method_at(i);
        if (!*hw_method_problem(method, m->w->info)) signals |= hw_method_signals(method->name, p);
    }
    return signals;
}

/* Signals of every method with the requested settings, with default settings and with a measured residual, so that all
 * methods can be tried on the saved run. */
static uint32_t all_signals(const making *m) {
    hw_method_params usual = hw_method_params_default();
    usual.residual_measured = !*m->w->info->values_problem;
    return signals_of(m, &m->params) | signals_of(m, &usual);
}

/* With `chat` a conversation instead of the request's prompt. */
static hw_err capture_chat(making *m, const conversation *chat, hw_trace **trace, hw_error *err) {
    const explain_request *r = m->r;
    hw_run_params p = r->run;
    p.prompt = r->prompt.bytes;
    p.prompt_bytes = r->prompt.n;
    p.completion = r->completion.bytes;
    p.completion_bytes = r->completion.n;
    p.messages = chat->messages;
    p.n_messages = chat->n_messages;
    p.signals = all_signals(m);
    p.prefix = m->w->trace;
    p.memory = m->w->limits.memory;
    p.on_token = on_token;
    p.on_rows = on_rows;
    p.live_rows = LIVE_ROWS;
    p.progress = on_progress;
    p.stop = is_stopped;
    p.ctx = m;
    return hw_trace_capture(trace, m->w->model, &p, err);
}

static hw_err capture(making *m, hw_trace **trace, hw_error *err) {
    conversation chat = {.n_messages = 0};
    bool ok = !m->r->messages || messages_from_json(&chat, m->r->messages, err);
    hw_err rc = ok ? capture_chat(m, &chat, trace, err) : err->code;
    conversation_free(&chat);
    return rc;
}

/* ------------------------------------------------------------------ when it is whole */

/* Whether methods that run the model again are no longer needed, because the run was stopped. */
static bool is_abandoned(void *ctx) {
    making *m = ctx;
    return worker_is_abandoned(m->w);
}

/* Runs the methods; those that fail are left out if at least one succeeds. Returns the number of results. */
static size_t explain_all(making *m, const hw_trace *trace, hw_attribution *made[MOST_METHODS], hw_error *err) {
    size_t n = 0;
    hw_method_params p = m->params;
    p.model = m->w->model;
    p.ctx = m;
    for (size_t i = 0; i < m->choice.n; i++) {
        bool reruns = hw_method_find(m->choice.methods[i])->traits & HW_USES_MODEL;
        p.stop = reruns ? is_stopped : is_abandoned;
        if (hw_explain(&made[n], trace, m->choice.methods[i], &p, err) == HW_OK) n++;
    }
    return n;
}

static bool save(making *m, const hw_trace *trace, hw_attribution *const *made, size_t n) {
    char path[192], *document;
    hw_error *err = &m->t->error;
    const hw_run *run = hw_trace_run(trace);
    if (hw_document_json(&document, NULL, run, m->passages, (const hw_attribution *const *)made, n, err) != HW_OK)
        return false;
    worker_path(m->w, TRACE_FILE, path, sizeof path);
    bool traced = hw_trace_save(trace, path, NULL) == HW_OK;
    bool ok = remote_store_finish(m->w, run, document, traced, err);
    unlink(path);
    free(document);
    return ok;
}

/* Takes ownership of the trace. */
static bool finish(making *m, hw_trace *trace) {
    hw_attribution *made[MOST_METHODS] = {NULL};
    m->t->error = (hw_error){.code = HW_ERR_CANCELLED, .msg = "stopped"};
    size_t n = explain_all(m, trace, made, &m->t->error);
    bool ok = n > 0 && save(m, trace, made, n);
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
    making m = {
        .w = w, .t = t, .r = &t->explain, .choice = t->explain.choice, .params = t->explain.choice.params};
    if (!worker_methods(w, &m.choice, &t->error)) return false;
    m.id = remote_store_begin(w, &t->error);
    bool ok = m.id != 0 && make_run(&m);
    for (size_t i = 0; i < m.choice.n; i++) hw_live_free(m.live[i]);
    hw_segments_free(m.passages);
    hw_segments_free(m.cut);
    hw_partition_free(m.columns);
    return ok;
}
