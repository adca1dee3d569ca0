/* chat_call.c - see chat_call.h. */
#define _DEFAULT_SOURCE /* getentropy */
#include "serve/dialects/chat_call.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The first row whose prefix an address has. */
static const struct {
    const char *prefix;
    const dialect *dialect;
} addresses[] = {{"/v1/messages", &dialect_anthropic},
                 {"/v1/completions", &dialect_openai_text},
                 {"/v1/", &dialect_openai_chat},
                 {"/v2/", &dialect_cohere}};

const dialect *dialect_of(const char *path) {
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (strncmp(path, addresses[i].prefix, strlen(addresses[i].prefix)) == 0) return addresses[i].dialect;
    return NULL;
}

static bool name_call(chat_call *c, hw_error *err) {
    unsigned char random[12];
    if (getentropy(random, sizeof random) != 0) return error_set(err, HW_ERR_IO, "the system has no random numbers");
    int n = snprintf(c->id, sizeof c->id, "%s", c->dialect->id_prefix);
    for (size_t i = 0; i < sizeof random; i++) n += snprintf(c->id + n, sizeof c->id - (size_t)n, "%02x", random[i]);
    c->created = (int64_t)time(NULL);
    return true;
}

/* A name for whichever model is loaded. */
static const char any_model[] = "headwater";

static bool is_loaded(const json_t *name, const hw_model_info *model, const char *model_id) {
    const char *text = json_string_value(name);
    const char *const names[] = {model_id, model->name, model->path, any_model};
    for (size_t i = 0; text && i < sizeof names / sizeof *names; i++)
        if (*names[i] && strcmp(text, names[i]) == 0) return true;
    return false;
}

static bool check_model(const json_t *json, const hw_model_info *model, const char *model_id, hw_error *err) {
    const json_t *name = json_object_get(json, "model");
    if (!name || json_is_null(name) || is_loaded(name, model, model_id)) return true;
    if (!json_is_string(name)) return error_set(err, HW_ERR_ARGUMENT, "\"model\" must be a string");
    return error_set(err, ERR_NO_MODEL,
                     "\"model\" is \"%.100s\": this server runs \"%.200s\", which is also called \"headwater\" here",
                     json_string_value(name), model_id);
}

chat_call *chat_call_new(const dialect *d, const json_t *json, const hw_model_info *model, const char *model_id,
                         hw_error *err) {
    answer_request checked;
    chat_call *c = calloc(1, sizeof *c);
    if (!c) {
        error_set(err, HW_ERR_MEMORY, "no memory for the request");
        return NULL;
    }
    c->dialect = d;
    c->model_id = model_id;
    if (name_call(c, err) && check_model(json, model, model_id, err) && d->read(c, json, err) &&
        request_answer(&checked, c->request, err))
        return c;
    chat_call_free(c);
    return NULL;
}

void chat_call_free(chat_call *c) {
    if (!c) return;
    json_decref(c->request);
    json_decref(c->documents);
    free(c);
}

/* The error of an event "error". */
static hw_error error_of(const json_t *data) {
    hw_error err;
    const char *name = json_string_value(json_object_get(data, "code")),
               *text = json_string_value(json_object_get(data, "message"));
    size_t i = 0;
    while (name && error_kind_at(i) && strcmp(error_kind_at(i)->name, name) != 0) i++;
    error_set(&err, error_kind_at(i) ? error_kind_at(i)->code : HW_ERR_IO, "%s", text ? text : "");
    return err;
}

static void write_error(chat_call *c, buffer *out, const json_t *data) {
    hw_error err = error_of(data);
    json_t *body = c->dialect->error(&err);
    if (body)
        c->dialect->event(c, out, "error", body);
    else
        out->failed = true;
    json_decref(body);
}

void chat_call_write(void *call, buffer *out, const char *name, const char *json) {
    chat_call *c = call;
    bool no_memory;
    c->begun = c->begun || strcmp(name, "prompt") == 0;
    if (!c->begun) return;
    json_t *data = hw__json_read(json, strlen(json), JSON_ALLOW_NUL, &no_memory, NULL);
    if (!data)
        out->failed = true;
    else if (strcmp(name, "error") == 0)
        write_error(c, out, data);
    else
        c->dialect->event(c, out, name, data);
    json_decref(data);
}
