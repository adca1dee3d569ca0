/* test_result_npy.c - .npy: exact bytes. */
#include "support/files.h"
#include "support/results.h"
#include "support/sample.h"

static void npy_is_exact(void **state) {
    (void)state;
    static const char expected[] = "\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 2), }"
                                   "                                                       \n"
                                   "\0\0\x80\x3E\xF6\x28\x9C\x3E\x9A\x99\x19\x3E\x1F\x85\xAB\x3E";
    hw_attribution *a = worked_attribution();
    must_save(a, temp_path("a.npy"), false);
    assert_true(same_file(temp_path("a.npy"), expected, sizeof expected - 1));
    hw_attribution_free(a);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_is_exact),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
