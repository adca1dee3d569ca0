/* test_metrics.c - the text for a monitor: every metric once, with its type, and the numbers that were counted. */
#include "support/fixture.h"

#include "serve/jobs/metrics.h"

#include <string.h>

static buffer written(const metrics *m, size_t jobs) {
    buffer text = {.n = 0};
    metrics_write(&text, m, jobs);
    assert_false(text.failed);
    return text;
}

static void assert_line(const buffer *text, const char *line) {
    if (!strstr(text->bytes, line)) fail_msg("no line \"%s\" in:\n%s", line, text->bytes);
}

static void what_was_counted_is_written(void **state) {
    (void)state;
    metrics m = {.busy_ms = 1250, .prompt_tokens = 30, .completion_tokens = 4, .engine_starts = 2};
    unsigned statuses[] = {200, 206, 404, 503, 0, 99, 600, 4000000000u}; /* the last four are no statuses */
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) metrics_count_request(&m, statuses[i]);
    m.jobs_done[TASK_ANSWER] = 7;
    m.jobs_failed[TASK_CITE] = 1;
    m.engine_ready = true;
    buffer text = written(&m, 3);
    assert_line(&text, "\nheadwater_http_requests_total{code=\"2xx\"} 2\n");
    assert_line(&text, "\nheadwater_http_requests_total{code=\"3xx\"} 0\n");
    assert_line(&text, "\nheadwater_http_requests_total{code=\"4xx\"} 1\n");
    assert_line(&text, "\nheadwater_http_requests_total{code=\"5xx\"} 1\n");
    assert_line(&text, "\nheadwater_jobs_total{kind=\"answer\",result=\"done\"} 7\n");
    assert_line(&text, "\nheadwater_jobs_total{kind=\"cite\",result=\"failed\"} 1\n");
    assert_line(&text, "\nheadwater_jobs 3\n");
    assert_line(&text, "\nheadwater_job_seconds_total 1.25\n");
    assert_line(&text, "\nheadwater_prompt_tokens_total 30\n");
    assert_line(&text, "\nheadwater_completion_tokens_total 4\n");
    assert_line(&text, "\nheadwater_engine_up 1\n");
    assert_line(&text, "\nheadwater_engine_starts_total 2\n");
    buffer_free(&text);
}

/* Numbers of years of work have all their digits. */
static void large_numbers_are_exact(void **state) {
    (void)state;
    metrics m = {.prompt_tokens = 123456789012345, .busy_ms = 4102444800123};
    buffer text = written(&m, 0);
    assert_line(&text, "\nheadwater_prompt_tokens_total 123456789012345\n");
    assert_line(&text, "\nheadwater_job_seconds_total 4102444800.123\n");
    buffer_free(&text);
}

/* The format: "# HELP name text", "# TYPE name type", then the samples of this metric and of no other. */
static void each_metric_stands_once_behind_its_type(void **state) {
    (void)state;
    metrics m = {.busy_ms = 0};
    buffer text = written(&m, 0);
    char name[128] = "", type[16], other[128];
    size_t n_metrics = 0, n_samples = 0;
    assert_int_equal(text.bytes[text.n - 1], '\n');
    for (char *rest = NULL, *line = strtok_r(text.bytes, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "# HELP %127s", other) == 1) {
            assert_string_not_equal(other, name);
            assert_null(strstr(rest, line)); /* once */
            strcpy(name, other);
            n_metrics++;
        } else if (sscanf(line, "# TYPE %127s %15s", other, type) == 2) {
            assert_string_equal(other, name);
            assert_true(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0);
            bool total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
            assert_int_equal(total, strcmp(type, "counter") == 0);
        } else {
            assert_memory_equal(line, name, strlen(name));
            assert_true(line[strlen(name)] == ' ' || line[strlen(name)] == '{');
            n_samples++;
        }
    }
    assert_int_equal(n_metrics, 8);
    assert_int_equal(n_samples, 4 + 2 * N_TASK_KINDS + 6);
    buffer_free(&text);
}

static void kinds_of_jobs_have_names(void **state) {
    (void)state;
    metrics m = {.busy_ms = 0};
    buffer text = written(&m, 0);
    assert_null(strstr(text.bytes, "kind=\"(null)\""));
    assert_null(strstr(text.bytes, "kind=\"\""));
    buffer_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_counted_is_written),
        cmocka_unit_test(large_numbers_are_exact),
        cmocka_unit_test(each_metric_stands_once_behind_its_type),
        cmocka_unit_test(kinds_of_jobs_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
