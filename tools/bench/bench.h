/*
 * bench.h - what the parts of `headwater-bench` share: the phases of a run, its figures, and the ways to run.
 *
 *     cmd_bench.c ──► variant_process.c ──► run_variant.c ──► reference.c
 *     sizes, rounds   a process each     one way to run   is its M right?
 *        └──────────► bench_print.c      medians, CSV
 *
 * The folder bench/: the program headwater-bench, which measures runs and compares results with a reference; built and
 * tested, not installed.
 */
#ifndef HW_BENCH_BENCH_H
#define HW_BENCH_BENCH_H

#include "headwater.h"

enum { BENCH_MAX_METHODS = 3, BENCH_MAX_ROUNDS = 1000 };

/* Where a run's time goes, in seconds. Opening is of a saved trace; explaining what comes after the last token. */
typedef enum bench_phase {
    BENCH_OPEN,
    BENCH_PREFILL,
    BENCH_DECODE,
    BENCH_EXPLAIN,
    BENCH_TOTAL,
    BENCH_N_PHASES
} bench_phase;

typedef struct bench_figures {
    double seconds[BENCH_N_PHASES];
    double cpu;           /* seconds of all threads */
    uint64_t peak_bytes;  /* most memory that the process held, up to the end of its first run */
    uint64_t trace_bytes; /* of the trace as a file; 0: none is kept */
    uint64_t passes;      /* forward passes beside the run's own, whole or partial */
} bench_figures;

/* What is run. */
typedef enum bench_kind {
    BENCH_PLAIN,   /* generation alone */
    BENCH_CAPTURE, /* rows kept, then explained */
    BENCH_LIVE,    /* explained while rows come */
    BENCH_AGAIN,   /* explained from a saved trace, without the model */
    BENCH_CUTS     /* a captured run explained by running the model without parts of the prompt */
} bench_kind;

typedef struct bench_variant {
    const char *name, *summary;
    bench_kind kind;
    bool flash;                                 /* flash attention */
    const char *by;                             /* columns are these segments of the prompt; NULL: tokens */
    const char *methods[BENCH_MAX_METHODS + 1]; /* [] ends with NULL */
    hw_keep keep;                               /* what its trace keeps */
    size_t live_rows;                           /* tokens between explanations while they come */
    size_t max_m;                               /* runs only up to this many prompt tokens; 0: any */
    bool once;                                  /* too slow for rounds: its figures are of the first */
} bench_variant;

/* The table; the first is plain generation, which all others are compared with. */
size_t bench_variant_count(void);
const bench_variant *bench_variant_at(size_t i);

/* One size: the first m tokens of the text, n generated ones. */
typedef struct bench_job {
    const char *path;   /* of the model */
    const char *folder; /* for traces; the command removes it with all that a process left in it */
    hw_model_params params;
    const char *text; /* [n_text] at least m tokens */
    size_t n_text, m, n;
    bool whole_fits; /* a trace of every row fits into memory: references can be made from one */
} bench_job;

/* The model as its worker describes it; no pointers, since it comes from another process. */
typedef struct bench_model {
    char name[128], quantisation[64], engine[64];
    int32_t n_ctx_train, n_layers; /* layers with attention */
} bench_model;

#endif
