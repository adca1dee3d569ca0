/*
 * run_variant.c - runs one variant: prompt cut to its number of tokens, clocks read, M kept until it was checked.
 *
 * Lives in the variant's own process (variant_process.c). Only the run itself is timed: not opening the model, nor
 * cutting the prompt, nor saving the trace that `again` variants explain.
 */
#include "run_variant.h"

#include "base/error.h"
#include "capture/capture.h"
#include "cli/clock.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "process_memory.h"
#include "reference.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Prompt tokens per pass where rows are streamed and columns are segments, as `headwater explain --by` has it. */
enum { PASSING_UBATCH = 128 };

struct bench_run {
    const bench_job *job;
    const bench_variant *v;
    hw_model *model;      /* NULL: explained from the file */
    size_t bytes;         /* of the prompt */
    char saved_file[256]; /* trace of `again`; "" for none */
    hw_trace *kept;       /* of cuts, captured once */
    bool warm;            /* it ran before */
    uint64_t peak, trace_bytes;
};

/* What one run leaves until it was checked. */
typedef struct outcome {
    hw_trace *trace; /* NULL for plain generation */
    hw_attribution **parts;
    size_t n_parts;
    hw_explainer *explainer; /* NULL: nothing is explained */
    double prefilled;        /* when the prompt was read */
    hw_err rc;               /* of explanations inside the run */
    hw_error *err;
} outcome;

/* ------------------------------------------------------------------ explanations */

static hw_err fail_memory(hw_error *err) { return hw__fail(err, HW_ERR_MEMORY, "no memory for what a run explains"); }

/* Takes ownership of `part`. */
static hw_err keep(outcome *o, hw_attribution *part) {
    hw_attribution **resized = realloc(o->parts, (o->n_parts + 1) * sizeof *resized);
    if (!resized) {
        hw_attribution_free(part);
        return fail_memory(o->err);
    }
    o->parts = resized;
    o->parts[o->n_parts++] = part;
    return HW_OK;
}

static void take_rows(void *ctx, size_t i, hw_attribution *rows) {
    outcome *o = ctx;
    hw_err rc = keep(o, rows);
    (void)i;
    if (o->rc == HW_OK) o->rc = rc;
}

/* The variant's methods and columns; `o` takes their rows as they come. NULL: columns are tokens, and nothing is
 * shown. */
static hw_err make_explainer(hw_explainer **out, const bench_run *r, outcome *o, hw_keep keep, hw_error *err) {
    hw_explainer_params keeping = hw_explainer_params_default();
    hw_method_params p = hw_method_params_default();
    keeping.keep = keep;
    keeping.interval = r->v->live_rows;
    if (o && r->v->live_rows) keeping.on_rows = take_rows; /* else when all are there, as `explain` does */
    keeping.ctx = o;
    p.model = r->model;
    p.stop = interrupt_stop;
    hw_err rc = hw_explainer_new(out, &keeping, err);
    for (size_t i = 0; r->v->methods[i] && rc == HW_OK; i++) rc = hw_explainer_add(*out, r->v->methods[i], &p, err);
    return rc == HW_OK && o && r->v->by ? hw_explainer_split(*out, r->v->by, false, err) : rc;
}

static hw_err explain_all(outcome *o, const bench_variant *v, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; v->methods[i] && rc == HW_OK; i++) {
        hw_attribution *a;
        rc = hw_explainer_result(&a, o->explainer, i, o->trace, err);
        if (rc == HW_OK) rc = keep(o, a);
    }
    return rc;
}

static void outcome_clear(outcome *o, const hw_trace *kept) {
    for (size_t i = 0; i < o->n_parts; i++) hw_attribution_free(o->parts[i]);
    free(o->parts);
    hw_explainer_free(o->explainer);
    if (o->trace != kept) hw_trace_free(o->trace);
}

/* ------------------------------------------------------------------ one run */

static void watch(void *ctx, hw_stage stage, size_t done, size_t total) {
    outcome *o = ctx;
    if (stage == HW_STAGE_PREFILL && done == total) o->prefilled = clock_seconds();
}

static hw_run_params run_params(const bench_run *r, outcome *o) {
    hw_run_params p = hw_run_params_default();
    p.prompt = r->job->text;
    p.prompt_bytes = r->bytes;
    p.n_generate = r->job->n;
    p.progress = watch;
    p.stop = interrupt_stop;
    p.ctx = o;
    p.explainer = o->explainer;
    return p;
}

/* Hash (FNV-1a) of the run's completion: other processes compare it. */
static uint64_t hash_completion(const hw_run *run) {
    size_t n;
    const char *bytes = hw_run_completion(run, &n);
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return hash;
}

static hw_err run_plain(uint64_t *tokens, bench_run *r, outcome *o, double at[], hw_error *err) {
    hw_run *run;
    hw_run_params p = run_params(r, o);
    hw_err rc = hw__run_generate(&run, r->model, &p, err);
    if (rc != HW_OK) return rc;
    at[BENCH_PREFILL] = o->prefilled;
    at[BENCH_DECODE] = at[BENCH_EXPLAIN] = clock_seconds();
    *tokens = hash_completion(run);
    if (!r->warm && hw_run_n_completion(run) < p.n_generate)
        message("m = %zu: the model ended after %zu of %zu tokens: another text (-f) may make it go on",
                hw_run_n_prompt(run), hw_run_n_completion(run), p.n_generate);
    hw_run_free(run);
    return HW_OK;
}

static hw_err run_captured(uint64_t *tokens, bench_run *r, outcome *o, double at[], hw_error *err) {
    hw_err rc = make_explainer(&o->explainer, r, o, r->v->keep, err);
    hw_run_params p = run_params(r, o);
    if (rc == HW_OK) rc = hw_trace_capture(&o->trace, r->model, &p, err);
    if (rc == HW_OK) rc = o->rc;
    if (rc != HW_OK) return rc;
    at[BENCH_PREFILL] = o->prefilled;
    at[BENCH_DECODE] = clock_seconds();
    if (!r->v->live_rows) rc = explain_all(o, r->v, err);
    at[BENCH_EXPLAIN] = clock_seconds();
    *tokens = hash_completion(hw_trace_run(o->trace));
    return rc;
}

/* From a trace that is there: in a file, or kept. */
static hw_err run_kept(uint64_t *tokens, bench_run *r, outcome *o, double at[], hw_error *err) {
    hw_err rc = HW_OK;
    if (r->kept) {
        o->trace = r->kept;
    } else {
        rc = hw_trace_open(&o->trace, r->saved_file, err);
    }
    at[BENCH_OPEN] = at[BENCH_PREFILL] = at[BENCH_DECODE] = clock_seconds();
    if (rc == HW_OK) rc = make_explainer(&o->explainer, r, o, r->v->keep, err);
    if (rc == HW_OK) rc = explain_all(o, r->v, err);
    at[BENCH_EXPLAIN] = clock_seconds();
    if (rc == HW_OK) *tokens = hash_completion(hw_trace_run(o->trace));
    return rc;
}

static hw_err (*const runs[])(uint64_t *tokens, bench_run *r, outcome *o, double at[], hw_error *err) = {
    [BENCH_PLAIN] = run_plain, [BENCH_CAPTURE] = run_captured, [BENCH_LIVE] = run_captured,
    [BENCH_AGAIN] = run_kept,  [BENCH_CUTS] = run_kept,
};

/* Seconds that all threads of the process worked. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Moments `at` which phases ended -> how long each took. */
static void read_phases(bench_figures *f, double began, const double at[]) {
    double last = began;
    for (int p = 0; p < BENCH_TOTAL; p++) {
        double end = at[p] != 0 ? at[p] : last;
        f->seconds[p] = end - last;
        last = end;
    }
    f->seconds[BENCH_TOTAL] = last - began;
}

/* What the trace takes as a file: written where its pages can be dropped again. One that was kept for results alone
 * cannot be saved. */
static hw_err measure_trace(bench_run *r, const hw_trace *trace, hw_error *err) {
    struct stat st;
    char path[sizeof r->saved_file];
    bool by_token = trace && !r->v->by && r->v->keep != HW_KEEP_RESULTS; /* as it is saved */
    snprintf(path, sizeof path, "%s/XXXXXX", r->job->folder);
    int fd = by_token && !r->trace_bytes ? mkstemp(path) : -1;
    if (fd < 0) return HW_OK;
    close(fd);
    hw_err rc = hw_trace_save(trace, path, err);
    if (rc == HW_OK && stat(path, &st) == 0) r->trace_bytes = (uint64_t)st.st_size;
    unlink(path);
    return rc;
}

/* A run of the same tokens that keeps every row, and signals by token. */
static hw_err capture_whole(hw_trace **out, bench_run *r, hw_error *err) {
    outcome o = {0};
    hw_err rc = make_explainer(&o.explainer, r, NULL, HW_KEEP_ROWS, err);
    hw_run_params p = run_params(r, &o);
    if (rc == HW_OK) rc = hw_trace_capture(out, r->model, &p, err);
    hw_explainer_free(o.explainer);
    return rc;
}

static hw_err check(bench_run *r, const outcome *o, hw_error *err) {
    bool partial = o->trace && hw_trace_rows(o->trace) != HW_ROWS_ALL;
    hw_trace *whole = partial ? NULL : o->trace;
    hw_err rc = measure_trace(r, o->trace, err);
    if (rc == HW_OK && partial && r->job->whole_fits) rc = capture_whole(&whole, r, err);
    for (size_t i = 0; i < o->n_parts && rc == HW_OK; i++) rc = bench_reference_check(o->parts[i], whole, err);
    if (partial) hw_trace_free(whole);
    return rc;
}

hw_err bench_run_once(bench_figures *f, uint64_t *tokens, bench_run *r, bool checked, hw_error *err) {
    outcome o = {.err = err};
    double at[BENCH_TOTAL] = {0}, cpu = cpu_seconds(), began = clock_seconds();
    hw_err rc = runs[r->v->kind](tokens, r, &o, at, err);
    *f = (bench_figures){.cpu = cpu_seconds() - cpu};
    read_phases(f, began, at);
    if (!r->warm) r->peak = bench_memory_peak();
    r->warm = true;
    if (rc == HW_OK && checked) rc = check(r, &o, err);
    const hw_segments *cuts = r->v->kind == BENCH_CUTS ? hw_explainer_segments(o.explainer) : NULL;
    if (cuts) f->passes = hw_segments_count(cuts);
    f->peak_bytes = r->peak;
    f->trace_bytes = r->trace_bytes;
    outcome_clear(&o, r->kept);
    return rc;
}

/* ------------------------------------------------------------------ preparation */

/* Bytes of the text's first m tokens, as the model cuts it. */
static hw_err split_prompt(bench_run *r, hw_error *err) {
    hw_run *run;
    outcome o = {0};
    size_t m = r->job->m;
    r->bytes = r->job->n_text;
    hw_run_params p = run_params(r, &o);
    hw_err rc = hw_run_tokenize(&run, r->model, &p, err);
    if (rc != HW_OK) return rc;
    size_t n = hw_run_n_prompt(run);
    if (n >= m) {
        r->bytes = hw_run_token(run, m - 1).end;
    } else {
        *err = (hw_error){.code = rc = HW_ERR_ARGUMENT};
        snprintf(err->msg, sizeof err->msg, "the text has %zu tokens, %zu are needed: give a longer one with -f", n, m);
    }
    hw_run_free(run);
    return rc;
}

static hw_err open_model(bench_run *r, hw_error *err) {
    hw_model_params p = r->job->params;
    p.stop = interrupt_stop;
    if (r->v->by && r->v->kind == BENCH_LIVE && p.n_ubatch == 0) p.n_ubatch = PASSING_UBATCH; /* as `explain --by` */
    hw__purpose plain = r->v->flash ? HW__GENERATES_FLASH : HW__GENERATES;
    hw_err rc = hw__model_open(&r->model, r->job->path, &p, r->v->kind == BENCH_PLAIN ? plain : HW__EXPLAINS, err);
    return rc == HW_OK ? split_prompt(r, err) : rc;
}

/* Captures and saves the trace that is explained again; in a process that ends, so that its memory counts nowhere. */
static hw_err save_trace(bench_run *r, hw_error *err) {
    hw_trace *trace;
    hw_err rc = open_model(r, err);
    if (rc == HW_OK) rc = capture_whole(&trace, r, err);
    if (rc != HW_OK) return rc;
    rc = hw_trace_save(trace, r->saved_file, err);
    hw_trace_free(trace);
    return rc;
}

/* Passes an interruption on, since it may have come to this process alone, and just before it waits. */
static bool wait_for(int *status, pid_t child) {
    static const struct timespec moment = {.tv_nsec = 10000000};
    pid_t ended;
    while ((ended = waitpid(child, status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
        if (interrupt_seen()) kill(child, SIGTERM);
        nanosleep(&moment, NULL);
    }
    return ended == child;
}

static hw_err save_trace_apart(bench_run *r, hw_error *err) {
    struct stat st;
    int status = 0;
    snprintf(r->saved_file, sizeof r->saved_file, "%s/XXXXXX", r->job->folder);
    int fd = mkstemp(r->saved_file);
    pid_t child = fd >= 0 ? fork() : -1;
    if (child == 0) {
        hw_error why = {0};
        if (save_trace(r, &why) != HW_OK && why.code != HW_ERR_CANCELLED) fprintf(stderr, "headwater: %s\n", why.msg);
        _exit(why.code == HW_OK ? 0 : 1);
    }
    if (fd >= 0) close(fd);
    bool done = child > 0 && wait_for(&status, child) && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (done && stat(r->saved_file, &st) == 0) {
        r->trace_bytes = (uint64_t)st.st_size;
        return HW_OK;
    }
    return hw__fail(err, HW_ERR_IO, "no trace could be saved to explain it again");
}

hw_err bench_run_new(bench_run **out, const bench_job *job, const bench_variant *v, hw_error *err) {
    bench_run *r = calloc(1, sizeof *r);
    if (!r) return fail_memory(err);
    *r = (bench_run){.job = job, .v = v};
    hw_err rc = v->kind == BENCH_AGAIN ? save_trace_apart(r, err) : open_model(r, err);
    if (rc == HW_OK && v->kind == BENCH_CUTS) rc = capture_whole(&r->kept, r, err);
    if (rc != HW_OK) {
        bench_run_free(r);
        return rc;
    }
    *out = r;
    return HW_OK;
}

void bench_run_free(bench_run *r) {
    if (!r) return;
    hw_trace_free(r->kept);
    hw_model_close(r->model);
    if (r->saved_file[0]) unlink(r->saved_file);
    free(r);
}

void bench_run_describe(const bench_run *r, bench_model *model) {
    if (!r->model) return;
    const hw_model_info *info = hw_model_describe(r->model);
    snprintf(model->name, sizeof model->name, "%s", info->name);
    snprintf(model->quantisation, sizeof model->quantisation, "%s", info->quantisation);
    snprintf(model->engine, sizeof model->engine, "%s", info->engine_version);
    model->n_ctx_train = info->n_ctx_train;
    model->n_layers = info->n_blocks;
}
