/* contribution.c - see contribution.h for the equations. */
#include "contribution.h"

#include "matrix.h"
#include "wide.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256 }; /* columns at once: what is made of them stays in cache */

hw_err hw__contribution_room_fit(hw__contribution_room *room, size_t n, size_t n_embd, const hw__values *values,
                                 hw_error *err) {
    size_t width = values->n_heads * values->head_size, group = values->n_heads / values->n_heads_kv, met;
    if (!hw__mul(&met, n * group, BLOCK)) met = SIZE_MAX;
    if (room->n >= n && room->n_embd == n_embd && room->width >= width && room->n_met >= met) return HW_OK;
    hw__contribution_room_free(room);
    *room = (hw__contribution_room){
        .direction = hw__alloc(n, n_embd * sizeof(float)),
        .carried = hw__alloc(n, width * sizeof(float)),
        .query = hw__alloc(n, width * sizeof(float)),
        .met = hw__alloc(met, sizeof(float)),
        .scaled = hw__alloc(BLOCK, width * sizeof(float)),
        .vectors = hw__alloc(BLOCK, n_embd * sizeof(float)),
        .n = n,
        .n_embd = n_embd,
        .width = width,
        .n_met = met,
    };
    if (room->direction && room->carried && room->query && room->met && room->scaled && room->vectors) return HW_OK;
    hw__contribution_room_free(room);
    return hw__fail_memory(err, "contributions", met, sizeof(float));
}

void hw__contribution_room_free(hw__contribution_room *room) {
    free(room->direction);
    free(room->carried);
    free(room->query);
    free(room->met);
    free(room->scaled);
    free(room->vectors);
    *room = (hw__contribution_room){0};
}

double hw__row_scale(const hw__row *row, const hw__values *values, size_t n_embd) {
    if (!values->gain) return values->scale;
    double sum = 0;
    for (size_t d = 0; d < n_embd; d++) sum += (double)row->mixed[d] * row->mixed[d];
    return values->scale / sqrt(sum / (double)n_embd + values->eps);
}

/* z <- gain z: the direction as it meets the output projection, but for the factor s of each row. */
static void carry_through_norm(float *z, const hw__values *values, size_t n_embd) {
    for (size_t d = 0; values->gain && d < n_embd; d++) z[d] *= values->gain[d];
}

/* query [H_kv, n group, d]: carried directions [n, H d] by the KV head that serves their query heads. */
static void gather_heads(float *query, const float *carried, size_t n, const hw__values *v) {
    size_t heads = v->n_heads / v->n_heads_kv * v->head_size; /* floats of the query heads of one */
    for (size_t kv = 0; kv < v->n_heads_kv; kv++)
        for (size_t i = 0; i < n; i++)
            memcpy(query + (kv * n + i) * heads, carried + (i * v->n_heads_kv + kv) * heads, heads * sizeof *query);
}

HW__WIDE static void add_products(float *restrict out, const float *restrict a, const float *restrict b, size_t n) {
    for (size_t k = 0; k < n; k++) out[k] += a[k] * b[k];
}

HW__WIDE static void scale(float *out, size_t n, float by) {
    for (size_t k = 0; k < n; k++) out[k] *= by;
}

/* How many of the columns first .. first + n - 1 a row has. */
static size_t columns_of(const hw__row *row, size_t first, size_t n) {
    return row->n_keys <= first ? 0 : row->n_keys - first < n ? row->n_keys - first : n;
}

/* Adds what one KV head's query heads give in the columns from `first` on: met [n_directions group, BLOCK]. */
static void add_heads(const hw__meeting *m, const float *met, size_t kv, size_t group, size_t first, size_t n) {
    const float *attn = m->row->heads + kv * group * m->row->stride + first;
    for (size_t h = 0; h < group; h++)
        add_products(m->out + first, attn + h * m->row->stride, met + (m->direction * group + h) * BLOCK, n);
}

static void meet_block(const hw__meeting *meetings, size_t n_meetings, size_t n_directions, const hw__values *values,
                       size_t first, size_t n, const hw__contribution_room *room) {
    size_t group = values->n_heads / values->n_heads_kv, d = values->head_size, T = values->n_tokens;
    for (size_t kv = 0; kv < values->n_heads_kv; kv++) {
        hw__matmul_part((hw__part){room->met, BLOCK}, (hw__part){room->query + kv * n_directions * group * d, d},
                        (hw__part){values->v + kv * d * T + first, T}, n_directions * group, d, n, false);
        for (size_t i = 0; i < n_meetings; i++)
            add_heads(&meetings[i], room->met, kv, group, first, columns_of(meetings[i].row, first, n));
    }
}

void hw__contribution_linear(hw__meeting *meetings, size_t n, size_t n_directions, const hw__values *values,
                             size_t n_embd, const hw__contribution_room *room) {
    size_t T = values->n_tokens;
    for (size_t j = 0; j < n_directions; j++) carry_through_norm(room->direction + j * n_embd, values, n_embd);
    hw__matmul(room->carried, room->direction, values->wo, n_directions, n_embd, values->n_heads * values->head_size);
    gather_heads(room->query, room->carried, n_directions, values);
    for (size_t i = 0; i < n; i++) {
        meetings[i].with = (float)(meetings[i].with * hw__row_scale(meetings[i].row, values, n_embd));
        memset(meetings[i].out, 0, meetings[i].row->n_keys * sizeof(float));
    }
    for (size_t first = 0; first < T; first += BLOCK) {
        size_t take = T - first < BLOCK ? T - first : BLOCK;
        meet_block(meetings, n, n_directions, values, first, take, room);
        for (size_t i = 0; i < n; i++)
            scale(meetings[i].out + first, columns_of(meetings[i].row, first, take), meetings[i].with);
    }
}

/* vectors [n, D] <- W_O (A v) of columns first..first+n-1, before gain and scale. */
static void build_vectors(size_t first, size_t n, const hw__row *row, const hw__values *v, size_t n_embd,
                          const hw__contribution_room *room) {
    size_t d = v->head_size, width = v->n_heads * d, group = v->n_heads / v->n_heads_kv;
    for (size_t h = 0; h < v->n_heads; h++) {
        const float *attn = row->heads + h * row->stride + first, *value = v->v + h / group * d * v->n_tokens + first;
        for (size_t c = 0; c < d; c++)
            for (size_t k = 0; k < n; k++) room->scaled[k * width + h * d + c] = attn[k] * value[c * v->n_tokens + k];
    }
    hw__matmul_bt(room->vectors, room->scaled, v->wo, n, width, n_embd);
}

typedef struct lengths {
    double one, two; /* |y|_1, |y|_2 */
} lengths;

/* Lengths of y - T and of T's attention part for one column; `own`: T holds the residual x too. */
static void measure(lengths *left, double *norm, const float *vector, double scale, bool own, const hw__row *row,
                    const float *gain, size_t n_embd) {
    double one = 0, two = 0, squares = 0;
    for (size_t d = 0; d < n_embd; d++) {
        double t = vector[d] * scale * (gain ? gain[d] : 1);
        squares += t * t;
        double rest = (double)row->added[d] - t + (own ? 0 : row->before[d]);
        one += fabs(rest);
        two += rest * rest;
    }
    *left = (lengths){one, sqrt(two)};
    *norm = sqrt(squares);
}

static lengths stream_lengths(const hw__row *row, size_t n_embd) {
    double one = 0, two = 0;
    for (size_t d = 0; d < n_embd; d++) {
        double y = (double)row->before[d] + row->added[d];
        one += fabs(y);
        two += y * y;
    }
    return (lengths){one, sqrt(two)};
}

static void scale_to_one(float *values, size_t n) {
    double sum = values ? hw__sum(values, n) : 0;
    for (size_t k = 0; sum > 0 && k < n; k++) values[k] = (float)(values[k] / sum);
}

void hw__contribution_vectors(float *norm, float *proximity1, float *proximity2, const hw__row *row,
                              const hw__values *values, size_t n_embd, const hw__contribution_room *room) {
    lengths y = stream_lengths(row, n_embd);
    double scale = hw__row_scale(row, values, n_embd);
    for (size_t first = 0; first < row->n_keys; first += BLOCK) {
        size_t n = row->n_keys - first < BLOCK ? row->n_keys - first : BLOCK;
        build_vectors(first, n, row, values, n_embd, room);
        for (size_t i = 0; i < n; i++) {
            size_t k = first + i;
            lengths left;
            double length;
            measure(&left, &length, room->vectors + i * n_embd, scale, k + 1 == row->n_keys, row, values->gain, n_embd);
            if (norm) norm[k] = (float)length;
            if (proximity1) proximity1[k] = (float)fmax(0, y.one - left.one);
            if (proximity2) proximity2[k] = (float)fmax(0, y.two - left.two);
        }
    }
    scale_to_one(norm, row->n_keys);
    scale_to_one(proximity1, row->n_keys);
    scale_to_one(proximity2, row->n_keys);
}
