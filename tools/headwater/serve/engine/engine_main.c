/* engine_main.c - opens the model, then runs tasks until the server sends the end frame or closes the channel. */
#define _DEFAULT_SOURCE /* RLIMIT_DATA */
#include "serve/engine/engine_main.h"

#include "base/error.h"
#include "base/json.h"
#include "cli/message.h"
#include "serve/engine/tasks.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------ the process */

/* Memory that threads and the C library reserve later, beyond a run's estimate: stacks and heaps, rarely used, but
 * counted by the kernel's limit. */
static const uint64_t PROCESS_BYTES = (uint64_t)64 << 20, BYTES_A_THREAD = (uint64_t)16 << 20;

/* Memory of this process that the kernel counts: private and writable. 0: unknown. */
static uint64_t data_bytes(void) {
    unsigned long long kib = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmData: %llu kB", &kib) == 1) break;
    if (file) fclose(file);
    return (uint64_t)kib << 10;
}

/* A second limit behind the estimate that is checked for each run: an allocation beyond it fails, which is an error of
 * that run. BLAS allocates its buffers before, because they are mostly unused address space and it waits for ever if it
 * cannot get them. */
static void limit_memory(const worker_limits *l) {
    if (!l->memory) return;
    hw_blas();
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t threads = l->n_threads > 0 ? (uint64_t)l->n_threads
                       : cores > 0      ? (uint64_t)cores
                                        : 1,
             there = data_bytes();
    uint64_t bytes = there + l->memory + PROCESS_BYTES + threads * BYTES_A_THREAD;
    struct rlimit limit;
    if (!there || bytes < l->memory || getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_cur <= bytes) return;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_DATA, &limit);
}

/* When memory runs out, the kernel should kill this process before the server; a core file would be gigabytes of
 * prompts. */
static void prepare_to_die(void) {
    static const char score[] = "500";
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (write(fd, score, sizeof score - 1) < 0) { /* if this fails, all processes have the same score */
    }
    close(fd);
}

static channel *g_channel; /* global for the log callback */

static void on_log(void *ctx, hw_log_level level, const char *line) {
    (void)ctx;
    if (level != HW_LOG_FATAL) return;
    channel_send_bytes(g_channel, FRAME_FATAL, line, strlen(line) + 1);
    _exit(STATUS_FAILED); /* before the engine aborts: the line says more than a signal */
}

static void on_verbose_log(void *ctx, hw_log_level level, const char *line) {
    message("%s", line);
    on_log(ctx, level, line);
}

/* ------------------------------------------------------------------ tasks */

static const char *text_in(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* The server has parsed the request before, so a failure here is lack of memory. */
static bool read_task(worker *w, engine_task *t, const buffer *text) {
    bool no_memory;
    t->json = hw__json_read(text->bytes ? text->bytes : "", text->n, JSON_ALLOW_NUL, &no_memory, NULL);
    if (!t->json) return error_set(&t->error, HW_ERR_MEMORY, "no memory for the request");
    const json_t *body = json_object_get(t->json, "body");
    t->kind = (task_kind)json_integer_value(json_object_get(t->json, "kind"));
    t->id = json_integer_value(json_object_get(t->json, "job"));
    t->run = json_integer_value(json_object_get(t->json, "run"));
    t->format = text_in(t->json, "format");
    t->method = text_in(t->json, "method");
    t->attribution = json_integer_value(json_object_get(t->json, "attribution"));
    t->wants_events = json_is_true(json_object_get(t->json, "events"));
    snprintf(w->folder, sizeof w->folder, "%s", text_in(t->json, "folder"));
    if (t->kind == TASK_EXPLAIN) return request_explain(&t->explain, body, &t->error);
    if (t->kind == TASK_REEXPLAIN) return request_reexplain(&t->again, body, &t->error);
    if (t->kind == TASK_CITE) return request_cite(&t->cite, body, &t->error);
    if (t->kind == TASK_ANSWER) return request_answer(&t->answer, body, &t->error);
    return t->kind == TASK_EXPORT || request_check(&t->check, body, &t->error);
}

static void do_task(worker *w, const buffer *text) {
    static bool (*const work[N_TASK_KINDS])(worker *, engine_task *) = {
        [TASK_EXPLAIN] = explain_work, [TASK_REEXPLAIN] = reexplain_work, [TASK_CHECK] = check_work,
        [TASK_CITE] = cite_work,       [TASK_ANSWER] = answer_work,       [TASK_EXPORT] = export_work};
    engine_task t = {.done_type = FRAME_DONE};
    bool ok = read_task(w, &t, text) && (size_t)t.kind < N_TASK_KINDS && work[t.kind](w, &t);
    if (ok && t.result.failed) ok = error_set(&t.error, HW_ERR_MEMORY, "no memory for the answer");
    if (ok)
        channel_send_bytes(&w->channel, t.done_type, t.result.bytes, t.result.n);
    else
        channel_send_bytes(&w->channel, FRAME_ERROR, &t.error, sizeof t.error);
    buffer_free(&t.result);
    json_decref(t.left_out);
    json_decref(t.json);
}

/* ------------------------------------------------------------------ the model */

static void show_loading(void *ctx, hw_stage stage, size_t done, size_t total) {
    worker *w = ctx;
    size_t counts[] = {done, total};
    if (stage == HW_STAGE_LOAD) channel_send_bytes(&w->channel, FRAME_LOADING, counts, sizeof counts);
}

static bool stop_loading(void *ctx) { return worker_is_abandoned(ctx); }

static bool open_model(worker *w, const engine_setup *setup) {
    hw_model_params params = setup->params;
    hw_error err;
    params.progress = show_loading;
    params.stop = stop_loading;
    params.ctx = w;
    hw_log_set(setup->verbose ? on_verbose_log : on_log, NULL);
    if (hw_model_open(&w->model, setup->path, &params, &err) != HW_OK) {
        channel_send_bytes(&w->channel, FRAME_REFUSED, &err, sizeof err);
        return false;
    }
    if (setup->on_opened) setup->on_opened(setup->ctx);
    buffer text = {.n = 0};
    w->info = hw_model_describe(w->model);
    w->n_ctx = setup->params.n_ctx > 0 ? setup->params.n_ctx : w->info->n_ctx_train;
    engine_model_pack(&text, w->info);
    bool ok = !text.failed && channel_send_bytes(&w->channel, FRAME_READY, text.bytes, text.n);
    buffer_free(&text);
    return ok;
}

/* False if the model could not be opened, which the server reports. */
static bool work(worker *w, const engine_setup *setup) {
    buffer text;
    bool opened = open_model(w, setup);
    while (opened && worker_task(w, &text)) {
        do_task(w, &text);
        buffer_free(&text);
    }
    hw_trace_free(w->trace);
    hw_model_close(w->model);
    return opened;
}

/* The reading thread detects the end of the server; before it runs, the kernel does (PR_SET_PDEATHSIG). */
hw_err engine_main(const engine_setup *setup, hw_error *err) {
    static worker w; /* static, because the reading thread may use it until the process exits */
    struct stat info;
    if (fstat(ENGINE_CHANNEL_FD, &info) != 0 || !S_ISSOCK(info.st_mode))
        return hw__fail(err, HW_ERR_IO, "engine-process: `headwater serve` starts it for itself");
    fcntl(ENGINE_CHANNEL_FD, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prepare_to_die();
    limit_memory(&setup->limits);
    /* Signals sent to the whole group, such as Ctrl-C, are handled by the server, which sends stops. */
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    w.limits = setup->limits;
    g_channel = &w.channel;
    if (!worker_start(&w, ENGINE_CHANNEL_FD))
        return hw__fail(err, HW_ERR_MEMORY, "engine-process: no thread could be started");
    if (!work(&w, setup)) return (hw_err)ERR_REPORTED;
    worker_join(&w); /* the reading thread has read the end frame */
    return HW_OK;
}
