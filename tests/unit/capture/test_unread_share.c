/* test_unread_share.c - the share of the stream's change that no method reads: two sources, three changes beside. */
#include "capture/unread_share.h"
#include "support/fixture.h"

#include <string.h>

/* Rows of two numbers at positions 4 and 5, of which 5 is a target row. */
enum { D = 2, Q0 = 4, TARGET = 5 };
static const float origin[] = {9, 9, 1, 0}, before0[] = {9, 9, 4, 4}, added0[] = {9, 9, 0, 3}, before1[] = {9, 9, 4, 9},
                   added1[] = {9, 9, 1, 0}, final[] = {5, 13};

static void show_decode(hw__unread_share *s, bool with_origin) {
    hw_error err;
    if (with_origin) assert_int_equal(hw__unread_origin(s, origin, 2, Q0, &err), HW_OK);
    assert_int_equal(
        hw__unread_stream(s, 0, &(hw__stream){.before = before0, .added = added0, .n_rows = 2, .q0 = Q0}, &err), HW_OK);
    assert_int_equal(
        hw__unread_stream(s, 1, &(hw__stream){.before = before1, .added = added1, .n_rows = 2, .q0 = Q0}, &err), HW_OK);
    hw__unread_final(s, final, 1, TARGET);
}

static hw__unread_share ready(const int32_t *unread) {
    return (hw__unread_share){.unread = unread, .n_sources = 2, .n_embd = D, .first = TARGET};
}

/* Changes of the target row: 5 before source 0, which adds 3; 2 before source 1, which adds 1; 4 behind it. */
static void changes_go_to_the_blocks_between_sources(void **state) {
    (void)state;
    static const struct {
        int32_t unread[3];
        double all, unseen;
    } cases[] = {{{1, 0, 0}, 15, 5}, {{0, 2, 0}, 15, 2}, {{0, 0, 1}, 15, 4}, {{3, 0, 1}, 15, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw__unread_share s = ready(cases[i].unread);
        for (int decodes = 1; decodes <= 2; decodes++) {
            show_decode(&s, true);
            assert_close(s.changed[1], decodes * cases[i].unseen, 1e-6);
            assert_close(s.changed[0] + s.changed[1], decodes * cases[i].all, 1e-6);
        }
        hw__unread_free(&s);
    }
}

static void without_an_origin_the_first_change_is_not_counted(void **state) {
    (void)state;
    static const int32_t unread[] = {1, 1, 0};
    hw__unread_share s = ready(unread);
    show_decode(&s, false);
    assert_close(s.changed[1], 2, 1e-6);
    assert_close(s.changed[0], 8, 1e-6);
    hw__unread_free(&s);
}

static void a_model_that_is_read_whole_has_no_remark(void **state) {
    (void)state;
    hw__unread_share s = ready(NULL);
    show_decode(&s, true);
    assert_null(s.after);
    assert_true(s.changed[0] + s.changed[1] == 0);
    hw_error err;
    assert_int_equal(hw__unread_remark(&s, NULL, &err), HW_OK); /* the run is not touched */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_go_to_the_blocks_between_sources),
        cmocka_unit_test(without_an_origin_the_first_change_is_not_counted),
        cmocka_unit_test(a_model_that_is_read_whole_has_no_remark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
