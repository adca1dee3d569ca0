/* draft.c - see draft.h. */
#define _DEFAULT_SOURCE /* getentropy */
#include "serve/dialects/draft.h"

#include "base/json.h"
#include "base/strlist.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define refuse(err, ...) error_set(err, HW_ERR_ARGUMENT, __VA_ARGS__)

enum { MAX_STOPS = 16, MAX_STOP_BYTES = 1000 };

/* ------------------------------------------------------------------ fields */

/* Whether a value asks for nothing. */
static bool is_neutral(const json_t *v, const draft_row *row) {
    if (json_is_number(v)) return json_number_value(v) == row->min;
    if (json_is_string(v)) return !*json_string_value(v) || (row->word && strcmp(json_string_value(v), row->word) == 0);
    if (json_is_object(v) && row->word && json_object_size(v) == 1) {
        const char *type = json_string_value(json_object_get(v, "type"));
        return type && strcmp(type, row->word) == 0;
    }
    return json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0);
}

static bool read_whole(int64_t *to, const draft_row *row, const json_t *value, hw_error *err) {
    *to = json_integer_value(value);
    if (json_is_integer(value) && (double)*to >= row->min && (double)*to <= row->max) return true;
    if (json_is_integer(value))
        return refuse(err, "\"%s\" is %lld: must be a whole number from %.0f to %.0f", row->key, (long long)*to,
                      row->min, row->max);
    return refuse(err, "\"%s\" must be a whole number from %.0f to %.0f", row->key, row->min, row->max);
}

static bool read_row(draft *d, const draft_row *row, const json_t *value, hw_error *err) {
    void *to = (char *)d + row->offset;
    if (row->kind == DRAFT_REFUSED) return is_neutral(value, row) || refuse(err, "\"%s\": %s", row->key, row->text);
    if (row->kind == DRAFT_IGNORED || json_is_null(value)) return true;
    switch (row->kind) {
    case DRAFT_WHOLE: return read_whole(to, row, value, err);
    case DRAFT_FLAG:
        *(bool *)to = json_is_true(value);
        return json_is_boolean(value) || refuse(err, "\"%s\" must be true or false", row->key);
    case DRAFT_NUMBER:
        *(const json_t **)to = value;
        return json_is_number(value) || refuse(err, "\"%s\" must be a number", row->key);
    default: *(const json_t **)to = value; return true;
    }
}

static const char *row_key(size_t i, const void *ctx) {
    const draft_row *row = &((const draft_row *)ctx)[i];
    return row->kind == DRAFT_IGNORED || row->kind == DRAFT_REFUSED ? NULL : row->key;
}

bool draft_read(draft *d, const char *where, const draft_row *rows, size_t n, const json_t *json, hw_error *err) {
    const char *key;
    char list[600];
    json_t *value;
    if (!json_is_object(json)) return refuse(err, "%s must be an object", where);
    json_object_foreach((json_t *)json, key, value) {
        size_t i = 0;
        while (i < n && strcmp(rows[i].key, key) != 0) i++;
        if (i == n)
            return refuse(err, "\"%.60s\" is not a field of %s; those with an effect here: %s", key, where,
                          hw__join_names(list, sizeof list, (hw__names){row_key, rows, n}));
        if (!read_row(d, &rows[i], value, err)) return false;
    }
    return true;
}

/* ------------------------------------------------------------------ texts with documents */

void content_add_text(content *c, const char *text, size_t n) {
    if (c->text.n && n) buffer_text(&c->text, c->document_last ? "\n\n" : "\n");
    buffer_add(&c->text, text, n);
    if (n) c->document_last = false;
}

/* The first of the keys whose value is a text; NULL: none. */
static json_t *first_text(const json_t *json, const char *const *keys, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (json_string_length(json_object_get(json, keys[i]))) return json_object_get(json, keys[i]);
    return NULL;
}

/* {"id", "title", "url", "text", "data"}; NULL with *err set. */
static json_t *describe(const json_t *json, size_t index, hw_error *err) {
    static const char *const texts[] = {"text", "snippet", "content", "data"}, *const titles[] = {"title", "name"},
                             *const urls[] = {"url"};
    const json_t *inner = json_object_get(json, "data"), *from = json_is_object(inner) ? inner : json;
    const json_t *id = json_object_get(json, "id");
    json_t *text = json_is_string(json) ? (json_t *)json : first_text(from, texts, DRAFT_COUNT(texts));
    char own_id[32];
    snprintf(own_id, sizeof own_id, "doc:%zu", index);
    if (!text || json_string_length(text) == 0 || (id && !json_is_string(id) && !json_is_null(id))) {
        refuse(err,
               "document %zu: must be a text, or an object with \"text\" (not empty) and, if wanted, \"id\", \"title\" "
               "and \"url\", which are texts",
               index);
        return NULL;
    }
    json_t *out =
        json_pack("{s:O, s:O?, s:O?, s:O, s:O?}", "text", text, "title", first_text(from, titles, DRAFT_COUNT(titles)),
                  "url", first_text(from, urls, DRAFT_COUNT(urls)), "id", json_is_string(id) ? id : json_null(), "data",
                  json_is_object(inner) ? inner : NULL);
    if (out && !json_is_string(id)) out = hw__json_set(out, "id", json_string(own_id));
    if (!out) error_set(err, HW_ERR_MEMORY, "no memory for document %zu", index);
    return out;
}

bool content_add_document(content *c, const json_t *json, hw_error *err) {
    json_t *one = describe(json, json_array_size(c->documents), err);
    if (!one) return false;
    const json_t *title = json_object_get(one, "title"), *text = json_object_get(one, "text");
    if (c->text.n) buffer_text(&c->text, "\n\n");
    if (json_is_string(title)) {
        buffer_add(&c->text, json_string_value(title), json_string_length(title));
        buffer_text(&c->text, ": ");
    }
    size_t begin = c->text.n;
    buffer_add(&c->text, json_string_value(text), json_string_length(text));
    c->document_last = true;
    json_t *range = json_pack("{s:I, s:I, s:I}", "message", (json_int_t)c->message, "begin", (json_int_t)begin, "end",
                              (json_int_t)c->text.n);
    bool ok = json_array_append_new(c->documents, one) == 0;
    ok = json_array_append_new(c->ranges, range) == 0 && ok;
    return ok || error_set(err, HW_ERR_MEMORY, "no memory for a document");
}

json_t *content_take(content *c) {
    json_t *text = c->text.failed ? NULL : json_stringn(c->text.n ? c->text.bytes : "", c->text.n);
    buffer_free(&c->text);
    c->document_last = false;
    return text;
}

/* ------------------------------------------------------------------ the request for the engine */

bool composed_new(composed *c, hw_error *err) {
    *c = (composed){json_array(), json_array(), json_array()};
    if (c->messages && c->ranges && c->documents) return true;
    composed_free(c);
    return error_set(err, HW_ERR_MEMORY, "no memory for the request");
}

void composed_free(composed *c) {
    json_decref(c->messages);
    json_decref(c->ranges);
    json_decref(c->documents);
    *c = (composed){NULL, NULL, NULL};
}

bool composed_add(composed *c, const char *role, json_t *text, hw_error *err) {
    json_t *message = json_pack("{s:s, s:o}", "role", role, "content", text);
    return json_array_append_new(c->messages, message) == 0 || error_set(err, HW_ERR_MEMORY, "no memory for a message");
}

/* A list of texts; one text counts as a list of it. NULL with *err set. */
static json_t *stops_of(const json_t *stop, hw_error *err) {
    json_t *list = json_is_string(stop) ? json_pack("[O]", stop) : json_incref((json_t *)stop);
    size_t n = json_array_size(list);
    bool ok = json_is_array(list) && n <= MAX_STOPS;
    for (size_t i = 0; ok && i < n; i++) {
        size_t bytes = json_string_length(json_array_get(list, i));
        ok = bytes > 0 && bytes <= MAX_STOP_BYTES;
    }
    if (ok) return list;
    json_decref(list);
    refuse(err, "stop texts must be a text or a list of at most %d texts, each of 1 to %d bytes", MAX_STOPS,
           MAX_STOP_BYTES);
    return NULL;
}

/* A seed in the sampler's range: other integers are reduced to it. Without one, sampling differs each time. */
static json_t *seed_of(const json_t *given, hw_error *err) {
    uint32_t seed;
    if (given && !json_is_integer(given)) {
        refuse(err, "\"seed\" must be a whole number");
        return NULL;
    }
    if (given) return json_integer((json_int_t)(uint32_t)json_integer_value(given));
    if (getentropy(&seed, sizeof seed) == 0) return json_integer(seed);
    error_set(err, HW_ERR_IO, "the system has no random numbers: give a \"seed\"");
    return NULL;
}

static json_t *options_of(const draft *d, hw_error *err) {
    json_t *seed = seed_of(d->seed, err);
    if (!seed) return NULL;
    json_t *options = json_pack("{s:o, s:O*, s:O*, s:O*}", "seed", seed, "temperature", d->temperature, "top_p",
                                d->top_p, "top_k", d->top_k);
    if (!options) error_set(err, HW_ERR_MEMORY, "no memory for the request");
    return options;
}

static bool fill_request(chat_call *call, composed *c, const draft *d, hw_error *err) {
    json_t *options = options_of(d, err), *stop = options && d->stop ? stops_of(d->stop, err) : NULL;
    if (!options || (d->stop && !stop)) {
        json_decref(options);
        return false;
    }
    bool chat = json_array_size(c->messages) > 0;
    call->request = json_pack("{s:O*, s:O*, s:O, s:o, s:o*, s:I, s:b, s:b}", ANSWER_MESSAGES, chat ? c->messages : NULL,
                              ANSWER_PROMPT, chat ? NULL : d->prompt, ANSWER_DOCUMENTS, c->ranges, ANSWER_OPTIONS,
                              options, ANSWER_STOP, stop, ANSWER_MAX, (json_int_t)d->max_tokens, ANSWER_CITES,
                              d->citations, ANSWER_NUMBERS, d->numbers);
    if (d->n_top >= 0) call->request = hw__json_set(call->request, ANSWER_TOP, json_integer((json_int_t)d->n_top));
    return call->request || error_set(err, HW_ERR_MEMORY, "no memory for the request");
}

bool composed_finish(chat_call *call, composed *c, const draft *d, hw_error *err) {
    bool ok = fill_request(call, c, d, err);
    call->documents = json_incref(c->documents);
    call->stream = d->stream;
    call->usage = d->usage;
    composed_free(c);
    return ok;
}
