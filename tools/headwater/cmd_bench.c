/*
 * cmd_bench.c - headwater bench: what an explanation costs beside plain generation of the same tokens.
 *
 * Variants run one after the other in every round, so that whatever else the machine does falls on all of them; a variant's
 * cost is the median over rounds of its time over that of `plain` in the same round. Each variant must generate the tokens
 * that plain generation does.
 */
#include "clock.h"
#include "command.h"
#include "input.h"
#include "interrupt.h"
#include "message.h"
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char command_name[] = "bench";

enum { MOST_METHODS = 3, MOST_SIZES = 16, MOST_ROUNDS = 1000, N_PHASES = 4 };

/* One way to run. Methods [] end with NULL. */
typedef struct bench_variant {
    const char *name, *summary;
    bool flash, captures, live;
    const char *methods[MOST_METHODS + 1];
} bench_variant;

static const bench_variant variants[] = {
    {"plain", "generation alone", .flash = false},
    {"plain-flash", "generation alone with flash attention", .flash = true},
    {"capture", "attention rows kept, nothing explained", .captures = true},
    {"rollout", "rollout of every token after the last", .captures = true, .methods = {"rollout"}},
    {"logit", "logit alone", .captures = true, .methods = {"logit"}},
    {"contribution+logit", "both of attention's contributions", .captures = true, .methods = {"contribution", "logit"}},
    {"rollout+logit", "the default explanation", .captures = true, .methods = {"rollout", "logit"}},
    {"rollout+logit-live", "the same, a few tokens at a time while they come", .captures = true, .live = true,
     .methods = {"rollout", "logit"}},
};
enum { N_VARIANTS = sizeof variants / sizeof *variants, LIVE_ROWS = 4 };

/* Seconds of one run; [N_PHASES] in this order. */
typedef enum phase { PREFILL, DECODE, EXPLAIN, TOTAL } phase;
typedef struct timing {
    double seconds[N_PHASES];
    double cpu; /* of all threads */
} timing;

typedef struct bench {
    const options *o;
    hw_model *model, *flash;
    char *text; /* [n_text] more than the longest prompt */
    size_t n_text;
    FILE *csv; /* NULL: none */
    bool skipped[N_VARIANTS];
} bench;

/* ------------------------------------------------------------------ one run */

/* Seconds that all threads of the program worked. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct stopwatch {
    double prefilled; /* when the prompt was read */
    hw_live *live[MOST_METHODS];
    size_t n_live;
    hw_err rc;
    hw_error *err;
} stopwatch;

static void watch(void *ctx, hw_stage stage, size_t done, size_t total) {
    stopwatch *w = ctx;
    if (stage == HW_STAGE_PREFILL && done == total) w->prefilled = clock_seconds();
}

static void explain_rows(void *ctx, const hw_trace *trace) {
    stopwatch *w = ctx;
    for (size_t i = 0; i < w->n_live && w->rc == HW_OK; i++) {
        hw_attribution *part = NULL;
        w->rc = hw_live_next(&part, w->live[i], trace, w->err);
        hw_attribution_free(part);
    }
}

static hw_err explain_whole(const bench_variant *v, const hw_trace *trace, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; v->methods[i] && rc == HW_OK; i++) {
        hw_attribution *a = NULL;
        rc = hw_explain(&a, trace, v->methods[i], NULL, err);
        hw_attribution_free(a);
    }
    return rc;
}

/* Completion's text of a run, malloc'd. */
static char *completion_of(const hw_run *run) {
    size_t n;
    const char *bytes = hw_run_completion(run, &n);
    char *copy = malloc(n + 1);
    if (!copy) return NULL;
    memcpy(copy, bytes, n);
    copy[n] = '\0';
    return copy;
}

static hw_run_params run_params(const bench *b, size_t n_prompt_bytes, stopwatch *w) {
    hw_run_params p = hw_run_params_default();
    p.prompt = b->text;
    p.prompt_bytes = n_prompt_bytes;
    p.n_generate = (size_t)b->o->generate;
    p.progress = watch;
    p.stop = interrupt_stop;
    p.ctx = w;
    return p;
}

static hw_err run_captured(const bench *b, const bench_variant *v, hw_run_params *p, stopwatch *w, char **completion,
                           double *captured, hw_error *err) {
    hw_trace *trace;
    hw_err rc = HW_OK;
    for (size_t i = 0; v->methods[i] && rc == HW_OK; i++) {
        p->signals |= hw_method_signals(v->methods[i], NULL);
        if (v->live) rc = hw_live_new(&w->live[w->n_live++], v->methods[i], NULL, err);
    }
    if (v->live) p->on_rows = explain_rows;
    p->live_rows = LIVE_ROWS;
    if (rc == HW_OK) rc = hw_trace_capture(&trace, b->model, p, err);
    if (rc != HW_OK) return rc;
    *captured = clock_seconds();
    rc = v->live ? w->rc : explain_whole(v, trace, err);
    if (rc == HW_OK) *completion = completion_of(hw_trace_run(trace));
    hw_trace_free(trace);
    return rc;
}

static hw_err run_plain(const bench *b, const bench_variant *v, const hw_run_params *p, char **completion,
                        hw_error *err) {
    hw_run *run;
    hw_err rc = hw_run_generate(&run, v->flash ? b->flash : b->model, p, err);
    if (rc != HW_OK) return rc;
    *completion = completion_of(run);
    hw_run_free(run);
    return HW_OK;
}

/* Runs one variant on the first bytes of the text; *completion is malloc'd. */
static hw_err run_variant(timing *t, char **completion, const bench *b, const bench_variant *v, size_t n_prompt_bytes,
                          hw_error *err) {
    stopwatch w = {.err = err};
    hw_run_params p = run_params(b, n_prompt_bytes, &w);
    double cpu = cpu_seconds(), begin = clock_seconds(), captured = 0;
    hw_err rc =
        v->captures ? run_captured(b, v, &p, &w, completion, &captured, err) : run_plain(b, v, &p, completion, err);
    double end = clock_seconds();
    for (size_t i = 0; i < w.n_live; i++) hw_live_free(w.live[i]);
    if (captured == 0) captured = end;
    *t = (timing){{w.prefilled - begin, captured - w.prefilled, end - captured, end - begin}, cpu_seconds() - cpu};
    return rc;
}

/* ------------------------------------------------------------------ prompts of a size */

/* Bytes of the text's first m tokens, as the model cuts it; 0 with the reason in err. */
static size_t bytes_of(const bench *b, size_t m, hw_error *err) {
    hw_run *run;
    stopwatch w = {0};
    size_t bytes = b->n_text < 8 * m ? b->n_text : 8 * m; /* a token is shorter than that on average */
    hw_run_params p = run_params(b, bytes, &w);
    p.n_generate = 1;
    if (hw_run_generate(&run, b->model, &p, err) != HW_OK) return 0;
    size_t n = hw_run_n_prompt(run), end = n >= m ? hw_run_token(run, m - 1).end : 0;
    hw_run_free(run);
    if (end == 0) {
        message("the text has %zu tokens, %zu are needed: give a longer one with -f", n, m);
        if (err) *err = (hw_error){.code = HW_ERR_ARGUMENT, .msg = "the text is too short"};
    }
    return end;
}

/* ------------------------------------------------------------------ rounds */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *list, size_t n) {
    double sorted[MOST_ROUNDS];
    memcpy(sorted, list, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Of `n` rounds: rounds[r * N_VARIANTS + v]. */
static void print_variant(const timing *rounds, size_t n, size_t v) {
    double list[MOST_ROUNDS], middle[N_PHASES], ratio;
    for (int p = 0; p < N_PHASES; p++) {
        for (size_t r = 0; r < n; r++) list[r] = rounds[r * N_VARIANTS + v].seconds[p];
        middle[p] = median(list, n);
    }
    for (size_t r = 0; r < n; r++)
        list[r] = rounds[r * N_VARIANTS + v].seconds[TOTAL] / rounds[r * N_VARIANTS].seconds[TOTAL];
    ratio = median(list, n);
    double steps[MOST_ROUNDS], cpu[MOST_ROUNDS];
    for (size_t r = 0; r < n; r++) {
        const timing *own = &rounds[r * N_VARIANTS + v], *plain = &rounds[r * N_VARIANTS];
        steps[r] = (own->seconds[DECODE] + own->seconds[EXPLAIN]) / plain->seconds[DECODE];
        list[r] = own->seconds[PREFILL] / plain->seconds[PREFILL];
        cpu[r] = own->cpu / plain->cpu;
    }
    printf("  %-20s %8.3f %8.3f %8.3f %8.3f   %7.3f %7.3f %7.3f %7.3f\n", variants[v].name, middle[PREFILL],
           middle[DECODE], middle[EXPLAIN], middle[TOTAL], median(list, n), median(steps, n), ratio, median(cpu, n));
}

static void write_row(const bench *b, size_t m, size_t round, size_t v, const timing *t) {
    if (!b->csv) return;
    fprintf(b->csv, "%zu,%lld,%zu,%s,%.6f,%.6f,%.6f,%.6f,%.6f\n", m, (long long)b->o->generate, round, variants[v].name,
            t->seconds[PREFILL], t->seconds[DECODE], t->seconds[EXPLAIN], t->seconds[TOTAL], t->cpu);
}

/* Every variant once; round 0 warms up and must give the tokens that plain generation gives. */
static hw_err run_round(timing *times, const bench *b, size_t bytes, char **plain, hw_error *err) {
    for (size_t v = 0; v < N_VARIANTS; v++) {
        char *completion = NULL;
        if (b->skipped[v]) continue;
        hw_err rc = run_variant(&times[v], &completion, b, &variants[v], bytes, err);
        bool same = rc != HW_OK || variants[v].flash || !*plain || (completion && strcmp(completion, *plain) == 0);
        if (rc == HW_OK && v == 0 && !*plain) {
            *plain = completion;
        } else {
            free(completion);
        }
        if (rc != HW_OK) return rc;
        if (same) continue;
        if (err) *err = (hw_error){.code = HW_ERR_ENGINE};
        if (err)
            snprintf(err->msg, sizeof err->msg, "%s generated other tokens than plain generation", variants[v].name);
        return HW_ERR_ENGINE;
    }
    return HW_OK;
}

static hw_err run_size(const bench *b, size_t m, hw_error *err) {
    size_t rounds = (size_t)b->o->rounds, bytes = bytes_of(b, m, err);
    if (bytes == 0) return err->code;
    timing *times = calloc((rounds + 1) * N_VARIANTS, sizeof *times);
    if (!times) return (*err = (hw_error){.code = HW_ERR_MEMORY, .msg = "no memory for the timings"}).code;
    char *plain = NULL;
    hw_err rc = HW_OK;
    for (size_t r = 0; r <= rounds && rc == HW_OK; r++) {
        rc = run_round(times + r * N_VARIANTS, b, bytes, &plain, err);
        for (size_t v = 0; v < N_VARIANTS && r > 0 && rc == HW_OK; v++)
            if (!b->skipped[v]) write_row(b, m, r, v, &times[r * N_VARIANTS + v]);
    }
    if (rc == HW_OK) {
        printf("\nm = %zu, n = %lld, %zu rounds%*sseconds, medians                 times plain, medians\n", m,
               (long long)b->o->generate, rounds, 4, "");
        printf("  %-20s %8s %8s %8s %8s   %7s %7s %7s %7s\n", "", "prefill", "decode", "explain", "all", "prefill",
               "dec+exp", "all", "cpu");
        for (size_t v = 0; v < N_VARIANTS; v++)
            if (!b->skipped[v]) print_variant(times + N_VARIANTS, rounds, v);
        fflush(stdout);
    }
    free(plain);
    free(times);
    return rc;
}

/* ------------------------------------------------------------------ the command */

/* Sizes of the list "25,256"; 0 where it cannot be read. */
static size_t read_sizes(size_t sizes[MOST_SIZES], const char *list) {
    size_t n = 0;
    for (const char *at = list; n < MOST_SIZES; at++) {
        char *end;
        unsigned long v = strtoul(at, &end, 10);
        if (end == at || v < 2 || v > 1000000 || (*end && *end != ',')) return 0;
        sizes[n++] = v;
        at = end;
        if (!*end) return n;
    }
    return 0;
}

/* Marks what the list "rollout,logit" leaves out; plain always runs. False, with the reason printed, for a name that is
 * none. */
static bool read_variants(bench *b, const char *list) {
    for (size_t v = 1; list && v < N_VARIANTS; v++) b->skipped[v] = true;
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ","), v = 0;
        while (v < N_VARIANTS && (strlen(variants[v].name) != n || strncmp(variants[v].name, at, n) != 0)) v++;
        if (v == N_VARIANTS) {
            char names[256] = "";
            for (size_t i = 0, used = 0; i < N_VARIANTS && used < sizeof names; i++)
                used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", variants[i].name);
            misuse(command_name, "--variants \"%.*s\": there are %s", (int)(n < 60 ? n : 60), at, names);
            return false;
        }
        b->skipped[v] = false;
        at += n + (at[n] == ',');
    }
    return true;
}

/* Sentences without end, no two alike: what a model reads does not change how long it takes. */
static char *filler(size_t n) {
    char *text = malloc(n + 128);
    size_t at = 0;
    for (unsigned i = 1; text && at < n; i++)
        at += (size_t)snprintf(text + at, 128, "Note %u: the train to platform %u leaves at %u minutes past the hour. ",
                               i, i % 17, i * 7 % 60);
    return text;
}

static bool open_text(bench *b, size_t longest) {
    if (b->o->file) {
        input in;
        if (!input_read(&in, "the text", b->o->file)) return false;
        b->text = in.bytes;
        b->n_text = in.n;
        return true;
    }
    b->n_text = 8 * longest;
    b->text = filler(b->n_text);
    if (!b->text) fail("no memory for a prompt of %zu tokens", longest);
    return b->text != NULL;
}

static hw_err open_models(bench *b, const char *path, hw_error *err) {
    progress bar = progress_new(!b->o->quiet && !b->o->verbose);
    hw_err rc = model_open(&b->model, b->o, path, &bar, err);
    if (rc != HW_OK) return rc;
    hw_model_params p = model_params(b->o);
    p.flash_attention = true;
    return hw_model_open(&b->flash, path, &p, err);
}

static int run_sizes(bench *b, const size_t *sizes, size_t n, const char *path) {
    hw_error err = {0};
    hw_err rc = open_models(b, path, &err);
    if (rc == HW_OK)
        printf("%s, %s, headwater %s, engine %s\n", hw_model_describe(b->model)->name,
               hw_model_describe(b->model)->quantisation, hw_version(), hw_model_describe(b->model)->engine_version);
    if (b->csv) fprintf(b->csv, "m,n,round,variant,prefill_s,decode_s,explain_s,total_s,cpu_s\n");
    for (size_t i = 0; i < n && rc == HW_OK; i++) rc = run_size(b, sizes[i], &err);
    hw_model_close(b->model);
    hw_model_close(b->flash);
    if (rc == HW_ERR_CANCELLED) return STATUS_INTERRUPTED;
    return rc == HW_OK ? STATUS_DONE : fail("%s", err.msg);
}

static int run(const options *o) {
    size_t sizes[MOST_SIZES], n = read_sizes(sizes, o->sizes), longest = 0;
    if (n == 0)
        return misuse(command_name,
                      "--sizes \"%s\": up to %d numbers of prompt tokens, 2 to 1000000, separated by commas", o->sizes,
                      MOST_SIZES);
    if (o->arguments.n) return misuse(command_name, "\"%s\": the model goes into -m MODEL", o->arguments.at[0]);
    const char *path = model_path(o, command_name);
    if (!path) return STATUS_USAGE;
    bench b = {.o = o};
    if (!read_variants(&b, o->variants)) return STATUS_USAGE;
    for (size_t i = 0; i < n; i++) longest = sizes[i] > longest ? sizes[i] : longest;
    if (!open_text(&b, longest)) return STATUS_FAILED;
    if (o->results && !(b.csv = fopen(o->results, "w"))) {
        free(b.text);
        return fail("%s: cannot be written", o->results);
    }
    interrupt_catch();
    int status = run_sizes(&b, sizes, n, path);
    if (b.csv && fclose(b.csv) != 0 && status == STATUS_DONE)
        status = fail("%s: could not be written whole", o->results);
    free(b.text);
    return status;
}

static const char *const usage[] = {"-m MODEL [options]", NULL};
static const example examples[] = {
    {"what does an explanation cost on this machine?", "headwater bench -m model.gguf"},
    {"long prompts, every run in a table", "headwater bench -m model.gguf --sizes 1024,4096 --rounds 5 -o cost.csv"},
    {NULL, NULL},
};

const command command_bench = {
    .name = command_name,
    .bit = IN_BENCH,
    .summary = "measure what an explanation costs beside plain generation",
    .usage = usage,
    .about = "Generates the same tokens plainly, with attention kept, and explained, in turn, and prints medians. Each "
             "variant must "
             "generate what plain generation does. `cpu` is the time of all threads together: a steadier figure on a "
             "busy machine.",
    .examples = examples,
    .run = run,
};
