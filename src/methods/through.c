/* through.c - splits rows into parts, solves by forward substitution in blocks of cells, and keeps the data stored with
 * R. */
#include "methods/through.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ the solve */

enum { BLOCK = 512 }; /* cells of a row at a time: the sums in double stay in the L1 cache */

/* Rows to complete, the first of them row `first`, and the rows W that hops refer to. */
typedef struct equations {
    float *rows;
    size_t first;
    const float *W;
    size_t cells;
    const hw__hops *hops;
} equations;

static void solve_block(const equations *s, size_t first) {
    double sum[BLOCK];
    size_t n = s->cells - first < BLOCK ? s->cells - first : BLOCK;
    for (size_t t = s->hops->begin; t < s->hops->end; t++) {
        float *row = s->rows + (t - s->first) * s->cells + first;
        for (size_t c = 0; c < n; c++) sum[c] = row[c];
        for (size_t k = 0; k < t; k++) {
            double g = s->hops->shares[(t - s->hops->begin) * s->hops->stride + k];
            const float *from = s->W + k * s->cells + first;
            for (size_t c = 0; g > 0 && c < n; c++) sum[c] += g * from[c];
        }
        for (size_t c = 0; c < n; c++) row[c] = (float)sum[c];
    }
}

static void solve(const equations *s) {
    long blocks = (long)((s->cells + BLOCK - 1) / BLOCK);
#pragma omp parallel for schedule(static) if (s->cells * s->hops->end * s->hops->end > 1 << 20)
    for (long b = 0; b < blocks; b++) solve_block(s, (size_t)b * BLOCK);
}

void hw__through_solve(float *W, size_t cells, const hw__hops *hops) { solve(&(equations){W, 0, W, cells, hops}); }

void hw__through_apply(float *R, const float *W, size_t cells, const hw__hops *hops) {
    solve(&(equations){R, hops->begin, W, cells, hops});
}

/* ------------------------------------------------------------------ the parts of a row */

/* The parts of one row of `inner`. */
typedef struct parts {
    const hw_attribution *inner;
    size_t i, t;      /* row of inner; completion token that it explains */
    size_t n_columns; /* columns of the prompt, which precede those of the completion */
    bool both_sides;  /* parts of the completion and the model count by size, whichever of two tokens they raised */
    double embedding; /* embedding of the row's own token, summed over layers with its column; 0 if unknown */
    ptrdiff_t own;    /* column of the row's own token; -1: outside all columns */
} parts;

static const float *cell_of(const parts *row, size_t column) {
    const hw_attribution *a = row->inner;
    return a->values + (row->i * a->n_columns + column) * a->n_layers;
}

static double sum_of(const float *values, size_t n) {
    double sum = 0;
    for (size_t l = 0; l < n; l++) sum += values[l];
    return sum;
}

static double total_of(const parts *row, size_t column) {
    return sum_of(cell_of(row, column), row->inner->n_layers) + (row->own == (ptrdiff_t)column ? row->embedding : 0);
}

/* Prompt tokens of no group, which are in no column of `inner`. */
static double rest_of(const parts *row) {
    size_t L = row->inner->n_layers;
    return sum_of(row->inner->outside + row->i * L, L) + (row->own < 0 ? row->embedding : 0);
}

/* The model's part, which belongs to no token. A row of shares lacks the mass of biases and sinks; less than rounding
 * counts as 0. */
static double model_of(const parts *row) {
    const hw_attribution *a = row->inner;
    if (a->balance) return a->balance[row->i].mlp + a->balance[row->i].bias;
    double all = rest_of(row), L = (double)a->n_layers;
    for (size_t k = 0; k < a->n_columns; k++) all += total_of(row, k);
    return L - all > 1e-5 * L ? L - all : 0;
}

static double positive(double v) { return v > 0 ? v : 0; }

static double counts(const parts *row, double v) { return row->both_sides ? fabs(v) : positive(v); }

/* Writes the cells of one column from its part of the row, as numbers whose mean over layers is its share. `unit`: of
 * positive parts; 0: the part does not count. */
static void put_cell(float *to, const float *from, size_t L, double extra, double unit) {
    for (size_t l = 0; l < L; l++) to[l] = (float)((from[l] + (l == 0 ? extra : 0)) * unit);
}

static hw_err check_row(const parts *row, hw_error *err) {
    const hw_attribution *a = row->inner;
    double sum = rest_of(row) + model_of(row);
    for (size_t k = 0; k < a->n_columns; k++) sum += fabs(total_of(row, k));
    if (!isfinite(sum))
        return hw__fail(err, HW_ERR_ARGUMENT, "row %zu has values that are not finite: it cannot be followed", row->i);
    for (size_t k = row->n_columns + row->t + 1; k < a->n_columns; k++)
        if (total_of(row, k) != 0)
            return hw__fail(err, HW_ERR_ARGUMENT, "row %zu draws on completion token %zu, which comes after it", row->i,
                            k - row->n_columns);
    return HW_OK;
}

/* Destination of the parts of a row. */
typedef struct share_row {
    float *values;  /* [C, L] */
    float *outside; /* [L] */
    float *hops;    /* [t] */
} share_row;

/* Splits a row: values and hops into shares of what came from tokens, which sum to 1. For rows of convention `own` the
 * token's own column is left out, because that share would only return to the same row. A row without positive parts
 * counts as the model's. */
static hw_through split_row(const share_row *to, const parts *row) {
    size_t C = row->n_columns, L = row->inner->n_layers;
    double rest = rest_of(row), model = counts(row, model_of(row)), prompt = positive(rest), completion = 0;
    for (size_t k = 0; k < C; k++) prompt += positive(total_of(row, k));
    for (size_t k = 0; k < row->t; k++) completion += counts(row, total_of(row, C + k));
    double sum = prompt + completion + model, unit = sum > model ? 1 / (sum - model) : 0;
    double of = row->inner->balance ? 1 : (double)L; /* nats: sums over layers */
    for (size_t k = 0; k < C; k++)
        put_cell(to->values + k * L, cell_of(row, k), L, row->own == (ptrdiff_t)k ? row->embedding : 0,
                 total_of(row, k) > 0 ? (double)L * unit : 0);
    put_cell(to->outside, row->inner->outside + row->i * L, L, row->own < 0 ? row->embedding : 0,
             rest > 0 ? (double)L * unit : 0);
    for (size_t k = 0; k < row->t; k++) to->hops[k] = (float)(counts(row, total_of(row, C + k)) * unit);
    return (hw_through){
        .prompt_direct = sum > 0 ? prompt / sum : 0, .model_direct = sum > model ? model / sum : 1, .raised = sum / of};
}

/* The row's own token is the one before the token that it explains; `logit` counts its embedding separately from its
 * column. */
static parts parts_of(const hw_attribution *inner, size_t i, const hw_method_params *p) {
    size_t m = inner->run->n_prompt, t = inner->first_token + i - m, C = p->groups ? p->n_groups : m;
    parts row = {.inner = inner, .i = i, .t = t, .n_columns = C, .own = -1};
    if (!inner->balance) {
        row.own = (ptrdiff_t)(C + t);
        return row;
    }
    row.embedding = inner->balance[i].embedding;
    row.own = t > 0 ? (ptrdiff_t)(C + t - 1) : p->groups ? p->groups[m - 1] : (ptrdiff_t)(m - 1);
    return row;
}

/* ------------------------------------------------------------------ rows */

void hw__through_state_clear(hw__through_state *state) {
    free(state->values);
    free(state->outside);
    free(state->model);
    *state = (hw__through_state){0};
}

static hw_err reserve(hw__through_state *state, size_t n, size_t cells, size_t L, hw_error *err) {
    size_t capacity = state->capacity * 2 > n ? state->capacity * 2 : n;
    if (n <= state->capacity) return HW_OK;
    size_t row_bytes, outside_bytes;
    bool fits = hw__mul(&row_bytes, cells, sizeof(float)) && hw__mul(&outside_bytes, L, sizeof(float));
    void *values = fits ? hw__realloc(state->values, capacity, row_bytes) : NULL;
    if (values) state->values = values;
    void *outside = values ? hw__realloc(state->outside, capacity, outside_bytes) : NULL;
    if (outside) state->outside = outside;
    double *model = outside ? hw__realloc(state->model, capacity, sizeof *model) : NULL;
    if (!model) return hw__fail_memory(err, "rows followed through the answer", capacity, cells * sizeof(float));
    state->model = model;
    state->capacity = capacity;
    return HW_OK;
}

static hw_err allocate_hops(hw_attribution *a, size_t n_hops, hw_error *err) {
    size_t cells;
    a->n_hops = n_hops;
    a->through = hw__alloc(a->n_rows, sizeof *a->through);
    a->hops = hw__mul(&cells, a->n_rows, n_hops) ? hw__alloc(cells, sizeof *a->hops) : NULL;
    if (a->through && a->hops) return HW_OK;
    return hw__fail_memory(err, "hops through the answer", a->n_rows, n_hops * sizeof *a->hops);
}

/* What is followed: rows of the result, which become R, and rows of `state`, which become W. */
typedef struct followed {
    hw_attribution *a;
    const hw__through_rows_of *rows;
    hw__through_state *state;
    float *hops;    /* [n_rows, n_hops] those of W */
    float *scratch; /* [cells + L + n_hops] a row of shares; NULL: rows of R and W are divided alike */
    size_t begin, cells;
} followed;

static void mix(float *to, const float *with, size_t n, double share) {
    if (share == 0) memcpy(to, with, n * sizeof *to);
    for (size_t c = 0; share > 0 && c < n; c++) to[c] = (float)(share * to[c] + (1 - share) * with[c]);
}

/* The positive parts of a row, for W: its own, with the model's as the gathered row, if that has parts. Writes which
 * share came from no token: 0 or 1. */
static hw_err pass_on(bool *gathered, const followed *f, const share_row *own, double model, parts row, hw_error *err) {
    size_t L = f->a->n_layers;
    share_row passed = {f->state->values + row.t * f->cells, f->state->outside + row.t * L,
                        f->hops + row.i * f->a->n_hops};
    *gathered = false;
    if (f->rows->gathered) {
        parts other = parts_of(f->rows->gathered, row.i, &f->a->params);
        hw_err rc = check_row(&other, err);
        if (rc != HW_OK) return rc;
        *gathered = split_row(&passed, &other).model_direct < 1;
    }
    double share = *gathered ? model : 0;
    mix(passed.values, own->values, f->cells, share);
    mix(passed.outside, own->outside, L, share);
    mix(passed.hops, own->hops, row.t, share);
    f->state->model[row.t] = model < 1 || *gathered ? 0 : 1;
    return HW_OK;
}

/* Splits row i into the shares for R and those for W, which differ where R's count both sides of a contrast. */
static hw_err split_both(const followed *f, size_t i, hw_error *err) {
    hw_attribution *a = f->a;
    size_t L = a->n_layers;
    parts row = parts_of(f->rows->inner, i, &a->params), sides = row;
    share_row direct = {a->values + i * f->cells, a->outside + i * L, a->hops + i * a->n_hops}, own = direct;
    hw_err rc = check_row(&row, err);
    if (rc != HW_OK) return rc;
    if (f->scratch) own = (share_row){f->scratch, f->scratch + f->cells, f->scratch + f->cells + L};
    a->through[i] = split_row(&own, &row);
    double model = a->through[i].model_direct;
    sides.both_sides = true;
    if (f->scratch) a->through[i] = split_row(&direct, &sides);
    return pass_on(&a->through[i].gathered, f, &own, model, row, err);
}

static double lost_by(const float *hops, const double *model, size_t n) {
    double lost = 0;
    for (size_t k = 0; k < n; k++) lost += (double)hops[k] * model[k];
    return lost < 1 ? lost : 1;
}

/* Adds to the cells of one column a part that raised the other token, `total` of the row's. It counts no more than what
 * came from the same column through the completion, which is what the cells hold. Returns its share. */
static double add_lowering(float *cells, const float *from, size_t L, double total, double extra, double unit) {
    double came = sum_of(cells, L) / (double)L, size = -total * unit, share = size < came ? size : came;
    if (total >= 0 || share <= 0) return 0;
    for (size_t l = 0; l < L; l++) cells[l] += (float)((from[l] + (l == 0 ? extra : 0)) * (double)L * share / total);
    return share;
}

static void scale(float *to, size_t n, double by) {
    for (size_t c = 0; c < n; c++) to[c] = (float)(to[c] * by);
}

/* Counts what the prompt of row i gave the other token, and divides the row by its new sum. */
static void count_lowering(const followed *f, size_t i) {
    hw_attribution *a = f->a;
    hw_through *row = &a->through[i];
    size_t L = a->n_layers;
    const parts sides = parts_of(f->rows->inner, i, &a->params);
    double tokens = (1 - row->model_direct) * row->raised, unit = tokens > 0 ? 1 / tokens : 0, rest = rest_of(&sides);
    double share = add_lowering(a->outside + i * L, f->rows->inner->outside + i * L, L, rest,
                                sides.own < 0 ? sides.embedding : 0, unit);
    for (size_t k = 0; k < sides.n_columns; k++)
        share += add_lowering(a->values + i * f->cells + k * L, cell_of(&sides, k), L, total_of(&sides, k),
                              sides.own == (ptrdiff_t)k ? sides.embedding : 0, unit);
    double sum = row->raised + share * tokens, whole = 1 / (1 + share);
    if (share == 0) return;
    scale(a->values + i * f->cells, f->cells, whole);
    scale(a->outside + i * L, L, whole);
    scale(a->hops + i * a->n_hops, a->n_hops, whole);
    row->prompt_direct = (row->prompt_direct * row->raised + share * tokens) / sum;
    row->model_direct *= row->raised / sum;
    row->raised = sum;
}

/* The share of each row's tokens that came from no token, and the totals of the prompt and the model. */
static void solve_model(const followed *f) {
    hw_attribution *a = f->a;
    double *model = f->state->model;
    for (size_t i = 0; i < a->n_rows; i++) {
        hw_through *row = &a->through[i];
        size_t t = f->begin + i, at = i * a->n_hops;
        double tokens = 1 - row->model_direct;
        if (model[t] == 0) model[t] = lost_by(f->hops + at, model, t);
        row->prompt = tokens * (1 - lost_by(a->hops + at, model, t));
        row->model = 1 - row->prompt;
    }
}

/* Rows of the result, followed: shares of all that raised the row's token. */
static void solve_rows(const followed *f) {
    hw_attribution *a = f->a;
    size_t L = a->n_layers, end = f->begin + a->n_rows;
    hw__hops passed = {f->hops, a->n_hops, f->begin, end}, direct = {a->hops, a->n_hops, f->begin, end};
    hw__through_solve(f->state->values, f->cells, &passed);
    hw__through_solve(f->state->outside, L, &passed);
    hw__through_apply(a->values, f->state->values, f->cells, &direct);
    hw__through_apply(a->outside, f->state->outside, L, &direct);
    for (size_t i = 0; f->scratch && i < a->n_rows; i++) count_lowering(f, i);
    solve_model(f);
    for (size_t i = 0; i < a->n_rows; i++) {
        double tokens = 1 - a->through[i].model_direct;
        scale(a->values + i * f->cells, f->cells, tokens);
        scale(a->outside + i * L, L, tokens);
        scale(a->hops + i * a->n_hops, a->n_hops, tokens);
    }
}

static bool same_shape(const hw_attribution *a, const hw_attribution *b) {
    return a->run == b->run && a->first_token == b->first_token && a->n_rows == b->n_rows &&
           a->n_columns == b->n_columns && a->n_layers == b->n_layers;
}

static hw_err follow(hw_attribution *a, const hw__through_rows_of *rows, hw__through_state *state, hw_error *err) {
    size_t begin = a->first_token - a->run->n_prompt, end = begin + a->n_rows, L = a->n_layers;
    followed f = {.a = a, .rows = rows, .state = state, .begin = begin, .cells = a->n_columns * L};
    if (state->n != begin)
        return hw__fail(err, HW_ERR_ARGUMENT, "rows from completion token %zu on: they are followed from %zu on", begin,
                        state->n);
    if (rows->gathered && !same_shape(rows->inner, rows->gathered))
        return hw__fail(err, HW_ERR_ARGUMENT, "rows of what positions had gathered do not match those to follow");
    hw_err rc = reserve(state, end, f.cells, L, err);
    if (rc == HW_OK) rc = allocate_hops(a, end, err);
    if (rc == HW_OK && !(f.hops = hw__alloc(a->n_rows * end, sizeof *f.hops))) /* as many as a->hops */
        rc = hw__fail_memory(err, "hops through the answer", a->n_rows, end * sizeof *f.hops);
    if (rc == HW_OK && rows->inner->balance && hw__run_against_token(a->run) &&
        !(f.scratch = hw__alloc(f.cells + L + end, sizeof *f.scratch)))
        rc = hw__fail_memory(err, "a row of shares", f.cells + L + end, sizeof *f.scratch);
    for (size_t i = 0; i < a->n_rows && rc == HW_OK; i++) rc = split_both(&f, i, err);
    if (rc == HW_OK) solve_rows(&f);
    free(f.hops);
    free(f.scratch);
    if (rc != HW_OK) return rc;
    memcpy(a->layers, rows->inner->layers, L * sizeof *a->layers);
    state->n = end;
    return HW_OK;
}

/* Keeps the direct balance besides the followed shares. */
static hw_err copy_balance(hw_attribution *a, const hw_attribution *inner, hw_error *err) {
    if (!inner->balance) return HW_OK;
    a->balance = hw__alloc(a->n_rows, sizeof *a->balance);
    if (!a->balance) return hw__fail_memory(err, "a balance", a->n_rows, sizeof *a->balance);
    memcpy(a->balance, inner->balance, a->n_rows * sizeof *a->balance);
    return HW_OK;
}

hw_err hw__through_rows(hw_attribution **out, const hw__through_rows_of *rows, const hw_method_params *p,
                        hw__through_state *state, hw_error *err) {
    hw__through_state whole = {0};
    const hw_attribution *inner = rows->inner;
    hw_attribution *a;
    size_t m = inner->run->n_prompt, begin = inner->first_token - m;
    if (inner->first_token < m || hw_run_n_completion(inner->run) == 0)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the run has no completion to follow back to the prompt");
    hw__attribution_part part = {inner->method, inner->n_layers, begin, begin + inner->n_rows};
    hw_err rc = hw__attribution_new_rows(&a, inner->run, part, p, err);
    if (rc != HW_OK) return rc;
    a->params.row = inner->params.row;
    rc = follow(a, rows, state ? state : &whole, err);
    if (rc == HW_OK) rc = copy_balance(a, inner, err);
    if (rc == HW_OK && inner->measured)
        rc = hw__attribution_set_measured(a, inner->measured, inner->run->n_tokens, err);
    hw__through_state_clear(&whole);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    *out = a;
    return HW_OK;
}

/* ------------------------------------------------------------------ explaining */

hw_err hw__through_inner(hw_method_params *out, int32_t **groups, const hw_method_params *p, const hw_run *run,
                         hw_error *err) {
    *out = *p;
    *groups = NULL;
    out->through = false;
    out->columns = HW_COLUMNS_ALL;
    out->group_names = NULL;
    hw_err rc = hw__groups_check(p, run, err);
    if (rc != HW_OK || !p->groups) return rc;
    size_t n = run->n_tokens - run->n_prompt;
    if (p->n_groups > INT32_MAX - n)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu groups of columns beside %zu tokens are too many", p->n_groups, n);
    int32_t *all = hw__alloc(run->n_tokens, sizeof *all);
    if (!all) return hw__fail_memory(err, "column groups", run->n_tokens, sizeof *all);
    memcpy(all, p->groups, run->n_prompt * sizeof *all);
    for (size_t k = 0; k < n; k++) all[run->n_prompt + k] = (int32_t)(p->n_groups + k);
    out->groups = *groups = all;
    out->n_groups = p->n_groups + n;
    return HW_OK;
}

const hw_through *hw_attribution_through_rows(const hw_attribution *a) { return a->through; }

double hw_attribution_hop(const hw_attribution *a, size_t i, size_t k) {
    return a->hops && i < a->n_rows && k < a->n_hops ? a->hops[i * a->n_hops + k] : 0;
}
