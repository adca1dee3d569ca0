/*
 * check_json.c - a check as JSON: what was checked, each method's figures, the verdict; null for a figure that does not
 * exist.
 *
 *     {"format": "headwater-check", "version": 1, "model", "metadata_sha256", "completion", "tokens": [begin, end),
 *      "by", "ablations", "seed", "base", "passes", "verdict", "segments": [{"name", "begin", "end"}],
 *      "methods": [{"method", "drop": {"1", "3", "5"}, "comprehensiveness", "sufficiency", "lds", "passes"}]}
 */
#include "check_json.h"

#include "message.h"
#include "whole_file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

/* Text as it may stand in JSON: null where the bytes are not UTF-8. */
static json_t *text_of(const char *bytes, size_t n) {
    json_t *text = json_stringn(bytes, n);
    return text ? text : json_null();
}

static json_t *segments_of(const hw_segments *segments) {
    json_t *list = json_array();
    for (size_t i = 0; i < hw_segments_count(segments); i++) {
        const hw_span *s = hw_segments_at(segments, i);
        const char *name = s->name ? s->name : "";
        json_array_append_new(list, json_pack("{s:o, s:I, s:I}", "name", text_of(name, strlen(name)), "begin",
                                              (json_int_t)s->begin, "end", (json_int_t)s->end));
    }
    return list;
}

static json_t *methods_of(const hw_check *check) {
    json_t *list = json_array();
    for (size_t i = 0; i < hw_check_count(check); i++) {
        const hw_check_row *r = hw_check_at(check, i);
        json_t *drop =
            json_pack("{s:o, s:o, s:o}", "1", number(r->drop[0]), "3", number(r->drop[1]), "5", number(r->drop[2]));
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:I}", "method", r->method, "drop", drop,
                                              "comprehensiveness", number(r->comprehensiveness), "sufficiency",
                                              number(r->sufficiency), "lds", number(r->lds), "passes",
                                              (json_int_t)r->n_passes));
    }
    return list;
}

json_t *check_document(const check_facts *f) {
    size_t n;
    const char *completion = hw_run_completion(f->run, &n);
    const hw_model_info *model = hw_run_model(f->run);
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:[I, I], s:s?, s:I, s:I, s:o, s:I, s:s, s:o, s:o}", "format",
                     "headwater-check", "version", 1, "model", text_of(model->path, strlen(model->path)),
                     "metadata_sha256", text_of(model->metadata_sha256, strlen(model->metadata_sha256)), "completion",
                     text_of(completion, n), "tokens", (json_int_t)f->row_begin, (json_int_t)f->row_end, "by", f->by,
                     "ablations", (json_int_t)f->n_ablations, "seed", (json_int_t)f->seed, "base",
                     number(hw_check_base(f->check)), "passes", (json_int_t)hw_check_n_passes(f->check), "verdict",
                     hw_check_verdict(f->check), "segments", segments_of(f->segments), "methods", methods_of(f->check));
}

bool check_save(const check_facts *facts, const char *path) {
    json_t *document = check_document(facts);
    char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    size_t n = text ? strlen(text) : 0;
    if (text) text[n] = '\n'; /* in place of the terminator */
    errno = ENOMEM;
    bool ok = text && whole_file_write(path, text, n + 1);
    if (!ok) fail("cannot write %s: %s", path, whole_file_reason());
    free(text);
    json_decref(document);
    return ok;
}
