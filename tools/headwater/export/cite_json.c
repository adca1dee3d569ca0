/*
 * cite_json.c - citations as JSON, documented in docs/reference/formats.md.
 *
 * `range` is bytes of `prompt` and `completion`, `characters` code points; matrices are [parts, passages].
 */
#include "export/cite.h"

#include "base/utf8.h"
#include "export/json_file.h"

#include <string.h>

static json_t *range_of(const hw_span *s) { return json_pack("[I, I]", (json_int_t)s->begin, (json_int_t)s->end); }

/* Converts a range of bytes of `text` to characters. */
static json_t *characters_of(const hw_span *s, const char *text) {
    json_int_t begin = (json_int_t)hw__utf8_length(text, s->begin);
    return json_pack("[I, I]", begin, begin + (json_int_t)hw__utf8_length(text + s->begin, s->end - s->begin));
}

static json_t *sources_elsewhere(const hw_citation *c, size_t part) {
    hw_citation_elsewhere e = hw_citation_from_elsewhere(c, part);
    return json_pack("{s:o, s:o, s:o, s:o}", "rest", hw__json_double(e.rest), "answer", hw__json_double(e.answer),
                     "model", hw__json_double(e.model), "through", hw__json_double(e.through));
}

/* Number of a passage, 0 if it has no mark. */
static size_t number_of(const hw_citation *c, size_t passage) {
    size_t n_marked;
    const size_t *order = hw_citation_order(c, &n_marked);
    for (size_t i = 0; i < n_marked; i++)
        if (order[i] == passage) return i + 1;
    return 0;
}

/* Drop in log probability of the answer, and of each part of it, without a passage. */
static json_t *put_confirmed(json_t *one, const cite_facts *f, size_t passage) {
    size_t other, whole = hw_citation_n_parts(f->citation);
    json_t *parts = json_array();
    for (size_t s = 0; s < whole; s++)
        parts = hw__json_append(parts, hw__json_double(hw_confirmation_drop(f->confirmation, s, passage)));
    one = hw__json_set(one, "fall", hw__json_double(hw_confirmation_drop(f->confirmation, whole, passage)));
    one = hw__json_set(one, "falls", parts);
    one = hw__json_set(one, "measured", json_boolean(hw_confirmation_measured(f->confirmation, passage)));
    bool stands = hw_confirmation_stand_in(f->confirmation, passage, &other);
    return hw__json_set(one, "stand_in", stands ? json_integer((json_int_t)other) : json_null());
}

static json_t *passages_of(const cite_facts *f) {
    json_t *list = json_array();
    for (size_t p = 0; p < hw_citation_n_passages(f->citation); p++) {
        const hw_span *s = hw_segments_at(f->passages, p);
        hw_citation_link link = hw_citation_at(f->citation, hw_citation_n_parts(f->citation), p);
        size_t number = number_of(f->citation, p);
        json_t *one = json_pack("{s:o}", "number", number ? json_integer((json_int_t)number) : json_null());
        one = json_file_put_text(one, "name", s->name ? s->name : "", s->name ? strlen(s->name) : 0);
        one = hw__json_set(one, "range", range_of(s));
        one = hw__json_set(one, "characters", characters_of(s, hw_run_prompt(f->run, NULL)));
        one = json_file_put_text(one, "text", hw_run_prompt(f->run, NULL) + s->begin, s->end - s->begin);
        if (f->confirmation) one = put_confirmed(one, f, p);
        one = hw__json_set(one, "share", hw__json_double(link.share));
        one = hw__json_set(one, "main_share",
                           hw__json_double(hw_citation_main_share(f->citation, hw_citation_n_parts(f->citation), p)));
        list = hw__json_append(list, one);
    }
    return list;
}

/* The marked passages, by number. */
static json_t *citations_of(const cite_facts *f, size_t part) {
    size_t n_marked;
    const size_t *order = hw_citation_order(f->citation, &n_marked);
    json_t *list = json_array();
    for (size_t i = 0; i < n_marked; i++) {
        hw_citation_link link = hw_citation_at(f->citation, part, order[i]);
        if (!link.marked) continue;
        list = hw__json_append(list, json_pack("{s:I, s:I, s:o, s:o, s:I}", "number", (json_int_t)i + 1, "passage",
                                               (json_int_t)order[i], "share", hw__json_double(link.share), "peak",
                                               hw__json_double(link.peak), "peak_token", (json_int_t)link.peak_token));
    }
    return list;
}

/* Shares that came through each part of the answer. */
static json_t *hops_of(const hw_citation *c, size_t part) {
    json_t *list = json_array();
    for (size_t from = 0; from < hw_citation_n_parts(c); from++)
        list = hw__json_append(list, hw__json_double(hw_citation_hop(c, part, from)));
    return list;
}

static json_t *parts_of(const cite_facts *f) {
    json_t *list = json_array();
    for (size_t s = 0; s < hw_citation_n_parts(f->citation); s++) {
        const hw_span *span = hw_segments_at(f->answer, s);
        json_t *one = json_pack("{s:o, s:o}", "range", range_of(span), "characters",
                                characters_of(span, hw_run_completion(f->run, NULL)));
        one = json_file_put_text(one, "text", hw_run_completion(f->run, NULL) + span->begin, span->end - span->begin);
        one = hw__json_set(one, "citations", citations_of(f, s));
        one = hw__json_set(one, "elsewhere", sources_elsewhere(f->citation, s));
        if (hw_attribution_through_rows(f->a)) one = hw__json_set(one, "hops", hops_of(f->citation, s));
        list = hw__json_append(list, one);
    }
    return list;
}

/* [parts, passages] of one member of hw_citation_link. */
static json_t *matrix_of(const hw_citation *c, size_t member) {
    json_t *rows = json_array();
    for (size_t s = 0; s < hw_citation_n_parts(c); s++) {
        json_t *row = json_array();
        for (size_t p = 0; p < hw_citation_n_passages(c); p++) {
            hw_citation_link link = hw_citation_at(c, s, p);
            double value;
            memcpy(&value, (const char *)&link + member, sizeof value);
            row = hw__json_append(row, hw__json_double(value));
        }
        rows = hw__json_append(rows, row);
    }
    return rows;
}

static json_t *rule_of(const hw_citation *c) {
    const hw_citation_rule *rule = hw_citation_rule_used(c);
    return json_pack("{s:s, s:s, s:s, s:f}", "name", rule->name, "shares", rule->shares, "peak", rule->peak, "min_peak",
                     hw_citation_min_peak(c));
}

/* The run that was cited. */
static json_t *run_of(const hw_run *run) {
    size_t n_prompt, n_completion;
    const char *prompt = hw_run_prompt(run, &n_prompt), *completion = hw_run_completion(run, &n_completion);
    const hw_model_info *model = hw_run_model(run);
    json_t *document = json_pack("{s:s, s:i}", "format", "headwater-citation", "version", 1);
    document = json_file_put_text(document, "model", model->path, strlen(model->path));
    document = hw__json_set(document, "metadata_sha256", json_string(model->metadata_sha256));
    document = json_file_put_text(document, "prompt", prompt, n_prompt);
    document = json_file_put_text(document, "completion", completion, n_completion);
    return document;
}

json_t *cite_json(const cite_facts *f) {
    const hw_citation *c = f->citation;
    return json_pack("{s:s, s:o, s:s?, s:s?, s:o, s:o, s:o, s:o, s:o, s:o}", "method", hw_attribution_method(f->a),
                     "rule", rule_of(c), "by", f->by, "answer_by", f->answer_by, "elsewhere",
                     sources_elsewhere(c, hw_citation_n_parts(c)), "passages", passages_of(f), "answer", parts_of(f),
                     "shares", matrix_of(c, offsetof(hw_citation_link, share)), "peaks",
                     matrix_of(c, offsetof(hw_citation_link, peak)), "scores",
                     matrix_of(c, offsetof(hw_citation_link, score)));
}

json_t *cite_document(const cite_facts *f) {
    json_t *document = run_of(f->run), *cited = cite_json(f);
    if (document && cited && json_object_update_new(document, cited) == 0) return document;
    json_decref(document);
    return NULL;
}

hw_err cite_save(const cite_facts *f, const char *path, hw_error *err) {
    return json_file_save(cite_document(f), path, err);
}
