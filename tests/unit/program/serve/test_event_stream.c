/* test_event_stream.c - server-sent events between two threads: their text, limits and ends. */
#include "support/fixture.h"

#include "serve/jobs/event_stream.h"

#include <string.h>

static const char one[] = "event: token\ndata: {\"index\":0}\n\n";

static void events_have_the_form_of_server_sent_events(void **state) {
    (void)state;
    events e;
    char text[256];
    assert_true(events_init(&e, true));
    events_send(&e, "token", "{\"index\":0}");
    long n = events_read(&e, text, sizeof text, 0);
    assert_int_equal(n, strlen(one));
    assert_memory_equal(text, one, strlen(one));
    assert_int_equal(events_read(&e, text, sizeof text, 0), 0); /* a timeout is not an end */
    events_clear(&e);
}

static void a_small_reader_gets_every_byte_in_order(void **state) {
    (void)state;
    events e;
    char text[256];
    size_t at = 0;
    assert_true(events_init(&e, true));
    for (int i = 0; i < 2; i++) events_send(&e, "token", "{\"index\":0}");
    events_end(&e);
    for (long n; (n = events_read(&e, text + at, 7, 0)) > 0;) at += (size_t)n;
    assert_int_equal(at, 2 * strlen(one));
    assert_memory_equal(text, one, strlen(one));
    assert_memory_equal(text + strlen(one), one, strlen(one));
    assert_int_equal(events_read(&e, text, sizeof text, 0), -1);
    events_clear(&e);
}

static void events_that_are_not_wanted_are_dropped(void **state) {
    (void)state;
    events e;
    char text[16];
    assert_true(events_init(&e, false));
    events_send(&e, "token", "{}");
    assert_int_equal(events_read(&e, text, sizeof text, 0), 0);
    events_end(&e);
    assert_int_equal(events_read(&e, text, sizeof text, 0), -1);
    events_clear(&e);
}

static void nothing_comes_after_the_end(void **state) {
    (void)state;
    events e;
    char text[16];
    assert_true(events_init(&e, true));
    events_end(&e);
    events_send(&e, "token", "{}");
    assert_int_equal(events_read(&e, text, sizeof text, 0), -1);
    assert_false(events_gone(&e));
    events_clear(&e);
}

static void a_client_that_leaves_ends_the_stream(void **state) {
    (void)state;
    events e;
    char text[64];
    assert_true(events_init(&e, true));
    events_send(&e, "token", "{}");
    events_leave(&e);
    assert_true(events_gone(&e));
    assert_int_equal(events_read(&e, text, sizeof text, 0), -1);
    events_clear(&e);
}

static void *send_later(void *ctx) {
    events_send(ctx, "token", "{\"index\":0}");
    events_end(ctx);
    return NULL;
}

static void a_reader_waits_for_another_thread(void **state) {
    (void)state;
    events e;
    pthread_t writer;
    char text[256];
    assert_true(events_init(&e, true));
    assert_int_equal(pthread_create(&writer, NULL, send_later, &e), 0);
    assert_int_equal(events_read(&e, text, sizeof text, 60000), strlen(one));
    assert_int_equal(events_read(&e, text, sizeof text, 60000), -1);
    pthread_join(writer, NULL);
    events_clear(&e);
}

static void a_later_watcher_gets_the_past_and_the_rest(void **state) {
    (void)state;
    events e;
    char text[512];
    assert_true(events_init(&e, true));
    e.recalls = true;
    events_send(&e, "queued", "1");
    events_send(&e, "queued", "0");
    events_send(&e, "prompt", "\"p\"");
    events_send(&e, "prefill", "5");
    events_send(&e, "token", "\"a\"");
    events_send(&e, "explained", "{}"); /* not kept */
    events_send(&e, "cited", "1");
    events_send(&e, "cited", "2");
    events_leave(&e); /* its own client has gone */
    events *w = events_watch(&e);
    assert_non_null(w);
    events_send(&e, "token", "\"b\"");
    events_end(&e);
    long n = events_read(w, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = 0;
    assert_string_equal(text, "event: queued\ndata: 0\n\nevent: prefill\ndata: 5\n\nevent: prompt\ndata: \"p\"\n\n"
                              "event: token\ndata: \"a\"\n\nevent: cited\ndata: 2\n\nevent: token\ndata: \"b\"\n\n");
    assert_int_equal(events_read(w, text, sizeof text, 0), -1);
    assert_false(events_gone(w));
    events_unwatch(&e, w);
    events_clear(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_have_the_form_of_server_sent_events),
        cmocka_unit_test(a_small_reader_gets_every_byte_in_order),
        cmocka_unit_test(events_that_are_not_wanted_are_dropped),
        cmocka_unit_test(nothing_comes_after_the_end),
        cmocka_unit_test(a_client_that_leaves_ends_the_stream),
        cmocka_unit_test(a_reader_waits_for_another_thread),
        cmocka_unit_test(a_later_watcher_gets_the_past_and_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
