/*
 * run_json.c - one table of fields for the model's description and one for the options, used for reading and writing.
 * Tokens are read with hw__run_add_token(), so that a file cannot make a run that a capture could not make.
 */
#include "formats/run_json.h"

#include "data/enum_names.h"
#include "data/thinking.h"
#include "formats/setting_json.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* More layers than any model has; limits what a small file can make the trace allocate. */
enum { MAX_LAYERS = 100000 };

typedef enum kind { TEXT, I32, U32, SIZE, U64, BOOL, FLOAT, DOUBLE } kind;

/* A struct member that is stored under a key. */
typedef struct field {
    const char *key, *hex_key; /* hex_key: for TEXT */
    kind kind;
    size_t offset;
    bool is_new; /* for TEXT: files of earlier versions lack it, and it is "" then */
} field;

#define MODEL_TEXT(name)                                                                                               \
    { #name, #name "_bytes", TEXT, offsetof(hw_model_info, name), false }
#define MODEL_NEW(name)                                                                                                \
    { #name, #name "_bytes", TEXT, offsetof(hw_model_info, name), true }
#define MODEL(name, kind)                                                                                              \
    { #name, NULL, kind, offsetof(hw_model_info, name), false }
#define OPTION(name, kind)                                                                                             \
    { #name, NULL, kind, offsetof(hw__run_options, name), false }

static const field model_fields[] = {
    MODEL_TEXT(path),
    MODEL_TEXT(engine),
    MODEL_TEXT(engine_version),
    MODEL_TEXT(architecture),
    MODEL_TEXT(name),
    MODEL_TEXT(quantisation),
    MODEL_TEXT(metadata_sha256),
    MODEL_NEW(sample_sha256),
    MODEL_NEW(adapters),
    MODEL_TEXT(device),
    MODEL_TEXT(problem),
    MODEL_TEXT(values_problem),
    MODEL_TEXT(readout_problem),
    MODEL_NEW(recurrent_problem),
    MODEL(n_blocks, I32),
    MODEL(n_heads, I32),
    MODEL(n_heads_kv, I32),
    MODEL(n_embd, I32),
    MODEL(n_vocab, I32),
    MODEL(n_ctx_train, I32),
    MODEL(n_swa, I32),
    MODEL(n_params, U64),
    MODEL(n_bytes, U64),
    MODEL(adds_bos, BOOL),
    MODEL(has_chat_template, BOOL),
    MODEL(has_sinks, BOOL),
    MODEL(host_rows, BOOL),
    MODEL(row_error, DOUBLE),
};
/* Beside the options of the table: what the model was opened with. */
static const field option_fields[] = {OPTION(n_ubatch, I32), OPTION(f32_cache, BOOL)};
enum {
    N_MODEL_FIELDS = sizeof model_fields / sizeof *model_fields,
    N_OPTION_FIELDS = sizeof option_fields / sizeof *option_fields
};

/* ------------------------------------------------------------------ writing */

/* Larger integers do not fit JSON; no size or count is that large. */
static json_t *integer(uint64_t v) { return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v); }

static bool put_field(json_t *object, const field *f, const void *from) {
    const void *at = (const char *)from + f->offset;
    json_t *value = NULL;
    switch (f->kind) {
    case TEXT: {
        const char *text = *(const char *const *)at;
        return hw__json_put_text(object, f->key, f->hex_key, text, strlen(text));
    }
    case I32: value = json_integer(*(const int32_t *)at); break;
    case U32: value = json_integer(*(const uint32_t *)at); break;
    case SIZE: value = integer(*(const size_t *)at); break;
    case U64: value = integer(*(const uint64_t *)at); break;
    case BOOL: value = json_boolean(*(const bool *)at); break;
    case FLOAT: value = hw__json_float(*(const float *)at); break;
    case DOUBLE: value = hw__json_double(*(const double *)at); break;
    }
    return json_object_set_new(object, f->key, value) == 0;
}

/* A new object with the fields of `from`; NULL when memory runs out. */
static json_t *fields_to_json(const field *fields, size_t n, const void *from) {
    json_t *object = json_object();
    for (size_t i = 0; object && i < n; i++) {
        if (put_field(object, &fields[i], from)) continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *layers_to_json(const hw_model_info *model) {
    json_t *list = json_array();
    for (int32_t l = 0; list && l < model->n_layers; l++) {
        if (json_array_append_new(list, json_integer(model->layers[l])) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

/* For models with recurrent layers; in others these are the layers with attention. */
static json_t *sources_to_json(const hw_model_info *model) {
    json_t *list = json_array();
    for (int32_t i = 0; list && i < model->n_sources; i++) {
        const hw_source *s = &model->sources[i];
        json_t *source = json_pack("{s:i, s:i, s:s}", "block", (int)s->block, "layer", (int)s->layer, "kind",
                                   hw_source_kind_name(s->kind));
        if (json_array_append_new(list, source) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

/* Natural log of a probability: NaN is unknown, -inf is a token with probability 0. */
static json_t *logprob_to_json(float v) { return isinf(v) && v < 0 ? json_string("-inf") : hw__json_float(v); }

static json_t *alternative_to_json(const hw_alternative *a) {
    json_t *object = json_pack("{s:i}", "id", (int)a->id);
    if (object && hw__json_put_text(object, "text", "bytes", a->bytes, a->n_bytes) &&
        json_object_set_new(object, "logprob", logprob_to_json(a->logprob)) == 0)
        return object;
    json_decref(object);
    return NULL;
}

json_t *hw__token_to_json(const hw_token *t) {
    json_t *object = json_pack("{s:i}", "id", (int)t->id), *list = json_array();
    bool ok = object && list && hw__json_put_text(object, "text", "bytes", t->bytes, t->n_bytes);
    ok = ok && json_object_set_new(object, "range", json_pack("[I, I]", (json_int_t)t->begin, (json_int_t)t->end)) == 0;
    ok = ok && json_object_set_new(object, "role", json_string(hw_role_name(t->role))) == 0;
    ok = ok && json_object_set_new(object, "logprob", logprob_to_json(t->logprob)) == 0;
    for (int32_t i = 0; ok && i < t->n_alternatives; i++)
        ok = json_array_append_new(list, alternative_to_json(&t->alternatives[i])) == 0;
    if (ok && t->n_alternatives > 0) ok = json_object_set(object, "alternatives", list) == 0;
    json_decref(list);
    if (ok) return object;
    json_decref(object);
    return NULL;
}

/* A token of a run; tokens of thinking sections say so. */
static json_t *run_token_to_json(const hw_run *run, size_t t, bool thinks) {
    json_t *object = hw__token_to_json(&run->tokens[t]);
    if (!object || !thinks || json_object_set_new(object, "thinking", json_true()) == 0) return object;
    json_decref(object);
    return NULL;
}

static json_t *tokens_to_json(const hw_run *run) {
    json_t *list = json_array();
    bool *thinks = hw__alloc(run->n_tokens, sizeof *thinks);
    bool ok = list && thinks && hw__thinking_tokens(thinks, run, NULL) == HW_OK;
    for (size_t t = 0; ok && t < run->n_tokens; t++)
        ok = json_array_append_new(list, run_token_to_json(run, t, thinks[t])) == 0;
    free(thinks);
    if (ok) return list;
    json_decref(list);
    return NULL;
}

json_t *hw__model_to_json(const hw_model_info *model) {
    json_t *json = fields_to_json(model_fields, N_MODEL_FIELDS, model);
    json = hw__json_set(json, "layers", layers_to_json(model));
    return model->n_sources > model->n_layers ? hw__json_set(json, "sources", sources_to_json(model)) : json;
}

/* Lists that are empty for most runs are written only if they have entries. */
static bool put_messages(json_t *json, const hw_run *run) {
    json_t *list = json_array();
    bool ok = list;
    for (size_t i = 0; ok && i < run->n_messages; i++) {
        const hw_span *m = &run->messages[i];
        json_t *entry = json_pack("{s:[I, I]}", "range", (json_int_t)m->begin, (json_int_t)m->end);
        ok = entry && hw__json_put_text(entry, "role", "role_bytes", m->name, strlen(m->name));
        ok = json_array_append_new(list, entry) == 0 && ok;
    }
    if (ok && run->n_messages) ok = json_object_set(json, "messages", list) == 0;
    json_decref(list);
    return ok;
}

static bool put_remarks(json_t *json, const hw_run *run) {
    json_t *list = json_array();
    bool ok = list;
    for (size_t i = 0; ok && i < run->n_remarks; i++)
        ok = json_array_append_new(list, json_string(run->remarks[i])) == 0;
    if (ok && run->n_remarks) ok = json_object_set(json, "remarks", list) == 0;
    json_decref(list);
    return ok;
}

static bool put_options(json_t *options, const hw_run_params *p) {
    bool ok = true;
    for (size_t i = 0; ok && i < hw_run_option_count(); i++) ok = hw__setting_put_json(options, p, hw_run_option_at(i));
    return ok;
}

hw_err hw__run_to_json(json_t **out, const hw_run *run, hw_error *err) {
    json_t *model = hw__model_to_json(&run->model);
    json_t *options = fields_to_json(option_fields, N_OPTION_FIELDS, &run->options);
    json_t *json = json_object();
    bool ok = model && options && put_options(options, &run->options.run);
    ok = ok && json_object_set(json, "model", model) == 0 && json_object_set(json, "options", options) == 0;
    ok = ok && json_object_set_new(json, "stop", json_string(hw_stop_name(run->stop))) == 0;
    ok = ok && json_object_set_new(json, "causal", json_boolean(run->causal)) == 0;
    ok = ok && hw__json_put_text(json, "prompt", "prompt_bytes", run->prompt, run->prompt_bytes);
    ok = ok &&
         hw__json_put_text(json, "completion", "completion_bytes", hw_run_completion(run, NULL), run->completion_bytes);
    ok = ok && put_messages(json, run) && put_remarks(json, run);
    if (!isnan(run->recurrent_share))
        ok = ok && json_object_set_new(json, "recurrent_share", json_real(run->recurrent_share)) == 0;
    ok = ok && json_object_set_new(json, "n_prompt", json_integer((json_int_t)run->n_prompt)) == 0;
    ok = ok && json_object_set_new(json, "tokens", tokens_to_json(run)) == 0;
    json_decref(model);
    json_decref(options);
    if (!ok) {
        json_decref(json);
        return hw__fail_memory(err, "the run's description", run->n_tokens, sizeof *run->tokens);
    }
    *out = json;
    return HW_OK;
}

/* ------------------------------------------------------------------ reading */

static hw_err get_text(const char **to, const field *f, const json_t *object, hw__arena *arena, hw_error *err) {
    char *text;
    size_t n;
    if (f->is_new && !json_object_get(object, f->key)) {
        *to = "";
        return HW_OK;
    }
    hw_err rc = hw__json_text(&text, &n, object, f->key, f->hex_key, err);
    if (rc != HW_OK) return rc;
    if (strlen(text) != n)
        rc = hw__fail(err, HW_ERR_FORMAT, "\"%s\" must be a string without NUL", f->key);
    else if (!(*to = hw__arena_strndup(arena, text, n)))
        rc = hw__fail_memory(err, f->key, n, 1);
    free(text);
    return rc;
}

static hw_err get_integer(void *to, const field *f, const json_t *object, hw_error *err) {
    static const int64_t max[] = {[I32] = INT32_MAX, [U32] = UINT32_MAX, [SIZE] = INT64_MAX, [U64] = INT64_MAX};
    int64_t v;
    hw_err rc = hw__json_int(&v, object, f->key, 0, max[f->kind], err);
    if (rc != HW_OK) return rc;
    switch (f->kind) {
    case I32: *(int32_t *)to = (int32_t)v; break;
    case U32: *(uint32_t *)to = (uint32_t)v; break;
    case SIZE: *(size_t *)to = (size_t)v; break;
    default: *(uint64_t *)to = (uint64_t)v;
    }
    return HW_OK;
}

static hw_err get_real(void *to, const field *f, const json_t *object, hw_error *err) {
    double v;
    hw_err rc = hw__json_real(&v, object, f->key, err);
    if (rc != HW_OK) return rc;
    if (f->kind == DOUBLE) {
        *(double *)to = v;
    } else {
        if (!isfinite((float)v))
            return hw__fail(err, HW_ERR_FORMAT, "\"%s\" is %g: a number in float's range is needed", f->key, v);
        *(float *)to = (float)v;
    }
    return HW_OK;
}

static hw_err get_fields(void *to, const field *fields, size_t n, const json_t *object, hw__arena *arena,
                         hw_error *err) {
    for (size_t i = 0; i < n; i++) {
        const field *f = &fields[i];
        void *at = (char *)to + f->offset;
        hw_err rc;
        switch (f->kind) {
        case TEXT: rc = get_text(at, f, object, arena, err); break;
        case BOOL: rc = hw__json_bool(at, object, f->key, err); break;
        case FLOAT:
        case DOUBLE: rc = get_real(at, f, object, err); break;
        default: rc = get_integer(at, f, object, err);
        }
        if (rc != HW_OK) return rc;
    }
    return HW_OK;
}

/* Sources rise by block; those of attention are layers 0, 1 .. L-1 in this order. */
static hw_err get_source(hw_source *out, const json_t *json, const hw_model_info *model, int32_t *next, int32_t block,
                         hw_error *err) {
    int64_t of, layer;
    const char *word;
    hw_err rc = hw__json_int(&of, json, "block", block, INT32_MAX, err);
    if (rc == HW_OK) rc = hw__json_int(&layer, json, "layer", -1, model->n_layers - 1, err);
    if (rc == HW_OK) rc = hw__json_word(&word, json, "kind", err);
    if (rc == HW_OK) rc = hw__source_kind_parse(&out->kind, word, err);
    if (rc != HW_OK) return rc;
    out->block = (int32_t)of;
    out->layer = (int32_t)layer;
    bool attention = out->kind == HW_SOURCE_ATTENTION;
    if (attention ? layer == *next && model->layers[layer] == of : layer == -1) {
        *next += attention;
        return HW_OK;
    }
    return hw__fail(err, HW_ERR_FORMAT, "\"layer\" of source %s in block %d is %d, which is not so in \"layers\"", word,
                    (int)of, (int)layer);
}

static hw_err get_sources(hw_model_info *model, const json_t *object, hw__arena *arena, hw_error *err) {
    const json_t *list;
    if (!json_object_get(object, "sources")) return HW_OK;
    hw_err rc = hw__json_array(&list, object, "sources", err);
    if (rc != HW_OK) return rc;
    size_t n = json_array_size(list);
    if (n < 1 || n > MAX_LAYERS)
        return hw__fail(err, HW_ERR_FORMAT, "%zu sources: 1 to %d are accepted", n, MAX_LAYERS);
    hw_source *sources = hw__arena_alloc(arena, n, sizeof *sources);
    int32_t next = 0;
    if (!sources) return hw__fail_memory(err, "the list of sources", n, sizeof *sources);
    for (size_t i = 0; rc == HW_OK && i < n; i++)
        rc = get_source(&sources[i], json_array_get(list, i), model, &next, i ? sources[i - 1].block : 0, err);
    if (rc == HW_OK && next != model->n_layers)
        rc = hw__fail(err, HW_ERR_FORMAT, "\"sources\" has %d of %d layers with attention", next, model->n_layers);
    model->sources = sources;
    model->n_sources = (int32_t)n;
    return rc;
}

static hw_err get_layers(hw_model_info *model, const json_t *object, hw__arena *arena, hw_error *err) {
    const json_t *list;
    hw_err rc = hw__json_array(&list, object, "layers", err);
    if (rc != HW_OK) return rc;
    size_t n = json_array_size(list);
    if ((n < 1 && !json_object_get(object, "sources")) || n > MAX_LAYERS)
        return hw__fail(err, HW_ERR_FORMAT, "%zu layers with attention: 1 to %d are accepted", n, MAX_LAYERS);
    int32_t *layers = hw__arena_alloc(arena, n, sizeof *layers);
    if (!layers) return hw__fail_memory(err, "the list of layers", n, sizeof *layers);
    for (size_t l = 0; l < n; l++) {
        const json_t *v = json_array_get(list, l);
        json_int_t index = json_integer_value(v);
        if (!json_is_integer(v) || index < (l ? layers[l - 1] + (json_int_t)1 : 0) || index > INT32_MAX)
            return hw__fail(err, HW_ERR_FORMAT, "\"layers\" must be rising whole numbers from 0; entry %zu is not", l);
        layers[l] = (int32_t)index;
    }
    model->layers = layers;
    model->n_layers = (int32_t)n;
    return HW_OK;
}

/* `arena` holds the strings until hw__run_new() has copied them. */
static hw_err get_model(hw_model_info *model, const json_t *json, hw__arena *arena, hw_error *err) {
    const json_t *object;
    hw_err rc = hw__json_object(&object, json, "model", err);
    if (rc == HW_OK) rc = get_fields(model, model_fields, N_MODEL_FIELDS, object, arena, err);
    if (rc == HW_OK) rc = get_layers(model, object, arena, err);
    return rc == HW_OK ? get_sources(model, object, arena, err) : rc;
}

static hw_err get_options(hw__run_options *options, const json_t *json, hw__arena *arena, hw_error *err) {
    const json_t *object;
    hw_err rc = hw__json_object(&object, json, "options", err);
    if (rc == HW_OK) rc = get_fields(options, option_fields, N_OPTION_FIELDS, object, NULL, err);
    for (size_t i = 0; rc == HW_OK && i < hw_run_option_count(); i++)
        rc = hw__setting_get_json(&options->run, hw_run_option_at(i), object, arena, err);
    return rc;
}

static hw_err get_logprob(float *to, const json_t *object, hw_error *err) {
    const json_t *v = json_object_get(object, "logprob");
    *to = json_is_number(v) ? (float)json_number_value(v) : NAN;
    if (json_is_string(v) && strcmp(json_string_value(v), "-inf") == 0)
        *to = -INFINITY;
    else if (!json_is_null(v) && !isfinite(*to))
        return hw__fail(err, HW_ERR_FORMAT, "\"logprob\" must be there and be a number, null or \"-inf\"");
    return HW_OK;
}

static hw_err get_id(int32_t *to, const json_t *object, hw_error *err) {
    int64_t id;
    hw_err rc = hw__json_int(&id, object, "id", -1, INT32_MAX, err);
    if (rc == HW_OK) *to = (int32_t)id;
    return rc;
}

/* A token being read: owns what `token` points to. */
typedef struct reading {
    hw_token token;
    char *bytes;
    hw_alternative list[HW_N_ALTERNATIVES];
    char *list_bytes[HW_N_ALTERNATIVES];
} reading;

static void free_reading(reading *r) {
    free(r->bytes);
    for (int i = 0; i < HW_N_ALTERNATIVES; i++) free(r->list_bytes[i]);
}

static hw_err get_alternatives(reading *r, const json_t *object, hw_error *err) {
    const json_t *list = json_object_get(object, "alternatives");
    size_t n = json_array_size(list);
    if ((list && !json_is_array(list)) || n > HW_N_ALTERNATIVES)
        return hw__fail(err, HW_ERR_FORMAT, "\"alternatives\" must be a list of at most %d", HW_N_ALTERNATIVES);
    for (size_t i = 0; i < n; i++) {
        const json_t *entry = json_array_get(list, i);
        hw_alternative *a = &r->list[i];
        hw_err rc = hw__json_text(&r->list_bytes[i], &a->n_bytes, entry, "text", "bytes", err);
        if (rc == HW_OK) rc = get_id(&a->id, entry, err);
        if (rc == HW_OK) rc = get_logprob(&a->logprob, entry, err);
        if (rc != HW_OK) return hw__fail_in(err, rc, "alternative %zu", i);
        a->bytes = r->list_bytes[i];
    }
    r->token.n_alternatives = (int32_t)n;
    r->token.alternatives = r->list;
    return HW_OK;
}

static hw_err get_range(size_t *from, size_t *to, const json_t *object, hw_error *err) {
    const json_t *range = json_object_get(object, "range"), *begin = json_array_get(range, 0),
                 *end = json_array_get(range, 1);
    json_int_t b = json_integer_value(begin), e = json_integer_value(end);
    if (json_array_size(range) != 2 || !json_is_integer(begin) || !json_is_integer(end) || b < 0 || b > e)
        return hw__fail(err, HW_ERR_FORMAT, "\"range\" must be [begin, end], two byte offsets with begin <= end");
    *from = (size_t)b;
    *to = (size_t)e;
    return HW_OK;
}

static hw_err get_token(reading *r, const json_t *object, hw_error *err) {
    const char *word;
    hw_err rc = hw__json_text(&r->bytes, &r->token.n_bytes, object, "text", "bytes", err);
    if (rc == HW_OK) rc = get_id(&r->token.id, object, err);
    if (rc == HW_OK) rc = get_range(&r->token.begin, &r->token.end, object, err);
    if (rc == HW_OK) rc = hw__json_word(&word, object, "role", err);
    if (rc == HW_OK && hw__role_parse(&r->token.role, word, err) != HW_OK)
        rc = hw__fail_in(err, HW_ERR_FORMAT, "\"role\"");
    if (rc == HW_OK) rc = get_logprob(&r->token.logprob, object, err);
    if (rc == HW_OK) rc = get_alternatives(r, object, err);
    r->token.bytes = r->bytes;
    return rc;
}

/* Adds the token and checks what depends on the run: the order of roles, and ranges against the text. */
static hw_err add_token(hw_run *run, const hw_token *token, hw_error *err) {
    bool completion = token->role == HW_ROLE_COMPLETION;
    if (!completion && run->n_tokens > run->n_prompt)
        return hw__fail(err, HW_ERR_FORMAT, "role \"%s\" after the completion has begun", hw_role_name(token->role));
    if (!completion && token->end > run->prompt_bytes)
        return hw__fail(err, HW_ERR_FORMAT, "range [%zu, %zu] in a prompt of %zu bytes", token->begin, token->end,
                        run->prompt_bytes);
    hw_err rc = hw__run_add_token(run, token, err);
    if (rc != HW_OK) return rc;
    const hw_token *added = &run->tokens[run->n_tokens - 1];
    if (added->begin != token->begin || added->end != token->end)
        return hw__fail(err, HW_ERR_FORMAT, "range [%zu, %zu], but its bytes are [%zu, %zu] of the completion",
                        token->begin, token->end, added->begin, added->end);
    return HW_OK;
}

/* The side of a thinking token follows from the number of prompt tokens; -1: the file, an older one, does not give it.
 */
static hw_err set_side(hw_token *token, size_t t, int64_t n_prompt, hw_error *err) {
    if (token->role != HW_ROLE_THINKING) return HW_OK;
    if (n_prompt < 0)
        return hw__fail(err, HW_ERR_FORMAT, "role \"thinking\" needs the key \"n_prompt\" beside \"tokens\"");
    token->role = t < (size_t)n_prompt ? HW_ROLE_PROMPT : HW_ROLE_COMPLETION;
    return HW_OK;
}

static hw_err get_token_list(hw_run *run, const json_t *list, int64_t n_prompt, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t t = 0; rc == HW_OK && t < json_array_size(list); t++) {
        reading r = {0};
        rc = get_token(&r, json_array_get(list, t), err);
        if (rc == HW_OK) rc = set_side(&r.token, t, n_prompt, err);
        if (rc == HW_OK) rc = add_token(run, &r.token, err);
        free_reading(&r);
        if (rc != HW_OK) return hw__fail_in(err, rc, "token %zu", t);
    }
    return rc;
}

/* Thinking sections are found in the text, as when it was captured: older files have no role for them. */
static hw_err get_tokens(hw_run *run, const json_t *json, hw_error *err) {
    const json_t *list;
    int64_t n_prompt = -1;
    hw_err rc = hw__json_array(&list, json, "tokens", err);
    if (rc == HW_OK && json_object_get(json, "n_prompt"))
        rc = hw__json_int(&n_prompt, json, "n_prompt", 0, INT64_MAX, err);
    if (rc == HW_OK) rc = get_token_list(run, list, n_prompt, err);
    if (rc != HW_OK) return rc;
    if (run->n_prompt == 0) return hw__fail(err, HW_ERR_FORMAT, "no token before the completion: at least 1 is needed");
    if (n_prompt >= 0 && (size_t)n_prompt != run->n_prompt)
        return hw__fail(err, HW_ERR_FORMAT, "\"n_prompt\" is %lld, and %zu tokens are before the completion",
                        (long long)n_prompt, run->n_prompt);
    return hw__thinking_roles(run, err);
}

static hw_err get_prompt(hw_run *run, const json_t *json, hw_error *err) {
    char *text;
    size_t n;
    hw_err rc = hw__json_text(&text, &n, json, "prompt", "prompt_bytes", err);
    if (rc != HW_OK) return rc;
    rc = hw__run_set_prompt(run, text, n, err);
    free(text);
    return rc;
}

/* `arena` holds the roles until they are copied. */
static hw_err get_message(hw_span *m, const json_t *entry, hw__arena *arena, hw_error *err) {
    static const field role = {"role", "role_bytes", TEXT, 0, false};
    hw_err rc = get_text(&m->name, &role, entry, arena, err);
    return rc == HW_OK ? get_range(&m->begin, &m->end, entry, err) : rc;
}

static hw_err get_messages(hw_run *run, const json_t *json, hw_error *err) {
    const json_t *list;
    if (!json_object_get(json, "messages")) return HW_OK;
    hw_err rc = hw__json_array(&list, json, "messages", err);
    if (rc != HW_OK) return rc;
    size_t n = json_array_size(list);
    hw_span *messages = hw__alloc(n, sizeof *messages);
    hw__arena arena = {0};
    if (!messages) return hw__fail_memory(err, "the messages", n, sizeof *messages);
    for (size_t i = 0; rc == HW_OK && i < n; i++) rc = get_message(&messages[i], json_array_get(list, i), &arena, err);
    if (rc == HW_OK) rc = hw__run_set_messages(run, messages, n, err);
    hw__arena_clear(&arena);
    free(messages);
    return rc == HW_OK ? rc : hw__fail_in(err, rc, "\"messages\"");
}

static hw_err get_remarks(hw_run *run, const json_t *json, hw_error *err) {
    const json_t *list;
    if (!json_object_get(json, "remarks")) return HW_OK;
    hw_err rc = hw__json_array(&list, json, "remarks", err);
    if (rc == HW_OK && json_array_size(list) > HW__MAX_REMARKS)
        return hw__fail(err, HW_ERR_FORMAT, "%zu remarks: at most %d", json_array_size(list), HW__MAX_REMARKS);
    for (size_t i = 0; rc == HW_OK && i < json_array_size(list); i++) {
        const char *sentence = json_string_value(json_array_get(list, i));
        if (!sentence) return hw__fail(err, HW_ERR_FORMAT, "remark %zu: it must be a string", i);
        rc = hw__run_add_remark(run, sentence, err);
    }
    return rc;
}

/* The completion is the bytes of its tokens; the text stored beside them must be equal. */
static hw_err check_completion(const hw_run *run, const json_t *json, hw_error *err) {
    char *text;
    size_t n, n_run;
    hw_err rc = hw__json_text(&text, &n, json, "completion", "completion_bytes", err);
    if (rc != HW_OK) return rc;
    const char *completion = hw_run_completion(run, &n_run);
    if (n != n_run || memcmp(text, completion, n) != 0)
        rc = hw__fail(err, HW_ERR_FORMAT, "\"completion\" is not its tokens' text");
    free(text);
    return rc;
}

static hw_err fill_run(hw_run *run, const json_t *json, hw_error *err) {
    const char *word;
    hw_err rc = hw__json_word(&word, json, "stop", err);
    if (rc == HW_OK && hw__stop_parse(&run->stop, word, err) != HW_OK) rc = hw__fail_in(err, HW_ERR_FORMAT, "\"stop\"");
    if (rc == HW_OK) rc = hw__json_bool(&run->causal, json, "causal", err);
    if (rc == HW_OK) rc = get_prompt(run, json, err);
    if (rc == HW_OK) rc = get_messages(run, json, err);
    if (rc == HW_OK) rc = get_remarks(run, json, err);
    if (rc == HW_OK && json_object_get(json, "recurrent_share")) {
        rc = hw__json_real(&run->recurrent_share, json, "recurrent_share", err);
        if (rc == HW_OK && !(run->recurrent_share >= 0 && run->recurrent_share <= 1))
            rc = hw__fail(err, HW_ERR_FORMAT, "\"recurrent_share\" is %g, must be 0 to 1", run->recurrent_share);
    }
    if (rc == HW_OK) rc = get_tokens(run, json, err);
    return rc == HW_OK ? check_completion(run, json, err) : rc;
}

hw_err hw__run_from_json(hw_run **out, const json_t *json, hw_error *err) {
    hw__arena arena = {0};
    hw_model_info model = {0};
    hw__run_options options = {.run = {.size = sizeof options.run}};
    hw_run *run = NULL;
    hw_err rc = get_model(&model, json, &arena, err);
    if (rc == HW_OK) rc = get_options(&options, json, &arena, err);
    if (rc == HW_OK) rc = hw__run_new(&run, &model, &options, err);
    if (rc == HW_OK) rc = fill_run(run, json, err);
    hw__arena_clear(&arena);
    if (rc != HW_OK) {
        hw__run_release(run);
        return hw__fail_in(err, rc, "the run's description");
    }
    *out = run;
    return HW_OK;
}

/* ------------------------------------------------------------------ text */

hw_err hw__run_to_text(char **out, const hw_run *run, hw_error *err) {
    json_t *json;
    hw_err rc = hw__run_to_json(&json, run, err);
    if (rc != HW_OK) return rc;
    *out = hw__json_dump(json, HW__RUN_JSON_FLAGS);
    json_decref(json);
    return *out ? HW_OK : hw__fail_memory(err, "the run's description", run->n_tokens, sizeof *run->tokens);
}

hw_err hw__run_from_text(hw_run **out, const char *text, hw_error *err) {
    json_t *json;
    hw_err rc = hw__json_parse(&json, text, strlen(text), err);
    if (rc != HW_OK) return hw__fail_in(err, rc, "the run's description");
    rc = hw__run_from_json(out, json, err);
    json_decref(json);
    return rc;
}
