/* test_error.c - checked memory, and the error when memory runs out. */
#include "support/fixture.h"

#include "base/error.h"
#include "data/trace.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void sizes_that_overflow_are_no_memory(void **state) {
    (void)state;
    assert_null(hw__alloc(SIZE_MAX / 2, 3));
    assert_null(hw__alloc(1, (size_t)PTRDIFF_MAX + 1));
    int *kept = hw__alloc(1, sizeof *kept);
    assert_non_null(kept);
    assert_null(hw__realloc(kept, SIZE_MAX, sizeof *kept));
    *kept = 7; /* still the caller's */
    free(kept);
    size_t product = 5;
    assert_false(hw__mul(&product, SIZE_MAX, 2));
    assert_false(hw__add(&product, SIZE_MAX, 1));
    assert_true(hw__mul(&product, 6, 7) && product == 42);
    void *none = hw__alloc(0, 8); /* no elements are memory like any other */
    assert_non_null(none);
    free(none);
}

static void a_flag_stops(void **state) {
    (void)state;
    unsigned char flag = 0;
    assert_false(hw_stop_by_flag(&flag));
    flag = 1;
    assert_true(hw_stop_by_flag(&flag));
}

static void a_trace_that_cannot_fit_is_refused(void **state) {
    (void)state;
    static const char *const words[] = {"a"};
    hw_run *run = make_run(4, words, 1, words, 1);
    hw_trace *trace = NULL;
    hw_error err;
    hw_err rc = hw__trace_new(&trace, run, (size_t)1 << 31, &err); /* 2^61 floats a layer */
    assert_error(&err, rc, HW_ERR_MEMORY, "out of memory: the attention rows of the trace needs");
    assert_null(trace);
    rc = hw__trace_new(&trace, run, SIZE_MAX, &err);
    assert_error(&err, rc, HW_ERR_MEMORY, "too many");
    hw__run_release(run); /* not taken over by what failed */
}

static void messages_are_cut_to_their_capacity(void **state) {
    (void)state;
    char text[3000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    hw_error err;
    assert_int_equal(hw__fail(&err, HW_ERR_IO, "%s", text), HW_ERR_IO);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(hw__fail(NULL, HW_ERR_FORMAT, "no one asks"), HW_ERR_FORMAT);
    assert_string_equal(hw_err_name(HW_ERR_MEMORY), "HW_ERR_MEMORY");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_overflow_are_no_memory),
        cmocka_unit_test(a_flag_stops),
        cmocka_unit_test(a_trace_that_cannot_fit_is_refused),
        cmocka_unit_test(messages_are_cut_to_their_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
