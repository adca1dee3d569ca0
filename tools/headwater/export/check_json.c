/*
 * check_json.c - a check as JSON: the input, each method's figures, the verdict; null for a figure that does not exist.
 *
 *     {"format": "headwater-check", "version": 1, "model", "metadata_sha256", "completion", "tokens": [begin, end),
 *      "by", "ablations", "seed", "base", "passes", "verdict", "segments": [{"name", "begin", "end"}],
 *      "methods": [{"method", "drop": {"1", "3", "5"}, "comprehensiveness", "sufficiency", "lds", "passes"}]}
 */
#include "export/check_json.h"

#include "export/json_file.h"

#include <string.h>

static json_t *segments_of(const hw_segments *segments) {
    json_t *list = json_array();
    for (size_t i = 0; i < hw_segments_count(segments); i++) {
        const hw_span *s = hw_segments_at(segments, i);
        const char *name = s->name ? s->name : "";
        json_t *one = json_file_put_text(json_object(), "name", name, strlen(name));
        one = hw__json_set(one, "begin", json_integer((json_int_t)s->begin));
        list = hw__json_append(list, hw__json_set(one, "end", json_integer((json_int_t)s->end)));
    }
    return list;
}

static json_t *methods_of(const hw_check *check) {
    json_t *list = json_array();
    for (size_t i = 0; i < hw_check_count(check); i++) {
        const hw_check_row *r = hw_check_at(check, i);
        json_t *drop = json_pack("{s:o, s:o, s:o}", "1", hw__json_double(r->drop[0]), "3", hw__json_double(r->drop[1]),
                                 "5", hw__json_double(r->drop[2]));
        list = hw__json_append(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:I}", "method", r->method, "drop", drop,
                                               "comprehensiveness", hw__json_double(r->comprehensiveness),
                                               "sufficiency", hw__json_double(r->sufficiency), "lds",
                                               hw__json_double(r->lds), "passes", (json_int_t)r->n_passes));
    }
    return list;
}

/* [{"method", "without", "stands", "completion"}] */
static json_t *rewritten_of(const rewritten_list *again) {
    json_t *list = json_array();
    for (size_t i = 0; i < again->n; i++) {
        const rewritten *r = &again->at[i];
        json_t *one =
            json_pack("{s:s, s:I, s:b}", "method", r->method, "without", (json_int_t)r->n_without, "stands", r->stands);
        list = hw__json_append(list, json_file_put_text(one, "completion", r->text, r->n_bytes));
    }
    return list;
}

/* The run that was checked. */
static json_t *run_of(const hw_run *run) {
    size_t n;
    const char *completion = hw_run_completion(run, &n);
    const hw_model_info *model = hw_run_model(run);
    json_t *document = json_pack("{s:s, s:i}", "format", "headwater-check", "version", 1);
    document = json_file_put_text(document, "model", model->path, strlen(model->path));
    document = hw__json_set(document, "metadata_sha256", json_string(model->metadata_sha256));
    return json_file_put_text(document, "completion", completion, n);
}

json_t *check_document(const check_facts *f) {
    json_t *document = run_of(f->run);
    json_t *checked = json_pack(
        "{s:[I, I], s:s?, s:I, s:I, s:o, s:I, s:s, s:o, s:o}", "tokens", (json_int_t)f->row_begin,
        (json_int_t)f->row_end, "by", f->by, "ablations", (json_int_t)f->n_ablations, "seed", (json_int_t)f->seed,
        "base", hw__json_double(hw_check_base(f->check)), "passes", (json_int_t)hw_check_n_passes(f->check), "verdict",
        hw_check_verdict(f->check), "segments", segments_of(f->segments), "methods", methods_of(f->check));
    if (document && checked && json_object_update_new(document, checked) == 0)
        return f->again ? hw__json_set(document, "rewritten", rewritten_of(f->again)) : document;
    json_decref(document);
    return NULL;
}

hw_err check_save(const check_facts *facts, const char *path, hw_error *err) {
    return json_file_save(check_document(facts), path, err);
}
