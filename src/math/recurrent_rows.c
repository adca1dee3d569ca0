/* recurrent_rows.c - see recurrent_rows.h for the equations. */
#include "math/recurrent_rows.h"

#include "base/error.h"
#include "math/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ vectors of a state */

HW__INLINE double sum_double_lanes(const hw__double_lanes *v) {
    double sum = 0;
    for (size_t i = 0; i < HW__LANES; i++) sum += (*v)[i];
    return sum;
}

HW__INLINE double dot(const double *a, const double *b, size_t n) {
    hw__double_lanes sums = {0}, x, y;
    size_t i = 0;
    for (; i + HW__LANES <= n; i += HW__LANES) {
        HW__LOAD(x, a + i);
        HW__LOAD(y, b + i);
        sums += x * y;
    }
    double sum = sum_double_lanes(&sums);
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* u <- keep * (u - by k) */
HW__INLINE void erase(double *u, const double *k, double by, double keep, size_t n) {
    hw__double_lanes x, y;
    size_t i = 0;
    for (; i + HW__LANES <= n; i += HW__LANES) {
        HW__LOAD(x, u + i);
        HW__LOAD(y, k + i);
        x = keep * (x - by * y);
        memcpy(u + i, &x, sizeof x);
    }
    for (; i < n; i++) u[i] = keep * (u[i] - by * k[i]);
}

HW__INLINE void multiply(double *u, const float *by, size_t n) {
    for (size_t i = 0; i < n; i++) u[i] *= by[i];
}

static void to_double(double *to, const float *from, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

/* Rows first .. first + n - 1, to be written. */
typedef struct range {
    float *out;
    size_t stride, first, n;
} range;

/* ------------------------------------------------------------------ kinds with rows by head */

static const float *query_of(const hw__recurrent *r, size_t row, size_t head_k) {
    return r->q + ((row - r->first_query) * r->n_heads_k + head_k) * r->key_size;
}

static const float *key_of(const hw__recurrent *r, size_t token, size_t head_k) {
    return r->k + (token * r->n_heads_k + head_k) * r->key_size;
}

/* Rows of head h of a delta net: all rows proceed backwards through the tokens together, so that each key is read once.
 * u: [n_rows + 1, S]. */
HW__SIMD static void delta_head(range rows, const hw__recurrent *r, size_t h, double *u) {
    size_t stride = rows.stride, first = rows.first, n_rows = rows.n;
    float *out = rows.out;
    size_t S = r->key_size, head_k = h % r->n_heads_k;
    double *k = u + n_rows * S;
    for (size_t i = 0; i < n_rows; i++) to_double(u + i * S, query_of(r, first + i, head_k), S);
    for (size_t j = first + n_rows; j-- > 0;) {
        const float *channels = r->keep_channels ? r->keep_channels + (j * r->n_heads + h) * S : NULL;
        double write = r->write[h * r->n_tokens + j], keep = channels ? 1 : r->keep[h * r->n_tokens + j];
        to_double(k, key_of(r, j, head_k), S);
        for (size_t i = j > first ? j - first : 0; i < n_rows; i++) {
            double a = write * dot(k, u + i * S, S);
            out[(i * r->n_heads + h) * stride + j] = (float)a;
            erase(u + i * S, k, a, keep, S);
            if (channels) multiply(u + i * S, channels, S);
        }
    }
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
        double kept = 1;
        for (size_t j = row + 1; j-- > 0;) {
            out[h * stride + j] = (float)(u[j] * r->write[h * T + j] * kept);
            kept *= r->keep[h * T + j];
        }
    }
}

bool hw__recurrent_rows(float *out, size_t stride, const hw__recurrent *r, size_t first, size_t n_rows) {
    size_t S = r->key_size;
    double *u = hw__alloc((n_rows + 2) * S + r->n_tokens, sizeof *u);
    if (!u) return false;
    if (r->kind == HW__RECURRENCE_DELTA)
        for (size_t h = 0; h < r->n_heads; h++) delta_head((range){out, stride, first, n_rows}, r, h, u);
    for (size_t i = 0; r->kind == HW__RECURRENCE_SCAN && i < n_rows; i++)
        for (size_t g = 0; g < r->n_heads_k; g++)
            scan_group(out + i * r->n_heads * stride, stride, r, g, first + i, u);
    for (size_t i = 0; r->own && i < n_rows; i++)
        for (size_t h = 0; h < r->n_heads; h++) out[(i * r->n_heads + h) * stride + first + i] += r->own[h];
    free(u);
    return true;
}

/* ------------------------------------------------------------------ kinds with rows by channel */

/* Channel c of a scan: all rows proceed backwards together, because exponentials are expensive. u: [n_rows + 1, S]. */
static void scan_channel(range rows, const hw__recurrent *r, const float *v, size_t c, double *u) {
    size_t stride = rows.stride, first = rows.first, n_rows = rows.n;
    float *out = rows.out;
    size_t S = r->key_size, T = r->n_tokens;
    double *kept = u + n_rows * S;
    for (size_t i = 0; i < n_rows; i++) to_double(u + i * S, query_of(r, first + i, 0), S);
    for (size_t j = first + n_rows; j-- > 0;) {
        const float *k = key_of(r, j, 0);
        double write = r->write[c * T + j], value = v[c * T + j];
        for (size_t n = 0; n < S; n++) kept[n] = exp(write * r->rates[c * S + n]);
        for (size_t i = j > first ? j - first : 0; i < n_rows; i++) {
            double sum = 0, own = r->own && j == first + i ? r->own[c] : 0;
            for (size_t n = 0; n < S; n++) {
                sum += k[n] * u[i * S + n];
                u[i * S + n] *= kept[n];
            }
            out[(i * r->n_heads + c) * stride + j] = (float)((sum * write + own) * value);
        }
    }
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
