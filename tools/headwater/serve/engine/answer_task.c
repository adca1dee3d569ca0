/*
 * answer_task.c - an answer for a client of another API: text, log probabilities, citations; nothing is stored.
 *
 *     tokenize -> documents in the prompt -> does it fit? -> capture (prompt, text ..., sentence, text ...) -> done
 *
 * Events are in the order of the answer: "sentence" follows the text of its sentence and precedes the text of the
 * next one, which is held back until then. A stop, and a client that leaves, end the run after the current token.
 */
#include "serve/engine/answer_text.h"
#include "serve/engine/answer_tokens.h"
#include "serve/engine/document_citations.h"
#include "serve/engine/tasks.h"

#include "base/json.h"
#include "export/run_citations.h"
#include "job/messages.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* Tokens whose rows are computed together: each time all weights and values are read again. The same for streams and
 * for whole answers, whose numbers are then the same. And tokens of an answer whose request names no maximum. */
enum { LIVE_ROWS = 32, DEFAULT_TOKENS = 1024 };

typedef struct answering {
    worker *w;
    engine_task *t;
    const answer_request *r;
    hw_explainer *explainer;
    hw_run *prompt; /* tokenized, not run */
    size_t n_max;   /* tokens of the answer */
    cited_documents documents;
    hw_attribution *rows; /* of the method that citations are made by, so far; NULL: none */
    answer_text text;
    json_t *tokens;    /* log probabilities that were not sent; NULL: not requested */
    json_t *sentences; /* so far, with their sources */
    size_t n_cited;    /* sentences whose citations are known, and were sent */
    size_t n_tokens;
    bool prefilled, failed;
} answering;

static void fail_memory(answering *a, const char *what) {
    if (!a->failed) error_set(&a->t->error, HW_ERR_MEMORY, "no memory for %s", what);
    a->failed = true;
}

static void send(answering *a, const char *name, json_t *data) {
    if (!worker_send_json(a->w, a->t, name, data)) fail_memory(a, "an event");
}

/* ------------------------------------------------------------------ text */

/* Sends the text up to byte `end`, with the log probabilities of the tokens since the last one. */
static void send_text(answering *a, size_t end) {
    size_t from = a->text.n_sent;
    if (end <= from || a->text.bytes.failed) return;
    json_t *data = json_pack("{s:o}", "text", hw__json_replaced(a->text.bytes.bytes + from, end - from));
    a->text.n_sent = end;
    if (a->tokens && a->t->wants_events) {
        data = hw__json_set(data, "tokens", a->tokens);
        a->tokens = json_array();
    }
    send(a, "text", data);
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Sentences of the answer so far; NULL: none, or no memory. */
static hw_segments *sentences_of(const hw_run *run) {
    hw_segments *out;
    return hw_segments_new(&out, run, HW_SIDE_COMPLETION, "sentence", NULL) == HW_OK ? out : NULL;
}

/* The byte at which the sentence after `i` begins; SIZE_MAX: none has begun. */
static size_t next_begins(const hw_segments *sentences, size_t i) {
    size_t n = sentences ? hw_segments_count(sentences) : 0;
    return i + 1 < n ? hw_segments_at(sentences, i + 1)->begin : SIZE_MAX;
}

/* Text of the first sentence that has no citations yet can be sent, but not that of the next one. */
static void send_ready(answering *a, const hw_run *run, bool whole) {
    size_t end = answer_text_ready(&a->text, whole);
    if (a->r->cites && !whole && end > a->text.n_sent) {
        hw_segments *sentences = sentences_of(run);
        end = smaller(end, next_begins(sentences, a->n_cited));
        hw_segments_free(sentences);
    }
    send_text(a, end);
}

static void on_token(void *ctx, const hw_run *run, size_t i) {
    answering *a = ctx;
    hw_token token = hw_run_token(run, i);
    if (a->text.stopped) return;
    a->n_tokens++;
    answer_text_add(&a->text, token.bytes, token.n_bytes);
    if (a->text.bytes.failed) fail_memory(a, "the answer");
    if (a->r->n_top >= 0) {
        a->tokens = hw__json_append(a->tokens, answer_token(&token, (size_t)a->r->n_top));
        if (!a->tokens) fail_memory(a, "log probabilities");
    }
    if (a->t->wants_events && !a->failed) send_ready(a, run, false);
}

/* ------------------------------------------------------------------ citations */

/* Whether text [n] has a letter: before one, the next word may still join two sentences ("etc. 5 and"). */
static bool has_letter(const char *text, size_t n) {
    UChar32 c;
    for (int32_t i = 0; (size_t)i < n;) {
        U8_NEXT((const uint8_t *)text, i, (int32_t)n, c);
        if (c >= 0 && u_isalpha(c)) return true;
    }
    return false;
}

/* Whether the sentence is complete and all of its tokens have rows. */
static bool is_finished(const answering *a, const hw_segments *sentences, size_t sentence) {
    size_t n, next = next_begins(sentences, sentence);
    const int32_t *groups = hw_segments_groups(sentences, &n);
    if (next >= a->text.bytes.n || !has_letter(a->text.bytes.bytes + next, a->text.bytes.n - next)) return false;
    for (size_t i = hw_attribution_n_rows(a->rows); i < n; i++)
        if (groups[i] <= (int32_t)sentence) return false;
    return true;
}

/* Adds and sends the citations of a sentence. */
static void cite_sentence(answering *a, const hw_attribution *rows, const hw_segments *sentences, size_t sentence) {
    hw_error err;
    json_t *list;
    cited_answer answer = {rows, sentences, answer_text_end(&a->text)};
    if (!documents_cite(&list, &a->documents, &answer, sentence, sentence + 1, &err)) {
        if (!a->failed) a->t->error = err;
        a->failed = true;
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        send(a, "sentence", json_incref(json_array_get(list, i)));
        if (json_array_append(a->sentences, json_array_get(list, i)) != 0) fail_memory(a, "citations");
    }
    json_decref(list);
}

/* Sends the rest of each sentence that is complete, and its citations. */
static void send_finished(answering *a, const hw_run *run) {
    hw_segments *sentences = sentences_of(run);
    while (sentences && !a->failed && is_finished(a, sentences, a->n_cited)) {
        size_t end = next_begins(sentences, a->n_cited);
        if (answer_text_ready(&a->text, false) < end) break; /* it may be part of a stop text */
        send_text(a, end);
        cite_sentence(a, a->rows, sentences, a->n_cited++);
    }
    hw_segments_free(sentences);
}

/* Takes ownership of the rows. */
static void on_rows(void *ctx, size_t i, hw_attribution *rows) {
    answering *a = ctx;
    (void)i;
    if (!a->rows) {
        a->rows = rows;
    } else {
        if (hw_attribution_append(a->rows, rows, NULL) != HW_OK) fail_memory(a, "citations");
        hw_attribution_free(rows);
    }
    if (a->failed || a->text.stopped) return;
    const hw_run *run = hw_attribution_run(a->rows);
    send_finished(a, run);
    if (!a->failed) send_ready(a, run, false);
}

/* ------------------------------------------------------------------ the run */

/* The sentences of the documents are the columns: rows of all tokens of the prompt would be followed through the answer
 * at many times the cost. */
static void on_prompt(void *ctx, const hw_run *run) {
    answering *a = ctx;
    hw_error err;
    if (a->r->cites && hw_explainer_group(a->explainer, 0, a->documents.segments, &err) != HW_OK) {
        a->t->error = err;
        a->failed = true;
        return;
    }
    send(a, "prompt",
         json_pack("{s:I, s:I}", "prompt_tokens", (json_int_t)hw_run_n_prompt(run), "reused_tokens",
                   (json_int_t)hw_run_n_reused(run)));
}

static void on_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    answering *a = ctx;
    if (stage == HW_STAGE_PREFILL && done == total) a->prefilled = true;
}

static bool is_stopped(void *ctx) {
    const answering *a = ctx;
    return a->failed || a->text.stopped || worker_is_stopped(a->w);
}

/* The methods of the run: that of the citations, or none, so that nothing is traced. */
static bool make_explainer(answering *a, hw_error *err) {
    hw_explainer_params keeping = hw_explainer_params_default();
    hw_method_params settings;
    keeping.keep = HW_KEEP_RESULTS;
    keeping.on_rows = a->t->wants_events && a->r->cites ? on_rows : NULL;
    keeping.interval = LIVE_ROWS;
    keeping.ctx = a;
    if (hw_explainer_new(&a->explainer, &keeping, err) != HW_OK) return false;
    if (!a->r->cites) return true;
    const char *method = citing_method(&settings, a->w->info);
    if (!method)
        return error_set(err, HW_ERR_UNSUPPORTED, "no method can cite with this model: %.500s",
                         a->w->info->values_problem);
    return hw_explainer_add(a->explainer, method, &settings, err) == HW_OK;
}

static hw_run_params params_of(answering *a, const conversation *chat) {
    hw_run_params p = worker_run_params(a->w, &a->r->run, chat);
    p.prompt = a->r->prompt.bytes;
    p.prompt_bytes = a->r->prompt.n;
    p.n_generate = a->n_max ? a->n_max : 1;
    p.explainer = a->explainer;
    p.on_prompt = on_prompt;
    p.on_token = on_token;
    p.progress = on_progress;
    p.stop = is_stopped;
    p.ctx = a;
    return p;
}

/* Checks that prompt and answer fit the context. */
static bool fit_context(answering *a, hw_error *err) {
    size_t m = hw_run_n_prompt(a->prompt), n_ctx = (size_t)a->w->n_ctx, wanted = (size_t)a->r->max_tokens;
    size_t rest = m < n_ctx ? n_ctx - m : 0;
    a->n_max = wanted ? wanted : smaller(rest, DEFAULT_TOKENS);
    if (rest > 0 && a->n_max <= rest) return true;
    return documents_refuse(&a->documents, a->prompt, n_ctx, wanted, err);
}

/* *trace NULL: the answer is empty. */
static bool capture(answering *a, const conversation *chat, hw_trace **trace, hw_error *err) {
    hw_run_params p = params_of(a, chat);
    *trace = NULL;
    if (hw_run_tokenize(&a->prompt, a->w->model, &p, err) != HW_OK) return false;
    if (!documents_find(&a->documents, a->r, a->prompt, err) || !fit_context(a, err) || !make_explainer(a, err))
        return false;
    p = params_of(a, chat);
    hw_err rc = hw_trace_capture(trace, a->w->model, &p, err);
    bool empty = rc == HW_ERR_UNSUPPORTED && a->prefilled && a->n_tokens == 0; /* the model ends its answer at once */
    if (empty) *trace = NULL;
    return rc == HW_OK || empty;
}

/* ------------------------------------------------------------------ when it is whole */

/* Sends what is left, and cites the sentences that have no citations yet. */
static bool cite_rest(answering *a, const hw_trace *trace, hw_attribution *whole, json_t **numbers, hw_error *err) {
    hw_segments *sentences = sentences_of(hw_trace_run(trace));
    size_t n = sentences ? hw_segments_count(sentences) : 0;
    for (; a->n_cited < n && !a->failed; a->n_cited++) {
        send_text(a, smaller(answer_text_ready(&a->text, true), next_begins(sentences, a->n_cited)));
        cite_sentence(a, whole, sentences, a->n_cited);
    }
    cited_answer answer = {whole, sentences, answer_text_end(&a->text)};
    bool ok = !a->failed && (!a->r->numbers || n == 0 || documents_numbers(numbers, &a->documents, &answer, err));
    hw_segments_free(sentences);
    return ok;
}

static bool finish_citations(answering *a, const hw_trace *trace, json_t **numbers) {
    hw_attribution *whole;
    *numbers = NULL;
    if (!a->r->cites || !trace) return true;
    if (hw_explainer_result(&whole, a->explainer, 0, trace, &a->t->error) != HW_OK) return false;
    bool ok = cite_rest(a, trace, whole, numbers, &a->t->error);
    hw_attribution_free(whole);
    return ok;
}

static const char *finish_reason(const answering *a, const hw_trace *trace) {
    bool cut = trace && hw_run_finish_reason(hw_trace_run(trace)) == HW_STOP_LENGTH;
    return a->text.stopped ? "stop_text" : cut ? "length" : "end";
}

static json_t *result_of(answering *a, const hw_trace *trace, json_t *numbers) {
    const hw_run *run = trace ? hw_trace_run(trace) : a->prompt;
    const char *text = a->text.bytes.bytes ? a->text.bytes.bytes : "";
    json_t *usage = json_pack("{s:I, s:I, s:I}", "prompt_tokens", (json_int_t)hw_run_n_prompt(run), "completion_tokens",
                              (json_int_t)a->n_tokens, "reused_tokens", (json_int_t)hw_run_n_reused(run));
    json_t *json =
        json_pack("{s:o, s:s, s:s?, s:o, s:O, s:o*}", "text", hw__json_replaced(text, answer_text_end(&a->text)),
                  "finish", finish_reason(a, trace), "stop_text", a->text.stopped, "usage", usage, "sentences",
                  a->sentences, "attribution", numbers);
    return a->tokens ? hw__json_set(json, "tokens", json_incref(a->tokens)) : json;
}

static bool finish(answering *a, const hw_trace *trace) {
    json_t *numbers;
    if (a->failed) return false;
    if (worker_is_stopped(a->w)) return error_set(&a->t->error, HW_ERR_CANCELLED, "its client left");
    if (!finish_citations(a, trace, &numbers)) return false;
    if (trace) send_ready(a, hw_trace_run(trace), true);
    int64_t usage[] = {(int64_t)hw_run_n_prompt(a->prompt), (int64_t)a->n_tokens};
    channel_send_bytes(&a->w->channel, FRAME_USAGE, usage, sizeof usage);
    buffer_json(&a->t->result, result_of(a, trace, numbers));
    return !a->failed;
}

static bool answer(answering *a) {
    conversation chat = {.n_messages = 0};
    hw_error err; /* not the task's, which may hold the reason of a stop */
    hw_trace *trace;
    bool ok = (!a->r->messages || messages_from_json(&chat, a->r->messages, &err)) && capture(a, &chat, &trace, &err);
    if (!ok && !a->failed) a->t->error = err;
    conversation_free(&chat);
    if (!ok) return false;
    ok = finish(a, trace);
    if (trace) worker_keep(a->w, trace, 0); /* the next request may go on with the same conversation */
    return ok;
}

bool answer_work(worker *w, engine_task *t) {
    answering a = {.w = w, .t = t, .r = &t->answer};
    a.text = (answer_text){.stop = t->answer.stop, .end = SIZE_MAX};
    a.sentences = json_array();
    a.tokens = t->answer.n_top >= 0 ? json_array() : NULL;
    bool complete = a.sentences && (a.tokens || t->answer.n_top < 0);
    bool ok = complete ? answer(&a) : error_set(&t->error, HW_ERR_MEMORY, "no memory for an answer");
    hw_attribution_free(a.rows);
    hw_explainer_free(a.explainer);
    documents_free(&a.documents);
    hw_run_free(a.prompt);
    answer_text_free(&a.text);
    json_decref(a.tokens);
    json_decref(a.sentences);
    return ok;
}
