/* test_parallel_for.c - every index once, and the first failure in order, by however many threads. */
#include "base/parallel_for.h"
#include "support/fixture.h"

enum { N = 64 };

typedef struct calls {
    int n[N];
    size_t fails[2];
} calls;

static hw_err note(void *ctx, size_t i, hw_error *err) {
    calls *c = ctx;
    c->n[i]++;
    if (i == c->fails[0] || i == c->fails[1]) return hw__fail(err, HW_ERR_FORMAT, "at %zu", i);
    return HW_OK;
}

static void every_index_comes_once(void **state) {
    (void)state;
    for (size_t threads = 0; threads < 4; threads++) {
        calls c = {.fails = {N, N}};
        assert_int_equal(hw__parallel_for(N, threads, note, &c, NULL), HW_OK);
        for (size_t i = 0; i < N; i++) assert_int_equal(c.n[i], 1);
    }
    assert_int_equal(hw__parallel_for(0, 0, note, NULL, NULL), HW_OK);
}

static void the_first_failure_is_reported(void **state) {
    (void)state;
    for (size_t threads = 0; threads < 4; threads++) {
        hw_error err;
        calls c = {.fails = {41, 7}};
        assert_int_equal(hw__parallel_for(N, threads, note, &c, &err), HW_ERR_FORMAT);
        assert_string_equal(err.msg, "at 7");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_comes_once),
        cmocka_unit_test(the_first_failure_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
