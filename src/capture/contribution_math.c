/* contribution_math.c - see contribution_math.h for the equations. */
#include "capture/contribution_math.h"

#include "math/blas.h"
#include "math/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Columns per block: intermediate results stay in cache. Vectors are made for all heads: FEWEST columns if they are
 * large. */
enum { BLOCK = 256, MIN_COLUMNS = 8, VECTOR_BYTES = 512 << 10 };

/* Parts of a value. */
static size_t taps_of(const hw__values *values) { return values->n_taps > 1 ? values->n_taps : 1; }

/* Columns before the first one have no weight in any row. */
static size_t first_column(const hw__values *values) { return values->recurrent ? values->recurrent->begin : 0; }

static size_t columns_at_once(size_t n_vectors, size_t n_embd) {
    size_t n = VECTOR_BYTES / (n_vectors * n_embd * sizeof(float));
    return n < MIN_COLUMNS ? MIN_COLUMNS : n < BLOCK ? n : BLOCK;
}

hw_err hw__contribution_scratch_fit(hw__contribution_scratch *scratch, size_t n, size_t n_embd,
                                    const hw__values *values, hw_error *err) {
    size_t width = values->n_heads * values->head_size, group = values->n_heads / values->n_heads_kv, partial;
    size_t n_vectors = values->n_heads * taps_of(values);
    if (!hw__mul(&partial, n * group * taps_of(values), BLOCK)) partial = SIZE_MAX;
    if (scratch->n >= n && scratch->n_embd == n_embd && scratch->n_vectors == n_vectors && scratch->width >= width &&
        scratch->n_partial >= partial)
        return HW_OK;
    hw_err rc = hw__blas_start(err);
    if (rc != HW_OK) return rc;
    hw__contribution_scratch_free(scratch);
    *scratch = (hw__contribution_scratch){
        .direction = hw__alloc(n, n_embd * sizeof(float)),
        .projected = hw__alloc(n, width * sizeof(float)),
        .query = hw__alloc(n, width * sizeof(float)),
        .partial = hw__alloc(partial, sizeof(float)),
        .gathered = hw__alloc(BLOCK, values->head_size * sizeof(float)),
        .vectors = hw__alloc(n_vectors * columns_at_once(n_vectors, n_embd), n_embd * sizeof(float)),
        .stream = hw__alloc(3, n_embd * sizeof(double)),
        .n = n,
        .n_embd = n_embd,
        .n_vectors = n_vectors,
        .width = width,
        .n_partial = partial,
    };
    if (scratch->direction && scratch->projected && scratch->query && scratch->partial && scratch->gathered &&
        scratch->vectors && scratch->stream)
        return HW_OK;
    hw__contribution_scratch_free(scratch);
    return hw__fail_memory(err, "contributions", partial, sizeof(float));
}

void hw__contribution_scratch_free(hw__contribution_scratch *scratch) {
    free(scratch->direction);
    free(scratch->projected);
    free(scratch->query);
    free(scratch->partial);
    free(scratch->gathered);
    free(scratch->vectors);
    free(scratch->stream);
    *scratch = (hw__contribution_scratch){0};
}

double hw__row_scale(const hw__row *row, const hw__values *values, size_t n_embd) {
    if (values->norm == HW__NORM_NONE) return values->scale;
    double sum = 0;
    for (size_t d = 0; d < n_embd; d++) sum += (double)row->mixed[d] * row->mixed[d];
    return values->scale / sqrt(sum / (double)n_embd + values->eps);
}

/* query [H_kv, n group, d]: projected directions [n, H d], arranged by the KV head that serves their query heads. */
static void gather_heads(float *query, const float *projected, size_t n, const hw__values *v) {
    size_t heads = v->n_heads / v->n_heads_kv * v->head_size; /* floats of the query heads of one KV head */
    for (size_t kv = 0; kv < v->n_heads_kv; kv++)
        for (size_t i = 0; i < n; i++)
            memcpy(query + (kv * n + i) * heads, projected + (i * v->n_heads_kv + kv) * heads, heads * sizeof *query);
}

HW__SIMD static void add_products(float *restrict out, const float *restrict a, const float *restrict b, size_t n) {
    for (size_t k = 0; k < n; k++) out[k] += a[k] * b[k];
}

/* out [n] <- out + sum_i a[k + i] b[i BLOCK + k], i = 0 .. 3. */
HW__SIMD static void add_four(float *restrict out, const float *restrict a, const float *restrict b, size_t n) {
    const float *b1 = b + BLOCK, *b2 = b1 + BLOCK, *b3 = b2 + BLOCK;
    for (size_t k = 0; k < n; k++) out[k] += a[k] * b[k] + a[k + 1] * b1[k] + a[k + 2] * b2[k] + a[k + 3] * b3[k];
}

HW__SIMD static void scale(float *out, size_t n, float by) {
    for (size_t k = 0; k < n; k++) out[k] *= by;
}

/* The same for each product of rows with factors: each has its own projected direction. */
static void gather_factored(float *query, const float *projected, const hw__dot_product *dot_products, size_t n,
                            const hw__values *v) {
    size_t heads = v->n_heads / v->n_heads_kv * v->head_size, width = v->n_heads * v->head_size;
    for (size_t kv = 0; kv < v->n_heads_kv; kv++)
        for (size_t i = 0; i < n; i++) {
            const float *z = projected + dot_products[i].direction * width + kv * heads;
            const float *factor = dot_products[i].row->factor + kv * heads;
            for (size_t c = 0; c < heads; c++) query[(kv * n + i) * heads + c] = z[c] * factor[c];
        }
}

/* Number of the columns first .. first + n - 1 that a row has. */
static size_t columns_of(const hw__row *row, size_t first, size_t n) {
    return row->n_keys <= first ? 0 : row->n_keys - first < n ? row->n_keys - first : n;
}

/* Columns first .. first + n - 1. */
typedef struct column_block {
    size_t first, n;
} column_block;

/* Adds the products of one head in a block of columns, n_taps parts: met [taps, BLOCK]. */
static void add_head(const hw__dot_product *m, const float *attn, const float *met, size_t n_taps,
                     const column_block *block) {
    float *out = m->out + block->first;
    size_t whole = n_taps == 4 ? columns_of(m->row, block->first + 3, block->n) : 0;
    add_four(out, attn, met, whole);
    for (size_t i = 0; i < n_taps; i++) {
        size_t n = columns_of(m->row, block->first + i, block->n);
        add_products(out + whole, attn + whole + i, met + i * BLOCK + whole, n - whole);
    }
}

/* Adds the products of one KV head's query heads in a block of columns: met [group, taps, BLOCK]. */
static void add_heads(const hw__dot_product *m, const float *met, size_t kv, const hw__values *values,
                      const column_block *block) {
    size_t group = values->n_heads / values->n_heads_kv, taps = taps_of(values);
    const float *attn = m->row->heads + kv * group * m->row->stride + block->first;
    for (size_t h = 0; h < group; h++) add_head(m, attn + h * m->row->stride, met + h * taps * BLOCK, taps, block);
}

static bool is_zero(const float *x, size_t n) {
    for (size_t k = 0; k < n; k++)
        if (x[k] != 0) return false;
    return true;
}

/* Whether no row gives weight to the values of a block of one KV head: what a recurrent layer has forgotten. */
static bool is_forgotten(const hw__dot_product *dot_products, size_t n, size_t kv, const hw__values *values,
                         const column_block *block) {
    size_t group = values->n_heads / values->n_heads_kv;
    for (size_t i = 0; i < n; i++) {
        const hw__row *row = dot_products[i].row;
        size_t columns = columns_of(row, block->first, block->n + taps_of(values) - 1);
        for (size_t h = kv * group; h < (kv + 1) * group; h++)
            if (!is_zero(row->heads + h * row->stride + block->first, columns)) return false;
    }
    return true;
}

/* The products of a layer; scratch->query has n_queries: one for each product (`own`), or one for each direction. */
typedef struct product_list {
    const hw__dot_product *dot_products; /* [n] */
    size_t n, n_queries;
    bool own;
} product_list;

static void multiply_block(const product_list *list, const hw__values *values, const column_block *block,
                           const hw__contribution_scratch *scratch) {
    const hw__dot_product *dot_products = list->dot_products;
    size_t n_queries = list->n_queries, group = values->n_heads / values->n_heads_kv, taps = taps_of(values);
    size_t d = values->head_size, T = values->n_tokens;
    for (size_t kv = 0; kv < values->n_heads_kv; kv++) {
        if (is_forgotten(dot_products, list->n, kv, values, block)) continue;
        for (size_t i = 0; i < taps; i++)
            hw__matmul_part((hw__part){scratch->partial + i * BLOCK, taps * BLOCK},
                            (hw__part){scratch->query + kv * n_queries * group * d, d},
                            (hw__part){values->v + (i * values->n_heads_kv + kv) * d * T + block->first, T},
                            (hw__matmul_size){n_queries * group, d, block->n}, false);
        for (size_t i = 0; i < list->n; i++)
            add_heads(&dot_products[i],
                      scratch->partial + (list->own ? i : dot_products[i].direction) * group * taps * BLOCK, kv, values,
                      block);
    }
}

void hw__contribution_linear(hw__dot_product *dot_products, size_t n, size_t n_directions, const hw__values *values,
                             size_t n_embd, const hw__contribution_scratch *scratch) {
    size_t T = values->n_tokens;
    for (size_t j = 0; values->gain && j < n_directions; j++) /* each row's factor of the norm follows below */
        for (size_t d = 0; d < n_embd; d++) scratch->direction[j * n_embd + d] *= values->gain[d];
    hw__matmul(scratch->projected, scratch->direction, values->wo, n_directions, n_embd,
               values->n_heads * values->head_size);
    bool own = n && dot_products[0].row->factor;
    if (own) {
        gather_factored(scratch->query, scratch->projected, dot_products, n, values);
    } else {
        gather_heads(scratch->query, scratch->projected, n_directions, values);
    }
    for (size_t i = 0; i < n; i++) {
        dot_products[i].scale = (float)(dot_products[i].scale * hw__row_scale(dot_products[i].row, values, n_embd));
        memset(dot_products[i].out, 0, dot_products[i].row->n_keys * sizeof(float));
    }
    for (size_t first = first_column(values); first < T; first += BLOCK) {
        size_t take = T - first < BLOCK ? T - first : BLOCK;
        multiply_block(&(product_list){dot_products, n, own ? n : n_directions, own}, values,
                       &(column_block){first, take}, scratch);
        for (size_t i = 0; i < n; i++)
            scale(dot_products[i].out + first, columns_of(dot_products[i].row, first, take), dot_products[i].scale);
    }
}

/* ------------------------------------------------------------------ measures of every vector */

/* vectors [taps, H, n, D] <- W_O[:,h] (factor[h] v[h, first + k]), before attention, gain and scale; factor NULL: 1.
 */
static void carry_values(size_t first, size_t n, const hw__values *v, const float *factor, size_t n_embd,
                         const hw__contribution_scratch *scratch) {
    size_t d = v->head_size, width = v->n_heads * d, group = v->n_heads / v->n_heads_kv;
    for (size_t i = 0; i < taps_of(v) * v->n_heads; i++) {
        size_t h = i % v->n_heads, tap = i / v->n_heads;
        const float *value = v->v + (tap * v->n_heads_kv + h / group) * d * v->n_tokens + first;
        for (size_t k = 0; (factor || h % group == 0) && k < n; k++)
            for (size_t c = 0; c < d; c++)
                scratch->gathered[k * d + c] = value[c * v->n_tokens + k] * (factor ? factor[h * d + c] : 1);
        hw__matmul_bt((hw__part){scratch->vectors + i * n * n_embd, n_embd}, (hw__part){scratch->gathered, d},
                      (hw__part){v->wo + h * d, width}, n, d, n_embd);
    }
}

typedef int64_t double_bits __attribute__((vector_size(HW__LANES * sizeof(int64_t))));

/* |T|_2 of attention's part of one vector, |rest|_1 and |rest|_2 of the stream without it. */
typedef struct measured {
    double norm, one, two;
} measured;

/* Vectors and weights of one column: `vectors` and `attn` are the first head's, the next head's are `step` floats
 * further. */
typedef struct column {
    const float *vectors, *attn;
    size_t vectors_step, attn_step, n_heads, n_embd;
    size_t n_taps; /* parts of values that the row has: their weights are in the next columns */
} column;

HW__SIMD static measured measure(const column *of_heads, const double *stream, const double *factor) {
    const float *vectors = of_heads->vectors, *attn = of_heads->attn;
    size_t step = of_heads->vectors_step, stride = of_heads->attn_step, n_heads = of_heads->n_heads;
    size_t n_embd = of_heads->n_embd;
    hw__double_lanes squares = {0}, one = {0}, two = {0}, of, by;
    double_bits sign = (double_bits){0} + INT64_MAX;
    double rest_squares = 0, rest_one = 0, rest_two = 0;
    size_t d = 0;
    for (; d + HW__LANES <= n_embd; d += HW__LANES) {
        hw__lanes sum = {0}, v;
        for (size_t i = 0; i < of_heads->n_taps; i++)
            for (size_t h = 0; h < n_heads; h++) {
                HW__LOAD(v, vectors + (i * n_heads + h) * step + d);
                sum += attn[h * stride + i] * v;
            }
        HW__LOAD(of, stream + d);
        HW__LOAD(by, factor + d);
        hw__double_lanes t = __builtin_convertvector(sum, hw__double_lanes) * by, rest = of - t;
        squares += t * t;
        one += (hw__double_lanes)((double_bits)rest & sign);
        two += rest * rest;
    }
    for (; d < n_embd; d++) {
        float sum = 0;
        for (size_t i = 0; i < of_heads->n_taps; i++)
            for (size_t h = 0; h < n_heads; h++) sum += attn[h * stride + i] * vectors[(i * n_heads + h) * step + d];
        double t = sum * factor[d], rest = stream[d] - t;
        rest_squares += t * t;
        rest_one += fabs(rest);
        rest_two += rest * rest;
    }
    for (size_t i = 0; i < HW__LANES; i++) {
        rest_squares += squares[i];
        rest_one += one[i];
        rest_two += two[i];
    }
    return (measured){sqrt(rest_squares), rest_one, sqrt(rest_two)};
}

/* Values that are the same for all columns of a row. */
typedef struct stream_of {
    double *y, *added, *factor; /* [D] */
    double one, two;            /* |y|_1, |y|_2 */
} stream_of;

static stream_of read_stream(const hw__row *row, const hw__values *values, size_t n_embd,
                             const hw__contribution_scratch *scratch) {
    stream_of s = {scratch->stream, scratch->stream + n_embd, scratch->stream + 2 * n_embd, 0, 0};
    double scale = hw__row_scale(row, values, n_embd);
    for (size_t d = 0; d < n_embd; d++) {
        s.added[d] = row->added[d];
        s.y[d] = (double)row->before[d] + row->added[d];
        s.factor[d] = scale * (values->gain ? values->gain[d] : 1);
        s.one += fabs(s.y[d]);
        s.two += s.y[d] * s.y[d];
    }
    s.two = sqrt(s.two);
    return s;
}

/* Columns first .. of a row, as many as it has of the n_made whose vectors are in the scratch. */
static void measure_columns(const hw__lengths *l, size_t first, size_t n_made, const hw__values *values, size_t n_embd,
                            const hw__contribution_scratch *scratch) {
    size_t n = columns_of(l->row, first, n_made);
    if (n == 0) return;
    stream_of s = read_stream(l->row, values, n_embd, scratch);
    for (size_t i = 0; i < n; i++) {
        size_t k = first + i, left = l->row->n_keys - k, taps = taps_of(values);
        bool own = left == 1; /* T includes the residual */
        const column c = {
            scratch->vectors + i * n_embd, l->row->heads + k, n_made * n_embd, l->row->stride, values->n_heads, n_embd,
            taps < left ? taps : left};
        measured m = measure(&c, own ? s.added : s.y, s.factor);
        if (l->norm) l->norm[k] = (float)m.norm;
        if (l->proximity1) l->proximity1[k] = (float)fmax(0, s.one - m.one);
        if (l->proximity2) l->proximity2[k] = (float)fmax(0, s.two - m.two);
    }
}

static void scale_to_one(float *values, size_t n) {
    double sum = values ? hw__sum(values, n) : 0;
    for (size_t k = 0; sum > 0 && k < n; k++) values[k] = (float)(values[k] / sum);
}

/* Tokens without weight change nothing. */
static void clear_columns(const hw__lengths *l, size_t n) {
    float *const measures[] = {l->norm, l->proximity1, l->proximity2};
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
        if (measures[i]) memset(measures[i], 0, n * sizeof **measures);
}

/* Rows without factors share the vectors; a row with factors needs its own. */
static void measure_rows(const hw__lengths *rows, size_t n, const hw__values *values, size_t n_embd,
                         const hw__contribution_scratch *scratch) {
    size_t T = 0, step = columns_at_once(values->n_heads * taps_of(values), n_embd);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].row->n_keys > T) T = rows[i].row->n_keys;
        clear_columns(&rows[i], first_column(values));
    }
    for (size_t first = first_column(values); first < T; first += step) {
        size_t made = T - first < step ? T - first : step;
        carry_values(first, made, values, rows[0].row->factor, n_embd, scratch);
        for (size_t i = 0; i < n; i++) measure_columns(&rows[i], first, made, values, n_embd, scratch);
    }
}

void hw__contribution_vectors(const hw__lengths *rows, size_t n, const hw__values *values, size_t n_embd,
                              const hw__contribution_scratch *scratch) {
    size_t together = n && rows[0].row->factor ? 1 : n;
    for (size_t i = 0; i < n; i += together) measure_rows(rows + i, together, values, n_embd, scratch);
    for (size_t i = 0; i < n; i++) {
        scale_to_one(rows[i].norm, rows[i].row->n_keys);
        scale_to_one(rows[i].proximity1, rows[i].row->n_keys);
        scale_to_one(rows[i].proximity2, rows[i].row->n_keys);
    }
}
