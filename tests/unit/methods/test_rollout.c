/*
 * test_rollout.c - rollout against results known exactly, against a dense product, and against its wrong cousins.
 *
 * Every trace goes through the capture sink and hw_explain(). Where a run has no completion M has a row for every
 * token, so that S_l = R_{l+1} is seen whole.
 */
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_T = 24 };

typedef double matrix[MAX_T][MAX_T]; /* [q][k] */

static hw_attribution *roll(size_t n_layers, size_t n_tokens, attention_fn attention, const void *ctx,
                            double residual) {
    hw_trace *trace = make_trace(&(trace_spec){.n_layers = n_layers,
                                               .n_heads = 2,
                                               .n_prompt = n_tokens,
                                               .attention = attention,
                                               .ctx = ctx,
                                               .key_padding = 3});
    hw_method_params p = hw_method_params_default();
    p.residual = residual;
    hw_attribution *a = explain(trace, &p);
    hw_trace_free(trace);
    return a;
}

static double choose(size_t n, size_t k) {
    double c = 1;
    for (size_t i = 0; i < k; i++) c = c * (double)(n - i) / (double)(i + 1);
    return k <= n ? c : 0;
}

/* ------------------------------------------------------------------ exact results (methods, section 6) */

static double uniform(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)l, (void)h, (void)k;
    return 1.0 / (double)(q + 1);
}

static void uniform_gives_the_known_fractions(void **state) {
    (void)state;
    static const double want[3][6] = {
        {1 / 12.0, 1 / 12.0, 1 / 12.0, 1 / 12.0, 1 / 12.0, 7 / 12.0},
        {89 / 480.0, 23 / 160.0, 59 / 480.0, 157 / 1440.0, 71 / 720.0, 49 / 144.0},
        {1239011941 / 2488320000.0, 488505361 / 2488320000.0, 281712271 / 2488320000.0, 183911611 / 2488320000.0,
         7944301 / 155520000.0, 16807 / 248832.0},
    };
    static const size_t depth[3] = {1, 2, 5};
    hw_attribution *a = roll(5, 6, uniform, NULL, 0.5);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 6; k++) assert_close(cell(a, 5, k, depth[i] - 1), want[i][k], LAYER_BOUND(depth[i]));
    hw_attribution_free(a);
}

/* R_L[q,k] = C(q,k) sum_r (-1)^r C(q-k,r) mu_{k+r}^L, mu_r = residual + (1 - residual)/(r+1). Cancellation in double
 * costs up to C(q,q/2)^2 2^-53. */
static double uniform_formula(size_t q, size_t k, size_t n_layers, double residual) {
    double sum = 0;
    for (size_t r = 0; r <= q - k; r++) {
        double mu = residual + (1 - residual) / (double)(k + r + 1);
        sum += (r % 2 ? -1 : 1) * choose(q - k, r) * pow(mu, (double)n_layers);
    }
    return choose(q, k) * sum;
}

static void uniform_follows_the_formula(void **state) {
    (void)state;
    static const double residuals[] = {0.5, 0.3, 0.9, 0};
    for (size_t i = 0; i < sizeof residuals / sizeof *residuals; i++) {
        hw_attribution *a = roll(7, 17, uniform, NULL, residuals[i]);
        for (size_t q = 0; q < 17; q++)
            for (size_t k = 0; k <= q; k++)
                for (size_t l = 0; l < 7; l++)
                    assert_close(cell(a, q, k, l), uniform_formula(q, k, l + 1, residuals[i]), LAYER_BOUND(l + 1));
        hw_attribution_free(a);
    }
}

static const double sink_share[4] = {0.9, 0.25, 0.6, 0.05};

static double sink(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)h;
    if (q == 0) return 1;
    return k == 0 ? sink_share[l] : k == q ? 1 - sink_share[l] : 0;
}

static void sink_drains_into_token_0(void **state) {
    (void)state;
    static const double residuals[] = {0.5, 0.2};
    for (size_t i = 0; i < 2; i++) {
        hw_attribution *a = roll(4, 9, sink, NULL, residuals[i]);
        double left = 1;
        for (size_t l = 0; l < 4; l++) {
            left *= 1 - sink_share[l] * (1 - residuals[i]);
            for (size_t q = 1; q < 9; q++) {
                assert_close(cell(a, q, q, l), left, LAYER_BOUND(l + 1));
                assert_close(cell(a, q, 0, l), 1 - left, LAYER_BOUND(l + 1));
                for (size_t k = 1; k < q; k++) assert_true(cell(a, q, k, l) == 0);
            }
        }
        hw_attribution_free(a);
    }
}

static double previous(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)l, (void)h;
    return k + 1 == q || (q == 0 && k == 0) ? 1 : 0;
}

static void previous_token_gives_binomials(void **state) {
    (void)state;
    static const double residuals[] = {0.5, 0.75};
    for (size_t i = 0; i < 2; i++) {
        hw_attribution *a = roll(6, 9, previous, NULL, residuals[i]);
        for (size_t l = 0; l < 6; l++) {
            for (size_t q = 1; q < 9; q++) {
                double rest = 1;
                for (size_t back = 0; back < q; back++) {
                    double r = residuals[i];
                    double want =
                        choose(l + 1, back) * pow(1 - r, (double)back) * pow(r, (double)(l + 1) - (double)back);
                    assert_close(cell(a, q, q - back, l), back <= l + 1 ? want : 0, LAYER_BOUND(l + 1));
                    rest -= back <= l + 1 ? want : 0;
                }
                assert_close(cell(a, q, 0, l), rest, 8 * LAYER_BOUND(l + 1)); /* a sum of up to 8 */
            }
        }
        hw_attribution_free(a);
    }
}

static double geometric(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)l, (void)h;
    double g = *(const double *)ctx;
    return k == 0 ? pow(g, (double)q) : (1 - g) * pow(g, (double)(q - k));
}

/* 2^-L sum_r C(L,r) NB_r(back), column 0 aside. */
static double geometric_formula(size_t back, size_t n_layers, double g) {
    double sum = back == 0;
    for (size_t r = 1; r <= n_layers; r++)
        sum += choose(n_layers, r) * choose(back + r - 1, back) * pow(1 - g, (double)r) * pow(g, (double)back);
    return sum / pow(2, (double)n_layers);
}

static void geometric_gives_negative_binomials(void **state) {
    (void)state;
    static const double want[6] = {83 / 1024.0, 57 / 1024.0, 23 / 256.0, 9 / 64.0, 27 / 128.0, 27 / 64.0};
    double half = 0.5, g = 0.8;
    hw_attribution *a = roll(3, 6, geometric, &half, 0.5);
    for (size_t k = 0; k < 6; k++) assert_close(cell(a, 5, k, 2), want[k], LAYER_BOUND(3));
    hw_attribution_free(a);
    a = roll(5, 12, geometric, &g, 0.5);
    for (size_t q = 1; q < 12; q++) {
        double rest = 1;
        for (size_t k = 1; k <= q; k++) {
            assert_close(cell(a, q, k, 4), geometric_formula(q - k, 5, g), LAYER_BOUND(5));
            rest -= geometric_formula(q - k, 5, g);
        }
        assert_close(cell(a, q, 0, 4), rest, LAYER_BOUND(5));
    }
    hw_attribution_free(a);
}

static double everywhere(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)l, (void)h, (void)q, (void)k;
    return 1.0 / *(const double *)ctx;
}

static void bidirectional_uniform_forgets_by_halves(void **state) {
    (void)state;
    double n = 7;
    hw_trace *trace = make_trace(&(trace_spec){
        .n_layers = 4, .n_heads = 1, .n_prompt = 7, .bidirectional = true, .attention = everywhere, .ctx = &n});
    hw_attribution *a = explain(trace, NULL);
    for (size_t l = 0; l < 4; l++) {
        double kept = pow(2, -(double)(l + 1));
        for (size_t q = 0; q < 7; q++)
            for (size_t k = 0; k < 7; k++)
                assert_close(cell(a, q, k, l), (q == k) * kept + (1 - kept) / n, LAYER_BOUND(l + 1));
    }
    hw_attribution_free(a);
    hw_trace_free(trace);
}

static double worked(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)h;
    static const double attn[2][3][3] = {{{1, 0, 0}, {0.6, 0.4, 0}, {0.5, 0.3, 0.2}},
                                         {{1, 0, 0}, {0.25, 0.75, 0}, {0.1, 0.7, 0.2}}};
    return attn[l][q][k];
}

static void worked_example(void **state) {
    (void)state;
    static const double want[3][3] = {{1, 0, 0}, {31 / 80.0, 49 / 80.0, 0}, {61 / 200.0, 67 / 200.0, 9 / 25.0}};
    hw_attribution *a = roll(2, 3, worked, NULL, 0.5);
    for (size_t q = 0; q < 3; q++)
        for (size_t k = 0; k < 3; k++) assert_close(cell(a, q, k, 1), want[q][k], LAYER_BOUND(2));
    hw_attribution_free(a);
}

/* ------------------------------------------------------------------ what holds for any causal model */

/* Mean over two heads, as the capture stores it up to one rounding. */
static double mean_weight(size_t l, size_t q, size_t k) {
    return (random_attention(NULL, l, 0, q, k) + random_attention(NULL, l, 1, q, k)) / 2;
}

static void causal_rollout_is_a_distribution_over_the_past(void **state) {
    (void)state;
    enum { L = 5, T = 20 };
    hw_attribution *a = roll(L, T, random_attention, NULL, 0.5);
    for (size_t l = 0; l < L; l++) {
        for (size_t q = 0; q < T; q++) {
            double sum = 0, diagonal = 1;
            for (size_t k = 0; k < T; k++) sum += cell(a, q, k, l);
            for (size_t up = 0; up <= l; up++) diagonal *= (1 + mean_weight(up, q, q)) / 2;
            assert_close(sum, 1, LAYER_BOUND(l + 1));
            assert_close(cell(a, q, q, l), diagonal, LAYER_BOUND(l + 1));
            assert_true(cell(a, q, q, l) >= pow(2, -(double)(l + 1)));
            for (size_t k = q + 1; k < T; k++) assert_true(cell(a, q, k, l) == 0);
            for (size_t k = 0; k < T && l > 0; k++) assert_true(cell(a, q, k, l) >= cell(a, q, k, l - 1) / 2 - 0x1p-24);
        }
        assert_close(cell(a, 0, 0, l), 1, LAYER_BOUND(l + 1));
    }
    hw_attribution_free(a);
}

static void mass_on_token_0_lies_in_the_sandwich(void **state) {
    (void)state;
    enum { L = 5, T = 20 };
    hw_attribution *a = roll(L, T, random_attention, NULL, 0.5);
    for (size_t q = 1; q < T; q++) {
        double low = 1, high = 1;
        for (size_t l = 0; l < L; l++) {
            double min = 1, max = 0;
            for (size_t j = 1; j <= q; j++) {
                min = fmin(min, mean_weight(l, j, 0));
                max = fmax(max, mean_weight(l, j, 0));
            }
            low *= 1 - max / 2;
            high *= 1 - min / 2;
        }
        double left = 1 - cell(a, q, 0, L - 1);
        assert_true(left >= low - LAYER_BOUND(L) && left <= high + LAYER_BOUND(L));
    }
    hw_attribution_free(a);
}

static const size_t windows[3] = {3, 6, 2};

static double windowed(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)h;
    size_t width = q + 1 < windows[l] ? q + 1 : windows[l];
    return q - k < width ? 1.0 / (double)width : 0;
}

static void sliding_windows_bound_the_row_width(void **state) {
    (void)state;
    hw_attribution *a = roll(3, 16, windowed, NULL, 0.5);
    for (size_t l = 0, row_width = 0; l < 3; l++) {
        row_width += windows[l] - 1;
        for (size_t q = 0; q < 16; q++)
            for (size_t k = 0; k <= q; k++) assert_true((cell(a, q, k, l) == 0) == (q - k > row_width));
    }
    hw_attribution_free(a);
}

/* ------------------------------------------------------------------ invariances */

static void assert_same(const hw_attribution *a, const hw_attribution *b, size_t n_rows, size_t n_columns,
                        double bound) {
    assert_int_equal(a->n_layers, b->n_layers);
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < n_columns; k++)
            for (size_t l = 0; l < a->n_layers; l++) assert_close(cell(a, i, k, l), cell(b, i, k, l), bound);
}

static void appended_tokens_change_no_earlier_row(void **state) {
    (void)state;
    hw_attribution *a = roll(4, 11, random_attention, NULL, 0.5), *longer = roll(4, 19, random_attention, NULL, 0.5);
    assert_same(a, longer, 11, 11, LAYER_BOUND(4)); /* BLAS sums products of another shape in another order */
    hw_attribution_free(a);
    hw_attribution_free(longer);
}

static double other_order(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    static const size_t order[3] = {2, 0, 1};
    return random_attention(ctx, l, order[h], q, k);
}

static double one_head(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)h;
    return random_attention(ctx, l, 0, q, k);
}

static hw_attribution *roll_heads(attention_fn attention, size_t n_heads, hw_fuse fuse) {
    hw_trace *trace = make_trace(
        &(trace_spec){.n_layers = 3, .n_heads = n_heads, .n_prompt = 12, .attention = attention, .fuse = fuse});
    hw_attribution *a = explain(trace, NULL);
    hw_trace_free(trace);
    return a;
}

static void heads_count_alike_whatever_their_order(void **state) {
    (void)state;
    for (int fuse = HW_FUSE_MEAN; fuse <= HW_FUSE_MIN; fuse++) {
        hw_attribution *a = roll_heads(random_attention, 3, fuse), *b = roll_heads(other_order, 3, fuse);
        assert_same(a, b, 12, 12, LAYER_BOUND(3)); /* float sums of three heads in another order */
        hw_attribution_free(a);
        hw_attribution_free(b);
        a = roll_heads(one_head, 1, fuse);
        b = roll_heads(one_head, 2, fuse);
        assert_same(a, b, 12, 12, 0);
        hw_attribution_free(a);
        hw_attribution_free(b);
    }
}

/* Layers 0 and 1 of the random model with one between that attends to itself only. */
static double idle_between(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    if (l == 1) return q == k;
    return random_attention(ctx, l == 0 ? 0 : 1, h, q, k);
}

static void layer_that_attends_to_itself_changes_nothing(void **state) {
    (void)state;
    hw_attribution *a = roll(2, 12, random_attention, NULL, 0.5), *b = roll(3, 12, idle_between, NULL, 0.5);
    for (size_t q = 0; q < 12; q++) {
        for (size_t k = 0; k < 12; k++) {
            assert_close(cell(b, q, k, 1), cell(b, q, k, 0), 0);
            assert_close(cell(b, q, k, 2), cell(a, q, k, 1), 0);
        }
    }
    hw_attribution_free(a);
    hw_attribution_free(b);
}

static void extreme_residuals(void **state) {
    (void)state;
    hw_attribution *none = roll(1, 9, random_attention, NULL, 0), *only = roll(3, 9, random_attention, NULL, 1);
    for (size_t q = 0; q < 9; q++) {
        for (size_t k = 0; k < 9; k++) {
            assert_close(cell(none, q, k, 0), k <= q ? mean_weight(0, q, k) : 0, LAYER_BOUND(1));
            assert_true(cell(only, q, k, 2) == (q == k));
        }
    }
    hw_attribution_free(none);
    hw_attribution_free(only);
}

/* Rows that sum to less than 1, of models with learned sinks: (A + I) / (1 + sum A). */
static double with_sinks(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    return random_attention(ctx, l, h, q, k) * (0.2 + 0.1 * (double)(q % 5));
}

static void learned_sinks_leave_more_to_the_residual(void **state) {
    (void)state;
    hw_trace *trace =
        make_trace(&(trace_spec){.n_layers = 1, .n_heads = 2, .n_prompt = 9, .attention = with_sinks, .sinks = true});
    hw_attribution *a = explain(trace, NULL);
    for (size_t q = 0; q < 9; q++) {
        double share = 0.2 + 0.1 * (double)(q % 5);
        for (size_t k = 0; k <= q; k++)
            assert_close(cell(a, q, k, 0), (mean_weight(0, q, k) * share + (k == q)) / (1 + share), LAYER_BOUND(1));
    }
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ the wrong cousins */

enum { N_L = 3, N_H = 3, N_T = 14, PAD = 5, N_K = N_T + PAD };

/* A [L,H,Q,K] as an engine shows it, padded columns zero. */
static float raw[N_L][N_H][N_T][N_K];

static double from_raw(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx;
    return (double)raw[l][h][q][k];
}

static int fill_raw(void **state) {
    (void)state;
    for (size_t l = 0; l < N_L; l++)
        for (size_t h = 0; h < N_H; h++)
            for (size_t q = 0; q < N_T; q++)
                for (size_t k = 0; k <= q; k++) raw[l][h][q][k] = (float)random_attention(NULL, l, h, q, k);
    return 0;
}

/* A way to read `raw`, right or wrong: heads fused, weight of column k in row q. */
typedef double (*reading)(size_t l, size_t q, size_t k);

static double read_mean(size_t l, size_t q, size_t k) {
    double sum = 0;
    for (size_t h = 0; h < N_H; h++) sum += raw[l][h][q][k];
    return sum / N_H;
}

static double read_transposed(size_t l, size_t q, size_t k) { return read_mean(l, k, q); }
static double read_sum(size_t l, size_t q, size_t k) { return read_mean(l, q, k) * N_H; }
static double read_next_row(size_t l, size_t q, size_t k) { return read_mean(l, q + 1 < N_T ? q + 1 : q, k); }
static double read_row_before(size_t l, size_t q, size_t k) { return read_mean(l, q ? q - 1 : q, k); }
static double read_first_head(size_t l, size_t q, size_t k) { return raw[l][0][q][k]; }
static double read_next_layer(size_t l, size_t q, size_t k) { return read_mean((l + 1) % N_L, q, k); }

/* Rows taken to be T long where they are K long. */
static double read_unpadded(size_t l, size_t q, size_t k) {
    double sum = 0;
    for (size_t h = 0; h < N_H; h++) sum += (&raw[l][0][0][0])[(h * N_T + q) * N_T + k];
    return sum / N_H;
}

/* ggml lists [K, Q, H]: an array of that order taken at its word. */
static double read_ggml_order(size_t l, size_t q, size_t k) {
    double sum = 0;
    for (size_t h = 0; h < N_H; h++) sum += (&raw[l][0][0][0])[(k * N_T + q) * N_H + h];
    return sum / N_H;
}

static double row_sum(reading read, size_t l, size_t q) {
    double sum = 0;
    for (size_t k = 0; k < N_T; k++) sum += read(l, q, k);
    return sum;
}

/* hat = (residual I + (1 - residual) A) with rows scaled to 1. */
static void add_identity(matrix hat, reading read, size_t l, double residual) {
    for (size_t q = 0; q < N_T; q++) {
        double total = residual + (1 - residual) * row_sum(read, l, q);
        for (size_t k = 0; k < N_T; k++)
            hat[q][k] = ((q == k) * residual + (1 - residual) * read(l, q, k)) / (total > 0 ? total : 1);
    }
}

static void multiply(matrix out, matrix a, matrix b) {
    matrix product = {{0}};
    for (size_t q = 0; q < N_T; q++)
        for (size_t j = 0; j < N_T; j++)
            for (size_t k = 0; k < N_T; k++) product[q][k] += a[q][j] * b[j][k];
    memcpy(out, product, sizeof(matrix));
}

static void identity(matrix out) {
    memset(out, 0, sizeof(matrix));
    for (size_t q = 0; q < N_T; q++) out[q][q] = 1;
}

/* Â_to-1 … Â_from, densely and in double. */
static void compose(matrix out, reading read, size_t from, size_t to, double residual) {
    identity(out);
    for (size_t l = from; l < to; l++) {
        matrix hat;
        add_identity(hat, read, l, residual);
        multiply(out, hat, out);
    }
}

/* R_{l-1} Â_l */
static void compose_reversed(matrix out, reading read, double residual) {
    identity(out);
    for (size_t l = 0; l < N_L; l++) {
        matrix hat;
        add_identity(hat, read, l, residual);
        multiply(out, out, hat);
    }
}

/* The residual added to the product, not to each factor. */
static void compose_identity_last(matrix out, reading read, double residual) {
    compose(out, read, 0, N_L, 0);
    for (size_t q = 0; q < N_T; q++)
        for (size_t k = 0; k < N_T; k++) out[q][k] = (q == k) * residual + (1 - residual) * out[q][k];
}

static void compose_identity_each_step(matrix out, reading read, double residual) {
    identity(out);
    for (size_t l = 0; l < N_L; l++) {
        matrix attn;
        add_identity(attn, read, l, 0);
        multiply(out, attn, out);
        for (size_t q = 0; q < N_T; q++)
            for (size_t k = 0; k < N_T; k++) out[q][k] = (q == k) * residual + (1 - residual) * out[q][k];
    }
}

static hw_attribution *roll_raw(const hw_method_params *p, size_t m) {
    hw_trace *trace = make_trace(&(trace_spec){.n_layers = N_L,
                                               .n_heads = N_H,
                                               .n_prompt = m,
                                               .n_completion = N_T - m,
                                               .attention = from_raw,
                                               .chunk = 4,
                                               .key_padding = PAD,
                                               .row_gap = 2});
    hw_attribution *a = explain(trace, p);
    hw_trace_free(trace);
    return a;
}

/* Largest difference of the full-depth result to `want`. */
static double distance(const hw_attribution *a, matrix want) {
    double max = 0;
    for (size_t q = 0; q < N_T; q++)
        for (size_t k = 0; k < N_T; k++) max = fmax(max, fabs(cell(a, q, k, N_L - 1) - want[q][k]));
    return max;
}

static void wrong_conventions_give_other_numbers(void **state) {
    (void)state;
    static const double residuals[] = {0.5, 0.3};
    static const reading wrong_readings[] = {read_transposed, read_sum,        read_next_row, read_row_before,
                                             read_first_head, read_next_layer, read_unpadded, read_ggml_order};
    typedef void (*composing)(matrix out, reading read, double residual);
    static const composing wrong_products[] = {compose_reversed, compose_identity_last, compose_identity_each_step};
    for (size_t i = 0; i < 2; i++) {
        matrix want;
        double r = residuals[i];
        hw_method_params p = hw_method_params_default();
        p.residual = r;
        hw_attribution *a = roll_raw(&p, N_T);
        compose(want, read_mean, 0, N_L, r);
        assert_true(distance(a, want) <= LAYER_BOUND(N_L));
        for (size_t w = 0; w < sizeof wrong_readings / sizeof *wrong_readings; w++) {
            compose(want, wrong_readings[w], 0, N_L, r);
            assert_true(distance(a, want) > 0.03);
        }
        for (size_t w = 0; w < sizeof wrong_products / sizeof *wrong_products; w++) {
            wrong_products[w](want, read_mean, r);
            assert_true(distance(a, want) > 0.03);
        }
        compose(want, read_mean, 0, N_L, 1 - r);
        assert_true(r == 0.5 || distance(a, want) > 0.03); /* the residual's weight taken for the attention's */
        hw_attribution_free(a);
    }
}

/* ------------------------------------------------------------------ rows, directions and columns of M */

static void check_against_dense(hw_row_convention row, hw_direction direction, hw_columns columns) {
    enum { M = 9 };
    hw_method_params p = hw_method_params_default();
    p.row = row;
    p.direction = direction;
    p.columns = columns;
    p.residual = 0.4;
    hw_attribution *a = roll_raw(&p, M);
    assert_int_equal(hw_attribution_n_rows(a), N_T - M);
    assert_int_equal(hw_attribution_first_token(a), M);
    assert_int_equal(hw_attribution_n_columns(a), columns == HW_COLUMNS_ALL ? N_T : M);
    for (size_t l = 0; l < N_L; l++) {
        matrix want;
        bool input = direction == HW_DIRECTION_INPUT;
        compose(want, read_mean, input ? 0 : l, input ? l + 1 : N_L, 0.4);
        for (size_t i = 0; i < N_T - M; i++) {
            size_t q = row == HW_ROW_OWN ? M + i : M - 1 + i;
            double dropped = 0;
            for (size_t k = 0; k < a->n_columns; k++) assert_close(cell(a, i, k, l), want[q][k], LAYER_BOUND(N_L));
            for (size_t k = a->n_columns; k < N_T; k++) dropped += want[q][k];
            assert_close(outside(a, i, l), dropped, LAYER_BOUND(N_L));
        }
    }
    hw_attribution_free(a);
}

static void rows_directions_and_columns_match_a_dense_product(void **state) {
    (void)state;
    for (int row = HW_ROW_PREDICTOR; row <= HW_ROW_OWN; row++)
        for (int direction = HW_DIRECTION_INPUT; direction <= HW_DIRECTION_OUTPUT; direction++)
            for (int columns = HW_COLUMNS_PROMPT; columns <= HW_COLUMNS_ALL; columns++)
                check_against_dense(row, direction, columns);
}

static void directions_agree_at_full_depth(void **state) {
    (void)state;
    hw_method_params p = hw_method_params_default();
    hw_attribution *up = roll_raw(&p, 8);
    p.direction = HW_DIRECTION_OUTPUT;
    hw_attribution *down = roll_raw(&p, 8);
    for (size_t i = 0; i < up->n_rows; i++)
        for (size_t k = 0; k < 8; k++) assert_close(cell(up, i, k, N_L - 1), cell(down, i, k, 0), LAYER_BOUND(N_L));
    assert_true(fabs(cell(up, 0, 7, 0) - cell(down, 0, 7, 0)) > 0.1); /* and only there */
    hw_attribution_free(up);
    hw_attribution_free(down);
}

static void own_row_is_the_next_tokens_predictor(void **state) {
    (void)state;
    hw_method_params p = hw_method_params_default();
    hw_attribution *predictor = roll_raw(&p, 8);
    p.row = HW_ROW_OWN;
    hw_attribution *own = roll_raw(&p, 8);
    double differ = 0;
    for (size_t k = 0; k < 8; k++) {
        for (size_t l = 0; l < N_L; l++) {
            for (size_t i = 1; i < own->n_rows; i++)
                assert_close(cell(own, i - 1, k, l), cell(predictor, i, k, l), LAYER_BOUND(N_L));
            differ = fmax(differ, fabs(cell(own, 0, k, l) - cell(predictor, 0, k, l)));
        }
    }
    assert_true(differ > 0.1);
    assert_true(outside(predictor, 0, 0) == 0 && outside(own, 0, 0) > 0.1);
    hw_attribution_free(predictor);
    hw_attribution_free(own);
}

static void bidirectional_rows_match_a_dense_product(void **state) {
    (void)state;
    enum { T = 12 };
    double hat[2][T][T], want[T][T];
    for (size_t l = 0; l < 2; l++)
        for (size_t q = 0; q < T; q++)
            for (size_t k = 0; k < T; k++)
                hat[l][q][k] =
                    ((q == k) + (random_both_ways(NULL, l, 0, q, k) + random_both_ways(NULL, l, 1, q, k)) / 2) / 2;
    memset(want, 0, sizeof want);
    for (size_t q = 0; q < T; q++)
        for (size_t j = 0; j < T; j++)
            for (size_t k = 0; k < T; k++) want[q][k] += hat[1][q][j] * hat[0][j][k];
    hw_trace *trace = make_trace(&(trace_spec){
        .n_layers = 2, .n_heads = 2, .n_prompt = T, .bidirectional = true, .attention = random_both_ways});
    hw_method_params p = hw_method_params_default();
    hw_attribution *up = explain(trace, &p);
    p.direction = HW_DIRECTION_OUTPUT;
    hw_attribution *down = explain(trace, &p);
    for (size_t q = 0; q < T; q++) {
        for (size_t k = 0; k < T; k++) {
            assert_close(cell(up, q, k, 0), hat[0][q][k], LAYER_BOUND(1));
            assert_close(cell(up, q, k, 1), want[q][k], LAYER_BOUND(2));
            assert_close(cell(down, q, k, 1), hat[1][q][k], LAYER_BOUND(1));
            assert_close(cell(down, q, k, 0), want[q][k], LAYER_BOUND(2));
        }
    }
    hw_attribution_free(up);
    hw_attribution_free(down);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ groups */

/* Sums of `a` over the columns of each group must be `grouped`, and mass in no group outside. */
static void assert_grouped(const hw_attribution *a, const hw_attribution *grouped, const int32_t *groups) {
    for (size_t i = 0; i < a->n_rows; i++) {
        for (size_t l = 0; l < a->n_layers; l++) {
            double sums[MAX_T] = {0}, rest = outside(a, i, l);
            for (size_t k = 0; k < a->n_columns; k++) {
                if (groups[k] >= 0) {
                    sums[groups[k]] += cell(a, i, k, l);
                } else {
                    rest += cell(a, i, k, l);
                }
            }
            for (size_t g = 0; g < grouped->n_columns; g++) assert_close(cell(grouped, i, g, l), sums[g], 1e-6);
            assert_close(outside(grouped, i, l), rest, 1e-6);
        }
    }
}

static void check_groups(const int32_t *groups, size_t n_groups, hw_columns columns, hw_direction direction) {
    hw_method_params p = hw_method_params_default();
    p.row = HW_ROW_OWN;
    p.columns = columns;
    p.direction = direction;
    hw_attribution *a = roll_raw(&p, 10);
    p.groups = groups;
    p.n_groups = n_groups;
    hw_attribution *grouped = roll_raw(&p, 10);
    assert_int_equal(grouped->n_columns, n_groups);
    assert_true(hw_attribution_params(grouped).groups != groups); /* a copy of its own */
    assert_grouped(a, grouped, groups);
    hw_attribution_free(a);
    hw_attribution_free(grouped);
}

static void grouping_before_equals_summing_after(void **state) {
    (void)state;
    static const int32_t groupings[][N_T] = {
        {0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3},             /* segments */
        {3, 1, 0, 2, 1, 3, 0, 0, 2, 1, 0, 3, 2, 2},             /* any order, scattered */
        {-1, 0, -1, 0, 1, 1, -1, 2, 3, -1, 3, -1, 3, 0},        /* some in none */
        {-1, -1, -1, -1, -1, -1, -1, -1, -1, 2, -1, -1, -1, 3}, /* nearly none; groups 0 and 1 stay empty */
    };
    for (size_t g = 0; g < sizeof groupings / sizeof *groupings; g++) {
        for (int direction = HW_DIRECTION_INPUT; direction <= HW_DIRECTION_OUTPUT; direction++) {
            check_groups(groupings[g], 4, HW_COLUMNS_PROMPT, direction);
            check_groups(groupings[g], 4, HW_COLUMNS_ALL, direction);
        }
    }
}

static void one_token_each_is_no_grouping(void **state) {
    (void)state;
    int32_t each[N_T];
    for (int32_t k = 0; k < N_T; k++) each[k] = k;
    hw_method_params p = hw_method_params_default();
    hw_attribution *a = roll_raw(&p, 10);
    p.groups = each;
    p.n_groups = 10;
    hw_attribution *grouped = roll_raw(&p, 10);
    assert_same(a, grouped, a->n_rows, 10, 0);
    hw_attribution_free(a);
    hw_attribution_free(grouped);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_gives_the_known_fractions),
        cmocka_unit_test(uniform_follows_the_formula),
        cmocka_unit_test(sink_drains_into_token_0),
        cmocka_unit_test(previous_token_gives_binomials),
        cmocka_unit_test(geometric_gives_negative_binomials),
        cmocka_unit_test(bidirectional_uniform_forgets_by_halves),
        cmocka_unit_test(worked_example),
        cmocka_unit_test(causal_rollout_is_a_distribution_over_the_past),
        cmocka_unit_test(mass_on_token_0_lies_in_the_sandwich),
        cmocka_unit_test(sliding_windows_bound_the_row_width),
        cmocka_unit_test(appended_tokens_change_no_earlier_row),
        cmocka_unit_test(heads_count_alike_whatever_their_order),
        cmocka_unit_test(layer_that_attends_to_itself_changes_nothing),
        cmocka_unit_test(extreme_residuals),
        cmocka_unit_test(learned_sinks_leave_more_to_the_residual),
        cmocka_unit_test(wrong_conventions_give_other_numbers),
        cmocka_unit_test(rows_directions_and_columns_match_a_dense_product),
        cmocka_unit_test(directions_agree_at_full_depth),
        cmocka_unit_test(own_row_is_the_next_tokens_predictor),
        cmocka_unit_test(bidirectional_rows_match_a_dense_product),
        cmocka_unit_test(grouping_before_equals_summing_after),
        cmocka_unit_test(one_token_each_is_no_grouping),
    };
    return cmocka_run_group_tests(tests, fill_raw, NULL);
}
