/* remote_store.c - one call at a time: the task's thread waits for the answer, which the reading thread receives. */
#include "serve/engine/remote_store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sends a call and waits; the answer [n] is in *answer (free it), with a terminator. */
static bool call(worker *w, frame_type type, const span_of_text *parts, size_t n, buffer *answer, hw_error *err) {
    if (!channel_send(&w->channel, type, parts, n)) _exit(0); /* the server has ended */
    bool refused = worker_answer(w, answer);
    if (refused && answer->n == sizeof *err) memcpy(err, answer->bytes, sizeof *err);
    if (!refused && answer->failed) error_set(err, HW_ERR_MEMORY, "no memory for what the store gives");
    bool ok = !refused && !answer->failed;
    if (!ok) buffer_free(answer);
    return ok;
}

/* A call whose answer is empty. */
static bool call_only(worker *w, frame_type type, const span_of_text *parts, size_t n, hw_error *err) {
    buffer answer = {.n = 0};
    bool ok = call(w, type, parts, n, &answer, err);
    buffer_free(&answer);
    return ok;
}

int64_t remote_store_begin(worker *w, hw_error *err) {
    buffer answer = {.n = 0};
    int64_t id = 0;
    if (!call(w, FRAME_CALL_BEGIN, NULL, 0, &answer, err)) return 0;
    if (answer.n == sizeof id) memcpy(&id, answer.bytes, sizeof id);
    buffer_free(&answer);
    return id;
}

bool remote_store_finish(worker *w, const hw_run *run, const char *document, bool traced, hw_error *err) {
    size_t n_bytes;
    const char *completion = hw_run_completion(run, &n_bytes);
    finish_call head = {.n_prompt = (int64_t)hw_run_n_prompt(run),
                        .n_completion = (int64_t)hw_run_n_completion(run),
                        .n_bytes = n_bytes,
                        .traced = traced};
    span_of_text parts[] = {
        {(const char *)&head, sizeof head}, {completion, n_bytes}, {document, strlen(document) + 1}};
    return call_only(w, FRAME_CALL_FINISH, parts, 3, err);
}

bool remote_store_has(worker *w, hw_error *err) { return call_only(w, FRAME_CALL_HAS, NULL, 0, err); }

bool remote_store_get(worker *w, buffer *out, hw_error *err) {
    buffer answer = {.n = 0};
    if (!call(w, FRAME_CALL_GET, NULL, 0, &answer, err)) return false;
    buffer_text(out, answer.bytes ? answer.bytes : "");
    buffer_free(&answer);
    return !out->failed || error_set(err, HW_ERR_MEMORY, "no memory for what the store gives");
}

char *remote_store_request(worker *w, hw_error *err) {
    buffer answer = {.n = 0};
    return call(w, FRAME_CALL_REQUEST, NULL, 0, &answer, err) ? answer.bytes : NULL;
}

bool remote_store_trace(worker *w, const char *name, hw_error *err) {
    span_of_text part = {name, strlen(name) + 1};
    return call_only(w, FRAME_CALL_TRACE, &part, 1, err);
}

bool remote_store_amend(worker *w, const json_t *attributions, const json_t *members, hw_error *err) {
    buffer text = {.n = 0};
    buffer_json(&text, json_pack("{s:O?, s:O?}", "attributions", attributions, "members", members));
    bool ok = !text.failed || error_set(err, HW_ERR_MEMORY, "no memory for the explanation");
    span_of_text part = {text.bytes, text.n + 1};
    ok = ok && call_only(w, FRAME_CALL_AMEND, &part, 1, err);
    buffer_free(&text);
    return ok;
}
