/* recurrent_rows.c - see recurrent_rows.h for the equations. */
#include "math/recurrent_rows.h"

#include "base/error.h"
#include "math/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ vectors of a state */

/* Fewer lanes than elsewhere: several sums side by side stay in registers. */
enum { LANES = 8 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

HW__INLINE double sum_of(const lanes *v) {
    double sum = 0;
    for (size_t i = 0; i < LANES; i++) sum += (*v)[i];
    return sum;
}

/* x <- sums of pairs of lanes of x and y in turn; then of pairs of these; then of the two that are left. */
HW__INLINE void add_pairs(lanes *x, const lanes *y) {
    *x = __builtin_shufflevector(*x, *y, 0, 8, 2, 10, 4, 12, 6, 14) +
         __builtin_shufflevector(*x, *y, 1, 9, 3, 11, 5, 13, 7, 15);
}

HW__INLINE void add_quarters(lanes *x, const lanes *y) {
    *x = __builtin_shufflevector(*x, *y, 0, 1, 8, 9, 4, 5, 12, 13) +
         __builtin_shufflevector(*x, *y, 2, 3, 10, 11, 6, 7, 14, 15);
}

HW__INLINE void add_halves(lanes *x, const lanes *y) {
    *x = __builtin_shufflevector(*x, *y, 0, 1, 2, 3, 8, 9, 10, 11) +
         __builtin_shufflevector(*x, *y, 4, 5, 6, 7, 12, 13, 14, 15);
}

HW__INLINE double dot(const double *a, const double *b, size_t n) {
    lanes sums = {0}, x, y;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        HW__LOAD(x, a + i);
        HW__LOAD(y, b + i);
        sums += x * y;
    }
    double sum = sum_of(&sums);
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

HW__INLINE void to_double(double *restrict to, const float *restrict from, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

/* ------------------------------------------------------------------ kinds with rows by head */

static const float *query_of(const hw__recurrent *r, size_t row, size_t head_k) {
    return r->q + ((row - r->first_query) * r->n_heads_k + head_k) * r->key_size;
}

static const float *key_of(const hw__recurrent *r, size_t token, size_t head_k) {
    return r->k + (token * r->n_heads_k + head_k) * r->key_size;
}

/* Rows first .. first + n - 1, to be written. */
typedef struct range {
    float *out;
    size_t stride, first, n;
} range;

/*
 * Steps of a delta net that are taken at once, from token `top` back. With U = u before them and F[m,i] what steps
 * m .. i - 1 keep,
 *
 *     a_i = write_i (<k_i, F[0,i] U> - sum_{m<i} a_m <k_i, F[m,i] k_m>)        u <- F[0,n] U - sum_m a_m F[m,n] k_m
 *
 * so that U is read for all of them and written once. What does not depend on the row is made once for all rows.
 */
enum { STEPS = 4, FEW = 8 };
typedef struct steps {
    size_t n, S;
    double *keys; /* [STEPS, S] F[0,i] k_i */
    double *out;  /* [STEPS, S] F[m,n] k_m */
    double *end;  /* [S] F[0,n], and S more as scratch */
    double met[STEPS][STEPS], write[STEPS];
} steps;

/* by [S] <- what the step of a token keeps of each channel. */
HW__INLINE void read_kept(double *by, const hw__recurrent *r, size_t h, size_t token) {
    size_t S = r->key_size;
    const float *channels = r->keep_channels ? r->keep_channels + (token * r->n_heads + h) * S : NULL;
    double all = channels ? 1 : r->keep[h * r->n_tokens + token];
    for (size_t c = 0; c < S; c++) by[c] = channels ? channels[c] : all;
}

HW__INLINE void multiply(double *restrict to, const double *restrict by, size_t n) {
    for (size_t c = 0; c < n; c++) to[c] *= by[c];
}

HW__SIMD static void make_steps(steps *s, const hw__recurrent *r, size_t h, size_t top, size_t n) {
    size_t S = s->S, head_k = h % r->n_heads_k;
    double *keep = s->end + S;
    s->n = n;
    for (size_t c = 0; c < S; c++) s->end[c] = 1;
    for (size_t i = 0; i < n; i++) {
        const float *k = key_of(r, top - i, head_k);
        double *in = s->keys + i * S;
        s->write[i] = r->write[h * r->n_tokens + top - i];
        to_double(in, k, S);
        to_double(s->out + i * S, k, S);
        for (size_t m = 0; m < i; m++) s->met[i][m] = dot(in, s->out + m * S, S); /* as earlier steps have left them */
        multiply(in, s->end, S);
        read_kept(keep, r, h, top - i);
        multiply(s->end, keep, S);
        for (size_t m = 0; m <= i; m++) multiply(s->out + m * S, keep, S);
    }
}

/* a, b [STEPS] <- <in_i, u>, <in_i, v>; those behind n are not used. Written out, so that sums stay in registers. */
HW__INLINE void meet(double a[STEPS], double b[STEPS], const double *in, const double *u, const double *v, size_t S) {
    lanes a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0}, b0 = {0}, b1 = {0}, b2 = {0}, b3 = {0}, x, y, k;
    size_t c = 0;
    for (; c + LANES <= S; c += LANES) {
        HW__LOAD(x, u + c);
        HW__LOAD(y, v + c);
        HW__LOAD(k, in + c);
        a0 += x * k, b0 += y * k;
        HW__LOAD(k, in + S + c);
        a1 += x * k, b1 += y * k;
        HW__LOAD(k, in + 2 * S + c);
        a2 += x * k, b2 += y * k;
        HW__LOAD(k, in + 3 * S + c);
        a3 += x * k, b3 += y * k;
    }
    add_pairs(&a0, &a1), add_pairs(&a2, &a3), add_pairs(&b0, &b1), add_pairs(&b2, &b3);
    add_quarters(&a0, &a2), add_quarters(&b0, &b2);
    add_halves(&a0, &b0); /* the sums of a, then those of b */
    for (size_t i = 0; i < STEPS; i++) a[i] = a0[i], b[i] = a0[STEPS + i];
    for (; c < S; c++)
        for (size_t i = 0; i < STEPS; i++) {
            a[i] += in[i * S + c] * u[c];
            b[i] += in[i * S + c] * v[c];
        }
}

/* u <- end u - sum_m a_m out_m, and v with b. */
HW__INLINE void leave(double *restrict u, double *restrict v, const double a[STEPS], const double b[STEPS],
                      const steps *s) {
    size_t S = s->S;
    const double *restrict end = s->end, *restrict out = s->out;
    double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3];
    lanes x, y, k;
    size_t c = 0;
    for (; c + LANES <= S; c += LANES) {
        HW__LOAD(x, u + c);
        HW__LOAD(y, v + c);
        HW__LOAD(k, end + c);
        x *= k, y *= k;
        HW__LOAD(k, out + c);
        x -= a0 * k, y -= b0 * k;
        HW__LOAD(k, out + S + c);
        x -= a1 * k, y -= b1 * k;
        HW__LOAD(k, out + 2 * S + c);
        x -= a2 * k, y -= b2 * k;
        HW__LOAD(k, out + 3 * S + c);
        x -= a3 * k, y -= b3 * k;
        memcpy(u + c, &x, sizeof x);
        memcpy(v + c, &y, sizeof y);
    }
    for (; c < S; c++) {
        u[c] = end[c] * u[c] - a0 * out[c] - a1 * out[S + c] - a2 * out[2 * S + c] - a3 * out[3 * S + c];
        v[c] = end[c] * v[c] - b0 * out[c] - b1 * out[S + c] - b2 * out[2 * S + c] - b3 * out[3 * S + c];
    }
}

/* One step alone: where few rows would share what several steps are made of. */
HW__SIMD static void take_step(float *row, double *restrict u, const steps *s) {
    double a = s->write[0] * dot(s->keys, u, s->S);
    lanes x, y, z;
    size_t c = 0;
    for (; c + LANES <= s->S; c += LANES) {
        HW__LOAD(x, u + c);
        HW__LOAD(y, s->end + c);
        HW__LOAD(z, s->out + c);
        x = y * x - a * z;
        memcpy(u + c, &x, sizeof x);
    }
    for (; c < s->S; c++) u[c] = s->end[c] * u[c] - a * s->out[c];
    *row = (float)a;
}

/* a [STEPS] <- the weights of each step if the steps before it had erased nothing; row[-i] <- that of
 * step i. */
HW__INLINE void solve(float *row, double a[STEPS], const steps *s) {
    for (size_t i = 0; i < STEPS; i++) {
        if (i >= s->n) {
            a[i] = 0;
            continue;
        }
        for (size_t m = 0; m < i; m++) a[i] -= a[m] * s->met[i][m];
        a[i] *= s->write[i];
        *(row - i) = (float)a[i];
    }
}

/* Takes the steps for two rows, which share what is loaded. */
HW__SIMD static void take_steps(float *row_u, float *row_v, double *u, double *v, const steps *s) {
    double a[STEPS], b[STEPS];
    meet(a, b, s->keys, u, v, s->S);
    solve(row_u, a, s);
    solve(row_v, b, s);
    leave(u, v, a, b, s);
}

/* Rows of head h of a delta net: all go back through the tokens together. u: [n_rows + 1, S]. */
static void delta_head(range rows, const hw__recurrent *r, size_t h, double *u, steps *s) {
    size_t first = rows.first, n_rows = rows.n, S = r->key_size, next = r->n_heads * rows.stride;
    float unused[STEPS];
    for (size_t i = 0; i < n_rows; i++) to_double(u + i * S, query_of(r, first + i, h % r->n_heads_k), S);
    for (size_t top = first + n_rows; top > 0;) {
        bool alone = top > first + 1 || n_rows < FEW; /* rows begin there one after the other */
        size_t n = alone ? 1 : top < STEPS ? top : STEPS;
        top -= n;
        make_steps(s, r, h, top + n - 1, n);
        float *row = rows.out + h * rows.stride + top + n - 1;
        for (size_t i = top > first ? top - first : 0; alone && i < n_rows; i++)
            take_step(row + i * next, u + i * S, s);
        for (size_t i = 0; !alone && i < n_rows; i += 2)
            take_steps(row + i * next, i + 1 < n_rows ? row + (i + 1) * next : unused + STEPS - 1, u + i * S,
                       u + (i + 1) * S, s);
    }
}

static bool delta_rows(float *out, size_t stride, const hw__recurrent *r, size_t first, size_t n_rows) {
    size_t S = r->key_size;
    double *u = hw__alloc(n_rows + 1 + 2 * STEPS + 2, S * sizeof *u);
    steps s = {.S = S};
    if (!u) return false;
    s.keys = u + (n_rows + 1) * S; /* behind a row for the last one of an odd number */
    s.out = s.keys + STEPS * S;
    s.end = s.out + STEPS * S;
    for (size_t h = 0; h < r->n_heads; h++) delta_head((range){out, stride, first, n_rows}, r, h, u, &s);
    free(u);
    return true;
}

/* Rows of the heads that share the keys of head_k. u: [n_tokens + 2 S]. */
HW__SIMD static void scan_group(float *out, size_t stride, const hw__recurrent *r, size_t head_k, size_t row,
                                double *u) {
    size_t S = r->key_size, group = r->n_heads / r->n_heads_k, T = r->n_tokens;
    double *q = u + T, *k = q + S;
    to_double(q, query_of(r, row, head_k), S);
    for (size_t j = 0; j <= row; j++) {
        to_double(k, key_of(r, j, head_k), S);
        u[j] = dot(q, k, S);
    }
    for (size_t h = head_k * group; h < (head_k + 1) * group; h++) {
        double left = 1;
        for (size_t j = row + 1; j-- > 0;) {
            out[h * stride + j] = (float)(u[j] * r->write[h * T + j] * left);
            left *= r->keep[h * T + j];
        }
    }
}

static bool scan_rows(float *out, size_t stride, const hw__recurrent *r, size_t first, size_t n_rows) {
    double *u = hw__alloc(r->n_tokens + 2 * r->key_size, sizeof *u);
    for (size_t i = 0; u && i < n_rows; i++)
        for (size_t g = 0; g < r->n_heads_k; g++) scan_group(out + i * r->n_heads * stride, stride, r, g, first + i, u);
    free(u);
    return u != NULL;
}

bool hw__recurrent_rows(float *out, size_t stride, const hw__recurrent *r, size_t first, size_t n_rows) {
    bool delta = r->kind == HW__RECURRENCE_DELTA;
    if (delta ? !delta_rows(out, stride, r, first, n_rows) : !scan_rows(out, stride, r, first, n_rows)) return false;
    for (size_t i = 0; r->own && i < n_rows; i++)
        for (size_t h = 0; h < r->n_heads; h++) out[(i * r->n_heads + h) * stride + first + i] += r->own[h];
    return true;
}

/* ------------------------------------------------------------------ kinds with rows by channel */

/* row [n] <- what each token gives to the values that the row weights: those of the tokens behind it too. parts: of the
 * channel; `step` floats from part to part. */
static void give_parts(float *row, size_t n, const float *parts, size_t n_parts, size_t step) {
    for (size_t k = 0; k < n; k++) { /* weights before k are not needed any more */
        double sum = 0;
        for (size_t i = 0; i < n_parts && k + i < n; i++) sum += (double)row[k + i] * parts[i * step + k];
        row[k] = (float)sum;
    }
}

/* Channel c of a scan: all rows go back together, since exponentials are expensive. u: [n_rows + 1, S]. */
static void scan_channel(range rows, const hw__recurrent *r, const float *v, size_t c, double *u) {
    size_t stride = rows.stride, first = rows.first, n_rows = rows.n;
    float *out = rows.out;
    size_t S = r->key_size, T = r->n_tokens;
    double *keep = u + n_rows * S;
    for (size_t i = 0; i < n_rows; i++) to_double(u + i * S, query_of(r, first + i, 0), S);
    for (size_t j = first + n_rows; j-- > 0;) {
        const float *k = key_of(r, j, 0);
        double write = r->write[c * T + j], value = r->n_parts > 1 ? 1 : v[c * T + j];
        for (size_t n = 0; n < S; n++) keep[n] = exp(write * r->rates[c * S + n]);
        for (size_t i = j > first ? j - first : 0; i < n_rows; i++) {
            double sum = 0, own = r->own && j == first + i ? r->own[c] : 0;
            for (size_t n = 0; n < S; n++) {
                sum += k[n] * u[i * S + n];
                u[i * S + n] *= keep[n];
            }
            out[(i * r->n_heads + c) * stride + j] = (float)((sum * write + own) * value);
        }
    }
    for (size_t i = 0; r->n_parts > 1 && i < n_rows; i++)
        give_parts(out + (i * r->n_heads + c) * stride, first + i + 1, v + c * T, r->n_parts, r->n_heads * T);
}

static void tap_channel(range rows, const hw__recurrent *r, const float *v, size_t c) {
    size_t S = r->key_size, T = r->n_tokens;
    for (size_t i = 0; i < rows.n; i++) {
        float *row = rows.out + (i * r->n_heads + c) * rows.stride;
        size_t t = rows.first + i;
        memset(row, 0, (t + 1) * sizeof *row);
        for (size_t back = 0; back < S && back <= t; back++)
            row[t - back] = (float)((double)r->taps[c * S + S - 1 - back] * v[c * T + t - back]);
    }
}

bool hw__recurrent_values(float *out, size_t stride, const hw__recurrent *r, const float *v, size_t first,
                          size_t n_rows) {
    double *u = hw__alloc(n_rows + 1, r->key_size * sizeof *u);
    const range rows = {out, stride, first, n_rows};
    if (!u) return false;
    for (size_t c = 0; c < r->n_heads; c++) {
        if (r->kind == HW__RECURRENCE_TAPS) {
            tap_channel(rows, r, v, c);
        } else {
            scan_channel(rows, r, v, c, u);
        }
    }
    free(u);
    return true;
}
