/*
 * document.c - a run with its explanations as JSON text for the page: see docs/reference/formats.md, "Document".
 *
 * Beyond the run and settings of a result it holds what only the library can compute well: the pieces of every
 * segmenter for prompt and completion, the tokens that each filter hides, and M in a form that is small and quick to
 * read (quantized.h).
 */
#include "base/utf8.h"
#include "formats/attribution_json.h"
#include "formats/quantized.h"
#include "formats/run_json.h"
#include "text/filter.h"
#include "text/segments.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ segments */

static json_t *groups_to_json(const hw_segments *segments) {
    json_t *list = json_array();
    for (size_t t = 0; list && t < segments->n_tokens; t++) {
        if (json_array_append_new(list, json_integer(segments->groups[t])) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

/* Bytes of a name or a text in displayed form. */
static json_t *shown_to_json(const char *bytes, size_t n) {
    size_t n_text;
    char *text = hw__utf8_shown(&n_text, bytes, n);
    json_t *json = text ? json_stringn(text, n_text) : NULL;
    free(text);
    return json;
}

/* Label of each piece: its own name, else its text. */
static json_t *names_to_json(const hw_segments *segments, const char *text) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < segments->n; i++) {
        const hw_span *s = &segments->spans[i];
        json_t *name = s->name && *s->name ? shown_to_json(s->name, strlen(s->name))
                                           : shown_to_json(text + s->begin, s->end - s->begin);
        if (json_array_append_new(list, name) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static hw_err put_segments(json_t *to, const char *key, const hw_segments *segments, const char *text, hw_error *err) {
    json_t *json = json_pack("{s:o, s:o}", "groups", groups_to_json(segments), "names", names_to_json(segments, text));
    if (json_object_set_new(to, key, json) == 0) return HW_OK;
    return hw__fail_memory(err, "segments", segments->n_tokens, sizeof *segments->groups);
}

/* Adds every segmenter except `token`, which needs no list. A side without text (an encoder's completion, an import
 * without words) has no pieces: for names of the table error ARGUMENT can only mean that. */
static hw_err put_side(json_t *to, const hw_run *run, hw_side side, const char *text, hw_error *err) {
    for (size_t i = 0; i < hw_segmenter_count(); i++) {
        const char *name = hw_segmenter_at(i)->name;
        hw_segments *segments;
        if (strcmp(name, "token") == 0) continue;
        hw_err rc = hw_segments_new(&segments, run, side, name, err);
        if (rc == HW_ERR_ARGUMENT) return HW_OK;
        if (rc != HW_OK) return rc;
        rc = put_segments(to, name, segments, text, err);
        hw_segments_free(segments);
        if (rc != HW_OK) return rc;
    }
    return HW_OK;
}

static hw_err segments_to_json(json_t **out, const hw_run *run, const hw_segments *passages, hw_error *err) {
    json_t *prompt = json_object(), *completion = json_object(),
           *json = json_pack("{s:O, s:O}", "prompt", prompt, "completion", completion);
    const char *text = hw_run_prompt(run, NULL);
    hw_err rc = json ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "out of memory: segments");
    if (rc == HW_OK) rc = put_side(prompt, run, HW_SIDE_PROMPT, text, err);
    if (rc == HW_OK && passages) rc = put_segments(prompt, "passage", passages, text, err);
    if (rc == HW_OK) rc = put_side(completion, run, HW_SIDE_COMPLETION, hw_run_completion(run, NULL), err);
    json_decref(prompt);
    json_decref(completion);
    if (rc != HW_OK) {
        json_decref(json);
        return rc;
    }
    *out = json;
    return HW_OK;
}

/* ------------------------------------------------------------------ filters */

static json_t *indices_to_json(const bool *named, size_t n) {
    json_t *list = json_array();
    for (size_t t = 0; list && t < n; t++) {
        if (!named[t] || json_array_append_new(list, json_integer((json_int_t)t)) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static hw_err put_filter(json_t *to, const char *name, const hw_run *run, bool *named, hw_error *err) {
    memset(named, 0, run->n_prompt * sizeof *named);
    hw_err rc = hw__filter_tokens(named, run->n_prompt, run, name, err);
    if (rc != HW_OK) return rc;
    if (json_object_set_new(to, name, indices_to_json(named, run->n_prompt)) == 0) return HW_OK;
    return hw__fail_memory(err, "a filter's tokens", run->n_prompt, sizeof(json_t *));
}

static hw_err filters_to_json(json_t **out, const hw_run *run, hw_error *err) {
    json_t *json = json_object();
    bool *named = hw__alloc(run->n_prompt, sizeof *named);
    hw_err rc = json && named ? HW_OK : hw__fail_memory(err, "filters", run->n_prompt, sizeof *named);
    for (size_t i = 0; rc == HW_OK && i < hw_filter_count(); i++)
        rc = put_filter(json, hw_filter_at(i)->name, run, named, err);
    free(named);
    if (rc != HW_OK) {
        json_decref(json);
        return rc;
    }
    *out = json;
    return HW_OK;
}

/* ------------------------------------------------------------------ attributions */

static json_t *floats_to_json(const float *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (json_array_append_new(list, hw__json_float(values[i])) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

/* [n][L] */
static json_t *outside_to_json(const hw_attribution *a) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < a->n_rows; i++) {
        if (json_array_append_new(list, floats_to_json(a->outside + i * a->n_layers, a->n_layers)) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static hw_err attribution_to_json(json_t **out, const hw_attribution *a, hw_error *err) {
    json_t *json, *packed;
    hw_err rc = hw__attribution_to_json(&json, a, err);
    if (rc != HW_OK) return rc;
    json_t *shape = json_pack("[I, I, I]", (json_int_t)a->n_rows, (json_int_t)a->n_columns, (json_int_t)a->n_layers);
    bool ok = json_object_set_new(json, "shape", shape) == 0;
    ok = json_object_set_new(json, "outside", outside_to_json(a)) == 0 && ok;
    rc = ok ? hw__quantized_to_json(&packed, a, err) : hw__fail_memory(err, "an attribution", a->n_rows, a->n_layers);
    if (rc == HW_OK && json_object_set_new(json, "packed", packed) != 0)
        rc = hw__fail(err, HW_ERR_MEMORY, "out of memory: an attribution's numbers");
    if (rc != HW_OK) {
        json_decref(json);
        return rc;
    }
    *out = json;
    return HW_OK;
}

static hw_err put_attributions(json_t *to, const hw_run *run, const hw_attribution *const *list, size_t n,
                               hw_error *err) {
    for (size_t i = 0; i < n; i++) {
        json_t *json;
        if (!list[i]) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: attribution %zu", i);
        if (list[i]->run != run)
            return hw__fail(err, HW_ERR_ARGUMENT, "attribution %zu is of another run than the document", i);
        hw_err rc = attribution_to_json(&json, list[i], err);
        if (rc != HW_OK) return rc;
        if (json_array_append_new(to, json) != 0) return hw__fail(err, HW_ERR_MEMORY, "out of memory: a document");
    }
    return HW_OK;
}

/* ------------------------------------------------------------------ text */

/* Writes the tree as text and releases it; nine digits read back to the same float. */
static hw_err to_text(char **out, size_t *n_bytes, json_t *json, hw_error *err) {
    char *text = hw__json_dump(json, HW__RUN_JSON_FLAGS);
    json_decref(json);
    if (!text) return hw__fail(err, HW_ERR_MEMORY, "out of memory: JSON text");
    *out = text;
    if (n_bytes) *n_bytes = strlen(text);
    return HW_OK;
}

hw_err hw_attribution_json(char **out, size_t *n_bytes, const hw_attribution *a, hw_error *err) {
    if (!a) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an attribution is needed");
    json_t *json;
    hw_err rc = attribution_to_json(&json, a, err);
    return rc == HW_OK ? to_text(out, n_bytes, json, err) : rc;
}

hw_err hw_token_json(char **out, size_t *n_bytes, const hw_run *run, size_t i, hw_error *err) {
    if (!run) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a run is needed");
    if (i >= run->n_tokens) return hw__fail(err, HW_ERR_ARGUMENT, "token %zu: the run has %zu", i, run->n_tokens);
    json_t *json = hw__token_to_json(&run->tokens[i]);
    return json ? to_text(out, n_bytes, json, err) : hw__fail(err, HW_ERR_MEMORY, "out of memory: a token");
}

hw_err hw_model_json(char **out, size_t *n_bytes, const hw_model_info *model, hw_error *err) {
    if (!model) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model is needed");
    json_t *json = hw__model_to_json(model);
    return json ? to_text(out, n_bytes, json, err) : hw__fail(err, HW_ERR_MEMORY, "out of memory: a model");
}

/* Adds the value if `made` is HW_OK. */
static hw_err put(hw_err made, json_t *to, const char *key, json_t **value, hw_error *err) {
    if (made != HW_OK || json_object_set_new(to, key, *value) == 0) return made;
    return hw__fail(err, HW_ERR_MEMORY, "out of memory: a document");
}

static hw_err attributions_to_json(json_t **out, const hw_run *run, const hw_attribution *const *list, size_t n,
                                   hw_error *err) {
    json_t *json = json_array();
    hw_err rc = put_attributions(json, run, list, n, err);
    if (rc != HW_OK) {
        json_decref(json);
        return rc;
    }
    *out = json;
    return HW_OK;
}

hw_err hw_document_json(char **out, const hw_run *run, const hw_segments *passages, const hw_attribution *const *list,
                        size_t n, hw_error *err) {
    if (!run || (n > 0 && !list))
        return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a run and attributions of it are needed");
    json_t *json = json_object(), *part = NULL;
    hw_err rc = put(hw__run_to_json(&part, run, err), json, "run", &part, err);
    if (rc == HW_OK) rc = put(segments_to_json(&part, run, passages, err), json, "segments", &part, err);
    if (rc == HW_OK) rc = put(filters_to_json(&part, run, err), json, "filters", &part, err);
    if (rc == HW_OK) rc = put(attributions_to_json(&part, run, list, n, err), json, "attributions", &part, err);
    if (rc == HW_OK) return to_text(out, NULL, json, err);
    json_decref(json);
    return rc;
}
