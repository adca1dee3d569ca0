/*
 * variant_process.h - a variant in a process of its own, so that its memory is its own, kept through the rounds, so
 * that it is as warm as the others.
 */
#ifndef HW_BENCH_VARIANT_PROCESS_H
#define HW_BENCH_VARIANT_PROCESS_H

#include "bench.h"

#include <sys/types.h>

typedef struct bench_worker {
    pid_t process;   /* 0: none */
    int fd;          /* both ways */
    uint64_t tokens; /* hash of its last completion */
} bench_worker;

/* Starts a process that prepares the variant, and waits until it has; `model` (nullable) gets the description of
 * the model that the variant opened. To be called before this process has threads. Errors: as bench_run_new(); ENGINE
 * (it ended); CANCELLED (this process was interrupted, whatever the other does). */
hw_err bench_worker_start(bench_worker *w, const bench_job *job, const bench_variant *v, bench_model *model,
                          hw_error *err);
/* One run there, as bench_run_once(). */
hw_err bench_worker_run(bench_figures *f, bench_worker *w, bool checked, hw_error *err);
/* Waits until it has ended, soon after an interruption too. Does nothing if it never started. */
void bench_worker_end(bench_worker *w);

#endif
