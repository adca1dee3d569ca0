/* recurrent_rows.c - see recurrent_rows.h for the equations. */
#include "math/recurrent_rows.h"

#include "base/error.h"
#include "math/blas.h"
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

/* What a state keeps soon falls below the smallest normal numbers, with which processors are many times slower. So a
 * number below TINY is 0, and factors below SMALL are: products of both are normal. */
#define TINY  1e-20
#define SMALL 1e-15
HW__INLINE double without_tiny(double v) { return v < TINY && v > -TINY ? 0 : v; }
HW__INLINE float factor_of(double v) { return v < SMALL && v > -SMALL ? 0 : (float)v; }

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

static hw__part read_part(const float *cells, size_t stride) { return (hw__part){(float *)cells, stride}; }

/* Rows first .. first + n - 1, to be written. */
typedef struct range {
    float *out;
    size_t stride, first, n;
} range;

/*
 * Steps of a delta net that are taken at once. With U = u before them and F[m,i] what the steps of tokens m .. i + 1
 * keep, from the last token m back,
 *
 *     a_i = write_i (<k_i, F[top,i] U> - sum_{m>i} a_m <k_i, F[m,i] k_m>)
 *     u <- F[top,base-1] U - sum_m a_m F[m,base-1] k_m
 *
 * which is linear in U: a_i = <p_i, U>, p_i = write_i (F[top,i] k_i - sum_{m>i} <k_i, F[m,i] k_m> p_m). The p do not
 * depend on the row, so the steps of many rows are two products of matrices.
 */
enum { STEPS = 16, FEW = 8 };
typedef struct steps {
    size_t n, S;
    double *p, *left; /* [n, S] of each token; F[m,base-1] k_m */
    double *all;      /* [S] F[top,base-1], and 2 S more as scratch */
    float *k;         /* [n, S] keys */
    float *turned;    /* [S, n] keys */
    float *meet;      /* [S, n] p: columns of products are a row's */
    float *leave;     /* [n, S] -F[m,base-1] k_m */
    float *rest;      /* [S] F[top,base-1] */
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

HW__INLINE void subtract(double *restrict from, const double *restrict x, double by, size_t n) {
    for (size_t c = 0; c < n; c++) from[c] -= by * x[c];
}

/* The steps of tokens base .. base + n - 1 where each channel keeps its own share. */
HW__SIMD static void make_steps_by_channel(steps *s, const hw__recurrent *r, size_t h, size_t base) {
    size_t S = s->S;
    double *keep = s->all + S, *key = keep + S;
    for (size_t c = 0; c < S; c++) s->all[c] = 1;
    for (size_t i = s->n; i-- > 0;) {
        double *p = s->p + i * S, write = r->write[h * r->n_tokens + base + i];
        to_double(key, s->k + i * S, S);
        for (size_t c = 0; c < S; c++) p[c] = key[c] * s->all[c];
        for (size_t m = s->n; m-- > i + 1;) subtract(p, s->p + m * S, dot(key, s->left + m * S, S), S);
        for (size_t c = 0; c < S; c++) p[c] *= write;
        memcpy(s->left + i * S, key, S * sizeof *key);
        read_kept(keep, r, h, base + i);
        multiply(s->all, keep, S);
        for (size_t m = i; m < s->n; m++) multiply(s->left + m * S, keep, S);
    }
    for (size_t i = 0; i < s->n; i++)
        for (size_t c = 0; c < S; c++) s->meet[c * s->n + i] = factor_of(s->p[i * S + c]);
    for (size_t i = 0; i < s->n * S; i++) s->leave[i] = -factor_of(s->left[i]);
    for (size_t c = 0; c < S; c++) s->rest[c] = factor_of(s->all[c]);
}

/* p_i = sum_m by[m,i] k_m: the transpose of `by` [n, n] <- (1 + L)^-1 diag(write F), L[i,m] = write_i F[m,i] met[i,m];
 * left [n] <- F[m,base-1]; returns F[top,base-1]. */
HW__SIMD static double solve(float by[STEPS * STEPS], double left[STEPS], const float met[STEPS * STEPS], size_t n,
                             const double *keep, const float *write) {
    double rows[STEPS][STEPS] = {{0}}, all = 1;
    for (size_t i = n; i-- > 0;) {
        rows[i][i] = all;
        for (size_t m = n; m-- > i + 1;) subtract(rows[i], rows[m], left[m] * met[i * n + m], STEPS);
        for (size_t m = 0; m < STEPS; m++) rows[i][m] *= write[i];
        for (size_t m = i + 1; m < n; m++) left[m] *= keep[i];
        left[i] = keep[i];
        all *= keep[i];
    }
    for (size_t i = 0; i < n; i++)
        for (size_t m = 0; m < n; m++) by[m * n + i] = factor_of(rows[i][m]);
    return all;
}

/* The same where all channels keep as much: two products of matrices. */
static void make_steps_by_head(steps *s, const hw__recurrent *r, size_t h, size_t base) {
    size_t S = s->S, n = s->n, at = h * r->n_tokens + base;
    float met[STEPS * STEPS], by[STEPS * STEPS];
    double left[STEPS];
    hw__matmul(met, s->k, s->turned, n, S, n);
    double all = solve(by, left, met, n, r->keep + at, r->write + at);
    hw__matmul(s->meet, s->turned, by, S, n, n);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < S; c++) s->leave[i * S + c] = -factor_of(left[i]) * s->k[i * S + c];
    for (size_t c = 0; c < S; c++) s->rest[c] = factor_of(all);
}

/* to [S, n] <- from [n, S]. */
HW__SIMD static void turn(float *restrict to, const float *restrict from, size_t n, size_t S) {
    for (size_t c = 0; c < S; c++)
        for (size_t i = 0; i < n; i++) to[c * n + i] = from[i * S + c];
}

static void make_steps(steps *s, const hw__recurrent *r, size_t h, size_t base, size_t n) {
    s->n = n;
    for (size_t i = 0; i < n; i++) memcpy(s->k + i * s->S, key_of(r, base + i, h % r->n_heads_k), s->S * sizeof *s->k);
    if (r->keep_channels) {
        make_steps_by_channel(s, r, h, base);
    } else {
        turn(s->turned, s->k, n, s->S);
        make_steps_by_head(s, r, h, base);
    }
}

/* key, keep [S] <- those of the step of one token. */
HW__SIMD static void read_step(double *key, double *keep, const hw__recurrent *r, size_t h, size_t token) {
    to_double(key, key_of(r, token, h % r->n_heads_k), r->key_size);
    read_kept(keep, r, h, token);
}

/* One step of one row: u [S] <- keep (u - a key), a is returned. */
HW__SIMD static float take_step(double *restrict u, double write, const double *key, const double *keep, size_t S) {
    double a = write * dot(key, u, S);
    for (size_t c = 0; c < S; c++) u[c] = keep[c] * (u[c] - a * key[c]);
    return (float)a;
}

/* rows [n_rows, n], `next` floats apart: numbers below TINY become 0. Returns whether any is left. */
HW__SIMD static bool drop_tiny(float *rows, size_t next, size_t n_rows, size_t n) {
    uint32_t any = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t c = 0; c < n; c++) {
            float v = rows[i * next + c];
            bool has = v >= (float)TINY || v <= -(float)TINY;
            rows[i * next + c] = has ? v : 0;
            any |= has;
        }
    return any;
}

HW__SIMD static void keep_rest(float *restrict u, const float *restrict rest, size_t n_rows, size_t S) {
    for (size_t i = 0; i < n_rows; i++)
        for (size_t c = 0; c < S; c++) u[i * S + c] *= rest[c];
}

/* Takes the steps for n_rows rows, `next` floats apart: u [n_rows, S]. */
static void take_steps(float *row, size_t next, float *u, size_t n_rows, const steps *s) {
    size_t S = s->S;
    hw__matmul_part((hw__part){row, next}, (hw__part){u, S}, (hw__part){s->meet, s->n},
                    (hw__matmul_size){n_rows, S, s->n}, false);
    drop_tiny(row, next, n_rows, s->n);
    keep_rest(u, s->rest, n_rows, S);
    hw__matmul_part((hw__part){u, S}, (hw__part){row, next}, (hw__part){s->leave, S},
                    (hw__matmul_size){n_rows, s->n, S}, true);
}

/* Rows of one head of a delta net on their way back. */
typedef struct walk {
    range rows;
    const hw__recurrent *layer;
    size_t head;
    steps steps;
    double *key, *keep; /* [S] of a single step */
    double *begun;      /* [STEPS, S] u of rows that take one step at a time */
    float *u;           /* [n_rows, S] u of the others */
} walk;

static float *row_at(const walk *w, size_t row, size_t token) {
    return w->rows.out + ((row - w->rows.first) * w->layer->n_heads + w->head) * w->rows.stride + token;
}

/* Rows begin .. end - 1 go from their own tokens back to token `to`, one step at a time. */
static void take_single_steps(walk *w, size_t begin, size_t end, size_t to) {
    size_t S = w->steps.S;
    for (size_t t = begin; t < end; t++)
        to_double(w->begun + (t - begin) * S, query_of(w->layer, t, w->head % w->layer->n_heads_k), S);
    for (size_t t = end; t-- > to;) {
        double write = w->layer->write[w->head * w->layer->n_tokens + t];
        read_step(w->key, w->keep, w->layer, w->head, t);
        for (size_t i = t > begin ? t : begin; i < end; i++)
            *row_at(w, i, t) = take_step(w->begun + (i - begin) * S, write, w->key, w->keep, S);
    }
}

/* All rows that begin at or after token `top` go back together, and rows join where they begin. */
static void take_all_steps(walk *w) {
    size_t first = w->rows.first, end = first + w->rows.n, S = w->steps.S, next = w->layer->n_heads * w->rows.stride;
    for (size_t top = end, base; top > w->layer->begin; top = base) {
        size_t left = top - (top > first ? first : w->layer->begin), n = left < STEPS ? left : STEPS;
        size_t from = top > first ? top : first; /* rows that have begun */
        base = top - n;
        float *u = w->u + (from - first) * S;
        if (!drop_tiny(u, S, end - from, S) && top <= first) { /* nothing is left of any row */
            size_t n_left = top - w->layer->begin;
            for (size_t i = first; i < end; i++) memset(row_at(w, i, w->layer->begin), 0, n_left * sizeof *u);
            return;
        }
        if (from < end) {
            make_steps(&w->steps, w->layer, w->head, base, n);
            take_steps(row_at(w, from, base), next, u, end - from, &w->steps);
        }
        if (top <= first) continue;
        take_single_steps(w, base, top, base);
        for (size_t i = 0; i < n * S; i++) w->u[(base - first) * S + i] = (float)w->begun[i];
    }
}

static void walk_head(walk *w) {
    if (w->rows.n < FEW) {
        take_single_steps(w, w->rows.first, w->rows.first + w->rows.n, w->layer->begin);
    } else {
        take_all_steps(w);
    }
}

static bool delta_rows(const range *rows, const hw__recurrent *r) {
    size_t S = r->key_size;
    double *wide = hw__alloc(3 * STEPS + 5, S * sizeof *wide);
    float *narrow = hw__alloc(rows->n + 4 * STEPS + 1, S * sizeof *narrow);
    walk w = {.rows = *rows, .layer = r, .steps.S = S, .begun = wide, .u = narrow};
    bool made = wide && narrow;
    if (made) {
        steps *s = &w.steps;
        w.key = wide + STEPS * S;
        w.keep = w.key + S;
        s->p = w.keep + S;
        s->left = s->p + STEPS * S;
        s->all = s->left + STEPS * S;
        s->k = narrow + rows->n * S;
        s->turned = s->k + STEPS * S;
        s->meet = s->turned + STEPS * S;
        s->leave = s->meet + STEPS * S;
        s->rest = s->leave + STEPS * S;
        for (w.head = 0; w.head < r->n_heads; w.head++) walk_head(&w);
    }
    free(wide);
    free(narrow);
    return made;
}

/* Scratch for the rows of a scan. */
typedef struct scan_scratch {
    float *met;    /* [n_rows, n_tokens] <q_t, k_j> of a key head */
    double *reach; /* [n_tokens] write_j times what is kept from j to the first row, of a head */
    double *q, *k; /* [S] */
} scan_scratch;

HW__SIMD static void meet_keys(const scan_scratch *s, const range *rows, const hw__recurrent *r, size_t head_k) {
    for (size_t i = 0; i < rows->n; i++) {
        to_double(s->q, query_of(r, rows->first + i, head_k), r->key_size);
        for (size_t j = r->begin; j <= rows->first + i; j++) {
            to_double(s->k, key_of(r, j, head_k), r->key_size);
            s->met[i * r->n_tokens + j] = (float)dot(s->q, s->k, r->key_size);
        }
    }
}

/* row [first + 1] <- met reach kept. */
HW__SIMD static void scale_reach(float *restrict row, const float *restrict met, const double *restrict reach,
                                 double kept, size_t n) {
    for (size_t j = 0; j < n; j++) row[j] = (float)without_tiny(met[j] * reach[j] * kept);
}

/* Rows of one head from <q_t, k_j>: what is kept up to the first row is the same for all of them. */
static void scan_head(const range *rows, const hw__recurrent *r, size_t h, const scan_scratch *s) {
    const double *keep = r->keep + h * r->n_tokens;
    const float *write = r->write + h * r->n_tokens;
    double left = 1, kept = 1;
    size_t from = r->begin;
    for (size_t j = rows->first + 1; j-- > from; left *= keep[j]) s->reach[j] = write[j] * left;
    for (size_t i = 0; i < rows->n; i++) {
        size_t t = rows->first + i;
        const float *met = s->met + i * r->n_tokens;
        float *row = rows->out + (i * r->n_heads + h) * rows->stride;
        if (i > 0) kept *= keep[t];
        scale_reach(row + from, met + from, s->reach + from, kept, rows->first + 1 - from);
        left = 1;
        for (size_t j = t; j > rows->first; left *= keep[j--]) row[j] = (float)without_tiny(met[j] * write[j] * left);
    }
}

static bool scan_rows(const range *rows, const hw__recurrent *r) {
    size_t S = r->key_size, T = r->n_tokens, Hk = r->n_heads_k;
    scan_scratch s = {.met = hw__alloc(rows->n, T * sizeof *s.met), .reach = hw__alloc(T + 2 * S, sizeof *s.reach)};
    bool made = s.met && s.reach;
    if (made) {
        s.q = s.reach + T;
        s.k = s.q + S;
    }
    for (size_t g = 0; made && g < Hk; g++) {
        if (rows->n < FEW) {
            meet_keys(&s, rows, r, g);
        } else {
            hw__matmul_bt((hw__part){s.met + r->begin, T}, read_part(query_of(r, rows->first, g), Hk * S),
                          read_part(key_of(r, r->begin, g), Hk * S), rows->n, S, rows->first + rows->n - r->begin);
        }
        for (size_t h = g * (r->n_heads / Hk); h < (g + 1) * (r->n_heads / Hk); h++) scan_head(rows, r, h, &s);
    }
    free(s.met);
    free(s.reach);
    return made;
}

/* By how much a step enlarges a state at most: a delta net's I - write k k^T changes the direction of k alone. */
HW__SIMD static double step_factor(const hw__recurrent *r, size_t h, size_t token) {
    double keep = r->keep_channels ? 0 : r->keep[h * r->n_tokens + token], squares = 0;
    const float *channels = r->keep_channels ? r->keep_channels + (token * r->n_heads + h) * r->key_size : NULL;
    for (size_t c = 0; channels && c < r->key_size; c++) keep = fmax(keep, fabs((double)channels[c]));
    if (r->kind != HW__RECURRENCE_DELTA) return keep;
    const float *k = key_of(r, token, h % r->n_heads_k);
    for (size_t c = 0; c < r->key_size; c++) squares += (double)k[c] * k[c];
    return keep * fmax(1, fabs(1 - r->write[h * r->n_tokens + token] * squares));
}

/* Length of the longest query, as it arrives at the first one's row. */
static double longest_query(const hw__recurrent *r, size_t h) {
    size_t group = r->n_heads / r->n_heads_k, head_k = r->kind == HW__RECURRENCE_SCAN ? h / group : h % r->n_heads_k;
    double longest = 0, left = 1;
    for (size_t t = r->first_query; t < r->n_tokens; t++) {
        const float *q = query_of(r, t, head_k);
        double squares = 0;
        if (t > r->first_query) left *= step_factor(r, h, t);
        for (size_t c = 0; c < r->key_size; c++) squares += (double)q[c] * q[c];
        longest = fmax(longest, sqrt(squares) * left);
    }
    return longest;
}

size_t hw__recurrent_reach(const hw__recurrent *r, size_t head) {
    size_t j = r->first_query;
    if (r->kind == HW__RECURRENCE_TAPS) return j + 1 < r->key_size ? 0 : j + 1 - r->key_size;
    if (r->kind == HW__RECURRENCE_CHANNELS || r->removed) return 0; /* a state that is turned has no useful bound */
    double left = longest_query(r, head);
    for (; j > 0 && !(left < TINY); j--) left *= step_factor(r, head, j);
    return j;
}

/* u [S] <- keep u + removed <added, u>: what the step of a token leaves of a row. Returns the row's weight. */
HW__SIMD static double take_linear_step(double *restrict u, const hw__recurrent *r, size_t h, size_t token) {
    size_t S = r->key_size, at = (token * r->n_heads + h) * S;
    const float *key = key_of(r, token, h), *keep = r->keep_channels + at;
    double weight = 0, turned = 0;
    for (size_t c = 0; c < S; c++) weight += key[c] * u[c];
    for (size_t c = 0; r->added && c < S; c++) turned += r->added[at + c] * u[c];
    for (size_t c = 0; c < S; c++) u[c] = without_tiny(keep[c] * u[c] + (r->removed ? r->removed[at + c] * turned : 0));
    return weight;
}

static bool linear_rows(const range *rows, const hw__recurrent *r) {
    size_t S = r->key_size;
    double *u = hw__alloc(rows->n, S * sizeof *u);
    for (size_t h = 0; u && h < r->n_heads; h++) {
        for (size_t i = 0; i < rows->n; i++) to_double(u + i * S, query_of(r, rows->first + i, h), S);
        for (size_t t = rows->first + rows->n; t-- > r->begin;)
            for (size_t i = t > rows->first ? t - rows->first : 0; i < rows->n; i++)
                rows->out[(i * r->n_heads + h) * rows->stride + t] =
                    (float)without_tiny(take_linear_step(u + i * S, r, h, t));
    }
    free(u);
    return u != NULL;
}

bool hw__recurrent_rows(float *out, size_t stride, const hw__recurrent *r, size_t first, size_t n_rows) {
    const range rows = {out, stride, first, n_rows};
    bool (*const make)(const range *rows, const hw__recurrent *r) = r->kind == HW__RECURRENCE_DELTA  ? delta_rows
                                                                    : r->kind == HW__RECURRENCE_SCAN ? scan_rows
                                                                                                     : linear_rows;
    if (!make(&rows, r)) return false;
    for (size_t i = 0; i < n_rows; i++) {
        const float *own = r->own_rows ? r->own_rows + (first + i - r->first_query) * r->n_heads : r->own;
        for (size_t h = 0; own && h < r->n_heads; h++) out[(i * r->n_heads + h) * stride + first + i] += own[h];
    }
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
    for (size_t j = first + n_rows; j-- > r->begin;) {
        const float *k = key_of(r, j, 0);
        double write = r->write[c * T + j], value = r->n_parts > 1 ? 1 : v[c * T + j];
        for (size_t n = 0; n < S; n++) keep[n] = exp(write * r->rates[c * S + n]);
        for (size_t i = j > first ? j - first : 0; i < n_rows; i++) {
            double sum = 0, own = r->own && j == first + i ? r->own[c] : 0;
            for (size_t n = 0; n < S; n++) {
                sum += k[n] * u[i * S + n];
                u[i * S + n] = without_tiny(u[i * S + n] * keep[n]);
            }
            out[(i * r->n_heads + c) * stride + j] = (float)without_tiny((sum * write + own) * value);
        }
    }
    for (size_t i = 0; r->n_parts > 1 && i < n_rows; i++)
        give_parts(out + (i * r->n_heads + c) * stride + r->begin, first + i + 1 - r->begin, v + c * T + r->begin,
                   r->n_parts, r->n_heads * T);
}

static void tap_channel(range rows, const hw__recurrent *r, const float *v, size_t c) {
    size_t S = r->key_size, T = r->n_tokens;
    for (size_t i = 0; i < rows.n; i++) {
        float *row = rows.out + (i * r->n_heads + c) * rows.stride;
        size_t t = rows.first + i;
        memset(row + r->begin, 0, (t + 1 - r->begin) * sizeof *row);
        for (size_t back = 0; back < S && back + r->begin <= t; back++)
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
