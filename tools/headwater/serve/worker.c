/* worker.c - the thread, the newest trace, and runs that a crash left unfinished, which come first. */
#include "serve/worker.h"

#include "cli/temporary_folder.h"
#include "cli/threads.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void worker_path(const worker *w, const char *name, char *out, size_t room) {
    snprintf(out, room, "%s/%s", w->folder, name);
}

void worker_keep(worker *w, hw_trace *trace, int64_t run) {
    hw_trace_free(w->trace);
    w->trace = trace;
    w->trace_run = run;
}

const hw_trace *worker_trace(worker *w, int64_t run, fault *f) {
    char path[128];
    hw_trace *trace;
    hw_error err;
    if (!store_has(w->store, run, f)) { /* deleted: what is at hand of it goes, too */
        if (w->trace_run == run) worker_keep(w, NULL, 0);
        return NULL;
    }
    if (w->trace && w->trace_run == run) return w->trace;
    worker_path(w, "open.safetensors", path, sizeof path);
    bool ok = store_trace(w->store, run, path, f);
    if (ok && hw_trace_open(&trace, path, &err) != HW_OK) ok = fault_from(f, &err);
    unlink(path);
    if (!ok) return NULL;
    worker_keep(w, trace, run);
    return trace;
}

bool worker_methods(const worker *w, choice *c, fault *f) {
    static const char *const standard[] = {"rollout", "logit"};
    bool named = c->n > 0;
    for (size_t i = 0; i < sizeof standard / sizeof *standard && !named; i++) {
        const hw_method_info *method = hw_method_find(standard[i]);
        if (!*hw_method_problem(method, w->info)) c->methods[c->n++] = method->name;
    }
    for (size_t i = 0; i < c->n && named; i++) {
        const char *problem = hw_method_problem(hw_method_find(c->methods[i]), w->info);
        if (*problem) return fault_set(f, 422, "unsupported", "method %s: %.600s", c->methods[i], problem);
    }
    return c->n > 0 || fault_set(f, 422, "unsupported", "no method can explain this model: %.600s", w->info->problem);
}

/* ------------------------------------------------------------------ the thread */

static bool is_of_model(const lost_run *lost, const hw_model_info *model) {
    return strcmp(lost->sha, model->sample_sha256) == 0 || strcmp(lost->sha, model->metadata_sha256) == 0;
}

static void finish_all_lost(worker *w) {
    lost_run lost;
    while (!queue_is_closed(w->queue) && store_next_lost(w->store, &lost)) {
        if (is_of_model(&lost, w->info)) w->finish_lost(w, &lost);
        lost_run_free(&lost);
    }
}

static void *work(void *ctx) {
    worker *w = ctx;
    threads_limit(w->limits.n_threads);
    finish_all_lost(w);
    for (task *t; (t = queue_take(w->queue)) != NULL;) {
        bool done = t->work(w, t);
        queue_done(w->queue); /* before its client hears of it: from then on there is no such job */
        task_end(t, done);
        task_release(t);
    }
    return NULL;
}

bool worker_start(worker *w, const worker_setup *setup, fault *f) {
    *w = (worker){.model = setup->model,
                  .info = hw_model_describe(setup->model),
                  .store = setup->store,
                  .queue = setup->queue,
                  .finish_lost = setup->finish_lost,
                  .limits = setup->limits};
    const char *tmp = temporary_folder(40);
    snprintf(w->folder, sizeof w->folder, "%s/headwater-XXXXXX", tmp);
    if (!mkdtemp(w->folder)) return fault_set(f, 500, "internal", "cannot make a folder in %s", tmp);
    if (pthread_create(&w->thread, NULL, work, w) == 0) return true;
    rmdir(w->folder);
    return fault_set(f, 500, "internal", "cannot start the worker's thread");
}

void worker_join(worker *w) {
    pthread_join(w->thread, NULL);
    hw_trace_free(w->trace);
    rmdir(w->folder);
}
