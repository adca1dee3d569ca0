/* test_job_queue.c - jobs in the order of their arrival, at most so many; stops, clients that leave, and the end of the
 * server. */
#include "support/fixture.h"

#include "serve/jobs/job_queue.h"

#include <string.h>

static task *new_task(void) {
    task *t = task_new(TASK_REEXPLAIN, json_object(), true);
    assert_non_null(t);
    return t;
}

static task *added(queue *q) {
    task *t = new_task();
    hw_error err;
    if (!queue_add(q, t, &err)) fail_msg("%s", err.msg);
    return t;
}

/* Everything that its client can read now. */
static const char *reported(task *t, char text[2048]) {
    long n = events_read(&t->events, text, 2047, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void the_first_comes_first(void **state) {
    (void)state;
    queue *q = queue_new();
    task *a = added(q), *b = added(q);
    char text[2048];
    assert_int_equal(queue_size(q), 2);
    assert_non_null(strstr(reported(a, text), "\"position\":0"));
    assert_non_null(strstr(reported(b, text), "\"position\":1"));
    task *taken = queue_take(q, 0);
    assert_ptr_equal(taken, a);
    assert_non_null(strstr(reported(b, text), "\"position\":1")); /* the one before it runs */
    assert_int_equal(queue_size(q), 2);
    queue_done(q);
    task_end(taken, true);
    task_release(taken);
    task *next = queue_take(q, 0);
    assert_ptr_equal(next, b);
    assert_null(queue_take(q, 0));
    queue_done(q);
    task_release(next);
    task_release(a);
    task_release(b);
    queue_free(q);
}

static void too_many_are_refused(void **state) {
    (void)state;
    queue *q = queue_new();
    task *list[MAX_TASKS_WAITING], *more = new_task();
    hw_error err;
    for (size_t i = 0; i < MAX_TASKS_WAITING; i++) list[i] = added(q);
    assert_false(queue_add(q, more, &err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(error_kind_of(err.code)->http, 503);
    task_release(more);
    queue_close(q);
    for (size_t i = 0; i < MAX_TASKS_WAITING; i++) task_release(list[i]);
    queue_free(q);
}

static void a_waiting_job_that_is_stopped_ends_with_an_error(void **state) {
    (void)state;
    queue *q = queue_new();
    task *a = added(q), *b = added(q);
    char text[2048];
    assert_true(queue_stop(q, b->id));
    assert_true(b->failed);
    assert_int_equal(b->error.code, HW_ERR_CANCELLED);
    assert_non_null(strstr(reported(b, text), "event: error\ndata: {\"code\":\"stopped\""));
    assert_false(queue_stop(q, b->id)); /* it is gone */
    assert_false(queue_stop(q, 99));
    assert_int_equal(queue_size(q), 1);
    queue_close(q);
    task_release(a);
    task_release(b);
    queue_free(q);
}

static void a_running_job_notices_one_stop_and_then_two(void **state) {
    (void)state;
    queue *q = queue_new();
    task *a = added(q), *running = queue_take(q, 0);
    assert_false(task_is_stopped(running));
    assert_true(queue_stop(q, a->id));
    assert_true(task_is_stopped(running));
    assert_false(task_is_abandoned(running));
    assert_true(queue_stop(q, a->id));
    assert_true(task_is_abandoned(running));
    queue_done(q);
    task_release(running);
    task_release(a);
    queue_free(q);
}

static void a_client_that_leaves_takes_its_waiting_job_along(void **state) {
    (void)state;
    queue *q = queue_new();
    task *a = added(q), *b = added(q), *running = queue_take(q, 0);
    queue_leave(q, b);
    assert_true(b->failed);
    assert_int_equal(queue_size(q), 1);
    queue_leave(q, a); /* it runs: it notices by itself */
    assert_false(a->failed);
    assert_true(task_is_stopped(a));
    queue_done(q);
    task_release(running);
    task_release(a);
    task_release(b);
    queue_free(q);
}

static void a_closed_queue_ends_all_and_takes_nothing(void **state) {
    (void)state;
    queue *q = queue_new();
    task *a = added(q), *late = new_task();
    hw_error err;
    queue_close(q);
    assert_true(queue_is_closed(q));
    assert_true(a->failed);
    assert_int_equal(a->error.code, ERR_CLOSING);
    assert_false(queue_add(q, late, &err));
    assert_int_equal(err.code, ERR_CLOSING);
    assert_null(queue_take(q, 60000)); /* at once */
    task_release(a);
    task_release(late);
    queue_free(q);
}

static void results_are_sent_under_their_name(void **state) {
    (void)state;
    queue *q = queue_new();
    task *a = added(q), *running = queue_take(q, 0);
    char text[2048];
    reported(a, text);
    a->wrap = "run";
    buffer_text(&a->result, "{\"id\":7}");
    task_end(running, true);
    assert_string_equal(reported(a, text), "event: done\ndata: {\"run\":{\"id\":7}}\n\n");
    assert_false(a->failed);
    queue_done(q);
    task_release(running);
    task_release(a);
    queue_free(q);
}

static void errors_are_text_whatever_bytes_they_name(void **state) {
    (void)state;
    hw_error err = {.code = (hw_err)ERR_NOT_FOUND, .msg = "no \"file\" \xFF"};
    json_t *json = error_json(&err);
    assert_string_equal(json_string_value(json_object_get(json, "code")), "not_found");
    assert_string_equal(json_string_value(json_object_get(json, "message")), "no \"file\" \xEF\xBF\xBD");
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_comes_first),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(a_waiting_job_that_is_stopped_ends_with_an_error),
        cmocka_unit_test(a_running_job_notices_one_stop_and_then_two),
        cmocka_unit_test(a_client_that_leaves_takes_its_waiting_job_along),
        cmocka_unit_test(a_closed_queue_ends_all_and_takes_nothing),
        cmocka_unit_test(results_are_sent_under_their_name),
        cmocka_unit_test(errors_are_text_whatever_bytes_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
