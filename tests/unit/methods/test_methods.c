/*
 * test_methods.c - the method table, what hw_explain() accepts and reports, diagnostics, and choosing layers.
 *
 * What rollout computes is in test_rollout.c; here are the other methods that need attention rows only, and what is
 * true of all of them.
 */
#include "support/fixture.h"

#include <math.h>
#include <string.h>

enum { L = 3, M = 6, N = 4, T = M + N };

static hw_trace *the_trace(void) {
    return make_trace(&(trace_spec){.n_layers = L,
                                    .n_heads = 2,
                                    .n_prompt = M,
                                    .n_completion = N,
                                    .attention = random_attention,
                                    .key_padding = 2});
}

static hw_attribution *explain_by(const char *method, const hw_trace *trace, const hw_method_params *p) {
    hw_attribution *a = NULL;
    hw_error err = {0};
    if (hw_explain(&a, trace, method, p, &err) != HW_OK) fail_msg("%s: %s", method, err.msg);
    return a;
}

/* ------------------------------------------------------------------ the table */

static void table_is_readable(void **state) {
    (void)state;
    assert_true(hw_method_count() > 0);
    for (size_t i = 0; i < hw_method_count(); i++) {
        const hw_method_info *m = hw_method_at(i);
        assert_ptr_equal(hw_method_find(m->name), m);
        assert_true(*m->summary && *m->needs && *m->cost && *m->reference && *m->limitations);
    }
    assert_string_equal(hw_method_at(0)->name, "rollout");
    assert_null(hw_method_at(hw_method_count()));
    assert_null(hw_method_find("rolout"));
    assert_null(hw_method_find(NULL));
}

static void unknown_methods_and_options_are_refused(void **state) {
    (void)state;
    static const int32_t low[M] = {0, -2, 0, 0, 0, 0}, high[M] = {0, 1, 2, 0, 0, 0};
    const struct {
        const char *method;
        hw_method_params params;
        const char *part;
    } cases[] = {
        {"rolout", {.residual = 0.5}, "method \"rolout\": unknown name, did you mean rollout?; accepted: rollout"},
        {NULL, {.residual = 0.5}, "NULL: a trace and the name of a method"},
        {"rollout", {.residual = -0.1}, "residual is -0.1: must be a number from 0 to 1"},
        {"rollout", {.residual = 1.1}, "residual is 1.1"},
        {"rollout", {.residual = NAN}, "residual is nan"},
        {"rollout", {.discard = -0.1}, "discard is -0.1: must be a number from 0 to below 1"},
        {"rollout", {.discard = 1}, "discard is 1"},
        {"flow", {.discard = NAN}, "discard"},
        {"contribution", {.aggregate = (hw_aggregate)2}, "aggregate is 2: must be one of mean, rollout"},
        {"rollout", {.row = (hw_row_convention)2}, "row is 2"},
        {"rollout", {.direction = (hw_direction)-1}, "direction is -1"},
        {"rollout", {.columns = (hw_columns)7}, "columns is 7"},
        {"rollout", {.groups = low, .n_groups = 2}, "group -2 of column 1: -1..1 are accepted"},
        {"rollout", {.groups = high, .n_groups = 2}, "group 2 of column 2: -1..1 are accepted"},
        {"rollout", {.groups = high, .n_groups = 0}, "0 groups"},
    };
    hw_trace *trace = the_trace();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_attribution *const untouched = (hw_attribution *)&untouched;
        hw_attribution *a = untouched;
        hw_error err = {0};
        hw_method_params params = cases[i].params;
        params.size = sizeof params;
        hw_err rc = hw_explain(&a, trace, cases[i].method, &params, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
        assert_ptr_equal(a, untouched);
        assert_int_equal(hw_explain(&a, trace, cases[i].method, &params, NULL), HW_ERR_ARGUMENT);
    }
    hw_trace_free(trace);
}

static void run_without_prompt_tokens_is_refused(void **state) {
    (void)state;
    hw_trace *trace =
        make_trace(&(trace_spec){.n_layers = 1, .n_heads = 1, .n_completion = 3, .attention = random_attention});
    hw_attribution *a = NULL;
    hw_error err = {0};
    hw_err rc = hw_explain(&a, trace, "rollout", NULL, &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "no prompt tokens");
    hw_trace_free(trace);
}

static void signals_that_are_missing_are_named(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    for (size_t i = 0; i < hw_method_count(); i++) {
        const char *name = hw_method_at(i)->name;
        if (hw_method_signals(name, NULL) == 0) continue;
        hw_attribution *a = NULL;
        hw_error err = {0};
        hw_err rc = hw_explain(&a, trace, name, NULL, &err);
        assert_error(&err, rc, HW_ERR_UNSUPPORTED, "needs the signal");
    }
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ every method that rows are enough for */

static void assert_mass_is_one(const hw_attribution *a) {
    for (size_t i = 0; i < a->n_rows; i++) {
        for (size_t l = 0; l < a->n_layers; l++) {
            double sum = outside(a, i, l);
            for (size_t k = 0; k < a->n_columns; k++) sum += cell(a, i, k, l);
            assert_close(sum, 1, 1e-6);
        }
    }
}

static void check_shape(const char *method, hw_row_convention row, hw_columns columns, const int32_t *groups) {
    hw_trace *trace = the_trace();
    hw_method_params p = hw_method_params_default();
    p.row = row;
    p.columns = columns;
    p.groups = groups;
    p.n_groups = groups ? 3 : 0;
    hw_attribution *a = explain_by(method, trace, &p);
    hw_trace_free(trace); /* an attribution stands on its own */
    assert_string_equal(hw_attribution_method(a), method);
    assert_int_equal(hw_run_n_tokens(hw_attribution_run(a)), T);
    assert_int_equal(hw_attribution_n_rows(a), N);
    assert_int_equal(hw_attribution_n_columns(a), groups ? 3 : columns == HW_COLUMNS_ALL ? T : M);
    assert_int_equal(hw_attribution_params(a).row, row);
    assert_int_equal(hw_attribution_params(a).columns, columns);
    if (a->n_layers == L) assert_int_equal(hw_attribution_layers(a)[L - 1], L - 1);
    if (a->n_layers == 1) assert_int_equal(hw_attribution_layers(a)[0], -1);
    assert_mass_is_one(a);
    hw_attribution_free(a);
}

static void mass_is_one_whatever_the_options(void **state) {
    (void)state;
    static const int32_t groups[T] = {0, 2, -1, 2, 0, 1, -1, 0, 1, 1};
    static const char *const from_rows[] = {"rollout", "attention", "uniform", "random"};
    for (size_t i = 0; i < sizeof from_rows / sizeof *from_rows; i++) {
        const char *name = from_rows[i];
        assert_int_equal(hw_method_signals(name, NULL), 0);
        for (int columns = HW_COLUMNS_PROMPT; columns <= HW_COLUMNS_ALL; columns++) {
            for (int row = HW_ROW_PREDICTOR; row <= HW_ROW_OWN; row++) {
                check_shape(name, row, columns, NULL);
                check_shape(name, row, columns, groups);
            }
        }
    }
    hw_attribution_free(NULL);
}

static void attention_is_the_row_itself(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    for (int row = HW_ROW_PREDICTOR; row <= HW_ROW_OWN; row++) {
        hw_method_params p = hw_method_params_default();
        p.row = row;
        hw_attribution *a = explain_by("attention", trace, &p);
        for (size_t i = 0; i < N; i++) {
            for (size_t l = 0; l < L; l++) {
                size_t n, q = row == HW_ROW_OWN ? M + i : M - 1 + i;
                const float *attn = hw_trace_row(trace, l, q, &n);
                double rest = 0;
                for (size_t k = 0; k < n; k++) {
                    if (k < M) assert_close(cell(a, i, k, l), attn[k], 0);
                    if (k >= M) rest += (double)attn[k];
                }
                assert_close(outside(a, i, l), rest, 1e-7);
            }
        }
        hw_attribution_free(a);
    }
    hw_trace_free(trace);
}

static double flat(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)l, (void)h, (void)k;
    return 1.0 / (double)(q + 1);
}

static double flat_both_ways(const void *ctx, size_t l, size_t h, size_t q, size_t k) {
    (void)ctx, (void)l, (void)h, (void)q, (void)k;
    return 1.0 / T;
}

/* What each row's attention had in the stream, any numbers from 0 to 1. */
static void add_measured(hw_trace *trace) {
    assert_int_equal(hw__trace_add_signals(trace, 1u << HW_SIGNAL_RESIDUAL, N + 1, T + 2, NULL),
                     HW_OK); /* with spare capacity */
    for (size_t j = 0; j < L * (T + 2); j++) trace->signals.values[HW_SIGNAL_RESIDUAL][j] = (float)unit(mix(j));
}

/* Whatever the trace, `uniform` is the rollout of uniform attention. */
static void check_uniform(const hw_method_params *p, bool bidirectional) {
    trace_spec spec = {.n_layers = L,
                       .n_heads = 1,
                       .n_prompt = bidirectional ? T : M,
                       .n_completion = bidirectional ? 0 : N,
                       .bidirectional = bidirectional,
                       .attention = bidirectional ? flat_both_ways : flat};
    hw_trace *even = make_trace(&spec), *trace = bidirectional ? make_trace(&spec) : the_trace();
    add_measured(even);
    add_measured(trace);
    hw_attribution *a = explain_by("uniform", trace, p), *b = explain_by("rollout", even, p);
    for (size_t i = 0; i < a->n_rows; i++)
        for (size_t l = 0; l < L; l++) {
            for (size_t k = 0; k < a->n_columns; k++) assert_close(cell(a, i, k, l), cell(b, i, k, l), LAYER_BOUND(L));
            assert_close(outside(a, i, l), outside(b, i, l), LAYER_BOUND(L));
        }
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw_trace_free(trace);
    hw_trace_free(even);
}

static void uniform_is_the_rollout_of_uniform_attention(void **state) {
    (void)state;
    hw_method_params p = hw_method_params_default();
    for (int direction = HW_DIRECTION_INPUT; direction <= HW_DIRECTION_OUTPUT; direction++) {
        p.direction = direction;
        p.row = direction == HW_DIRECTION_INPUT ? HW_ROW_OWN : HW_ROW_PREDICTOR;
        p.residual = 0.3;
        for (int setting = 0; setting < 4; setting++) {
            p.residual_measured = setting & 1;
            p.remove_sink = setting & 2;
            check_uniform(&p, false);
            check_uniform(&p, true);
        }
    }
}

static void inactive_settings_change_nothing(void **state) {
    (void)state;
    static const char *const names[] = {"attention", "uniform", "random"};
    hw_trace *trace = the_trace();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        hw_method_params p = hw_method_params_default();
        hw_attribution *a = explain_by(names[i], trace, &p);
        uint32_t traits = hw_method_find(names[i])->traits;
        p.measure = HW_MEASURE_NORM;
        p.discard = 0.5;
        p.remove_sink = !(traits & HW_USES_REMOVE_SINK);
        p.residual = traits & HW_USES_RESIDUAL ? 0.5 : 0.9;
        p.direction = traits & HW_USES_DIRECTION ? HW_DIRECTION_INPUT : HW_DIRECTION_OUTPUT;
        p.seed = traits & HW_USES_SEED ? 0 : 7;
        hw_attribution *b = explain_by(names[i], trace, &p);
        assert_memory_equal(a->values, b->values, N * M * a->n_layers * sizeof(float));
        assert_memory_equal(&a->diagnostics, &b->diagnostics, sizeof a->diagnostics);
        hw_attribution_free(a);
        hw_attribution_free(b);
    }
    hw_trace_free(trace);
}

/* A change of each setting that the table names changes the numbers. */
static void active_settings_change_the_numbers(void **state) {
    (void)state;
    static const char *const names[] = {"rollout", "flow", "uniform", "random"};
    hw_trace *trace = the_trace();
    add_measured(trace);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint32_t traits = hw_method_find(names[i])->traits;
        hw_attribution *a = explain_by(names[i], trace, NULL);
        for (uint32_t trait = HW_USES_RESIDUAL; trait <= HW_USES_REMOVE_SINK; trait <<= 1) {
            if (!(traits & trait) || trait == HW_GIVES_SHARES) continue;
            for (int measured = 0; measured <= (trait == HW_USES_RESIDUAL); measured++) {
                hw_method_params p = hw_method_params_default();
                if (trait == HW_USES_RESIDUAL) p.residual = measured ? p.residual : 0.4;
                p.residual_measured = measured;
                if (trait == HW_USES_DIRECTION) p.direction = HW_DIRECTION_OUTPUT;
                if (trait == HW_USES_SEED) p.seed = 7;
                if (trait == HW_USES_DISCARD) p.discard = 0.5;
                if (trait == HW_USES_REMOVE_SINK) p.remove_sink = true;
                hw_attribution *b = explain_by(names[i], trace, &p);
                assert_memory_not_equal(a->values, b->values, N * M * a->n_layers * sizeof(float));
                hw_attribution_free(b);
            }
        }
        hw_attribution_free(a);
    }
    hw_trace_free(trace);
}

static void traits_and_needs_of_contribution_depend_on_settings(void **state) {
    (void)state;
    const hw_method_info *info = hw_method_find("contribution");
    hw_method_params p = hw_method_params_default();
    p.residual_measured = true;
    uint32_t always =
        HW_USES_THROUGH | HW_USES_ROW | HW_USES_MEASURE | HW_USES_AGGREGATE | HW_GIVES_SHARES | HW_GIVES_LAYERS;
    assert_int_equal(hw_method_active_traits(info, &p), always);
    assert_int_equal(hw_method_signals("contribution", &p), 1u << HW_SIGNAL_PROJECTION);
    p.aggregate = HW_AGGREGATE_ROLLOUT;
    assert_int_equal(hw_method_active_traits(info, &p), always | HW_USES_DIRECTION);
    assert_int_equal(hw_method_signals("contribution", &p), 1u << HW_SIGNAL_ALL_PROJECTION);
    p.measure = HW_MEASURE_NORM;
    assert_int_equal(hw_method_active_traits(info, &p), info->traits);
    assert_int_equal(hw_method_signals("contribution", &p), 1u << HW_SIGNAL_ALL_NORM | 1u << HW_SIGNAL_RESIDUAL);
    p.residual_measured = false;
    assert_int_equal(hw_method_signals("contribution", &p), 1u << HW_SIGNAL_ALL_NORM);
    p.measure = HW_MEASURE_PROXIMITY2;
    assert_int_equal(hw_method_signals("contribution", &p), 1u << HW_SIGNAL_ALL_PROXIMITY2);
    assert_string_equal(hw_signal_name(HW_SIGNAL_ALL_PROXIMITY2), "all_proximity2");
    for (size_t i = 0; i < hw_method_count(); i++) /* never more than the table says */
        assert_int_equal(hw_method_active_traits(hw_method_at(i), &p) & ~hw_method_at(i)->traits, 0);
}

static void a_residual_that_was_not_measured_is_named(void **state) {
    (void)state;
    static const char *const names[] = {"rollout", "flow", "uniform"};
    hw_trace *trace = the_trace();
    hw_method_params p = hw_method_params_default();
    p.residual_measured = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        hw_attribution *a = NULL;
        hw_error err = {0};
        assert_int_equal(hw_method_signals(names[i], &p), 1u << HW_SIGNAL_RESIDUAL);
        hw_err rc = hw_explain(&a, trace, names[i], &p, &err);
        assert_error(&err, rc, HW_ERR_UNSUPPORTED, "needs the signal \"residual\"");
    }
    hw_trace_free(trace);
}

static void random_is_seeded(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    hw_method_params p = hw_method_params_default();
    hw_attribution *a = explain_by("random", trace, &p), *b = explain_by("random", trace, &p);
    p.seed = 1;
    hw_attribution *other = explain_by("random", trace, &p);
    assert_memory_equal(a->values, b->values, N * M * sizeof(float));
    assert_memory_not_equal(a->values, other->values, N * M * sizeof(float));
    for (size_t c = 0; c < N * M; c++) assert_true(a->values[c] >= 0 && a->values[c] < 1);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw_attribution_free(other);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ progress and stopping */

typedef struct watch {
    size_t n, last, stop_at;
} watch;

static void on_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    watch *w = ctx;
    assert_int_equal(stage, HW_STAGE_EXPLAIN);
    assert_int_equal(done, ++w->n);
    assert_true(total >= done);
    w->last = total;
}

static bool on_stop(void *ctx) {
    watch *w = ctx;
    return w->stop_at && w->n >= w->stop_at;
}

static void progress_is_reported_and_a_stop_is_heard(void **state) {
    (void)state;
    hw_trace *trace = the_trace();
    for (int direction = HW_DIRECTION_INPUT; direction <= HW_DIRECTION_OUTPUT; direction++) {
        watch w = {0};
        hw_method_params p = hw_method_params_default();
        p.direction = direction;
        p.progress = on_progress;
        p.stop = on_stop;
        p.ctx = &w;
        hw_attribution *a = explain(trace, &p);
        assert_int_equal(w.n, L);
        assert_int_equal(w.last, L);
        assert_true(!a->params.progress && !a->params.stop && !a->params.ctx); /* cleared */
        hw_attribution_free(a);
        for (size_t at = 1; at <= L; at++) {
            w = (watch){.stop_at = at};
            hw_error err = {0};
            hw_err rc = hw_explain(&a, trace, "rollout", &p, &err);
            assert_error(&err, rc, HW_ERR_CANCELLED, "stopped at");
            assert_int_equal(w.n, at);
        }
    }
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ diagnostics */

static const char *const prompt[] = {"a", "b", "c"};
static const char *const completion[] = {"x", "y"};
static const float values[2][3][2] = {{{0.5f, 0.75f}, {0.25f, 0}, {0.25f, 0.25f}},
                                      {{0, 0.5f}, {0.25f, 0.25f}, {0.5f, 0.125f}}};
static const float dropped[2][2] = {{0, 0}, {0.25f, 0.125f}};

static hw_attribution *small(const hw_method_params *p) {
    return make_attribution(make_run(2, prompt, 3, completion, 2), p, 2, &values[0][0][0], &dropped[0][0]);
}

static void diagnostics_are_means_over_rows(void **state) {
    (void)state;
    hw_attribution *a = small(NULL);
    const hw_diagnostics *d = hw_attribution_diagnostics(a);
    assert_close(d->first_mean, (0.5 + 0.75 + 0 + 0.5) / 4, 1e-15);
    assert_close(d->first_last, (0.75 + 0.5) / 2, 1e-15);
    assert_close(d->outside_mean, 0.375 / 4, 1e-15);
    assert_close(d->outside_last, 0.125 / 2, 1e-15);
    /* layer means: row 0 .625 .125 .25 (ranks 3 1 2), row 1 .25 .25 .3125 (ranks 1.5 1.5 3) */
    assert_close(d->position_mean, (-0.5 + 1.5 / sqrt(3)) / 2, 1e-15);
    /* last layer: row 0 .75 0 .25 (3 1 2), row 1 .5 .25 .125 (3 2 1) */
    assert_close(d->position_last, (-0.5 - 1) / 2, 1e-15);
    hw_attribution_free(a);
}

static void full_depth_is_layer_0_from_the_top_down(void **state) {
    (void)state;
    hw_method_params p = hw_method_params_default();
    p.direction = HW_DIRECTION_OUTPUT;
    hw_attribution *a = small(&p);
    const hw_diagnostics *d = hw_attribution_diagnostics(a);
    assert_close(d->first_last, (0.5 + 0) / 2, 1e-15);
    assert_close(d->outside_last, 0.25 / 2, 1e-15);
    assert_close(d->first_mean, (0.5 + 0.75 + 0 + 0.5) / 4, 1e-15);
    hw_attribution_free(a);
}

static void diagnostics_of_groups_follow_token_0(void **state) {
    (void)state;
    static const int32_t second[] = {2, 0, 1}, none[] = {-1, 0, 2};
    hw_method_params p = hw_method_params_default();
    p.groups = second;
    p.n_groups = 3;
    hw_attribution *a = small(&p);
    assert_close(hw_attribution_diagnostics(a)->first_last, (0.25 + 0.125) / 2, 1e-15);
    hw_attribution_free(a);
    p.groups = none;
    a = small(&p);
    assert_close(hw_attribution_diagnostics(a)->first_last, 0, 0);
    hw_attribution_free(a);
}

static void position_is_undefined_for_one_column(void **state) {
    (void)state;
    static const float one[2] = {1, 1};
    hw_attribution *a = make_attribution(make_run(2, prompt, 1, completion, 1), NULL, 2, one, NULL);
    assert_true(isnan(hw_attribution_diagnostics(a)->position_mean));
    assert_true(isnan(hw_attribution_diagnostics(a)->position_last));
    hw_attribution_free(a);
}

static void sink_shows_in_the_diagnostics(void **state) {
    (void)state;
    hw_trace *trace =
        make_trace(&(trace_spec){.n_layers = 8, .n_heads = 1, .n_prompt = M, .n_completion = N, .attention = flat});
    hw_attribution *a = explain(trace, NULL);
    const hw_diagnostics *d = hw_attribution_diagnostics(a);
    assert_close(d->position_last, -1, 1e-12); /* uniform attention at depth is position alone */
    assert_true(d->first_last > d->first_mean && d->first_mean > 0.3);
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* ------------------------------------------------------------------ layers by name */

static void layers_are_named_as_people_count(void **state) {
    (void)state;
    static const int32_t blocks[4] = {1, 3, 4, 7}; /* of 8, the others without attention */
    static const float zeros[4] = {0};
    static const struct {
        const char *select;
        size_t begin, end;
    } cases[] = {{"2", 0, 1},   {"4", 1, 2},   {"8", 3, 4},   {"1-8", 0, 4},
                 {"3-5", 1, 3}, {"5-5", 2, 3}, {"1-2", 0, 1}, {"6-8", 3, 4}};
    hw_attribution *a = make_attribution(make_run(4, prompt, 1, completion, 1), NULL, 4, zeros, NULL);
    memcpy(a->layers, blocks, sizeof blocks);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t begin = 77, end = 77;
        hw_error err = {0};
        if (hw_attribution_select_layers(&begin, &end, a, cases[i].select, &err) != HW_OK)
            fail_msg("\"%s\": %s", cases[i].select, err.msg);
        if (begin != cases[i].begin || end != cases[i].end) fail_msg("\"%s\": %zu..%zu", cases[i].select, begin, end);
    }
    static const struct {
        const char *select, *part;
    } bad[] = {
        {"", "one layer (5) or a range (3-12) is accepted"},
        {"x", "one layer (5) or a range"},
        {"3-", "one layer (5) or a range"},
        {"3-x", "one layer (5) or a range"},
        {"3-4-5", "one layer (5) or a range"},
        {"3,4", "one layer (5) or a range"},
        {"2x", "one layer (5) or a range"},
        {"999999", "one layer (5) or a range"},
        {"0", "layers 0 requested, the model has 1-8"},
        {"-1", "the model has 1-8"},
        {"9", "layers 9 requested, the model has 1-8"},
        {"5-9", "layers 5-9 requested, the model has 1-8"},
        {"5-3", "the first must not be above the last"},
        {"3", "layers 3 have no attention"},
        {"6-7", "layers 6-7 have no attention"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t begin = 77, end = 77;
        hw_error err = {0};
        hw_err rc = hw_attribution_select_layers(&begin, &end, a, bad[i].select, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, bad[i].part);
        assert_true(begin == 77 && end == 77);
        assert_int_equal(hw_attribution_select_layers(&begin, &end, a, bad[i].select, NULL), HW_ERR_ARGUMENT);
    }
    hw_attribution_free(a);
}

static void mean_over_layers_has_none_to_choose(void **state) {
    (void)state;
    static const float one[1] = {1};
    hw_attribution *a = make_attribution(make_run(4, prompt, 1, completion, 1), NULL, 1, one, NULL);
    assert_int_equal(hw_attribution_layers(a)[0], -1);
    size_t begin, end;
    hw_error err = {0};
    hw_err rc = hw_attribution_select_layers(&begin, &end, a, "1", &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "only the mean over layers");
    a->method = "leave-one-out"; /* which has no others: its number is of every layer */
    assert_int_equal(hw_attribution_select_layers(&begin, &end, a, "1-99", &err), HW_OK);
    assert_true(begin == 0 && end == 1);
    assert_error(&err, hw_attribution_select_layers(&begin, &end, a, "x", &err), HW_ERR_ARGUMENT,
                 "one layer (5) or a range");
    hw_attribution_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_readable),
        cmocka_unit_test(unknown_methods_and_options_are_refused),
        cmocka_unit_test(run_without_prompt_tokens_is_refused),
        cmocka_unit_test(signals_that_are_missing_are_named),
        cmocka_unit_test(mass_is_one_whatever_the_options),
        cmocka_unit_test(attention_is_the_row_itself),
        cmocka_unit_test(uniform_is_the_rollout_of_uniform_attention),
        cmocka_unit_test(inactive_settings_change_nothing),
        cmocka_unit_test(active_settings_change_the_numbers),
        cmocka_unit_test(a_residual_that_was_not_measured_is_named),
        cmocka_unit_test(traits_and_needs_of_contribution_depend_on_settings),
        cmocka_unit_test(random_is_seeded),
        cmocka_unit_test(progress_is_reported_and_a_stop_is_heard),
        cmocka_unit_test(diagnostics_are_means_over_rows),
        cmocka_unit_test(full_depth_is_layer_0_from_the_top_down),
        cmocka_unit_test(diagnostics_of_groups_follow_token_0),
        cmocka_unit_test(position_is_undefined_for_one_column),
        cmocka_unit_test(sink_shows_in_the_diagnostics),
        cmocka_unit_test(layers_are_named_as_people_count),
        cmocka_unit_test(mean_over_layers_has_none_to_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
