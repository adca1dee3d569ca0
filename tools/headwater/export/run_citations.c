/* run_citations.c - cites by passage and by sentence or word, and adds which token belongs to which part. */
#include "export/run_citations.h"

#include "base/error.h"
#include "base/json.h"
#include "cli/names.h"
#include "export/cite.h"
#include "export/text_buffer.h"

#include <stdlib.h>
#include <string.h>

const char *citing_method(hw_method_params *settings, const hw_model_info *model) {
    *settings = hw_method_params_default();
    for (const char *at = CITING_METHODS; *at; at += strspn(at, ",")) {
        char name[32];
        size_t n = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        at += n;
        const hw_method_info *method = hw_method_find(name);
        if (model && *hw_method_problem(method, model)) continue;
        settings->through = hw_citation_rule_of(method->name)->through;
        return method->name;
    }
    return NULL;
}

/* The segment of each token of a side; -1: none. */
static json_t *groups_of(const hw_segments *segments) {
    size_t n;
    const int32_t *groups = hw_segments_groups(segments, &n);
    json_t *list = json_array();
    for (size_t t = 0; t < n; t++) list = hw__json_append(list, json_integer(groups[t]));
    return list;
}

/* What a citation is computed from: a trace, or rows of a growing run. */
typedef struct subject {
    const hw_trace *trace; /* NULL: `rows` */
    const char *method;    /* of the trace */
    hw_method_params settings;
    const hw_attribution *rows;
    cite_facts facts;
} subject;

/* *made <- the attribution with the passages as columns, owned; with rows, NULL. */
static hw_err attribute(hw_attribution **made, subject *s, hw_error *err) {
    s->facts.a = s->rows;
    *made = NULL;
    if (!s->trace) return HW_OK;
    size_t n;
    s->settings.groups = hw_segments_groups(s->facts.passages, &n);
    s->settings.n_groups = hw_segments_count(s->facts.passages);
    hw_err rc = hw_explain(made, s->trace, s->method, &s->settings, err);
    s->facts.a = *made;
    return rc;
}

static hw_err cite(json_t **out, subject *s, hw_error *err) {
    cite_facts *f = &s->facts;
    hw_citation *citation = NULL;
    hw_attribution *made;
    hw_err rc = attribute(&made, s, err);
    if (rc == HW_OK) rc = hw_citation_new(&citation, f->a, f->passages, f->answer, NULL, err);
    f->citation = citation;
    json_t *json = rc == HW_OK ? cite_json(f) : NULL;
    json = hw__json_set(json, "prompt_groups", groups_of(f->passages));
    json = hw__json_set(json, "answer_groups", groups_of(f->answer));
    hw_citation_free(citation);
    hw_attribution_free(made);
    *out = json;
    return rc != HW_OK || json ? rc : hw__fail(err, HW_ERR_MEMORY, "no memory for citations");
}

/* Segments of a side; NULL with HW_OK for a side with fewer than `n_min`. */
static hw_err split(hw_segments **out, const hw_run *run, hw_side side, const char *by, size_t n_min, hw_error *err) {
    hw_err rc = hw_segments_new(out, run, side, by, err);
    if (rc == HW_OK && hw_segments_count(*out) >= n_min) return HW_OK;
    if (rc == HW_OK) hw_segments_free(*out);
    *out = NULL;
    return rc == HW_ERR_ARGUMENT ? HW_OK : rc;
}

hw_err citing_segments(hw_segments **out, const char **by, const hw_run *run, hw_error *err) {
    *by = "sentence";
    hw_err rc = split(out, run, HW_SIDE_PROMPT, *by, 2, err);
    if (rc != HW_OK || *out) return rc;
    *by = "word";
    return split(out, run, HW_SIDE_PROMPT, *by, 1, err);
}

static const char answer_by[] = "sentence";

static hw_err split_answer(hw_segments **out, const hw_run *run, hw_error *err) {
    return split(out, run, HW_SIDE_COMPLETION, answer_by, 1, err);
}

/* Appends the citation of these segments, if there are any. */
static hw_err append(json_t **list, subject *s, const prompt_segments *prompt, hw_error *err) {
    json_t *one = NULL;
    if (!prompt->segments) return HW_OK;
    s->facts.by = prompt->by;
    s->facts.passages = prompt->segments;
    hw_err rc = cite(&one, s, err);
    if (rc != HW_OK) return rc;
    *list = hw__json_append(*list, one);
    return *list ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for citations");
}

/* A list with the citation of each split of the prompt. */
static hw_err cite_all(json_t **out, subject *s, const prompt_segments *splits, size_t n, hw_error *err) {
    hw_segments *answer = NULL;
    json_t *list = json_array();
    hw_err rc = list ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for citations");
    if (rc == HW_OK) rc = split_answer(&answer, s->facts.run, err);
    s->facts.answer_by = answer_by;
    s->facts.answer = answer;
    for (size_t i = 0; i < n && rc == HW_OK && answer; i++) rc = append(&list, s, &splits[i], err);
    hw_segments_free(answer);
    if (rc != HW_OK) {
        json_decref(list);
        return rc;
    }
    *out = list;
    return HW_OK;
}

hw_err run_citations(json_t **out, const hw_trace *trace, const hw_segments *passages, const hw_method_params *calls,
                     hw_error *err) {
    const hw_run *run = hw_trace_run(trace);
    subject s = {.trace = trace, .facts.run = run};
    s.method = citing_method(&s.settings, hw_run_model(run));
    if (!s.method) return hw__fail(err, HW_ERR_UNSUPPORTED, "neither logit nor contribution can explain this model");
    s.settings.progress = calls->progress;
    s.settings.stop = calls->stop;
    s.settings.ctx = calls->ctx;
    hw_segments *prompt;
    const char *by;
    hw_err rc = citing_segments(&prompt, &by, run, err);
    if (rc != HW_OK) return rc;
    const prompt_segments splits[] = {{"passage", passages}, {by, prompt}};
    rc = cite_all(out, &s, splits, sizeof splits / sizeof *splits, err);
    hw_segments_free(prompt);
    return rc;
}

hw_err growing_citations(json_t **out, const hw_attribution *followed, const prompt_segments *prompt, hw_error *err) {
    subject s = {.rows = followed, .facts.run = hw_attribution_run(followed)};
    return cite_all(out, &s, prompt, 1, err);
}

size_t n_finished_parts(const hw_attribution *followed) {
    hw_segments *answer = NULL;
    if (split_answer(&answer, hw_attribution_run(followed), NULL) != HW_OK || !answer) return 0;
    size_t n, finished = 0;
    const int32_t *groups = hw_segments_groups(answer, &n);
    for (size_t i = 0; i < hw_attribution_n_rows(followed) && i < n; i++)
        if (groups[i] > (int32_t)finished) finished = (size_t)groups[i];
    hw_segments_free(answer);
    return finished;
}
