/*
 * stored_run_tasks.c - tasks on a saved run: explaining by other methods, checking its faithfulness, citing, exporting
 * files. All use the stored trace; only a check, confirmed citations and methods that require it run the model again.
 */
#include "base/json.h"
#include "export/check_json.h"
#include "export/cite.h"
#include "export/run_citations.h"
#include "serve/engine/remote_store.h"
#include "serve/engine/tasks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Parses text that this program has written; NULL with *err set: memory ran out, or the store is damaged. */
static json_t *load(const char *text, hw_error *err) {
    bool no_memory;
    json_t *json = hw__json_read(text, strlen(text), JSON_ALLOW_NUL, &no_memory, NULL);
    if (!json && no_memory)
        error_set(err, HW_ERR_MEMORY, "no memory for what the store gives");
    else if (!json)
        error_set(err, ERR_STORE, "what the store gives is no JSON: it is damaged");
    return json;
}

/* The request of a run, an object; NULL with *err set. */
static json_t *load_request(worker *w, hw_error *err) {
    char *text = remote_store_request(w, err);
    json_t *json = text ? load(text, err) : NULL;
    free(text);
    return json;
}

static bool is_stopped(void *ctx) { return worker_is_stopped(ctx); }

/* The trace of a run, kept in memory until another one replaces it. */
static const hw_trace *open_trace(worker *w, int64_t run, hw_error *err) {
    static const char name[] = "open.safetensors";
    char path[192];
    hw_trace *trace;
    if (!remote_store_has(w, err)) { /* the run was deleted: drops its trace in memory, too */
        if (w->trace_run == run) worker_keep(w, NULL, 0);
        return NULL;
    }
    if (w->trace && w->trace_run == run) return w->trace;
    worker_path(w, name, path, sizeof path);
    bool ok = remote_store_trace(w, name, err) && hw_trace_open(&trace, path, err) == HW_OK;
    unlink(path);
    if (!ok) return NULL;
    worker_keep(w, trace, run);
    return trace;
}

/* ------------------------------------------------------------------ segments of the prompt */

static bool split_by_passages(hw_segments **out, worker *w, int64_t id, const hw_run *run, hw_error *err) {
    json_t *json = load_request(w, err), *spans = json_object_get(json, "spans");
    char *text = spans ? hw__json_dump(spans, JSON_COMPACT) : NULL;
    bool ok = text != NULL;
    if (spans && !ok)
        error_set(err, HW_ERR_MEMORY, "no memory for the passages of run %lld", (long long)id);
    else if (json && !ok)
        error_set(err, HW_ERR_ARGUMENT, "\"by\" is \"passage\", but run %lld has no passages", (long long)id);
    ok = ok && hw_segments_from_json(out, run, HW_SIDE_PROMPT, text, strlen(text), err) == HW_OK;
    free(text);
    json_decref(json);
    return ok;
}

static bool split_prompt(hw_segments **out, worker *w, int64_t id, const hw_run *run, const char *by, hw_error *err) {
    if (strcmp(by, "passage") == 0) return split_by_passages(out, w, id, run, err);
    return hw_segments_new(out, run, HW_SIDE_PROMPT, by, err) == HW_OK;
}

/* The default segments of a check and of citations. False with *err set. */
static bool default_split(const char **by, worker *w, hw_error *err) {
    json_t *json = load_request(w, err);
    *by = json_object_get(json, "spans") ? "passage" : "sentence";
    json_decref(json);
    return json != NULL;
}

/* ------------------------------------------------------------------ explanations */

typedef struct explained {
    hw_attribution *list[MAX_METHODS]; /* [n] owned */
    size_t n;
} explained;

static void free_explained(explained *e) {
    for (size_t i = 0; i < e->n; i++) hw_attribution_free(e->list[i]);
}

/* A method that fails is left out, if another one remains. */
static bool explain_list(explained *out, worker *w, engine_task *t, const hw_trace *trace, const choice *c,
                         hw_method_params p) {
    p.model = w->model;
    p.stop = is_stopped;
    p.ctx = w;
    for (size_t i = 0; i < c->n; i++) {
        hw_err rc = hw_explain(&out->list[out->n], trace, c->methods[i], &p, &t->error);
        if (rc == HW_OK)
            out->n++;
        else if (error_ends_run(rc) || !worker_leave_out(t, c->methods[i], t->error.msg))
            return false;
    }
    return out->n > 0;
}

/* Runs the methods by these segments only, as a check compares them. */
static bool explain_by(explained *out, worker *w, engine_task *t, const hw_trace *trace, const choice *c,
                       const hw_segments *segments) {
    hw_method_params p = c->params;
    size_t n;
    p.groups = hw_segments_groups(segments, &n);
    p.n_groups = hw_segments_count(segments);
    return explain_list(out, w, t, trace, c, p);
}

/* Takes ownership of the task's result, an object, and adds the methods that were left out. */
static void put_result(engine_task *t, json_t *result) {
    buffer_json(&t->result, t->left_out ? hw__json_set(result, "left_out", json_incref(t->left_out)) : result);
}

/* A JSON list of the results; NULL with *err set. */
static json_t *explained_to_json(const explained *e, hw_error *err) {
    json_t *list = json_array();
    if (!list) error_set(err, HW_ERR_MEMORY, "no memory for the explanation");
    for (size_t i = 0; list && i < e->n; i++) {
        char *text = NULL;
        json_t *one = hw_attribution_json(&text, NULL, e->list[i], err) == HW_OK ? load(text, err) : NULL;
        bool ok = one != NULL;
        if (ok && json_array_append_new(list, one) != 0)
            ok = error_set(err, HW_ERR_MEMORY, "no memory for the explanation");
        free(text);
        if (ok) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static bool answer_explained(const explained *e, worker *w, engine_task *t) {
    json_t *list = explained_to_json(e, &t->error);
    bool ok = list && remote_store_amend(w, list, NULL, &t->error);
    if (ok) put_result(t, json_pack("{s:O}", "attributions", list));
    json_decref(list);
    return ok;
}

/* Sets columns that cover the whole prompt, split by `by`; NULL: each token is a column. */
static bool split_columns(hw_partition **out, hw_method_params *p, worker *w, engine_task *t, const hw_run *run) {
    hw_segments *segments;
    if (!t->again.by) return true;
    if (!split_prompt(&segments, w, t->run, run, t->again.by, &t->error)) return false;
    bool ok = hw_segments_partition(out, segments, &t->error) == HW_OK;
    hw_segments_free(segments);
    if (ok) hw_partition_columns(*out, p);
    return ok;
}

bool reexplain_work(worker *w, engine_task *t) {
    explained made = {.n = 0};
    hw_partition *columns = NULL;
    hw_method_params p = t->again.params;
    const hw_trace *trace = worker_methods(w, t, &t->again) ? open_trace(w, t->run, &t->error) : NULL;
    bool ok = trace && split_columns(&columns, &p, w, t, hw_trace_run(trace)) &&
              explain_list(&made, w, t, trace, &t->again, p) && answer_explained(&made, w, t);
    free_explained(&made);
    hw_partition_free(columns);
    return ok;
}

/* ------------------------------------------------------------------ check */

/* A check in progress. */
typedef struct checking {
    worker *w;
    engine_task *t;
} checking;

static bool is_check_stopped(void *ctx) { return worker_is_stopped(((checking *)ctx)->w); }

static void send_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    checking *c = ctx;
    if (stage != HW_STAGE_EXPLAIN) return;
    worker_send_json(c->w, c->t, "progress",
                     json_pack("{s:I, s:I}", "done", (json_int_t)done, "total", (json_int_t)total));
}

/* Generates the completion again without the top segments, if the request wants that. */
static bool write_again(check_facts *facts, rewritten_list *again, const checking *c, const explained *made) {
    rewrite_subject subject = {.model = c->w->model,
                               .run = facts->run,
                               .segments = facts->segments,
                               .list = (const hw_attribution *const *)made->list,
                               .n = made->n,
                               .row_begin = facts->row_begin,
                               .row_end = facts->row_end,
                               .stop = is_check_stopped,
                               .ctx = (void *)c};
    if (!c->t->check.rewrite) return true;
    facts->again = again;
    return rewrite_all(again, &subject, &c->t->error) == HW_OK;
}

/* Takes ownership of `json`, the member `key` of the run and of the task's result. */
static bool answer_member(worker *w, engine_task *t, const char *key, json_t *json) {
    json_t *members = json_pack("{s:o}", key, json); /* NULL for NULL */
    bool ok = members ? remote_store_amend(w, NULL, members, &t->error)
                      : error_set(&t->error, HW_ERR_MEMORY, "no memory for a %s", key);
    if (!ok) {
        json_decref(members);
        return false;
    }
    put_result(t, members);
    return true;
}

static bool judge(worker *w, engine_task *t, const hw_trace *trace, const hw_segments *segments,
                  const explained *made) {
    const check_request *r = &t->check;
    hw_check_params p = hw_check_params_default();
    hw_check *check;
    checking ctx = {w, t};
    p.row_begin = (size_t)r->row_begin;
    p.row_end = (size_t)r->row_end;
    p.n_ablations = (size_t)r->ablations;
    p.seed = (uint64_t)r->seed;
    p.progress = send_progress;
    p.stop = is_check_stopped;
    p.ctx = &ctx;
    if (hw_check_new(&check, w->model, trace,
                     &(hw_check_subject){segments, (const hw_attribution *const *)made->list, made->n}, &p,
                     &t->error) != HW_OK)
        return false;
    check_facts facts = {.check = check,
                         .run = hw_trace_run(trace),
                         .segments = segments,
                         .by = r->by,
                         .row_begin = p.row_begin,
                         .row_end = p.row_end,
                         .n_ablations = p.n_ablations,
                         .seed = p.seed};
    rewritten_list again = {.n = 0};
    bool ok = write_again(&facts, &again, &ctx, made) && answer_member(w, t, "check", check_document(&facts));
    rewritten_list_free(&again);
    hw_check_free(check);
    return ok;
}

static bool fit_tokens(check_request *r, const hw_run *run, hw_error *err) {
    int64_t n = (int64_t)hw_run_n_completion(run);
    if (r->row_end == 0) r->row_end = n;
    return r->row_end <= n || error_set(err, HW_ERR_ARGUMENT, "\"tokens\" ends at %lld: the completion has %lld tokens",
                                        (long long)r->row_end, (long long)n);
}

bool check_work(worker *w, engine_task *t) {
    check_request *r = &t->check;
    explained made = {.n = 0};
    hw_segments *segments = NULL;
    const hw_trace *trace = worker_methods(w, t, &r->choice) ? open_trace(w, t->run, &t->error) : NULL;
    if (!trace) return false;
    const hw_run *run = hw_trace_run(trace);
    bool ok = (r->by || default_split(&r->by, w, &t->error)) && fit_tokens(r, run, &t->error) &&
              split_prompt(&segments, w, t->run, run, r->by, &t->error) &&
              explain_by(&made, w, t, trace, &r->choice, segments) && judge(w, t, trace, segments, &made);
    free_explained(&made);
    hw_segments_free(segments);
    return ok;
}

/* ------------------------------------------------------------------ citations */

/* The method of a request that names none, and whether its rows are followed through the answer. */
static bool cite_method(engine_task *t, const worker *w) {
    cite_request *r = &t->cite;
    hw_method_params by_default;
    const char *method = r->choice.n ? NULL : citing_method(&by_default, w->info);
    if (method) r->choice.methods[r->choice.n++] = method;
    if (r->choice.n == 0)
        return error_set(&t->error, HW_ERR_UNSUPPORTED,
                         "neither logit nor contribution can explain this model: name a "
                         "\"method\"");
    if (!worker_methods(w, t, &r->choice)) return false;
    if (!r->through_given) r->choice.params.through = hw_citation_rule_of(r->choice.methods[0])->through;
    return true;
}

/* Leaves out the first passages, if the request wants that. */
static bool confirm(hw_confirmation **out, checking *c, const hw_trace *trace, const cite_facts *f) {
    hw_confirm_params p = hw_confirm_params_default();
    if (c->t->cite.confirm == 0) return true;
    p.n_passages = (size_t)c->t->cite.confirm;
    p.progress = send_progress;
    p.stop = is_check_stopped;
    p.ctx = c;
    return hw_confirmation_new(out, c->w->model, trace, &(hw_cited){f->citation, f->passages, f->answer}, &p,
                               &c->t->error) == HW_OK;
}

static bool cite(worker *w, engine_task *t, const hw_trace *trace, cite_facts *f) {
    hw_citation_params p = hw_citation_params_default();
    hw_citation *citation;
    hw_confirmation *confirmation = NULL;
    checking ctx = {w, t};
    p.min_peak = t->cite.min_peak;
    if (hw_citation_new(&citation, f->a, f->passages, f->answer, &p, &t->error) != HW_OK) return false;
    f->citation = citation;
    bool ok = confirm(&confirmation, &ctx, trace, f);
    f->confirmation = confirmation;
    if (confirmation) hw_citation_confirm(citation, confirmation);
    ok = ok && answer_member(w, t, "citation", cite_document(f));
    hw_confirmation_free(confirmation);
    hw_citation_free(citation);
    return ok;
}

bool cite_work(worker *w, engine_task *t) {
    cite_request *r = &t->cite;
    explained made = {.n = 0};
    hw_segments *passages = NULL, *answer = NULL;
    const hw_trace *trace = cite_method(t, w) ? open_trace(w, t->run, &t->error) : NULL;
    if (!trace) return false;
    const hw_run *run = hw_trace_run(trace);
    bool ok = (r->by || default_split(&r->by, w, &t->error)) &&
              split_prompt(&passages, w, t->run, run, r->by, &t->error) &&
              hw_segments_new(&answer, run, HW_SIDE_COMPLETION, r->answer_by, &t->error) == HW_OK &&
              explain_by(&made, w, t, trace, &r->choice, passages);
    ok = ok && cite(w, t, trace,
                    &(cite_facts){.run = run,
                                  .a = made.list[0],
                                  .passages = passages,
                                  .answer = answer,
                                  .by = r->by,
                                  .answer_by = r->answer_by});
    free_explained(&made);
    hw_segments_free(answer);
    hw_segments_free(passages);
    return ok;
}

/* ------------------------------------------------------------------ export */

/* The result is a file with this name in the folder: the server reads it from there. */
static bool give_file(engine_task *t, const char *name) {
    t->done_type = FRAME_DONE_FILE;
    buffer_add(&t->result, name, strlen(name) + 1);
    return true;
}

/* Reads the settings of an attribution in the document: those that a request can have. */
static bool read_settings(choice *c, const json_t *attribution, hw_error *err) {
    const json_t *settings = json_object_get(attribution, "settings");
    json_t *kept = json_object(), *request = json_object(), *methods = json_array();
    for (size_t i = 0; i < hw_setting_count(); i++) {
        const hw_setting_info *s = hw_setting_at(i);
        json_t *value = json_object_get(settings, s->name); /* documents of early versions lack some */
        const char *digits = s->json_text ? json_string_value(value) : NULL;
        if (digits) {
            kept = hw__json_set(kept, s->name, json_integer((json_int_t)strtoull(digits, NULL, 10)));
        } else if (value) {
            kept = hw__json_set(kept, s->name, json_incref(value));
        }
    }
    methods = hw__json_append(methods, json_incref(json_object_get(attribution, "method")));
    request = hw__json_set(hw__json_set(request, "methods", methods), "settings", kept);
    bool ok =
        request ? request_reexplain(c, request, err) : error_set(err, HW_ERR_MEMORY, "no memory for the settings");
    json_decref(request);
    return ok;
}

/* *out <- the groups of a grouped attribution, checked against the run, malloc'd; NULL if there are none. False when
 * memory runs out. */
static bool read_groups(int32_t **out, size_t *n_groups, const json_t *attribution, const hw_run *run) {
    const json_t *settings = json_object_get(attribution, "settings"), *list = json_object_get(settings, "groups");
    size_t n = hw_run_n_prompt(run);
    json_int_t max = json_integer_value(json_object_get(settings, "n_groups"));
    *out = NULL;
    if (json_array_size(list) != n || max < 1 || max > (json_int_t)n) return true;
    int32_t *groups = malloc(n * sizeof *groups);
    if (!groups) return false;
    for (size_t k = 0; k < n; k++) {
        json_int_t group = json_integer_value(json_array_get(list, k));
        groups[k] = group >= -1 && group < max ? (int32_t)group : -1;
    }
    *n_groups = (size_t)max;
    *out = groups;
    return true;
}

/* *out <- [n_groups] their names, borrowed from the document, malloc'd; NULL if there are none. False when memory runs
 * out. */
static bool read_group_names(const char ***out, const json_t *attribution, size_t n_groups) {
    const json_t *list = json_object_get(json_object_get(attribution, "settings"), "group_names");
    if (json_array_size(list) != n_groups) return true;
    const char **names = malloc((n_groups + 1) * sizeof *names);
    *out = names;
    for (size_t g = 0; names && g < n_groups; g++) {
        const char *name = json_string_value(json_array_get(list, g));
        names[g] = name ? name : "";
    }
    return names != NULL;
}

/* Computes one explanation of the document again, with the whole M. */
static bool remake(explained *out, worker *w, engine_task *t, const hw_trace *trace, const json_t *attribution) {
    choice c;
    explained one = {.n = 0};
    if (!read_settings(&c, attribution, &t->error)) return false;
    hw_method_params p = c.params;
    int32_t *groups;
    const char **names = NULL;
    bool got = read_groups(&groups, &p.n_groups, attribution, hw_trace_run(trace)) &&
               (!groups || read_group_names(&names, attribution, p.n_groups));
    if (!got) {
        free(groups);
        return error_set(&t->error, HW_ERR_MEMORY, "no memory for the groups of an explanation");
    }
    p.groups = groups;
    p.group_names = names;
    bool ok = explain_list(&one, w, t, trace, &c, p);
    if (ok) out->list[out->n++] = one.list[0];
    free(groups);
    free(names);
    return ok;
}

/* Computes those explanations of the document that the method (if one is named) selects; for a format with one result
 * the first. */
static bool remake_all(explained *out, worker *w, engine_task *t, const hw_trace *trace, bool many) {
    buffer text = {.n = 0};
    json_t *json = remote_store_get(w, &text, &t->error) ? load(text.bytes ? text.bytes : "", &t->error) : NULL,
           *list = json_object_get(json, "attributions");
    bool ok = json != NULL;
    buffer_free(&text);
    for (size_t i = 0; ok && i < json_array_size(list) && out->n < (many ? MAX_METHODS : 1); i++) {
        const json_t *a = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(a, "method"));
        if (*t->method && (!name || strcmp(name, t->method) != 0)) continue;
        if (t->attribution >= 0 && t->attribution != (int64_t)i) continue;
        ok = remake(out, w, t, trace, a);
    }
    json_decref(json);
    if (ok && out->n == 0)
        return error_set(&t->error, ERR_NOT_FOUND, "run %lld was not explained by that method", (long long)t->run);
    return ok;
}

static const hw_format_info *find_format(const char *name) {
    for (size_t i = 0; i < hw_format_count(); i++)
        if (strcmp(hw_format_at(i)->name, name) == 0) return hw_format_at(i);
    return NULL;
}

bool export_work(worker *w, engine_task *t) {
    char name[48], path[192];
    explained made = {.n = 0};
    if (strcmp(t->format, "trace") == 0)
        return remote_store_trace(w, "export.safetensors", &t->error) && give_file(t, "export.safetensors");
    const hw_format_info *format = find_format(t->format);
    const hw_trace *trace = open_trace(w, t->run, &t->error);
    bool ok = trace && remake_all(&made, w, t, trace, format->many);
    snprintf(name, sizeof name, "export%s", format->extension);
    worker_path(w, name, path, sizeof path);
    ok = ok && hw_result_save((const hw_attribution *const *)made.list, made.n, path, false, &t->error) == HW_OK &&
         give_file(t, name);
    free_explained(&made);
    return ok;
}
