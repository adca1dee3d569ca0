/*
 * recurrent_rows.h - what a recurrent layer's output is made of, by token: pure functions over arrays.
 *
 * The state of such a layer is linear in the values, given gates and keys, so its output is a weighted sum of them, as
 * attention's is. For query row t, in the order of ggml's kernels, from the last token back:
 *
 *     delta      u = q_t;  A[t,j] = write_j <k_j, u>;  u <- keep_j * (u - A[t,j] k_j)       gated delta net; KDA: keep by channel of u
 *     scan       A[t,j] = <q_t, k_j> write_j keep_t .. keep_j+1                              Mamba-2: q is C, k is B, write dt
 *     channels   A[t,j,c] = write_jc sum_n q_tn k_jn exp(rate_cn (write_tc + .. + write_j+1,c))   Mamba-1 (Ali et al. 2024,
 *                arXiv 2403.01590)
 *     taps       A[t,j,c] = tap_c,t-j                                                        a short convolution
 *
 * and what a token adds to its own row beside (D) is on the diagonal. Rows are signed and sum to nothing in particular.
 * Sums are double, in a fixed order.
 */
#ifndef HW_MATH_RECURRENT_ROWS_H
#define HW_MATH_RECURRENT_ROWS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum hw__recurrence {
    HW__RECURRENCE_DELTA,
    HW__RECURRENCE_SCAN,
    HW__RECURRENCE_CHANNELS, /* from here on every channel has a row of its own */
    HW__RECURRENCE_TAPS,
} hw__recurrence;

/* One layer's tokens so far; what a kind does not have is NULL. */
typedef struct hw__recurrent {
    hw__recurrence kind;
    size_t n_tokens;
    size_t n_heads;     /* H; channels where each has its own row */
    size_t n_heads_k;   /* that share keys and queries: head h has those of h mod n_heads_k, in scans of h / (H / n_heads_k) */
    size_t key_size;    /* S; of taps: how many there are */
    size_t first_query; /* first row whose query is there */
    const float *q;     /* [n_tokens - first_query, n_heads_k, S] */
    const float *k;     /* [n_tokens, n_heads_k, S] */
    const double *keep; /* [H, n_tokens] what a step keeps of the state */
    const float *keep_channels; /* [n_tokens, H, S] in its place (KDA) */
    const float *write;         /* [H, n_tokens] */
    const float *rates;         /* [H, S] */
    const float *taps;          /* [H, S], the last one for the token itself */
    const float *own;           /* [H] D */
} hw__recurrent;

/* Whether a head's values share one row; else hw__recurrent_values() gives them weighted. */
static inline bool hw__recurrent_has_rows(const hw__recurrent *r) { return r->kind < HW__RECURRENCE_CHANNELS; }

/* out [n_rows, H, stride] <- A of rows first .. first + n_rows - 1: columns 0 .. row of each. False when there is no memory. */
bool hw__recurrent_rows(float *out, size_t stride, const hw__recurrent *r, size_t first, size_t n_rows);

/* out [n_rows, H, stride] <- A[t,j,c] v[c,j] of values v [H, n_tokens], of kinds without rows by head; zero in columns that a
 * row has none of. False when there is no memory. */
bool hw__recurrent_values(float *out, size_t stride, const hw__recurrent *r, const float *v, size_t first,
                          size_t n_rows);

#endif
