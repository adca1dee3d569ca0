/* test_safe_text.c - bytes of models and files as a terminal may show them. */
#include "support/fixture.h"

#include "cli/safe_text.h"

#include <stdlib.h>
#include <string.h>

static char *printed(const char *bytes, size_t n, bool lines) {
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    text_print(out, bytes, n, lines);
    fclose(out);
    return text;
}

static void assert_printed(const char *bytes, size_t n, bool lines, const char *wanted) {
    char *text = printed(bytes, n, lines);
    assert_string_equal(text, wanted);
    free(text);
}

static void nothing_that_commands_a_terminal_comes_through(void **state) {
    (void)state;
    assert_printed("\x1B[31m", 5, true, "␛[31m");
    assert_printed("a\nb\tc", 5, true, "a\nb\tc");
    assert_printed("a\nb\tc", 5, false, "a⏎b⇥c");
    assert_printed("\0\x7F", 2, true, "␀␡");
    assert_printed("\xC2\x9B"
                   "A",
                   3, true, "‹U+009B›A");                /* CSI in one character */
    assert_printed("\xE2\x80\xAE", 3, true, "‹U+202E›"); /* right to left override */
    assert_printed("\xE2\x82", 2, true, "‹E2›‹82›");
}

/* Whatever the bytes are, no control character is printed, and every byte of the source is gone through. */
static void every_byte_is_safe(void **state) {
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            char bytes[] = {(char)a, (char)b};
            char *text = printed(bytes, 2, false);
            for (const char *c = text; *c; c++) assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
            free(text);
            size_t at = 0;
            while (at < 2) at += text_glyph(bytes + at, 2 - at).n_source;
            assert_int_equal(at, 2);
        }
}

static void widths_are_columns(void **state) {
    (void)state;
    assert_int_equal(text_glyph("a", 1).width, 1);
    assert_int_equal(text_glyph("\xE4\xB8\xAD", 3).width, 2); /* 中 */
    assert_int_equal(text_glyph("\xCC\x81", 2).width, 0);     /* combining acute */
    assert_int_equal(text_glyph("\xFF", 1).width, 4);
}

static void labels_are_cut_at_their_width(void **state) {
    (void)state;
    /* only spaces before the first character are marked */
    assert_string_equal(text_label("  a b", 5, 10).utf8, "··a b");
    label cut = text_label("abcdef", 6, 4);
    assert_string_equal(cut.utf8, "abc…");
    assert_int_equal(cut.width, 4);
    label wide = text_label("\xE4\xB8\xAD\xE4\xB8\xAD\xE4\xB8\xAD", 9, 4);
    assert_true(wide.width <= 4);
}

static void whole_characters_end_before_a_cut_one(void **state) {
    (void)state;
    assert_int_equal(text_whole("ab\xE2\x82", 4), 2);
    assert_int_equal(text_whole("ab\xE2\x82\xAC", 5), 5);
    assert_int_equal(text_whole("ab\xFF", 3), 3); /* no character begins there: waiting would not help */
}

static void a_stream_holds_half_a_character_back(void **state) {
    (void)state;
    char *text;
    size_t n;
    stream s = {.out = open_memstream(&text, &n)};
    stream_write(&s, "a\xE2", 2);
    assert_string_equal(text, "a");
    stream_write(&s, "\x82", 1);
    assert_string_equal(text, "a");
    stream_write(&s,
                 "\xAC"
                 "b",
                 2);
    assert_string_equal(text, "a€b");
    stream_write(&s, "\xE2\x82", 2);
    stream_end(&s);
    fclose(s.out);
    assert_string_equal(text, "a€b‹E2›‹82›\n");
    free(text);
}

static void lines_break_between_words(void **state) {
    (void)state;
    assert_int_equal(text_line("one two three", 8), 7);
    assert_int_equal(text_line("one two three", 100), 13);
    assert_int_equal(text_line("toolong", 3), 7); /* a word at least */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_commands_a_terminal_comes_through),
        cmocka_unit_test(every_byte_is_safe),
        cmocka_unit_test(widths_are_columns),
        cmocka_unit_test(labels_are_cut_at_their_width),
        cmocka_unit_test(whole_characters_end_before_a_cut_one),
        cmocka_unit_test(a_stream_holds_half_a_character_back),
        cmocka_unit_test(lines_break_between_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
