/* bench_print.h - what `headwater-bench` measured: a table of medians, and every run as a line of CSV. */
#ifndef HW_BENCH_BENCH_PRINT_H
#define HW_BENCH_BENCH_PRINT_H

#include "bench.h"

#include <stdio.h>

/* Where and when it was measured. */
typedef struct bench_place {
    char machine[192], date[32]; /* the processor, and the kernels that products take on it; UTC */
    long cores;
} bench_place;

/* One size: figures [n_rounds, variants], of which `once` variants fill the first round only. */
typedef struct bench_table {
    const bench_job *job;
    const bench_model *model;
    const bench_figures *figures;
    const bool *ran; /* [variants] */
    size_t n_rounds;
} bench_table;

bench_place bench_place_now(void);
const char *bench_commit(void); /* git describe of the sources, "unknown" where they are in no repository */
/* Medians of seconds, of ratios to plain in the same round, and of memory. */
void bench_print_table(const bench_table *t);
void bench_csv_header(FILE *out);
/* All runs of one size. */
void bench_csv_rows(FILE *out, const bench_table *t, const bench_place *place);

#endif
