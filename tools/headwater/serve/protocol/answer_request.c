/* answer_request.c - see answer_request.h. The dialects have checked the types; what depends on several fields, and
 * what the library limits, is checked here. */
#include "serve/protocol/answer_request.h"

#include "job/messages.h"

enum { MAX_ANSWER_TOKENS = 1000000 };

#define refuse(err, ...) error_set(err, HW_ERR_ARGUMENT, __VA_ARGS__)

static bool read_messages(answer_request *out, const json_t *list, hw_error *err) {
    conversation c = {.n_messages = 0};
    bool ok = messages_from_json(&c, list, err);
    conversation_free(&c);
    out->messages = list;
    return ok;
}

static bool read_prompt(answer_request *out, const json_t *json, hw_error *err) {
    const json_t *messages = json_object_get(json, ANSWER_MESSAGES), *prompt = json_object_get(json, ANSWER_PROMPT);
    if (messages) return read_messages(out, messages, err);
    out->prompt = (span_of_text){json_string_value(prompt), json_string_length(prompt)};
    return out->prompt.n > 0 || refuse(err, "\"prompt\" is missing or empty");
}

/* Bytes of message `i`, or of the prompt. */
static size_t n_bytes_of(const answer_request *r, json_int_t i) {
    if (!r->messages) return i == 0 ? r->prompt.n : 0;
    const json_t *message = i >= 0 ? json_array_get(r->messages, (size_t)i) : NULL;
    return json_string_length(json_object_get(message, "content"));
}

static bool read_documents(answer_request *out, const json_t *list, hw_error *err) {
    json_int_t message = 0, at = 0;
    if (!list) return true;
    if (json_array_size(list) > MAX_PASSAGES)
        return refuse(err, "%zu documents: at most %d are accepted", json_array_size(list), MAX_PASSAGES);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        json_int_t in = json_integer_value(json_object_get(one, "message")),
                   begin = json_integer_value(json_object_get(one, "begin")),
                   end = json_integer_value(json_object_get(one, "end"));
        if (in > message) at = 0;
        if (in < message || begin < at || begin >= end || (size_t)end > n_bytes_of(out, in))
            return refuse(err, "document %zu: bytes %lld to %lld are not in message %lld", i, (long long)begin,
                          (long long)end, (long long)in);
        message = in;
        at = end;
    }
    out->documents = json_array_size(list) ? list : NULL;
    return true;
}

static bool read_max(answer_request *out, const json_t *value, hw_error *err) {
    out->max_tokens = json_integer_value(value);
    return (out->max_tokens >= 0 && out->max_tokens <= MAX_ANSWER_TOKENS) ||
           refuse(err, "the maximum number of tokens is %lld: must be from 1 to %d", (long long)out->max_tokens,
                  MAX_ANSWER_TOKENS);
}

static bool read_top(answer_request *out, const json_t *value, hw_error *err) {
    out->n_top = value ? json_integer_value(value) : -1;
    return out->n_top <= HW_N_ALTERNATIVES || refuse(err, "%lld alternatives of each token: at most %d are known",
                                                     (long long)out->n_top, HW_N_ALTERNATIVES);
}

bool request_answer(answer_request *out, const json_t *json, hw_error *err) {
    const json_t *options = json_object_get(json, ANSWER_OPTIONS), *top = json_object_get(json, ANSWER_TOP);
    *out = (answer_request){.run = hw_run_params_default(),
                            .stop = json_object_get(json, ANSWER_STOP),
                            .cites = json_is_true(json_object_get(json, ANSWER_CITES)),
                            .numbers = json_is_true(json_object_get(json, ANSWER_NUMBERS))};
    if (!read_prompt(out, json, err) || !read_documents(out, json_object_get(json, ANSWER_DOCUMENTS), err) ||
        !read_max(out, json_object_get(json, ANSWER_MAX), err) || !read_top(out, top, err))
        return false;
    if (options && !request_options(&out->run, options, err)) return false;
    if (out->cites && !out->documents)
        return refuse(err, "citations are of documents, and the request has none: give \"documents\"");
    return !out->numbers || out->cites || refuse(err, "\"attribution\" is about citations: it goes with \"citations\"");
}
