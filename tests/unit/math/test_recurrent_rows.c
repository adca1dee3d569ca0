/* test_recurrent_rows.c - rows of recurrent layers against a chain worked by hand and against the recurrence itself,
 * which is run forwards with values that are 1 at one token and 0 elsewhere. */
#include "math/recurrent_rows.h"

#include "math/blas.h"
#include "support/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    T = 60,
    H = 6,
    HK = 3,
    S = 20,
    FIRST = 19,
    STRIDE = T + 3,
    FEW = 3 /* rows that take one step at a time */
};          /* S: a whole number of lanes and a rest; tokens from FIRST on: blocks of steps and a rest, and before it */

typedef struct arrays {
    float q[T * HK * S], k[T * HK * S], write[H * T], channels[T * H * S], rates[H * S], taps[H * S], own[H], v[H * T];
    double keep[H * T];
} arrays;

static float hashed(uint64_t i) { return (float)(2 * unit(mix(i)) - 1); }

static void fill(arrays *a) {
    for (size_t i = 0; i < T * HK * S; i++) {
        a->q[i] = hashed(i) / 4;
        a->k[i] = hashed(10000 + i) / 4;
    }
    for (size_t i = 0; i < H * T; i++) {
        a->write[i] = (float)unit(mix(20000 + i));
        a->keep[i] = 0.5 + unit(mix(30000 + i)) / 2;
        a->v[i] = hashed(40000 + i);
    }
    for (size_t i = 0; i < T * H * S; i++) a->channels[i] = (float)(0.4 + unit(mix(50000 + i)) / 2);
    for (size_t i = 0; i < H * S; i++) {
        a->rates[i] = -(float)unit(mix(60000 + i));
        a->taps[i] = hashed(70000 + i);
    }
    for (size_t h = 0; h < H; h++) a->own[h] = hashed(80000 + h);
}

static hw__recurrent layer(const arrays *a, hw__recurrence kind) {
    return (hw__recurrent){.kind = kind,
                           .n_tokens = T,
                           .n_heads = H,
                           .n_heads_k = HK,
                           .key_size = S,
                           .first_query = FIRST,
                           .q = a->q + FIRST * HK * S,
                           .k = a->k,
                           .keep = a->keep,
                           .write = a->write};
}

/* The state S [S] of one head and one channel of values, forwards: ggml's kernel for v = e_j. */
static double delta_forwards(const arrays *a, size_t h, size_t t, size_t j, bool by_channel) {
    double state[S] = {0}, out = 0;
    for (size_t i = 0; i <= t; i++) {
        const float *k = a->k + (i * HK + h % HK) * S;
        double sum = 0;
        for (size_t n = 0; n < S; n++) state[n] *= by_channel ? a->channels[(i * H + h) * S + n] : a->keep[h * T + i];
        for (size_t n = 0; n < S; n++) sum += state[n] * k[n];
        double delta = ((i == j) - sum) * a->write[h * T + i];
        for (size_t n = 0; n < S; n++) state[n] += k[n] * delta;
    }
    for (size_t n = 0; n < S; n++) out += state[n] * a->q[(t * HK + h % HK) * S + n];
    return out;
}

static void a_delta_net_gives_what_its_recurrence_gives(void **state) {
    (void)state;
    static arrays a;
    static float rows[(T - FIRST) * H * STRIDE], few[FEW * H * STRIDE];
    fill(&a);
    for (int by_channel = 0; by_channel < 2; by_channel++) {
        hw__recurrent r = layer(&a, HW__RECURRENCE_DELTA);
        if (by_channel) r.keep_channels = a.channels;
        assert_true(hw__recurrent_rows(rows, STRIDE, &r, FIRST, T - FIRST));
        assert_true(hw__recurrent_rows(few, STRIDE, &r, FIRST, FEW));
        for (size_t t = FIRST; t < T; t++)
            for (size_t h = 0; h < H; h++)
                for (size_t j = 0; j <= t; j++) {
                    double want = delta_forwards(&a, h, t, j, by_channel);
                    size_t at = ((t - FIRST) * H + h) * STRIDE + j;
                    assert_close(rows[at], want, 1e-7); /* a float's rounding of numbers below 1 */
                    if (t - FIRST < FEW) assert_close(few[at], want, 1e-7);
                }
    }
}

/* T = 3, keys of two channels: k = (1,0), (0.6,0.8), (0,1); q_2 = (1,2); beta 1, 1/2, 1/4; what is kept before tokens 1
 * and 2 is 1/2. u = (1,2): A_2 = 1/4 * 2 = 1/2, u = 1/2 (1, 3/2) = (0.5,0.75); A_1 = 1/2 * 0.9 = 0.45, u = 1/2 (0.23,
 * 0.39) = (0.115,0.195); A_0 = 0.115. Without the erased part they would be 1/2, 0.55 and 0.25. */
static void a_chain_worked_by_hand(void **state) {
    (void)state;
    static const float q[] = {1, 2}, k[] = {1, 0, 0.6f, 0.8f, 0, 1}, write[] = {1, 0.5f, 0.25f};
    static const double keep[] = {0.125, 0.5, 0.5};
    float row[3];
    hw__recurrent r = {.kind = HW__RECURRENCE_DELTA,
                       .n_tokens = 3,
                       .n_heads = 1,
                       .n_heads_k = 1,
                       .key_size = 2,
                       .first_query = 2,
                       .q = q,
                       .k = k,
                       .keep = keep,
                       .write = write};
    assert_true(hw__recurrent_rows(row, 3, &r, 2, 1));
    assert_close(row[2], 0.5, 1e-7);
    assert_close(row[1], 0.45, 1e-7);
    assert_close(row[0], 0.115, 1e-7);
    /* The same as a scan: <q,k> = 1, 2.2, 2; A = 2/4, 2.2/2 * 1/2, 1/4; and D = 3 on the diagonal. */
    static const float own[] = {3};
    r.kind = HW__RECURRENCE_SCAN;
    r.own = own;
    assert_true(hw__recurrent_rows(row, 3, &r, 2, 1));
    assert_close(row[2], 3.5, 1e-7);
    assert_close(row[1], 0.55, 1e-7);
    assert_close(row[0], 0.25, 1e-7);
}

static double scan_forwards(const arrays *a, size_t h, size_t t, size_t j) {
    double state[S] = {0}, out = 0;
    size_t g = h / (H / HK);
    for (size_t i = 0; i <= t; i++)
        for (size_t n = 0; n < S; n++)
            state[n] = state[n] * a->keep[h * T + i] + a->k[(i * HK + g) * S + n] * a->write[h * T + i] * (i == j);
    for (size_t n = 0; n < S; n++) out += state[n] * a->q[(t * HK + g) * S + n];
    return out + (t == j ? a->own[h] : 0);
}

static void a_scan_gives_what_its_recurrence_gives(void **state) {
    (void)state;
    static arrays a;
    static float rows[(T - FIRST) * H * STRIDE], few[FEW * H * STRIDE];
    fill(&a);
    hw__recurrent r = layer(&a, HW__RECURRENCE_SCAN);
    r.own = a.own;
    assert_true(hw__recurrent_rows(rows, STRIDE, &r, FIRST, T - FIRST));
    assert_true(hw__recurrent_rows(few, STRIDE, &r, FIRST, FEW));
    for (size_t t = FIRST; t < T; t++)
        for (size_t h = 0; h < H; h++)
            for (size_t j = 0; j <= t; j++) {
                double want = scan_forwards(&a, h, t, j);
                size_t at = ((t - FIRST) * H + h) * STRIDE + j;
                assert_close(rows[at], want, 1e-7);
                if (t - FIRST < FEW) assert_close(few[at], want, 1e-7);
            }
}

/* The state of a linear recurrence, forwards, for v = e_j; keys and queries are those of each head. */
static double linear_forwards(const hw__recurrent *r, size_t h, size_t t, size_t j) {
    double state[S] = {0}, out = 0;
    for (size_t i = 0; i <= t; i++) {
        size_t at = (i * H + h) * S;
        double turned = 0;
        for (size_t n = 0; r->removed && n < S; n++) turned += state[n] * r->removed[at + n];
        for (size_t n = 0; n < S; n++)
            state[n] = state[n] * r->keep_channels[at + n] + (r->added ? r->added[at + n] * turned : 0) +
                       (i == j ? r->k[at + n] : 0);
    }
    for (size_t n = 0; n < S; n++) out += state[n] * r->q[((t - r->first_query) * H + h) * S + n];
    return out + (t == j && r->own_rows ? r->own_rows[(t - r->first_query) * H + h] : 0);
}

static void a_linear_recurrence_gives_what_its_state_gives(void **state) {
    (void)state;
    static float q[T * H * S], k[T * H * S], keep[T * H * S], removed[T * H * S], added[T * H * S], own[T * H];
    static float rows[(T - FIRST) * H * STRIDE];
    for (size_t i = 0; i < T * H * S; i++) {
        q[i] = hashed(i) / 4;
        k[i] = hashed(100000 + i) / 4;
        keep[i] = (float)(0.4 + unit(mix(200000 + i)) / 2);
        removed[i] = hashed(300000 + i) / 4;
        added[i] = hashed(400000 + i) / 4;
    }
    for (size_t i = 0; i < T * H; i++) own[i] = hashed(500000 + i);
    for (int turns = 0; turns < 2; turns++) {
        hw__recurrent r = {.kind = HW__RECURRENCE_LINEAR,
                           .n_tokens = T,
                           .n_heads = H,
                           .n_heads_k = H,
                           .key_size = S,
                           .first_query = FIRST,
                           .q = q + FIRST * H * S,
                           .k = k,
                           .keep_channels = keep};
        if (turns) r.removed = removed, r.added = added, r.own_rows = own + FIRST * H;
        assert_true(hw__recurrent_has_rows(&r));
        assert_true(hw__recurrent_rows(rows, STRIDE, &r, FIRST, T - FIRST));
        for (size_t t = FIRST; t < T; t++)
            for (size_t h = 0; h < H; h++)
                for (size_t j = 0; j <= t; j++)
                    assert_close(rows[((t - FIRST) * H + h) * STRIDE + j], linear_forwards(&r, h, t, j), 1e-6);
    }
}

/* One group of keys for all channels, each with rates of its own. */
static double channel_forwards(const arrays *a, size_t c, size_t t, size_t j) {
    double state[S] = {0}, out = 0;
    for (size_t i = 0; i <= t; i++)
        for (size_t n = 0; n < S; n++)
            state[n] = state[n] * exp((double)a->write[c * T + i] * a->rates[c * S + n]) +
                       a->k[i * S + n] * a->write[c * T + i] * a->v[c * T + i] * (i == j);
    for (size_t n = 0; n < S; n++) out += state[n] * a->q[t * S + n];
    return out + (t == j ? a->own[c] * a->v[c * T + j] : 0);
}

static void a_scan_by_channel_gives_what_its_recurrence_gives(void **state) {
    (void)state;
    static arrays a;
    static float values[(T - FIRST) * H * STRIDE];
    fill(&a);
    hw__recurrent r = layer(&a, HW__RECURRENCE_CHANNELS);
    r.n_heads_k = 1;
    r.q = a.q + FIRST * S;
    r.rates = a.rates;
    r.own = a.own;
    assert_true(hw__recurrent_values(values, STRIDE, &r, a.v, FIRST, T - FIRST));
    for (size_t t = FIRST; t < T; t++)
        for (size_t c = 0; c < H; c++)
            for (size_t j = 0; j <= t; j++)
                assert_close(values[((t - FIRST) * H + c) * STRIDE + j], channel_forwards(&a, c, t, j), 1e-7);
}

/* Values in three parts: token j gives part i to the value of token j + i, which the row weights. */
static void parts_of_values_go_to_their_tokens(void **state) {
    (void)state;
    enum { PARTS = 3 };
    static arrays a;
    static float weights[(T - FIRST) * H * STRIDE], values[(T - FIRST) * H * STRIDE], parts[PARTS * H * T], ones[H * T];
    fill(&a);
    hw__recurrent r = layer(&a, HW__RECURRENCE_CHANNELS);
    r.n_heads_k = 1;
    r.q = a.q + FIRST * S;
    r.rates = a.rates;
    r.own = a.own;
    for (size_t i = 0; i < PARTS * H * T; i++) parts[i] = hashed(90000 + i);
    for (size_t i = 0; i < H * T; i++) ones[i] = 1;
    assert_true(hw__recurrent_values(weights, STRIDE, &r, ones, FIRST, T - FIRST));
    r.n_parts = PARTS;
    assert_true(hw__recurrent_values(values, STRIDE, &r, parts, FIRST, T - FIRST));
    for (size_t t = FIRST; t < T; t++)
        for (size_t c = 0; c < H; c++) {
            const float *row = weights + ((t - FIRST) * H + c) * STRIDE;
            for (size_t j = 0; j <= t; j++) {
                double want = 0;
                for (size_t i = 0; i < PARTS && j + i <= t; i++)
                    want += (double)row[j + i] * parts[(i * H + c) * T + j];
                assert_close(values[((t - FIRST) * H + c) * STRIDE + j], want, 1e-6);
            }
        }
}

/* Three taps: the last is the token's own; before token 0 there is nothing. */
static void taps_reach_as_far_back_as_there_are(void **state) {
    (void)state;
    static arrays a;
    static float values[T * H * STRIDE];
    fill(&a);
    memset(values, 0x7f, sizeof values);
    hw__recurrent r = {.kind = HW__RECURRENCE_TAPS, .n_tokens = T, .n_heads = H, .key_size = 3, .taps = a.taps};
    assert_true(hw__recurrent_values(values, STRIDE, &r, a.v, 0, T));
    for (size_t t = 0; t < T; t++)
        for (size_t c = 0; c < H; c++)
            for (size_t j = 0; j <= t; j++)
                assert_close(values[(t * H + c) * STRIDE + j],
                             t - j < 3 ? (double)a.taps[c * 3 + 2 - (t - j)] * a.v[c * T + j] : 0, 1e-7);
}

/* The rows of a layer that forgets, whole and from the first token on that any head keeps: the same from there on, and
 * nothing before it. */
static void expect_left_out(hw__recurrent r, bool is_values, const float *v) {
    static float whole[(T - FIRST) * H * STRIDE], rows[(T - FIRST) * H * STRIDE];
    const float untouched = -77;
    size_t n = T - r.first_query, from = T;
    for (size_t h = 0; h < H; h++) {
        size_t reach = hw__recurrent_reach(&r, h);
        if (reach < from) from = reach;
    }
    assert_true(from > 0 && from < r.first_query);
    for (size_t few = 0; few < 2; few++) {
        size_t n_rows = few ? FEW : n;
        for (size_t i = 0; i < n_rows * H * STRIDE; i++) rows[i] = untouched;
        r.begin = 0;
        assert_true(is_values ? hw__recurrent_values(whole, STRIDE, &r, v, r.first_query, n_rows)
                              : hw__recurrent_rows(whole, STRIDE, &r, r.first_query, n_rows));
        r.begin = from;
        assert_true(is_values ? hw__recurrent_values(rows, STRIDE, &r, v, r.first_query, n_rows)
                              : hw__recurrent_rows(rows, STRIDE, &r, r.first_query, n_rows));
        for (size_t i = 0; i < n_rows * H; i++)
            for (size_t j = 0; j <= r.first_query + i / H; j++) {
                if (j < from) assert_true(fabs((double)whole[i * STRIDE + j]) < 1e-20);
                assert_true(j < from ? rows[i * STRIDE + j] == untouched
                                     : fabs((double)rows[i * STRIDE + j] - whole[i * STRIDE + j]) <= 1e-7);
            }
    }
}

static void what_is_forgotten_is_left_out(void **state) {
    (void)state;
    static arrays a;
    enum { LATE = 40 };
    fill(&a);
    for (size_t i = 0; i < H * T; i++) a.keep[i] = i / T == 2 ? 0.2 : 0.05;
    for (size_t i = 0; i < T * H * S; i++) a.channels[i] = (float)(i % 3 ? 0.02 : 0.2);
    for (int kind = 0; kind < 4; kind++) {
        static const hw__recurrence kinds[] = {HW__RECURRENCE_DELTA, HW__RECURRENCE_DELTA, HW__RECURRENCE_SCAN,
                                               HW__RECURRENCE_TAPS};
        hw__recurrent r = layer(&a, kinds[kind]);
        r.first_query = LATE;
        r.q = a.q + LATE * HK * S;
        if (kind == 1) r.keep_channels = a.channels;
        if (kind == 3) r.taps = a.taps;
        expect_left_out(r, kind == 3, a.v);
    }
    hw__recurrent kept = layer(&a, HW__RECURRENCE_SCAN);
    for (size_t j = 0; j < T; j++) a.keep[3 * T + j] = 0.999;
    assert_int_equal(hw__recurrent_reach(&kept, 3), 0);
    kept = layer(&a, HW__RECURRENCE_CHANNELS);
    assert_int_equal(hw__recurrent_reach(&kept, 0), 0);
}

/* Writes of more than the state has enlarge it: what is kept of it reaches further than its decay says. */
static void a_state_that_grows_reaches_further(void **state) {
    (void)state;
    static arrays a;
    fill(&a);
    hw__recurrent r = layer(&a, HW__RECURRENCE_DELTA);
    for (size_t i = 0; i < H * T; i++) a.keep[i] = 0.05, a.write[i] = i < T ? 200.0f : 0.5f;
    assert_true(hw__recurrent_reach(&r, 0) < hw__recurrent_reach(&r, HK));
}

static int start_blas(void **state) {
    (void)state;
    hw_error err;
    return hw__blas_start(&err) == HW_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delta_net_gives_what_its_recurrence_gives),
        cmocka_unit_test(a_chain_worked_by_hand),
        cmocka_unit_test(a_scan_gives_what_its_recurrence_gives),
        cmocka_unit_test(a_linear_recurrence_gives_what_its_state_gives),
        cmocka_unit_test(a_scan_by_channel_gives_what_its_recurrence_gives),
        cmocka_unit_test(parts_of_values_go_to_their_tokens),
        cmocka_unit_test(taps_reach_as_far_back_as_there_are),
        cmocka_unit_test(what_is_forgotten_is_left_out),
        cmocka_unit_test(a_state_that_grows_reaches_further),
    };
    return cmocka_run_group_tests(tests, start_blas, NULL);
}
