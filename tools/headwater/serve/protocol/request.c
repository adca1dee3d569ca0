/* request.c - a table of fields for each kind of request, and one parser for all. */
#include "serve/protocol/request.h"

#include "base/json.h"
#include "cli/names.h"
#include "job/messages.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

typedef enum kind {
    TEXT,  /* span_of_text: any non-empty text of at most `most` bytes (0: no limit) */
    WHOLE, /* int64_t within the range */
    OTHER  /* parsed by `other` */
} kind;

typedef struct field {
    const char *key;
    kind kind;
    size_t offset;
    double min, max;
    bool (*other)(void *to, const json_t *value, hw_error *err); /* `to` is the whole struct */
    bool needed;
} field;

#define refuse(err, ...) error_set(err, HW_ERR_ARGUMENT, __VA_ARGS__)

/* ------------------------------------------------------------------ one field */

static bool read_text(span_of_text *to, const field *row, const json_t *value, hw_error *err) {
    size_t n = json_string_length(value);
    if (!json_is_string(value)) return refuse(err, "\"%s\" must be a string", row->key);
    if (n == 0) return refuse(err, "\"%s\" is empty", row->key);
    if (row->max > 0 && (double)n > row->max)
        return refuse(err, "\"%s\" has %zu bytes: at most %.0f are accepted", row->key, n, row->max);
    *to = (span_of_text){json_string_value(value), n};
    return true;
}

static bool read_whole(int64_t *to, const field *row, const json_t *value, hw_error *err) {
    json_int_t v = json_integer_value(value);
    if (!json_is_integer(value))
        return refuse(err, "\"%s\" must be a whole number from %.0f to %.0f", row->key, row->min, row->max);
    if ((double)v < row->min || (double)v > row->max)
        return refuse(err, "\"%s\" is %lld: must be a whole number from %.0f to %.0f", row->key, (long long)v, row->min,
                      row->max);
    *to = v;
    return true;
}

/* A string without NUL that is short enough for a message; NULL with *err set. */
static const char *short_word(const char *key, const json_t *value, hw_error *err) {
    const char *text = json_string_value(value);
    if (text && strlen(text) == json_string_length(value) && strlen(text) <= MAX_NAME) return text;
    refuse(err, "\"%s\" must be a string of at most %d bytes without NUL", key, MAX_NAME);
    return NULL;
}

static bool read_field(void *into, const field *row, const json_t *value, hw_error *err) {
    void *to = (char *)into + row->offset;
    switch (row->kind) {
    case TEXT: return read_text(to, row, value, err);
    case WHOLE: return read_whole(to, row, value, err);
    case OTHER: return row->other(into, value, err);
    }
    return false;
}

/* ------------------------------------------------------------------ objects */

static const char *field_key(size_t i, const void *ctx) { return ((const field *)ctx)[i].key; }

static bool refuse_unknown(const char *where, const char *key, const field *fields, size_t n, hw_error *err) {
    char list[400];
    return refuse(err, "\"%.60s\" is not a field of %s; accepted: \"%s\"", key, where,
                  hw__join_names_by(list, sizeof list, (hw__names){field_key, fields, n}, "\", \"", "\", \""));
}

static bool read_object(void *into, const char *where, const field *fields, size_t n, const json_t *json,
                        hw_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(json)) return refuse(err, "\"%s\" must be an object", where);
    json_object_foreach((json_t *)json, key, value) {
        size_t i = 0;
        while (i < n && strcmp(fields[i].key, key) != 0) i++;
        if (i == n) return refuse_unknown(where, key, fields, n, err);
        if (!read_field(into, &fields[i], value, err)) return false;
    }
    for (size_t i = 0; i < n; i++)
        if (fields[i].needed && !json_object_get(json, fields[i].key))
            return refuse(err, "\"%s\" is missing", fields[i].key);
    return true;
}

json_t *request_parse(const char *body, size_t n, hw_error *err) {
    json_error_t why;
    bool no_memory;
    json_t *json = hw__json_read(body, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &no_memory, &why);
    if (json && json_is_object(json)) return json;
    if (json) {
        error_set(err, ERR_BAD_JSON, "the body must be a JSON object");
    } else if (no_memory) {
        error_set(err, HW_ERR_MEMORY, "no memory for the request");
    } else {
        error_set(err, ERR_BAD_JSON, "the body is not valid JSON: line %d, column %d: %s", why.line, why.column,
                  why.text);
    }
    json_decref(json);
    return NULL;
}

/* ------------------------------------------------------------------ methods and settings */

static bool add_method(choice *c, const char *key, const json_t *value, hw_error *err) {
    const char *name = short_word(key, value, err);
    if (!name) return false;
    const hw_method_info *info = hw_method_find(name);
    char why[UNKNOWN_CAPACITY];
    if (!info)
        return refuse(err, "method \"%.60s\": %.600s", name, hw__unknown_name(why, sizeof why, name, method_names()));
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->methods[i], info->name) == 0) return refuse(err, "\"methods\" names %s twice", name);
    c->methods[c->n++] = info->name;
    return true;
}

static bool read_methods(choice *c, const json_t *value, hw_error *err) {
    if (!json_is_array(value) || json_array_size(value) < 1 || json_array_size(value) > MAX_METHODS)
        return refuse(err, "\"methods\" must be a list of 1 to %d names", MAX_METHODS);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!add_method(c, "methods", json_array_get(value, i), err)) return false;
    return true;
}

/* Parses the name of a segmenter; `more` lists what else is accepted. */
static bool read_segmenter(const char **by, const char *key, const json_t *value, const char *more, hw_error *err) {
    char list[200];
    const char *name = short_word(key, value, err);
    if (!name) return false;
    *by = name;
    for (size_t i = 0; i < hw_segmenter_count(); i++)
        if (strcmp(name, hw_segmenter_at(i)->name) == 0) return true;
    return refuse(err, "\"%s\" is \"%.60s\": must be one of %s%s", key, name,
                  hw__join_names(list, sizeof list, segmenter_names()), more);
}

/* Parses the name of a segmenter, or "passage". */
static bool read_by(const char **by, const json_t *value, hw_error *err) {
    static const char passage[] = "passage";
    if (json_is_string(value) && strcmp(json_string_value(value), passage) == 0) {
        *by = passage;
        return true;
    }
    return read_segmenter(by, "by", value, ", passage", err);
}

static bool read_choice_by(void *to, const json_t *value, hw_error *err) {
    choice *c = to;
    if (!read_by(&c->by, value, err)) return false;
    if (strcmp(c->by, "token") == 0) c->by = NULL; /* each token is a segment, special ones included */
    return true;
}

/* A JSON object: its keys are rows of one of the library's tables, stored in `params`, or fields `others` [n_others],
 * stored in `target`. */
typedef struct rows {
    const char *where;
    const hw_setting_info *(*at)(size_t i); /* up to NULL */
    void *params;
    const field *others;
    size_t n_others;
    void *target;
} rows;

/* The run option `fuse` is a field of "settings", not of "options". */
static const char fuse_key[] = "fuse";
static bool is_key(const hw_setting_info *s) { return strcmp(s->name, fuse_key) != 0; }

static const char *row_key(size_t i, const void *ctx) {
    const rows *r = ctx;
    if (i < r->n_others) return r->others[i].key;
    const hw_setting_info *s = r->at(i - r->n_others);
    return is_key(s) ? s->name : NULL;
}

static bool refuse_unknown_row(const rows *r, const char *key, hw_error *err) {
    char list[400];
    size_t n = 0;
    while (r->at(n)) n++;
    hw__join_names_by(list, sizeof list, (hw__names){row_key, r, r->n_others + n}, "\", \"", "\", \"");
    return refuse(err, "\"%.60s\" is not a field of %s; accepted: \"%s\"", key, r->where, list);
}

/* Parses a value by its row of a table. */
static bool read_setting(void *params, const hw_setting_info *s, const json_t *value, hw_error *err) {
    char accepts[240], given[40] = "";
    hw_err rc = HW_ERR_ARGUMENT;
    const char *text = json_string_value(value);
    bool is_text = text && strlen(text) == json_string_length(value);
    if (s->type == HW_SETTING_FLAG && json_is_boolean(value)) rc = hw_setting_set(params, s, json_is_true(value), NULL);
    if (s->type == HW_SETTING_NUMBER && json_is_number(value))
        rc = hw_setting_set(params, s, json_number_value(value), NULL);
    if (s->type == HW_SETTING_WHOLE && json_is_integer(value))
        rc = hw_setting_set(params, s, (double)json_integer_value(value), NULL);
    if ((s->type == HW_SETTING_WORD || s->type == HW_SETTING_TEXT) && is_text)
        rc = hw_setting_read(params, s, text, NULL);
    if (rc == HW_OK) return true;
    bool is_number = s->type == HW_SETTING_NUMBER || s->type == HW_SETTING_WHOLE;
    if (is_number && json_is_real(value)) snprintf(given, sizeof given, " is %g:", json_real_value(value));
    if (is_number && json_is_integer(value))
        snprintf(given, sizeof given, " is %lld:", (long long)json_integer_value(value));
    return refuse(err, "\"%s\"%s must be %s", s->name, given, hw_setting_accepts(accepts, sizeof accepts, s));
}

static bool read_row(const rows *r, const char *key, const json_t *value, hw_error *err) {
    const hw_setting_info *s;
    for (size_t i = 0; i < r->n_others; i++)
        if (strcmp(r->others[i].key, key) == 0) return read_field(r->target, &r->others[i], value, err);
    for (size_t i = 0; (s = r->at(i)) != NULL; i++)
        if (strcmp(s->name, key) == 0 && is_key(s)) return read_setting(r->params, s, value, err);
    return refuse_unknown_row(r, key, err);
}

static bool read_rows(const rows *r, const json_t *json, hw_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(json)) return refuse(err, "\"%s\" must be an object", r->where);
    json_object_foreach((json_t *)json, key, value) {
        if (!read_row(r, key, value, err)) return false;
    }
    return true;
}

/* The methods' settings, and `others` [n], fields of the struct at `into`. */
static bool read_settings(void *into, hw_method_params *p, const field *others, size_t n, const json_t *json,
                          hw_error *err) {
    return read_rows(&(rows){"settings", hw_setting_at, p, others, n, into}, json, err);
}

static choice default_choice(void) { return (choice){.params = hw_method_params_default()}; }

/* Rejects combinations of segments and columns that exclude each other. */
static bool fit_choice(const choice *c, hw_error *err) {
    if (c->by && c->params.columns == HW_COLUMNS_ALL)
        return refuse(err, "\"by\" cuts the prompt: it cannot be combined with columns \"all\"");
    if (c->params.through && c->params.columns == HW_COLUMNS_ALL)
        return refuse(err, "\"through\" ends in columns of the prompt: it cannot be combined with columns \"all\"");
    return true;
}

/* ------------------------------------------------------------------ explain */

static bool explain_methods(void *to, const json_t *value, hw_error *err) {
    return read_methods(&((explain_request *)to)->choice, value, err);
}
static bool explain_by(void *to, const json_t *value, hw_error *err) {
    return read_choice_by(&((explain_request *)to)->choice, value, err);
}
static bool explain_spans(void *to, const json_t *value, hw_error *err) {
    if (!json_is_array(value) || json_array_size(value) < 1 || json_array_size(value) > MAX_PASSAGES)
        return refuse(err, "\"spans\" must be a list of 1 to %d passages", MAX_PASSAGES);
    ((explain_request *)to)->spans = value;
    return true;
}

static bool explain_begun(void *to, const json_t *value, hw_error *err) {
    bool ok = json_is_array(value) && json_array_size(value) > 0;
    for (size_t i = 0; ok && i < json_array_size(value); i++) {
        json_int_t id = json_integer_value(json_array_get(value, i));
        ok = json_is_integer(json_array_get(value, i)) && id >= 0 && id <= INT32_MAX;
    }
    ((explain_request *)to)->begun = value;
    return ok || refuse(err, "\"begun\" must be a list of token ids");
}

static bool explain_messages(void *to, const json_t *value, hw_error *err) {
    conversation c = {.n_messages = 0};
    bool ok = messages_from_json(&c, value, err);
    conversation_free(&c);
    ((explain_request *)to)->messages = value;
    return ok;
}

bool request_options(hw_run_params *out, const json_t *json, hw_error *err) {
    return read_rows(&(rows){"options", hw_run_option_at, out, NULL, 0, NULL}, json, err);
}

static bool explain_options(void *to, const json_t *value, hw_error *err) {
    return request_options(&((explain_request *)to)->run, value, err);
}

static bool explain_fuse(void *to, const json_t *value, hw_error *err) {
    return read_setting(&((explain_request *)to)->run, hw_run_option_find(fuse_key), value, err);
}

#define AT(member) offsetof(explain_request, member)
static const field explain_more[] = {
    {.key = fuse_key, .kind = OTHER, .other = explain_fuse},
    {.key = "by", .kind = OTHER, .other = explain_by},
};
static bool explain_settings(void *to, const json_t *value, hw_error *err) {
    return read_settings(to, &((explain_request *)to)->choice.params, explain_more, COUNT(explain_more), value, err);
}
static const field explain_fields[] = {
    {.key = "prompt", .kind = TEXT, .offset = AT(prompt)},
    {.key = "messages", .kind = OTHER, .other = explain_messages},
    {.key = "completion", .kind = TEXT, .offset = AT(completion)},
    {.key = "begun", .kind = OTHER, .other = explain_begun},
    {.key = "name", .kind = TEXT, .offset = AT(name), .max = MAX_NAME},
    {.key = "spans", .kind = OTHER, .other = explain_spans},
    {.key = "options", .kind = OTHER, .other = explain_options},
    {.key = "methods", .kind = OTHER, .other = explain_methods},
    {.key = "settings", .kind = OTHER, .other = explain_settings},
};
#undef AT

static size_t count_characters(span_of_text text) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += ((unsigned char)text.bytes[i] & 0xC0) != 0x80;
    return n;
}

static span_of_text content_of(const explain_request *r, size_t i) {
    const json_t *content = json_object_get(json_array_get(r->messages, i), "content");
    return (span_of_text){json_string_value(content), json_string_length(content)};
}

/* Characters of the run's prompt: for messages their contents with a blank line between two. */
static size_t prompt_characters(const explain_request *r) {
    size_t n = count_characters(r->prompt);
    for (size_t i = 0; i < json_array_size(r->messages); i++) {
        size_t more = count_characters(content_of(r, i));
        n += more + (n && more ? 2 : 0);
    }
    return n;
}

span_of_text request_preview(const explain_request *r) {
    size_t n = json_array_size(r->messages);
    return n ? content_of(r, n - 1) : r->prompt;
}

static bool check_prompt(const explain_request *r, hw_error *err) {
    bool chat = r->run.chat || r->messages;
    if (!r->prompt.bytes && !r->messages) return refuse(err, "\"prompt\" is missing");
    if (r->prompt.bytes && r->messages)
        return refuse(err, "\"prompt\" cannot be combined with \"messages\": it goes into a message of its own");
    if (!chat && (r->run.chat_template || r->run.thinking != HW_THINKING_DEFAULT))
        return refuse(err, "\"chat_template\" and \"thinking\" go with \"chat\" or \"messages\"");
    return true;
}

/* Checked before the model runs; the library checks them only afterwards. */
static bool check_spans(const explain_request *r, hw_error *err) {
    json_int_t min = 0, max = (json_int_t)prompt_characters(r);
    for (size_t i = 0; i < json_array_size(r->spans); i++) {
        const json_t *span = json_array_get(r->spans, i), *b = json_object_get(span, "begin"),
                     *e = json_object_get(span, "end"), *name = json_object_get(span, "name");
        json_int_t begin = json_integer_value(b), end = json_integer_value(e);
        if (!json_is_integer(b) || !json_is_integer(e) || begin < min || begin >= end || end > max)
            return refuse(err,
                          "passage %zu: \"begin\" and \"end\" must be characters of the prompt, %lld <= begin < end <= "
                          "%lld, and passages must rise",
                          i, (long long)min, (long long)max);
        if (json_object_size(span) != 2u + (name != NULL) || (name && !short_word("name", name, err)))
            return refuse(err,
                          "passage %zu: has \"name\", \"begin\" and \"end\"; a name has at most %d bytes without NUL",
                          i, MAX_NAME);
        min = end;
    }
    return true;
}

bool request_explain(explain_request *out, const json_t *json, hw_error *err) {
    *out = (explain_request){.run = hw_run_params_default(), .choice = default_choice()};
    if (!read_object(out, "the request", explain_fields, COUNT(explain_fields), json, err)) return false;
    if (out->choice.by && strcmp(out->choice.by, "passage") == 0 && !out->spans)
        return refuse(err, "\"by\" is \"passage\", but there are no \"spans\"");
    if (out->completion.bytes && json_object_get(json_object_get(json, "options"), "n_generate"))
        return refuse(err, "\"n_generate\" cannot be combined with \"completion\": nothing is generated");
    if (out->completion.bytes && out->begun)
        return refuse(err, "\"begun\" cannot be combined with \"completion\": nothing is generated");
    return check_prompt(out, err) && fit_choice(&out->choice, err) && check_spans(out, err);
}

/* ------------------------------------------------------------------ explain again, check, name */

static bool reexplain_methods(void *to, const json_t *value, hw_error *err) { return read_methods(to, value, err); }

static const field reexplain_more[] = {{.key = "by", .kind = OTHER, .other = read_choice_by}};
static bool reexplain_settings(void *to, const json_t *value, hw_error *err) {
    return read_settings(to, &((choice *)to)->params, reexplain_more, COUNT(reexplain_more), value, err);
}
static const field reexplain_fields[] = {
    {.key = "methods", .kind = OTHER, .other = reexplain_methods, .needed = true},
    {.key = "settings", .kind = OTHER, .other = reexplain_settings},
};

bool request_reexplain(choice *out, const json_t *json, hw_error *err) {
    *out = default_choice();
    return read_object(out, "the request", reexplain_fields, COUNT(reexplain_fields), json, err) &&
           fit_choice(out, err);
}

static bool check_methods(void *to, const json_t *value, hw_error *err) {
    return read_methods(&((check_request *)to)->choice, value, err);
}
static bool check_by(void *to, const json_t *value, hw_error *err) {
    return read_by(&((check_request *)to)->by, value, err);
}

static bool check_rewrite(void *to, const json_t *value, hw_error *err) {
    ((check_request *)to)->rewrite = json_is_true(value);
    return json_is_boolean(value) || refuse(err, "\"rewrite\" must be true or false");
}

static bool check_tokens(void *to, const json_t *value, hw_error *err) {
    check_request *r = to;
    const json_t *begin = json_array_get(value, 0), *end = json_array_get(value, 1);
    r->row_begin = json_integer_value(begin);
    r->row_end = json_integer_value(end);
    if (json_array_size(value) == 2 && json_is_integer(begin) && json_is_integer(end) && r->row_begin >= 0 &&
        r->row_begin < r->row_end)
        return true;
    return refuse(err, "\"tokens\" must be [begin, end], completion tokens with 0 <= begin < end");
}

#define AT(member) offsetof(check_request, member)
static bool check_settings(void *to, const json_t *value, hw_error *err) {
    return read_settings(to, &((check_request *)to)->choice.params, NULL, 0, value, err);
}
static const field check_fields[] = {
    {.key = "methods", .kind = OTHER, .other = check_methods},
    {.key = "settings", .kind = OTHER, .other = check_settings},
    {.key = "by", .kind = OTHER, .other = check_by},
    {.key = "ablations", .kind = WHOLE, .offset = AT(ablations), .min = 2, .max = 100000},
    {.key = "seed", .kind = WHOLE, .offset = AT(seed), .min = 0, .max = 4294967295.0},
    {.key = "tokens", .kind = OTHER, .other = check_tokens},
    {.key = "rewrite", .kind = OTHER, .other = check_rewrite},
};
#undef AT

bool request_check(check_request *out, const json_t *json, hw_error *err) {
    *out = (check_request){.choice = default_choice(), .ablations = 64};
    if (!read_object(out, "the request", check_fields, COUNT(check_fields), json, err)) return false;
    if (out->choice.params.columns == HW_COLUMNS_ALL)
        return refuse(err, "a check is of the prompt: columns must be \"prompt\"");
    return true;
}

static bool cite_method(void *to, const json_t *value, hw_error *err) {
    return add_method(&((cite_request *)to)->choice, "method", value, err);
}
static bool cite_by(void *to, const json_t *value, hw_error *err) {
    return read_by(&((cite_request *)to)->by, value, err);
}

static bool cite_answer_by(void *to, const json_t *value, hw_error *err) {
    return read_segmenter(&((cite_request *)to)->answer_by, "answer_by", value, "", err);
}

static bool cite_min_peak(void *to, const json_t *value, hw_error *err) {
    ((cite_request *)to)->min_peak = json_number_value(value);
    return (json_is_number(value) && json_number_value(value) > 0) ||
           refuse(err, "\"min_peak\" must be a number above 0");
}

#define AT(member) offsetof(cite_request, member)
static bool cite_settings(void *to, const json_t *value, hw_error *err) {
    cite_request *r = to;
    r->through_given = json_object_get(value, "through") != NULL;
    return read_settings(to, &r->choice.params, NULL, 0, value, err);
}
static const field cite_fields[] = {
    {.key = "method", .kind = OTHER, .other = cite_method},
    {.key = "settings", .kind = OTHER, .other = cite_settings},
    {.key = "by", .kind = OTHER, .other = cite_by},
    {.key = "answer_by", .kind = OTHER, .other = cite_answer_by},
    {.key = "min_peak", .kind = OTHER, .other = cite_min_peak},
    {.key = "confirm", .kind = WHOLE, .offset = AT(confirm), .min = 0, .max = 32},
};
#undef AT

/* The unit of "min_peak" depends on the method. */
static bool fit_min_peak(const cite_request *r, hw_error *err) {
    const hw_citation_rule *rule = r->choice.n ? hw_citation_rule_of(r->choice.methods[0]) : NULL;
    if (!rule || rule->max_peak == 0 || r->min_peak <= rule->max_peak) return true;
    return refuse(err, "\"min_peak\" is %g: a peak of %s is a share, at most %g", r->min_peak, r->choice.methods[0],
                  rule->max_peak);
}

bool request_cite(cite_request *out, const json_t *json, hw_error *err) {
    *out = (cite_request){.choice = default_choice(), .answer_by = "sentence"};
    if (!read_object(out, "the request", cite_fields, COUNT(cite_fields), json, err)) return false;
    if (out->choice.params.columns == HW_COLUMNS_ALL)
        return refuse(err, "citations are of the prompt: columns must be \"prompt\"");
    return fit_min_peak(out, err);
}

static const field continue_fields[] = {{.key = "n_generate", .kind = WHOLE, .offset = 0, .min = 1, .max = 1000000}};

bool request_continue(int64_t *n_generate, const json_t *json, hw_error *err) {
    *n_generate = 0;
    return read_object(n_generate, "the request", continue_fields, COUNT(continue_fields), json, err);
}

static const field name_fields[] = {{.key = "name", .kind = TEXT, .offset = 0, .max = MAX_NAME, .needed = true}};

bool request_name(span_of_text *out, const json_t *json, hw_error *err) {
    return read_object(out, "the request", name_fields, COUNT(name_fields), json, err);
}
