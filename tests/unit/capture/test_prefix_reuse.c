/*
 * test_prefix_reuse.c - the front of a prompt taken from an earlier run or from a state: which tokens, and that nothing
 * differs.
 *
 * The engine is the fake one, whose rows depend on tokens and positions alone: all bits must be those of a fresh run.
 */
#include "capture/prefix_reuse.h"
#include "formats/trace_file.h"
#include "support/fake_engine.h"
#include "support/files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FIRST[] = "It was sunny in Rome, the city of Russia", SECOND[] = "It was sunny in Rome, is it a day?";

static hw_trace *capture(hw_model *model, hw_run_params p, const hw_trace *prefix) {
    hw_error err;
    hw_trace *trace = NULL;
    p.prefix = prefix;
    if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static size_t reused(const hw_trace *trace) { return hw_run_n_reused(hw_trace_run(trace)); }

/* Tokens that two runs begin with, the last ones of b's prompt left out, in whole groups. */
static size_t front(const hw_trace *a, const hw_trace *b) {
    size_t n = 0;
    while (n + HW__PREFIX_MIN_REST < b->run->n_prompt && n < a->run->n_tokens &&
           a->run->tokens[n].id == b->run->tokens[n].id)
        n++;
    return n - n % HW__PREFIX_GROUP;
}

static void assert_same(const hw_trace *a, const hw_trace *b) {
    assert_int_equal(a->run->n_tokens, b->run->n_tokens);
    for (size_t t = 0; t < a->run->n_tokens; t++) assert_int_equal(a->run->tokens[t].id, b->run->tokens[t].id);
    for (size_t l = 0; l < a->n_layers; l++)
        for (size_t q = 0; q < a->run->n_tokens; q++) {
            size_t n;
            const float *x = hw_trace_row(a, l, q, &n), *y = hw_trace_row(b, l, q, &n);
            assert_memory_equal(x, y, n * sizeof *x);
        }
}

static void only_the_tail_is_decoded(void **state) {
    (void)state;
    static const size_t chunks[] = {1, 3, 512};
    for (size_t c = 0; c < 3; c++) {
        fake_params fake = fake_params_default();
        fake.chunk = chunks[c];
        hw_model *model = fake_model(&fake);
        hw_run_params two = ask(SECOND, NULL, 4);
        hw_trace *prefix = capture(model, ask(FIRST, NULL, 3), NULL), *want = fake_trace(&fake, &two);
        size_t before = fake_n_decoded(model), begun = fake_n_begins(model);
        hw_trace *got = capture(model, two, prefix);
        assert_int_equal(reused(got), front(prefix, want));
        assert_in_range(reused(got), 5, 20);
        assert_int_equal(fake_n_decoded(model) - before, want->run->n_tokens - reused(got));
        assert_int_equal(fake_n_begins(model), begun);
        assert_same(got, want);
        hw_trace_free(prefix);
        hw_trace_free(want);
        hw_trace_free(got);
        hw_model_close(model);
    }
}

/* The prompt of the run before with its completion, and more: a conversation that goes on. */
static void a_completion_is_part_of_the_front(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_trace *prefix = capture(model, ask("Rome", " is the city", 0), NULL);
    hw_trace *got = capture(model, ask("Rome is the city of Russia", NULL, 3), prefix);
    hw_run_params afresh = ask("Rome is the city of Russia", NULL, 3);
    hw_trace *want = fake_trace(&fake, &afresh);
    assert_int_equal(reused(got), prefix->run->n_tokens - prefix->run->n_tokens % HW__PREFIX_GROUP);
    assert_true(reused(got) > prefix->run->n_prompt);
    assert_same(got, want);
    hw_trace_free(prefix);
    hw_trace_free(want);
    hw_trace_free(got);
    hw_model_close(model);
}

/* The last group, that is, or more where it is one token. */
static void the_last_tokens_are_always_decoded(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params p = ask(FIRST, " is", 0);
    hw_trace *prefix = capture(model, p, NULL), *got = capture(model, p, prefix);
    assert_int_equal(reused(got), (prefix->run->n_prompt - HW__PREFIX_MIN_REST) / HW__PREFIX_GROUP * HW__PREFIX_GROUP);
    assert_same(got, prefix);
    hw_trace_free(prefix);
    hw_trace_free(got);
    hw_model_close(model);
}

/* The cache is of whatever ran last: rows of the earlier trace serve as far as it reaches. */
static void a_run_in_between_leaves_what_it_shares(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params two = ask(SECOND, NULL, 4);
    hw_trace *prefix = capture(model, ask(FIRST, NULL, 3), NULL), *want = fake_trace(&fake, &two);
    hw_trace *between = capture(model, ask("It was sunny, a day", NULL, 2), NULL), *got = capture(model, two, prefix);
    assert_int_equal(reused(got), front(between, want));
    assert_in_range(reused(got), 2, front(prefix, want) - 1);
    assert_same(got, want);
    hw_trace_free(prefix);
    hw_trace_free(between);
    hw_trace_free(want);
    hw_trace_free(got);
    hw_model_close(model);
}

typedef void (*change_fn)(fake_params *fake, hw_run_params *run);
/* An earlier run without prompt rows serves one that keeps none, and no other. */
static void rows_that_are_not_kept_are_not_needed(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params one = ask(FIRST, NULL, 3), two = ask(SECOND, NULL, 4);
    hw_trace *want = fake_trace(&fake, &two);
    hw_explainer *of_interest;
    assert_int_equal(
        hw_explainer_new(&of_interest,
                         &(hw_explainer_params){.size = sizeof(hw_explainer_params), .keep = HW_KEEP_METHODS}, NULL),
        HW_OK);
    assert_int_equal(hw_explainer_add(of_interest, "attention", NULL, NULL), HW_OK);
    one.explainer = two.explainer = of_interest;
    hw_trace *prefix = capture(model, one, NULL), *got = capture(model, two, prefix);
    assert_int_equal(reused(got), front(prefix, want));
    for (size_t l = 0; l < got->n_layers; l++)
        for (size_t q = got->run->n_prompt - 1; q < got->run->n_tokens; q++) {
            size_t n;
            const float *x = hw_trace_row(got, l, q, &n), *y = hw_trace_row(want, l, q, &n);
            assert_memory_equal(x, y, n * sizeof *x);
        }
    two.explainer = NULL;
    hw_trace *whole = capture(model, two, prefix);
    assert_int_equal(reused(whole), 0);
    assert_same(whole, want);
    hw_trace *traces[] = {want, prefix, got, whole};
    for (int i = 0; i < 4; i++) hw_trace_free(traces[i]);
    hw_explainer_free(of_interest);
    hw_model_close(model);
}

/* Explanations that must see every row pass do. */
static void rows_that_must_pass_do(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_run_params one = ask(FIRST, NULL, 3), two = ask(SECOND, NULL, 4);
    assert_int_equal(hw_explainer_new(&two.explainer, NULL, NULL), HW_OK);
    assert_int_equal(hw_explainer_add(two.explainer, "rollout", NULL, NULL), HW_OK);
    hw_trace *prefix = capture(model, one, NULL);
    hw_trace *got = capture(model, two, prefix);
    assert_int_equal(reused(got), 0);
    hw_explainer_free(two.explainer);
    hw_trace_free(prefix);
    hw_trace_free(got);
    hw_model_close(model);
}

static void another_model(fake_params *fake, hw_run_params *run) {
    (void)run;
    fake->fingerprint = "another";
}
static void other_weights(fake_params *fake, hw_run_params *run) {
    (void)run;
    fake->sample = "another";
}
static void another_fuse(fake_params *fake, hw_run_params *run) {
    (void)fake;
    run->fuse = HW_FUSE_MAX;
}
static void no_way_back(fake_params *fake, hw_run_params *run) {
    (void)run;
    fake->failure = FAKE_NO_REWIND;
}

static void what_does_not_fit_has_no_effect(void **state) {
    (void)state;
    static const change_fn changes[] = {another_model, other_weights, another_fuse, no_way_back};
    for (size_t i = 0; i < 4; i++) {
        fake_params fake = fake_params_default();
        fake.sample = "one";
        hw_run_params one = ask(FIRST, NULL, 3), two = ask(SECOND, NULL, 4);
        hw_trace *prefix = fake_trace(&fake, &one);
        changes[i](&fake, &two);
        hw_model *model = fake_model(&fake);
        hw_trace *warm = capture(model, one, NULL), *got = capture(model, two, prefix), *want = fake_trace(&fake, &two);
        assert_int_equal(reused(got), 0);
        assert_same(got, want);
        hw_trace_free(prefix);
        hw_trace_free(warm);
        hw_trace_free(want);
        hw_trace_free(got);
        hw_model_close(model);
    }
}

/* ------------------------------------------------------------------ states */

static void save_state(const hw_trace *trace, hw_model *model) {
    hw_error err;
    hw_save_params params = hw_save_params_default();
    params.model = model;
    if (hw_trace_save_as(trace, temp_path("s"), &params, &err) != HW_OK) fail_msg("%s", err.msg);
}

static void a_state_goes_on_in_another_model(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake), *other = fake_model(&fake);
    hw_run_params two = ask(SECOND, NULL, 4);
    hw_trace *first = capture(model, ask(FIRST, NULL, 3), NULL), *prefix, *as_trace;
    hw_error err;
    save_state(first, model);
    if (hw_state_open(&prefix, other, temp_path("s"), &err) != HW_OK) fail_msg("%s", err.msg);
    hw_trace *got = capture(other, two, prefix), *want = fake_trace(&fake, &two);
    assert_int_equal(reused(got), front(first, want));
    assert_int_equal(fake_n_decoded(other), want->run->n_tokens - reused(got));
    assert_same(got, want);
    assert_int_equal(hw_trace_open(&as_trace, temp_path("s"), &err), HW_OK); /* any reader of traces reads it */
    assert_same(as_trace, first);
    hw_trace *traces[] = {first, prefix, as_trace, got, want};
    for (int i = 0; i < 5; i++) hw_trace_free(traces[i]);
    hw_model_close(model);
    hw_model_close(other);
    temp_clear();
}

/* Rows that come from halves do not move again, so what is stated does not grow from one state to the next. */
static void halves_move_once_in_any_generation(void **state) {
    (void)state;
    enum { GENERATIONS = 4, LENGTH = 24 };
    static const char text[] = "It was sunny in Rome, the city of Russia, and a day in Rome is no day "
                               "in the city of sun, or is it? Rome";
    fake_params fake = fake_params_default();
    hw_save_params halves = hw_save_params_default();
    hw_error err;
    double max = 0;
    halves.precision = HW_PRECISION_F16;
    for (size_t g = 1; g <= GENERATIONS; g++) {
        char prompt[GENERATIONS * LENGTH + 1];
        snprintf(prompt, sizeof prompt, "%.*s", (int)(g * LENGTH), text);
        hw_run_params p = ask(prompt, NULL, 3);
        hw_model *model = halves.model = fake_model(&fake);
        hw_trace *before = NULL;
        if (g > 1 && hw_state_open(&before, model, temp_path("s"), &err) != HW_OK) fail_msg("%s", err.msg);
        hw_trace *got = capture(model, p, before), *fresh = fake_trace(&fake, &p);
        assert_true(g == 1 || reused(got) > 0);
        max = fmax(max, hw_trace_rounding(fresh, HW_PRECISION_F16));
        assert_in_range(1e9 * hw_trace_rounding(got, HW_PRECISION_F16), 1, 1.001e9 * max); /* three digits in files */
        if (hw_trace_save_as(got, temp_path("s"), &halves, &err) != HW_OK) fail_msg("%s", err.msg);
        hw_trace *traces[] = {before, got, fresh};
        for (int i = 0; i < 3; i++) hw_trace_free(traces[i]);
        hw_model_close(model);
    }
    temp_clear();
}

/* A front of a trace so long that halves moved more of its rows than they can of short ones. */
static void what_is_stated_of_a_long_front_is_never_too_much_to_open(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_trace *prefix = capture(model, ask(FIRST, NULL, 3), NULL), *opened = NULL;
    prefix->rounding = 0.01;
    hw_trace *got = capture(model, ask(SECOND, NULL, 4), prefix);
    assert_true(reused(got) > 0);
    hw_save_params halves = hw_save_params_default();
    halves.precision = HW_PRECISION_F16;
    hw_error err;
    assert_int_equal(hw_trace_save_as(got, temp_path("t"), &halves, &err), HW_OK);
    if (hw_trace_open(&opened, temp_path("t"), &err) != HW_OK) fail_msg("%s", err.msg);
    hw_trace *traces[] = {prefix, got, opened};
    for (int i = 0; i < 3; i++) hw_trace_free(traces[i]);
    hw_model_close(model);
    temp_clear();
}

static void states_that_do_not_fit_are_refused(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.sample = "one";
    hw_model *model = fake_model(&fake);
    hw_trace *first = capture(model, ask(FIRST, NULL, 3), NULL), *second = capture(model, ask(SECOND, NULL, 3), NULL);
    hw_trace *opened = NULL;
    hw_error err = {0};
    hw_save_params params = hw_save_params_default();
    params.model = model;
    assert_error(&err, hw_trace_save_as(first, temp_path("s"), &params, &err), HW_ERR_ARGUMENT, "decoded other tokens");
    assert_int_equal(temp_count(), 0);

    assert_int_equal(hw_trace_save(second, temp_path("s"), NULL), HW_OK);
    assert_error(&err, hw_state_open(&opened, model, temp_path("s"), &err), HW_ERR_FORMAT, "a trace and no state");
    save_state(second, model);
    model->params.f32_cache = true;
    assert_error(&err, hw_state_open(&opened, model, temp_path("s"), &err), HW_ERR_UNSUPPORTED, "its cache is F16");
    model->params.f32_cache = false;
    fake.sample = "another";
    hw_model *twin = fake_model(&fake);
    assert_error(&err, hw_state_open(&opened, twin, temp_path("s"), &err), HW_ERR_UNSUPPORTED, "another model");
    fake.fingerprint = "another";
    hw_model *other = fake_model(&fake);
    assert_error(&err, hw_state_open(&opened, other, temp_path("s"), &err), HW_ERR_UNSUPPORTED, "another model");
    size_t n;
    char *bytes = read_bytes(temp_path("s"), &n);
    for (size_t cut = 0; cut < n; cut += 7) {
        write_bytes(temp_path("s"), bytes, cut);
        assert_true(hw_state_open(&opened, model, temp_path("s"), &err) != HW_OK);
    }
    free(bytes);
    hw_trace_free(first);
    hw_trace_free(second);
    hw_model_close(model);
    hw_model_close(twin);
    hw_model_close(other);
    temp_clear();
}

/* Values of the state's header. The cache [n_cache] is last in the file. */
static void patch_sum(const char *path, size_t n_cache) {
    static const char key[] = "\"cache_sha256\":\"";
    size_t n;
    char *bytes = read_bytes(path, &n), digits[HW__SHA256_CAPACITY];
    hw__cache cache = {(unsigned char *)bytes + n - n_cache, n_cache};
    char *at = strstr(bytes + 8, key);
    assert_non_null(at);
    hw__cache_sha256(digits, &cache);
    memcpy(at + strlen(key), digits, strlen(digits));
    write_bytes(path, bytes, n);
    free(bytes);
}

/* Any byte of it that changed, one that the engine cannot tell too; it has a look of its own at the others. */
static void a_damaged_cache_is_refused(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_model *model = fake_model(&fake);
    hw_trace *trace = capture(model, ask(FIRST, NULL, 3), NULL), *opened = NULL;
    size_t n, n_cache = trace->run->n_tokens * sizeof(int32_t);
    hw_error err = {0};
    save_state(trace, model);
    char *bytes = read_bytes(temp_path("s"), &n);
    for (size_t at = n - n_cache; at < n; at++) {
        patch_byte(temp_path("s"), at, (char)(bytes[at] ^ 1));
        assert_error(&err, hw_state_open(&opened, model, temp_path("s"), &err), HW_ERR_FORMAT, "its cache is damaged");
        assert_non_null(strstr(err.msg, temp_path("s")));
        patch_byte(temp_path("s"), at, bytes[at]);
    }
    patch_byte(temp_path("s"), n - 2, 1);
    patch_sum(temp_path("s"), n_cache);
    assert_error(&err, hw_state_open(&opened, model, temp_path("s"), &err), HW_ERR_FORMAT, "not that of");

    memcpy(strstr(bytes + 8, "cache_sha256"), "another_name", 12);
    write_bytes(temp_path("s"), bytes, n);
    assert_error(&err, hw_state_open(&opened, model, temp_path("s"), &err), HW_ERR_UNSUPPORTED, "no \"cache_sha256\"");
    assert_null(opened);
    free(bytes);
    hw_trace_free(trace);
    hw_model_close(model);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_tail_is_decoded),
        cmocka_unit_test(a_completion_is_part_of_the_front),
        cmocka_unit_test(the_last_tokens_are_always_decoded),
        cmocka_unit_test(a_run_in_between_leaves_what_it_shares),
        cmocka_unit_test(rows_that_are_not_kept_are_not_needed),
        cmocka_unit_test(rows_that_must_pass_do),
        cmocka_unit_test(what_does_not_fit_has_no_effect),
        cmocka_unit_test(a_state_goes_on_in_another_model),
        cmocka_unit_test(halves_move_once_in_any_generation),
        cmocka_unit_test(what_is_stated_of_a_long_front_is_never_too_much_to_open),
        cmocka_unit_test(states_that_do_not_fit_are_refused),
        cmocka_unit_test(a_damaged_cache_is_refused),
    };
    return cmocka_run_group_tests_name("prefix", tests, files_setup, files_teardown);
}
