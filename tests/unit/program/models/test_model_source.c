/* test_model_source.c - names of models: what is a name, what is a path. */
#include "models/model_source.h"

#include "support/fixture.h"

#include <string.h>

enum { CAPACITY = 64 };

static void a_name_has_a_source_a_repository_and_a_tag(void **state) {
    (void)state;
    static const char *const names[][4] = {{"hf:owner/repo", "hf", "owner/repo", ""},
                                           {"hf:owner/repo:Q4_K_M", "hf", "owner/repo", "Q4_K_M"},
                                           {"hf:", "hf", "", ""},
                                           {"ollama:smol:135m", "ollama", "smol", "135m"},
                                           {"ollama:me/mine", "ollama", "me/mine", ""},
                                           {"ollama:host:80/me/mine:v1", "ollama", "host:80/me/mine", "v1"},
                                           {"lmstudio:a/b:Q8_0", "lmstudio", "a/b", "Q8_0"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char repo[CAPACITY], tag[CAPACITY];
        const model_source *s = model_name_split(repo, tag, sizeof repo, names[i][0]);
        assert_non_null(s);
        assert_string_equal(s->prefix, names[i][1]);
        assert_string_equal(repo, names[i][2]);
        assert_string_equal(tag, names[i][3]);
    }
}

static void other_texts_are_paths(void **state) {
    (void)state;
    static const char *const paths[] = {
        "model.gguf", "./hf:owner/repo", "owner/repo:Q4_K_M", "hff:a/b", "HF:a/b", "hf", ""};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char repo[CAPACITY], tag[CAPACITY];
        assert_null(model_name_split(repo, tag, sizeof repo, paths[i]));
    }
}

static void a_long_name_is_cut_and_not_found(void **state) {
    (void)state;
    char name[3 * MODEL_PATH_CAPACITY], path[MODEL_PATH_CAPACITY];
    hw_error err;
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(model_resolve(path, sizeof path, name, &err), HW_ERR_ARGUMENT);
    memcpy(name, "ollama:", 7);
    assert_int_equal(model_resolve(path, sizeof path, name, &err), HW_ERR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_a_source_a_repository_and_a_tag),
        cmocka_unit_test(other_texts_are_paths),
        cmocka_unit_test(a_long_name_is_cut_and_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
