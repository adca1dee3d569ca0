/*
 * test_explain_job.c - which of the methods that were named a job goes on with.
 */
#include "support/fake_engine.h"

#include "export/html_report.h"
#include "job/explain_job.h"

#include <stdio.h>
#include <string.h>

/* Reports carry the page, which tests of the program's parts do not link; no job here makes one. */
bool report_is_path(const char *path) {
    (void)path;
    return false;
}
hw_err report_gather(report *r, report_run run, hw_error *err) {
    (void)r, (void)run, (void)err;
    fail_msg("no report is asked for");
    return HW_ERR_ARGUMENT;
}
hw_err report_save(report_run run, const char *path, hw_error *err) {
    (void)path;
    return report_gather(NULL, run, err);
}

/* A job with these methods (NULL: the default), and with a model that gives neither contributions nor logits. */
static void begin(job *j, options *o, const char *methods) {
    static char command[] = "explain", quiet[] = "-q", option[] = "--method";
    static char list[64]; /* options point into it */
    snprintf(list, sizeof list, "%s", methods ? methods : "");
    char *argv[] = {command, quiet, option, list};
    fake_params fake = fake_params_default();
    hw_error err;
    assert_int_equal(options_read(o, "explain", IN_EXPLAIN, methods ? 4 : 2, argv, &err), HW_OK);
    assert_int_equal(job_prepare(j, o, &err), HW_OK);
    j->model = fake_model(&fake);
}

static void end(job *j, options *o) {
    hw_model_close(j->model); /* the program leaves it to its end */
    job_free(j);
    options_free(o);
}

static void a_method_that_the_model_cannot_give_loses_no_other(void **state) {
    (void)state;
    static const char *const lists[] = {"logit,rollout", "rollout,logit", "contribution,rollout,logit"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        job j;
        options o;
        begin(&j, &o, lists[i]);
        job_choose_methods(&j);
        assert_int_equal(j.n_methods, 1);
        assert_string_equal(j.methods[0], "rollout");
        assert_true(j.lost); /* the exit status says so */
        end(&j, &o);
    }
}

static void the_only_method_stays_and_fails_later(void **state) {
    (void)state;
    job j;
    options o;
    begin(&j, &o, "logit");
    job_choose_methods(&j);
    assert_int_equal(j.n_methods, 1);
    assert_string_equal(j.methods[0], "logit");
    assert_false(j.lost);
    end(&j, &o);
}

static void of_the_default_nobody_misses_what_cannot_be(void **state) {
    (void)state;
    job j;
    options o;
    begin(&j, &o, NULL);
    job_choose_methods(&j);
    assert_int_equal(j.n_methods, 1);
    assert_string_equal(j.methods[0], "rollout");
    assert_false(j.lost);
    end(&j, &o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_method_that_the_model_cannot_give_loses_no_other),
        cmocka_unit_test(the_only_method_stays_and_fails_later),
        cmocka_unit_test(of_the_default_nobody_misses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
