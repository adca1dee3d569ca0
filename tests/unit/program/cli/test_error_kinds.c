/* test_error_kinds.c - one table turns each error into a status of HTTP, a name in the API and an exit status. */
#include "cli/message.h" /* first: cmocka has a macro fail() */

#include "support/fixture.h"

#include <string.h>

static void every_code_of_the_library_has_a_row(void **state) {
    (void)state;
    static const struct {
        hw_err code;
        unsigned http;
        int exit;
    } wanted[] = {
        {HW_ERR_ARGUMENT, 400, STATUS_FAILED},       {HW_ERR_IO, 500, STATUS_FAILED},
        {HW_ERR_FORMAT, 500, STATUS_FAILED},         {HW_ERR_MEMORY, 503, STATUS_FAILED},
        {HW_ERR_UNSUPPORTED, 422, STATUS_FAILED},    {HW_ERR_ENGINE, 500, STATUS_FAILED},
        {HW_ERR_CANCELLED, 409, STATUS_INTERRUPTED},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const error_kind *kind = error_kind_of(wanted[i].code);
        assert_int_equal(kind->code, wanted[i].code);
        assert_int_equal(kind->http, wanted[i].http);
        assert_int_equal(kind->exit, wanted[i].exit);
    }
}

static void codes_are_different_and_found(void **state) {
    (void)state;
    for (size_t i = 0; error_kind_at(i); i++) {
        const error_kind *kind = error_kind_at(i);
        assert_ptr_equal(error_kind_of(kind->code), kind);
        assert_true(kind->http >= 400 && kind->http < 600 && *kind->name);
    }
}

static void an_unknown_code_is_an_internal_error(void **state) {
    (void)state;
    assert_string_equal(error_kind_of(-9999)->name, "internal");
    assert_int_equal(error_kind_of(-9999)->http, 500);
}

static void an_error_is_filled_and_false(void **state) {
    (void)state;
    hw_error err;
    assert_false(error_set(&err, ERR_NOT_FOUND, "there is no run %d", 7));
    assert_string_equal(err.msg, "there is no run 7");
    assert_int_equal(error_kind_of(err.code)->http, 404);
    assert_false(error_set(NULL, ERR_NOT_FOUND, "nobody reads this"));
}

static void a_value_of_a_file_is_no_wrong_usage_but_one_of_the_command_line_is(void **state) {
    (void)state;
    hw_error argument = {.code = HW_ERR_ARGUMENT, .msg = "must be a filter"};
    hw_error memory = {.code = HW_ERR_MEMORY, .msg = "out of memory"};
    hw_error stopped = {.code = HW_ERR_CANCELLED, .msg = "stopped"};
    assert_int_equal(error_exit("view", &argument), STATUS_FAILED);
    assert_int_equal(error_exit("view", &memory), STATUS_FAILED);
    assert_int_equal(error_exit("view", &stopped), STATUS_FAILED); /* no signal came: something else stopped it */
    assert_int_equal(usage_error_in(&argument, "--hide"), ERR_USAGE);
    assert_string_equal(argument.msg, "--hide: must be a filter");
    assert_int_equal(error_exit("view", &argument), STATUS_USAGE);
    assert_int_equal(usage_error_in(&memory, "--hide"), HW_ERR_MEMORY);
    assert_int_equal(error_exit("view", &memory), STATUS_FAILED);
}

/* A command that goes on after an error prints it then, and its exit status prints nothing more. */
static void an_error_is_printed_once(void **state) {
    (void)state;
    hw_error file = {.code = HW_ERR_IO, .msg = "a.json cannot be written"}, stopped = {.code = (hw_err)ERR_INTERRUPTED};
    file.code = error_report(&file);
    assert_int_equal(file.code, ERR_REPORTED);
    assert_int_equal(error_report(&file), ERR_REPORTED);
    assert_int_equal(error_exit("explain", &file), STATUS_FAILED);
    assert_int_equal(error_exit("explain", &stopped), STATUS_INTERRUPTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_of_the_library_has_a_row),
        cmocka_unit_test(codes_are_different_and_found),
        cmocka_unit_test(an_unknown_code_is_an_internal_error),
        cmocka_unit_test(an_error_is_filled_and_false),
        cmocka_unit_test(a_value_of_a_file_is_no_wrong_usage_but_one_of_the_command_line_is),
        cmocka_unit_test(an_error_is_printed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
