/* document_citations.c - see document_citations.h. */
#include "serve/engine/document_citations.h"

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "export/cite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ documents in the prompt */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Whether a message of the run has the content of message `i` of the request. */
static bool is_message(const hw_run *run, const hw_span *span, const answer_request *r, size_t i) {
    const json_t *content = json_object_get(json_array_get(r->messages, i), "content");
    size_t n = json_string_length(content);
    const char *there = hw_run_prompt(run, NULL) + span->begin;
    return span->end - span->begin == n && memcmp(there, json_string_value(content), n) == 0;
}

/* Where message `i` of the request begins in the run's prompt: the template may have put it elsewhere. */
static bool find_message(size_t *begin, const hw_run *run, const answer_request *r, size_t i, hw_error *err) {
    size_t n;
    const hw_span *messages = hw_run_messages(run, &n);
    *begin = 0;
    if (!r->messages) return true;
    for (size_t k = 0; k < n; k++) {
        const hw_span *span = &messages[(i + k) % n]; /* mostly its own place */
        if (!is_message(run, span, r, i)) continue;
        *begin = span->begin;
        return true;
    }
    return error_set(err, HW_ERR_UNSUPPORTED,
                     "the chat template changes message %zu, which holds a document: it cannot be cited", i);
}

static bool find_ranges(cited_documents *d, const answer_request *r, const hw_run *run, hw_error *err) {
    size_t n = json_array_size(r->documents);
    d->ranges = hw__alloc(n, sizeof *d->ranges);
    if (!d->ranges) return error_set(err, HW_ERR_MEMORY, "no memory for %zu documents", n);
    for (d->n = 0; d->n < n; d->n++) {
        const json_t *one = json_array_get(r->documents, d->n);
        size_t at;
        if (!find_message(&at, run, r, (size_t)json_integer_value(json_object_get(one, "message")), err)) return false;
        d->ranges[d->n] = (hw_span){.begin = at + (size_t)json_integer_value(json_object_get(one, "begin")),
                                    .end = at + (size_t)json_integer_value(json_object_get(one, "end"))};
    }
    return true;
}

/* ------------------------------------------------------------------ passages */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static hw_span trimmed(hw_span s, const char *text) {
    while (s.begin < s.end && is_space(text[s.begin])) s.begin++;
    while (s.end > s.begin && is_space(text[s.end - 1])) s.end--;
    return s;
}

static void add_passage(cited_documents *d, hw_span s, size_t document) {
    if (s.begin >= s.end) return;
    d->passages[d->n_passages] = s;
    d->document[d->n_passages++] = document;
}

/* The parts of sentences that are in the documents; both ascend. */
static void split_documents(cited_documents *d, const hw_segments *sentences, const char *prompt) {
    size_t s = 0, n = hw_segments_count(sentences);
    for (size_t i = 0; i < d->n; i++) {
        while (s > 0 && hw_segments_at(sentences, s - 1)->end > d->ranges[i].begin) s--;
        for (; s < n && hw_segments_at(sentences, s)->begin < d->ranges[i].end; s++) {
            const hw_span *one = hw_segments_at(sentences, s);
            hw_span part = {.begin = one->begin, .end = smaller(one->end, d->ranges[i].end)};
            if (part.begin < d->ranges[i].begin) part.begin = d->ranges[i].begin;
            add_passage(d, part.begin < part.end ? trimmed(part, prompt) : part, i);
        }
    }
}

static bool find_passages(cited_documents *d, const hw_run *run, hw_error *err) {
    hw_segments *sentences;
    if (hw_segments_new(&sentences, run, HW_SIDE_PROMPT, "sentence", err) != HW_OK) return false;
    size_t capacity = hw_segments_count(sentences) + d->n; /* each document cuts one sentence more */
    d->passages = hw__alloc(capacity, sizeof *d->passages);
    d->document = hw__alloc(capacity, sizeof *d->document);
    bool ok = d->passages && d->document;
    if (ok) split_documents(d, sentences, hw_run_prompt(run, NULL));
    hw_segments_free(sentences);
    if (!ok) return error_set(err, HW_ERR_MEMORY, "no memory for the sentences of the documents");
    if (d->n_passages == 0) return error_set(err, HW_ERR_ARGUMENT, "the documents are blank: there is nothing to cite");
    return hw_segments_from_spans(&d->segments, run, HW_SIDE_PROMPT, d->passages, d->n_passages, err) == HW_OK;
}

bool documents_find(cited_documents *out, const answer_request *r, const hw_run *run, hw_error *err) {
    *out = (cited_documents){.n = 0};
    return find_ranges(out, r, run, err) && (!r->cites || find_passages(out, run, err));
}

void documents_free(cited_documents *d) {
    hw_segments_free(d->segments);
    free(d->ranges);
    free(d->passages);
    free(d->document);
}

/* ------------------------------------------------------------------ what would fit */

/* Prompt tokens that begin in a document. */
static size_t tokens_of(const hw_run *run, const hw_span *range) {
    size_t n = 0;
    for (size_t i = 0; i < hw_run_n_prompt(run); i++) {
        hw_token token = hw_run_token(run, i);
        n += token.begin < token.end && token.begin >= range->begin && token.begin < range->end;
    }
    return n;
}

/* Writes the indices of the documents that fit `budget` tokens into out [capacity], as many as there is space for;
 * returns how many fit. */
static size_t list_fitting(char *out, size_t capacity, const cited_documents *d, const hw_run *run, size_t budget) {
    size_t n_fit = 0, at = 0;
    *out = 0;
    for (size_t i = 0; i < d->n; i++) {
        size_t n = tokens_of(run, &d->ranges[i]);
        if (n > budget) continue;
        budget -= n;
        if (at + sizeof "..., 1000" < capacity)
            at += (size_t)snprintf(out + at, capacity - at, "%s%zu", n_fit ? ", " : "", i);
        else if (out[at - 1] != '.')
            at += (size_t)snprintf(out + at, capacity - at, "...");
        n_fit++;
    }
    return n_fit;
}

bool documents_refuse(const cited_documents *d, const hw_run *run, size_t n_ctx, size_t n_answer, hw_error *err) {
    char head[160], list[400];
    size_t m = hw_run_n_prompt(run), used = n_answer ? n_answer : 1;
    snprintf(head, sizeof head, "the prompt has %zu tokens and the answer up to %zu: the context is %zu", m, used,
             n_ctx);
    for (size_t i = 0; i < d->n; i++) m -= tokens_of(run, &d->ranges[i]);
    used += m;
    if (d->n == 0) return error_set(err, ERR_CONTEXT, "%s", head);
    if (used >= n_ctx)
        return error_set(err, ERR_CONTEXT, "%s; no document fits: without documents they are %zu", head, used);
    size_t n = list_fitting(list, sizeof list, d, run, n_ctx - used);
    return error_set(err, ERR_CONTEXT, "%s; %zu of %zu documents would fit%s%s", head, n, d->n,
                     n ? ": those with index " : "", list);
}

/* ------------------------------------------------------------------ citations */

/* {"start", "end", "text"}: a range of `text` in characters from byte `from`. */
static json_t *place(const char *text, size_t from, hw_span s) {
    size_t start = hw__utf8_length(text + from, s.begin - from), n = hw__utf8_length(text + s.begin, s.end - s.begin);
    return json_pack("{s:I, s:I, s:o}", "start", (json_int_t)start, "end", (json_int_t)(start + n), "text",
                     hw__json_replaced(text + s.begin, s.end - s.begin));
}

static json_t *source(const cited_documents *d, const hw_run *run, size_t passage, hw_citation_link link) {
    size_t document = d->document[passage];
    json_t *json = place(hw_run_prompt(run, NULL), d->ranges[document].begin, d->passages[passage]);
    json = hw__json_set(json, "document", json_integer((json_int_t)document));
    json = hw__json_set(json, "share", hw__json_double(link.share));
    return hw__json_set(json, "peak", hw__json_double(link.peak));
}

/* The passage with the next smaller share of the sentence than `after`, of equal ones the next; n_passages: none. */
static size_t next_source(const hw_citation *c, size_t sentence, size_t after) {
    size_t n = hw_citation_n_passages(c), best = n;
    double last = after < n ? hw_citation_at(c, sentence, after).share : HUGE_VAL;
    for (size_t p = 0; p < n; p++) {
        hw_citation_link link = hw_citation_at(c, sentence, p);
        bool follows = link.share < last || (link.share == last && after < n && p > after);
        if (!link.marked || !follows) continue;
        if (best == n || link.share > hw_citation_at(c, sentence, best).share) best = p;
    }
    return best;
}

static json_t *sources_of(const cited_documents *d, const hw_run *run, const hw_citation *c, size_t sentence) {
    json_t *list = json_array();
    size_t n = hw_citation_n_passages(c);
    for (size_t p = next_source(c, sentence, n); p < n; p = next_source(c, sentence, p))
        list = hw__json_append(list, source(d, run, p, hw_citation_at(c, sentence, p)));
    return list;
}

/* Sentence of the answer without white space around it; empty if it lies behind the answer's end. */
static hw_span sentence_at(const cited_answer *a, size_t i, const char *completion) {
    hw_span s = *hw_segments_at(a->sentences, i);
    s.end = smaller(s.end, a->end);
    return s.begin < s.end ? trimmed(s, completion) : (hw_span){.begin = s.begin, .end = s.begin};
}

static json_t *sentences_of(const cited_documents *d, const cited_answer *a, const hw_citation *c, size_t first,
                            size_t end) {
    const hw_run *run = hw_attribution_run(a->rows);
    const char *completion = hw_run_completion(run, NULL);
    json_t *list = json_array();
    for (size_t i = first; i < end; i++) {
        hw_span s = sentence_at(a, i, completion);
        if (s.begin >= s.end) continue;
        list = hw__json_append(list, hw__json_set(place(completion, 0, s), "sources", sources_of(d, run, c, i)));
    }
    return list;
}

bool documents_cite(json_t **out, const cited_documents *d, const cited_answer *answer, size_t first, size_t end,
                    hw_error *err) {
    hw_citation *c;
    if (hw_citation_new(&c, answer->rows, d->segments, answer->sentences, NULL, err) != HW_OK) return false;
    *out = sentences_of(d, answer, c, first, end);
    hw_citation_free(c);
    return *out || error_set(err, HW_ERR_MEMORY, "no memory for citations");
}

bool documents_numbers(json_t **out, const cited_documents *d, const cited_answer *answer, hw_error *err) {
    hw_citation *c;
    if (hw_citation_new(&c, answer->rows, d->segments, answer->sentences, NULL, err) != HW_OK) return false;
    const cite_facts facts = {.run = hw_attribution_run(answer->rows),
                              .a = answer->rows,
                              .passages = d->segments,
                              .answer = answer->sentences,
                              .citation = c,
                              .answer_by = "sentence"};
    json_t *json = cite_json(&facts), *passages = json_object_get(json, "passages");
    bool ok = json;
    for (size_t i = 0; ok && i < d->n_passages; i++) {
        json_t *document = json_integer((json_int_t)d->document[i]);
        ok = json_object_set_new(json_array_get(passages, i), "document", document) == 0;
    }
    hw_citation_free(c);
    if (ok) {
        *out = json;
        return true;
    }
    json_decref(json);
    return error_set(err, HW_ERR_MEMORY, "no memory for the shares of the citations");
}
