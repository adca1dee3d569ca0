/*
 * test_long_text.c - a long text is tokenized where it can be stopped: the ids are those of one call in this process,
 * with every kind of tokenizer in the zoo, and a stop ends it.
 */
#include "support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char TEXT[] =
    "Once upon a time, in 1987, there was  a village\nby the sea;\r\n\r\n\tit's \"they'll\" "
    "日本語 и ещё "
    "🎉👩‍👩‍👧 aaaaaaaaaaaaaaaaaaaa\xff\xfe <b>x</b> def f(x):\n    return x**2 + 1e-5   ";

static hw_model *open_zoo(const char *name) {
    hw_model_params params = hw_model_params_default();
    params.n_threads = 1;
    params.n_ctx = 1 << 22;
    return open_zoo_model(name, &params);
}

static char *long_text(size_t *n, size_t min) {
    size_t each = sizeof TEXT - 1, times = min / each + 1;
    char *text = malloc(times * each);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++) memcpy(text + i * each, TEXT, each);
    *n = times * each;
    return text;
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

static void ids_are_those_of_one_call(void **state) {
    (void)state;
    static const char *const names[] = {"llama", "llama_spm", "gemma2", "gpt2", "falcon", "mpt", "qwen35", "llama4"};
    size_t n, n_models = 0;
    char *text = long_text(&n, 100000);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        hw_model *model = open_zoo(names[i]);
        hw_run_params p = hw_run_params_default();
        hw_run *here, *there;
        hw_error err;
        p.prompt = text;
        p.prompt_bytes = n;
        if (hw_run_tokenize(&here, model, &p, &err) != HW_OK) fail_msg("%s: %s", names[i], err.msg);
        p.stop = never;
        if (hw_run_tokenize(&there, model, &p, &err) != HW_OK) fail_msg("%s: %s", names[i], err.msg);
        assert_true(hw_run_n_tokens(here) > 1000);
        assert_int_equal(hw_run_n_tokens(here), hw_run_n_tokens(there));
        for (size_t t = 0; t < hw_run_n_tokens(here); t++)
            assert_int_equal(hw_run_token(here, t).id, hw_run_token(there, t).id);
        hw_run_free(here);
        hw_run_free(there);
        hw_model_close(model);
        n_models++;
    }
    free(text);
    assert_int_equal(n_models, sizeof names / sizeof *names);
}

/* Returns false at the first calls, which are made before the text is tokenized. */
static bool after_a_while(void *ctx) { return ++*(int *)ctx > 2; }

static void a_stop_ends_it(void **state) {
    (void)state;
    size_t n;
    char *text = long_text(&n, 15000000); /* takes seconds */
    hw_model *model = open_zoo("llama");
    hw_run_params p = hw_run_params_default();
    hw_run *run;
    hw_error err;
    int calls = 0;
    p.prompt = text;
    p.prompt_bytes = n;
    p.stop = after_a_while;
    p.ctx = &calls;
    assert_int_equal(hw_run_tokenize(&run, model, &p, &err), HW_ERR_CANCELLED);
    assert_non_null(strstr(err.msg, "the prompt cannot be tokenized: stopped"));
    assert_in_range(calls, 3, 5);
    hw_model_close(model);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_one_call),
        cmocka_unit_test(a_stop_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
