/* test_text_buffer.c - JSON text put together from trees and from text that is there already reads back as one
 * value. */
#include "support/fixture.h"

#include "export/text_buffer.h"

#include <string.h>

static json_t *read_back(buffer *b) {
    assert_false(b->failed);
    json_t *json = json_loadb(b->bytes, b->n, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    assert_int_equal(b->bytes[b->n], 0);
    buffer_free(b);
    return json;
}

static void check(buffer *b, const char *wanted) {
    json_t *json = read_back(b), *other = json_loads(wanted, 0, NULL);
    assert_non_null(other);
    assert_true(json_equal(json, other));
    json_decref(json);
    json_decref(other);
}

static void text_becomes_a_member(void **state) {
    (void)state;
    static const char run[] = "{\"tokens\":[1,2]}";
    buffer b = {.n = 0};
    buffer_splice(&b, json_pack("{s:i}", "index", 3), "token", run, strlen(run));
    check(&b, "{\"index\":3,\"token\":{\"tokens\":[1,2]}}");
    buffer_splice(&b, json_object(), "run", run, strlen(run));
    check(&b, "{\"run\":{\"tokens\":[1,2]}}");
    buffer_splice(&b, json_object(), "a \"quoted\" key", "null", 4);
    check(&b, "{\"a \\\"quoted\\\" key\":null}");
}

static void members_of_text_join_those_of_a_tree(void **state) {
    (void)state;
    static const char run[] = "{\"tokens\":[1,2]}";
    buffer b = {.n = 0};
    buffer_splice(&b, json_pack("{s:i, s:s}", "id", 3, "name", "a"), NULL, run, strlen(run));
    check(&b, "{\"id\":3,\"name\":\"a\",\"tokens\":[1,2]}");
    buffer_splice(&b, json_pack("{s:i}", "id", 3), NULL, "{}", 2);
    check(&b, "{\"id\":3}");
    buffer_splice(&b, json_object(), NULL, run, strlen(run));
    check(&b, run);
}

static void lists_hold_texts(void **state) {
    (void)state;
    static const char *const texts[] = {"1", "{\"a\":null}", "\"x\""};
    buffer b = {.n = 0};
    buffer_list(&b, texts, 3);
    check(&b, "[1,{\"a\":null},\"x\"]");
    buffer_list(&b, texts, 0);
    check(&b, "[]");
}

static void a_tree_that_could_not_be_made_fails_the_text(void **state) {
    (void)state;
    buffer b = {.n = 0};
    buffer_splice(&b, NULL, "run", "{}", 2);
    assert_true(b.failed);
    buffer_free(&b);
    buffer_json(&b, NULL);
    assert_true(b.failed);
    buffer_text(&b, "more"); /* does nothing */
    assert_int_equal(b.n, 0);
    buffer_free(&b);
}

static void floats_have_nine_digits(void **state) {
    (void)state;
    buffer b = {.n = 0};
    buffer_json(&b, json_real(0.1f));
    assert_string_equal(b.bytes, "0.100000001");
    buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_a_member),   cmocka_unit_test(members_of_text_join_those_of_a_tree),
        cmocka_unit_test(lists_hold_texts),        cmocka_unit_test(a_tree_that_could_not_be_made_fails_the_text),
        cmocka_unit_test(floats_have_nine_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
