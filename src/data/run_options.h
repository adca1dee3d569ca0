/*
 * run_options.h - the table of a run's options, one row each: everything that writes, reads, lists or documents an option goes by
 * it. A new option is a field of hw_run_params, a row in run_options.c, and the code that uses it.
 */
#ifndef HW_DATA_RUN_OPTIONS_H
#define HW_DATA_RUN_OPTIONS_H

#include "base/arena.h"
#include "headwater.h"

/* Every value within what its row accepts; `n_generate` only where tokens are generated. */
hw_err hw__run_options_check(const hw_run_params *p, hw_error *err);

/* *to <- the defaults, with those options of `from` that files hold; their text is copied into the pool. False: no memory. */
bool hw__run_options_copy(hw_run_params *to, const hw_run_params *from, hw__pool *pool);

#endif
