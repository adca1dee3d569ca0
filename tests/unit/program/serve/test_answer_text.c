/* test_answer_text.c - how much of a growing answer can be sent: whole characters, and nothing of a stop text. */
#include "support/fixture.h"

#include "serve/engine/answer_text.h"

#include <string.h>

/* A text that ends at any of the stop texts of a JSON list; NULL: none. */
static answer_text text_until(const char *stops) {
    json_error_t err;
    json_t *list = stops ? json_loads(stops, 0, &err) : NULL;
    assert_true(list || !stops);
    return (answer_text){.stop = list, .end = SIZE_MAX};
}

static void finish(answer_text *t) {
    json_decref((json_t *)t->stop);
    answer_text_free(t);
}

/* Adds `piece`, and sends what can be sent: which must be `sent`. */
static void assert_sent(answer_text *t, const char *piece, const char *sent) {
    answer_text_add(t, piece, strlen(piece));
    size_t from = t->n_sent, end = answer_text_ready(t, false);
    assert_true(end >= from);
    assert_int_equal(end - from, strlen(sent));
    if (end > from) assert_memory_equal(t->bytes.bytes + from, sent, end - from);
    t->n_sent = end;
}

static void a_text_without_stops_is_sent_as_it_comes(void **state) {
    (void)state;
    answer_text t = text_until(NULL);
    assert_int_equal(answer_text_ready(&t, true), 0);
    assert_sent(&t, "One", "One");
    assert_sent(&t, "", "");
    assert_sent(&t, " two", " two");
    assert_int_equal(answer_text_end(&t), 7);
    finish(&t);
}

static void characters_are_sent_whole(void **state) {
    (void)state;
    answer_text t = text_until(NULL);
    assert_sent(&t, "a\xF0\x9F", "a");
    assert_sent(&t, "\x99", "");
    assert_sent(&t, "\x82\xE7\x81", "\xF0\x9F\x99\x82");
    assert_int_equal(answer_text_ready(&t, false), 5);
    assert_int_equal(answer_text_ready(&t, true), 7); /* the answer ends inside a character */
    finish(&t);
}

static void the_beginning_of_a_stop_text_is_held_back(void **state) {
    (void)state;
    answer_text t = text_until("[\"stop\", \"\\n\\n\"]");
    assert_sent(&t, "a s", "a ");
    assert_sent(&t, "t", "");
    assert_sent(&t, "ate", "state");
    assert_sent(&t, "\n", "");
    assert_sent(&t, "b\n", "\nb");
    assert_null(t.stopped);
    assert_sent(&t, "\nnever sent", "");
    assert_string_equal(t.stopped, "\n\n");
    assert_int_equal(answer_text_end(&t), strlen("a state\nb"));
    assert_int_equal(answer_text_ready(&t, true), t.n_sent);
    finish(&t);
}

static void what_was_held_back_is_sent_at_the_end(void **state) {
    (void)state;
    answer_text t = text_until("[\"stop\"]");
    assert_sent(&t, "a sto", "a ");
    assert_int_equal(answer_text_ready(&t, true), 5);
    finish(&t);
}

static void the_first_stop_text_in_the_answer_ends_it(void **state) {
    (void)state;
    answer_text t = text_until("[\"cd\", \"bcde\", \"b\"]");
    assert_sent(&t, "abcdef", "a");
    assert_string_equal(t.stopped, "b");
    assert_sent(&t, "cd", ""); /* after the end nothing is searched or sent */
    assert_string_equal(t.stopped, "b");
    assert_int_equal(answer_text_end(&t), 1);
    finish(&t);
}

static void a_stop_text_is_found_across_pieces_of_any_length(void **state) {
    (void)state;
    const char *text = "one aab two aaab three";
    for (size_t length = 1; length <= strlen(text); length++) {
        answer_text t = text_until("[\"aaab\"]");
        for (size_t at = 0; at < strlen(text); at += length) {
            size_t n = strlen(text) - at;
            answer_text_add(&t, text + at, n < length ? n : length);
            size_t end = answer_text_ready(&t, false);
            assert_true(end >= t.n_sent && end <= strlen("one aab two "));
            t.n_sent = end;
        }
        assert_int_equal(t.n_sent, strlen("one aab two "));
        assert_string_equal(t.stopped, "aaab");
        finish(&t);
    }
}

/* NUL is a character of the text and of stop texts. */
static void texts_may_hold_nul(void **state) {
    (void)state;
    answer_text t = {.stop = json_pack("[s%]", "\0x", (size_t)2), .end = SIZE_MAX};
    answer_text_add(&t, "a\0b\0", 4);
    assert_int_equal(answer_text_ready(&t, false), 3);
    answer_text_add(&t, "x", 1);
    assert_non_null(t.stopped);
    assert_int_equal(answer_text_end(&t), 3);
    finish(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_without_stops_is_sent_as_it_comes),
        cmocka_unit_test(characters_are_sent_whole),
        cmocka_unit_test(the_beginning_of_a_stop_text_is_held_back),
        cmocka_unit_test(what_was_held_back_is_sent_at_the_end),
        cmocka_unit_test(the_first_stop_text_in_the_answer_ends_it),
        cmocka_unit_test(a_stop_text_is_found_across_pieces_of_any_length),
        cmocka_unit_test(texts_may_hold_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
