/* test_run.c - the small things that everything stands on: runs and their tokens, words, errors, pools, memory. */
#include "data/enum_names.h"
#include "engine/log.h"
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const prompt[] = {"I", " am"};
static const char *const completion[] = {" here", "", "."};

/* ------------------------------------------------------------------ runs */

static void run_keeps_copies_of_its_tokens(void **state) {
    (void)state;
    hw_run *run = make_run(2, prompt, 2, NULL, 0);
    char bytes[] = " x\0y", other[] = "zz";
    hw_alternative list[2] = {{.bytes = bytes, .n_bytes = 4, .id = 5, .logprob = -0.5f},
                              {.bytes = other, .n_bytes = 2, .id = 9, .logprob = -2}};
    hw_token token = {.bytes = bytes,
                      .n_bytes = 4,
                      .id = 5,
                      .role = HW_ROLE_COMPLETION,
                      .logprob = -0.5f,
                      .n_alternatives = 2,
                      .alternatives = list,
                      .begin = 77,
                      .end = 78};
    assert_int_equal(hw__run_add_token(run, &token, NULL), HW_OK);
    memset(bytes, '?', sizeof bytes);
    memset(other, '?', sizeof other);
    memset(list, 0, sizeof list);
    hw_token kept = hw_run_token(run, 2);
    assert_memory_equal(kept.bytes, " x\0y", 4);
    assert_int_equal(kept.begin, 0); /* its place in the completion, whatever was said */
    assert_int_equal(kept.end, 4);
    assert_int_equal(kept.n_alternatives, 2);
    assert_memory_equal(kept.alternatives[0].bytes, " x\0y", 4);
    assert_memory_equal(kept.alternatives[1].bytes, "zz", 2);
    assert_int_equal(kept.alternatives[1].id, 9);
    assert_true(kept.alternatives[1].logprob == -2);
    hw__run_release(run);
}

static void run_counts_prompt_and_completion(void **state) {
    (void)state;
    hw_run *run = make_run(2, prompt, 2, completion, 3);
    size_t n;
    assert_int_equal(hw_run_n_tokens(run), 5);
    assert_int_equal(hw_run_n_prompt(run), 2);
    assert_int_equal(hw_run_n_completion(run), 3);
    assert_memory_equal(hw_run_prompt(run, &n), "I am", 4);
    assert_int_equal(n, 4);
    assert_memory_equal(hw_run_completion(run, &n), " here.", 6);
    assert_int_equal(n, 6);
    assert_non_null(hw_run_prompt(run, NULL));
    assert_int_equal(hw_run_token(run, 3).begin, 5);
    assert_int_equal(hw_run_token(run, 3).end, 5);
    assert_int_equal(hw_run_token(run, 4).begin, 5);
    assert_true(hw_run_is_causal(run));
    assert_int_equal(hw_run_model(run)->n_layers, 2);
    assert_int_equal(hw_run_model(run)->layers[1], 1);
    assert_string_equal(hw_run_model(run)->architecture, ""); /* never NULL */
    hw__run_release(run);
    run = make_run(1, prompt, 2, NULL, 0);
    assert_string_equal(hw_run_completion(run, &n), "");
    assert_int_equal(n, 0);
    hw__run_release(run);
}

static void run_grows_and_lives_while_it_is_used(void **state) {
    (void)state;
    hw_run *run = make_run(1, prompt, 2, NULL, 0);
    char word[16];
    for (int i = 0; i < 5000; i++) {
        hw_token token = {.bytes = word,
                          .n_bytes = (size_t)snprintf(word, sizeof word, " w%d", i),
                          .id = i,
                          .role = HW_ROLE_COMPLETION};
        assert_int_equal(hw__run_add_token(run, &token, NULL), HW_OK);
    }
    hw_run *shared = hw__run_retain(run);
    assert_ptr_equal(shared, run);
    hw__run_release(run);
    for (int i = 0; i < 5000; i += 499) {
        snprintf(word, sizeof word, " w%d", i);
        hw_token token = hw_run_token(shared, 2 + (size_t)i);
        assert_int_equal(token.n_bytes, strlen(word));
        assert_memory_equal(token.bytes, word, token.n_bytes);
    }
    hw__run_release(shared);
    hw__run_release(NULL);
}

/* ------------------------------------------------------------------ words */

typedef hw_err (*parse_fn)(int *out, const char *word, hw_error *err);
#define PARSE(prefix, type)                                                                                            \
    static hw_err parse_##type(int *out, const char *word, hw_error *err) {                                            \
        hw_##type v = (hw_##type)99;                                                                                   \
        hw_err rc = prefix##type##_parse(&v, word, err);                                                               \
        *out = (int)v;                                                                                                 \
        return rc;                                                                                                     \
    }                                                                                                                  \
    static const char *name_##type(int v) { return hw_##type##_name((hw_##type)v); }
PARSE(hw_, fuse)
PARSE(hw_, row_convention)
PARSE(hw_, direction)
PARSE(hw_, columns)
PARSE(hw__, role)
PARSE(hw__, stop)

static void words_are_read_back(void **state) {
    (void)state;
    static const struct {
        parse_fn parse;
        const char *(*name)(int v);
        const char *list;
    } types[] = {
        {parse_fuse, name_fuse, "mean, max, min"},
        {parse_row_convention, name_row_convention, "predictor, own"},
        {parse_direction, name_direction, "input, output"},
        {parse_columns, name_columns, "prompt, all"},
        {parse_role, name_role, "prompt, completion, special, template, thinking"},
        {parse_stop, name_stop, "length, end, given, cancelled"},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char joined[200] = "";
        int v, n = 0;
        for (; strcmp(types[i].name(n), "?") != 0; n++) {
            assert_int_equal(types[i].parse(&v, types[i].name(n), NULL), HW_OK);
            assert_int_equal(v, n);
            snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", n ? ", " : "", types[i].name(n));
        }
        assert_string_equal(joined, types[i].list);
        hw_error err = {0};
        hw_err rc = types[i].parse(&v, "nonsense", &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, types[i].list);
        assert_error(&err, rc, HW_ERR_ARGUMENT, "\"nonsense\"");
        assert_int_equal(v, 99); /* left alone */
        assert_int_equal(types[i].parse(&v, NULL, NULL), HW_ERR_ARGUMENT);
        assert_int_equal(types[i].parse(&v, "", NULL), HW_ERR_ARGUMENT);
        assert_string_equal(types[i].name(-1), "?");
    }
}

/* ------------------------------------------------------------------ errors and memory */

static void errors_have_names_and_fit_their_buffer(void **state) {
    (void)state;
    assert_string_equal(hw_version(), HW_VERSION);
    assert_string_equal(hw_err_name(HW_OK), "HW_OK");
    assert_string_equal(hw_err_name(HW_ERR_CANCELLED), "HW_ERR_CANCELLED");
    assert_string_equal(hw_err_name((hw_err)-99), "HW_ERR_UNKNOWN");
    for (int code = HW_ERR_CANCELLED; code <= HW_OK; code++)
        assert_non_null(strstr(hw_err_name((hw_err)code), code ? "HW_ERR_" : "HW_OK"));
    hw_error err = {0};
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(hw__fail(&err, HW_ERR_IO, "%s", longer), HW_ERR_IO);
    assert_int_equal(err.code, HW_ERR_IO);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(hw__fail(NULL, HW_ERR_FORMAT, "nobody reads"), HW_ERR_FORMAT);
    hw__fail(&err, HW_ERR_FORMAT, "layer %d requested, model has %d", 40, 30);
    assert_int_equal(hw__fail_in(&err, HW_ERR_FORMAT, "%s", "a.hwt"), HW_ERR_FORMAT);
    assert_string_equal(err.msg, "a.hwt: layer 40 requested, model has 30");
    hw__fail_memory(&err, "a matrix", 1u << 20, 4);
    assert_string_equal(err.msg, "out of memory: a matrix needs 4.0 MiB");
}

static void sizes_are_checked_for_overflow(void **state) {
    (void)state;
    size_t out = 7;
    assert_true(hw__mul(&out, 3, 5) && out == 15);
    assert_false(hw__mul(&out, SIZE_MAX / 2, 3));
    assert_true(hw__add(&out, SIZE_MAX - 1, 1) && out == SIZE_MAX);
    assert_false(hw__add(&out, SIZE_MAX, 1));
    assert_null(hw__alloc(SIZE_MAX / 2, 4));
    assert_null(hw__alloc(SIZE_MAX / 4, 3)); /* no wrap, but no such object either */
    assert_null(hw__realloc(NULL, SIZE_MAX / 2, 4));
    unsigned char *none = hw__alloc(0, 8), *zeroed = hw__alloc(100, 1);
    assert_non_null(none);
    for (size_t i = 0; i < 100; i++) assert_int_equal(zeroed[i], 0);
    free(none);
    free(zeroed);
    char *copy = hw__strndup("ab\0cd", 5);
    assert_memory_equal(copy, "ab\0cd", 6);
    free(copy);
    assert_false(hw__trace_layer_size(&out, SIZE_MAX / 2, true));
    assert_true(hw__trace_layer_size(&out, 5, true) && out == 15);
    assert_true(hw__trace_layer_size(&out, 5, false) && out == 25);
}

static void pool_blocks_do_not_overlap(void **state) {
    (void)state;
    hw__arena arena = {0};
    unsigned char *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        size_t size = i % 50 == 49 ? 40000 : i; /* some larger than a block */
        blocks[i] = hw__arena_alloc(&arena, size, 1);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % sizeof(double), 0);
        for (size_t b = 0; b < size; b++) assert_int_equal(blocks[i][b], 0);
        memset(blocks[i], (int)(i % 251), size);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t b = 0; b < (i % 50 == 49 ? 40000 : i); b++) assert_int_equal(blocks[i][b], i % 251);
    assert_string_equal(hw__arena_strdup(&arena, NULL), "");
    assert_null(hw__arena_alloc(&arena, SIZE_MAX, 2));
    assert_null(hw__arena_alloc(&arena, SIZE_MAX - 3, 1));
    hw__arena_clear(&arena);
    assert_null(arena.blocks);
}

static void log_line(void *ctx, hw_log_level level, const char *line) {
    assert_int_equal(level, HW_LOG_WARN);
    assert_string_equal(line, "careful");
    ++*(int *)ctx;
}

static void log_goes_where_it_is_set(void **state) {
    (void)state;
    int n = 0;
    hw__log(HW_LOG_WARN, "dropped");
    hw_log_set(log_line, &n);
    hw__log(HW_LOG_WARN, "careful");
    hw_log_set(NULL, NULL);
    hw__log(HW_LOG_WARN, "dropped");
    assert_int_equal(n, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_keeps_copies_of_its_tokens),
        cmocka_unit_test(run_counts_prompt_and_completion),
        cmocka_unit_test(run_grows_and_lives_while_it_is_used),
        cmocka_unit_test(words_are_read_back),
        cmocka_unit_test(errors_have_names_and_fit_their_buffer),
        cmocka_unit_test(sizes_are_checked_for_overflow),
        cmocka_unit_test(pool_blocks_do_not_overlap),
        cmocka_unit_test(log_goes_where_it_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
