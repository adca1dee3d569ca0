/*
 * test_explainer.c - methods given to a run: rows explained while it grows are those that it has in the end, columns
 * are the prompt's segments, and the prompt is read once.
 *
 * Products of one row and of many may be summed in another order by BLAS, and rows that are all there at once be
 * composed from the top down: floats either way, each layer off by a few 2^-24 of values below 1.
 */
#include "support/fake_engine.h"
#include "support/live_check.h"

#include "methods/explainer.h"
#include "text/segments.h"

#include <string.h>

static const char PROMPT[] = "It was sunny in Rome, the city of Russia";
static const double BOUND = LAYER_BOUND(3);

static hw_run_params run_params(size_t n) {
    hw_run_params p = hw_run_params_default();
    p.prompt = PROMPT;
    p.prompt_bytes = strlen(PROMPT);
    p.n_generate = n;
    return p;
}

static const char *const METHODS[] = {"rollout", "attention", "uniform"};

static live_check parts(size_t interval, size_t n_parts) {
    return (live_check){METHODS, 3, .interval = interval, .n_parts = n_parts, .bound = BOUND};
}

static void each_token_as_it_comes(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_method_params p = hw_method_params_default();
    check_live(model, run_params(9), &p, parts(1, 9));
    p.row = HW_ROW_OWN; /* the last token's own row comes when the run is whole */
    check_live(model, run_params(9), &p, parts(1, 9));
    hw_model_close(model);
}

static void several_at_once_in_any_direction_and_by_groups(void **state) {
    (void)state;
    enum { MAX_N = 64 };
    int32_t groups[MAX_N];
    fake_params fake = fake_params_default();
    fake.chunk = 3;
    hw_model *model = fake_model(&fake);
    hw_method_params p = hw_method_params_default();
    p.direction = HW_DIRECTION_OUTPUT;
    check_live(model, run_params(10), &p, parts(4, 3));
    p.direction = HW_DIRECTION_INPUT;
    for (int32_t i = 0; i < MAX_N; i++) groups[i] = i % 3 - 1;
    p.groups = groups;
    p.n_groups = 2;
    check_live(model, run_params(10), &p, parts(4, 3));
    p.discard = 0.5;
    p.remove_sink = true;
    check_live(model, run_params(10), &p, parts(4, 3));
    hw_model_close(model);
}

static void a_given_completion_by_chunks(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chunk = 4;
    hw_model *model = fake_model(&fake);
    hw_method_params p = hw_method_params_default();
    hw_run_params run = run_params(1);
    run.completion = "it was not in the city of Rome that day, was it?";
    run.completion_bytes = strlen(run.completion);
    check_live(model, run, &p, parts(1, 3));
    hw_model_close(model);
}

typedef struct shown {
    hw_attribution *parts[8];
    size_t n[2]; /* calls by method */
} shown;

static void take(void *ctx, size_t i, hw_attribution *rows) {
    shown *s = ctx;
    assert_in_range(i, 0, 1);
    if (i == 0) {
        s->parts[s->n[i]] = rows;
    } else {
        hw_attribution_free(rows);
    }
    s->n[i]++;
}

/* Prompt rows are not kept and rows are shown: the result has all of them, the same bits, however often it is asked
 * for. A method that needs the whole run provides none. */
static void results_are_whole_after_rows_were_shown(void **state) {
    (void)state;
    hw_error err;
    fake_params fake = fake_params_default();
    fake.chunk = 7;
    hw_model *model = fake_model(&fake);
    for (int with_flow = 0; with_flow < 2; with_flow++) {
        shown seen = {.n = {0}};
        hw_explainer_params params = {.size = sizeof params, .interval = 3, .on_rows = take, .ctx = &seen};
        hw_explainer *x;
        assert_int_equal(hw_explainer_new(&x, &params, NULL), HW_OK);
        assert_int_equal(hw_explainer_add(x, "rollout", NULL, NULL), HW_OK);
        if (with_flow) assert_int_equal(hw_explainer_add(x, "flow", NULL, NULL), HW_OK);
        hw_run_params p = run_params(7);
        p.explainer = x;
        hw_trace *trace;
        if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
        assert_int_equal(hw_trace_rows(trace), with_flow ? HW_ROWS_ALL : HW_ROWS_TARGET);
        assert_true(seen.n[0] >= 3 && seen.n[1] == 0);
        for (int again = 0; again < 2; again++) {
            hw_attribution *whole;
            if (hw_explainer_result(&whole, x, 0, trace, &err) != HW_OK) fail_msg("%s", err.msg);
            assert_int_equal(whole->n_rows, 7);
            size_t next = 0, cells = whole->n_columns * whole->n_layers;
            for (size_t i = 0; i < seen.n[0]; i++) {
                const hw_attribution *part = seen.parts[i];
                assert_memory_equal(part->values, whole->values + next * cells, part->n_rows * cells * sizeof(float));
                next += part->n_rows;
            }
            assert_int_equal(next, 7);
            hw_attribution_free(whole);
        }
        for (size_t i = 0; i < seen.n[0]; i++) hw_attribution_free(seen.parts[i]);
        hw_explainer_free(x);
        hw_trace_free(trace);
    }
    hw_model_close(model);
}

/* What the explainer cuts against what hw_segments_new() and hw_explain() give; from the run's trace, and from
 * another. */
static void columns_are_segments_of_the_prompt(void **state) {
    (void)state;
    static const char spans[] =
        "[{\"name\": \"A\", \"begin\": 3, \"end\": 15}, {\"name\": \"B\", \"begin\": 16, \"end\": 20}]";
    hw_error err;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    for (int given = 0; given < 2; given++)
        for (int whole = 0; whole < 2; whole++) {
            hw_explainer *x;
            hw_segments *segments;
            hw_partition *partition;
            hw_attribution *a, *b;
            hw_method_params params = hw_method_params_default();
            hw_explainer_params keeping = {.size = sizeof keeping, .keep = HW_KEEP_METHODS};
            assert_int_equal(hw_explainer_new(&x, &keeping, NULL), HW_OK);
            assert_int_equal(hw_explainer_add(x, "attention", NULL, NULL), HW_OK);
            if (given) assert_int_equal(hw_explainer_split(x, "word", !whole, NULL), HW_OK); /* replaced */
            assert_int_equal(given ? hw_explainer_split_spans(x, spans, strlen(spans), "mine", whole, NULL)
                                   : hw_explainer_split(x, "word", whole, NULL),
                             HW_OK);
            assert_null(hw_explainer_segments(x));
            hw_run_params p = run_params(4), other = run_params(2);
            p.explainer = x;
            hw_trace *traces[2];
            if (hw_trace_capture(&traces[0], model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
            assert_non_null(hw_explainer_segments(x));
            other.prompt_bytes = 25;
            if (hw_trace_capture(&traces[1], model, &other, &err) != HW_OK) fail_msg("%s", err.msg);
            for (int i = 0; i < 2; i++) {
                const hw_run *run = hw_trace_run(traces[i]);
                if (hw_explainer_result(&a, x, 0, traces[i], &err) != HW_OK) fail_msg("%s", err.msg);
                hw_err rc = given ? hw_segments_from_json(&segments, run, HW_SIDE_PROMPT, spans, strlen(spans), &err)
                                  : hw_segments_new(&segments, run, HW_SIDE_PROMPT, "word", &err);
                assert_int_equal(rc, HW_OK);
                assert_int_equal(hw_segments_partition(&partition, segments, NULL), HW_OK);
                hw_partition_columns(partition, &params);
                if (!whole) {
                    params.groups = hw_segments_groups(segments, NULL);
                    params.n_groups = hw_segments_count(segments);
                    params.group_names = NULL;
                }
                if (hw_explain(&b, traces[i], "attention", &params, &err) != HW_OK) fail_msg("%s", err.msg);
                assert_int_equal(a->n_columns, b->n_columns);
                assert_memory_equal(a->values, b->values, a->n_rows * a->n_columns * a->n_layers * sizeof(float));
                hw_attribution_free(a);
                hw_attribution_free(b);
                hw_partition_free(partition);
                hw_segments_free(segments);
            }
            hw_explainer_free(x);
            hw_trace_free(traces[0]);
            hw_trace_free(traces[1]);
        }
    hw_model_close(model);
}

typedef struct regrouping {
    hw_explainer *x;
    hw_segments *words;
    shown seen;
} regrouping;

static void take_regrouped(void *ctx, size_t i, hw_attribution *rows) { take(&((regrouping *)ctx)->seen, i, rows); }

/* One method by word, the other by token; refused where it is too late or does not fit. */
static void group_by_word(void *ctx, const hw_run *run) {
    regrouping *r = ctx;
    hw_error err;
    const hw_segments other = {.n_tokens = 3};
    assert_int_equal(hw_segments_new(&r->words, run, HW_SIDE_PROMPT, "word", &err), HW_OK);
    assert_error(&err, hw_explainer_group(r->x, 2, r->words, &err), HW_ERR_ARGUMENT, "method 2: an explainer with it");
    assert_error(&err, hw_explainer_group(r->x, 0, &other, &err), HW_ERR_ARGUMENT, "segments of 3 tokens");
    assert_int_equal(hw_explainer_group(r->x, 0, r->words, &err), HW_OK);
}

static void one_method_has_columns_of_its_own(void **state) {
    (void)state;
    hw_error err;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    regrouping r = {.x = NULL};
    hw_explainer_params keeping = {
        .size = sizeof keeping, .keep = HW_KEEP_ROWS, .interval = 2, .on_rows = take_regrouped, .ctx = &r};
    assert_int_equal(hw_explainer_new(&r.x, &keeping, NULL), HW_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(hw_explainer_add(r.x, "attention", NULL, NULL), HW_OK);
    hw_run_params p = run_params(4);
    p.explainer = r.x;
    p.on_prompt = group_by_word;
    p.ctx = &r;
    hw_trace *trace;
    if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_true(r.seen.n[0] > 1 && r.seen.n[0] == r.seen.n[1]);
    hw_attribution *want, *a;
    hw_method_params by = hw_method_params_default();
    by.groups = hw_segments_groups(r.words, NULL);
    by.n_groups = hw_segments_count(r.words);
    assert_int_equal(hw_explain(&want, trace, "attention", &by, &err), HW_OK);
    for (size_t i = 0, next = 0; i < r.seen.n[0]; next += r.seen.parts[i++]->n_rows) {
        a = r.seen.parts[i];
        assert_int_equal(a->n_columns, by.n_groups);
        size_t cells = a->n_columns * a->n_layers;
        assert_memory_equal(a->values, want->values + next * cells, a->n_rows * cells * sizeof(float));
    }
    assert_error(&err, hw_explainer_group(r.x, 0, r.words, &err), HW_ERR_ARGUMENT, "method 0 has explained rows");
    for (size_t i = 0; i < r.seen.n[0]; i++) hw_attribution_free(r.seen.parts[i]);
    hw_attribution_free(want);
    hw_segments_free(r.words);
    p.on_prompt = NULL; /* the next run is by token again */
    hw_trace_free(trace);
    r.seen = (shown){.n = {0}};
    if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(r.seen.parts[0]->n_columns, hw_run_n_prompt(hw_trace_run(trace)));
    for (size_t i = 0; i < r.seen.n[0]; i++) hw_attribution_free(r.seen.parts[i]);
    hw_trace_free(trace);
    hw_explainer_free(r.x);
    hw_model_close(model);
}

/* Before anything is decoded. */
static void a_prompt_that_cannot_be_split_fails_the_run(void **state) {
    (void)state;
    hw_error err;
    hw_trace *trace;
    hw_explainer *x;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_method_params all = hw_method_params_default();
    hw_run_params p = run_params(2);
    assert_int_equal(hw_explainer_new(&x, NULL, NULL), HW_OK);
    assert_int_equal(hw_explainer_add(x, "rollout", NULL, NULL), HW_OK);
    p.explainer = x;
    assert_int_equal(hw_explainer_split(x, "verse", true, NULL), HW_OK);
    assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_ARGUMENT, "verse");
    assert_int_equal(hw_explainer_split_spans(x, "[{}]", 4, "mine", true, NULL), HW_OK);
    assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_FORMAT, "mine: ");
    assert_int_equal(hw_explainer_split(x, "word", true, NULL), HW_OK);
    all.columns = HW_COLUMNS_ALL;
    assert_int_equal(hw_explainer_add(x, "rollout", &all, NULL), HW_OK);
    assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_ARGUMENT, "columns all");
    assert_int_equal(fake_n_decoded(model), 0);
    hw_explainer_free(x);
    hw_model_close(model);
}

/* Before anything is decoded, unless another method can explain the run. */
static void a_run_that_is_too_large_fails_at_its_start(void **state) {
    (void)state;
    static char longer[1200];
    hw_error err;
    hw_trace *trace;
    hw_explainer *x;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params p = run_params(2);
    hw_attribution *a;
    memset(longer, 'x', sizeof longer);
    p.prompt = longer;
    p.prompt_bytes = sizeof longer;
    assert_int_equal(hw_explainer_new(&x, NULL, NULL), HW_OK);
    assert_int_equal(hw_explainer_add(x, "flow", NULL, NULL), HW_OK);
    p.explainer = x;
    for (int given = 0; given < 2; given++) {
        if (given) p.completion = "it was", p.completion_bytes = 6;
        assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_ARGUMENT, "is too large");
        assert_int_equal(fake_n_decoded(model), 0);
    }
    assert_int_equal(hw_explainer_add(x, "attention", NULL, NULL), HW_OK);
    assert_int_equal(hw_trace_capture(&trace, model, &p, &err), HW_OK);
    assert_error(&err, hw_explainer_result(&a, x, 0, trace, &err), HW_ERR_ARGUMENT, "is too large");
    assert_int_equal(hw_explainer_result(&a, x, 1, trace, &err), HW_OK);
    hw_attribution_free(a);
    hw_explainer_free(x);
    hw_trace_free(trace);
    hw_model_close(model);
}

static void refuses_what_is_no_method(void **state) {
    (void)state;
    hw_explainer *x = NULL;
    hw_error err;
    hw_method_params p = hw_method_params_default();
    hw_explainer_params wrong = {.size = sizeof wrong, .keep = (hw_keep)7};
    assert_error(&err, hw_explainer_new(&x, &wrong, &err), HW_ERR_ARGUMENT, "keep 7: results, methods, rows or all");
    assert_int_equal(hw_explainer_new(&x, NULL, NULL), HW_OK);
    assert_error(&err, hw_explainer_add(x, "nonsense", &p, &err), HW_ERR_ARGUMENT, "accepted: rollout");
    p.residual = 2;
    assert_error(&err, hw_explainer_add(x, "rollout", &p, &err), HW_ERR_ARGUMENT, "residual");
    hw_explainer_free(x);
}

static hw_err take_estimate(void *ctx, const hw_estimate *e, hw_error *err) {
    size_t *n = ctx;
    *n += 1;
    return e->n_prompt > 100 ? hw__fail(err, HW_ERR_ARGUMENT, "too many tokens for the caller") : HW_OK;
}

/* Whatever is estimated, split and limited. */
static void the_prompt_is_tokenized_once(void **state) {
    (void)state;
    static char longer[400];
    hw_error err;
    hw_trace *trace;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    size_t n_estimates = 0;
    hw_run_params p = run_params(3);
    assert_int_equal(hw_explainer_new(&p.explainer, NULL, NULL), HW_OK);
    assert_int_equal(hw_explainer_add(p.explainer, "rollout", NULL, NULL), HW_OK);
    assert_int_equal(hw_explainer_split(p.explainer, "word", true, NULL), HW_OK);
    p.on_estimate = take_estimate;
    p.memory = (uint64_t)1 << 40;
    p.ctx = &n_estimates;
    if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(fake_n_tokenized(model), strlen(PROMPT));
    assert_int_equal(n_estimates, 1);
    hw_trace_free(trace);
    size_t decoded = fake_n_decoded(model);
    memset(longer, 'x', sizeof longer);
    p.prompt = longer;
    p.prompt_bytes = sizeof longer;
    assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_ARGUMENT, "too many tokens for the caller");
    p.on_estimate = NULL;
    p.memory = 1;
    assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_ARGUMENT, "the limit is 0.0 MiB");
    assert_int_equal(fake_n_decoded(model), decoded);
    hw_explainer_free(p.explainer);
    hw_model_close(model);
}

/* Captures a run with an explainer of one method; the caller frees both. */
static hw_trace *capture_with(hw_explainer **x, hw_model *model, hw_run_params p, hw_keep keep, const char *method,
                              const hw_method_params *params) {
    hw_error err;
    hw_trace *trace;
    hw_explainer_params keeping = hw_explainer_params_default();
    keeping.keep = keep;
    assert_int_equal(hw_explainer_new(x, &keeping, NULL), HW_OK);
    assert_int_equal(hw_explainer_add(*x, method, params, NULL), HW_OK);
    p.explainer = *x;
    if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static void refuses_last_row(const hw_trace *trace) {
    size_t n;
    hw_error err;
    hw_attribution *own;
    hw_method_params params = hw_method_params_default();
    params.row = HW_ROW_OWN;
    assert_null(hw_trace_row(trace, 0, hw_trace_run(trace)->n_tokens - 1, &n));
    assert_int_equal(n, 0);
    assert_int_equal(hw_explain(&own, trace, "attention", &params, &err), HW_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "the last token's own row"));
    assert_int_equal(hw_trace_save(trace, "/nowhere/trace", &err), HW_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "the last token's own row"));
}

/* The last token's own row chooses no token: it is computed where a setting or what is kept may read it. Without it the
 * result is the same bits. */
static void the_last_token_is_decoded_for_those_that_read_its_row(void **state) {
    (void)state;
    enum { N = 5 };
    static const struct {
        const char *method;
        hw_row_convention row;
        bool given;
        hw_keep keep;
        bool decoded;
    } cases[] = {
        {"rollout", HW_ROW_PREDICTOR, false, HW_KEEP_RESULTS, false},
        {"flow", HW_ROW_PREDICTOR, false, HW_KEEP_RESULTS, false},
        {"attention", HW_ROW_PREDICTOR, false, HW_KEEP_RESULTS, false},
        {"uniform", HW_ROW_PREDICTOR, false, HW_KEEP_RESULTS, false},
        {"random", HW_ROW_OWN, false, HW_KEEP_RESULTS, false},
        {"rollout", HW_ROW_OWN, false, HW_KEEP_RESULTS, true},
        {"attention", HW_ROW_OWN, false, HW_KEEP_RESULTS, true},
        {"rollout", HW_ROW_PREDICTOR, true, HW_KEEP_RESULTS, true},
        {"rollout", HW_ROW_PREDICTOR, false, HW_KEEP_METHODS, true},
        {"rollout", HW_ROW_PREDICTOR, false, HW_KEEP_ROWS, true},
    };
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_method_params params = hw_method_params_default();
        hw_explainer *x, *all;
        hw_attribution *a, *same;
        hw_error err;
        params.row = cases[i].row;
        hw_run_params p = run_params(N);
        if (cases[i].given) p.completion = "it was", p.completion_bytes = 6;
        size_t before = fake_n_decoded(model);
        hw_trace *trace = capture_with(&x, model, p, cases[i].keep, cases[i].method, &params);
        size_t T = hw_trace_run(trace)->n_tokens, decoded = fake_n_decoded(model) - before;
        assert_int_equal(decoded, T - !cases[i].decoded);
        if (hw_explainer_result(&a, x, 0, trace, &err) != HW_OK) fail_msg("%s", err.msg);
        hw_trace *whole = capture_with(&all, model, p, HW_KEEP_ROWS, cases[i].method, &params);
        if (hw_explainer_result(&same, all, 0, whole, &err) != HW_OK) fail_msg("%s", err.msg);
        assert_int_equal(a->n_rows, same->n_rows);
        for (size_t k = 0; k < a->n_rows * a->n_columns * a->n_layers; k++)
            assert_float_equal(a->values[k], same->values[k], BOUND);
        if (!cases[i].decoded) refuses_last_row(trace);
        hw_attribution_free(a);
        hw_attribution_free(same);
        hw_explainer_free(x);
        hw_explainer_free(all);
        hw_trace_free(trace);
        hw_trace_free(whole);
    }
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_token_as_it_comes),
        cmocka_unit_test(several_at_once_in_any_direction_and_by_groups),
        cmocka_unit_test(a_given_completion_by_chunks),
        cmocka_unit_test(results_are_whole_after_rows_were_shown),
        cmocka_unit_test(columns_are_segments_of_the_prompt),
        cmocka_unit_test(one_method_has_columns_of_its_own),
        cmocka_unit_test(a_prompt_that_cannot_be_split_fails_the_run),
        cmocka_unit_test(a_run_that_is_too_large_fails_at_its_start),
        cmocka_unit_test(refuses_what_is_no_method),
        cmocka_unit_test(the_prompt_is_tokenized_once),
        cmocka_unit_test(the_last_token_is_decoded_for_those_that_read_its_row),
    };
    return cmocka_run_group_tests_name("explainer", tests, NULL, NULL);
}
