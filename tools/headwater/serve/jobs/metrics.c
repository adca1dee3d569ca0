/* metrics.c - see metrics.h. */
#include "serve/jobs/metrics.h"

#include <stdio.h>

static const char *const kind_names[N_TASK_KINDS] = {
    [TASK_EXPLAIN] = "explain", [TASK_REEXPLAIN] = "reexplain", [TASK_CHECK] = "check",
    [TASK_EXPORT] = "export",   [TASK_CITE] = "cite",           [TASK_ANSWER] = "answer"};

/* A metric without labels. */
typedef struct gauge {
    const char *name, *type, *help;
    double value;
} gauge;

static void write_head(buffer *out, const char *name, const char *type, const char *help) {
    char line[256];
    snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    buffer_text(out, line);
}

static void write_gauge(buffer *out, const gauge *g) {
    char line[128];
    write_head(out, g->name, g->type, g->help);
    snprintf(line, sizeof line, "%s %.15g\n", g->name, g->value);
    buffer_text(out, line);
}

static void write_requests(buffer *out, const metrics *m) {
    char line[128];
    write_head(out, "headwater_http_requests_total", "counter", "answered requests by class of status");
    for (size_t i = 2; i < N_STATUS_CLASSES; i++) {
        snprintf(line, sizeof line, "headwater_http_requests_total{code=\"%zuxx\"} %lu\n", i,
                 atomic_load(&m->requests[i]));
        buffer_text(out, line);
    }
}

static void write_jobs(buffer *out, const metrics *m) {
    char line[128];
    write_head(out, "headwater_jobs_total", "counter", "ended jobs by kind and result");
    for (size_t i = 0; i < N_TASK_KINDS; i++) {
        snprintf(line, sizeof line,
                 "headwater_jobs_total{kind=\"%s\",result=\"done\"} %lu\n"
                 "headwater_jobs_total{kind=\"%s\",result=\"failed\"} %lu\n",
                 kind_names[i], atomic_load(&m->jobs_done[i]), kind_names[i], atomic_load(&m->jobs_failed[i]));
        buffer_text(out, line);
    }
}

void metrics_count_request(metrics *m, unsigned status) {
    size_t i = status / 100;
    if (i < N_STATUS_CLASSES) atomic_fetch_add(&m->requests[i], 1);
}

void metrics_write(buffer *out, const metrics *m, size_t jobs) {
    const gauge gauges[] = {
        {"headwater_jobs", "gauge", "jobs that wait or run; one runs at a time", (double)jobs},
        {"headwater_job_seconds_total", "counter", "time in which a job ran", (double)atomic_load(&m->busy_ms) / 1000},
        {"headwater_prompt_tokens_total", "counter", "prompt tokens of ended runs",
         (double)atomic_load(&m->prompt_tokens)},
        {"headwater_completion_tokens_total", "counter", "completion tokens of ended runs",
         (double)atomic_load(&m->completion_tokens)},
        {"headwater_engine_up", "gauge", "1: the model is loaded", atomic_load(&m->engine_ready)},
        {"headwater_engine_starts_total", "counter", "starts of the process that holds the model",
         (double)atomic_load(&m->engine_starts)},
    };
    write_requests(out, m);
    write_jobs(out, m);
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++) write_gauge(out, &gauges[i]);
}
