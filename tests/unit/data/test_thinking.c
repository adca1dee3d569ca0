/*
 * test_thinking.c - which tokens are in thinking sections: marks that are one token or several, in prompt and
 * completion, sections without an end, and marks in the user's text.
 */
#include "support/fixture.h"

#include "data/thinking.h"

#include <string.h>

/* `expected` has a letter a token: x for those in a section. */
static void assert_thinks(const hw_run *run, const char *expected) {
    bool thinks[32];
    char got[33] = "";
    assert_true(run->n_tokens < 32 && strlen(expected) == run->n_tokens);
    assert_int_equal(hw__thinking_tokens(thinks, run, NULL), HW_OK);
    for (size_t t = 0; t < run->n_tokens; t++) got[t] = thinks[t] ? 'x' : '.';
    assert_string_equal(got, expected);
}

static void sections_of_the_completion(void **state) {
    (void)state;
    static const char *const prompt[] = {"Why", "?"};
    static const char *const whole[] = {"<think>", " so", "</think>", " yes"};
    static const char *const cut[] = {"<th", "ink>\n", "a", " b</", "think", ">ok", " yes"};
    static const char *const endless[] = {"Hm ", "<think>", " so", " on"};
    static const char *const mistral[] = {"[THINK]", "a", "[/THINK]", "b"};
    static const char *const channel[] = {"<|channel|>", "analysis", "<|message|>", "a", "<|end|>", "<|start|>", "b"};
    static const char *const two[] = {"<think>a</think>", "b", "<think>", "c", "</think>", "d"};
    const struct {
        const char *const *tokens;
        size_t n;
        const char *expected;
    } cases[] = {{whole, 4, "..xxx."},      {cut, 7, "..xxxxxx."}, {endless, 4, "...xxx"}, {mistral, 4, "..xxx."},
                 {channel, 7, "..xxxxx.."}, {two, 6, "..x.xxx."},  {prompt, 1, "..."}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_run *run = make_run(1, prompt, 2, cases[i].tokens, cases[i].n);
        assert_thinks(run, cases[i].expected);
        hw__run_release(run);
    }
}

/* An earlier answer's section, with its end; a mark that the user mentions begins none. */
static void sections_of_the_prompt(void **state) {
    (void)state;
    static const char *const earlier[] = {"<think>", "a", "</think>", "b"};
    static const char *const mention[] = {"what is", " <think>", "?"};
    static const char *const answer[] = {"a", "b"}, *const thinking[] = {"<think>", "b"};
    hw_run *run = make_run(1, earlier, 4, answer, 2);
    assert_thinks(run, "xxx...");
    hw__run_release(run);
    run = make_run(1, mention, 3, answer, 2);
    assert_thinks(run, ".....");
    hw__run_release(run);
    run = make_run(1, mention, 3, thinking, 2);
    assert_thinks(run, "...xx");
    hw__run_release(run);
}

/* Templates of some models write the mark, so that the completion begins inside. */
static void section_that_the_template_begins(void **state) {
    (void)state;
    static const char *const prompt[] = {"Why", "<think>", "\n"}, *const answer[] = {"so", "</think>", "yes"};
    hw_run *run = make_run(1, prompt, 3, answer, 3);
    run->tokens[1].role = run->tokens[2].role = HW_ROLE_TEMPLATE;
    assert_thinks(run, ".xxxx.");
    hw__run_release(run);
    run = make_run(1, prompt, 3, answer, 1); /* and has not ended yet */
    run->tokens[1].role = run->tokens[2].role = HW_ROLE_TEMPLATE;
    assert_thinks(run, ".xxx");
    hw__run_release(run);
}

/* A letter a token: role p, c, s, t, or x for thinking. */
static void assert_roles(const hw_run *run, const char *expected) {
    char got[33] = "";
    for (size_t t = 0; t < run->n_tokens; t++) got[t] = "pcstx"[run->tokens[t].role];
    assert_string_equal(got, expected);
}

static void sections_have_a_role_in_prompt_and_completion(void **state) {
    (void)state;
    static const char *const prompt[] = {"<s>", "<think>", "a", "</think>", "b", "<think>"};
    static const char *const answer[] = {"so", "</think>", "yes"};
    hw_run *run = make_run(1, prompt, 6, answer, 3);
    run->tokens[0].role = HW_ROLE_SPECIAL;
    run->tokens[5].role = HW_ROLE_TEMPLATE; /* keeps its role: it is not text of the caller */
    assert_int_equal(hw__thinking_roles(run, NULL), HW_OK);
    assert_roles(run, "sxxxptxxc");
    assert_false(run->thinks);
    hw__run_release(run);
}

/* Token by token, as a run is captured: the roles are those of the whole run at any time. */
static void roles_of_a_run_that_grows(void **state) {
    (void)state;
    static const char *const prompt[] = {"Why", "?"};
    static const char *const answer[] = {"Hm", "<th", "ink>", " so", "</", "think>", "yes", "<think>", "a", "b>c", "d"};
    static const char *const expected[] = {"ppc",         "ppcc",         "ppcxx",        "ppcxxx",
                                           "ppcxxxx",     "ppcxxxxx",     "ppcxxxxxc",    "ppcxxxxxcx",
                                           "ppcxxxxxcxx", "ppcxxxxxcxxx", "ppcxxxxxcxxxx"};
    hw_run *run = make_run(1, prompt, 2, NULL, 0);
    assert_int_equal(hw__thinking_roles(run, NULL), HW_OK);
    for (size_t i = 0; i < sizeof answer / sizeof *answer; i++) {
        hw_token token = {.bytes = answer[i], .n_bytes = strlen(answer[i]), .role = HW_ROLE_COMPLETION};
        assert_int_equal(hw__run_add_token(run, &token, NULL), HW_OK);
        assert_int_equal(hw__thinking_role_added(run, NULL), HW_OK);
        assert_roles(run, expected[i]);
    }
    assert_true(run->thinks);
    hw__run_release(run);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_of_the_completion),
        cmocka_unit_test(sections_of_the_prompt),
        cmocka_unit_test(section_that_the_template_begins),
        cmocka_unit_test(sections_have_a_role_in_prompt_and_completion),
        cmocka_unit_test(roles_of_a_run_that_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
