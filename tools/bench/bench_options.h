/* bench_options.h - the command line of headwater-bench. */
#ifndef HW_BENCH_BENCH_OPTIONS_H
#define HW_BENCH_BENCH_OPTIONS_H

#include "headwater.h"

#include <stdio.h>

typedef struct bench_options {
    const char *model;        /* -m, else $HEADWATER_MODEL */
    const char *file;         /* text of the prompts; NULL: made up */
    const char *table;        /* .csv to write; NULL: none */
    const char *sizes;        /* "25,256" */
    const char *variants;     /* NULL: all */
    const char *rpc, *device; /* as hw_model_params */
    int64_t n_generate, rounds;
    int64_t ctx, threads, gpu_layers, ubatch;
    bool f32_cache, quiet, verbose, help;
} bench_options;

/* STATUS_DONE, or the exit status with the reason printed. Texts point into argv and the environment. */
int bench_options_read(bench_options *out, int argc, char **argv);
hw_model_params bench_model_params(const bench_options *o);
void bench_options_help(FILE *out);
/* Prints an error of the command line and how to get help; returns the exit status. */
int bench_misuse(const char *fmt, ...) HW_PRINTF(1, 2);
/* Prints an error; returns the exit status. */
int bench_fail(const char *fmt, ...) HW_PRINTF(1, 2);

#endif
