/* test_options.c - command lines: types and ranges of values, presets, what was given, and what cannot be combined with
 * a source. */
#include "cli/options.h"

#include "cli/message.h" /* before cmocka, which has a macro fail() */

#include "support/fixture.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 16 };

static hw_error why; /* of the last command line that was refused */

/* Reads words up to NULL as the command line of `explain`. */
static bool read_line(options *o, ...) {
    static char words[MAX_WORDS][64];
    static char *argv[MAX_WORDS + 1];
    int n = 1;
    va_list args;
    argv[0] = strcpy(words[0], "explain");
    va_start(args, o);
    for (const char *word; (word = va_arg(args, const char *)) != NULL; n++) {
        assert_true(n < MAX_WORDS && strlen(word) < sizeof words[n]);
        argv[n] = strcpy(words[n], word);
    }
    va_end(args);
    argv[n] = NULL;
    return options_read(o, "explain", IN_EXPLAIN, n, argv, &why) == HW_OK;
}

static void values_must_be_whole_and_in_range(void **state) {
    (void)state;
    static const char *const bad[][2] = {{"--threads", "1025"},       {"--threads", "-1"},  {"--threads", "4x"},
                                         {"--threads", ""},           {"--threads", " 4"},  {"--threads", "+4"},
                                         {"--scale", "0x1p1"},        {"--scale", "nan"},   {"--scale", "21"},
                                         {"--scale", "1e400"},        {"--memory", "0"},    {"--memory", "5Q"},
                                         {"--memory", "-1"},          {"--device", "a,,b"}, {"--device", ""},
                                         {"--color", "purple"},       {"--fuse", "median"}, {"-n", "0"},
                                         {"--trace-precision", "f8"}, {"--top-p", "0"},     {"--residual", "2"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options o;
        if (read_line(&o, bad[i][0], bad[i][1], NULL)) fail_msg("%s \"%s\" was taken", bad[i][0], bad[i][1]);
        assert_int_equal(why.code, ERR_USAGE);
        options_free(&o);
    }
}

static void values_are_read(void **state) {
    (void)state;
    options o;
    assert_true(read_line(&o, "--threads=4", "--scale", "0.5", "--memory", "2G", "-n7", "--fuse", "max", "-o", "a",
                          "-o", "b", NULL));
    assert_int_equal(o.threads, 4);
    assert_close(o.scale, 0.5, 0);
    assert_true(o.run.memory == (uint64_t)2 << 30 && o.run.n_generate == 7 && o.run.fuse == HW_FUSE_MAX);
    assert_int_equal(o.output.n, 2);
    assert_string_equal(o.output.at[1], "b");
    options_free(&o);
}

static void what_was_given_is_known_also_where_it_is_the_default(void **state) {
    (void)state;
    options o;
    assert_true(read_line(&o, "-n", "32", NULL));
    assert_true(GIVEN(&o, run.n_generate));
    assert_false(GIVEN(&o, run.temperature));
    assert_int_equal(o.run.n_generate, 32);
    options_free(&o);
}

static void options_that_are_unknown_or_lack_a_value_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"--tresh", "--port", "-Z", "-n", "--chat=yes"}; /* --port is of serve */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options o;
        if (read_line(&o, bad[i], NULL)) fail_msg("%s was taken", bad[i]);
        options_free(&o);
    }
}

static void a_preset_yields_to_options_given_by_hand(void **state) {
    (void)state;
    options o;
    assert_true(read_line(&o, "--preset", "note", "--row", "predictor", NULL));
    assert_int_equal(o.settings.row, HW_ROW_PREDICTOR);
    assert_string_equal(o.method, "rollout");
    assert_string_equal(o.hide, "first,note");
    options_free(&o);
    assert_false(read_line(&o, "--preset", "nota", NULL));
    options_free(&o);
}

static void arguments_stand_between_options(void **state) {
    (void)state;
    options o;
    assert_true(read_line(&o, "-", "-q", "more", NULL));
    assert_int_equal(o.arguments.n, 2);
    assert_string_equal(o.arguments.at[1], "more");
    assert_true(o.quiet);
    options_free(&o);
}

static void options_without_effect_on_a_source_are_refused(void **state) {
    (void)state;
    options o;
    assert_true(read_line(&o, "--temp", "1", NULL));
    assert_int_equal(options_fit(&o, FROM_MODEL, &why), HW_OK);
    assert_int_equal(options_fit(&o, FROM_TRACE, &why), ERR_USAGE);
    options_free(&o);
    assert_true(read_line(&o, "--fuse", "max", NULL));
    assert_int_equal(options_fit(&o, FROM_ATTENTION, &why), HW_OK);
    assert_int_equal(options_fit(&o, FROM_TRACE, &why), ERR_USAGE);
    options_free(&o);
}

/* Every row: of some command, with help, its default readable, and each name once for a command. */
static void the_table_is_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < options_count(); i++) {
        const option_row *row = options_row(i);
        assert_true(row->commands && row->sources);
        assert_true(row->name && row->help && row->help[strlen(row->help) - 1] != '.');
        for (size_t k = 0; k < i; k++)
            if (strcmp(options_row(k)->name, row->name) == 0)
                assert_int_equal(options_row(k)->commands & row->commands, 0);
    }
    for (size_t i = 0; i < hw_run_option_count(); i++) {
        const char *option = hw_run_option_at(i)->option;
        bool found = !option;
        for (size_t k = 0; k < options_count(); k++) found = found || strcmp(options_row(k)->name, option) == 0;
        assert_true(found);
    }
}

static void spellings_and_variables_of_llama_cpp_mean_the_option(void **state) {
    (void)state;
    options o;
    assert_true(read_line(&o, "-ngl", "all", "-c", "64", "-t", "2", "--n-predict=5", "--jinja", "-p", "-ngl", "--",
                          "-hf", NULL));
    assert_int_equal(o.gpu_layers, -1);
    assert_int_equal(o.ctx, 64);
    assert_int_equal(o.threads, 2);
    assert_int_equal(o.run.n_generate, 5);
    assert_string_equal(o.prompt, "-ngl"); /* a value */
    assert_string_equal(o.arguments.at[0], "-hf");
    options_free(&o);
    setenv("LLAMA_ARG_N_PREDICT", "9", 1);
    assert_true(read_line(&o, "-hf", "a/b", NULL));
    assert_string_equal(o.hf_repo, "a/b");
    assert_int_equal(o.run.n_generate, 9);
    assert_false(GIVEN(&o, run.n_generate));
    options_free(&o);
    assert_true(read_line(&o, "-n", "4", NULL));
    assert_int_equal(o.run.n_generate, 4);
    options_free(&o);
    setenv("LLAMA_ARG_N_PREDICT", "-1", 1);
    assert_false(read_line(&o, NULL));
    options_free(&o);
    unsetenv("LLAMA_ARG_N_PREDICT");
    assert_false(read_line(&o, "-m", "x", "-hf", "a/b", NULL));
    options_free(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_must_be_whole_and_in_range),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(what_was_given_is_known_also_where_it_is_the_default),
        cmocka_unit_test(options_that_are_unknown_or_lack_a_value_are_refused),
        cmocka_unit_test(a_preset_yields_to_options_given_by_hand),
        cmocka_unit_test(arguments_stand_between_options),
        cmocka_unit_test(options_without_effect_on_a_source_are_refused),
        cmocka_unit_test(spellings_and_variables_of_llama_cpp_mean_the_option),
        cmocka_unit_test(the_table_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
