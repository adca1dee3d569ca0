/* bench_options.c - the command line of headwater-bench: one table of options, which getopt_long() and --help read. */
#include "bench_options.h"

#include "cli/message.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

typedef enum kind { FLAG, TEXT, WHOLE } kind;

/* One option; `field` is its index in bench_options, and whole numbers are limited to min .. max. */
typedef struct row {
    const char *name;
    int letter; /* 0: none */
    kind kind;
    size_t field;
    double min, max;
    const char *metavar, *help; /* metavar NULL: takes no value */
} row;

#define FIELD(name) offsetof(bench_options, name)
static const row rows[] = {
    {"model", 'm', TEXT, FIELD(model), 0, 0, "FILE", "a GGUF model; without -m, $HEADWATER_MODEL"},
    {"ctx", 0, WHOLE, FIELD(ctx), 0, 1e9, "N",
     "maximum number of tokens of a run; 0 is what the model was trained with [0]"},
    {"threads", 0, WHOLE, FIELD(threads), 0, 512, "N", "threads; 0 is one per core [0]"},
    {"gpu-layers", 0, WHOLE, FIELD(gpu_layers), -1, 1e6, "N", "blocks to run on devices; -1 is all [0]"},
    {"rpc", 0, TEXT, FIELD(rpc), 0, 0, "HOST:PORT,...", "machines that run `headwater worker`"},
    {"device", 0, TEXT, FIELD(device), 0, 0, "NAME,...", "only these devices take blocks, in this order"},
    {"ubatch", 0, WHOLE, FIELD(ubatch), 0, 8192, "N", "prompt tokens in one pass; 0 is 512 [0]"},
    {"f32-cache", 0, FLAG, FIELD(f32_cache), 0, 0, NULL, "keep keys and values as F32 instead of F16"},
    {"sizes", 0, TEXT, FIELD(sizes), 0, 0, "LIST", "prompts of these numbers of tokens [25,256,1024]"},
    {"generate", 'n', WHOLE, FIELD(n_generate), 1, 1e6, "N", "tokens to generate [64]"},
    {"variants", 0, TEXT, FIELD(variants), 0, 0, "LIST", "only these, beside plain, separated by commas; default: all"},
    {"rounds", 0, WHOLE, FIELD(rounds), 1, 1000, "N", "runs of each variant, after a first one that is not timed [5]"},
    {"file", 'f', TEXT, FIELD(file), 0, 0, "FILE", "prompts from the beginning of this text; default: made up"},
    {"output", 'o', TEXT, FIELD(table), 0, 0, "FILE", "every run as a line of .csv"},
    {"quiet", 'q', FLAG, FIELD(quiet), 0, 0, NULL, "no progress and no remarks on standard error"},
    {"verbose", 'v', FLAG, FIELD(verbose), 0, 0, NULL, "the engine's log on standard error"},
    {"help", 'h', FLAG, FIELD(help), 0, 0, NULL, "this help"},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static void print(const char *fmt, va_list args) HW_PRINTF(1, 0);
static void print(const char *fmt, va_list args) {
    char text[2048];
    vsnprintf(text, sizeof text, fmt, args);
    message("%s", text);
}

int bench_misuse(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    print(fmt, args);
    va_end(args);
    fputs("See `headwater-bench --help`.\n", stderr);
    return STATUS_USAGE;
}

int bench_fail(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    print(fmt, args);
    va_end(args);
    return STATUS_FAILED;
}

static int read_value(bench_options *o, const row *r, const char *text) {
    void *field = (char *)o + r->field;
    char *end;
    errno = 0;
    if (r->kind == FLAG) *(bool *)field = true;
    if (r->kind == TEXT) *(const char **)field = text;
    if (r->kind != WHOLE) return STATUS_DONE;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)v < r->min || (double)v > r->max)
        return bench_misuse("--%s \"%s\": must be a whole number from %.0f to %.0f", r->name, text, r->min, r->max);
    *(int64_t *)field = v;
    return STATUS_DONE;
}

int bench_options_read(bench_options *out, int argc, char **argv) {
    struct option long_options[N_ROWS + 1] = {0};
    char letters[2 * N_ROWS + 2] = ":";
    size_t n_letters = 1;
    int found, index;
    *out = (bench_options){.sizes = "25,256,1024", .n_generate = 64, .rounds = 5};
    for (size_t i = 0; i < N_ROWS; i++) {
        const row *r = &rows[i];
        long_options[i] = (struct option){r->name, r->metavar ? required_argument : no_argument, NULL, 256 + (int)i};
        if (r->letter) letters[n_letters++] = (char)r->letter;
        if (r->letter && r->metavar) letters[n_letters++] = ':';
    }
    letters[n_letters] = 0;
    opterr = 0;
    while ((found = getopt_long(argc, argv, letters, long_options, &index)) != -1) {
        size_t i = found >= 256 ? (size_t)found - 256 : 0;
        while (found < 256 && i < N_ROWS && rows[i].letter != found) i++;
        if (found == '?') return bench_misuse("unknown option \"%s\"", argv[optind - 1]);
        if (found == ':') return bench_misuse("%s: a value is needed", argv[optind - 1]);
        int status = read_value(out, &rows[i], optarg);
        if (status != STATUS_DONE) return status;
    }
    if (out->help) return STATUS_DONE;
    const char *named = getenv("HEADWATER_MODEL");
    if (optind < argc) return bench_misuse("\"%s\": the model is given with -m MODEL", argv[optind]);
    if (!out->model && named && *named) out->model = named;
    return out->model ? STATUS_DONE : bench_misuse("no model: give -m MODEL, or set HEADWATER_MODEL");
}

hw_model_params bench_model_params(const bench_options *o) {
    hw_model_params p = hw_model_params_default();
    p.n_threads = (int32_t)o->threads;
    p.n_gpu_layers = (int32_t)o->gpu_layers;
    p.rpc_servers = o->rpc;
    p.devices = o->device;
    p.n_ctx = (int32_t)o->ctx;
    p.n_ubatch = (int32_t)o->ubatch;
    p.f32_cache = o->f32_cache;
    return p;
}

void bench_options_help(FILE *out) {
    fputs(
        "Usage\n  headwater-bench -m MODEL [options]\n\n"
        "Generates the same tokens plainly, with attention kept, and explained in several ways, in turn, and prints\n"
        "medians. Each way has a process of its own, whose memory is reported; before it is timed it must generate "
        "what\n"
        "plain generation does, and what it explains must be what a reference gives. `cpu` is the time of all threads\n"
        "together: a steadier figure on a busy machine.\n\nOptions\n",
        out);
    for (size_t i = 0; i < N_ROWS; i++) {
        char term[64];
        snprintf(term, sizeof term, "%c%c%s --%s %s", rows[i].letter ? '-' : ' ', rows[i].letter ? rows[i].letter : ' ',
                 rows[i].letter ? "," : " ", rows[i].name, rows[i].metavar ? rows[i].metavar : "");
        fprintf(out, "  %-26s%s\n", term, rows[i].help);
    }
}
