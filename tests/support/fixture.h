/*
 * fixture.h - what several tests need: runs from words, traces from a formula, and comparisons that say how far off.
 *
 * Traces are made by the capture sink from whole [H, Q, K] arrays, as an engine would show them, so that every test of
 * a method also goes through the fusing of heads.
 */
#ifndef HW_SUPPORT_FIXTURE_H
#define HW_SUPPORT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "capture/capture.h"
#include "data/attribution.h"

/* Weight of column k in row q, asked for k <= q only unless the trace is bidirectional. */
typedef double (*attention_fn)(const void *ctx, size_t l, size_t h, size_t q, size_t k);

typedef struct trace_spec {
    size_t n_layers, n_heads, n_prompt, n_completion; /* no completion: M has a row for every token */
    bool bidirectional, sinks;
    hw_fuse fuse;
    attention_fn attention;
    const void *ctx;
    size_t chunk;       /* rows shown at once, 0: all */
    size_t key_padding; /* columns of zeros beyond the last token */
    size_t row_gap;     /* floats between rows that are NaN: they do not exist */
} trace_spec;

/* Frees with hw_trace_free(); fails the test where the capture does. */
hw_trace *make_trace(const trace_spec *spec);
/* The same, the capture's own verdict returned. */
hw_err try_trace(hw_trace **out, const trace_spec *spec, hw_error *err);

/* A run of these words: prompt words, then completion words; [n_layers] attention layers, which are all blocks. */
hw_run *make_run(size_t n_layers, const char *const *prompt, size_t m, const char *const *completion, size_t n);

/* Skips a test whose outcome does not depend on the engine's kernels if it runs with those of another processor
 * (tests/kernels.cmake). */
void native_kernels_only(void);

/* An explainer whose traces keep these signals (1u << hw_signal, or-ed) by token, and rows as `keep` says. */
hw_explainer *explainer_keeping(hw_keep keep, uint32_t signals);
/* Captures a run with one; fails the test where that fails. */
hw_trace *capture_keeping(hw_model *model, hw_run_params run, hw_keep keep, uint32_t signals);

/* Explains by rollout, fails the test where that does; params NULL: the defaults. */
hw_attribution *explain(const hw_trace *trace, const hw_method_params *params);
/* M[i,k,l] and outside[i,l]. */
double cell(const hw_attribution *a, size_t i, size_t k, size_t l);
double outside(const hw_attribution *a, size_t i, size_t l);

/* An attribution with the given numbers in it: values [n, m, L], outside [n, L] or NULL. Takes the run. */
hw_attribution *make_attribution(hw_run *run, const hw_method_params *params, size_t n_layers, const float *values,
                                 const float *outside_mass);

/* Pseudo-random weights: rows are softmaxes of hashed scores. ctx: const uint64_t * seed or NULL. */
double random_attention(const void *ctx, size_t l, size_t h, size_t q, size_t k);
double random_both_ways(const void *ctx, size_t l, size_t h, size_t q, size_t k); /* over 12 columns */
uint64_t mix(uint64_t x);                                                         /* a well-stirred hash */
double unit(uint64_t hash);                                                       /* [0, 1) */

/* Stored as float once a layer, each rounding at most 2^-24 of a value below 1; weights are floats too. */
#define LAYER_BOUND(n_layers) (((double)(n_layers) + 1) * 0x1p-23)

#define assert_close(got, want, bound) assert_close_at(got, want, bound, #got, __FILE__, __LINE__)
void assert_close_at(double got, double want, double bound, const char *what, const char *file, int line);

/* Normalised mean squared error of a [n] against want [n]: sum (a - want)^2 / sum want^2. */
double nmse(const float *a, const float *want, size_t n);

/*
 * The engine's own noise: how far apart it computes the same tokens by batches of other shapes, or of the same weights
 * in another form. Kernels for quantised weights round by batch shape and by processor, so that no number bounds this
 * everywhere; what Headwater makes of a quantised model's rows is bounded by it, times a factor that the test states.
 * Both traces are of the same tokens and hold all rows.
 */
double rows_noise(const hw_trace *a, const hw_trace *want);    /* NMSE of the attention rows */
double logprob_noise(const hw_trace *a, const hw_trace *want); /* nats, the largest of the completion's tokens */

/* Whether the suite chose an engine without vector instructions, on which long prompts take minutes. */
bool slow_kernels(void);

/* Path of a model file of the tests: in $HEADWATER_TEST_MODELS, or build/models. Fails the test where it is missing.
 * Borrowed until the next call. */
const char *test_model_path(const char *name);

/* Path of a tiny model of tests/zoo: in $HEADWATER_ZOO, or build/dev/tests/zoo. Borrowed until the next call. */
const char *zoo_model_path(const char *name);
/* Opens it. */
hw_model *open_zoo_model(const char *name, const hw_model_params *params);

/* Ids, roles, bytes, log probabilities and alternatives of all tokens are equal, bit for bit. */
void assert_same_tokens(const hw_run *a, const hw_run *b);

/* The message holds `part`; the code is `code`. */
#define assert_error(err, rc, code, part) assert_error_at(err, rc, code, part, __FILE__, __LINE__)
void assert_error_at(const hw_error *err, hw_err rc, hw_err code, const char *part, const char *file, int line);

#endif
