/* made_up.h - what the tests of a made-up setting and of a made-up run option share: its option and its help. */
#ifndef HW_TESTS_MADE_UP_H
#define HW_TESTS_MADE_UP_H

#include "support/fixture.h"

#include "cli/options.h"
#include "help.h"

#include <stdlib.h>
#include <string.h>

/* The command line `explain --made-up VALUE`; release with options_free(). */
static inline bool read_made_up(options *o, char *value) {
    char name[] = "explain", option[] = "--made-up";
    char *argv[] = {name, option, value, NULL};
    hw_error err;
    return options_read(o, "explain", IN_EXPLAIN, 3, argv, &err) == HW_OK;
}

static inline void assert_help_has(const char *option, const char *about) {
    static const char *const usage[] = {"", NULL};
    static const example none[] = {{NULL, NULL}};
    const command c = {.name = "explain", .bit = IN_EXPLAIN, .usage = usage, .about = "", .examples = none};
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    help_command(out, &c);
    fclose(out);
    assert_non_null(strstr(text, option));
    assert_non_null(strstr(text, about));
    free(text);
}

#endif
