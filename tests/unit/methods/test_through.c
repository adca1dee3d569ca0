/*
 * test_through.c - rows followed through the completion: a chain by hand, the matrix inverse, layers apart, and files.
 */
#include "methods/through.h"
#include "support/fake_engine.h"
#include "support/files.h"
#include "support/live_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { L = 3, M = 6, N = 5, T = M + N };

static hw_attribution *explain_by(const char *method, const hw_trace *trace, const hw_method_params *p) {
    hw_attribution *a = NULL;
    hw_error err = {0};
    if (hw_explain(&a, trace, method, p, &err) != HW_OK) fail_msg("%s: %s", method, err.msg);
    return a;
}

static hw_trace *the_trace(void) {
    return make_trace(
        &(trace_spec){.n_layers = L, .n_heads = 2, .n_prompt = M, .n_completion = N, .attention = random_attention});
}

static hw_method_params with_through(hw_row_convention row) {
    hw_method_params p = hw_method_params_default();
    p.row = row;
    p.through = true;
    return p;
}

/* ------------------------------------------------------------------ by hand
 *
 *        a   b   c0  c1  c2   embedding (of the token before)  MLPs    parts, divided by their sum
 *    c0  3   0                1  to b                          0       a .75, b .25
 *    c1  0   1   0            1  to c0                         2       b .25, c0 .25, model .5
 *    c2 -5   0   1   2        1  to c1                        -3       c0 .25, c1 .75
 *
 *    W = (.75 .25), (.375 .625), (.46875 .53125); R = (.75 .25 | 0), (.1875 .3125 | .5), W | 0; all exact in binary.
 */

static const char *const prompt[] = {"a", "b"};
static const char *const answer[] = {"c0", "c1", "c2"};

static hw_attribution *make_chain(const float values[3][5], const hw_balance *balance) {
    hw_method_params p = hw_method_params_default();
    p.columns = HW_COLUMNS_ALL;
    hw_attribution *a = make_attribution(make_run(1, prompt, 2, answer, 3), &p, 1, &values[0][0], NULL);
    a->method = "logit";
    a->balance = malloc(3 * sizeof *a->balance);
    assert_non_null(a->balance);
    memcpy(a->balance, balance, 3 * sizeof *a->balance);
    return a;
}

static const hw_balance chain_balance[] = {
    {.embedding = 1}, {.embedding = 1, .mlp = 1.5, .bias = 0.5}, {.embedding = 1, .mlp = -4, .bias = 1}};

static void a_chain_by_hand(void **state) {
    (void)state;
    static const float values[3][5] = {{3, 0, 0, 0, 0}, {0, 1, 0, 0, 0}, {-5, 0, 1, 2, 0}};
    static const double want[3][2] = {{0.75, 0.25}, {0.1875, 0.3125}, {0.46875, 0.53125}};
    static const double model[] = {0, 0.5, 0}, direct[] = {1, 0.25, 0};
    hw_attribution *a = make_chain(values, chain_balance), *f = NULL;
    hw_error err;
    if (hw_attribution_through(&f, a, &err) != HW_OK) fail_msg("%s", err.msg);
    const hw_through *rows = hw_attribution_through_rows(f);
    assert_int_equal(hw_attribution_n_columns(f), 2);
    assert_true(hw_attribution_params(f).through);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 2; k++) assert_true(cell(f, i, k, 0) == want[i][k]);
        assert_true(rows[i].model == model[i] && rows[i].prompt == 1 - model[i] && rows[i].raised == 4);
        assert_true(rows[i].prompt_direct == direct[i] && !rows[i].gathered);
    }
    const hw_diagnostics *d = hw_attribution_diagnostics(f);
    assert_true(d->first_last == d->first_mean && d->outside_last == d->outside_mean);
    assert_close(d->first_mean, (0.75 + 0.1875 + 0.46875) / 3, 1e-12);
    assert_true(rows[1].model_direct == 0.5 && rows[2].model_direct == 0);
    assert_true(hw_attribution_hop(f, 1, 0) == 0.25 && hw_attribution_hop(f, 2, 0) == 0.25);
    assert_true(hw_attribution_hop(f, 2, 1) == 0.75 && hw_attribution_hop(f, 2, 2) == 0);
    hw_attribution_free(f);
    hw_attribution_free(a);
}

/* The same chain, where it is known what positions had gathered: c0 b 1; c1 a .5, c0 .5; c2 b .333, c1 .667. Only c1
 * has a part of the model's to pass on, .5: a .25 and c0 .25, beside its own b .25 and c0 .25.
 *
 *    W = (.75 .25), (.625 .375); R_c1 as before, R_c2 = .25 W_c0 + .75 W_c1
 */
static void a_chain_with_what_positions_gathered(void **state) {
    (void)state;
    static const float values[3][5] = {{3, 0, 0, 0, 0}, {0, 1, 0, 0, 0}, {-5, 0, 1, 2, 0}};
    static const float gathered[3][5] = {{0, 1, 0, 0, 0}, {0.5F, 0, 0.5F, 0, 0}, {0, 0.25F, 0, 0.5F, 0}};
    static const double want[3][2] = {{0.75, 0.25}, {0.1875, 0.3125}, {0.65625, 0.34375}};
    hw_attribution *a = make_chain(values, chain_balance), *g = make_chain(gathered, chain_balance), *f = NULL;
    hw_error err;
    free(g->balance);
    g->balance = NULL;
    g->method = "contribution";
    hw_run_free(g->run);
    g->run = hw__run_retain(a->run);
    hw_method_params p = a->params;
    p.columns = HW_COLUMNS_PROMPT;
    p.through = true;
    if (hw__through_rows(&f, &(hw__through_rows_of){a, g}, &p, NULL, &err) != HW_OK) fail_msg("%s", err.msg);
    const hw_through *rows = hw_attribution_through_rows(f);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 2; k++) assert_true(cell(f, i, k, 0) == want[i][k]);
        assert_true(rows[i].gathered && rows[i].prompt + rows[i].model == 1);
    }
    assert_true(hw_attribution_hop(f, 1, 0) == 0.25 && hw_attribution_hop(f, 2, 1) == 0.75);
    hw_attribution_free(f);
    g->n_rows = 2;
    assert_error(&err, hw__through_rows(&f, &(hw__through_rows_of){a, g}, &p, NULL, &err), HW_ERR_ARGUMENT,
                 "do not match");
    g->n_rows = 3;
    g->values[3] = 1; /* row 0 from c1 */
    assert_error(&err, hw__through_rows(&f, &(hw__through_rows_of){a, g}, &p, NULL, &err), HW_ERR_ARGUMENT,
                 "row 0 draws on completion token 1");
    hw_attribution_free(g);
    hw_attribution_free(a);
}

/* Compared with another token, c1 is b 1, c0 1, model 1 by their sizes, and a, which raised the other by 1, as much as
 * came from it through c0, .375 of 2: in all 3.75. c2 is c1 alone, W = (.375 .625); of it a raised the other by .25,
 * and .375 came through c1. */
static void what_raised_the_other_token_counts(void **state) {
    (void)state;
    static const float values[3][5] = {{3, 0, 0, 0, 0}, {-1, 1, 0, 0, 0}, {-0.25F, 0, 0, 1, 0}};
    static const double want[3][2] = {{0.75, 0.25}, {0.4, 1 / 3.0}, {0.5, 0.5}}, sums[] = {4, 3.75, 1.25},
                        positive[] = {4, 2, 1};
    static const char *const accepted[] = {"second", " no"}, *const refused[] = {"distribution", ""};
    hw_attribution *a = make_chain(values, chain_balance), *f = NULL;
    hw_error err;
    a->balance[1] = (hw_balance){.embedding = 1, .mlp = -1};
    a->balance[2] = (hw_balance){0};
    for (size_t r = 0; r < 4; r++) {
        a->run->options.run.against = (char *)(r < 2 ? accepted[r] : refused[r - 2]);
        if (hw_attribution_through(&f, a, &err) != HW_OK) fail_msg("%s", err.msg);
        bool same = true;
        for (size_t i = 0; i < 3; i++)
            for (size_t k = 0; k < 2; k++) same = same && fabs(cell(f, i, k, 0) - want[i][k]) < 1e-6;
        assert_true(same == (r < 2));
        assert_close(f->through[1].model, r < 2 ? 1 / 3.75 : 0, 1e-6);
        for (size_t i = 0; i < 3; i++) {
            assert_close(f->through[i].raised, r < 2 ? sums[i] : positive[i], 1e-6);
            assert_close(f->through[i].model + f->through[i].prompt, 1, 1e-12);
            assert_close(cell(f, i, 0, 0) + cell(f, i, 1, 0), f->through[i].prompt, 1e-6);
        }
        assert_close(f->through[2].prompt_direct, r < 2 ? 0.2 : 0, 1e-6);
        assert_close(hw_attribution_hop(f, 2, 1), r < 2 ? 0.8 : 1, 1e-6);
        hw_attribution_free(f);
    }
    a->run->options.run.against = NULL;
    hw_attribution_free(a);
}

/* Nothing positive: all of the row is the model's, and that is said. */
static void a_row_that_nothing_raised(void **state) {
    (void)state;
    static const float values[3][5] = {{3, 0, 0, 0, 0}, {-1, -1, -2, 0, 0}, {0, 1, 0, 0, 0}};
    hw_attribution *a = make_chain(values, chain_balance), *f = NULL;
    hw_error err;
    a->balance[1] = (hw_balance){.embedding = -1, .mlp = -2};
    if (hw_attribution_through(&f, a, &err) != HW_OK) fail_msg("%s", err.msg);
    const hw_through *rows = hw_attribution_through_rows(f);
    assert_true(rows[1].raised == 0);
    assert_true(rows[1].model == 1 && rows[1].prompt == 0);
    assert_true(rows[2].raised == 2);
    assert_true(rows[2].model == 0.5); /* b 1, and the embedding of c1, which came from nothing else */
    hw_attribution_free(f);
    hw_attribution_free(a);
}

static void what_cannot_be_followed(void **state) {
    (void)state;
    static const float later[3][5] = {{3, 0, 0, 1, 0}, {0, 1, 1, 0, 0}, {0, 0, 1, 2, 0}};
    static const float bad[3][5] = {{3, NAN, 0, 0, 0}, {0, 1, 1, 0, 0}, {0, 0, 1, 2, 0}};
    const float(*const cases[])[5] = {later, bad};
    static const char *const parts[] = {"row 0 draws on completion token 1", "not finite"};
    hw_error err;
    hw_attribution *f = NULL;
    for (size_t i = 0; i < 2; i++) {
        hw_attribution *a = make_chain(cases[i], chain_balance);
        assert_error(&err, hw_attribution_through(&f, a, &err), HW_ERR_ARGUMENT, parts[i]);
        a->params.columns = HW_COLUMNS_PROMPT;
        assert_error(&err, hw_attribution_through(&f, a, &err), HW_ERR_ARGUMENT, "no column for each token");
        a->params.through = true;
        assert_error(&err, hw_attribution_through(&f, a, &err), HW_ERR_ARGUMENT, "already");
        a->params.through = false;
        a->method = "random";
        assert_error(&err, hw_attribution_through(&f, a, &err), HW_ERR_ARGUMENT, "random does not attribute");
        hw_attribution_free(a);
    }
    hw_method_params p = with_through(HW_ROW_PREDICTOR);
    hw_trace *trace = the_trace();
    hw_attribution *random = explain_by("random", trace, &p); /* which is not affected by it, and says so */
    assert_false(hw_attribution_params(random).through || hw_attribution_through_rows(random));
    hw_attribution_free(random);
    p.columns = HW_COLUMNS_ALL;
    assert_error(&err, hw_explain(&f, trace, "attention", &p, &err), HW_ERR_ARGUMENT, "columns all");
    hw_trace_free(trace);
    p.columns = HW_COLUMNS_PROMPT;
    trace = make_trace(&(trace_spec){.n_layers = 1, .n_heads = 1, .n_prompt = 4, .attention = random_attention});
    assert_error(&err, hw_explain(&f, trace, "attention", &p, &err), HW_ERR_UNSUPPORTED, "no completion");
    hw_trace_free(trace);
    assert_null(f);
}

static void a_completion_of_one_token(void **state) {
    (void)state;
    hw_method_params p = with_through(HW_ROW_PREDICTOR);
    hw_trace *trace = make_trace(
        &(trace_spec){.n_layers = L, .n_heads = 2, .n_prompt = M, .n_completion = 1, .attention = random_attention});
    hw_attribution *a = explain_by("attention", trace, &p);
    p.through = false;
    hw_attribution *direct = explain_by("attention", trace, &p);
    for (size_t c = 0; c < M * L; c++) assert_close(a->values[c], direct->values[c], 1e-6);
    assert_close(a->through[0].prompt, 1, 1e-6);
    hw_attribution_free(direct);
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ against the inverse */

/* N = (I - G)^-1 by Gauss-Jordan elimination, which does not use the triangular form. */
static void invert(double N_[N][N], double G[N][N]) {
    double a[N][2 * N] = {{0}};
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) a[i][j] = (i == j) - G[i][j];
        a[i][N + i] = 1;
    }
    for (size_t c = 0; c < N; c++) {
        double pivot = a[c][c];
        for (size_t j = 0; j < 2 * N; j++) a[c][j] /= pivot;
        for (size_t i = 0; i < N; i++) {
            double by = a[i][c];
            for (size_t j = 0; i != c && j < 2 * N; j++) a[i][j] -= by * a[c][j];
        }
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) N_[i][j] = a[i][N + j];
}

/* For a method in shares: own columns left out, the rest divided by its sum. */
static void check_against_inverse(const char *method, hw_row_convention row) {
    hw_trace *trace = the_trace();
    hw_method_params p = hw_method_params_default();
    p.row = row;
    p.columns = HW_COLUMNS_ALL;
    hw_attribution *all = explain_by(method, trace, &p);
    p = with_through(row);
    hw_attribution *a = explain_by(method, trace, &p);
    const hw_diagnostics *d = hw_attribution_diagnostics(a);
    /* no layer is a share of its own */
    assert_true(d->first_last == d->first_mean && d->outside_last == d->outside_mean);
    double G[N][N] = {{0}}, inverse[N][N], scale[N];
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        for (size_t k = 0; k < M + i; k++)
            for (size_t l = 0; l < L; l++) sum += cell(all, i, k, l);
        scale[i] = L / sum;
        for (size_t k = 0; k < i; k++)
            for (size_t l = 0; l < L; l++) G[i][k] += cell(all, i, M + k, l) / sum;
    }
    invert(inverse, G);
    for (size_t i = 0; i < N; i++) {
        double total = 0;
        for (size_t k = 0; k < M; k++) {
            for (size_t l = 0; l < L; l++) { /* layers stay apart */
                double want = 0;
                for (size_t j = 0; j < N; j++) want += inverse[i][j] * cell(all, j, k, l) * scale[j];
                assert_close(cell(a, i, k, l), want, 1e-5);
                total += cell(a, i, k, l) / L;
            }
        }
        assert_close(total, 1, 1e-5);
        assert_close(a->through[i].prompt, 1, 1e-5);
    }
    hw_attribution_free(a);
    hw_attribution_free(all);
    hw_trace_free(trace);
}

static void equals_the_inverse(void **state) {
    (void)state;
    static const char *const methods[] = {"attention", "rollout", "uniform"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        check_against_inverse(methods[i], HW_ROW_PREDICTOR);
        check_against_inverse(methods[i], HW_ROW_OWN);
    }
}

/* ------------------------------------------------------------------ what positions had gathered */

static const char *const words[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};

/* Rows begin .. end - 1 of one with random cells, some negative; of a method in shares all positive. */
static hw_attribution *random_rows(hw_run *run, const char *method, size_t begin, size_t end) {
    bool nats = strcmp(method, "logit") == 0;
    hw_method_params p = hw_method_params_default();
    hw_attribution *a = NULL;
    p.columns = HW_COLUMNS_ALL;
    assert_int_equal(hw__attribution_new_rows(&a, run, (hw__attribution_part){method, L, begin, end}, &p, NULL), HW_OK);
    if (nats) a->balance = calloc(N, sizeof *a->balance);
    for (size_t i = 0; i < end - begin; i++) {
        uint64_t seed = mix(begin + i + (nats ? 100 : 200));
        for (size_t c = 0; c < (M + begin + i) * L; c++)
            a->values[i * T * L + c] = (float)(unit(seed = mix(seed)) - (nats ? 0.3 : 0)) / (nats ? 1 : T);
        if (nats) a->balance[i] = (hw_balance){.mlp = 4 * unit(mix(seed)), .embedding = 1};
    }
    return a;
}

/* Positive shares [T] of a row, of all with the model's part. */
static double split(double *to, const hw_attribution *a, size_t i) {
    double model = a->balance ? a->balance[i].mlp : 0, sum = model;
    for (size_t k = 0; k < T; k++) {
        to[k] = a->balance && k + 1 == M + i ? 1 : 0;
        for (size_t l = 0; l < L; l++) to[k] += cell(a, i, k, l);
        sum += to[k] = to[k] > 0 ? to[k] : 0;
    }
    for (size_t k = 0; k < T; k++) to[k] /= sum;
    return model / sum;
}

static hw_attribution *follow_part(const hw_attribution *inner, const hw_attribution *gathered,
                                   hw__through_state *state) {
    hw_method_params p = inner->params;
    hw_attribution *a = NULL;
    hw_error err;
    p.columns = HW_COLUMNS_PROMPT;
    p.through = true;
    if (hw__through_rows(&a, &(hw__through_rows_of){inner, gathered}, &p, state, &err) != HW_OK)
        fail_msg("%s", err.msg);
    return a;
}

/* R = P + G (I - G - o G')^-1 (P + o P'). */
static void what_was_gathered_equals_the_inverse(void **state) {
    (void)state;
    hw_run *run = make_run(L, words, M, words + M, N);
    hw_attribution *inner = random_rows(run, "logit", 0, N), *gathered = random_rows(run, "contribution", 0, N);
    hw_attribution *a = follow_part(inner, gathered, NULL);
    double direct[N][T], read[T], passed[N][T], G[N][N] = {{0}}, inverse[N][N], model[N];
    for (size_t i = 0; i < N; i++) {
        model[i] = split(direct[i], inner, i);
        split(read, gathered, i);
        for (size_t k = 0; k < T; k++) passed[i][k] = direct[i][k] + model[i] * read[k];
        for (size_t k = 0; k < i; k++) G[i][k] = passed[i][M + k];
    }
    invert(inverse, G);
    for (size_t i = 0; i < N; i++) {
        double sum = model[i];
        for (size_t k = 0; k < M; k++) {
            double want = direct[i][k], got = 0;
            for (size_t j = 0; j < i; j++)
                for (size_t h = 0; h < N; h++) want += direct[i][M + j] * inverse[j][h] * passed[h][k];
            for (size_t l = 0; l < L; l++) got += cell(a, i, k, l) / L;
            assert_close(got, want, 1e-6);
            sum += got;
        }
        assert_close(sum, 1, 1e-6);
        assert_close(a->through[i].model, model[i], 1e-7);
        assert_true(a->through[i].gathered);
    }
    hw_attribution_free(a);
    hw_attribution_free(gathered);
    hw_attribution_free(inner);
    hw_run_free(run);
}

/* Signed columns [T] of a row of `logit`, and the model's part. */
static double read_signed(double *to, const hw_attribution *a, size_t i) {
    for (size_t k = 0; k < T; k++) {
        to[k] = k + 1 == M + i ? a->balance[i].embedding : 0;
        for (size_t l = 0; l < L; l++) to[k] += cell(a, i, k, l);
    }
    return a->balance[i].mlp;
}

static double limited(double x, double limit) { return x < limit ? x : limit; }

/* Of a contrast, R = P + |G| X + min(-P, |G| X) in each column of the prompt, divided by its sum with the model's part;
 * X = (I - G - o G')^-1 (P + o P') of the positive parts. */
static void a_contrast_equals_the_inverse(void **state) {
    (void)state;
    hw_run *run = make_run(L, words, M, words + M, N);
    run->options.run.against = (char *)"second";
    hw_attribution *inner = random_rows(run, "logit", 0, N), *gathered = random_rows(run, "contribution", 0, N);
    for (size_t i = 0; i < N; i++) inner->values[(i * T + i) * L] -= 2; /* one column of the prompt lowers each */
    hw_attribution *a = follow_part(inner, gathered, NULL);
    double passed[N][T], read[T], G[N][N] = {{0}}, inverse[N][N];
    for (size_t i = 0; i < N; i++) {
        double model = split(passed[i], inner, i);
        split(read, gathered, i);
        for (size_t k = 0; k < T; k++) passed[i][k] += model * read[k];
        for (size_t k = 0; k < i; k++) G[i][k] = passed[i][M + k];
    }
    invert(inverse, G);
    for (size_t i = 0; i < N; i++) {
        double row[T], want[M], model = read_signed(row, inner, i), sum = model;
        for (size_t k = 0; k < M; k++) {
            double came = 0;
            for (size_t j = 0; j < i; j++)
                for (size_t h = 0; h < N; h++) came += fabs(row[M + j]) * inverse[j][h] * passed[h][k];
            sum += want[k] = came + (row[k] > 0 ? row[k] : limited(-row[k], came));
        }
        for (size_t k = 0; k < M; k++) {
            double got = 0;
            for (size_t l = 0; l < L; l++) got += cell(a, i, k, l) / L;
            assert_close(got, want[k] / sum, 1e-6);
        }
        assert_close(a->through[i].model, model / sum, 1e-6);
        assert_close(a->through[i].raised, sum, 1e-5);
    }
    run->options.run.against = NULL;
    hw_attribution_free(a);
    hw_attribution_free(gathered);
    hw_attribution_free(inner);
    hw_run_free(run);
}

/* The same bits when the rows come in parts, with and without what was gathered, and of a contrast. */
static void parts_give_the_same(void **state) {
    (void)state;
    static const size_t ends[] = {1, 3, N};
    hw_run *run = make_run(L, words, M, words + M, N);
    for (int which = 0; which < 3; which++) {
        int known = which > 0;
        run->options.run.against = (char *)(which == 2 ? "second" : NULL);
        hw_attribution *inner = random_rows(run, "logit", 0, N), *gathered = random_rows(run, "contribution", 0, N);
        hw_attribution *whole = follow_part(inner, known ? gathered : NULL, NULL);
        hw__through_state growing = {0};
        for (size_t e = 0, begin = 0; e < 3; begin = ends[e++]) {
            hw_attribution *i = random_rows(run, "logit", begin, ends[e]);
            hw_attribution *g = random_rows(run, "contribution", begin, ends[e]);
            hw_attribution *part = follow_part(i, known ? g : NULL, &growing);
            assert_memory_equal(part->values, whole->values + begin * M * L,
                                (ends[e] - begin) * M * L * sizeof *part->values);
            assert_true(part->through[0].prompt == whole->through[begin].prompt);
            assert_true(part->through[0].gathered == (known == 1));
            hw_attribution_free(part);
            hw_attribution_free(g);
            hw_attribution_free(i);
        }
        hw__through_state_clear(&growing);
        run->options.run.against = NULL;
        hw_attribution_free(whole);
        hw_attribution_free(gathered);
        hw_attribution_free(inner);
    }
    hw_run_free(run);
}

/* The mass of learned sinks belongs to no token: it is the model's, for the explained row alone. */
static double half_attention(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    return random_attention(ctx, l, h, q, k) / 2;
}

static void sinks_are_the_models(void **state) {
    (void)state;
    hw_method_params p = with_through(HW_ROW_PREDICTOR);
    hw_trace *trace = make_trace(&(trace_spec){
        .n_layers = L, .n_heads = 2, .n_prompt = M, .n_completion = N, .sinks = true, .attention = half_attention});
    hw_trace *without = the_trace();
    hw_attribution *a = explain_by("attention", trace, &p), *full = explain_by("attention", without, &p);
    for (size_t c = 0; c < N * M * L; c++) assert_close(a->values[c], full->values[c] / 2, 1e-6);
    for (size_t i = 0; i < N; i++) {
        double total = a->through[i].model;
        for (size_t c = 0; c < M * L; c++) total += a->values[i * M * L + c] / L;
        assert_close(total, 1, 1e-6);
        assert_close(a->through[i].model, 0.5, 1e-6);
        assert_close(a->through[i].model_direct, 0.5, 1e-6);
    }
    hw_attribution_free(full);
    hw_attribution_free(a);
    hw_trace_free(without);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ groups, growing runs, files */

static void groups_keep_every_share(void **state) {
    (void)state;
    static const int32_t groups[M] = {-1, 0, 0, 1, -1, 1};
    hw_trace *trace = the_trace();
    hw_method_params p = with_through(HW_ROW_PREDICTOR);
    hw_attribution *tokens = explain_by("attention", trace, &p), *after = NULL;
    hw_error err;
    p.groups = groups;
    p.n_groups = 2;
    hw_attribution *seeded = explain_by("attention", trace, &p);
    if (hw_attribution_group(&after, tokens, groups, NULL, 2, &err) != HW_OK) fail_msg("%s", err.msg);
    for (size_t c = 0; c < N * 2 * L; c++) assert_close(after->values[c], seeded->values[c], 1e-6);
    for (size_t c = 0; c < N * L; c++) assert_close(after->outside[c], seeded->outside[c], 1e-6);
    assert_true(outside(seeded, N - 1, 0) > 0);
    for (size_t i = 0; i < N; i++) {
        assert_true(hw_attribution_hop(after, i, 0) == hw_attribution_hop(tokens, i, 0));
        assert_close(hw_attribution_hop(seeded, i, 0), hw_attribution_hop(tokens, i, 0), 1e-6);
    }
    hw_attribution_free(after);
    hw_attribution_free(seeded);
    hw_attribution_free(tokens);
    hw_trace_free(trace);
}

static void a_growing_run_gives_the_same(void **state) {
    (void)state;
    static const char *const by_row[] = {"attention", "uniform"}, *const composed[] = {"rollout"};
    static const char text[] = "It was sunny in Rome, the city of Russia";
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params run = hw_run_params_default();
    run.prompt = text;
    run.prompt_bytes = strlen(text);
    run.n_generate = 9;
    for (hw_row_convention row = HW_ROW_PREDICTOR; row <= HW_ROW_OWN; row++) {
        hw_method_params p = with_through(row);
        check_live(model, run, &p, (live_check){by_row, 2, .interval = 2, .n_parts = 4, .bound = LAYER_BOUND(9)});
        /* when it is whole */
        check_live(model, run, &p, (live_check){composed, 1, .interval = 2, .n_parts = 1, .bound = LAYER_BOUND(9)});
    }
    hw_model_close(model);
}

/* The same bits for any split. */
static void the_solve_is_the_same_in_parts(void **state) {
    (void)state;
    enum { ROWS = 9, CELLS = 1500 };
    static float whole[ROWS * CELLS], parts[ROWS * CELLS], hops[ROWS * ROWS];
    uint64_t seed = 7;
    for (size_t i = 0; i < ROWS * CELLS; i++) parts[i] = whole[i] = (float)unit(seed = mix(seed));
    for (size_t i = 0; i < ROWS * ROWS; i++) hops[i] = (float)unit(seed = mix(seed));
    hw__through_solve(whole, CELLS, &(hw__hops){hops, ROWS, 0, ROWS});
    hw__through_solve(parts, CELLS, &(hw__hops){hops, ROWS, 0, 4});
    hw__through_solve(parts, CELLS, &(hw__hops){hops + 4 * ROWS, ROWS, 4, 5});
    hw__through_solve(parts, CELLS, &(hw__hops){hops + 5 * ROWS, ROWS, 5, ROWS});
    assert_memory_equal(whole, parts, sizeof whole);
}

static void check_file(const hw_attribution *a, const char *path) {
    hw_result *result = NULL;
    hw_error err;
    if (hw_result_save(&a, 1, path, true, &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw_result_open(&result, path, &err) != HW_OK) fail_msg("%s", err.msg);
    const hw_attribution *b = hw_result_at(result, 0);
    assert_true(hw_attribution_params(b).through);
    for (size_t i = 0; i < N; i++) {
        assert_true(b->through[i].prompt == a->through[i].prompt && b->through[i].model == a->through[i].model);
        assert_true(b->through[i].prompt_direct == a->through[i].prompt_direct);
        assert_true(b->through[i].raised == a->through[i].raised);
        for (size_t k = 0; k < N; k++) assert_close(hw_attribution_hop(b, i, k), hw_attribution_hop(a, i, k), 1e-7);
    }
    hw_result_free(result);
}

static void files_keep_it(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params run = ask("It was sunny in Rome", NULL, N);
    hw_trace *trace = fake_trace(&fake, &run);
    hw_method_params p = with_through(HW_ROW_PREDICTOR);
    hw_attribution *a = explain_by("attention", trace, &p);
    check_file(a, temp_path("a.json"));
    check_file(a, temp_path("a.safetensors"));
    size_t n;
    char *bytes = read_bytes(temp_path("a.json"), &n);
    char *at = strstr(bytes, "\"hops\":");
    assert_non_null(at);
    memcpy(at, "\"hopz\":", 7);
    write_bytes(temp_path("b.json"), bytes, n);
    hw_result *result = NULL;
    hw_error err;
    assert_error(&err, hw_result_open(&result, temp_path("b.json"), &err), HW_ERR_FORMAT, "\"hops\" must be a list");
    free(bytes);
    hw_attribution_free(a);
    hw_trace_free(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_by_hand),
        cmocka_unit_test(a_chain_with_what_positions_gathered),
        cmocka_unit_test(what_raised_the_other_token_counts),
        cmocka_unit_test(a_row_that_nothing_raised),
        cmocka_unit_test(what_cannot_be_followed),
        cmocka_unit_test(a_completion_of_one_token),
        cmocka_unit_test(equals_the_inverse),
        cmocka_unit_test(what_was_gathered_equals_the_inverse),
        cmocka_unit_test(a_contrast_equals_the_inverse),
        cmocka_unit_test(parts_give_the_same),
        cmocka_unit_test(sinks_are_the_models),
        cmocka_unit_test(groups_keep_every_share),
        cmocka_unit_test(a_growing_run_gives_the_same),
        cmocka_unit_test(the_solve_is_the_same_in_parts),
        cmocka_unit_test(files_keep_it),
    };
    return cmocka_run_group_tests_name("through", tests, files_setup, files_teardown);
}
