/*
 * run_options.h - the table of a run's options, one row each, used by everything that writes, reads, lists or documents
 * an option. A new option is a field of hw_run_params, a row in run_options.c, and the code that uses it.
 */
#ifndef HW_DATA_RUN_OPTIONS_H
#define HW_DATA_RUN_OPTIONS_H

#include "data/arena.h"
#include "headwater.h"

/* Checks every value against its row; `n_generate` only if tokens are generated. */
hw_err hw__run_options_check(const hw_run_params *p, hw_error *err);

/* *to <- the defaults, with those options of `from` that are written to files; text is copied into the arena. False
 * when memory runs out. */
bool hw__run_options_copy(hw_run_params *to, const hw_run_params *from, hw__arena *arena);

#endif
