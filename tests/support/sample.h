/*
 * sample.h - a run with everything in it that files find hard: half characters, invalid bytes, NUL, quotes, line ends,
 * impossible tokens, every kind of role; traces and attributions of it; comparisons of every member.
 *
 * L = 2 (blocks 1 and 3), T = 8 = 5 + 3.
 */
#ifndef HW_SUPPORT_SAMPLE_H
#define HW_SUPPORT_SAMPLE_H

#include "support/fixture.h"

enum { SAMPLE_LAYERS = 2, SAMPLE_PROMPT = 5, SAMPLE_COMPLETION = 3, SAMPLE_TOKENS = 8 };

hw_run *sample_run(bool causal);
/* Rows that sum to 1, with capacity for `spare` more tokens than the run has; signals as requested, 1u << hw_signal. */
hw_trace *sample_trace(bool causal, uint32_t signals, size_t spare);
/* Numbers from the whole range of float, a NaN and a -0 among them; `method` from the table. */
hw_attribution *sample_attribution(const hw_run *run, const char *method, const hw_method_params *params,
                                   size_t n_layers);

void assert_same_run(const hw_run *a, const hw_run *b);
void assert_same_trace(const hw_trace *a, const hw_trace *b);                   /* bit for bit */
void assert_same_attribution(const hw_attribution *a, const hw_attribution *b); /* bit for bit */

#endif
