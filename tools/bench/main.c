/*
 * main.c - headwater-bench: what an explanation costs beside plain generation of the same tokens.
 *
 * Variants (variants.c) run one after the other in every round, each in its own process, so that whatever else the
 * machine does falls on all of them; a variant's cost is the median over rounds of its figure over that of `plain` in
 * the same round. Before the rounds each runs once: it must generate the tokens that plain generation does, and its M
 * must be what the reference gives.
 */
#include "base/atomic_file.h"
#include "base/parallel_for.h"
#include "bench_options.h"
#include "bench_print.h"
#include "cli/clock.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/temporary_folder.h"
#include "process_memory.h"
#include "variant_process.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SIZES = 16, MAX_VARIANTS = 32, BYTES_PER_TOKEN = 8 /* more than the made-up text has */ };

typedef struct bench {
    const bench_options *o;
    bench_job job;
    bench_model model;
    bench_place place;
    char *text;
    FILE *csv;       /* into csv_bytes; NULL: none */
    char *csv_bytes; /* [n_csv] what the file is to hold */
    size_t n_csv;
    bool skipped[MAX_VARIANTS], sent_at;
} bench;

/* The variants of one size. */
typedef struct size_run {
    bench_worker workers[MAX_VARIANTS];
    bool ran[MAX_VARIANTS];
    bench_figures *figures; /* [rounds, variants] */
} size_run;

/* ------------------------------------------------------------------ which variants run */

/* Whether every layer's rows of all tokens fit twice, in the trace and in a rollout while it is computed, with a fifth
 * of the memory left for the model and other processes. */
static bool whole_fits(const bench *b) {
    double available = (double)bench_memory_available(), tokens = (double)(b->job.m + b->job.n);
    double layer_bytes = tokens * (tokens + 1) / 2 * sizeof(float);
    return available == 0 || 2 * layer_bytes * (double)b->model.n_layers < 0.8 * available;
}

/* Why a variant does not run at this size; NULL: it does. */
static const char *skip_reason(const bench *b, const bench_variant *v) {
    if (v->max_m && b->job.m > v->max_m) return "it would run for too long";
    bool levels = v->kind == BENCH_LIVE && !v->by; /* rollout by tokens keeps as much of every layer */
    if (v->kind != BENCH_PLAIN && (v->keep == HW_KEEP_ROWS || levels) && !b->job.whole_fits)
        return "its rows would not fit into memory";
    return NULL;
}

static hw_err start_variant(const bench *b, size_run *c, size_t v, bench_model *model, hw_error *err) {
    const bench_variant *variant = bench_variant_at(v);
    const char *reason = b->skipped[v] ? "" : skip_reason(b, variant);
    if (reason) {
        if (*reason && !b->o->quiet) message("m = %zu: %s left out: %s", b->job.m, variant->name, reason);
        return HW_OK;
    }
    c->ran[v] = true;
    return bench_worker_start(&c->workers[v], &b->job, variant, model, err);
}

/* ------------------------------------------------------------------ rounds */

/* Whether the checked run is the one that counts: long ones are not made twice where one round was asked for. */
static bool runs_once(const bench *b, size_t v) { return bench_variant_at(v)->once || b->o->rounds == 1; }

/* The run before the rounds: the same tokens as plain generation, and the right M. Flash attention sums in another
 * order and may choose others. */
static hw_err check_variant(const bench *b, size_run *c, size_t v, hw_error *err) {
    bench_figures f;
    hw_err rc = bench_worker_run(runs_once(b, v) ? &c->figures[v] : &f, &c->workers[v], true, err);
    if (rc != HW_OK || bench_variant_at(v)->flash || c->workers[v].tokens == c->workers[0].tokens) return rc;
    return hw__fail(err, HW_ERR_ENGINE, "%s generated other tokens than plain generation", bench_variant_at(v)->name);
}

/* Once plain generation has said what the model is. */
static void print_model(const bench *b) {
    const bench_model *model = &b->model;
    printf("%s, %s, headwater %s (%s), engine %s, %s, %ld cores\n", model->name, model->quantisation, hw_version(),
           bench_commit(), model->engine, b->place.machine, b->place.cores);
    if (b->job.params.n_ctx > model->n_ctx_train && !b->o->quiet)
        message("the context of %d tokens is longer than the %d that the model was trained with: times are as they "
                "are, what it "
                "generates is not to be trusted",
                b->job.params.n_ctx, model->n_ctx_train);
}

/* What the first variant's model says of the others: whether all rows fit. */
static void judge_model(bench *b) {
    b->job.whole_fits = whole_fits(b);
    if (!b->job.whole_fits && !b->o->quiet)
        message(
            "m = %zu: rollout that keeps no rows is not compared with its reference, which would not fit into memory",
            b->job.m);
    if (!b->sent_at) print_model(b);
    b->sent_at = true;
}

/* Starts and checks the variants of a size, plain first: it says how large the model is. */
static hw_err start_size_run(bench *b, size_run *c, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t v = 0; v < bench_variant_count() && rc == HW_OK; v++) {
        rc = start_variant(b, c, v, v == 0 ? &b->model : NULL, err);
        if (rc == HW_OK && v == 0) judge_model(b);
        if (rc == HW_OK && c->ran[v]) rc = check_variant(b, c, v, err);
    }
    return rc;
}

static hw_err run_rounds(const bench *b, size_run *c, hw_error *err) {
    size_t n = bench_variant_count(), rounds = (size_t)b->o->rounds;
    double began = clock_seconds();
    for (size_t r = 0; r < rounds; r++) {
        for (size_t v = 0; v < n; v++) {
            if (!c->ran[v] || runs_once(b, v)) continue;
            hw_err rc = bench_worker_run(&c->figures[r * n + v], &c->workers[v], false, err);
            if (rc != HW_OK) return rc;
        }
        if (!b->o->quiet)
            message("m = %zu: round %zu of %zu, %.0f s", b->job.m, r + 1, rounds, clock_seconds() - began);
    }
    return HW_OK;
}

/* All sizes so far, in place of what the file held: a later size may fail. */
static hw_err save_rows(bench *b, const bench_table *table, hw_error *err) {
    if (!b->csv) return HW_OK;
    bench_csv_rows(b->csv, table, &b->place);
    if (fflush(b->csv) == 0 && !ferror(b->csv)) return hw__file_save(b->o->table, b->csv_bytes, b->n_csv, err);
    return hw__fail(err, HW_ERR_MEMORY, "no memory for the lines of the table");
}

static hw_err run_size(bench *b, size_run *c, hw_error *err) {
    hw_err rc = start_size_run(b, c, err);
    if (rc == HW_OK && !b->o->quiet) message("m = %zu: every variant checked", b->job.m);
    if (rc == HW_OK) rc = run_rounds(b, c, err);
    for (size_t v = bench_variant_count(); v-- > 0;) bench_worker_end(&c->workers[v]);
    if (rc != HW_OK) return rc;
    bench_table table = {&b->job, &b->model, c->figures, c->ran, (size_t)b->o->rounds};
    bench_print_table(&table);
    return save_rows(b, &table, err);
}

static hw_err measure(bench *b, size_t m, hw_error *err) {
    size_run c = {.figures = calloc((size_t)b->o->rounds * bench_variant_count(), sizeof *c.figures)};
    if (!c.figures) return (*err = (hw_error){.code = HW_ERR_MEMORY, .msg = "no memory for the figures"}).code;
    b->job.m = m;
    hw_err rc = run_size(b, &c, err);
    free(c.figures);
    return rc;
}

/* ------------------------------------------------------------------ traces on disk */

/* A folder for the traces of all processes, since one that is killed cannot remove its own. False with the reason
 * printed. */
static bool make_folder(temporary *out, char *folder, size_t n) {
    if (temporary_folder_make(out, folder, n)) return true;
    bench_fail("cannot make a folder in %s: %s", temporary_folder(n), strerror(errno));
    return false;
}

/* ------------------------------------------------------------------ the command */

/* Sizes of the list "25,256"; 0 where it cannot be read. */
static size_t read_sizes(size_t sizes[MAX_SIZES], const char *list) {
    size_t n = 0;
    for (const char *at = list; n < MAX_SIZES; at++) {
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
    for (size_t v = 1; list && v < bench_variant_count(); v++) b->skipped[v] = true;
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ","), v = 0;
        while (v < bench_variant_count() &&
               (strlen(bench_variant_at(v)->name) != n || strncmp(bench_variant_at(v)->name, at, n) != 0))
            v++;
        if (v == bench_variant_count()) {
            char names[256] = "";
            for (size_t i = 0, used = 0; i < bench_variant_count() && used < sizeof names; i++)
                used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                         bench_variant_at(i)->name);
            bench_misuse("--variants \"%.*s\": there are %s", (int)(n < 60 ? n : 60), at, names);
            return false;
        }
        b->skipped[v] = false;
        at += n + (at[n] == ',');
    }
    return true;
}

/* A story without end, no two sentences alike: a model goes on with it, and what it reads does not change how long it
 * takes. */
static char *filler(size_t n) {
    char *text = malloc(n + 256);
    size_t at = 0;
    for (unsigned i = 1; text && at < n; i++)
        at += (size_t)snprintf(
            text + at, 256,
            "Chapter %u. The old house stood at the end of a long road, and every morning the %u people "
            "who lived there walked to the village to buy bread and milk. ",
            i, i % 17 + 2);
    return text;
}

static bool open_text(bench *b, size_t longest) {
    if (b->o->file) {
        input in;
        hw_error err;
        if (input_read(&in, "the text", b->o->file, &err) != HW_OK) {
            message("%s", err.msg);
            return false;
        }
        b->text = in.bytes;
        b->job.n_text = in.n;
    } else {
        b->job.n_text = BYTES_PER_TOKEN * longest;
        b->text = filler(b->job.n_text);
        if (!b->text) bench_fail("no memory for a prompt of %zu tokens", longest);
    }
    b->job.text = b->text;
    return b->text != NULL;
}

static int run_sizes(bench *b, const size_t *sizes, size_t n) {
    char folder[128];
    temporary owned;
    hw_error err = {0};
    hw_err rc = HW_OK;
    interrupt_catch(); /* the variants' processes are started with the same */
    interrupt_catch_terminate();
    if (!make_folder(&owned, folder, sizeof folder)) return STATUS_FAILED;
    b->job.folder = folder;
    if (b->csv) bench_csv_header(b->csv);
    for (size_t i = 0; i < n && rc == HW_OK; i++) rc = measure(b, sizes[i], &err);
    temporary_folder_remove(&owned, folder);
    if (rc == HW_ERR_CANCELLED) return STATUS_INTERRUPTED;
    return rc == HW_OK ? STATUS_DONE : bench_fail("%s", err.msg);
}

/* The table is made in memory and saved whole, so that an earlier one stays until there is a new one. */
static bool open_csv(bench *b) {
    if (!b->o->table) return true;
    b->csv = open_memstream(&b->csv_bytes, &b->n_csv);
    if (b->csv) return true;
    bench_fail("no memory for the table %s", b->o->table);
    return false;
}

static void close_bench(bench *b) {
    if (b->csv) fclose(b->csv);
    free(b->csv_bytes);
    free(b->text);
}

static bool is_same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* The table must be writable, and no input; a file that is made now has no name yet. */
static int check_table(const bench_options *o) {
    hw_error err;
    hw__file file = {0};
    if (!o->table) return STATUS_DONE;
    if (is_same_file(o->table, o->model) || (o->file && is_same_file(o->table, o->file)))
        return bench_misuse("%s would be written and is also named for something else", o->table);
    hw_err rc = hw__file_create(&file, o->table, &err);
    hw__file_abort(&file);
    return rc == HW_OK ? STATUS_DONE : bench_fail("%s", err.msg);
}

/* After a fatal line the engine would leave a core dump. */
static void print_log(void *ctx, hw_log_level level, const char *line) {
    if (level == HW_LOG_FATAL || *(const bool *)ctx) message("%s", line);
    if (level == HW_LOG_FATAL) _exit(STATUS_FAILED);
}

static int run(const bench_options *o) {
    size_t sizes[MAX_SIZES], n = read_sizes(sizes, o->sizes), longest = 0;
    static bool verbose; /* outlives the engine's threads */
    if (n == 0)
        return bench_misuse("--sizes \"%s\": up to %d numbers of prompt tokens, 2 to 1000000, separated by commas",
                            o->sizes, MAX_SIZES);
    bench b = {.o = o, .place = bench_place_now()};
    b.job = (bench_job){.path = o->model, .params = bench_model_params(o), .n = (size_t)o->n_generate};
    if (!read_variants(&b, o->variants)) return STATUS_USAGE;
    for (size_t i = 0; i < n; i++) longest = sizes[i] > longest ? sizes[i] : longest;
    int status = check_table(o);
    if (status != STATUS_DONE) return status;
    verbose = o->verbose;
    hw_log_set(print_log, &verbose);
    status = open_text(&b, longest) && open_csv(&b) ? run_sizes(&b, sizes, n) : STATUS_FAILED;
    close_bench(&b);
    return status;
}

int main(int argc, char **argv) {
    bench_options o;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* the limit on a file's size shows as a failed write */
    int status = bench_options_read(&o, argc, argv);
    if (status != STATUS_DONE) return status;
    if (o.threads > 0) omp_set_num_threads((int)o.threads);
    if (o.help) {
        bench_options_help(stdout);
    } else {
        status = run(&o);
    }
    if (fflush(stdout) != 0 && status == STATUS_DONE) return bench_fail("standard output could not be written");
    return status;
}
