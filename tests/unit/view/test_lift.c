/*
 * test_lift.c - a lift is a view's means over those of `uniform`, in the same place: worked fractions, and what must
 * hold for any rows, layers, columns and settings.
 */
#include "support/files.h"
#include "support/fixture.h"

#include <math.h>
#include <string.h>

enum { L = 3, M = 6, N = 4, T = M + N };

static const double BOUND = 1e-6; /* M and uniform are float, each off by 2^-24 of itself, and so is their ratio */

static hw_trace *the_trace(void) {
    hw_trace *trace = make_trace(
        &(trace_spec){.n_layers = L, .n_heads = 2, .n_prompt = M, .n_completion = N, .attention = random_attention});
    assert_int_equal(hw__trace_add_signals(trace, 1u << HW_SIGNAL_RESIDUAL, N + 1, T + 2, NULL), HW_OK);
    for (size_t j = 0; j < L * (T + 2); j++) trace->signals.values[HW_SIGNAL_RESIDUAL][j] = (float)unit(mix(j));
    assert_int_equal(hw__run_set_prompt(trace->run, "a text of bytes", 15, NULL), HW_OK); /* files check ranges in it */
    return trace;
}

static hw_attribution *explain_by(const char *method, const hw_trace *trace, const hw_method_params *p) {
    hw_attribution *a = NULL;
    hw_error err = {0};
    if (hw_explain(&a, trace, method, p, &err) != HW_OK) fail_msg("%s: %s", method, err.msg);
    return a;
}

static hw_view *view_of(const hw_attribution *a, hw_view_params p) {
    hw_view *v = NULL;
    hw_error err = {0};
    if (hw_view_new(&v, a, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return v;
}

/* ------------------------------------------------------------------ worked */

static double worked(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)h;
    static const double attn[2][3][3] = {{{1, 0, 0}, {0.6, 0.4, 0}, {0.5, 0.3, 0.2}},
                                         {{1, 0, 0}, {0.25, 0.75, 0}, {0.1, 0.7, 0.2}}};
    return attn[l][q][k];
}

/* Row 2: rollout 1/4 3/20, then 61/200 67/200; uniform attention 1/6 1/6, then 23/72 17/72. */
static void worked_example(void **state) {
    (void)state;
    hw_trace *trace =
        make_trace(&(trace_spec){.n_layers = 2, .n_heads = 1, .n_prompt = 2, .n_completion = 1, .attention = worked});
    hw_method_params p = hw_method_params_default();
    p.row = HW_ROW_OWN;
    hw_attribution *a = explain(trace, &p);
    hw_view *v = view_of(a, (hw_view_params){.size = sizeof(hw_view_params), .lift = true, .hide = "first"});
    assert_close(hw_view_scores(v)[0], (111 / 400.) / (35 / 144.), BOUND);
    assert_close(hw_view_scores(v)[1], (97 / 400.) / (29 / 144.), BOUND);
    assert_close(hw_view_profile(v)[0], (1 / 4.) / (1 / 6.), BOUND);
    assert_close(hw_view_profile(v)[1], (61 / 200.) / (23 / 72.), BOUND);
    assert_close(hw_view_profile(v)[2], (3 / 20.) / (1 / 6.), BOUND);
    assert_close(hw_view_profile(v)[3], (67 / 200.) / (17 / 72.), BOUND);
    assert_close(hw_view_hidden_mass(v), 111 / 400., BOUND); /* masses stay masses */
    assert_close(hw_view_outside_mass(v), 0.48, BOUND);
    hw_view_free(v);
    v = view_of(a, (hw_view_params){.size = sizeof(hw_view_params), .lift = true, .layer_begin = 1, .layer_end = 2});
    assert_close(hw_view_scores(v)[1], (67 / 200.) / (17 / 72.), BOUND);
    assert_close(cell(a, 0, 1, 1), 67 / 200., BOUND); /* M is never changed */
    hw_view_free(v);
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ whatever the settings */

static const int32_t groups[T] = {0, 2, -1, 2, 0, 1, -1, 0, 1, 1};

static hw_method_params settings_at(unsigned i) {
    hw_method_params p = hw_method_params_default();
    p.residual = 0.3;
    p.direction = i & 1 ? HW_DIRECTION_OUTPUT : HW_DIRECTION_INPUT;
    p.remove_sink = i & 2;
    p.residual_measured = i & 4;
    p.row = i & 8 ? HW_ROW_OWN : HW_ROW_PREDICTOR;
    p.columns = i & 16 ? HW_COLUMNS_ALL : HW_COLUMNS_PROMPT;
    p.groups = i & 32 ? groups : NULL;
    p.n_groups = i & 32 ? 3 : 0;
    return p;
}

/* For uniform itself it is 1 wherever there is a value, for rollout the quotient of two plain views. */
static void lift_is_a_quotient_of_views(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    for (unsigned i = 0; i < 64; i++) {
        hw_method_params p = settings_at(i);
        hw_attribution *a = explain_by("rollout", trace, &p), *u = explain_by("uniform", trace, &p);
        hw_view_params select = {.size = sizeof select, .row_begin = 1, .row_end = 3, .layer_begin = 1, .layer_end = 3};
        hw_view *plain = view_of(a, select), *by = view_of(u, select);
        select.lift = true;
        hw_view *lifted = view_of(a, select), *one = view_of(u, select);
        for (size_t k = 0; k < a->n_columns; k++) {
            double under = hw_view_scores(by)[k], want = under > 0 ? hw_view_scores(plain)[k] / under : 0;
            assert_close(hw_view_scores(lifted)[k], want, BOUND * (1 + want));
            assert_close(hw_view_scores(one)[k], under > 0, BOUND);
            for (size_t c = k * 2; c < k * 2 + 2; c++) {
                under = hw_view_profile(by)[c];
                want = under > 0 ? hw_view_profile(plain)[c] / under : 0;
                assert_close(hw_view_profile(lifted)[c], want, BOUND * (1 + want));
            }
        }
        hw_view_free(plain);
        hw_view_free(by);
        hw_view_free(lifted);
        hw_view_free(one);
        hw_attribution_free(a);
        hw_attribution_free(u);
    }
    hw_trace_free(trace);
}

/* Random numbers have one layer: they are divided by the mean of uniform over all. */
static void one_layer_is_divided_by_the_mean(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_attribution *a = explain_by("random", trace, NULL), *u = explain_by("uniform", trace, NULL);
    hw_view *plain = view_of(a, (hw_view_params){.size = sizeof(hw_view_params)}),
            *by = view_of(u, (hw_view_params){.size = sizeof(hw_view_params)});
    hw_view *v = view_of(a, (hw_view_params){.size = sizeof(hw_view_params), .lift = true});
    assert_int_equal(hw_view_n_layers(v), 1);
    for (size_t k = 0; k < M; k++) {
        double want = (double)hw_view_scores(plain)[k] / (double)hw_view_scores(by)[k];
        assert_close(hw_view_scores(v)[k], want, BOUND * want);
        assert_close(hw_view_profile(v)[k], want, BOUND * want);
    }
    hw_view_free(plain);
    hw_view_free(by);
    hw_view_free(v);
    hw_attribution_free(a);
    hw_attribution_free(u);
    hw_trace_free(trace);
}

/* Sink removal and the measured residual do not apply to attention, nor to its divisor. */
static void inactive_settings_do_not_count(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_method_params p = hw_method_params_default();
    hw_attribution *a = explain_by("attention", trace, &p);
    p.remove_sink = p.residual_measured = true;
    hw_attribution *b = explain_by("attention", trace, &p);
    hw_view *v = view_of(a, (hw_view_params){.size = sizeof(hw_view_params), .lift = true}),
            *w = view_of(b, (hw_view_params){.size = sizeof(hw_view_params), .lift = true});
    assert_memory_equal(hw_view_scores(v), hw_view_scores(w), M * sizeof(float));
    hw_view_free(v);
    hw_view_free(w);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ files, and what is refused */

static void lifts_of_files_are_those_of_the_trace(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_method_params p = settings_at(4);
    hw_error err = {0};
    hw_attribution *a = explain_by("rollout", trace, &p), *grouped = NULL;
    const hw_attribution *list = a;
    hw_result *result = NULL;
    hw_view *v = view_of(a, (hw_view_params){.size = sizeof(hw_view_params), .lift = true}), *w = NULL;
    assert_int_equal(hw_result_save(&list, 1, temp_path("a.safetensors"), false, NULL), HW_OK);
    assert_int_equal(hw_result_open(&result, temp_path("a.safetensors"), NULL), HW_OK);
    w = view_of(hw_result_at(result, 0), (hw_view_params){.size = sizeof(hw_view_params), .lift = true});
    assert_memory_equal(hw_view_scores(v), hw_view_scores(w), M * sizeof(float));
    hw_view_free(w);
    hw_result_free(result);
    assert_int_equal(hw_attribution_group(&grouped, a, groups, NULL, 3, NULL), HW_OK);
    hw_view_free(view_of(grouped, (hw_view_params){.size = sizeof(hw_view_params), .lift = true}));
    assert_int_equal(hw_result_save(&list, 1, temp_path("a.json"), true, NULL), HW_OK);
    assert_int_equal(hw_result_open(&result, temp_path("a.json"), NULL), HW_OK);
    hw_err rc =
        hw_view_new(&w, hw_result_at(result, 0), &(hw_view_params){.size = sizeof(hw_view_params), .lift = true}, &err);
    assert_error(&err, rc, HW_ERR_UNSUPPORTED, "explain the trace again");
    hw_result_free(result);
    hw_view_free(v);
    hw_attribution_free(a);
    hw_attribution_free(grouped);
    hw_trace_free(trace);
    temp_clear();
}

static void a_saved_residual_that_is_no_share_is_refused(void **state) {
    (void)state;
    static const float no_shares[] = {-0.5f, 2, NAN};
    hw_trace *trace = the_trace();
    hw_method_params p = settings_at(4);
    hw_attribution *a = explain_by("rollout", trace, &p);
    const hw_attribution *list = a;
    for (size_t i = 0; i < 3; i++) {
        hw_result *result = NULL;
        hw_error err = {0};
        a->measured[5] = no_shares[i];
        assert_int_equal(hw_result_save(&list, 1, temp_path("a.safetensors"), false, NULL), HW_OK);
        hw_err rc = hw_result_open(&result, temp_path("a.safetensors"), &err);
        assert_error(&err, rc, HW_ERR_FORMAT, "value 5 of tensor \"residual\"");
    }
    hw_attribution_free(a);
    hw_trace_free(trace);
    temp_clear();
}

static void what_has_no_lift_is_refused(void **state) {
    (void)state;
    static const char *const words[] = {"a", "b"};
    static const float values[2] = {1, 2};
    hw_error err = {0};
    hw_view *v = NULL;
    hw_attribution *a = make_attribution(make_run(1, words, 2, words, 1), NULL, 1, values, NULL);
    hw_err rc =
        hw_view_new(&v, a, &(hw_view_params){.size = sizeof(hw_view_params), .lift = true, .normalise = true}, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "cannot be combined with normalising");
    static const char *const nats[] = {"logit", "leave-one-out", "ablation"};
    for (size_t i = 0; i < 3; i++) {
        a->method = hw_method_find(nats[i])->name;
        rc = hw_view_new(&v, a, &(hw_view_params){.size = sizeof(hw_view_params), .lift = true}, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, "it gives nats");
        assert_non_null(strstr(err.msg, nats[i]));
        rc = hw_view_new(&v, a, &(hw_view_params){.size = sizeof(hw_view_params), .normalise = true}, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, "only shares can sum to 1");
    }
    hw_attribution_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(lift_is_a_quotient_of_views),
        cmocka_unit_test(one_layer_is_divided_by_the_mean),
        cmocka_unit_test(inactive_settings_do_not_count),
        cmocka_unit_test(lifts_of_files_are_those_of_the_trace),
        cmocka_unit_test(a_saved_residual_that_is_no_share_is_refused),
        cmocka_unit_test(what_has_no_lift_is_refused),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
