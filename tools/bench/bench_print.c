/* bench_print.c - medians over rounds, and the CSV that bench/table.py and bench/plot.py read. */
#include "bench_print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef HEADWATER_COMMIT
#define HEADWATER_COMMIT "unknown"
#endif

const char *bench_commit(void) { return HEADWATER_COMMIT; }

/* The processor's name: what follows the first "model name : ". */
static void read_processor(char *out, size_t capacity) {
    char line[256];
    FILE *in = fopen("/proc/cpuinfo", "r");
    snprintf(out, capacity, "unknown");
    while (in && fgets(line, sizeof line, in)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10) != 0) continue;
        snprintf(out, capacity, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (in) fclose(in);
}

bench_place bench_place_now(void) {
    bench_place place = {.cores = sysconf(_SC_NPROCESSORS_ONLN)};
    time_t now = time(NULL);
    struct tm utc;
    char processor[96];
    read_processor(processor, sizeof processor);
    snprintf(place.machine, sizeof place.machine, "%s with %s", processor, hw_blas());
    if (gmtime_r(&now, &utc)) strftime(place.date, sizeof place.date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return place;
}

/* ------------------------------------------------------------------ the table */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double list[], size_t n) {
    qsort(list, n, sizeof *list, by_value);
    return n % 2 ? list[n / 2] : (list[n / 2 - 1] + list[n / 2]) / 2;
}

/* A number of a run, from its figures. */
typedef double (*reader)(const bench_figures *f);
static double opened(const bench_figures *f) { return f->seconds[BENCH_OPEN]; }
static double prefilled(const bench_figures *f) { return f->seconds[BENCH_PREFILL]; }
static double decoded(const bench_figures *f) { return f->seconds[BENCH_DECODE]; }
static double explained(const bench_figures *f) { return f->seconds[BENCH_EXPLAIN]; }
static double whole(const bench_figures *f) { return f->seconds[BENCH_TOTAL]; }
static double worked(const bench_figures *f) { return f->cpu; }
static double held(const bench_figures *f) { return (double)f->peak_bytes; }
/* Explaining is not part of generation, but the user waits for it. */
static double after_prompt(const bench_figures *f) { return f->seconds[BENCH_DECODE] + f->seconds[BENCH_EXPLAIN]; }

static const struct column {
    const char *title;
    reader read;
    bool ratio; /* to plain in the same round */
    int width;
} columns[] = {
    {"open", opened, false, 8},         {"prefill", prefilled, false, 8}, {"decode", decoded, false, 8},
    {"explain", explained, false, 8},   {"all", whole, false, 9},         {"prefill", prefilled, true, 10},
    {"dec+exp", after_prompt, true, 8}, {"all", whole, true, 8},          {"cpu", worked, true, 8},
    {"memory", held, true, 8},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns, FIRST_RATIO = 5 };

static size_t rounds_of(const bench_table *t, size_t v) { return bench_variant_at(v)->once ? 1 : t->n_rounds; }

/* Median over rounds of column c; NaN for phases that the variant does not have. */
static double cell(const bench_table *t, size_t v, const struct column *c) {
    double list[BENCH_MAX_ROUNDS];
    size_t n = rounds_of(t, v), stride = bench_variant_count();
    for (size_t r = 0; r < n; r++) {
        const bench_figures *own = &t->figures[r * stride + v], *plain = &t->figures[r * stride];
        list[r] = c->read(own) / (c->ratio ? c->read(plain) : 1);
    }
    double middle = median(list, n);
    return middle > 0 ? middle : NAN;
}

static void print_variant(const bench_table *t, size_t v) {
    const bench_figures *f = &t->figures[v];
    printf("  %-19s", bench_variant_at(v)->name);
    for (size_t c = 0; c < N_COLUMNS; c++) {
        double x = cell(t, v, &columns[c]);
        if (isnan(x)) {
            printf("%*s", columns[c].width, "-");
        } else {
            printf("%*.3f", columns[c].width, x);
        }
    }
    printf("%9.0f", (double)f->peak_bytes / 1e6);
    if (f->trace_bytes) {
        printf("%9.1f", (double)f->trace_bytes / 1e6);
    } else {
        printf("%9s", "-");
    }
    if (f->passes) printf("  %llu passes", (unsigned long long)f->passes);
    printf("\n");
}

void bench_print_table(const bench_table *t) {
    printf("\nm = %zu, n = %zu, %zu round%s\n  %-19s%41s%42s%18s\n  %-19s", t->job->m, t->job->n, t->n_rounds,
           t->n_rounds == 1 ? "" : "s", "", "seconds, medians", "times plain, medians", "MB", "");
    for (size_t c = 0; c < N_COLUMNS; c++) printf("%*s", columns[c].width, columns[c].title);
    printf("%9s%9s\n", "peak", "trace");
    for (size_t v = 0; v < bench_variant_count(); v++)
        if (t->ran[v]) print_variant(t, v);
    fflush(stdout);
}

/* ------------------------------------------------------------------ CSV */

/* A text as a field: quoted, since a processor's name may hold a comma. */
static void put_text(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputs("\",", out);
}

void bench_csv_header(FILE *out) {
    fputs("machine,commit,date,model,quantisation,engine,cores,threads,ubatch,ctx,m,n,round,variant,open_s,prefill_s,"
          "decode_s,"
          "explain_s,total_s,cpu_s,peak_bytes,trace_bytes,passes\n",
          out);
}

static void csv_row(FILE *out, const bench_table *t, const bench_place *place, size_t round, size_t v) {
    const bench_figures *f = &t->figures[round * bench_variant_count() + v];
    const bench_job *job = t->job;
    const char *texts[] = {place->machine, bench_commit(),         place->date,
                           t->model->name, t->model->quantisation, t->model->engine};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) put_text(out, texts[i]);
    fprintf(out, "%ld,%d,%d,%d,%zu,%zu,%zu,%s", place->cores, job->params.n_threads, job->params.n_ubatch,
            job->params.n_ctx, job->m, job->n, round + 1, bench_variant_at(v)->name);
    for (int p = 0; p < BENCH_N_PHASES; p++) fprintf(out, ",%.6f", f->seconds[p]);
    fprintf(out, ",%.6f,%llu,%llu,%llu\n", f->cpu, (unsigned long long)f->peak_bytes,
            (unsigned long long)f->trace_bytes, (unsigned long long)f->passes);
}

void bench_csv_rows(FILE *out, const bench_table *t, const bench_place *place) {
    for (size_t r = 0; r < t->n_rounds; r++)
        for (size_t v = 0; v < bench_variant_count(); v++)
            if (t->ran[v] && r < rounds_of(t, v)) csv_row(out, t, place, r, v);
}
