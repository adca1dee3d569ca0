/* test_document_citations.c - documents found in prompts, which of them would fit, and sentences with their sources:
 * positions in characters, on numbers that are exact in binary. */
#include "support/fake_engine.h"
#include "support/fixture.h"

#include "cli/error_kinds.h"
#include "job/messages.h"
#include "serve/engine/document_citations.h"

#include <stdlib.h>
#include <string.h>

/* Two documents, with characters of two to four bytes, in one message; text without an end follows each. */
#define LAMPS  "\xF0\x9F\x99\x82 \xE7\x81\xAF is  it.  The sun was red. \n"
#define KEEPER "It is \xC3\xA9. Anna is in Rome"
#define USER   "See: " LAMPS "\n" KEEPER " \nWhere is it?"

static const char *const passages[] = {"\xF0\x9F\x99\x82 \xE7\x81\xAF is  it.", "The sun was red.", "It is \xC3\xA9.",
                                       "Anna is in Rome"};

typedef struct fixture {
    json_t *json;
    answer_request request;
    conversation chat;
    hw_trace *trace;
    cited_documents documents;
} fixture;

/* {"begin", "end"} of a text in the message. */
static json_t *range(const char *message, const char *text, int index) {
    size_t at = (size_t)(strstr(message, text) - message);
    return json_pack("{s:i, s:I, s:I}", "message", index, "begin", (json_int_t)at, "end",
                     (json_int_t)(at + strlen(text)));
}

static json_t *two_documents(void) {
    return json_pack("{s:[{s:s, s:s}, {s:s, s:s}], s:[o, o], s:b}", "messages", "role", "system", "content",
                     "Be brief.", "role", "user", "content", USER, "documents", range(USER, LAMPS, 1),
                     range(USER, KEEPER, 1), "citations", 1);
}

static void read_request(fixture *f, json_t *json) {
    hw_error err = {.msg = ""};
    *f = (fixture){.json = json};
    assert_non_null(json);
    if (!request_answer(&f->request, json, &err)) fail_msg("%s", err.msg);
    if (f->request.messages && !messages_from_json(&f->chat, f->request.messages, &err)) fail_msg("%s", err.msg);
}

/* Runs the request's prompt, followed by `completion`. */
static void run_prompt(fixture *f, const fake_params *params, const char *completion) {
    hw_run_params run = ask("", completion, 1);
    run.prompt = NULL;
    run.messages = f->chat.messages;
    run.n_messages = f->chat.n_messages;
    if (!f->chat.n_messages) {
        run.prompt = f->request.prompt.bytes;
        run.prompt_bytes = f->request.prompt.n;
    }
    f->trace = fake_trace(params, &run);
}

static void finish(fixture *f) {
    documents_free(&f->documents);
    hw_trace_free(f->trace);
    conversation_free(&f->chat);
    json_decref(f->json);
}

static fixture found(json_t *json, const char *completion) {
    fixture f;
    hw_error err = {.msg = ""};
    fake_params params = fake_params_default();
    read_request(&f, json);
    run_prompt(&f, &params, completion);
    if (!documents_find(&f.documents, &f.request, hw_trace_run(f.trace), &err)) fail_msg("%s", err.msg);
    return f;
}

/* ------------------------------------------------------------------ documents in the prompt */

static void assert_passage(const fixture *f, size_t i, const char *text, size_t document) {
    const char *prompt = hw_run_prompt(hw_trace_run(f->trace), NULL);
    hw_span s = f->documents.passages[i];
    assert_int_equal(s.end - s.begin, strlen(text));
    assert_memory_equal(prompt + s.begin, text, strlen(text));
    assert_int_equal(f->documents.document[i], document);
}

static void sentences_of_documents_are_passages(void **state) {
    (void)state;
    fixture f = found(two_documents(), "a");
    assert_int_equal(f.documents.n, 2);
    assert_int_equal(f.documents.n_passages, 4);
    for (size_t i = 0; i < 4; i++) assert_passage(&f, i, passages[i], i / 2);
    assert_int_equal(hw_segments_count(f.documents.segments), 4);
    finish(&f);
}

static void documents_without_a_sentence_between_are_apart(void **state) {
    (void)state;
    const char *prompt = "one two three four";
    json_t *json = json_pack("{s:s, s:[o, o], s:b}", "prompt", prompt, "documents", range(prompt, "one two ", 0),
                             range(prompt, "three", 0), "citations", 1);
    fixture f = found(json, "a");
    assert_int_equal(f.documents.n_passages, 2);
    assert_passage(&f, 0, "one two", 0);
    assert_passage(&f, 1, "three", 1);
    finish(&f);
}

/* As by a template without system messages, or one that changes them. */
static void a_message_that_the_template_leaves_out_is_refused(void **state) {
    (void)state;
    fixture f;
    hw_error err = {.msg = ""};
    fake_params params = fake_params_default();
    read_request(&f, two_documents());
    f.chat.n_messages = 1; /* of what is run */
    run_prompt(&f, &params, "a");
    assert_false(documents_find(&f.documents, &f.request, hw_trace_run(f.trace), &err));
    assert_error(&err, err.code, HW_ERR_UNSUPPORTED, "changes message 1, which holds a document");
    finish(&f);
}

static void blank_documents_cannot_be_cited(void **state) {
    (void)state;
    fixture f;
    hw_error err = {.msg = ""};
    fake_params params = fake_params_default();
    const char *text = "a \n\t b";
    json_t *json =
        json_pack("{s:s, s:[o], s:b}", "prompt", text, "documents", range(text, " \n\t ", 0), "citations", 1);
    read_request(&f, json);
    run_prompt(&f, &params, "a");
    assert_false(documents_find(&f.documents, &f.request, hw_trace_run(f.trace), &err));
    assert_error(&err, err.code, HW_ERR_ARGUMENT, "the documents are blank");
    finish(&f);
}

/* ------------------------------------------------------------------ what would fit */

static void assert_refused(const fixture *f, size_t n_ctx, size_t n_answer, const char *part) {
    hw_error err = {.msg = ""};
    assert_false(documents_refuse(&f->documents, hw_trace_run(f->trace), n_ctx, n_answer, &err));
    if (err.code != (hw_err)ERR_CONTEXT || !strstr(err.msg, part)) fail_msg("\"%s\" without \"%s\"", err.msg, part);
}

/* Tokens of the fake model are bytes and some words; a document has those that begin in it. */
static size_t tokens_in(const fixture *f, size_t document) {
    size_t n = 0;
    const hw_run *run = hw_trace_run(f->trace);
    const hw_span *s = &f->documents.ranges[document];
    for (size_t i = 0; i < hw_run_n_prompt(run); i++) {
        hw_token t = hw_run_token(run, i);
        n += t.end > t.begin && t.begin >= s->begin && t.begin < s->end;
    }
    return n;
}

static void documents_that_would_fit_are_named(void **state) {
    (void)state;
    fixture f = found(two_documents(), "a");
    char part[128];
    size_t m = hw_run_n_prompt(hw_trace_run(f.trace)), first = tokens_in(&f, 0), second = tokens_in(&f, 1);
    size_t rest = m - first - second;
    assert_true(first > second && second > 0);
    snprintf(part, sizeof part, "the prompt has %zu tokens and the answer up to 10: the context is %zu; 2 of 2", m, m);
    assert_refused(&f, m + 9 + 1, 10, "2 of 2 documents would fit: those with index 0, 1");
    assert_refused(&f, m + 9, 10, "1 of 2 documents would fit: those with index 0"); /* in their order */
    assert_refused(&f, rest + 10 + first, 10, "1 of 2 documents would fit: those with index 0");
    assert_refused(&f, rest + 9 + first, 10, "1 of 2 documents would fit: those with index 1");
    assert_refused(&f, rest + 9 + second, 10, "0 of 2 documents would fit");
    snprintf(part, sizeof part, "no document fits: without documents they are %zu", rest + 10);
    assert_refused(&f, rest + 10, 10, part);
    assert_refused(&f, m, 0, "and the answer up to 1"); /* one token at least */
    finish(&f);
}

static void a_request_without_documents_names_none(void **state) {
    (void)state;
    hw_error err = {.msg = ""};
    fixture f = found(json_pack("{s:s}", "prompt", "a b c"), "a");
    assert_false(documents_refuse(&f.documents, hw_trace_run(f.trace), 4, 2, &err));
    assert_null(strstr(err.msg, "document"));
    finish(&f);
}

/* The message holds the first indices, and says that there are more. */
static void a_long_list_of_documents_is_cut(void **state) {
    (void)state;
    enum { N = 170 };
    hw_error err = {.msg = ""};
    char text[2 * N + 1] = "";
    json_t *documents = json_array();
    for (int i = 0; i < N; i++) {
        memcpy(text + 2 * i, "x ", 2);
        json_array_append_new(documents, json_pack("{s:i, s:i}", "begin", 2 * i, "end", 2 * i + 1));
    }
    fixture f = found(json_pack("{s:s, s:o}", "prompt", text, "documents", documents), "a");
    size_t m = hw_run_n_prompt(hw_trace_run(f.trace));
    assert_false(documents_refuse(&f.documents, hw_trace_run(f.trace), m - 20, 10, &err));
    assert_non_null(strstr(err.msg, "140 of 170 documents would fit: those with index 0, 1, 2, "));
    assert_string_equal(err.msg + strlen(err.msg) - 3, "...");
    finish(&f);
}

/* ------------------------------------------------------------------ citations */

/* Method `logit` over the run: nothing but what set_value() sets. */
static hw_attribution *zeros(const fixture *f) {
    hw_run *run = hw__run_retain(hw_trace_run(f->trace));
    size_t n = hw_run_n_completion(run);
    float *values = calloc(n * hw_run_n_prompt(run), sizeof *values);
    assert_non_null(values);
    hw_attribution *a = make_attribution(run, NULL, 1, values, NULL);
    free(values);
    a->method = "logit";
    a->balance = calloc(n, sizeof *a->balance);
    assert_non_null(a->balance);
    return a;
}

/* Each token of the sentence from the first token of the passage. */
static void set_value(hw_attribution *a, const fixture *f, const hw_segments *sentences, size_t sentence,
                      size_t passage, float value) {
    size_t n, m, k = 0;
    const int32_t *parts = hw_segments_groups(sentences, &n);
    const int32_t *columns = hw_segments_groups(f->documents.segments, &m);
    while (columns[k] != (int32_t)passage) k++;
    for (size_t i = 0; i < n; i++)
        if (parts[i] == (int32_t)sentence) a->values[i * m + k] = value;
}

static size_t n_characters(const char *text, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

/* "start", "end" and "text" are of this text in `whole`. */
static void assert_place(const json_t *json, const char *whole, const char *text) {
    size_t start = n_characters(whole, (size_t)(strstr(whole, text) - whole));
    assert_string_equal(json_string_value(json_object_get(json, "text")), text);
    assert_int_equal(json_integer_value(json_object_get(json, "start")), start);
    assert_int_equal(json_integer_value(json_object_get(json, "end")), start + n_characters(text, strlen(text)));
}

static void assert_source(const json_t *sentence, size_t i, size_t passage, double share) {
    const json_t *one = json_array_get(json_object_get(sentence, "sources"), i);
    size_t document = passage / 2;
    assert_place(one, document ? KEEPER : LAMPS, passages[passage]);
    assert_int_equal(json_integer_value(json_object_get(one, "document")), document);
    assert_close(json_number_value(json_object_get(one, "share")), share, 1e-6);
    assert_close(json_number_value(json_object_get(one, "peak")), share, 1e-6);
}

#define ANSWER "\n \xC3\xA9 is red. It is  \xE7\x81\xAF. Anna is"

static hw_segments *sentences_of(const fixture *f) {
    hw_segments *out;
    assert_int_equal(hw_segments_new(&out, hw_trace_run(f->trace), HW_SIDE_COMPLETION, "sentence", NULL), HW_OK);
    return out;
}

static json_t *cited(const fixture *f, const cited_answer *answer, size_t first, size_t end) {
    json_t *list;
    hw_error err = {.msg = ""};
    if (!documents_cite(&list, &f->documents, answer, first, end, &err)) fail_msg("%s", err.msg);
    return list;
}

static void sources_are_sorted_and_in_characters(void **state) {
    (void)state;
    fixture f = found(two_documents(), ANSWER);
    hw_attribution *a = zeros(&f);
    hw_segments *sentences = sentences_of(&f);
    assert_int_equal(hw_segments_count(sentences), 3);
    set_value(a, &f, sentences, 0, 0, 1);
    set_value(a, &f, sentences, 0, 3, 2);
    set_value(a, &f, sentences, 0, 2, 1);
    set_value(a, &f, sentences, 2, 1, 7);
    cited_answer answer = {a, sentences, strlen(ANSWER)};
    json_t *list = cited(&f, &answer, 0, 3);
    assert_int_equal(json_array_size(list), 3);
    assert_place(json_array_get(list, 0), ANSWER, "\xC3\xA9 is red.");
    assert_source(json_array_get(list, 0), 0, 3, 0.5);
    assert_source(json_array_get(list, 0), 1, 0, 0.25); /* of equal ones the first in the prompt */
    assert_source(json_array_get(list, 0), 2, 2, 0.25);
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "sources")), 3);
    assert_place(json_array_get(list, 1), ANSWER, "It is  \xE7\x81\xAF.");
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 1), "sources")), 0);
    assert_place(json_array_get(list, 2), ANSWER, "Anna is");
    assert_source(json_array_get(list, 2), 0, 1, 1);
    json_decref(list);
    list = cited(&f, &answer, 2, 3);
    assert_int_equal(json_array_size(list), 1);
    assert_source(json_array_get(list, 0), 0, 1, 1);
    json_decref(list);
    hw_segments_free(sentences);
    hw_attribution_free(a);
    finish(&f);
}

/* A stop text has ended the answer in its second sentence: the third is not part of it. */
static void sentences_end_with_the_answer(void **state) {
    (void)state;
    fixture f = found(two_documents(), ANSWER);
    hw_attribution *a = zeros(&f);
    hw_segments *sentences = sentences_of(&f);
    for (size_t i = 0; i < 3; i++) set_value(a, &f, sentences, i, i, 1);
    cited_answer answer = {a, sentences, strlen("\n \xC3\xA9 is red. It is  ")};
    json_t *list = cited(&f, &answer, 0, 3);
    assert_int_equal(json_array_size(list), 2);
    assert_place(json_array_get(list, 1), ANSWER, "It is");
    assert_source(json_array_get(list, 1), 0, 1, 1);
    json_decref(list);
    hw_segments_free(sentences);
    hw_attribution_free(a);
    finish(&f);
}

static void numbers_name_the_document_of_each_passage(void **state) {
    (void)state;
    fixture f = found(two_documents(), ANSWER);
    hw_attribution *a = zeros(&f);
    hw_segments *sentences = sentences_of(&f);
    hw_error err = {.msg = ""};
    json_t *json;
    set_value(a, &f, sentences, 1, 2, 3);
    cited_answer answer = {a, sentences, strlen(ANSWER)};
    if (!documents_numbers(&json, &f.documents, &answer, &err)) fail_msg("%s", err.msg);
    const json_t *list = json_object_get(json, "passages"), *shares = json_object_get(json, "shares");
    assert_int_equal(json_array_size(list), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(list, i), "document")), i / 2);
    assert_close(json_number_value(json_array_get(json_array_get(shares, 1), 2)), 1, 1e-6);
    json_decref(json);
    hw_segments_free(sentences);
    hw_attribution_free(a);
    finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_of_documents_are_passages),
        cmocka_unit_test(documents_without_a_sentence_between_are_apart),
        cmocka_unit_test(a_message_that_the_template_leaves_out_is_refused),
        cmocka_unit_test(blank_documents_cannot_be_cited),
        cmocka_unit_test(documents_that_would_fit_are_named),
        cmocka_unit_test(a_request_without_documents_names_none),
        cmocka_unit_test(a_long_list_of_documents_is_cut),
        cmocka_unit_test(sources_are_sorted_and_in_characters),
        cmocka_unit_test(sentences_end_with_the_answer),
        cmocka_unit_test(numbers_name_the_document_of_each_passage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
