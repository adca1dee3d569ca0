/*
 * recurrent_rows.h - what a recurrent layer's output is made of, by token: pure functions over arrays.
 *
 * The state of such a layer is linear in the values, given gates and keys, so its output is a weighted sum of them, as
 * attention's is. For query row t, in the order of ggml's kernels, from the last token back:
 *
 *     delta      u = q_t;  A[t,j] = write_j <k_j, u>;  u <- keep_j * (u - A[t,j] k_j)
 *                gated delta net; KDA: keep differs by channel of u
 *     scan       A[t,j] = <q_t, k_j> write_j keep_t .. keep_j+1
 *                Mamba-2: q is C, k is B, write dt
 *     linear     u = q_t;  A[t,j] = <k_j, u>;  u <- keep_j u + removed_j <added_j, u>
 *                gated linear attention, and RWKV 7, whose steps turn the state as well; keep differs by channel
 *     channels   A[t,j,c] = write_jc sum_n q_tn k_jn exp(rate_cn (write_tc + .. + write_j+1,c))
 *                Mamba-1 (Ali et al. 2024, arXiv 2403.01590)
 *     taps       A[t,j,c] = tap_c,t-j
 *                a short convolution
 *
 * and what a token adds to its own row beside (D, or RWKV 7's bonus) is on the diagonal. Rows are signed and sum to
 * nothing in particular. Steps and decays are double, in a fixed order; the products of many rows are BLAS's, in float.
 */
#ifndef HW_MATH_RECURRENT_ROWS_H
#define HW_MATH_RECURRENT_ROWS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum hw__recurrence {
    HW__RECURRENCE_DELTA,
    HW__RECURRENCE_SCAN,
    HW__RECURRENCE_LINEAR,
    HW__RECURRENCE_CHANNELS, /* kinds from here on have one row per channel */
    HW__RECURRENCE_TAPS,
} hw__recurrence;

/* One layer's tokens so far; arrays that a kind does not use are NULL. */
typedef struct hw__recurrent {
    hw__recurrence kind;
    size_t n_tokens;
    size_t n_heads;     /* H; number of channels if each has its own row */
    size_t n_heads_k;   /* heads that share keys and queries: head h uses those of h mod n_heads_k, in scans of h /
                           (H / n_heads_k) */
    size_t key_size;    /* S; for taps their number */
    size_t first_query; /* first row with a query */
    size_t begin;   /* tokens before it have no weight in any row: neither their columns nor their values are written */
    const float *q; /* [n_tokens - first_query, n_heads_k, S] */
    const float *k; /* [n_tokens, n_heads_k, S] */
    const double *keep;           /* [H, n_tokens] factor by which a step keeps the state */
    const float *keep_channels;   /* [n_tokens, H, S] instead of `keep` (KDA, linear) */
    const float *removed, *added; /* [n_tokens, H, S] of a linear recurrence that turns its state; NULL: none */
    const float *write;           /* [H, n_tokens] */
    const float *rates;           /* [H, S] */
    const float *taps;            /* [H, S], the last one for the row's own token */
    const float *own;             /* [H] D */
    const float *own_rows;        /* [n_tokens - first_query, H] the same, of each row */
    size_t n_parts; /* the values passed to hw__recurrent_values() come in parts, [n_parts, H, n_tokens]: part i of
                       token k belongs to the value of token k + i; 0: 1 */
} hw__recurrent;

/* Whether the values of a head share one row; otherwise hw__recurrent_values() returns them weighted. */
static inline bool hw__recurrent_has_rows(const hw__recurrent *r) { return r->kind < HW__RECURRENCE_CHANNELS; }

/* The first token of which a head keeps anything up to its rows: what it keeps of earlier ones is below the smallest
 * number of a state. `begin` is not read. */
size_t hw__recurrent_reach(const hw__recurrent *r, size_t head);

/* out [n_rows, H, stride] <- A of rows first .. first + n_rows - 1: columns begin .. row of each. Many rows are
 * products of matrices (hw__blas_start() first), a few are sums in double. False when memory runs out. */
bool hw__recurrent_rows(float *out, size_t stride, const hw__recurrent *r, size_t first, size_t n_rows);

/* out [n_rows, H, stride] <- A[t,j,c] v[c,j] for values v [H, n_tokens], for kinds without rows per head; of values in
 * parts, what each token gives to all of them. Columns from `begin` on that a row does not have are 0. False when
 * memory runs out. */
bool hw__recurrent_values(float *out, size_t stride, const hw__recurrent *r, const float *v, size_t first,
                          size_t n_rows);

#endif
