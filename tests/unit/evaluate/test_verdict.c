/* test_verdict.c - the sentence that a check ends with, for each grade. */
#include "evaluate/verdict.h"
#include "support/fixture.h"

#include <math.h>
#include <string.h>

static const char *say(const hw__evidence *e) {
    static char out[512];
    hw__verdict(out, sizeof out, e);
    return out;
}

static hw__evidence reached(double drop) {
    return (hw__evidence){.method = "contribution",
                          .drop = drop,
                          .best = 5.2,
                          .chance = 0.9,
                          .ending = NAN,
                          .lds = 0.76,
                          .lds_random = 0.4};
}

static void grades_by_what_is_reached(void **state) {
    (void)state;
    hw__evidence e = reached(5.1);
    assert_string_equal(say(&e),
                        "contribution: right where it can be checked: without its top segment the answer is 164 times "
                        "less likely (5.1 nats; "
                        "the best choice 5.2, a random one 0.9 on average); rank agreement over random cuts 0.76, "
                        "random 0.40 on average");
    e = reached(3);
    assert_string_equal(say(&e), "contribution: partly right: without its top segment the answer is 20 times less "
                                 "likely (3.0 nats; the best choice 5.2, "
                                 "a random one 0.9 on average); rank agreement over random cuts 0.76, random 0.40 "
                                 "on average");
    e = reached(0.3);
    assert_string_equal(say(&e), "contribution: do not trust it here, no better than a random choice: without its top "
                                 "segment the answer is 1.3 times "
                                 "less likely (0.3 nats; the best choice 5.2, a random one 0.9 on average); rank "
                                 "agreement over random cuts 0.76, random 0.40 on average");
}

static void grades_change_at_the_thresholds(void **state) {
    (void)state;
    const struct {
        double drop;
        const char *grade;
    } cases[] = {{0.9 + 4.3 * 0.81, "right where"},
                 {0.9 + 4.3 * 0.79, "partly right"},
                 {0.9 + 4.3 * 0.21, "partly right"},
                 {0.9 + 4.3 * 0.19, "do not trust"},
                 {-1, "do not trust"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw__evidence e = reached(cases[i].drop);
        assert_non_null(strstr(say(&e), cases[i].grade));
    }
}

static void nothing_stands_out(void **state) {
    (void)state;
    hw__evidence e = {.method = "rollout", .drop = 0.2, .best = 0.8, .chance = 0.3, .ending = NAN, .lds = 0.9};
    assert_string_equal(say(&e), "rollout: cannot be judged here: no single segment stands out (without the most "
                                 "important one the answer is 2.2 times "
                                 "less likely, 0.8 nats; without a random one 0.3 on average)");
    e.chance = 0.1;
    assert_non_null(strstr(say(&e), "do not trust"));
}

/* However far the best one is from a random one: without support there is nothing to name. */
static void no_segment_supports_the_answer(void **state) {
    (void)state;
    hw__evidence e = {.method = "logit", .drop = -3, .best = -0.2, .chance = -2, .ending = NAN, .lds = 0.9};
    assert_string_equal(say(&e), "logit: cannot be judged here: no single segment's absence makes the answer much less "
                                 "likely (without the most important one it is 1.2 times more likely, -0.2 nats): it "
                                 "may rest on several segments, or on none");
    e.best = 0.65;
    assert_non_null(strstr(say(&e), "it is 1.9 times less likely, 0.7 nats): it may rest on several segments"));
    e.best = 0.75;
    assert_non_null(strstr(say(&e), "do not trust"));
}

static void scores_of_the_rest_count_too(void **state) {
    (void)state;
    hw__evidence e = reached(5.1);
    e.lds = 0.35;
    assert_non_null(strstr(
        say(&e),
        ", but its scores rank the rest no better than random ones (rank agreement 0.35, random 0.40 on average)"));
    e.lds = NAN; /* no ablations asked for */
    assert_null(strstr(say(&e), "rank agreement"));
}

static void leave_one_out_is_the_measure(void **state) {
    (void)state;
    hw__evidence e = reached(5.2);
    e.method = "leave-one-out";
    assert_non_null(strstr(say(&e), "leave-one-out: right by construction: "));
}

static void sizes_are_said_in_words(void **state) {
    (void)state;
    hw__evidence e = reached(0.01);
    assert_non_null(strstr(say(&e), "the answer is as likely as before (0.0 nats"));
    e.drop = -0.5;
    assert_non_null(strstr(say(&e), "the answer is 1.6 times more likely (-0.5 nats"));
    e.drop = e.best = 1000;
    assert_non_null(strstr(say(&e), "the answer is over a million times less likely (1000.0 nats"));
}

/* It is the best choice of all and not informative: the others are judged. */
static void text_that_the_answer_goes_on_from(void **state) {
    (void)state;
    hw__evidence e = reached(5.1);
    e.ending = 7.1;
    e.segment = 2;
    assert_string_equal(say(&e), "contribution: right where it can be checked: the best choice is the text that the "
                                 "answer goes on from (7.1 nats); among the others: without its top segment the answer "
                                 "is 164 times less likely (5.1 nats; the best choice, segment 2, 5.2, a random one "
                                 "0.9 on average); rank agreement over random cuts 0.76, random 0.40 on average");
    e.chance = 5;
    assert_non_null(strstr(say(&e), "cannot be judged here: the best choice is the text that the answer goes on from "
                                    "(7.1 nats); among the others: no single segment stands out"));
    e.best = 0.1;
    assert_non_null(strstr(say(&e), "(7.1 nats); among the others: no single segment's absence makes the answer much "
                                    "less likely (without the most important one it is 1.1 times less likely, 0.1"));
    e.ending = 0.5; /* nor does its own */
    assert_non_null(strstr(say(&e), "here: no single segment's absence makes the answer much less likely (without the "
                                    "most important one it is 1.6 times less likely, 0.5"));
}

/* A check has a capacity of 512 bytes; methods' names have at most 13. */
static void the_longest_verdict_fits(void **state) {
    (void)state;
    hw__evidence e = {.method = "thirteen-long", .drop = -99999, .best = 99999, .chance = -9999};
    e.ending = 99999;
    e.segment = 511;
    e.lds = e.lds_random = -0.11;
    assert_true(strlen(say(&e)) < 511);
    assert_non_null(strstr(say(&e), "random -0.11 on average"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grades_by_what_is_reached),
        cmocka_unit_test(grades_change_at_the_thresholds),
        cmocka_unit_test(nothing_stands_out),
        cmocka_unit_test(scores_of_the_rest_count_too),
        cmocka_unit_test(leave_one_out_is_the_measure),
        cmocka_unit_test(sizes_are_said_in_words),
        cmocka_unit_test(no_segment_supports_the_answer),
        cmocka_unit_test(text_that_the_answer_goes_on_from),
        cmocka_unit_test(the_longest_verdict_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
