/* run_variant.h - one way to run: prepared once, then run and timed as often as asked. */
#ifndef HW_BENCH_RUN_VARIANT_H
#define HW_BENCH_RUN_VARIANT_H

#include "bench.h"

typedef struct bench_run bench_run;

/* Opens the model (`again` variants: captures, saves and lets go of it in a process of its own) and cuts the prompt.
 * `job` and `v` are borrowed. Errors: as hw_model_open(); ARGUMENT (a text of fewer than m tokens). */
hw_err bench_run_new(bench_run **out, const bench_job *job, const bench_variant *v, hw_error *err);
void bench_run_free(bench_run *r);
/* The model that it opened; `again` variants keep none, and *model stays as it is. */
void bench_run_describe(const bench_run *r, bench_model *model);
/* Runs once; *f gets all but the peak. *tokens: a hash of the completion. `checked`: M is compared with its reference
 * after the clock has stopped and *peak was read. Errors: as hw_trace_capture(); ENGINE for an M that is wrong. */
hw_err bench_run_once(bench_figures *f, uint64_t *tokens, bench_run *r, bool checked, hw_error *err);

#endif
