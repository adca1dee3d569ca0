/* test_child_work.c - work in a child: its bytes, its errors, its crash, its limits. */
#include "support/fixture.h"

#include "base/child_work.h"

#include <stdlib.h>
#include <string.h>

static const hw__child_limits limits = {.what = "the work", .seconds = 1, .memory = 256 << 20, .output = 4 << 20};

/* A megabyte and a half: more than a pipe holds. */
static hw_err give_many(char **bytes, size_t *n, void *ctx, hw_error *err) {
    (void)err;
    *n = 1500000;
    *bytes = hw__alloc(*n, 1);
    assert_non_null(*bytes);
    memset(*bytes, *(const char *)ctx, *n);
    return HW_OK;
}

static hw_err give_too_many(char **bytes, size_t *n, void *ctx, hw_error *err) {
    (void)ctx, (void)err;
    *n = limits.output + 1;
    *bytes = hw__alloc(*n, 1);
    return HW_OK;
}

static hw_err refuse(char **bytes, size_t *n, void *ctx, hw_error *err) {
    (void)bytes, (void)n, (void)ctx;
    return hw__fail(err, HW_ERR_FORMAT, "100 %% wrong");
}

static hw_err crash(char **bytes, size_t *n, void *ctx, hw_error *err) {
    (void)bytes, (void)n, (void)ctx, (void)err;
    abort();
}

static hw_err spin(char **bytes, size_t *n, void *ctx, hw_error *err) {
    (void)bytes, (void)n, (void)err;
    volatile char *at = ctx;
    while (*at) *at = 'x';
    return HW_OK;
}

static hw_err run(char **bytes, size_t *n, hw__child_fn work, hw_error *err) {
    char letter = 'y';
    *err = (hw_error){0};
    hw_err rc = hw__child_work(bytes, n, &limits, work, &letter, err);
    assert_int_equal(letter, 'y');
    return rc;
}

static bool third_time(void *ctx) { return ++*(int *)ctx >= 3; }

static void a_stop_ends_the_work(void **state) {
    (void)state;
    hw_error err = {0};
    char *bytes = NULL, letter = 'y';
    size_t n = 0;
    int n_calls = 0;
    hw__child_limits stoppable = limits;
    stoppable.seconds = 100;
    stoppable.stop = third_time;
    stoppable.stop_ctx = &n_calls;
    hw_err rc = hw__child_work(&bytes, &n, &stoppable, spin, &letter, &err);
    assert_error(&err, rc, HW_ERR_CANCELLED, "the work: stopped");
    n_calls = -100; /* what is done before is not lost */
    assert_int_equal(hw__child_work(&bytes, &n, &stoppable, give_many, &letter, &err), HW_OK);
    assert_int_equal(n, 1500000);
    free(bytes);
}

static void bytes_come_back_whole(void **state) {
    (void)state;
    hw_error err;
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(run(&bytes, &n, give_many, &err), HW_OK);
    assert_int_equal(n, 1500000);
    for (size_t i = 0; i < n; i++) assert_int_equal(bytes[i], 'y');
    assert_int_equal(bytes[n], 0);
    free(bytes);
}

static void every_other_end_is_an_error(void **state) {
    (void)state;
    hw_error err;
    char *bytes = NULL;
    size_t n = 0;
    assert_error(&err, run(&bytes, &n, refuse, &err), HW_ERR_FORMAT, "100 % wrong");
    assert_error(&err, run(&bytes, &n, crash, &err), HW_ERR_UNSUPPORTED, "the work: it ends its process by signal 6");
    assert_error(&err, run(&bytes, &n, spin, &err), HW_ERR_UNSUPPORTED, "not done after 1 s of processor time");
    assert_error(&err, run(&bytes, &n, give_too_many, &err), HW_ERR_UNSUPPORTED, "at most 4194304 are accepted");
    assert_null(bytes);
    assert_int_equal(n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_ends_the_work),
        cmocka_unit_test(bytes_come_back_whole),
        cmocka_unit_test(every_other_end_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
